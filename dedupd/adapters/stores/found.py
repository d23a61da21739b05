"""One file in the listing of a place. A value; must never open anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OnProblem = Callable[[str], None]
"""on_problem(sentence): something there cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One file that may be a picture."""

    name: str
    """Its name below the place's address, '/' between parts, surrogateescape."""
    size: int
    version: int
    """When it was last written, ns: another value means that it must be processed again."""
