"""A reviewer driven by a pilot, in front of a daemon that only talks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from dedupd.protocol.messages import GroupView
from dedupd.tui.app import ReviewApp
from dedupd.tui.widgets.rows import Rows
from dedupd.tui.widgets.spans import Words
from tests.fakes.daemon import FakeDaemon

NOW = 1_750_000_000.0
PATIENCE = 10.0


@dataclass
class Review:
    """App, pilot and daemon, with the few things that every test does."""

    app: ReviewApp
    pilot: Pilot[None]
    fake: FakeDaemon

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Waits for what other tasks must do first; the clock only ends a test that would hang."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not condition():
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"never happened: {what or condition}\n{self.text()}")
            await self.pilot.pause(0.01)

    async def settled(self) -> None:
        """Everything asked for is done and the screen has followed."""
        await self.app.hands.idle()
        await self.until(lambda: not self.app.library.acting)
        await self.pilot.pause()

    async def open_month(self) -> None:
        await self.until(lambda: self.app.library.months, "months")
        await self.press("enter")
        await self.until(lambda: len(self.app.library.loaded) == 1, "groups")
        await self.pilot.pause()

    async def open_group(self) -> None:
        await self.open_month()
        await self.press("enter")
        await self.shown()

    async def shown(self) -> None:
        """The comparison shows the group it stands on."""
        screen: Any = self.app.screen
        await self.until(lambda: screen.draft is not None and screen.draft.group.id == screen.id_now, "the group")
        await self.pilot.pause()

    def rows(self) -> Rows[Any]:
        return self.app.screen.query_one(Rows)

    def group(self, id: int) -> GroupView:
        return self.fake.groups[id]

    def words(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Words).content)

    def text(self) -> str:
        """Everything that is on the screen, as plain lines."""
        return "\n".join("".join(segment.text for segment in strip) for strip in self.app.screen._compositor.render_strips())


Reviewing = Callable[..., AbstractAsyncContextManager[Review]]


@pytest.fixture
def reviewing(tmp_path: Path) -> Reviewing:
    """`async with reviewing(groups=10) as review:`; online=False leaves the daemon unstarted."""

    @asynccontextmanager
    async def start(
        *, size: tuple[int, int] = (100, 30), online: bool = True, images: str = "half", prepare: Any = None, **fake: Any
    ) -> AsyncIterator[Review]:
        daemon = FakeDaemon(tmp_path / "s", tmp_path, **fake)
        if prepare is not None:
            prepare(daemon)
        if online:
            await daemon.start()
        app = ReviewApp(tmp_path / "s", images=images, now=lambda: NOW)  # type: ignore[arg-type]
        try:
            async with app.run_test(size=size) as pilot:
                review = Review(app, pilot, daemon)
                if online:
                    await review.until(lambda: app.library.online, "the line")
                    await review.until(lambda: app.library.months, "the months")
                    await pilot.pause()
                yield review
        finally:
            daemon.hold.set()
            await daemon.stop()

    return start
