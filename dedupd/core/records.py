"""What the ledger remembers, as values. Must never know how it is stored."""

from __future__ import annotations

from dataclasses import dataclass

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
    """None: one of the two could not be read when the pair was to be aligned."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRow:
    """A group that holds copies, and what the ledger knows of its keeper."""

    group: int
    path: str | None
    """Where the keeper lies; None when it is none of the library any more."""
    changed: bool
    """Its bytes are others than those its copies moved beside."""
    unread: bool
    """Its bytes are not known at this moment."""


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
    """No waiting mends it: it waits for a person, or for another file or keeper in its place."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarRow:
    """What of a group's knowledge stands beside its keeper."""

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
    changed_at: float | None
    clustered_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPair:
    """A held copy and its keeper, where they lie now."""

    root: str
    """Absolute."""
    held: str
    content: str
    keeper: str
    keeper_content: str
    relation: str


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
