"""The pictures of one group side by side: which ones, which part of them, the difference, and the blink.

Must never change a mark.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from textual.app import App, ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer

from dedupd.protocol.views import PhotoView
from dedupd.reviewing.facts import differing
from dedupd.reviewing.words import plural
from dedupd.tui.model.decisions import DecisionDraft, Mark
from dedupd.tui.model.zoom import UNZOOMED, Viewport
from dedupd.tui.pictures.painter import Painter
from dedupd.tui.pictures.picture_cache import PictureCache
from dedupd.tui.widgets.pane import Pane
from dedupd.tui.widgets.spans import Spans

MOST = 5
"""Pictures side by side at most."""
_PANE_WIDTH = 36
"""Columns that a picture needs at least."""
_BLINK = 0.5
"""Seconds for which keeper and candidate are shown in turn."""


class SideBySide(Horizontal):
    """Shows the pictures of a draft. Its screen sets `view` and `differs`, then calls `show`.

    It uses the app's size, which is known before the first layout, so that a screen that opens is painted
    only once.
    """

    @dataclass
    class Blinked(Message):
        """The blink changed from keeper to candidate or back."""

    def __init__(self, cache: PictureCache) -> None:
        super().__init__(id="panes")
        self._cache, self._painter = cache, Painter(cache)
        self.panes: list[Pane] = [Pane(), Pane()]
        """As many panes as were needed until now."""
        self.view: Viewport = UNZOOMED
        self.differs = False
        self._draft: DecisionDraft | None = None
        self._looked_at = 0
        self._blinking: Timer | None = None
        self._blinked = False
        self._painting = False

    def compose(self) -> ComposeResult:
        yield from self.panes

    def reset_view(self) -> None:
        """Prepare for another group: whole pictures, no difference, no blink."""
        self.view, self.differs = UNZOOMED, False
        self._stop_blinking()

    def show(self, draft: DecisionDraft, looked_at: int) -> None:
        """Show the pictures of the draft. looked_at: file id of the picture in focus."""
        if looked_at != self._looked_at:
            self._blinked = False
        self._draft, self._looked_at = draft, looked_at
        shown = self.in_sight()
        if more := [Pane() for _ in range(len(self.panes), len(shown))]:
            self.panes += more
            self.mount(*more)
        for index, pane in enumerate(self.panes):
            pane.display = index < len(shown)
            # All of the same width, to the cell: otherwise the same picture would have two sizes.
            pane.styles.width = self._room.width // len(shown)
        self._show_facts(draft, shown)
        self.run_worker(self._paint(), group="paint", exclusive=True)

    @property
    def _room(self) -> Size:
        return cast("App[None]", self.app).size

    def in_sight(self) -> list[PhotoView]:
        """The keeper, then as many candidates as have room, among them the one in focus."""
        if self._draft is None:
            return []
        photos = self._draft.photos
        others = [photo for file, photo in photos.items() if file != self._draft.keeper]
        room = max(1, min(MOST, self._room.width // _PANE_WIDTH) - 1)
        at = next((i for i, photo in enumerate(others) if photo.file == self._looked_at), 0)
        first = max(0, min(at - room // 2, len(others) - room))
        return [photos[self._draft.keeper], *others[first : first + room]]

    def badges(self) -> Spans:
        """Zoom, difference and blink in words, and how many pictures are not visible."""
        spans: Spans = []
        for on, word in ((self.view.zoom > 1, f"zoom {self.view.zoom:g}×"), (self.differs, "difference")):
            if on:
                spans += [("   ", ""), (f" {word} ", "badge-warn")]
        if self._blinking:
            spans += [("   ", ""), (" blink: keeper " if self._blinked else " blink: this ", "badge-warn")]
        hidden = (len(self._draft.photos) if self._draft else 0) - len(self.in_sight())
        return [*spans, (f"   {plural(hidden, 'more picture')}: ← →" if hidden > 0 else "", "dim")]

    def toggle_blink(self) -> None:
        if self._blinking:
            self._stop_blinking()
        else:
            self._blinking = self.set_interval(_BLINK, self._blink)

    def _show_facts(self, draft: DecisionDraft, shown: Sequence[PhotoView]) -> None:
        room = max(3, min(11, (self._room.height - 12) // 4))
        facts = differing(shown)[:room]
        width = max(10, self._room.width // len(shown) - 3)
        for index, photo in enumerate(shown):
            pane, mark = self.panes[index], draft.mark(photo.file)
            pane.set_class(photo.file == self._looked_at, "looked-at")
            pane.set_fact_lines(room)
            pane.show(photo, mark, photo.role == "moved" and mark is Mark.KEEP, facts, index, width)

    async def _paint(self) -> None:
        self._painting = True
        try:
            await self._paint_panes()
        finally:
            self._painting = False

    async def _paint_panes(self) -> None:
        if self._draft is None:
            return
        shown, keeper = self.in_sight(), self._draft.photos[self._draft.keeper]
        blinked = self._looked_at if self._blinked else None
        async for index, pixels in self._painter.paint(shown, keeper, self.view, self.differs, blinked):
            picture = self.panes[index].picture
            if isinstance(pixels, str):
                picture.say(pixels)
            else:
                await picture.show(pixels, self._cache)

    def _blink(self) -> None:
        if self._painting:
            return  # a slow machine blinks slower, but shows every picture
        self._blinked = not self._blinked
        self.post_message(self.Blinked())
        self.run_worker(self._paint(), group="paint", exclusive=True)

    def _stop_blinking(self) -> None:
        if self._blinking:
            self._blinking.stop()
        self._blinking, self._blinked = None, False
