"""The client's end against daemons that are not what it expects."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dedupd.client.connection import Connection, ask
from dedupd.errors import ProtocolError
from dedupd.protocol.requests import Undo
from dedupd.protocol.results import Acted

PATIENCE = 10


@pytest.fixture
def place() -> Iterator[Path]:
    """Short enough for a socket's path."""
    with tempfile.TemporaryDirectory(prefix="client-") as made:
        yield Path(made) / "s"


Answer = Callable[[dict[str, Any]], dict[str, Any]]


@asynccontextmanager
async def daemon(place: Path, answer: Answer) -> AsyncIterator[list[str]]:
    """A daemon that answers everything with `answer`; the methods that it was asked."""
    asked: list[str] = []
    clients = set[asyncio.Task[Any]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        while line := await reader.readline():
            request = json.loads(line)
            asked.append(request["method"])
            writer.write(
                json.dumps({"jsonrpc": "2.0", "id": request["id"]} | answer(request)).encode() + b"\n"
            )
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(serve, str(place))
    try:
        yield asked
    finally:
        server.close()
        await asyncio.wait(clients, timeout=PATIENCE)  # none of them outlives the loop


def older(request: dict[str, Any]) -> dict[str, Any]:
    """As daemons of protocol 1 do: hello is refused, and what is said on the same line is done all the same."""
    if request["method"] == "hello":
        return {"error": {"code": -32000, "message": "this daemon speaks protocol 1, you speak 2"}}
    return {"result": {"restored": 1}}


def polite(request: dict[str, Any]) -> dict[str, Any]:
    return {"result": {"protocol": 99, "version": "9", "pid": 1}}


def full(request: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": None,
        "error": {"code": -32000, "message": "32 programs talk to the daemon already: end one"},
    }


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (older, "restart it, with `systemctl --user restart dedupd`"),
        (polite, "restart it"),
        (full, "end one"),
    ],
)
async def test_a_daemon_of_another_version_is_asked_for_nothing_and_its_owner_told_what_to_do(
    place: Path, answer: Answer, sentence: str
) -> None:
    async with daemon(place, answer) as asked:
        with pytest.raises(ProtocolError, match=sentence):
            await asyncio.to_thread(ask, place, Undo(last=True), Acted)
        line = Connection(place)
        with pytest.raises(ProtocolError, match=sentence):
            await line.open()
        await line.close()
    assert set(asked) == {"hello"}
