"""Listening: the address, TLS, and limits for slow or many clients; for every HTTP server of dedupd.

Owns the network socket. Must never resolve a name, nor listen beyond this machine unless it is told how.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import logging
import signal
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from dedupd.errors import UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

CONNECTIONS = 128
HEAD_SECONDS = 10.0
"""Seconds allowed for a request's line and headers."""
LINGER_SECONDS = 10.0
"""Seconds for reading and discarding the rest of a refused body, so that its sender can read the answer."""
AWAY_SECONDS = 1.0
"""Seconds for which a refused client may read its answer."""
READ_SECONDS = 60.0
"""Seconds after which a client that does not read its answer is disconnected."""


def _at_once(status: bytes, code: str, message: str) -> bytes:
    """A whole answer to what never reaches the app."""
    body = json.dumps({"error": {"code": code, "message": message}}).encode()
    return (
        b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
        % (status, len(body), body)
    )


_BUSY = _at_once(
    b"429 Too Many Requests", "busy", "too many connections: close some, or try again in a moment"
)
_MALFORMED = _at_once(b"400 Bad Request", "malformed", "that is no HTTP/1.1 request, or its head is too long")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen, and what allows it beyond this machine."""

    address: str
    port: int
    tls_cert: Path | None = None
    tls_key: Path | None = None

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


def listen_on(
    text: str, *, tls_cert: Path | None = None, tls_key: Path | None = None, insecure_lan: bool = False
) -> Listen:
    """'127.0.0.1:8765', checked. Raises UsageError."""
    name, _, port = text.rpartition(":")
    name = "127.0.0.1" if name == "localhost" else name.removeprefix("[").removesuffix("]")
    try:
        address, number = ipaddress.ip_address(name), int(port) if port.isdecimal() else -1
    except ValueError:
        raise UsageError(
            f"{text!r} is no address to listen on: give an address and a port, such as 127.0.0.1:8765"
        ) from None
    if not 0 <= number <= 65_535:
        raise UsageError(f"{text!r} names no port up to 65535, such as 127.0.0.1:8765")
    if tls_key is not None and tls_cert is None:
        raise UsageError("--tls-key belongs to a certificate: name it with --tls-cert")
    if not (address.is_loopback or tls_cert or insecure_lan):
        raise UsageError(
            f"{address} can be reached from other machines, and what goes there could be read on the way: "
            "give a certificate with --tls-cert, or say --insecure-lan"
        )
    return Listen(address=str(address), port=number, tls_cert=tls_cert, tls_key=tls_key)


def at_port_of(socket_: socket.socket, listen: Listen) -> Listen:
    """The same with the port that the system chose, for port 0."""
    return replace(listen, port=socket_.getsockname()[1])


@contextlib.contextmanager
def bound(listen: Listen) -> Generator[socket.socket]:
    """A bound socket that listens, before its address is told to anybody. Raises UsageError."""
    family = socket.AF_INET6 if ":" in listen.address else socket.AF_INET
    with socket.socket(family) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            opened.bind((listen.address, listen.port))
            opened.listen(CONNECTIONS)
        except OSError as error:
            raise UsageError(
                f"{listen.address}:{listen.port} cannot be listened on ({error.strerror}): name another with --listen"
            ) from None
        yield opened


class Patient(H11Protocol):
    """A connection with time limits, for its head and for reading its answer, and a limit on their number."""

    _waits: asyncio.TimerHandle | None = None
    _takes: asyncio.TimerHandle | None = None
    _lingers: asyncio.TimerHandle | None = None
    _turned_away = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            self._turn_away(transport)
            return
        self._wait_for_head()

    def _turn_away(self, transport: asyncio.Transport) -> None:
        """Send the reason, and wait a moment: when a connection is closed at once with a request unread, the
        client loses the answer."""
        self.connections.discard(self)
        self._turned_away = True
        transport.write(_BUSY)
        if transport.can_write_eof():  # not by TLS
            with contextlib.suppress(OSError):  # gone already
                transport.write_eof()
        self._lingers = self.loop.call_later(AWAY_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._turned_away:
            return
        super().data_received(data)
        self._wait_for_head()

    def send_400_response(self, msg: str) -> None:
        self.transport.write(_MALFORMED)
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY and self._lingers is None:
            self._lingers = self.loop.call_later(LINGER_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._waits, self._takes, self._lingers):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._takes is None:
            self._takes = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._takes is not None:
            self._takes.cancel()
            self._takes = None

    def _wait_for_head(self) -> None:
        """Between two requests uvicorn's own, shorter limit holds."""
        answering = bool(self.cycle) and not self.cycle.response_complete  # none before the first request
        if self._waits is not None and (answering or self._lingers is not None):
            self._waits.cancel()
            self._waits = None
        elif self._waits is None and not answering and self._lingers is None:
            self._waits = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _give_up(self) -> None:
        """Close the connection, unless the rest of the body arrived: then it can be used again."""
        self._lingers = None
        if self.conn.their_state is h11.SEND_BODY:
            self.transport.abort()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """SIGINT and SIGTERM end the server in order; a second signal ends it at once."""
        loop, ours = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)
        for number in ours:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in ours:
                loop.remove_signal_handler(number)


def configured(app: ASGIApp, listen: Listen) -> uvicorn.Config:
    """uvicorn with our limits; it logs nothing."""
    # What is wrong with an upload is said to its sender.
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)
    tls: dict[str, Any] = (
        {"ssl_certfile": listen.tls_cert, "ssl_keyfile": listen.tls_key} if listen.tls_cert else {}
    )
    return uvicorn.Config(
        app, http=Patient, ws="none", loop="asyncio", interface="asgi3", lifespan="on", log_config=None, log_level="critical",
        access_log=False, server_header=False, date_header=True, proxy_headers=False, timeout_keep_alive=5,
        timeout_graceful_shutdown=2, backlog=CONNECTIONS, **tls,
    )  # fmt: skip


def serve_on(
    socket_: socket.socket, listen: Listen, app: ASGIApp, opened: Callable[[Listen], None] = lambda at: None
) -> None:
    """Serve until SIGINT or SIGTERM. `opened` is called as soon as the address answers. Raises UsageError."""
    config = configured(app, listen)
    try:
        config.load()
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"the certificate cannot be used ({error}): check --tls-cert and --tls-key"
        ) from None
    opened(listen)
    _Server(config).run([socket_])
