"""The Unix socket: who may connect, how much may be sent, how long the server waits. Passes requests on;
knows no library.

The caller must hold the lock before this binds: asyncio would silently replace a live socket. Mode 0600 in a
0700 folder; the peer's uid is checked at every connection, because modes can be changed by mistake.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import select
import socket
import stat as modes
import struct
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from dedupd.daemon.broadcast import Broadcast, Subscriber
from dedupd.errors import DedupdError, StateError
from dedupd.protocol.codec import Id, InvalidMessage, TooLong, encode_error, encode_result, parse, request_of
from dedupd.protocol.failure import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
    REFUSED,
    Failure,
)
from dedupd.protocol.limits import MAX_CLIENTS, MAX_LINE
from dedupd.protocol.requests import Request, Scan, Subscribe
from dedupd.protocol.results import Confirmed

log = logging.getLogger("dedupd.server")
FIRST_LINE_SECONDS = 10.0
"""Seconds after which a client that has sent nothing is disconnected."""
WRITE_SECONDS = 30.0
"""Seconds after which a client that reads nothing is disconnected."""
LISTENS_SECONDS = 0.5
"""Seconds between two checks that the client who asked for a scan is still connected."""

FULL = Failure(
    code=REFUSED,
    message=f"{MAX_CLIENTS} programs talk to the daemon already: end one, such as a `dedupd review`, and try again",
)
OnRequest = Callable[[Request], Awaitable[msgspec.Struct]]


class RequestError(DedupdError):
    """A request is refused, with its JSON-RPC error code."""

    def __init__(self, code: int, message: str, data: int | None = None) -> None:
        super().__init__(message)
        self.code, self.data = code, data


class OtherProtocol(RequestError):
    """The client speaks another protocol version. Its next messages could be misread, so the connection ends."""


def failure_of(error: DedupdError) -> Failure:
    """The `error` of the answer."""
    if isinstance(error, RequestError):
        return Failure(code=error.code, message=str(error), data=error.data)
    if isinstance(error, InvalidMessage):
        return Failure(code=error.code, message=str(error))
    # It was tried and failed: the command that asked ends as if it had tried itself.
    return Failure(code=REFUSED, message=str(error), data=int(error.exit_code))


class Server:
    """Listens, checks, parses, answers."""

    def __init__(self, path: Path, answer: OnRequest, broadcast: Broadcast) -> None:
        self._path, self._answer, self._broadcast = path, answer, broadcast
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Bind and listen. Raises StateError when the folder or the name cannot be used."""
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _check_folder(folder)
            _remove_own_socket(self._path)
            before = os.umask(0o177)
            try:
                self._server = await asyncio.start_unix_server(
                    self._accept, str(self._path), limit=MAX_LINE + 1
                )
            finally:
                os.umask(before)
        except OSError as error:
            raise StateError(
                f"cannot listen on {self._path} ({error.strerror or error}): use another --state-dir"
            ) from None

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        self._path.unlink(missing_ok=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link: socket.socket = writer.get_extra_info("socket")
        ours, crowded = peer_uid(link) == os.getuid(), len(self._clients) >= MAX_CLIENTS
        if not ours or crowded:
            if ours:
                writer.write(encode_error(None, FULL))
            writer.close()
            return
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await _Client(reader, writer, self._answer, self._broadcast).serve()
        except TimeoutError:
            writer.transport.abort()  # it does not read: what waits for it would wait, and cost memory, for ever
        except (OSError, asyncio.CancelledError):
            pass  # the client left, or the daemon ends
        finally:
            self._clients.discard(task)
            writer.close()


class _Client:
    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: OnRequest,
        broadcast: Broadcast,
    ) -> None:
        self._reader, self._writer, self._answer, self._broadcast = reader, writer, answer, broadcast
        self._subscriber: Subscriber | None = None
        self._pump: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        try:
            # asyncio.wait_for is used nowhere here: before Python 3.12 it may swallow a cancellation, and
            # stop() would wait for ever.
            async with asyncio.timeout(FIRST_LINE_SECONDS):
                line = await self._line()
            while line and await self._one(line):
                line = await self._line()
        finally:
            if self._subscriber is not None:
                self._broadcast.remove(self._subscriber)
            if self._pump is not None:
                self._pump.cancel()

    async def _line(self) -> bytes:
        try:
            return await self._reader.readline()
        except ValueError:  # longer than the limit: what follows cannot be trusted to start a message
            await self._send(
                encode_error(None, Failure(code=PARSE_ERROR, message=f"a line is over {MAX_LINE} bytes"))
            )
            return b""

    async def _one(self, line: bytes) -> bool:
        """Answer one line. Returns False when the connection must end."""
        id: Id = None
        asked, method = True, ""
        """A message without an id is a notification: it is carried out and not answered, not even with an
        error."""
        try:
            message = parse(line)
            asked, id, method = _addressed(message)
            request = request_of(message)
            del (
                message,
                line,
            )  # a long list of ids waits for its turn as what it means, not as what it was said in
            if request is None:
                raise RequestError(METHOD_NOT_FOUND, f"there is no method {method!r}")
            match request:
                case Subscribe():
                    result = self._subscribe()
                case Scan():
                    result = await self._scanned(request)
                case _:
                    result = await self._answer(request)
            reply = encode_result(id, result)
        except TooLong:
            too_long = f"the answer to {method!r} is over {MAX_LINE} bytes, too long for one message: ask for less at once"
            reply = encode_error(id, Failure(code=REFUSED, message=too_long))
        except OtherProtocol as error:
            await self._send(encode_error(id, failure_of(error)))
            return False
        except ConnectionAbortedError:
            raise
        except DedupdError as error:
            reply = encode_error(id, failure_of(error))
        except UnicodeError:  # half a surrogate pair: no name, month or path holds one
            reply = encode_error(
                id, Failure(code=INVALID_PARAMS, message="a text holds what is no character")
            )
        except Exception as error:  # a border: a bad request must not end the daemon
            log.exception("a request failed")
            reply = encode_error(
                id, Failure(code=INTERNAL_ERROR, message=f"internal error ({type(error).__name__})")
            )
        if asked:
            await self._send(reply)
        return True

    async def _scanned(self, request: Scan) -> msgspec.Struct:
        """The answer to a scan; given up when the client is gone, because a scan may take hours."""
        answer = asyncio.ensure_future(self._answer(request))
        try:
            while not (await asyncio.wait({answer}, timeout=LISTENS_SECONDS))[0]:
                if self._left():
                    raise ConnectionAbortedError
            return answer.result()
        finally:
            answer.cancel()

    def _left(self) -> bool:
        """Whether the other end is closed. A client that only shut down its sending side may still listen."""
        link: socket.socket = self._writer.get_extra_info("socket")
        poll = select.poll()
        poll.register(link.fileno(), 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))

    def _subscribe(self) -> Confirmed:
        if self._subscriber is None:
            self._subscriber = Subscriber(self._writer, WRITE_SECONDS)
            self._pump = asyncio.create_task(self._subscriber.pump())
            self._broadcast.add(self._subscriber)
        return Confirmed(message="subscribed")

    async def _send(self, reply: bytes) -> None:
        self._writer.write(reply)
        async with asyncio.timeout(WRITE_SECONDS):
            await self._writer.drain()


def _addressed(message: dict[str, Any]) -> tuple[bool, Id, str]:
    """(whether it must be answered, its id, its method). Raises RequestError when it is no request."""
    id, method = message.get("id"), message.get("method")
    if not isinstance(id, int | str | None) or isinstance(id, bool) or not isinstance(method, str):
        raise RequestError(INVALID_REQUEST, "a request has a method and an id that is a number or a string")
    return "id" in message, id, method


def peer_uid(link: socket.socket) -> int:
    """The uid of the process at the other end, as the kernel says; -1 when it cannot tell (then the client is
    refused)."""
    try:
        if sys.platform == "linux":
            return struct.unpack("3i", link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        uid, gid = ctypes.c_uint(), ctypes.c_uint()  # macOS, BSD: unverified here
        failed = ctypes.CDLL(None).getpeereid(link.fileno(), ctypes.byref(uid), ctypes.byref(gid))
        return -1 if failed else uid.value
    except (OSError, AttributeError):
        return -1


def _check_folder(folder: Path) -> None:
    found = os.lstat(folder)
    if not modes.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise StateError(f"{folder} is not a folder of yours: remove it, or use another --state-dir")
    if found.st_mode & 0o077:
        os.chmod(folder, 0o700)


def _remove_own_socket(path: Path) -> None:
    """Remove the socket that a killed daemon left. The lock shows that nobody listens; anything but our own
    socket is refused."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not modes.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise StateError(f"{path} is in the way and is no socket of dedupd: move it aside")
    path.unlink()
