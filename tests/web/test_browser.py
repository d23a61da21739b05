"""The pages in a real Chromium: keys and mouse, what follows what others do, and that everybody can use them.

Needs a Chromium of the system's, playwright and axe-playwright-python (`pip install 'dedupd[browser]'`); elsewhere it is skipped.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dedupd.protocol.notices import MonthChanged
from dedupd.protocol.requests import Approve, ForgetLessons, Judge, Reject, Undo
from dedupd.tui.app import ReviewApp
from tests.fakes.daemon import FakeDaemon
from tests.support.living_daemon import living_daemon
from tests.web.conftest import TOKEN, Serve, Served
from tests.web.test_same_ledger import left, photos

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

pytestmark = pytest.mark.browser
PATIENCE = 30.0
MONTH = "/months/2024-06?root=0"
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    playwright = pytest.importorskip(
        "playwright.async_api", reason="playwright is not installed: pip install 'dedupd[browser]'"
    )
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    async with playwright.async_playwright() as started:
        browser = await started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        await browser.close()


async def opened(browser: Browser, served: Served, path: str = "/", **how: Any) -> Page:
    """A window of its own, in which the token has been given; what goes wrong in a script fails the test."""
    context = await browser.new_context(**({"viewport": {"width": 1280, "height": 800}} | how))
    page = await context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
    await page.goto(f"{served.url}/?token={TOKEN}", wait_until="domcontentloaded")
    await page.goto(served.url + path, wait_until="domcontentloaded")
    await page.wait_for_selector("html.scripted")
    return page


async def until(what: Callable[[], object] | Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            found = what()
            if await found if asyncio.iscoroutine(found) else found:
                return
            await asyncio.sleep(0.02)


async def known(page: Page) -> dict[str, Any]:
    """What the comparison on the screen decides about; nothing on other pages."""
    return json.loads(await page.locator("#main").get_attribute("data-known") or "{}")


async def shows(page: Page, kind: str) -> None:
    await page.wait_for_selector(f"main[data-page={kind}]")


async def press(page: Page, *keys: str) -> None:
    for key in keys:
        await page.keyboard.press(key)


# ---- deciding


async def test_a_month_is_settled_with_one_key_a_group(
    chromium: Browser, served: Served, daemon: FakeDaemon
) -> None:
    page = await opened(chromium, served, MONTH)
    await page.wait_for_function("document.activeElement.closest('.card')")
    await press(page, "Enter")
    await shows(page, "compare")
    of_month, keys = [g.id for g in daemon.groups.values() if g.month == "2024-06"], 1
    for settled in range(1, len(of_month) + 1):
        at = (await known(page))["id"]
        await press(page, "a")
        keys += 1
        await until(lambda n=settled: len(daemon.of(Approve)) + len(daemon.of(Judge)) == n)
        if settled < len(of_month):
            await until(lambda at=at: differs(page, at))
    await shows(page, "groups")
    assert {daemon.groups[id].state for id in of_month} <= {"settled", "kept"}
    assert keys / len(of_month) <= 1.3


async def differs(page: Page, id: int) -> bool:
    return (await known(page)).get("id") not in (id, None)


async def test_u_leads_back_to_a_group_that_has_another_number_by_then(
    chromium: Browser, served: Served, daemon: FakeDaemon
) -> None:
    page = await opened(chromium, served, "/groups/1?root=0")
    await press(page, "n")
    await until(lambda: daemon.of(Reject))
    await until(lambda: differs(page, 1))
    group = daemon.groups.pop(1)
    daemon.photos[99], group.id = daemon.photos.pop(1), 99
    daemon.groups[99], daemon.lessons[-1].a = group, "99"
    await daemon.notify(MonthChanged(root=group.root, month=group.month))
    await press(page, "u")
    await until(lambda: daemon.of(ForgetLessons))
    await page.wait_for_url("**/groups/99?root=0")
    assert (await known(page))["waits"] is True


async def test_what_was_approved_waits_again_when_it_is_taken_back(
    chromium: Browser, served: Served, daemon: FakeDaemon
) -> None:
    daemon.roots[0].consented = False
    usual = daemon._undo

    def undo(request: Undo) -> Any:
        acted = usual(request)
        daemon._teach("keep", daemon.groups[1], acted)  # as the real one: what came back stays
        return acted

    daemon._answers = daemon._answers | {Undo: lambda self, request: undo(request)}  # type: ignore[misc]
    page = await opened(chromium, served, "/groups/1?root=0")
    await press(page, "a")
    await until(lambda: daemon.of(Approve))
    await until(lambda: differs(page, 1))
    await press(page, "u")
    await page.wait_for_url("**/groups/1?root=0")
    kept = [lesson.id for lesson in daemon.lessons if lesson.kind == "keep"]
    await until(lambda: not [lesson for lesson in daemon.lessons if lesson.kind == "keep"])
    assert not kept or kept[0] in daemon.of(ForgetLessons)[-1].lessons + daemon.of(ForgetLessons)[0].lessons


async def test_a_whole_group_is_rejected_only_by_a_typed_word(
    chromium: Browser, served: Served, daemon: FakeDaemon
) -> None:
    page = await opened(chromium, served, "/groups/3?root=0")
    await press(page, "R")
    await page.wait_for_selector("#ask[open]")
    await press(page, "a", "Enter")
    assert await page.locator("#ask-yes").is_disabled()
    assert not daemon.of(Reject)
    await press(page, "Escape")
    await page.wait_for_selector("#ask", state="hidden")
    await press(page, "R")
    await page.wait_for_selector("#ask[open]")
    await press(page, *"reject", "Enter")
    await until(lambda: [request.groups[0].id for request in daemon.of(Reject)] == [3])


async def test_by_mouse_and_by_touch(chromium: Browser, served: Served, daemon: FakeDaemon) -> None:
    page = await opened(chromium, served, MONTH)
    first = page.locator(".card").first
    id = int(await first.get_attribute("data-id") or 0)
    await first.locator("[data-act=approve]").click()
    await until(lambda: len(daemon.of(Approve)) + len(daemon.of(Judge)) == 1)
    phone = await opened(
        chromium,
        served,
        f"/groups/{3 if id != 3 else 8}?root=0",
        viewport={"width": 360, "height": 740},
        has_touch=True,
        is_mobile=True,
    )
    await phone.locator(".shot").last.tap()
    await phone.locator("#make-keeper").tap()
    assert "never compared" in await phone.locator("#lost").inner_text()
    await phone.locator("#undo").tap()
    assert await phone.locator("#lost").inner_text() == ""
    await phone.locator("#approve").tap()
    await until(lambda: len(daemon.of(Approve)) + len(daemon.of(Judge)) == 2)


# ---- in step


async def test_two_windows_stay_in_step_and_come_back_after_the_daemon(
    chromium: Browser, served: Served, daemon: FakeDaemon
) -> None:
    one = await opened(chromium, served, MONTH)
    other = await opened(chromium, served, MONTH)
    await until(lambda: one.evaluate("document.activeElement.closest('.card') !== null"))
    waiting = "[...document.querySelectorAll('.card')].filter((card) => card.dataset.waits).length"
    before = await other.evaluate(waiting)
    await press(one, "a")
    await until(lambda: less(other, waiting, before))
    await daemon.stop()
    await until(lambda: says(other, "no daemon answers"))
    await daemon.start()
    await until(lambda: says(other, "idle"))


async def less(page: Page, script: str, than: int) -> bool:
    return await page.evaluate(script) == than - 1


async def says(page: Page, words: str) -> bool:
    return await page.locator("#doing-words").inner_text() == words


async def test_the_same_keys_in_terminal_and_browser_leave_the_same_ledger(
    chromium: Browser, serve: Serve, tmp_path: Path
) -> None:
    keys = ("a", "n", "space", "a", "u", "a")
    found: dict[str, Any] = {}
    for way in ("terminal", "browser"):
        folder = tmp_path / way
        photos(folder / "Pictures")
        async with living_daemon(folder) as daemon:
            if way == "terminal":
                await by_terminal(daemon.places.socket, keys, daemon.calm)
            else:
                async with serve(daemon.config.settings, places=daemon.places) as served:
                    page = await opened(chromium, served, MONTH)
                    await page.wait_for_function("document.activeElement.closest('.card')")
                    await press(page, "Enter")
                    await shows(page, "compare")
                    for key in keys:
                        await press(page, " " if key == "space" else key)
                        await asyncio.sleep(0.3)
                        await daemon.calm()
                        await asyncio.sleep(0.7)
            found[way] = left(daemon, folder)
    assert found["terminal"] == found["browser"]
    assert len(found["browser"]["moves"]) >= 2 and found["browser"]["lessons"]


async def by_terminal(socket: Path, keys: tuple[str, ...], calm: Callable[[], Awaitable[None]]) -> None:
    app = ReviewApp(socket, images="off")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(lambda: app.state.months)
        months = sorted(app.state.months, key=lambda key: key[1])
        assert len(months) == 2
        await pilot.press("enter")  # the newest month
        await until(lambda: app.state.loaded)
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(lambda: getattr(app.screen, "draft", None) is not None)
        for key in keys:
            await pilot.press(key)
            await app.action_queue.idle()
            await calm()
            await pilot.pause(0.7)


# ---- everybody


@pytest.mark.parametrize(("width", "dark"), [(360, False), (360, True), (1280, True), (3840, False)])
async def test_axe_finds_nothing_and_nothing_runs_off_the_screen(
    dark: bool, width: int, chromium: Browser, served: Served, daemon: FakeDaemon
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.async_playwright", reason="axe-playwright-python is not installed"
    ).Axe()
    daemon.held_better, daemon.held_changed, daemon.attention = 2, 3, ["a disk is full"]
    await served.act("/api/groups/2/approve", version=1)
    page = await opened(
        chromium, served, viewport={"width": width, "height": 740}, color_scheme="dark" if dark else "light"
    )
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}
    for path in (
        "/",
        MONTH,
        f"{MONTH}&settled=1",
        "/groups/3?root=0",
        "/groups/2?root=0",
        "/history",
        "/lessons",
        "/settings",
        "/docs",
    ):
        await page.goto(served.url + path, wait_until="domcontentloaded")
        await page.wait_for_selector("html.scripted")
        await page.wait_for_timeout(200)
        found = await axe.run(page, options=rules)
        told = [
            (each["id"], [node["html"][:200] for node in each["nodes"][:3]])
            for each in found.response["violations"]
        ]
        assert told == [], path
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
