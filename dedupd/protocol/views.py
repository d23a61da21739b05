"""What clients see: groups, pictures, months, moves, lessons, status. Values that answers and notices carry.

Unknown fields are ignored and missing ones get their default, so that versions can meet: a field may be added, never renamed.
Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from msgspec import Struct, field


class EvidenceView(Struct, kw_only=True):
    """Why one member belongs to its keeper."""

    relation: str
    cosine: float | None = None
    hash_distance: int | None = None
    overlap: float | None = None
    """Share of the member's picture that the keeper shows too, 0-1."""
    residual: float | None = None
    """Worst local difference left after alignment, grey units normalised to std 50."""
    seconds_apart: float | None = None
    confidence: float | None = None
    only_here: list[str] = field(default_factory=list)
    """What the member holds and the keeper lacks, one clause each: 'has the colours'. Hidden when the member moves."""
    only_in_keeper: list[str] = field(default_factory=list)
    """What the keeper holds and the member lacks."""


class GroupView(Struct, kw_only=True):
    """One group: a keeper and what is proven against it. Paths relative to `root`, as before any move."""

    id: int
    root: str
    month: str
    relation: str
    """The weakest relation among its members, so that a reader does not expect too much."""
    state: str
    """'proposed' (would move, waits for a yes) | 'review' | 'settled' (moved) | 'kept' (a person kept all)."""
    keep: str
    duplicates: list[str] = field(default_factory=list)
    """Moved, or would move unattended."""
    review: list[str] = field(default_factory=list)
    """Wait for a person."""
    moved_to: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, EvidenceView] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    """path -> one clause: what the proof rests on, or what keeps it from moving unattended."""
    sizes: dict[str, int] = field(default_factory=dict)
    """path -> bytes, of every file named above."""
    files: dict[str, int] = field(default_factory=dict)
    """path -> file id, of the keeper and every file in `duplicates` and `review`: what pictures are asked for by."""
    reasons: list[str] = field(default_factory=list)
    """Why this keeper."""
    bytes: int = 0
    """Bytes of `duplicates` (moved or to be moved)."""
    review_bytes: int = 0
    """Bytes of `review`."""
    captured: float | None = None
    """The keeper's capture time, camera's clock, seconds since 1970-01-01."""
    version: int = 0
    left_out: int = 0
    """Members that this message has no room for: neither in the lists above nor among the pictures."""


class PhotoView(Struct, kw_only=True):
    """One picture of a group, for comparing."""

    file: int
    path: str
    where: str
    """Absolute path where the file lies now."""
    role: str
    """'keeper' | 'duplicate' | 'review' | 'moved'."""
    size: int
    width: int = 0
    height: int = 0
    format: str = ""
    captured: float | None = None
    """Camera's clock, seconds since 1970-01-01, no zone."""
    camera: str = ""
    software: str = ""
    mtime: float = 0.0
    sharpness: float = 0.0
    jpeg_quality: float | None = None
    metadata_fields: int = 0
    has_gps: bool = False
    companions: list[str] = field(default_factory=list)
    move: int | None = None
    """Id of the move when it lies in duplicates/."""
    holds: list[str] = field(default_factory=list)
    """What it holds besides its first picture's pixels, a word or two each: 'lossless', '2.4 s of film', 'gain map'."""


class GroupDetail(Struct, kw_only=True):
    """A group with its pictures."""

    group: GroupView
    photos: list[PhotoView]
    """Keeper first."""


class MonthView(Struct, kw_only=True):
    """One month of one root."""

    root: str
    month: str
    photos: int = 0
    groups: int = 0
    waiting: int = 0
    """Groups that wait for a person (review, or consent)."""
    moved: int = 0
    bytes_saved: int = 0
    changed: bool = False
    """Waits for the next clustering."""
    guessed: int = 0
    """Photos whose month rests on the file's mtime alone."""


class MoveView(Struct, kw_only=True):
    """One row of the history."""

    id: int
    batch: str
    group: int
    root: str
    src: str
    dst: str
    relation: str
    size: int
    state: str
    """'moved' | 'undone' | 'aborted' | 'attention' | 'unfinished'."""
    at: float
    keeper: str = ""
    error: str = ""
    month: str = ""


class LessonView(Struct, kw_only=True):
    """One lesson: what a person decided about one picture or two."""

    id: int
    kind: str
    """'different' (never duplicates) | 'same' (approved) | 'keep' (restored, never moves)."""
    a: str
    b: str = ""
    paths: list[str] = field(default_factory=list)
    at: float = 0.0
    told: int = 0
    """Other pairs, like this one, that it helped to take out of the way: not proposed, or not moved unasked."""


class RootView(Struct, kw_only=True):
    """One watched root."""

    path: str
    online: bool
    consented: bool
    photos: int = 0
    note: str = ""


class ProgressView(Struct, kw_only=True):
    """What is being done right now."""

    phase: str
    done: int
    total: int
    rate: float = 0.0
    """Items a second."""
    eta: float | None = None
    """Seconds."""


class StatusView(Struct, kw_only=True):
    """What `dedupd status --json` prints."""

    daemon: str
    """'running' | 'starting' | 'stopped'."""
    busy: bool = False
    roots: list[str] = field(default_factory=list)
    photos: int = 0
    months_waiting: int = 0
    groups_waiting: int = 0
    moved: int = 0
    bytes_saved: int = 0
    held_better: int = 0
    """Files in duplicates/ that hold more than their keeper: moved by an older dedupd, and wait for a yes."""
    model: str = ""
    embedding: str = ""
    """Where photos are embedded ('auto, http://192.168.1.9:8766'); '' for here."""
    attention: list[str] = field(default_factory=list)
    paused: bool = False
    paused_until: float | None = None
    """Wall clock at which the pause ends by itself; None: when somebody says so."""
    waits: str = ""
    """What heavy work waits for, one clause ('on battery at 20 %: …'); '' when it may be done."""
    skipped: int = 0
    not_looked_at: str = ""
    """One sentence on folders that belong to other programs, bins and the like; '' without any."""
    undecoded: int = 0
    """Videos, RAW and JPEG XL that stand alone: matched by their bytes, and no `photos`."""
    waiting_to_move: int = 0
    """Files that would move as soon as somebody says yes."""
    bytes_to_move: int = 0
    """Bytes of those files."""
    root_details: list[RootView] = field(default_factory=list)
    progress: ProgressView | None = None
    next_run: float | None = None
    """Wall clock of the next scheduled clustering."""
    last_run: float | None = None
    version: str = ""
    pid: int | None = None


class SettingsView(Struct, kw_only=True):
    """The settings that decide what moves, as the daemon follows them now."""

    tiers: dict[str, str] = field(default_factory=dict)
    """relation -> 'move' | 'review' | 'off'."""
    keep_policy: str = "best"
    threshold: float | None = None
    """Cosine above which pairs go to review."""
    model: str = ""
    quiet_seconds: float = 0.0
    interval_minutes: float = 0.0
    nightly: str = ""
    source: str = ""
    """The config file, absolute; '' when there is none."""
