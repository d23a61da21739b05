"""The values that answers and notices carry: groups, pictures, months, moves, lessons, status.

Unknown fields are ignored and missing ones get their default, so that versions can talk to each other: a
field may be added, never renamed. Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from msgspec import Struct, field


class EvidenceView(Struct, kw_only=True):
    """Why one member belongs to its keeper."""

    relation: str
    cosine: float | None = None
    hash_distance: int | None = None
    overlap: float | None = None
    """Share of the member's picture that the keeper shows too, 0 to 1."""
    residual: float | None = None
    """Worst local difference left after alignment, grey units normalised to std 50."""
    seconds_apart: float | None = None
    confidence: float | None = None
    only_here: list[str] = field(default_factory=list)
    """What the member holds and the keeper lacks, one clause each: 'has the colours'. It is hidden when the
    member moves."""
    only_in_keeper: list[str] = field(default_factory=list)
    """What the keeper holds and the member lacks."""

    @property
    def confidence_told(self) -> float | None:
        """What people are told: nothing of look-alikes that were never laid over each other, of which only the vectors say
        something."""
        return None if self.relation == "similar" and self.overlap is None else self.confidence


class GroupView(Struct, kw_only=True):
    """One group: a keeper and the members proven against it. Paths are relative to `root`, as before any
    move."""

    id: int
    root: str
    month: str
    relation: str
    """The weakest relation among its members."""
    state: str
    """'proposed' (would move, waits for a yes) | 'review' | 'settled' (moved) | 'kept' (a person kept all)."""
    keep: str
    duplicates: list[str] = field(default_factory=list)
    """Members that moved, or would move without a person."""
    review: list[str] = field(default_factory=list)
    """Members that wait for a person."""
    moved_to: dict[str, str] = field(default_factory=dict)
    evidence: dict[str, EvidenceView] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    """Path -> one clause: what the proof rests on, or why it does not move without a person."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Path -> bytes, for every file named above."""
    files: dict[str, int] = field(default_factory=dict)
    """Path -> file id, for the keeper and every file in `duplicates` and `review`; pictures are requested by
    this id."""
    reasons: list[str] = field(default_factory=list)
    """Why this photo is the keeper."""
    bytes: int = 0
    """Bytes of `duplicates` (moved or to be moved)."""
    review_bytes: int = 0
    """Bytes of `review`."""
    captured: float | None = None
    """The keeper's capture time by the camera's clock, seconds since 1970-01-01."""
    version: int = 0
    left_out: int = 0
    """Members that do not fit into this message: neither in the lists above nor among the pictures."""


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
    """What the file holds besides the pixels of its first picture, a word or two each: 'lossless', '2.4 s of
    film', 'gain map'."""


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
    """Whether it waits for the next clustering."""
    guessed: int = 0
    """Photos whose month rests only on the file's modification time."""


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
    """Other pairs, similar to this one, that are no longer proposed or no longer move without a person,
    because of this lesson."""


class RootView(Struct, kw_only=True):
    """One watched root."""

    path: str
    online: bool
    consented: bool
    photos: int = 0
    months_waiting: int = 0
    note: str = ""


class ProgressView(Struct, kw_only=True):
    """What is being done now."""

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
    """Whether anything is done, or about to be, of which somebody waits for the end."""
    roots: list[str] = field(default_factory=list)
    photos: int = 0
    months_waiting: int = 0
    groups_waiting: int = 0
    moved: int = 0
    bytes_saved: int = 0
    held_better: int = 0
    """Files in duplicates/ that hold more than their keeper: moved by an older dedupd; they wait for a
    person."""
    held_changed: int = 0
    """Photos in duplicates/ that would stay today, as something small was changed between them and their keeper: moved by
    an older dedupd; they wait for a person."""
    model: str = ""
    embedding: str = ""
    """Where photos are embedded ('auto, http://192.168.1.9:8766'); '' for this machine."""
    look_alikes_left: int = 0
    """Photos of large families of look-alikes of which only the nearest were compared yet; the daemon is not `busy` with
    the others."""
    works_off_look_alikes: bool = False
    """Whether that is what the daemon does now: not where all that are left could not be read, or are away."""
    attention: list[str] = field(default_factory=list)
    paused: bool = False
    paused_until: float | None = None
    """Wall clock at which the pause ends by itself; None: only when somebody resumes."""
    waits: str = ""
    """Why heavy work waits, one clause ('on battery at 20 %: …'); '' when it may run."""
    skipped: int = 0
    not_looked_at: str = ""
    """One sentence on skipped folders: other programs', bins and the like; '' when there are none."""
    undecoded: int = 0
    """Videos, RAW and JPEG XL that no decoder reads: matched by their bytes only, and not counted in
    `photos`."""
    waiting_to_move: int = 0
    """Files that would move as soon as a person agrees."""
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
    """The settings that decide what moves, as they are in force."""

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
