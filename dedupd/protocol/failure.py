"""The error of an answer, and its codes: those of JSON-RPC, then dedupd's.

Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

REFUSED = -32000
"""The message says why, in one sentence."""
STALE = -32001
"""The group changed since the client saw it."""
NOT_FOUND = -32002
"""No such id."""


class Failure(Struct, kw_only=True):
    """The `error` of a response."""

    code: int
    message: str
    data: Any = None
    """The exit code, when the work was tried and failed; None for a refusal."""
