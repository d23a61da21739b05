"""Notifications to systemd (sd_notify): the daemon is ready, its status, that it makes progress, that it
stops.

Must never fail the daemon: a missing service manager is no error. The caller of `alive` decides what the
watchdog checks: call it from the work that must make progress.
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The connection to the service manager; does nothing without an address."""

    address: str = ""
    """Address of a datagram socket: a path, or an abstract name that begins with '@'."""
    interval: float | None = None
    """Seconds between two calls of `alive`, half of what the watchdog allows; None: there is no watchdog."""

    @classmethod
    def from_environment(
        cls, env: MutableMapping[str, str] | None = None, pid: int | None = None
    ) -> Heartbeat:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and removes them, so that no child process
        notifies in our name."""
        env = os.environ if env is None else env
        address, usec, watched = (
            env.pop(f"{name}", "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        if not address.startswith(("/", "@")):
            return cls()
        ours = not watched or watched == str(os.getpid() if pid is None else pid)
        limit = int(usec) / 1e6 if usec.isdecimal() and ours else 0.0
        return cls(address=address, interval=limit / 2 if limit else None)

    def ready(self) -> None:
        """The socket answers: units that wait for this one may start."""
        self._tell("READY=1")

    def status(self, sentence: str) -> None:
        """The line that `systemctl status` shows."""
        self._tell(f"STATUS={' '.join(sentence.split())}")

    def alive(self) -> None:
        """The work makes progress; call it every `interval` seconds."""
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The daemon has begun to stop."""
        self._tell("STOPPING=1")

    def _tell(self, message: str) -> None:
        if not self.address:
            return
        name = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
                # A full queue must not block the event loop.
                line.setblocking(False)
                line.sendto(message.encode(errors="replace"), os.fsencode(name))
        except OSError:
            return
