"""The JSON API beside a scripted daemon, and without any: what it asks, what it answers, how it says no."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dedupd.client.connection import ask
from dedupd.protocol.notices import MonthChanged
from dedupd.protocol.requests import (
    Approve,
    GetGroups,
    GetMonths,
    GetThumbnails,
    GroupRef,
    Judge,
    Reject,
    Undo,
)
from dedupd.protocol.results import MonthsPage
from dedupd.web import api
from tests.fakes.daemon import FakeDaemon
from tests.support.shelf import Shelf
from tests.web.conftest import Serve, Served, refused


async def test_reads_are_what_the_socket_says(served: Served, daemon: FakeDaemon) -> None:
    assert (await served.get("/api/status"))["groups_waiting"] == 8
    said = await asyncio.to_thread(ask, daemon.socket, GetMonths(), MonthsPage)
    assert await served.get("/api/months") == msgspec.to_builtins(said)
    page = await served.get("/api/groups", params={"limit": 3, "state": "proposed"})
    assert [group["state"] for group in page["groups"]] == ["proposed"] * 3
    assert page["total"] > 3 and page["next_offset"] == 3
    detail = await served.get("/api/groups/2")
    assert detail["group"]["id"] == 2 and [p["role"] for p in detail["photos"]] == ["keeper", "duplicate"]
    assert await served.get("/api/moves") == {"moves": [], "total": 0, "next_offset": None}
    assert (await served.get("/api/lessons"))["lessons"] == []


async def test_groups_of_a_root_are_asked_for_by_its_place_not_by_its_path(
    served: Served, daemon: FakeDaemon
) -> None:
    assert (await served.get("/api/groups", params={"root": 0}))["total"] == 8
    assert daemon.of(GetGroups)[-1].root == daemon.roots[0].path
    assert refused(await served.client.get("/api/groups", params={"root": 1})) == (404, "not_found")


async def test_names_that_are_no_text_travel_as_on_the_socket(served: Served, daemon: FakeDaemon) -> None:
    daemon.groups[1].keep = "2024/06/caf\udce9 <b>.jpg"
    response = await served.client.get("/api/groups/1")
    assert "caf\\udce9 <b>.jpg" in response.text
    assert response.headers["content-type"] == "application/json"


async def test_acts_are_the_sockets_acts(served: Served, daemon: FakeDaemon) -> None:
    acted = await served.act("/api/groups/1/approve", version=1, key="k1")
    assert acted.json()["moved"] == 1
    assert daemon.of(Approve) == [Approve(groups=[GroupRef(id=1, version=1)], key="k1")]
    assert (await served.act("/api/groups/2/reject")).json()["kept"] == 1
    assert daemon.of(Reject)[0].groups == [GroupRef(id=2)]
    await served.act("/api/groups/3/judge", keeper=301, move=[300], different=[302], key="k3")
    assert daemon.of(Judge)[-1] == Judge(
        group=GroupRef(id=3), keeper=301, move=[300], different=[302], key="k3"
    )
    assert (await served.act("/api/undo", group=1, key="k4")).json()["restored"] == 1
    assert daemon.of(Undo)[0].group == 1


async def test_the_same_key_is_not_done_again(served: Served, daemon: FakeDaemon) -> None:
    first = await served.act("/api/groups/1/approve", key="once")
    second = await served.act("/api/groups/1/approve", key="once")
    assert first.json() == second.json() and len(daemon.moves) == 1


async def test_keep_means_all_that_wait_or_those_that_are_named(served: Served, daemon: FakeDaemon) -> None:
    await served.act("/api/groups/3/keep", version=1, key="k")
    assert daemon.of(Judge)[-1] == Judge(group=GroupRef(id=3, version=1), keep=[301, 302], key="k")
    await served.act("/api/groups/6/keep", files=[602])
    assert daemon.of(Judge)[-1].keep == [602]
    daemon.groups[8].left_out = 5000
    assert refused(await served.act("/api/groups/8/keep")) == (422, "too_many")


async def test_the_daemons_no_has_its_own_status(served: Served) -> None:
    assert refused(await served.client.get("/api/groups/999")) == (404, "not_found")
    assert refused(await served.act("/api/groups/999/approve")) == (404, "not_found")
    assert refused(await served.act("/api/groups/1/approve", version=77)) == (409, "stale")


async def test_bodies_that_cannot_be_meant(served: Served, daemon: FakeDaemon) -> None:
    post, path = served.client.post, "/api/groups/1/judge"
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert refused(await post(path, content=b"move=1", headers=form)) == (415, "not_json")
    js = {"content-type": "application/json"}
    for body in (b"{", b"\xff", b"[]", b"1", b"[" * 100_000):
        assert refused(await post(path, content=body, headers=js)) == (400, "malformed"), body[:9]
    for body in (
        {"diferent": [101]}, {"move": ["101"]}, {"move": [-1]}, {"key": 1}, {"keeper": "../../etc/passwd"},
        {"version": "1"}, {"move": list(range(20_001))},
    ):  # fmt: skip
        assert refused(await served.act(path, **body)) == (422, "invalid"), body
    assert refused(await post(path, content=b'{"keeper":1e999}', headers=js))[0] in (400, 422)
    assert refused(await post(path, content=b'{"keeper":99999999999999999999}', headers=js))[0] in (400, 422)
    for body in ({}, {"group": 1, "last": True}, {"month": "2024-6"}, {"paths": ["a"]}):
        assert refused(await served.act("/api/undo", **body)) == (422, "invalid"), body
    assert not daemon.of(Judge) and not daemon.of(Undo)


async def test_of_a_body_without_end_little_is_kept(served: Served) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(256):
            yield b" " * (1 << 16)

    js = {"content-type": "application/json"}
    said = await served.client.post("/api/undo", content=endless(), headers=js)
    assert refused(said) == (413, "too_large")


async def test_questions_that_cannot_be_meant(served: Served) -> None:
    for path in (
        "/api/groups?limit=0", "/api/groups?limit=501", "/api/groups?offset=-1", "/api/groups?month=june",
        "/api/groups?state=x", "/api/groups?relation=x", "/api/groups/x", "/api/groups/99999999999999999999",
        "/api/moves?group=x", "/api/months?offset=x", "/api/pictures/1?side=0", "/api/pictures/a.jpg",
    ):  # fmt: skip
        assert refused(await served.client.get(path)) == (422, "invalid"), path
    assert refused(await served.client.get("/nowhere")) == (404, "not_found")
    assert refused(await served.client.get("/api/undo")) == (405, "not_allowed")


async def test_what_is_declared_holds_together(alone: Served) -> None:
    api = await alone.get("/openapi.json")
    known = api["components"]["schemas"]
    assert set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(api))) <= set(known)
    for path, methods in api["paths"].items():
        for method, route in methods.items():
            refusals = set(route["responses"]) - {"200", "204", "304"}
            assert path == "/health" or {"401", "429"} <= refusals, (method, path)
            shapes = {json.dumps(route["responses"][status].get("content")) for status in refusals}
            assert all('"#/components/schemas/ErrorBody"' in shape for shape in shapes), (method, path)
    tiers = known["Tried"]["properties"]["tiers"]
    assert tiers["propertyNames"]["enum"] == ["exact", "copy", "burst", "similar"]


async def test_who_looks_does_not_wait_for_what_another_has_asked_to_be_done(
    served: Served, daemon: FakeDaemon
) -> None:
    daemon.hold.clear()
    act = asyncio.create_task(served.act("/api/groups/1/approve"))
    async with asyncio.timeout(20):
        while not daemon.of(Approve):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert (await served.get("/api/groups/3"))["group"]["id"] == 3
    assert not act.done()
    daemon.hold.set()
    assert (await act).json()["moved"]


# ---- events


async def told(served: Served, count: int, then: Any = None) -> list[tuple[str, Any]]:
    """The next events of the stream; `then` is done when the first has come."""
    found: list[tuple[str, Any]] = []
    async with served.client.stream("GET", "/api/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        name = ""
        async for line in stream.aiter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                found.append((name, json.loads(value)))
                if len(found) == 1 and then is not None:
                    await then()
                if len(found) == count:
                    break
    return found


async def test_what_happens_is_told_as_it_happens(served: Served, daemon: FakeDaemon) -> None:
    await served.get("/api/status")

    async def happen() -> None:
        await daemon.notify(MonthChanged(root="/home/ann/Pictures", month="2024-06"))

    first, second = await told(served, 2, happen)
    assert first == ("line", {"daemon": "running", "why": ""})
    assert second == ("month", {"root": "/home/ann/Pictures", "month": "2024-06"})


async def test_a_daemon_that_goes_is_told_and_one_that_comes_back_is_found(
    served: Served, daemon: FakeDaemon
) -> None:
    await served.get("/api/status")
    (_, (name, said)) = await told(served, 2, daemon.stop)
    assert name == "line" and said["daemon"] == "stopped"
    await daemon.start()
    assert (await served.get("/api/status"))["daemon"] == "running"


async def test_too_many_streams_are_turned_away(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "EVENT_STREAMS", 0)
    assert refused(await served.client.get("/api/events")) == (429, "busy")


async def test_a_listener_that_is_behind_is_told_to_ask_again(served: Served) -> None:
    with served.built.connection.listen() as listener:
        for month in range(500):
            served.built.connection._tell(MonthChanged(root="", month=str(month)))
        methods = [listener.get_nowait().method for _ in range(listener.qsize())]
    assert "resync" in methods and len(methods) <= 100


# ---- pictures


async def test_pictures_come_by_id_many_in_one_question(served: Served, daemon: FakeDaemon) -> None:
    said = await asyncio.gather(
        *(served.client.get(f"/api/pictures/{file}", params={"side": 200}) for file in (100, 101, 200, 100))
    )
    assert {response.headers["content-type"] for response in said} == {"image/jpeg"}
    (asked,) = daemon.of(GetThumbnails)
    assert sorted(asked.files) == [100, 101, 200] and asked.side == 256
    etag = said[0].headers["etag"]
    again = await served.client.get(
        "/api/pictures/100", params={"side": 200}, headers={"If-None-Match": etag}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert refused(await served.client.get("/api/pictures/99900")) == (404, "not_found")


# ---- no daemon


async def test_without_a_daemon_and_state_there_is_a_status_and_a_sentence(alone: Served) -> None:
    assert (await alone.get("/api/status"))["daemon"] == "stopped"
    assert refused(await alone.client.get("/api/groups")) == (409, "no_state")


async def test_a_ledger_that_cannot_be_read_is_not_told_as_an_empty_one(alone: Served) -> None:
    alone.places.ledger.write_bytes(b"no ledger, or what a failing disk gives of one" * 100)
    for path in ("/api/status", "/", "/api/groups"):
        answer = await alone.client.get(path)
        assert answer.status_code == 409 and "is damaged" in answer.text


async def test_without_a_daemon_what_is_known_is_read_and_acts_wait(
    serve: Serve, shelf: Shelf, tmp_path: Path
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.pass_(yes=False)
    (expected,) = shelf.views()
    async with serve(shelf.library.settings) as served:
        status = await served.get("/api/status")
        assert (status["daemon"], status["photos"], status["groups_waiting"]) == ("stopped", 2, 1)
        (month,) = (await served.get("/api/months"))["months"]
        assert (month["month"], month["waiting"]) == ("2024-06", 1)
        page = await served.get("/api/groups", params={"month": "2024-06"})
        assert page == {"groups": [msgspec.to_builtins(expected)], "total": 1, "next_offset": None}
        detail = await served.get(f"/api/groups/{expected.id}")
        assert [photo["path"] for photo in detail["photos"]] == ["2024/06/a.jpg", "2024/06/b.jpg"]
        assert refused(await served.client.get("/api/groups/999")) == (404, "not_found")
        assert (await served.get("/api/moves"))["moves"] == []
        assert (await served.get("/api/lessons"))["lessons"] == []
        for path in (f"/api/groups/{expected.id}/approve", f"/api/groups/{expected.id}/keep"):
            assert refused(await served.act(path)) == (409, "no_daemon")
        assert refused(await served.act("/api/undo", all=True)) == (409, "no_daemon")
    assert shelf.files() == {"2024/06/a.jpg", "2024/06/b.jpg"}


async def test_a_daemon_is_started_where_none_answers(alone: Served, tmp_path: Path) -> None:
    assert refused(await alone.act("/api/start")) == (409, "refused"), "nothing can start one"
    launcher, mark = alone.built.launcher, tmp_path / "started"
    launcher.command = ["sh", "-c", "echo nothing to watch >&2; exit 2"]
    said = await alone.act("/api/start")
    assert refused(said) == (409, "no_daemon") and "nothing to watch" in said.text
    # Stays until the daemon in this process answers, and some moments more.
    socket = alone.places.socket
    launcher.command = ["sh", "-c", f"echo >> {mark}; while [ ! -S {socket} ]; do sleep 0.05; done; sleep 3"]
    starting = asyncio.create_task(alone.act("/api/start"))
    async with asyncio.timeout(30):
        while not mark.exists():  # noqa: ASYNC110 - what another process does
            await asyncio.sleep(0.02)
        async with FakeDaemon(socket, tmp_path, groups=1):
            assert (await starting).json() == {"message": "a daemon runs"}
            assert (await alone.get("/api/status"))["daemon"] == "running"
            assert (await alone.act("/api/start")).status_code == 200
    assert mark.read_text() == "\n", "one was enough"


async def test_pages_offer_to_start_a_daemon_only_where_one_can_be_started(serve: Serve) -> None:
    for command, shown in (([], 0), (["dedupd", "run"], 1)):
        async with serve(
            change=lambda built, command=command: built.launcher.command.extend(command)
        ) as server:
            page = await server.client.get("/", headers={"Accept": "text/html"})
            assert page.text.count('id="start-daemon"') == shown, command


async def test_a_fault_of_ours_has_the_shape_of_every_error(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise RuntimeError("secret words")

    monkeypatch.setattr(served.built.reading, "status", broken)
    said = await served.client.get("/api/status")
    assert refused(said) == (500, "failed") and "secret" not in said.text
