"""Every request that a client may send: one struct each, with the name of its method and the kind of its answer.

JSON-RPC 2.0, one message a line, UTF-8 (ASCII with \\uXXXX escapes; undecodable name bytes travel as
\\udcXX). Unknown fields are ignored, missing ones defaulted, so that versions can meet. Acting requests
name group and move ids, never paths, and carry the version the client saw plus an idempotency key.
To add one: a struct here, and a method of its name in daemon/reads.py or daemon/acts.py.
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
"""Idempotency key of an act: a request with the same key again gets the first answer. Short, because the
daemon keeps it."""
Side = Literal[256, 512]
"""Pixels of a small picture's long side."""


class Request(Struct, kw_only=True):
    """Base of all requests. `method`: its JSON-RPC name; `result`: the type of its answer."""

    method: ClassVar[str]
    result: ClassVar[type[Struct]] = Confirmed


class SayHello(Request, kw_only=True):
    """The first request of a connection; refused when the two ends have different protocol numbers."""

    method = "hello"
    result = Hello
    protocol: int = PROTOCOL
    client: str = ""


class GetStatus(Request, kw_only=True):
    """The status of the daemon and its libraries."""

    method = "status"
    result = StatusView


class GetMonths(Request, kw_only=True):
    """Months, newest first; as many as fit into one message."""

    method = "months"
    result = MonthsPage
    offset: int = 0


class GetGroups(Request, kw_only=True):
    """Groups by month and state, newest month first, then by id; in pages that fit into one message."""

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
    """Small pictures of these files; they are made when there are none yet."""

    method = "thumbnails"
    result = Thumbnails
    files: list[int]
    side: Side = 512
    """Pixels of the long side, at most: 512 as JPEG, 256 as WebP."""


class GetLessons(Request, kw_only=True):
    """Lessons, oldest first; as many as fit into one message."""

    method = "lessons"
    result = LessonsPage
    offset: int = 0


class GetSettings(Request, kw_only=True):
    """The settings in force."""

    method = "settings"
    result = SettingsView


class Tune(Request, kw_only=True):
    """What these settings would change, computed from existing measurements. Changes nothing."""

    method = "tune"
    result = Tuned
    tiers: dict[Literal["exact", "copy", "burst", "similar"], Literal["move", "review", "off"]] = field(
        default_factory=dict[Any, Any]
    )
    """The relations whose action would change; 'similar' never moves."""
    threshold: float | None = None
    """None: as it is."""
    keep_policy: Literal["best", "oldest", "newest", "largest", "smallest", "lexi"] | None = None


class Resolve(Request, kw_only=True):
    """The ids that a path means (absolute, or relative to a root; before or after a move)."""

    method = "resolve"
    result = Resolved
    path: str


class Subscribe(Request, kw_only=True):
    """From now on, notices are sent on this connection."""

    method = "subscribe"


class Pause(Request, kw_only=True):
    """Index, cluster and move nothing until Resume. Keepers are still checked."""

    method = "pause"
    seconds: float | None = None
    """The pause ends after this time, also when the daemon was restarted meanwhile; None: only at Resume."""


class Resume(Request, kw_only=True):
    """End the pause, and reconcile every root."""

    method = "resume"


class ScanNow(Request, kw_only=True):
    """Reconcile and cluster now, without waiting until changes have stopped."""

    method = "scan-now"


class Scan(Request, kw_only=True):
    """`dedupd scan` beside a daemon: the daemon does one pass over these roots, and answers at its end."""

    method = "scan"
    result = Acted
    roots: list[str]
    dry_run: bool = False
    yes: bool = False
    month: str | None = None
    settings: str | None = None
    """Settings.decisive of the client; the daemon refuses other settings than its own. None: the daemon's
    settings."""


class PrepareModel(Request, kw_only=True):
    """Prepare another embedder beside the one in force, for some seconds: ask again until it is ready."""

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
    """Stop preparing an embedder, and forget it."""

    method = "drop-model"
    result = Confirmed


class Calibrate(Request, kw_only=True):
    """Measure the thresholds of the embedder in force, for some seconds: ask again until it is ready."""

    method = "calibrate"
    result = Preparation


class GroupRef(Struct, kw_only=True):
    """A group, in the version the client saw."""

    id: int
    version: int | None = None
    """None: any version (for scripts); otherwise STALE when the group has changed since."""


class Approve(Request, kw_only=True):
    """A person agrees: the group's duplicates and review members move. `all`: everything proposed (not
    review), and consent for the roots."""

    method = "approve"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    all: bool = False
    key: Key = ""


class Exchange(Request, kw_only=True):
    """A person agrees: files in duplicates/ that hold more than their keeper move back, and the keeper moves
    in their place."""

    method = "exchange"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    """Only these groups; all groups when none is named."""
    key: Key = ""


class Reject(Request, kw_only=True):
    """A person disagrees: the members are not duplicates, which binds for ever, by content. What has moved
    moves back."""

    method = "reject"
    result = Acted
    groups: list[GroupRef] = field(default_factory=list)
    key: Key = ""


class Judge(Request, kw_only=True):
    """A verdict for each picture, as the compare screen sends it."""

    method = "judge"
    result = Acted
    group: GroupRef
    keeper: int | None = None
    """File id of another keeper; None: as proposed. Possible only while nothing of the group has moved."""
    move: list[int] = field(default_factory=list)
    """File ids that are duplicates and move."""
    different: list[int] = field(default_factory=list)
    """File ids that are not duplicates of the keeper, for ever."""
    keep: list[int] = field(default_factory=list)
    """File ids that are duplicates but stay where they are."""
    key: Key = ""


class Undo(Request, kw_only=True):
    """Move files back: those of given moves, given batches, a group, a month, the last batch, or all; or the photos that an
    older dedupd moved though something small was changed in them."""

    method = "undo"
    result = Acted
    moves: list[int] = field(default_factory=list)
    batches: list[str] = field(default_factory=list)
    group: int | None = None
    month: str | None = None
    last: bool = False
    all: bool = False
    held_changed: bool = False
    key: Key = ""


class ForgetLessons(Request, kw_only=True):
    """Forget lessons: `lesson`, and all of `lessons`; their groups are made again once, after the last one."""

    method = "forget"
    result = Acted
    lesson: int | None = None
    lessons: list[int] = field(default_factory=list)
    key: Key = ""


REQUESTS = {kind.method: kind for kind in Request.__subclasses__()}
"""Every request above, by its method."""
