"""HTTP to the services that the owner named: one request, one deadline, and a pause for services that fail.

Owns the only network sockets of the worker; in a service that has no network, the sockets that lead to the
same addresses (`PROXIES`). Must never follow a redirect, use a proxy, connect to another
address than those it was given, or read more of an answer than was asked for. Uses the standard library only,
because a request needs little.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from dedupd.config.settings import PROXIES, authority
from dedupd.errors import VisionError

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""Seconds for a whole answer, even when it comes slowly: a large model on a busy CPU takes long."""
FIRST_REST, LONGEST_REST = 5.0, 300.0
"""Seconds for which a service that failed is not asked: doubled after each failure in a row."""
T = TypeVar("T")


class Service(Protocol):
    """A client of one address."""

    url: str


S = TypeVar("S", bound=Service)


class RemoteFailure(Exception):
    """This service could not answer now; a clause for people."""


class RemoteRefusal(RemoteFailure):
    """It has another model, or its answer cannot be correct: nothing of it is used, and it pauses for the
    longest time."""


class RemoteLate(RemoteFailure):
    """It did not answer in time; asking it again soon would take as long again."""


class RemoteBusy(RemoteFailure):
    """It has too many requests: no failure."""


class Unreachable(Exception):
    """No service can be asked now; a clause for people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteAnswer:
    """One whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Endpoint:
    """One service. `ask` may be called from several threads."""

    def __init__(self, url: str, token: str = "", ca_file: str = "") -> None:
        """Raises VisionError when certificates cannot be read."""
        self.url = url.rstrip("/")
        at = urlsplit(self.url)
        self._secure, self._host = at.scheme == "https", at.hostname or ""
        self._port, self._path = at.port or (443 if self._secure else 80), at.path
        self._token = token
        self._idle: list[http.client.HTTPConnection] = []
        try:
            self._tls = ssl.create_default_context(cafile=ca_file or None) if self._secure else None
        except OSError as error:
            raise VisionError(f"embedding.ca_file {ca_file} cannot be used ({error})") from None

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        most: int,
    ) -> RemoteAnswer:
        """One request. At most `most` bytes of the answer are read. Raises RemoteFailure."""
        with self._connection() as (connection, kept):
            try:
                return self._talk(connection, method, path, body, headers or {}, most)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                if not kept:
                    raise
                # The server had closed the kept connection meanwhile, as servers do. Asking twice changes
                # nothing there.
                connection.close()
                return self._talk(connection, method, path, body, headers or {}, most)

    @contextlib.contextmanager
    def _connection(self) -> Generator[tuple[http.client.HTTPConnection, bool]]:
        """A connection to it, and whether it was used before."""
        try:
            connection, kept = self._idle.pop(), True
        except IndexError:
            kept = False
            connection = (
                http.client.HTTPConnection(self._host, self._port, timeout=CONNECT_SECONDS)
                if self._tls is None
                else http.client.HTTPSConnection(
                    self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls
                )
            )
        try:
            yield connection, kept
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise RemoteFailure(f"{self.url} does not answer ({_clause(error)})") from None
        except BaseException:
            connection.close()
            raise
        else:
            self._idle.append(connection)

    def _talk(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes,
        headers: Mapping[str, str], most: int,
    ) -> RemoteAnswer:  # fmt: skip
        if connection.sock is None:
            self._connect(connection)
        assert connection.sock is not None
        connection.sock.settimeout(ANSWER_SECONDS)
        said = {"Accept-Encoding": "identity", **headers}
        if self._token:
            said["Authorization"] = f"Bearer {self._token}"
        late = threading.Event()
        timer = threading.Timer(ANSWER_SECONDS, _hang_up, (connection.sock, late))
        timer.daemon = True
        timer.start()
        try:
            connection.request(method, self._path + path, body, said)
            response = connection.getresponse()
            taken = response.read(most + 1)
            if len(taken) > most:
                raise RemoteRefusal(f"{self.url} answers more than {most} bytes, which cannot be right")
            response.close()
        except (OSError, http.client.HTTPException):
            if late.is_set():
                raise RemoteLate(f"{self.url} did not answer within {ANSWER_SECONDS:.0f} s") from None
            raise
        finally:
            timer.cancel()
        return RemoteAnswer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=taken,
        )

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        path = proxy_to(self.url)
        if not path:
            connection.connect()
            return
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(CONNECT_SECONDS)
        try:
            sock.connect(path)
            connection.sock = (
                sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self._host)
            )
        except BaseException:
            sock.close()
            raise

    def close(self) -> None:
        """Close the connections that are kept for the next request."""
        while self._idle:
            self._idle.pop().close()


def proxy_to(url: str) -> str:
    """The socket that stands for this address in a service without a network; '' where there is a network.

    Raises RemoteFailure for an address that the service was not given a way to.
    """
    folder = os.environ.get(PROXIES)
    path = os.path.join(folder, authority(url)) if folder else ""
    if path and not os.path.exists(path):
        raise RemoteFailure(f"this service has no way to {url}: run `dedupd service install` again")
    return path


def _hang_up(sock: socket.socket, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _clause(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or str(error)[:100] or type(error).__name__


def raise_for(url: str, answer: RemoteAnswer) -> None:
    """Raise the failure that an answer means."""
    if answer.status == 200:
        return
    told = f"{url} answers {answer.status}{_sentence(answer.body)}"
    if answer.status in (429, 503):
        raise RemoteBusy(told)
    if answer.status in (401, 403, 409):
        raise RemoteRefusal(told)
    raise RemoteFailure(told)


def _sentence(body: bytes) -> str:
    """The answer's own error message."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return ""
    error = cast("dict[str, Any]", said).get("error") if isinstance(said, dict) else None
    if isinstance(error, dict):
        error = cast("dict[str, Any]", error).get("message")
    return f": {printable(error)}" if isinstance(error, str) else ""


def printable(said: str) -> str:
    """Text from a remote machine, cut, without anything that a terminal would execute."""
    return "".join(letter for letter in said if letter.isprintable())[:300]


@dataclass(slots=True)
class _Standing:
    """The state of one service: failures in a row, and until when it pauses."""

    failures: int = 0
    rests_until: float = 0.0


class Endpoints(Generic[S]):
    """The services in turn, without those that pause (a circuit breaker for each). Thread-safe."""

    def __init__(self, endpoints: Sequence[S], clock: Callable[[], float] = time.monotonic) -> None:
        self.all = list(endpoints)
        self._standing = {id(endpoint): _Standing() for endpoint in endpoints}
        self._clock, self._lock, self._turn = clock, threading.Lock(), 0
        self._why = ""

    def call(self, ask: Callable[[S], T], *, patience: float = 0.0) -> T:
        """The answer of the first service that can be asked. Raises Unreachable, after trying again for
        `patience` seconds."""
        end = self._clock() + patience
        pause = 0.2
        while True:
            hope = False
            for endpoint in self._awake(all_of_them=patience > 0):
                try:
                    answered = ask(endpoint)
                except RemoteFailure as failure:
                    self._failed(endpoint, failure)
                    hope = hope or not isinstance(failure, RemoteRefusal)
                else:
                    self._standing[id(endpoint)] = _Standing()
                    return answered
            if not hope or self._clock() + pause > end:
                raise Unreachable(self._why)
            time.sleep(pause)
            pause = min(2 * pause, 5.0)

    def _awake(self, *, all_of_them: bool) -> list[S]:
        with self._lock:
            self._turn += 1
            ordered = [self.all[(self._turn + place) % len(self.all)] for place in range(len(self.all))]
            now = self._clock()
            return [e for e in ordered if all_of_them or self._standing[id(e)].rests_until <= now]

    def _failed(self, endpoint: S, failure: RemoteFailure) -> None:
        with self._lock:
            self._why = str(failure)
            if isinstance(failure, RemoteBusy):
                return
            standing = self._standing[id(endpoint)]
            if standing.rests_until > self._clock():
                return  # asked by several threads at once: one failure, not many
            standing.failures += 1
            rest = min(FIRST_REST * 2.0 ** (standing.failures - 1), LONGEST_REST)
            standing.rests_until = self._clock() + (
                LONGEST_REST if isinstance(failure, RemoteRefusal | RemoteLate) else rest
            )


def token_from(path: str) -> str:
    """The token in the file; '' without a file. Raises VisionError."""
    if not path:
        return ""
    try:
        with Path(path).open("rb") as file:
            token = file.read(1024).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise VisionError(f"embedding.token_file {path} cannot be read ({_clause(error)})") from None
    if not token or not token.isprintable():
        raise VisionError(f"embedding.token_file {path} holds no token")
    return token
