"""Connect, ask, subscribe. Owns the client's end of the socket; must never retry an acting request by itself.

`Connection` is for asyncio (the TUI), `ask` for a script or command that wants one answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import itertools
import socket
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dedupd.errors import DedupdError, ExitCode, NoDaemon, ProtocolError
from dedupd.protocol.codec import encode_request, notice_of, parse, shape
from dedupd.protocol.failure import Failure
from dedupd.protocol.limits import MAX_LINE, PROTOCOL
from dedupd.protocol.notices import Notice
from dedupd.protocol.requests import Request, SayHello
from dedupd.protocol.results import Hello

R = TypeVar("R", bound=msgspec.Struct)


OTHER_VERSION = (
    "a daemon of another version of dedupd is running: restart it, with `systemctl --user restart dedupd`, "
    "or end it and `dedupd run` again"
)


class DaemonRefused(DedupdError):
    """The daemon refused the request, or tried and failed; the message is its sentence."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.code = failure.code
        self.tried = isinstance(failure.data, int)
        """Whether it was no refusal: the work itself was tried and failed."""
        if isinstance(failure.data, int):
            self.exit_code = ExitCode(failure.data)


def ask(path: Path, request: Request, result: type[R], timeout: float | None = 30.0) -> R:
    """One request, one answer, over a fresh connection. timeout in seconds; None waits as long as it takes.

    Raises NoDaemon when nobody listens, DaemonRefused when the daemon says no, ProtocolError on nonsense.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        try:
            link.connect(str(path))
            with link.makefile("rb") as lines:
                with contextlib.suppress(BrokenPipeError):  # turned away already: it said why
                    link.sendall(encode_request(0, SayHello(client="ask")))
                _hello(_line(lines, 0))
                # Not before the hello is answered: a daemon of another version might do half of what is
                # meant.
                link.sendall(encode_request(1, request))
                return _answer(_line(lines, 1), result)
        except TimeoutError:
            raise NoDaemon(f"the daemon at {path} did not answer within {timeout:g} seconds") from None
        except (OSError, EOFError) as error:
            raise NoDaemon(f"no daemon answers at {path} ({error}); start one with `dedupd run`") from None


def _line(lines: Any, id: int) -> dict[str, Any]:
    while line := lines.readline(MAX_LINE + 1):
        message = parse(line)
        if message.get("id") in (id, None) and "method" not in message:
            return message
    raise EOFError("it closed the connection")


def _answer(message: dict[str, Any], kind: type[R]) -> R:
    if "error" in message:
        raise DaemonRefused(shape(message["error"], Failure))
    return shape(message.get("result"), kind)


def _hello(message: dict[str, Any]) -> Hello:
    """Say hello. Raises ProtocolError when the daemon is of another version, or closed the connection without
    an answer."""
    try:
        hello = _answer(message, Hello)
    except DaemonRefused as refused:
        unheard = message.get("id") is None
        raise ProtocolError(str(refused) if unheard else f"{OTHER_VERSION} ({refused})") from None
    if hello.protocol != PROTOCOL:
        raise ProtocolError(OTHER_VERSION)
    return hello


def _ignored(notice: Notice) -> None:
    """For a client that wants no notices."""


@contextlib.contextmanager
def _deadline(
    answer: asyncio.Future[Any], timeout: float | None, loop: asyncio.AbstractEventLoop
) -> Generator[None]:
    """Set a TimeoutError in `answer` after `timeout` seconds.

    Like asyncio.wait_for, but without its context: the loop keeps a cancelled timer until its time has come,
    and with the timer's context everything that asked, for example a closed screen with all its widgets.
    """
    if timeout is None:
        yield
        return
    timer = loop.call_later(timeout, _expire, answer, context=contextvars.Context())
    try:
        yield
    finally:
        timer.cancel()


def _expire(answer: asyncio.Future[Any]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


class Connection:
    """One open connection for asyncio clients: many requests, and notices to a callback.

    Use: `await c.open()`, then `await c.ask(...)`; `await c.closed()` returns when the connection has ended.
    """

    def __init__(self, path: Path, on_notice: Callable[[Notice], None] | None = None) -> None:
        self._path = path
        self._on_notice: Callable[[Notice], None] = on_notice or _ignored
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None

    async def open(self) -> Hello:
        """Connect and say hello. Raises NoDaemon, ProtocolError when the daemon is of another version."""
        try:
            reader, self._writer = await asyncio.open_unix_connection(str(self._path), limit=MAX_LINE + 1)
        except OSError as error:
            raise NoDaemon(f"no daemon answers at {self._path} ({error.strerror or error})") from None
        self._reader_task = asyncio.create_task(self._read(reader))
        return _hello(await self._answered(SayHello(client="tui"), 30.0))

    async def ask(self, request: Request, result: type[R], timeout: float | None = 30.0) -> R:  # noqa: ASYNC109
        """Raises NoDaemon when the connection breaks, DaemonRefused when the daemon says no."""
        return _answer(await self._answered(request, timeout), result)

    async def _answered(self, request: Request, timeout: float | None) -> dict[str, Any]:  # noqa: ASYNC109
        if self._writer is None or self._writer.is_closing():
            raise NoDaemon(f"no daemon is connected at {self._path}")
        id = next(self._ids)
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._waiting[id] = answer
        try:
            with _deadline(answer, timeout, loop):
                self._writer.write(encode_request(id, request))
                await self._writer.drain()
                return await answer
        except (OSError, TimeoutError) as error:
            raise NoDaemon(f"the daemon at {self._path} went away ({error or 'no answer'})") from None
        finally:
            self._waiting.pop(id, None)

    async def closed(self) -> None:
        """Returns when the connection has ended, whichever side ended it."""
        if self._reader_task is not None:
            await asyncio.shield(self._reader_task)

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._reader_task is not None:
            self._reader_task.cancel()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._deliver(parse(line))
        except (OSError, ValueError, ProtocolError):
            pass  # the connection is over; closed() and the waiting questions tell
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ConnectionResetError("the daemon closed the connection"))
            if self._writer is not None:
                self._writer.close()

    def _deliver(self, message: dict[str, Any]) -> None:
        if "method" in message:
            notice = notice_of(message)
            if notice is not None:
                self._on_notice(notice)
            return
        id = message.get("id")
        for asked, answer in self._waiting.items():
            # An error without an id is about the line itself, so it answers every open request.
            if id in (asked, None) and not answer.done():
                answer.set_result(message)


async def ask_on_own_connection(path: Path, request: Request, result: type[R]) -> R:
    """One request over a connection of its own, however long it takes: on each, the daemon answers one after another.

    Raises as `Connection.ask` does.
    """
    connection = Connection(path)
    try:
        await connection.open()
        return await connection.ask(request, result, None)
    finally:
        await connection.close()
