"""The pages for people, beside a scripted daemon: what they show, and that no name gets into them as markup."""

from __future__ import annotations

import asyncio
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dedupd.core.photo import Holding
from dedupd.protocol.views import EvidenceView, LessonView, MoveView, StatusView
from dedupd.web import pages
from dedupd.web.asked import Asked
from dedupd.web.daemon_connection import DaemonConnection
from dedupd.web.reading import LibraryReading
from tests.fakes.daemon import FakeDaemon
from tests.pipeline.test_held_better import moved_before
from tests.pipeline.test_held_changes import moved_before as moved_shot
from tests.support.shelf import Shelf
from tests.web.conftest import Serve, Served, refused

MONTH = "/months/2024-06"
PAGES = (
    "/",
    MONTH,
    f"{MONTH}?settled=1",
    f"{MONTH}/approve",
    "/groups/1",
    "/history",
    "/lessons",
    "/settings",
    "/docs",
)
HOSTILE = (
    "2024/06/<script>alert(1)</script>.jpg",
    "2024/06/\"' onerror=alert(1) x='.jpg",
    "2024/06/\u202egpj.exe.jpg",
    "2024/06/line\nbreak\x1b[31m\x00.jpg",
    "2024/06/caf\udce9.jpg",
    "2024/06/{{ 7*7 }}</title></main>.jpg",
)


class Page(HTMLParser):
    """What of a page a browser would run, load or say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.said: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.said.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.said))


async def page(served: Served, path: str, status: int = 200) -> Page:
    response = await served.client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == status, response.text[:500]
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return Page(response.text)


async def test_without_the_token_no_page_is_shown(served: Served) -> None:
    for path in PAGES:
        said = await served.stranger.get(path, headers={"Accept": "text/html"})
        assert said.status_code == 401 and "IMG" not in said.text, path


async def test_names_that_are_markup_stay_names(served: Served, daemon: FakeDaemon) -> None:
    group, photos = daemon.groups[3], daemon.photos[3]
    for number, hostile in enumerate(HOSTILE):
        names = [hostile, *(f"{hostile} {i}" for i in range(1, len(photos)))]
        group.keep, group.review, group.duplicates = names[0], names[1:], []
        group.reasons, group.root = [hostile], f"/home/{hostile}"
        group.why = dict.fromkeys(names[1:], hostile)
        group.evidence = {name: EvidenceView(relation="copy", only_here=[hostile]) for name in names[1:]}
        group.files = {name: photo.file for name, photo in zip(names, photos, strict=True)}
        for name, photo in zip(names, photos, strict=True):
            photo.path = photo.where = photo.camera = name
            photo.software, photo.holds = hostile, [hostile]
        daemon.roots[0].path, daemon.roots[0].note, daemon.attention = group.root, hostile, [hostile]
        daemon.moves = [
            MoveView(
                id=1, batch=hostile, group=3, root=group.root, src=hostile, dst=hostile, relation="copy", size=1,
                state="moved", at=0.0, keeper=hostile, error=hostile, month="2024-06",
            )
        ]  # fmt: skip
        daemon.lessons = [LessonView(id=1, kind=hostile, a=hostile, paths=[hostile])]
        daemon.settings.model = daemon.settings.source = hostile
        served.built.reading.forget_groups()
        for path in (*PAGES, "/groups/3", f"{MONTH}?words={'%3Cscript%3E'}&settled=1"):
            shown = await page(served, path)
            scripts = [] if path.endswith("/approve") else ["/static/main.js"]
            assert [script["src"] for script in shown.all("script")] == scripts, (number, path)
            attributes = [name for _, found in shown.tags for name in found]
            assert not [name for name in attributes if name.startswith("on") or name == "style"], (
                number,
                path,
            )
            assert not set("\u202e\x1b\x00") & set(shown.words + repr(shown.tags)), (number, path)
        shown = await page(served, "/groups/3")
        assert pages.plain(hostile.rsplit("/", 1)[-1]) in shown.words


async def test_every_picture_says_which_file_it_shows(served: Served, daemon: FakeDaemon) -> None:
    shown = await page(served, MONTH)
    images = shown.all("img")
    assert len(images) == sum(
        len(p) for id, p in daemon.photos.items() if daemon.groups[id].month == "2024-06"
    )
    assert all(re.fullmatch(r"/api/pictures/\d+\?side=(256|512)", image["src"]) for image in images)
    first = daemon.groups[1]
    assert any(
        image["alt"].startswith(first.keep.rsplit("/", 1)[-1]) and "keeper" in image["alt"]
        for image in images
    )
    alts = [image["alt"] for image in (await page(served, "/groups/1")).all("img")]
    assert all(re.search(r"\.jpg, \d+×\d+ · [\d.]+ MP, [\d.]+ [kM]?B", alt) for alt in alts if alt), alts


async def test_the_months_tell_what_waits_and_where_to_go(served: Served, daemon: FakeDaemon) -> None:
    daemon.held_better, daemon.attention, daemon.waits = 2, ["a disk is full"], "on battery at 20 %"
    shown = await page(served, "/")
    assert {"/months/2024-06?root=0", "/months/2024-05?root=0"} <= {
        link.get("href") for link in shown.all("a")
    }
    for words in (
        "groups wait", "a disk is full", "2 moved files hold more", "ready to move",
        "Heavy work waits: on battery at 20 %",
    ):  # fmt: skip
        assert words in shown.words, words
    assert "waits: on battery at 20 %" in (await page(served, "/lessons")).words


async def test_what_was_changed_is_told_listed_and_can_be_brought_back(serve: Serve, shelf: Shelf) -> None:
    moved_shot(shelf, island=0.3)
    assert shelf.library.passes.check_held() == 1
    async with serve(shelf.library.settings) as served:
        shown = await page(served, "/")
        assert "1 moved photo may show what the photo that stayed does not" in shown.words
        assert "2024/06/duplicates/moved.jpg: something small was changed in its place" in shown.words
        assert "/groups/1" in {link.get("href") for link in shown.all("a")}
        assert shown.words.count("something small was changed") == 1, "not as a sentence once more"
        assert [b["data-files"] for b in shown.all("button") if b.get("id") == "bring-back"] == ["1 photo"]
        assert "would stay today: something small was changed" in (await page(served, "/groups/1")).words


async def test_a_request_brings_back_what_was_changed(served: Served, daemon: FakeDaemon) -> None:
    daemon.held_changed = 2
    assert "2 moved photos may show" in (await page(served, "/")).words
    done = await served.act("/api/undo", held_changed=True)
    assert (done.status_code, done.json()["restored"]) == (200, 2)
    assert "may show" not in (await page(served, "/")).words
    assert (await served.act("/api/undo", held_changed=True, last=True)).status_code == 422


async def test_without_daemon_and_state_the_pages_say_what_to_do(alone: Served) -> None:
    assert "dedupd run" in (await page(alone, "/")).words
    assert (await page(alone, MONTH, 409)).words.count("nothing in") == 1
    assert "Settings" in (await page(alone, "/settings")).words


async def test_classes_filters_and_orders_are_addresses(served: Served, daemon: FakeDaemon) -> None:
    def cards(shown: Page) -> list[int]:
        return [int(item["data-id"]) for item in shown.all("li") if "data-id" in item]

    of_month = [g for g in daemon.groups.values() if g.month == "2024-06"]
    assert sorted(cards(await page(served, MONTH))) == [g.id for g in of_month]
    exact = [g.id for g in of_month if g.relation == "exact"]
    assert sorted(cards(await page(served, f"{MONTH}?relation=exact"))) == exact
    word = of_month[1].keep.rsplit("/", 1)[-1]
    assert cards(await page(served, f"{MONTH}?words={word}")) == [of_month[1].id]
    assert cards(await page(served, f"{MONTH}?words=nothing-has-this")) == []
    freed = [g.bytes + g.review_bytes for g in of_month]
    listed = cards(await page(served, MONTH))
    assert [daemon.groups[id].bytes + daemon.groups[id].review_bytes for id in listed] == sorted(
        freed, reverse=True
    )
    alike = cards(await page(served, f"{MONTH}?alike={exact[0]}"))
    assert exact[0] in alike and len(alike) < len(of_month)
    for wrong in ("?order=x", "?relation=x", "?root=-1", "?offset=x", "?root=9"):
        assert (await served.client.get(MONTH + wrong)).status_code in (404, 422), wrong


async def test_a_month_of_many_groups_comes_in_pages(
    served: Served, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "CARDS", 3)
    shown = await page(served, MONTH)
    assert len([item for item in shown.all("li") if "data-id" in item]) == 3
    (following,) = [link["href"] for link in shown.all("a") if link.get("rel") == "next"]
    assert following == "?offset=3"
    rest = await page(served, MONTH + following)
    assert len([item for item in rest.all("li") if "data-id" in item]) == 1
    del daemon


async def test_a_month_is_listed_from_the_ledger_as_the_daemon_tells_it(shelf: Shelf, tmp_path: Path) -> None:
    """Its list comes from an outline of each group; whole groups are read again only when their outline is another."""
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg", "lake")
    shelf.small("2024/06/a-tiny.jpg", "lake", rendering="tiny")
    shelf.add("2024/06/b.jpg", "sea"), shelf.add("2024/06/b2.jpg", "sea", exposure="2")
    shelf.pair("2024/06/c.jpg", "2024/06/c-small.jpg", "hill")
    shelf.look()
    shelf.library.verdicts.approve([shelf.ledger.groups.all()[-1].id])
    reading = LibraryReading(
        shelf.library.settings, shelf.library.places, DaemonConnection(tmp_path / "nobody")
    )
    root = str(shelf.root)
    try:
        whole = await reading.month(root, "2024-06")
        assert [group.keep for group in whole] == [
            view.keep for view in shelf.library.reviewer.groups(shelf.ledger.groups.all())
        ]
        for outline, group in zip(await reading.outlines(root, "2024-06"), whole, strict=True):
            told = ("id", "root", "month", "relation", "state", "keep", "bytes", "review_bytes", "version")
            assert [getattr(outline, name) for name in told] == [getattr(group, name) for name in told]
        assert {group.state for group in whole} == {"proposed", "review", "settled"}
        shelf.library.verdicts.reject([whole[0].id])
        after = await reading.month(root, "2024-06")
        assert {id(group) for group in after} & {id(group) for group in whole} == {
            id(group) for group in whole[1:]
        }
        assert whole[0] not in after
    finally:
        reading.close()


async def test_a_busy_daemon_does_not_hold_a_page(
    served: Served, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    await page(served, "/")
    asked = asyncio.Event()

    async def silent() -> StatusView:
        asked.set()
        return await asyncio.Future[StatusView]()

    monkeypatch.setattr(served.built.reading, "status", silent)
    served.built.reading.forget_groups()
    async with asyncio.timeout(20):
        assert "photos" in (await page(served, "/")).words
    assert asked.is_set()
    del daemon


async def test_what_is_done_elsewhere_shows_at_once(served: Served, daemon: FakeDaemon) -> None:
    before = (await page(served, MONTH)).all("li")
    asked = len(daemon.asked)
    await page(served, MONTH)
    assert len(daemon.asked) <= asked + 1, "a month that nobody changed is not asked for again"
    await served.act("/api/groups/1/approve", version=1)
    after = (await page(served, MONTH)).all("li")
    assert len([i for i in after if "data-id" in i]) == len([i for i in before if "data-id" in i]) - 1


async def test_the_question_before_many_moves_names_each_file_and_what_would_be_lost(
    served: Served, daemon: FakeDaemon
) -> None:
    group = daemon.groups[1]
    path = (group.duplicates or group.review)[0]
    group.evidence[path].only_here = ["has the colours"]
    shown = await page(served, f"{MONTH}/approve")
    of_month = [g for g in daemon.groups.values() if g.month == "2024-06"]
    for other in of_month:
        for file in (*other.duplicates, *other.review):
            assert file in shown.words
    assert "has the colours" in shown.words and "1 group would put out of sight" in shown.words
    (question,) = [part for part in shown.all("div") if part.get("id") == "question"]
    assert sorted(re.findall(r"\[(\d+),", question["data-refs"])) == [str(g.id) for g in of_month]
    unproven = sum(1 for g in of_month if g.relation in ("burst", "similar"))
    assert unproven and question["data-unproven"] == str(unproven)


async def test_a_comparison_knows_its_group_and_what_comes_next(served: Served, daemon: FakeDaemon) -> None:
    listed = [i["data-id"] for i in (await page(served, f"{MONTH}?root=0")).all("li") if "data-id" in i]
    shown = await page(served, f"/groups/{listed[0]}?root=0")
    (main,) = shown.all("main")
    known = json.loads(main["data-known"])
    assert (known["id"], known["version"]) == (int(listed[0]), 1)
    assert [str(id) for id in known["following"]] == listed[1:]
    assert main["data-after"] == listed[1] and main["data-up"] == f"{MONTH}?root=0"
    assert {p["file"] for p in known["photos"]} == {p.file for p in daemon.photos[int(listed[0])]}


async def test_a_page_that_is_not_there_is_a_page_and_an_api_error_stays_json(served: Served) -> None:
    shown = await page(served, "/groups/99999", 404)
    assert "no group 99999" in shown.words and shown.all("main")
    assert (await page(served, "/nowhere", 404)).all("main")
    api = await served.client.get("/api/groups/99999", headers={"Accept": "text/html"})
    assert api.json()["error"]["code"] == "not_found"


async def test_a_group_that_has_another_id_is_found_by_its_keeper(served: Served, daemon: FakeDaemon) -> None:
    await page(served, "/groups/3?root=0&relation=copy")
    group = daemon.groups.pop(3)
    served.built.reading.forget_groups()
    assert "looks again" in (await page(served, "/groups/3?root=0", 404)).words, "not grouped again yet"
    group.id = 99
    daemon.groups[99], daemon.photos[99] = group, daemon.photos.pop(3)
    served.built.reading.forget_groups()
    said = await served.client.get("/groups/3?root=0&relation=copy", headers={"Accept": "text/html"})
    assert (said.status_code, said.headers["location"]) == (303, "/groups/99?root=0&relation=copy")
    assert refused(await served.client.get("/api/groups/3")) == (404, "not_found"), (
        "programs name what they saw"
    )
    await page(served, "/groups/4")
    del daemon.groups[4]
    served.built.reading.forget_groups()
    await page(served, "/groups/4", 404)


async def test_history_offers_to_put_back_what_lies_in_duplicates(served: Served) -> None:
    await served.act("/api/groups/1/approve", version=1)
    shown = await page(served, "/history")
    assert any("put-back" in button.get("class", "") for button in shown.all("button"))
    assert "Put back all of this month" in (await page(served, "/history?month=2024-06")).words
    assert any(
        "forget" in button.get("class", "") for button in (await page(served, "/lessons")).all("button")
    )


async def test_scripts_and_styles_are_served_and_load_nothing_from_elsewhere(served: Served) -> None:
    wanted, seen = ["main.js", "dedupd.css", "icon.svg"], set[str]()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        said = await served.client.get(f"/static/{name}")
        assert said.status_code == 200, name
        text = said.text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(
            r"https?://|@import|url\(|innerHTML|insertAdjacentHTML|document\.write|eval\(", text
        ), name
        wanted += re.findall(r'from "\./([a-z_]+\.js)"', text)
    ahead = [link["href"] for link in (await page(served, "/")).all("link") if link["rel"] == "modulepreload"]
    assert sorted(ahead) == sorted(f"/static/{name}" for name in seen if name.endswith(".js"))
    assert seen == {path.name for path in (Path(pages.HERE) / "static").iterdir()}, "all of them are used"


def test_an_address_says_only_what_is_unusual() -> None:
    assert Asked().query() == ""
    assert Asked(root=0, relation="copy").query(offset=60) == "?root=0&relation=copy&offset=60"
    assert html.escape(Asked(words="<&").query()) == "?words=%3C%26"


async def test_what_was_moved_and_holds_more_is_a_class_of_its_own_and_can_be_exchanged(
    serve: Serve, shelf: Shelf
) -> None:
    moved_before(shelf, Holding(colour=20.0))
    assert shelf.library.passes.check_held() == 1
    async with serve(shelf.library.settings) as served:
        assert "1 moved file holds more" in (await page(served, "/")).words
        listed = f"{MONTH}?relation=better"
        assert listed.partition("?")[2] in {
            link["href"].lstrip("?") for link in (await page(served, MONTH)).all("a")
        }
        shown = await page(served, listed)
        assert [item["data-id"] for item in shown.all("li") if "data-id" in item] == ["1"]
        assert "has the colours" in shown.words and "Exchange these" in shown.words
        asked = await page(served, f"{MONTH}/approve?relation=better")
        assert (
            "1 file in duplicates/ holds more" in asked.words
            and "moved.jpg: it has the colours" in asked.words
        )
        assert "moved.jpg lies in duplicates/ and holds more" in (await page(served, "/groups/1")).words
