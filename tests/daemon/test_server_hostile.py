"""The socket against whoever knocks: half lines, endless lines, deep JSON, crowds, strangers, the impatient."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import stat
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dedupd.daemon import socket_server
from dedupd.daemon.broadcast import Broadcast
from dedupd.daemon.socket_server import RequestError, Server
from dedupd.errors import DedupdError, StateError
from dedupd.protocol.failure import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    PARSE_ERROR,
    REFUSED,
)
from dedupd.protocol.limits import MAX_CLIENTS, MAX_LINE
from dedupd.protocol.notices import Attention, Progressed
from dedupd.protocol.requests import GetGroup, GetMonths, Pause, Request, Resume
from dedupd.protocol.results import Confirmed
from dedupd.protocol.views import ProgressView, StatusView

Line = dict[str, Any]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="socket-") as made:
        yield Path(made).resolve()


async def answer(request: Request) -> msgspec.Struct:
    """Answers as the handlers do: with a result, a refusal, or an accident."""
    match request:
        case GetGroup(id=1):
            raise RequestError(NOT_FOUND, "there is no group 1 any more")
        case GetGroup(id=3):
            raise DedupdError("not there: " + "x" * MAX_LINE)
        case GetGroup():
            raise RuntimeError("an accident with /a/secret/path")
        case Pause():
            raise DedupdError("the disk is full")
        case GetMonths():
            return StatusView(daemon="x" * (MAX_LINE + 1))
        case Resume():
            await asyncio.sleep(3600)
    return Confirmed(message="yes")


@pytest.fixture
async def serving(folder: Path) -> AsyncIterator[Served]:
    served = Served(folder / "run/dedupd.sock", Broadcast())
    await served.server.start()
    yield served
    await served.server.stop()


class Served:
    """A server on a real socket."""

    def __init__(self, path: Path, broadcast: Broadcast) -> None:
        self.path, self.broadcast = path, broadcast
        self.server = Server(path, answer, broadcast)

    async def say(self, line: bytes) -> Line:
        """The answer to one line on a connection of its own."""
        async with self.connected() as (reader, writer):
            writer.write(line)
            return json.loads(await reader.readline())

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_unix_connection(str(self.path), limit=MAX_LINE * 2)
        try:
            yield reader, writer
        finally:
            writer.close()


def request(method: str, id: Any = 7, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\n"


async def test_it_answers_by_id(serving: Served) -> None:
    assert await serving.say(request("status", "a b")) == {
        "jsonrpc": "2.0",
        "id": "a b",
        "result": {"message": "yes"},
    }


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not json\n", PARSE_ERROR),
        (b"\xff\xfe\x00\n", PARSE_ERROR),
        (b"[1, 2]\n", INVALID_REQUEST),
        (b"7\n", INVALID_REQUEST),
        (b"\n", PARSE_ERROR),
        (b"[" * 500_000 + b"\n", PARSE_ERROR),
        (b'{"a":' * 100_000 + b"\n", PARSE_ERROR),
        (b'{"id":' + b"9" * 5000 + b"}\n", PARSE_ERROR),
        (b'{"jsonrpc":"2.0","id":1}\n', INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1,"method":{}}\n', INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":[],"method":"status"}\n', INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":true,"method":"status"}\n', INVALID_REQUEST),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"status"}\n', INVALID_REQUEST),
        (request("rm -rf"), METHOD_NOT_FOUND),
        (request("__class__"), METHOD_NOT_FOUND),
        (request("close"), METHOD_NOT_FOUND),
        (request("group"), INVALID_PARAMS),
        (b'{"id":7,"method":"group","params":{"id":"one"}}\n', INVALID_PARAMS),
        (b'{"id":7,"method":"group","params":[1]}\n', INVALID_PARAMS),
        (b'{"id":7,"method":"group","params":7}\n', INVALID_PARAMS),
        (b'{"id":7,"method":"approve","params":{"groups":[{"id":null}]}}\n', INVALID_PARAMS),
        (b'{"id":7,"method":"group","params":{"id":1}}\n', NOT_FOUND),
        (b'{"id":7,"method":"group","params":{"id":2}}\n', INTERNAL_ERROR),
        (request("pause"), REFUSED),
        (request("months"), REFUSED),
    ],
    ids=lambda value: value[:40].decode(errors="replace") if isinstance(value, bytes) else str(value),
)  # fmt: skip
async def test_nonsense_is_answered_with_its_code_and_one_sentence(
    serving: Served, line: bytes, code: int
) -> None:
    said = await serving.say(line)
    assert said["error"]["code"] == code
    assert "\n" not in said["error"]["message"]
    assert "secret" not in said["error"]["message"]
    assert (await serving.say(request("status")))["result"]


async def test_an_id_that_is_none_is_not_sent_back(serving: Served) -> None:
    assert (await serving.say(b'{"id":[1],"method":"status"}\n'))["id"] is None


async def test_a_notification_is_answered_with_nothing_not_even_an_error(serving: Served) -> None:
    unasked = [
        b'{"method":"status"}\n',
        b'{"method":"none"}\n',
        b'{"method":"group"}\n',
        b'{"method":"pause"}\n',
    ]
    async with serving.connected() as (reader, writer):
        for line in (*unasked, request("status", 8)):
            writer.write(line)
        assert json.loads(await reader.readline())["id"] == 8


async def test_a_line_over_the_limit_ends_that_connection_alone(serving: Served) -> None:
    async with serving.connected() as (other, others):
        async with serving.connected() as (reader, writer):
            writer.write(b"x" * (2 * MAX_LINE))
            said = json.loads(await reader.readline())
            assert said["error"]["code"] == PARSE_ERROR
            with contextlib.suppress(ConnectionError):  # what it had not read yet makes it a reset
                assert await reader.read() == b""
        others.write(request("status"))
        assert json.loads(await other.readline())["result"]


async def test_half_a_line_blocks_nobody_and_ends_with_its_sender(serving: Served) -> None:
    async with serving.connected() as (_, writer):
        writer.write(request("status")[:20])
        await writer.drain()
        assert (await serving.say(request("status")))["result"]


async def test_who_says_nothing_makes_room(serving: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_server, "FIRST_LINE_SECONDS", 0.05)
    async with serving.connected() as (reader, _):
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_crowd_is_turned_away_and_the_first_stay_answered(serving: Served) -> None:
    async with contextlib.AsyncExitStack() as stack:
        lines = [await stack.enter_async_context(serving.connected()) for _ in range(MAX_CLIENTS)]
        for reader, writer in lines:
            writer.write(request("status"))
            assert json.loads(await reader.readline())["result"]
        for _ in range(70):
            async with serving.connected() as (reader, writer):
                said = json.loads(await asyncio.wait_for(reader.read(), 5))
                assert (said["id"], said["error"]["code"]) == (None, REFUSED)
                assert "end one" in said["error"]["message"]
        for reader, writer in lines:
            writer.write(request("status"))
            assert json.loads(await reader.readline())["result"]
    await _until_answered(serving)


async def _until_answered(serving: Served) -> None:
    """Those who left make room, as soon as the server has heard of it."""
    async with asyncio.timeout(5):
        while True:
            with contextlib.suppress(ValueError, ConnectionError):
                if (await serving.say(request("status")))["result"]:
                    return


async def test_it_stops_while_clients_talk_without_a_pause(serving: Served) -> None:
    async def talk() -> None:
        async with serving.connected() as (reader, writer):
            while True:
                writer.write(request("status"))
                if not await reader.readline():
                    return

    talking = [asyncio.create_task(talk()) for _ in range(4)]
    for _ in range(50):
        await asyncio.sleep(0)
    stopping = asyncio.create_task(serving.server.stop())
    done, _ = await asyncio.wait([stopping], timeout=5)
    for client in talking:
        client.cancel()
    assert done


async def test_a_subscriber_that_does_not_read_costs_no_memory_and_delays_nobody(serving: Served) -> None:
    async with serving.connected() as (reader, writer):
        writer.write(request("subscribe"))
        assert json.loads(await reader.readline())["result"]["message"] == "subscribed"
        for number in range(5000):
            serving.broadcast.send(Attention(message=f"{number} " + "x" * 1000))
            if number % 100 == 0:
                await asyncio.sleep(0)
        (subscriber,) = serving.broadcast._subscribers
        assert len(subscriber._waiting) <= 256
        assert (await serving.say(request("status")))["result"]
        serving.broadcast.send(Progressed(progress=ProgressView(phase="index", done=1, total=2)))
        async with asyncio.timeout(10):
            while b'"resync"' not in await reader.readline():
                pass


async def test_an_answer_that_fits_into_no_message_is_a_sentence_and_the_line_goes_on(
    serving: Served,
) -> None:
    async with serving.connected() as (reader, writer):
        writer.write(request("months", 1) + request("status", 2))
        refused = json.loads(await reader.readline())
        assert (refused["id"], refused["error"]["code"]) == (1, REFUSED)
        assert "'months' is over" in refused["error"]["message"]
        assert json.loads(await reader.readline())["result"]


async def test_no_error_is_too_long_either(serving: Served) -> None:
    """An id of bytes that JSON writes three times as long, and a sentence that names all of a library."""
    asked = b'{"jsonrpc":"2.0","id":"' + "ÿ".encode() * 300_000 + b'","method":"status"}\n'
    assert len(asked) < MAX_LINE
    async with serving.connected() as (reader, writer):
        writer.write(asked + b'{"id":8,"method":"group","params":{"id":3}}\n')
        said = json.loads(await reader.readline())
        assert (said["id"], said["error"]["code"]) == (None, REFUSED)
        said = json.loads(await reader.readline())
        assert said["error"]["message"].startswith("not there: x")


async def test_a_notice_that_fits_into_no_message_is_left_out_and_cuts_nobody_off(
    serving: Served, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving.connected() as (reader, writer):
        writer.write(request("subscribe"))
        await reader.readline()
        serving.broadcast.send(Attention(message="x" * MAX_LINE))
        serving.broadcast.send(Attention(message="still there"))
        line = await asyncio.wait_for(reader.readline(), 5)
        assert json.loads(line)["params"] == {"message": "still there"}
    assert "not told of 'attention'" in caplog.text


async def test_who_never_reads_loses_its_place(serving: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket_server, "WRITE_SECONDS", 0.1)
    async with serving.connected() as (reader, listener), serving.connected() as (_, asker):
        listener.write(request("subscribe"))
        await reader.readline()
        listener.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        asker.transport.pause_reading()  # pyright: ignore[reportAttributeAccessIssue]
        async with asyncio.timeout(10):
            while serving.server._clients:
                serving.broadcast.send(Attention(message="x" * 100_000))
                if not asker.is_closing():
                    asker.write(request("status", "x" * 100_000))
                await asyncio.sleep(0.01)
        assert not serving.broadcast._subscribers
        assert (await serving.say(request("status")))["result"]


async def test_a_client_that_leaves_is_forgotten(serving: Served) -> None:
    async with serving.connected() as (reader, writer):
        writer.write(request("subscribe"))
        await reader.readline()
        assert serving.broadcast._subscribers
    async with asyncio.timeout(5):
        while serving.broadcast._subscribers or serving.server._clients:
            serving.broadcast.send(Attention(message="anybody there?"))
            await asyncio.sleep(0)


async def test_it_stops_while_a_request_is_under_way(serving: Served) -> None:
    async with serving.connected() as (reader, writer):
        writer.write(request("resume"))
        await writer.drain()
        assert (await serving.say(request("status")))["result"]
        await asyncio.wait_for(serving.server.stop(), 5)
        assert await reader.read() == b""
    assert not serving.path.exists()


# ---- who may come in


def test_the_socket_is_its_owners_alone_even_under_a_loose_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        path = folder / "run/dedupd.sock"

        async def look() -> tuple[int, int]:
            served = Served(path, Broadcast())
            await served.server.start()
            modes = stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)
            await served.server.stop()
            return modes

        assert asyncio.run(look()) == (0o600, 0o700)
        path.parent.chmod(0o777)
        assert asyncio.run(look()) == (0o600, 0o700)  # an opened folder is closed again
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_another_user_is_turned_away_even_through_an_open_door(serving: Served) -> None:
    serving.path.chmod(0o777)
    serving.path.parent.chmod(0o777)
    ours = await asyncio.to_thread(_as_user, 0, serving.path)
    theirs = await asyncio.to_thread(_as_user, 65534, serving.path)
    assert b'"result"' in ours
    assert theirs == b"connected, then nothing"


def _as_user(uid: int, path: Path) -> bytes:
    """What a process of `uid` hears when it asks for the status; it enters the folder before it becomes that user."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        heard = b"not reached"
        try:
            os.chdir(path.parent)
            os.setgid(uid)
            os.setuid(uid)
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(10)
                link.connect(path.name)
                heard = b"connected, then "
                with contextlib.suppress(ConnectionError):
                    link.sendall(request("status"))
                    heard += link.recv(4096)
                heard = heard if heard != b"connected, then " else b"connected, then nothing"
        except OSError as error:
            heard += str(error).encode()
        finally:
            os.write(write, heard)
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as heard_by_us:
        return heard_by_us.read()


@pytest.mark.parametrize("what", ["file", "folder", "link"])
async def test_what_is_in_the_way_and_not_ours_to_remove_stays(folder: Path, what: str) -> None:
    path = folder / "run/dedupd.sock"
    path.parent.mkdir(mode=0o700)
    target = folder / "precious"
    target.write_text("kept")
    make: dict[str, Callable[[], object]] = {
        "file": lambda: path.write_text("kept"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(target),
    }
    make[what]()
    with pytest.raises(StateError, match="in the way"):
        await Served(path, Broadcast()).server.start()
    assert path.is_symlink() or path.exists()
    assert target.read_text() == "kept"


async def test_what_a_killed_daemon_left_is_replaced(folder: Path) -> None:
    path = folder / "run/dedupd.sock"
    path.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    served = Served(path, Broadcast())
    await served.server.start()
    assert (await served.say(request("status")))["result"]
    await served.server.stop()


async def test_a_folder_that_is_a_link_is_refused(folder: Path) -> None:
    (folder / "real").mkdir()
    (folder / "run").symlink_to(folder / "real")
    with pytest.raises(StateError):
        await Served(folder / "run/dedupd.sock", Broadcast()).server.start()
