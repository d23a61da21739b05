"""A purge as values: what its owner has put into the trash, and what stands for it. Must never touch a file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.photo import FileStat
from dedupd.core.relocation import Move


class PurgeState(StrEnum):
    """How far a file is on its way into the trash, or out of it."""

    INTENT = "intent"
    DONE = "done"
    RETURNING = "returning"
    """On its way from the trash to its place in duplicates/."""
    RETURNED = "returned"
    ABORTED = "aborted"
    """It did not go: the reason is in `error`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """A held file and its place in the trash; known before it goes there."""

    move: int
    """The move that holds it: one row for each."""
    batch: str
    """One act of its owner."""
    state: PurgeState
    trash: str
    """Absolute path in the trash."""
    at: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """One held file to put into the trash, and the file that stands for it."""

    move: Move
    stands: str
    """The keeper of a photo, the keeper's twin of a companion. Relative to the root."""
    stands_stat: FileStat
    stands_content: str
    trash: str = ""
    """Where it goes; chosen when it is prepared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purgeable:
    """A held file that is old enough: what a person is shown before the yes."""

    move: Move
    month: str
    stands: str
    """Where its keeper (or a companion's twin) lies."""
    why_not: str = ""
    """One clause why it stays in duplicates/; '' when it may go."""


def in_the_trash(path: str) -> str:
    """One sentence for whoever looks for it."""
    return f"its owner had it put into the trash: {path}"
