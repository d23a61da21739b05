"""The answers to requests, where they are not just one view. `Request.result` in requests.py says which request gets which.

Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from msgspec import Struct, field

from dedupd.protocol.views import GroupView, LessonView, MonthView, MoveView


class Confirmed(Struct, kw_only=True):
    """It was done; `message` says so to people."""

    message: str = ""


class Hello(Struct, kw_only=True):
    """Who answers: the protocol it speaks, its version, its process."""

    protocol: int
    version: str
    pid: int


class GroupsPage(Struct, kw_only=True):
    """Some of the groups asked for. `total` counts all; `next_offset` is None on the last page, as in every page."""

    groups: list[GroupView]
    total: int
    next_offset: int | None = None


class MovesPage(Struct, kw_only=True):
    """Some of the moves asked for, newest first."""

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
    """Photos that were to move and did not; the messages say why."""
    messages: list[str] = field(default_factory=list)
    """One sentence each, for people: what was refused and why."""
    moves: list[int] = field(default_factory=list)
    """Ids of the moves this very action made: what Undo puts back. Empty when they are more than MANY_IDS."""
    batches: list[str] = field(default_factory=list)
    """The batches of those moves, in place of more than MANY_IDS ids: what Undo puts back then."""
    lessons: list[int] = field(default_factory=list)
    """Ids of the lessons this very action stored: what ForgetLessons forgets. Empty when they are more than MANY_IDS."""


class Preparation(Struct, kw_only=True):
    """How far long work has come that is done some seconds at a time: another embedder, or thresholds."""

    ready: bool
    """Everything is seen and compared: it can be put in force. Or: the thresholds are found."""
    phase: str = ""
    done: int = 0
    total: int = 0
    thresholds: str = ""
    """What Calibrate found, as JSON."""


class Thumbnails(Struct, kw_only=True):
    """Where the small pictures lie."""

    paths: dict[str, str]
    """file id -> absolute path of a small picture (GetThumbnails says which); files without one are left out, and
    those that one message has no room for."""


class Resolved(Struct, kw_only=True):
    """The ids that stand for a path."""

    files: list[int] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    moves: list[int] = field(default_factory=list)


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
