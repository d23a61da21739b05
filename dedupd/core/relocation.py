"""Moves as values: where a duplicate goes, what its inverse is.

Must never touch a file. The journal stores these rows, adapters/files.py acts on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dedupd.core.photo import FileStat


class Goal(StrEnum):
    """What a journal row is meant to end as. Kept apart from the state (engine.md 0.8)."""

    MOVED = "moved"
    UNDONE = "undone"


class MoveState(StrEnum):
    """How far a journal row has come towards its goal."""

    INTENT = "intent"
    DONE = "done"
    ABORTED = "aborted"
    """Nothing moved: the reason is in `error`; the file is where it was."""
    ATTENTION = "attention"
    """The disk contradicts the journal (both missing, other content): touched no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOrder:
    """One file to move beside its keeper's back; a unit (RAW+JPEG, Live Photo, sidecars) is several orders of one `unit`."""

    group: int
    """Ledger id of the group."""
    unit: str
    """Same for all files that share one fate; they move together or not at all."""
    file: int
    """Ledger id of the file."""
    root: str
    """Absolute path of the root."""
    src: str
    """Relative to the root."""
    dst: str
    """Relative to the root, wanted name; a taken one gets ' (1)'."""
    stat: FileStat
    content: str
    """BLAKE3 as recorded; checked against the bytes again before the move."""
    keeper: str
    """Relative path of the keeper (the keeper unit's photo)."""
    keeper_stat: FileStat
    keeper_content: str
    relation: str
    evidence: str = ""
    """JSON of the evidence, for the receipt."""
    primary: bool = True
    """False for companions: their keeper is the same photo, but they are no match of it themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A row of the move journal."""

    id: int
    batch: str
    group: int
    unit: str
    file: int
    root: str
    src: str
    dst: str
    size: int
    mtime_ns: int
    dev: int
    ino: int
    content: str
    keeper: str
    keeper_content: str
    relation: str
    goal: Goal
    state: MoveState
    error: str = ""
    at: float = 0.0
    """Wall clock of the intent."""
