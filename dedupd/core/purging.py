"""Values of a purge: what its owner puts into the trash, and which file is kept for it. Must never touch a file."""

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
    """Id of the move that put the file into duplicates/: one purge per move."""
    batch: str
    """Equal for all files of one `dedupd purge`."""
    state: PurgeState
    trash: str
    """Absolute path in the trash."""
    at: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard:
    """One held file to put into the trash, and the file that is kept for it."""

    move: Move
    stands: str
    """Path of the file that is kept for it, relative to the root: its keeper; for a companion, an equal one of the keeper."""
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
    """Path of the file that is kept for it."""
    why_not: str = ""
    """One clause why it stays in duplicates/; '' when it may go."""


def in_the_trash(path: str) -> str:
    """One sentence for a person who looks for the file."""
    return f"its owner had it put into the trash: {path}"
