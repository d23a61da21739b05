"""The line to the daemon: connect, ask, follow, reconnect. Posts Textual messages, touches no widget.

Must never repeat an acting request by itself: when a line breaks, whether it was done shows after the reconnect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
from textual.message import Message

from dedupd.client.connection import Connection
from dedupd.errors import NoDaemon, ProtocolError
from dedupd.protocol.messages import Done, Hello, Notice, Request, Subscribe

R = TypeVar("R", bound=msgspec.Struct)

FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between attempts to connect; doubled after each."""


@dataclass
class LinkUp(Message):
    """A daemon answers and sends its notices: ask for everything."""

    hello: Hello


@dataclass
class LinkDown(Message):
    """Nobody answers, or the one who did went away."""

    why: str


@dataclass
class Noticed(Message):
    """The daemon said something unasked."""

    notice: Notice


class Link:
    """One line, kept up for as long as `run` runs."""

    def __init__(self, path: Path, post: Callable[[Message], object]) -> None:
        self.path = path
        self._post = post
        self._connection: Connection | None = None
        self._hurry = asyncio.Event()

    async def run(self) -> None:
        """Connects, follows, reconnects; returns only when cancelled."""
        wait = FIRST_WAIT
        while True:
            connection = Connection(self.path, self._noticed)
            why = "the daemon closed the connection"
            try:
                hello = await connection.open()
                await connection.ask(Subscribe(), Done)
                self._connection, wait = connection, FIRST_WAIT
                self._post(LinkUp(hello))
                await connection.closed()
            except (NoDaemon, ProtocolError) as error:
                why = str(error)
            finally:
                self._connection = None
                await connection.close()
            self._post(LinkDown(why))
            wait = FIRST_WAIT if await self._rest(wait) else min(wait * 2, LONGEST_WAIT)

    def hurry(self) -> None:
        """Try again now: a daemon was just started."""
        self._hurry.set()

    async def ask(self, request: Request, result: type[R], timeout: float | None = 30.0) -> R:  # noqa: ASYNC109 - passed on
        """Raises NoDaemon (no line, or it broke), Refused (the daemon's sentence), ProtocolError."""
        if self._connection is None:
            raise NoDaemon("no daemon is connected")
        return await self._connection.ask(request, result, timeout)

    def _noticed(self, notice: Notice) -> None:
        self._post(Noticed(notice))

    async def _rest(self, seconds: float) -> bool:
        """True when it was cut short by `hurry`."""
        try:
            await asyncio.wait_for(self._hurry.wait(), seconds)
        except TimeoutError:
            return False
        self._hurry.clear()
        return True
