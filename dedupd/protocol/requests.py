"""Every message between daemon and clients: requests, results, notices, errors, once.

JSON-RPC 2.0, one message a line, UTF-8 (ASCII with \\uXXXX escapes; undecodable name bytes travel as
\\udcXX). Unknown fields are ignored, missing ones defaulted, so that versions can meet. Acting requests
name group and move ids, never paths, and carry the version the client saw plus an idempotency key.
Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

PROTOCOL = 2
"""One number; `hello` refuses another. Raised when a request changes its meaning: unknown fields are ignored, and half of an
act must never be done."""
MAX_LINE = 1 << 20
"""Bytes in one message, both directions; what grows with a library is paged or cut to stay below it, and says so."""
MANY_IDS = 20_000
"""Ids in one message."""
MAX_CLIENTS = 32

# JSON-RPC's own codes, then ours.
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_ERROR = (
    -32700,
    -32600,
    -32601,
    -32602,
    -32603,
)
REFUSED, STALE, NOT_FOUND = -32000, -32001, -32002
"""REFUSED: a sentence says why. STALE: the group changed since the client saw it. NOT_FOUND: no such id."""


Key = Annotated[str, Meta(max_length=200)]
"""Idempotency key of an act: the same key again is answered as the first time. Kept by the daemon, so not for essays."""


# ---- views: what a client sees -------------------------------------------------------------------


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
    """What the member holds and the keeper lacks, one clause each: 'has the colours'. Lost from sight when it moves."""
    only_in_keeper: list[str] = field(default_factory=list)
    """What the keeper holds and the member lacks."""


class GroupView(Struct, kw_only=True):
    """One group: a keeper and what is proven against it. Paths relative to `root`, as before any move."""

    id: int
    root: str
    month: str
    relation: str
    """The weakest relation among its members, so that a reader expects the right thing."""
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
    """One verdict of a person."""

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
    """`dedupd status --json`."""

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
    attention: list[str] = field(default_factory=list)
    paused: bool = False
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


class GroupsPage(Struct, kw_only=True):
    groups: list[GroupView]
    total: int
    next_offset: int | None = None


class MovesPage(Struct, kw_only=True):
    moves: list[MoveView]
    total: int
    next_offset: int | None = None


class Acted(Struct, kw_only=True):
    """What an acting request did."""

    moved: int = 0
    restored: int = 0
    kept: int = 0
    waiting: int = 0
    stayed: int = 0
    """Photos that were to move and did not; the messages say why."""
    messages: list[str] = field(default_factory=list)
    """One sentence each, for people: what was refused and why."""
    moves: list[int] = field(default_factory=list)
    """Ids of the moves this very action made: what Undo takes back. Empty when they are more than MANY_IDS."""
    batches: list[str] = field(default_factory=list)
    """The batches of those moves, in place of more than MANY_IDS ids: what Undo takes back then."""
    lessons: list[int] = field(default_factory=list)
    """Ids of the verdicts this very action stored: what Forget takes back. Empty when they are more than MANY_IDS."""


class Prepared(Struct, kw_only=True):
    """How far another embedder has come in the shadow of the one in force."""

    ready: bool
    """Everything is seen and compared: it can be put in force. Or: the thresholds are found."""
    phase: str = ""
    done: int = 0
    total: int = 0
    thresholds: str = ""
    """What Calibrate found, as JSON."""


class Hello(Struct, kw_only=True):
    protocol: int
    version: str
    pid: int


Side = Literal[256, 512]


class Thumbnails(Struct, kw_only=True):
    paths: dict[str, str]
    """file id -> absolute path of a small picture (GetThumbnails says which); files without one are left out, and
    those that one message has no room for."""


class Resolved(Struct, kw_only=True):
    """What a path means to the daemon."""

    files: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)


class Lessons(Struct, kw_only=True):
    lessons: list[LessonView]
    next_offset: int | None = None


class Months(Struct, kw_only=True):
    months: list[MonthView]
    next_offset: int | None = None


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


class Tuned(Struct, kw_only=True):
    """What other settings would change, counted in files; those that moved already are settled."""

    moves_now: int = 0
    moves_then: int = 0
    review_now: int = 0
    review_then: int = 0
    more_moves: int = 0
    """Would move, and do not now."""
    fewer_moves: int = 0
    """Would not move any more."""
    other_keepers: int = 0
    """Would move beside another keeper."""
    contradicts: int = 0
    """Would stay although a person said that they are duplicates."""


class Done(Struct, kw_only=True):
    message: str = ""


# ---- requests ------------------------------------------------------------------------------------


class Request(Struct, kw_only=True):
    """Base of all requests; `method` is the JSON-RPC method name."""

    method: ClassVar[str]
    result: ClassVar[type[Struct]] = Done


class SayHello(Request, kw_only=True):
    method = "hello"
    result = Hello
    protocol: int = PROTOCOL
    client: str = ""


class GetStatus(Request, kw_only=True):
    method = "status"
    result = StatusView


class GetMonths(Request, kw_only=True):
    """As many as fit into one message, newest first."""

    method = "months"
    result = Months
    offset: int = 0


class GetGroups(Request, kw_only=True):
    """Groups by month and state, newest month first, then id; paged below the line cap."""

    method = "groups"
    result = GroupsPage
    month: str | None = None
    root: str | None = None
    relation: str | None = None
    state: str | None = None
    offset: int = 0
    limit: int = 200


class GetGroup(Request, kw_only=True):
    method = "group"
    result = GroupDetail
    id: int


class GetMoves(Request, kw_only=True):
    """History, newest first."""

    method = "moves"
    result = MovesPage
    month: str | None = None
    group: int | None = None
    offset: int = 0
    limit: int = 200


class GetThumbnails(Request, kw_only=True):
    method = "thumbnails"
    result = Thumbnails
    files: list[int]
    side: Side = 512
    """Pixels of the long side, at most: 512 as JPEG, 256 as WebP."""


class GetLessons(Request, kw_only=True):
    """As many as fit into one message, oldest first."""

    method = "lessons"
    result = Lessons
    offset: int = 0


class GetSettings(Request, kw_only=True):
    method = "settings"
    result = SettingsView


class Tune(Request, kw_only=True):
    """What these settings would change, from what was measured already. Changes nothing."""

    method = "tune"
    result = Tuned
    tiers: dict[Literal["exact", "copy", "burst", "similar"], Literal["move", "review", "off"]] = field(
        default_factory=dict[Any, Any]
    )
    """Those that would be other; 'similar' never moves."""
    threshold: float | None = None
    """None: as it is."""
    keep_policy: Literal["best", "oldest", "newest", "largest", "smallest", "lexi"] | None = None


class Resolve(Request, kw_only=True):
    """Ids for a path (absolute, or relative to a root; before or after a move)."""

    method = "resolve"
    result = Resolved
    path: str


class Subscribe(Request, kw_only=True):
    """From now on notices arrive on this connection."""

    method = "subscribe"


class Pause(Request, kw_only=True):
    method = "pause"


class Resume(Request, kw_only=True):
    method = "resume"


class ScanNow(Request, kw_only=True):
    """Reconcile and cluster now, without waiting for quiet."""

    method = "scan-now"


class Scan(Request, kw_only=True):
    """`dedupd scan` beside a daemon: one pass over these roots by the daemon, answered when it is through."""

    method = "scan"
    result = Acted
    roots: list[str]
    dry_run: bool = False
    yes: bool = False
    month: str | None = None
    settings: str | None = None
    """Settings.decisive of the client; the daemon refuses another than its own. None: whatever it follows."""


class PrepareModel(Request, kw_only=True):
    """Some seconds of looking at the library with another embedder, in the shadow: ask again until it is ready."""

    method = "prepare-model"
    result = Prepared
    model: str
    settings: str | None = None
    """As in Scan."""


class SwitchModel(Request, kw_only=True):
    """Put the prepared embedder in force."""

    method = "switch-model"
    result = Done
    model: str


class DropModel(Request, kw_only=True):
    """Forget the embedder in preparation."""

    method = "drop-model"
    result = Done


class Calibrate(Request, kw_only=True):
    """Some seconds of measuring the thresholds of the embedder in force: ask again until it is ready."""

    method = "calibrate"
    result = Prepared


class GroupRef(Struct, kw_only=True):
    """A group as the client saw it."""

    id: int
    version: int | None = None
    """None: whatever it is now (for scripts); else STALE when it has changed since."""


class Approve(Request, kw_only=True):
    """Yes: the group's duplicates and review members move. `all`: everything proposed (not review), and the roots' consent."""

    method = "approve"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    all: bool = False
    key: Key = ""


class Exchange(Request, kw_only=True):
    """Yes: what lies in duplicates/ and holds more than its keeper comes back, and the lesser one moves aside."""

    method = "exchange"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    """Of these groups alone; of all when none is named."""
    key: Key = ""


class Reject(Request, kw_only=True):
    """Not duplicates: bound for ever, by content. Moved members are put back."""

    method = "reject"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    key: Key = ""


class Judge(Request, kw_only=True):
    """A verdict picture by picture: what the compare screen sends."""

    method = "judge"
    result = Acted
    group: GroupRef
    keeper: int | None = None
    """File id of another keeper; None: as proposed. Only while nothing of the group has moved."""
    move: list[int] = field(default_factory=list)
    """File ids that are duplicates and move."""
    different: list[int] = field(default_factory=list)
    """File ids that are not duplicates of the keeper, for ever."""
    keep: list[int] = field(default_factory=list)
    """File ids that are duplicates but stay where they are."""
    key: Key = ""


class Undo(Request, kw_only=True):
    """Put files back: given moves, those of given batches, a group's, a month's, the last batch, or everything."""

    method = "undo"
    result = Acted
    moves: list[int] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    group: int | None = None
    month: str | None = None
    last: bool = False
    all: bool = False
    key: Key = ""


class Forget(Request, kw_only=True):
    """Take verdicts back: `lesson`, and all of `lessons`; grouped again once, after the last."""

    method = "forget"
    result = Acted
    lesson: int | None = None
    lessons: list[int] = field(default_factory=list)
    key: Key = ""


REQUESTS: dict[str, type[Request]] = {
    r.method: r
    for r in (
        SayHello, GetStatus, GetMonths, GetGroups, GetGroup, GetMoves, GetThumbnails, GetLessons, GetSettings, Tune,
        Resolve, Subscribe, Pause, Resume, ScanNow, Scan, PrepareModel, SwitchModel, DropModel, Calibrate, Approve, Exchange, Reject, Judge, Undo, Forget,
    )
}  # fmt: skip


# ---- notices -------------------------------------------------------------------------------------


class Notice(Struct, kw_only=True):
    """Base of what a subscriber is sent; `method` is the JSON-RPC notification name."""

    method: ClassVar[str]


class Progressed(Notice, kw_only=True):
    """At most five a second; None: nothing is being done."""

    method = "progress"
    progress: ProgressView | None = None


class MonthChanged(Notice, kw_only=True):
    """Ask for this month again."""

    method = "month"
    root: str
    month: str


class StatusChanged(Notice, kw_only=True):
    method = "status"
    status: StatusView


class Moved(Notice, kw_only=True):
    """Files moved or came back."""

    method = "moved"
    month: str
    moved: int = 0
    restored: int = 0
    message: str = ""


class Attention(Notice, kw_only=True):
    """One sentence a person should read."""

    method = "attention"
    message: str


class Resync(Notice, kw_only=True):
    """This client was too slow and missed notices: ask for everything again."""

    method = "resync"


NOTICES: dict[str, type[Notice]] = {
    n.method: n for n in (Progressed, MonthChanged, StatusChanged, Moved, Attention, Resync)
}


class Failure(Struct, kw_only=True):
    """The `error` of a response."""

    code: int
    message: str
    data: Any = None
    """The exit code of what was tried and failed; None for a plain no."""
