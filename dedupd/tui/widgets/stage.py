"""The pictures of one group side by side: which are in sight, where one looks, difference and blink. Decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.geometry import Size
from textual.message import Message
from textual.timer import Timer

from dedupd.protocol.messages import PhotoView
from dedupd.tui.model.decisions import Draft, Mark
from dedupd.tui.model.facts import differing
from dedupd.tui.model.words import plural
from dedupd.tui.model.zoom import FULL, View
from dedupd.tui.pictures.painter import Painter
from dedupd.tui.widgets.pane import Pane
from dedupd.tui.widgets.spans import Spans

if TYPE_CHECKING:
    from dedupd.tui.app import ReviewApp

MOST = 5
"""Pictures beside each other."""
_PANE_WIDTH = 36
"""Columns a picture needs to be worth looking at."""
_BLINK = 0.5
"""Seconds."""


class Stage(Horizontal):
    """Shows a draft over the whole width; `view` and `differs` are set by who owns it, then `redraw`.

    It goes by the app's size, known before the first layout: what opens is painted once.
    """

    @dataclass
    class Blinked(Message):
        """The other one of keeper and candidate is shown now."""

    def __init__(self) -> None:
        super().__init__(id="panes")
        self.panes: list[Pane] = [Pane(), Pane()]
        """As many as were needed so far."""
        self.view: View = FULL
        self.differs = False
        self._draft: Draft | None = None
        self._looked_at = 0
        self._blinking: Timer | None = None
        self._blinked = False
        self._painting = False

    def compose(self) -> ComposeResult:
        yield from self.panes

    def on_mount(self) -> None:
        self._painter = Painter(cast("ReviewApp", self.app).gallery)

    def forget_view(self) -> None:
        """Another group: the whole pictures, as they are."""
        self.view, self.differs = FULL, False
        self._stop_blinking()

    def show(self, draft: Draft, looked_at: int) -> None:
        """Panes and pictures of the draft; looked_at: file id of the one in focus."""
        if looked_at != self._looked_at:
            self._blinked = False
        self._draft, self._looked_at = draft, looked_at
        shown = self.in_sight()
        if more := [Pane() for _ in range(len(self.panes), len(shown))]:
            self.panes += more
            self.mount(*more)
        for index, pane in enumerate(self.panes):
            pane.display = index < len(shown)
            # All of one width, to the cell: else the same picture would be drawn in two sizes.
            pane.styles.width = self._room.width // len(shown)
        self._show_facts(draft, shown)
        self.run_worker(self._paint(), group="paint", exclusive=True)

    @property
    def _room(self) -> Size:
        return cast("ReviewApp", self.app).size

    def in_sight(self) -> list[PhotoView]:
        """Keeper first, then a window of candidates that holds the one in focus."""
        if self._draft is None:
            return []
        photos = self._draft.photos
        others = [photo for file, photo in photos.items() if file != self._draft.keeper]
        room = max(1, min(MOST, self._room.width // _PANE_WIDTH) - 1)
        at = next((i for i, photo in enumerate(others) if photo.file == self._looked_at), 0)
        first = max(0, min(at - room // 2, len(others) - room))
        return [photos[self._draft.keeper], *others[first : first + room]]

    def badges(self) -> Spans:
        """What is not as usual about the view, in words."""
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

    def _show_facts(self, draft: Draft, shown: Sequence[PhotoView]) -> None:
        room = max(3, min(11, (self._room.height - 12) // 4))
        facts = differing(shown)[:room]
        width = max(10, self._room.width // len(shown) - 3)
        for index, photo in enumerate(shown):
            pane, mark = self.panes[index], draft.mark(photo.file)
            pane.set_class(photo.file == self._looked_at, "looked-at")
            pane.give_facts(room)
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
                await picture.show(pixels, cast("ReviewApp", self.app).gallery)

    def _blink(self) -> None:
        if self._painting:
            return  # a slow machine blinks slower, it does not stop showing
        self._blinked = not self._blinked
        self.post_message(self.Blinked())
        self.run_worker(self._paint(), group="paint", exclusive=True)

    def _stop_blinking(self) -> None:
        if self._blinking:
            self._blinking.stop()
        self._blinking, self._blinked = None, False
