"""What a listing of a place says of one file: a value.

Must never open anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OnProblem = Callable[[str], None]
"""on_problem(sentence): what lies there is not read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One picture, or what may be one."""

    name: str
    """Below the place's address, '/' between parts, surrogateescape."""
    size: int
    version: int
    """When it was last written, ns: another one means that it is to be seen again."""
