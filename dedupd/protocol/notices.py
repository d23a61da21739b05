"""Notices: what the daemon sends to its subscribers without being asked, as JSON-RPC notifications, one
struct each.

Sent by daemon/jobs.py and daemon/acts.py through daemon/broadcast.py; received in tui/link/follower.py and
web/daemon_connection.py. Must never import anything heavier than msgspec.
"""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct

from dedupd.protocol.views import ProgressView, StatusView


class Notice(Struct, kw_only=True):
    """Base of all notices; `method` is the name of the JSON-RPC notification."""

    method: ClassVar[str]


class Progressed(Notice, kw_only=True):
    """How far the work is, at most five times a second; None: nothing is being done."""

    method = "progress"
    progress: ProgressView | None = None


class MonthChanged(Notice, kw_only=True):
    """This month has changed: ask for it again."""

    method = "month"
    root: str
    month: str


class StatusChanged(Notice, kw_only=True):
    """The status as it is now."""

    method = "status"
    status: StatusView


class FilesMoved(Notice, kw_only=True):
    """Files moved or came back."""

    method = "moved"
    month: str
    moved: int = 0
    restored: int = 0
    message: str = ""


class Attention(Notice, kw_only=True):
    """One sentence that a person should read."""

    method = "attention"
    message: str


class Resync(Notice, kw_only=True):
    """This client was too slow and missed notices: ask for everything again."""

    method = "resync"


NOTICES = {kind.method: kind for kind in Notice.__subclasses__()}
"""Every notice above, by its method."""
