"""The answers to requests, except those that are just one view. `Request.result` in requests.py says which
request has which.

Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from msgspec import Struct, field

from dedupd.protocol.views import GroupView, LessonView, MonthView, MoveView


class Confirmed(Struct, kw_only=True):
    """It was done; `message` says so to a person."""

    message: str = ""


class Hello(Struct, kw_only=True):
    """Who answers: protocol number, version, process id."""

    protocol: int
    version: str
    pid: int


class GroupsPage(Struct, kw_only=True):
    """Some of the requested groups. `total` counts all; `next_offset` is None on the last page, as on every
    page type."""

    groups: list[GroupView]
    total: int
    next_offset: int | None = None


class MovesPage(Struct, kw_only=True):
    """Some of the requested moves, newest first."""

    moves: list[MoveView]
    total: int
    next_offset: int | None = None


class MonthsPage(Struct, kw_only=True):
    """Some of the months, newest first."""

    months: list[MonthView]
    next_offset: int | None = None


class LessonsPage(Struct, kw_only=True):
    """Some of the lessons, oldest first."""

    lessons: list[LessonView]
    next_offset: int | None = None


class Acted(Struct, kw_only=True):
    """What an acting request did."""

    moved: int = 0
    restored: int = 0
    kept: int = 0
    waiting: int = 0
    stayed: int = 0
    """Photos that should have moved and did not; the messages say why."""
    messages: list[str] = field(default_factory=list)
    """Sentences for people: what was refused and why."""
    moves: list[int] = field(default_factory=list)
    """Ids of the moves that this act made: Undo takes them. Empty when there are more than MANY_IDS."""
    batches: list[str] = field(default_factory=list)
    """The batches of those moves, in place of more than MANY_IDS ids: Undo takes them."""
    lessons: list[int] = field(default_factory=list)
    """Ids of the lessons that this act stored: ForgetLessons takes them. Empty when there are more than
    MANY_IDS."""


class Preparation(Struct, kw_only=True):
    """How far long work is that is done some seconds at a time: another embedder, or thresholds."""

    ready: bool
    """The embedder has seen and compared everything and can be switched to; or the thresholds are found."""
    phase: str = ""
    done: int = 0
    total: int = 0
    thresholds: str = ""
    """The thresholds that Calibrate found, as JSON."""


class Thumbnails(Struct, kw_only=True):
    """The paths of the small pictures."""

    paths: dict[str, str]
    """File id -> absolute path of a small picture (GetThumbnails says of which size). Files without one are
    left out, and those that do not fit into the message."""


class Resolved(Struct, kw_only=True):
    """The ids that a path means."""

    files: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)


class Tuned(Struct, kw_only=True):
    """What other settings would change, counted in files. Files that have moved already are not counted."""

    moves_now: int = 0
    moves_then: int = 0
    review_now: int = 0
    review_then: int = 0
    more_moves: int = 0
    """Files that would move and do not now."""
    fewer_moves: int = 0
    """Files that would not move any more."""
    other_keepers: int = 0
    """Files that would move beside another keeper."""
    contradicts: int = 0
    """Files that would stay although a person said that they are duplicates."""
