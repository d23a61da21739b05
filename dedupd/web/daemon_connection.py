"""The connection to the daemon: one for all browsers, reconnected when lost; its notices are passed on to
listeners. One more for each act under way.

Must never repeat an act by itself: after a lost connection, sending the same key again shows whether it was
done.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import msgspec

from dedupd.client.connection import Connection, ask_on_own_connection
from dedupd.errors import DedupdError, NoDaemon
from dedupd.protocol.notices import Notice, Resync
from dedupd.protocol.requests import Request, Subscribe
from dedupd.protocol.results import Confirmed

R = TypeVar("R", bound=msgspec.Struct)
FIRST_WAIT, LONGEST_WAIT = 0.2, 5.0
"""Seconds between attempts to connect: the first wait, doubled after each attempt up to the longest."""
BEHIND = 100
"""Notices that may wait for a listener; after that it is told to ask for everything again."""


class ConnectionChanged(Notice, kw_only=True):
    """Sent by this server, not by the daemon: whether a daemon answers."""

    method = "line"
    daemon: str
    """'running' | 'stopped'."""
    why: str = ""


ACTS = 8
"""Under way at once: the daemon takes 32 connections of all its clients."""

Listener = asyncio.Queue[Notice]


class DaemonConnection:
    """Use: `async with asyncio.TaskGroup()` or a task for `run`; `ask` at any time."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._acting = asyncio.Semaphore(ACTS)
        self._wait = FIRST_WAIT
        self._listeners: set[Listener] = set()

    async def run(self) -> None:
        """Connect, follow, reconnect, again and again; returns only when cancelled."""
        try:
            while True:
                try:
                    connection = await self._up()
                    self._wait = FIRST_WAIT
                    await connection.closed()
                    self._drop(connection)
                    self._tell(ConnectionChanged(daemon="stopped", why="the daemon went away"))
                except DedupdError as error:
                    self._tell(ConnectionChanged(daemon="stopped", why=str(error)))
                await asyncio.sleep(self._wait)
                self._wait = min(self._wait * 2, LONGEST_WAIT)
        finally:
            if self._connection is not None:
                await self._connection.close()

    def retry_often(self) -> None:
        """Try to connect often for a while, because a daemon is being started."""
        self._wait = FIRST_WAIT

    async def ask(self, request: Request, result: type[R], timeout: float | None = 30.0) -> R:  # noqa: ASYNC109 - passed on
        """Raises NoDaemon (nobody answers, or the connection was lost), DaemonRefused (with the daemon's
        sentence), ProtocolError."""
        connection = self._connection or await self._up()
        try:
            return await connection.ask(request, result, timeout)
        except NoDaemon:
            self._drop(connection)  # not asked again: perhaps it was done
            await connection.close()
            raise

    async def act(self, request: Request, result: type[R]) -> R:
        """However long it takes; whoever only looks does not wait for it. Raises as `ask`."""
        async with self._acting:
            return await ask_on_own_connection(self._socket, request, result)

    def _drop(self, connection: Connection) -> None:
        """Drop this connection, unless another has replaced it already."""
        if self._connection is connection:
            self._connection = None

    async def _up(self) -> Connection:
        async with self._connecting:
            if self._connection is None:
                connection = Connection(self._socket, self._tell)
                try:
                    await connection.open()
                    await connection.ask(Subscribe(), Confirmed)
                except BaseException:
                    await connection.close()
                    raise
                self._connection = connection
                self._tell(ConnectionChanged(daemon="running"))
            return self._connection

    @property
    def up(self) -> bool:
        return self._connection is not None

    @property
    def listeners(self) -> int:
        return len(self._listeners)

    @contextlib.contextmanager
    def listen(self) -> Generator[Listener]:
        """The notices from now on; first, whether a daemon answers."""
        listener = Listener(BEHIND)
        listener.put_nowait(ConnectionChanged(daemon="stopped" if self._connection is None else "running"))
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def _tell(self, notice: Notice) -> None:
        for listener in self._listeners:
            if listener.full():
                while not listener.empty():
                    listener.get_nowait()
                listener.put_nowait(Resync())
            else:
                listener.put_nowait(notice)
