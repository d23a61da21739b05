"""The rows of the ledger as values. Must never know how they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from dedupd.core.photo import Evidence, FileStat, Measures, Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class RootRow:
    """One watched folder."""

    id: int
    path: str
    uuid: str = ""
    dev: int | None = None
    online: bool = True
    note: str = ""
    consented_at: float | None = None
    """When somebody said yes to the first moves (P12)."""
    backlog_done_at: float | None = None
    """When the first moves were through: from then on the mass-action breaker counts."""
    breaker_ok_at: float | None = None
    """Moves since then are counted against the breaker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRow:
    """One file under a root; its path is where it lies now (in duplicates/ when held)."""

    id: int
    root: int
    path: str
    stat: FileStat
    content: str | None
    month: str
    month_source: str
    state: str
    reason: str
    absent_since: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRow:
    """Two contents that were compared, and all that was measured; a < b. The measures are the same for all models."""

    a: str
    b: str
    model: str
    """Whose cosine proposed them; '' = hashes alone."""
    cosine: float | None
    hash_distance: int
    measures: Measures | None
    """None: not aligned, because small pictures show that neither is in the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One file of a group beside its keeper."""

    file: int
    role: str
    """'duplicate' | 'review' | 'stays' (a person kept it) | 'moved'."""
    relation: Relation
    evidence: Evidence
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """A star: one keeper and its members."""

    id: int
    root: int
    keeper: int
    month: str
    reasons: tuple[str, ...]
    version: int
    updated: float
    members: tuple[MemberRow, ...] = ()


class ProposedRow(NamedTuple):
    """What would move of a group unattended, without what speaks for it: a first yes is for a hundred thousand files at
    once."""

    group: int
    keeper: int
    files: tuple[int, ...]


class GroupOutline(NamedTuple):
    """A group as a list of thousands needs it: without its members. A tuple, as ten thousand of them make one page."""

    id: int
    root: int
    keeper: str
    """Its path."""
    month: str
    version: int
    relation: str
    state: str
    """Both as views call them: of the weakest member, of the one that waits most."""
    bytes: int
    """Of what moved or would move unattended."""
    review_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldGroupRow:
    """A group that holds copies, and what the ledger knows of its keeper."""

    group: int
    path: str | None
    """Where the keeper lies; None when it is not in the library any more."""
    changed: bool
    """True: its bytes are not those that its copies moved beside."""
    unread: bool
    """True: its bytes are not known at this moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredRow:
    """A photo of which only the nearest relatives were compared with a place: `root:month`, or '' for the whole library."""

    content: str
    place: str
    rules: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRow:
    """A file that was to move beside this keeper and could not."""

    file: int
    keeper: int
    path: str
    kind: str
    """An errors.Refusal, perhaps one of a newer dedupd."""
    lasting: bool
    """True: it does not go away by waiting; a person, or another file or keeper, must change something."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarRow:
    """The XMP sidecar beside a keeper, with what its copies know."""

    group: int
    root: int
    state: str
    """'owed': to be worked out anew | 'writing' | 'removing': begun and not ended | 'settled'."""
    path: str = ""
    """Where the sidecar is, or is about to be; '' without one."""
    text: str = ""
    """Every byte of it."""
    told: tuple[str, ...] = ()
    """What the copies know and could not be written, and why, for the summary."""
    conflicts: tuple[str, ...] = ()
    """What was left out because the copies disagree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictRow:
    """What a person decided, by content."""

    id: int
    kind: str
    """'different' | 'same' | 'keep'."""
    a: str
    b: str
    paths: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthRow:
    """One month of one root and whether it waits for clustering."""

    root: int
    month: str
    waiting: bool
    clustered_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPair:
    """A held copy and its keeper, where they lie now, and what their move rested on."""

    move: int
    root: str
    """Absolute."""
    held: str
    content: str
    keeper: str
    keeper_content: str
    relation: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBetter:
    """A file in duplicates/ that holds something its keeper lacks: moved by a dedupd that knew less."""

    group: int
    root: str
    file: int
    src: str
    """Where it lay before."""
    held: str
    keeper: str
    only_here: tuple[str, ...]
    only_in_keeper: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldChange:
    """A shot in duplicates/ that would not move today: something was changed between it and the photo that stayed."""

    move: int
    group: int
    root: str
    file: int
    src: str
    """Where it lay before."""
    held: str
    keeper: str
    why: str
    """One clause: 'something small was changed in its place'."""
