"""The same decisions by the terminal's reviewer and through the JSON API leave the same ledger and the same disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, Self

import msgspec

from dedupd.config import Settings
from dedupd.library import LibraryView
from dedupd.protocol.requests import GetGroups
from dedupd.protocol.results import Acted, GroupsPage
from dedupd.protocol.views import GroupDetail, GroupView, StatusView
from dedupd.tui.link.action_queue import ActionQueue
from dedupd.tui.link.app_port import Topic
from dedupd.tui.link.daemon_link import Connected, DaemonLink, NoticeReceived
from dedupd.tui.link.follower import Follower
from dedupd.tui.model.decisions import Action, DecisionDraft, batched
from dedupd.tui.model.review_state import ReviewState
from tests.fakes.vision import pseudo_photo
from tests.support.living_daemon import TwinEyedDaemon, living_daemon
from tests.web.conftest import Serve, Served
from tests.web.test_decisions import as_http

Decide = Callable[[DecisionDraft], object]
Step = tuple[str, Decide | None]
"""(the keeper's name, what is marked on its group before it is sent; None: the last action is taken back)."""


def photos(root: Path) -> None:
    def put(name: str, scene: str, exposure: str = "1", rendering: str = "original", **traits: Any) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pseudo_photo(scene, exposure, rendering, **traits))

    small = {"width": 800, "height": 600}
    for scene in ("lake", "sea", "hill", "town", "tree"):
        put(f"2024/06/{scene}.jpg", scene)
        put(f"2024/06/{scene}-small.jpg", scene, rendering="small", **small)
    put("2024/06/hill-tiny.jpg", "hill", rendering="tiny", width=400, height=300)
    put("2024/06/copy/sea.jpg", "sea")
    for number in range(3):
        put(f"2024/05/party{number}.jpg", "party", exposure=str(number))


def first(draft: DecisionDraft) -> int:
    return next(file for file in draft.photos if file != draft.keeper)


def as_proposed(draft: DecisionDraft) -> None:
    del draft


def all_different(draft: DecisionDraft) -> None:
    for file in list(draft.marks):
        draft.toggle_different(file)


STEPS: tuple[Step, ...] = (
    ("lake.jpg", as_proposed),
    ("sea.jpg", lambda draft: draft.toggle(first(draft))),
    ("hill.jpg", lambda draft: draft.make_keeper(first(draft))),
    ("town.jpg", all_different),
    ("", None),
    ("tree.jpg", as_proposed),
    ("", None),
    ("party0.jpg", lambda draft: draft.toggle_different(first(draft))),
    ("town.jpg", as_proposed),
)


class Terminal:
    """The terminal's reviewer without its screen."""

    def __init__(self, socket: Path) -> None:
        self.state = ReviewState()
        self.line = DaemonLink(socket, self._take)
        self.follower = Follower(self.line, self.state, self)
        self.queue = ActionQueue(self.line, self.state, self.follower, self)
        self.said: list[str] = []
        self._beside: list[asyncio.Task[None]] = []
        self._connected = asyncio.Event()

    def _take(self, message: object) -> None:
        match message:
            case Connected(hello=hello):
                self.follower.connected(hello)
                self._connected.set()
            case NoticeReceived(notice=notice):
                self.follower.take_notice(notice)
            case _:
                pass

    def publish(self, topic: Topic) -> None:
        pass

    def note(self, text: str, kind: str = "") -> None:
        self.said.append(text)

    tell = note

    def run_in_background(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        self._beside.append(asyncio.create_task(work()))

    async def __aenter__(self) -> Self:
        self._beside += [asyncio.create_task(self.line.run()), asyncio.create_task(self.queue.run())]
        await asyncio.wait_for(self._connected.wait(), 30)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)

    async def groups(self) -> list[GroupView]:
        return (await self.line.ask(GetGroups(), GroupsPage)).groups

    async def decide(self, id: int, decide: Decide) -> None:
        detail = await self.follower.detail(id)
        assert detail is not None
        draft = DecisionDraft(detail)
        decide(draft)
        self.queue.act(Action(label="", requests=draft.requests(), groups=(id,), before=(draft.group,)))
        await self.queue.idle()

    async def take_back(self) -> None:
        assert self.queue.undo() is not None
        await self.queue.idle()


class Browser:
    """What the pages' scripts ask of the JSON API, in their order (acts.js, undoing.js)."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._done: list[Action] = []

    async def groups(self) -> list[GroupView]:
        return msgspec.convert(await self._served.get("/api/groups"), GroupsPage).groups

    async def _send(self, requests: list[list[Any]]) -> list[Acted]:
        found: list[Acted] = []
        for path, body in requests:
            said = await self._served.act(path, **body)
            assert said.status_code == 200, said.text
            found.append(msgspec.convert(said.json(), Acted))
        return found

    async def decide(self, id: int, decide: Decide) -> None:
        detail = msgspec.convert(await self._served.get(f"/api/groups/{id}"), GroupDetail)
        draft = DecisionDraft(detail)
        decide(draft)
        action = Action(label="", groups=(id,), before=(draft.group,), done=True)
        for acted in await self._send(as_http(draft.requests())):
            action.add(acted)
        self._done.append(action)

    async def take_back(self) -> None:
        action = self._done.pop()
        back = await self._send(as_http(action.undo_requests()))
        lessons = [lesson for acted in back for lesson in acted.lessons]
        status = msgspec.convert(await self._served.get("/api/status"), StatusView)
        if lessons and action.would_wait({root.path for root in status.root_details if root.consented}):
            await self._send([["/api/lessons/forget", {"lessons": ids}] for ids in batched(lessons)])


async def follow(reviewer: Terminal | Browser, calm: Callable[[], Awaitable[None]]) -> None:
    for name, decide in STEPS:
        if decide is None:
            await reviewer.take_back()
        else:
            (id,) = [group.id for group in await reviewer.groups() if group.keep.endswith(f"/{name}")]
            await reviewer.decide(id, decide)
        await calm()


def left(daemon: TwinEyedDaemon, folder: Path) -> dict[str, Any]:
    """What both must agree on: groups, lessons, moves and files, without ids and times."""
    settings: Settings = daemon.config.settings
    with closing(LibraryView(settings, daemon.places)) as view:
        groups = view.reviewer.groups(view.group_rows(limit=1000)[0])
        moves = view.reviewer.moves(view.ledger.journal.page(None, None, 0, 1000)[0])
        return {
            "groups": sorted(
                (g.keep, g.state, g.relation, sorted(g.duplicates), sorted(g.review), sorted(g.moved_to.items()))
                for g in groups
            ),
            "lessons": sorted((x.kind, *sorted((x.a, x.b)), *sorted(x.paths)) for x in view.reviewer.lessons()),
            "moves": [(m.src, m.dst, m.relation, m.state, m.keeper) for m in moves],
            "files": sorted(
                str(path.relative_to(folder))
                for path in (folder / "Pictures").rglob("*")
                if path.is_file() and "summary" not in str(path) and not path.name.startswith(".dedupd")
            ),
        }  # fmt: skip


async def test_both_reviewers_leave_the_same_ledger(serve: Serve, tmp_path: Path) -> None:
    found: dict[str, dict[str, Any]] = {}
    for way in ("terminal", "browser"):
        folder = tmp_path / way
        photos(folder / "Pictures")
        async with living_daemon(folder) as daemon:
            if way == "terminal":
                async with Terminal(daemon.places.socket) as terminal:
                    await follow(terminal, daemon.calm)
            else:
                async with serve(daemon.config.settings, places=daemon.places) as served:
                    await follow(Browser(served), daemon.calm)
            found[way] = left(daemon, folder)
    assert found["terminal"] == found["browser"]
    ours = found["browser"]
    assert {kind for kind, *_ in ours["lessons"]} == {"same", "different", "keep"}
    assert {state for *_, state, _ in ours["moves"]} == {"moved", "undone"}
    assert any(keep.endswith("tree.jpg") and state == "proposed" for keep, state, *_ in ours["groups"]), (
        "it waits again"
    )
