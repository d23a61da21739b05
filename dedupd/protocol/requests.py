"""Every request that a client may send: one struct each, with the name of its method and the kind of its answer.

JSON-RPC 2.0, one message a line, UTF-8 (ASCII with \\uXXXX escapes; undecodable name bytes travel as
\\udcXX). Unknown fields are ignored, missing ones defaulted, so that versions can meet. Acting requests
name group and move ids, never paths, and carry the version the client saw plus an idempotency key.
To add one: a struct here, listed in REQUESTS, and a method of its name in daemon/reads.py or daemon/acts.py.
Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta, Struct, field

from dedupd.protocol.limits import PROTOCOL
from dedupd.protocol.results import (
    Acted,
    Confirmed,
    GroupsPage,
    Hello,
    LessonsPage,
    MonthsPage,
    MovesPage,
    Preparation,
    Resolved,
    Thumbnails,
    Tuned,
)
from dedupd.protocol.views import GroupDetail, SettingsView, StatusView

Key = Annotated[str, Meta(max_length=200)]
"""Idempotency key of an act: the same key again is answered as the first time. Kept by the daemon, so not for essays."""
Side = Literal[256, 512]
"""Pixels of a small picture's long side."""


class Request(Struct, kw_only=True):
    """Base of all requests. `method` is the name in JSON-RPC, `result` the kind of the answer."""

    method: ClassVar[str]
    result: ClassVar[type[Struct]] = Confirmed


class SayHello(Request, kw_only=True):
    """The first request of a connection: refused when the two ends speak another protocol."""

    method = "hello"
    result = Hello
    protocol: int = PROTOCOL
    client: str = ""


class GetStatus(Request, kw_only=True):
    """How the daemon and its libraries are."""

    method = "status"
    result = StatusView


class GetMonths(Request, kw_only=True):
    """As many as fit into one message, newest first."""

    method = "months"
    result = MonthsPage
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
    """One group with its pictures."""

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
    """Small pictures of these files, made when there are none yet."""

    method = "thumbnails"
    result = Thumbnails
    files: list[int]
    side: Side = 512
    """Pixels of the long side, at most: 512 as JPEG, 256 as WebP."""


class GetLessons(Request, kw_only=True):
    """As many as fit into one message, oldest first."""

    method = "lessons"
    result = LessonsPage
    offset: int = 0


class GetSettings(Request, kw_only=True):
    """The settings that the daemon follows now."""

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
    """Index, cluster and move nothing until Resume. Keepers are looked after all the same."""

    method = "pause"
    seconds: float | None = None
    """After these it goes on by itself, also when it was started anew meanwhile; None: not before Resume."""


class Resume(Request, kw_only=True):
    """End the pause, and look at every root."""

    method = "resume"


class ScanNow(Request, kw_only=True):
    """Reconcile and cluster now, without waiting for quiet."""

    method = "scan-now"


class Scan(Request, kw_only=True):
    """`dedupd scan` beside a daemon: one pass over these roots by the daemon, answered at its end."""

    method = "scan"
    result = Acted
    roots: list[str]
    dry_run: bool = False
    yes: bool = False
    month: str | None = None
    settings: str | None = None
    """Settings.decisive of the client; the daemon refuses another than its own. None: whatever it follows."""


class PrepareModel(Request, kw_only=True):
    """Some seconds of looking at the library with another embedder, beside the one in force: ask again until it is ready."""

    method = "prepare-model"
    result = Preparation
    model: str
    settings: str | None = None
    """As in Scan."""


class SwitchModel(Request, kw_only=True):
    """Put the prepared embedder in force."""

    method = "switch-model"
    result = Confirmed
    model: str


class DropModel(Request, kw_only=True):
    """Forget the embedder in preparation."""

    method = "drop-model"
    result = Confirmed


class Calibrate(Request, kw_only=True):
    """Some seconds of measuring the thresholds of the embedder in force: ask again until it is ready."""

    method = "calibrate"
    result = Preparation


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
    """Yes: what lies in duplicates/ and holds more than its keeper comes back, and its keeper moves in its place."""

    method = "exchange"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    """Of these groups alone; of all when none is named."""
    key: Key = ""


class Reject(Request, kw_only=True):
    """No: the members are not duplicates, which binds for ever, by content. What has moved is put back."""

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


class ForgetLessons(Request, kw_only=True):
    """Forget lessons: `lesson`, and all of `lessons`; their groups are made again once, after the last."""

    method = "forget"
    result = Acted
    lesson: int | None = None
    lessons: list[int] = field(default_factory=list)
    key: Key = ""


REQUESTS: dict[str, type[Request]] = {
    r.method: r
    for r in (
        SayHello, GetStatus, GetMonths, GetGroups, GetGroup, GetMoves, GetThumbnails, GetLessons, GetSettings, Tune,
        Resolve, Subscribe, Pause, Resume, ScanNow, Scan, PrepareModel, SwitchModel, DropModel, Calibrate, Approve, Exchange, Reject, Judge, Undo, ForgetLessons,
    )
}  # fmt: skip
