"""The connection to the daemon: connect, ask, receive notices, reconnect. Posts Textual messages; never
touches a widget.

Must never repeat an acting request by itself: after a lost connection only the state read after the reconnect
shows whether the request was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from textual.message import Message

from dedupd.client.connection import Connection, DaemonRefused, ask_on_own_connection
from dedupd.errors import NoDaemon, ProtocolError
from dedupd.protocol.notices import Notice
from dedupd.protocol.requests import GetThumbnails, Request, Subscribe
from dedupd.protocol.results import Confirmed, Hello, Thumbnails

R = TypeVar("R", bound=msgspec.Struct)

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between attempts to connect: the first wait, doubled after each attempt up to the longest."""


@dataclass
class Connected(Message):
    """A daemon answers, and its notices arrive from now on."""

    hello: Hello


@dataclass
class Disconnected(Message):
    """No daemon answers, or the connection was lost."""

    why: str


@dataclass
class NoticeReceived(Message):
    """The daemon sent a notice."""

    notice: Notice


class DaemonLink:
    """One connection, kept up for as long as `run` runs, and one more for an act under way."""

    def __init__(self, path: Path, post: Callable[[Message], object]) -> None:
        self.path = path
        self._post = post
        self._connection: Connection | None = None
        self._retry_at_once = asyncio.Event()

    async def run(self) -> None:
        """Connect, receive notices, reconnect, again and again; returns only when cancelled."""
        wait = FIRST_WAIT
        while True:
            connection = Connection(self.path, self._receive)
            why = "the daemon closed the connection"
            try:
                hello = await connection.open()
                await connection.ask(Subscribe(), Confirmed)
                self._connection, wait = connection, FIRST_WAIT
                self._post(Connected(hello))
                await connection.closed()
            except (NoDaemon, ProtocolError) as error:
                why = str(error)
            finally:
                self._connection = None
                await connection.close()
            self._post(Disconnected(why))
            wait = FIRST_WAIT if await self._wait(wait) else min(wait * 2, LONGEST_WAIT)

    def retry_now(self) -> None:
        """Connect again without waiting, for example because a daemon was just started."""
        self._retry_at_once.set()

    async def ask(self, request: Request, result: type[R], timeout: float | None = 30.0) -> R:  # noqa: ASYNC109 - passed on
        """Send one request and wait for its answer; timeout in seconds.

        Raises NoDaemon (no connection, or it was lost), DaemonRefused (with the daemon's sentence), ProtocolError.
        """
        if self._connection is None:
            raise NoDaemon("no daemon is connected")
        return await self._connection.ask(request, result, timeout)

    async def act(self, request: Request, result: type[R]) -> R:
        """However long it takes; what is only looked at does not wait for it. Raises as `ask`."""
        if self._connection is None:
            raise NoDaemon("no daemon is connected")
        return await ask_on_own_connection(self.path, request, result)

    async def find_thumbnails(self, files: Sequence[int]) -> dict[int, str]:
        """Paths of the thumbnails of `files`, by file id; empty when no daemon answers."""
        try:
            answer = await self.ask(GetThumbnails(files=list(files)), Thumbnails)
        except (NoDaemon, DaemonRefused, ProtocolError):
            return {}
        return {file: answer.paths[str(file)] for file in files if str(file) in answer.paths}

    def _receive(self, notice: Notice) -> None:
        self._post(NoticeReceived(notice))

    async def _wait(self, seconds: float) -> bool:
        """Wait before the next attempt. True when it was cut short by `retry_now`."""
        try:
            await asyncio.wait_for(self._retry_at_once.wait(), seconds)
        except TimeoutError:
            return False
        self._retry_at_once.clear()
        return True
