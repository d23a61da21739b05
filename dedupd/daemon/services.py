"""What a request may ask of the daemon: the narrow port between handlers.py and life.py, so that neither
imports the other.

Must never hold a value itself.
"""

from __future__ import annotations

from typing import Protocol

from dedupd.config import Places
from dedupd.daemon.config_follower import ConfigFollower
from dedupd.daemon.engine import Engine
from dedupd.daemon.jobs import Jobs
from dedupd.protocol.notices import Notice
from dedupd.protocol.views import StatusView


class Services(Protocol):
    """Implemented by daemon.life.Daemon. Use it on the event loop only."""

    @property
    def places(self) -> Places: ...

    @property
    def config(self) -> ConfigFollower:
        """The settings in force."""
        ...

    @property
    def engine(self) -> Engine:
        """Queue changes of the library here."""
        ...

    @property
    def jobs(self) -> Jobs:
        """The daemon's own work, and its pause."""
        ...

    def attention(self) -> list[str]:
        """Sentences that only the running daemon knows, gravest first."""
        ...

    def complete(self, view: StatusView) -> StatusView:
        """The ledger's status with what only the running daemon knows."""
        ...

    def send_status(self) -> None:
        """Send the status to all subscribers, as soon as it is read."""
        ...

    def send(self, notice: Notice) -> None:
        """Send a notice to all subscribers."""
        ...
