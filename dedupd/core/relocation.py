"""Values of a move: where a duplicate goes, and how far it has come.

Must never touch a file. The journal stores these rows, adapters/fs/mover.py acts on them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from dedupd.core.month import month_folder
from dedupd.core.photo import FileStat
from dedupd.errors import MoveRefused, Refusal

DUPLICATES = "duplicates"
"""Name of the folders that hold what was moved; never searched, watched or clustered."""
NAME_BYTES = 255
"""Longest file name that common file systems take."""


class Goal(StrEnum):
    """What a move shall come to. Kept apart from its state: both are needed to end an interrupted move."""

    MOVED = "moved"
    UNDONE = "undone"
    """Back in its place: a person undid the move."""
    RETURNED = "returned"
    """Back in its place: dedupd itself undid the move, which was interrupted or has no keeper any more. No verdict."""


class MoveState(StrEnum):
    """How far a move has come towards its goal."""

    INTENT = "intent"
    DONE = "done"
    ABORTED = "aborted"
    """Nothing moved; the file is where it was, and `error` says why."""
    ATTENTION = "attention"
    """The disk contradicts the journal (no file in either place, or another content): nothing more is done with it."""


class Place(StrEnum):
    """Where the file of a move lies on the disk."""

    SRC = "src"
    DST = "dst"
    BOTH = "both"
    """One file under both names: the hard link was made and the old name not yet removed."""
    NOWHERE = "nowhere"
    UNKNOWN = "unknown"
    """The root is not there, or is another one, so nobody knows (P9)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveOrder:
    """One file to move into duplicates/. The files of a unit (RAW+JPEG, Live Photo, sidecars) have one order each, with the
    same `unit`."""

    group: int
    """Ledger id of the group."""
    unit: str
    """Equal for all files that move together or not at all."""
    file: int
    """Ledger id of the file."""
    root: str
    """Absolute path of the root."""
    src: str
    """Relative to the root."""
    dst: str
    """The wanted path, relative to the root; if it is taken, ' (1)' is added to the name."""
    stat: FileStat
    content: str
    """BLAKE3 as recorded; compared with the bytes again before the move."""
    keeper: str
    """Relative path of the keeper (the keeper unit's photo)."""
    keeper_stat: FileStat
    keeper_content: str
    relation: str
    evidence: str = ""
    """JSON of the evidence, for the receipt."""
    primary: bool = True
    """False for a companion: its keeper is the keeper of its photo, and it is not compared with that."""
    root_id: str = ""
    """UUID of the root's marker; when given, the move is refused where the root has another marker (P9)."""

    def as_move(self, batch: str, at: float) -> Move:
        """Its journal row before anything happened: id 0, state INTENT."""
        return Move(
            id=0, batch=batch, group=self.group, unit=self.unit, file=self.file, root=self.root,
            root_id=self.root_id, src=self.src, dst=self.dst, size=self.stat.size,
            mtime_ns=self.stat.mtime_ns, dev=self.stat.dev, ino=self.stat.ino,
            content=self.content, keeper=self.keeper,
            keeper_content=self.keeper_content, relation=str(self.relation), evidence=self.evidence,
            primary=self.primary, goal=Goal.MOVED, state=MoveState.INTENT, at=at,
        )  # fmt: skip


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
    """One sentence for people: why it is not where it should be."""
    refusal: Refusal | None = None
    """The same reason for decisions of the program."""
    at: float = 0.0
    """When the intent was recorded, seconds since the epoch."""
    undone_to: str = ""
    """Where undo put it (or is putting it): `src`, or a sibling name when that is taken; '' when it was never undone."""
    primary: bool = True
    evidence: str = ""
    root_id: str = ""

    @property
    def held(self) -> bool:
        """True while the file lies in duplicates/, as far as the journal knows."""
        return self.goal is Goal.MOVED and self.state is MoveState.DONE

    def refused(self, why: MoveRefused, state: MoveState | None = None) -> Move:
        """The same row with the reason why it went no further, and with `state`, if given."""
        return replace(self, state=state or self.state, error=str(why), refusal=why.kind)


def destination(path: str, root: str = "") -> str:
    """Where the duplicate at `path` of `root` goes: duplicates/ in the folder that names its month, else in the root.

    '2024/06/trip/a.jpg' -> '2024/06/duplicates/trip/a.jpg'; 'x/c.jpg' -> 'duplicates/x/c.jpg'.
    """
    found = month_folder(path, root)
    if found is None or not found[1]:
        return f"{DUPLICATES}/{path}"
    folder = found[1]
    return f"{folder}/{DUPLICATES}/{path[len(folder) + 1 :]}"


def duplicates_folder(path: str) -> str:
    """The duplicates/ folder that `path` lies below, where its receipts are. ValueError without one."""
    parts = path.split("/")[:-1]
    if DUPLICATES not in parts:
        raise ValueError(f"{path!r} does not lie in a {DUPLICATES} folder")
    return "/".join(parts[: parts.index(DUPLICATES) + 1])


def is_held(path: str) -> bool:
    """True for a path below a duplicates/ folder, in upper or lower case."""
    return any(part.casefold() == DUPLICATES for part in path.split("/")[:-1])


def numbered(path: str, number: int, stem: str = "") -> str:
    """The `number`th sibling name of `path`: 'a.jpg' -> 'a (1).jpg'; 0 is the name itself.

    `stem`: the part of the name that all files of a unit share; the number goes behind it
    ('IMG_1 (1).JPG', 'IMG_1 (1).JPG.xmp'). If the name gets too long for a file system, the end of its stem is cut.
    """
    if number == 0:
        return path
    folder, slash, name = path.rpartition("/")
    if not stem or not name.startswith(stem):
        dot = name.rfind(".")
        stem = name[:dot] if dot > 0 else name
    tail = f" ({number}){name[len(stem) :]}"
    room = NAME_BYTES - len(_bytes(tail))
    return f"{folder}{slash}{_cut(stem, room)}{tail}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _cut(stem: str, room: int) -> str:
    while stem and len(_bytes(stem)) > room:
        stem = stem[:-1]
    return stem
