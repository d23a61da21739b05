"""Sends notices to subscribers. A newer notice of the same thing replaces an older one; a client that is too
slow is told to ask again.

Must never wait for a client, and never collect without limit for one that does not read: its connection is
closed.
"""

from __future__ import annotations

import asyncio
import logging

from dedupd.protocol.codec import TooLong, encode_notice
from dedupd.protocol.notices import MonthChanged, Notice, Progressed, Resync, StatusChanged

log = logging.getLogger("dedupd.server")
BACKLOG = 256
"""Notices kept for one client, at most."""


class Subscriber:
    """One client's queue; `pump` writes it out as fast as the client reads."""

    def __init__(self, writer: asyncio.StreamWriter, patience: float) -> None:
        """patience: seconds for which a client may read nothing."""
        self._writer, self._patience = writer, patience
        self._waiting: dict[object, Notice] = {}
        self._ready = asyncio.Event()

    def offer(self, notice: Notice) -> None:
        """Queue a notice. A newer state of the same thing replaces the older one; an overflow becomes one
        Resync."""
        key = _key(notice)
        if key not in self._waiting and len(self._waiting) >= BACKLOG:
            self._waiting = {Resync: Resync()}
        else:
            self._waiting[key] = notice
        self._ready.set()

    async def pump(self) -> None:
        """Write notices until the client is gone, or has read nothing for so long that its connection is
        closed."""
        try:
            while True:
                await self._ready.wait()
                self._ready.clear()
                waiting, self._waiting = self._waiting, {}
                for notice in waiting.values():
                    self._writer.write(_line(notice))
                    async with asyncio.timeout(self._patience):
                        await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
        except OSError:
            pass  # it left; its reading side ends it


class Broadcast:
    """All subscribers."""

    def __init__(self) -> None:
        self._subscribers: set[Subscriber] = set()

    def add(self, subscriber: Subscriber) -> None:
        self._subscribers.add(subscriber)

    def remove(self, subscriber: Subscriber) -> None:
        self._subscribers.discard(subscriber)

    def send(self, notice: Notice) -> None:
        for subscriber in self._subscribers:
            subscriber.offer(notice)


def _line(notice: Notice) -> bytes:
    """The notice as a line; b'' when it is too long for a message, because the client would close the
    connection over it."""
    try:
        return encode_notice(notice)
    except TooLong as error:
        log.warning("subscribers are not told of %r: %s", notice.method, error)
        return b""


def _key(notice: Notice) -> object:
    if isinstance(notice, Progressed | StatusChanged | Resync):
        return type(notice)
    if isinstance(notice, MonthChanged):
        return (MonthChanged, notice.root, notice.month)
    return object()
