"""A reviewer driven by a pilot, in front of a daemon that only talks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input

from dedupd.protocol.views import GroupView
from dedupd.tui.app import ReviewApp
from dedupd.tui.screens.confirm import Confirm
from dedupd.tui.widgets.row_list import RowList
from dedupd.tui.widgets.spans import Words
from tests.fakes.daemon import FakeDaemon

NOW = 1_750_000_000.0
PATIENCE = 60.0
"""Seconds until a wait is a failure, on a machine that is busy with other things."""


@dataclass
class Review:
    """App, pilot and daemon, with the few things that every test does."""

    app: ReviewApp
    pilot: Pilot[None]
    fake: FakeDaemon

    async def press(self, *keys: str) -> None:
        """As pilot.press, but ends when the messages are handled, not when the processor is idle: it never is here."""
        for key in keys:
            self.tap(key)
            await self.calm()

    def tap(self, key: str) -> None:
        """A key, and no wait for what it does."""
        self.app.post_message(events.Key(key, key if len(key) == 1 else None))

    async def write(self, text: str) -> None:
        """Text into the input that has the focus, then Enter."""
        await self.until(lambda: isinstance(self.app.focused, Input), "an input")
        await self.pilot.press(*text, "enter")

    async def calm(self) -> None:
        """A key goes from app to screen to widget and back up: a round of messages for each."""
        for _ in range(3):
            await self.pilot.pause(0)

    async def asked(self) -> None:
        """A dialog waits for an answer."""
        await self.until(
            lambda: isinstance(self.app.screen, Confirm) and self.app.focused is not None, "a dialog"
        )

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Waits for what other tasks must do first; the clock only ends a test that would hang."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not condition():
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"never happened: {what or condition}\n{self.text()}")
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        """Everything asked for is done and the screen has followed."""
        await self.app.action_queue.idle()
        await self.until(lambda: not self.app.state.acting)
        await self.calm()

    async def open_month(self) -> None:
        await self.until(lambda: self.app.state.months, "months")
        await self.press("enter")
        await self.until(lambda: len(self.app.state.loaded) == 1, "groups")
        await self.calm()

    async def open_group(self) -> None:
        await self.open_month()
        await self.press("enter")
        await self.shown()

    async def shown(self) -> None:
        """The comparison shows the group it stands on."""
        screen: Any = self.app.screen
        await self.until(
            lambda: screen.draft is not None and screen.draft.group.id == screen.id_now, "the group"
        )
        await self.calm()

    def rows(self) -> RowList[Any]:
        return self.app.screen.query_one(RowList)

    def group(self, id: int) -> GroupView:
        return self.fake.groups[id]

    def words(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Words).content)

    async def without_toasts(self) -> None:
        """As when their time is over."""
        self.app.clear_notifications()
        await self.until(lambda: not self.app.screen.query("Toast"), "no toast")
        await self.calm()

    def text(self) -> str:
        """Everything that is on the screen, as plain lines."""
        return "\n".join(
            "".join(segment.text for segment in strip)
            for strip in self.app.screen._compositor.render_strips()
        )


Reviewing = Callable[..., AbstractAsyncContextManager[Review]]


@pytest.fixture
def reviewing(tmp_path: Path) -> Reviewing:
    """`async with reviewing(groups=10) as review:`; online=False leaves the daemon unstarted."""

    @asynccontextmanager
    async def start(
        *,
        size: tuple[int, int] = (100, 30),
        online: bool = True,
        images: str = "off",
        prepare: Any = None,
        **fake: Any,
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
                    await review.until(lambda: app.state.online, "the line")
                    await review.until(lambda: app.state.months, "the months")
                    await review.calm()
                yield review
        finally:
            daemon.hold.set()
            await daemon.stop()

    return start
