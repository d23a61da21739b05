"""One picture, in whichever way the terminal can show it, or the words for why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.widget import Widget

from dedupd.tui.widgets.spans import Words

if TYPE_CHECKING:
    from dedupd.tui.imaging import Picture as Pixels


class Picture(Widget):
    """Centred, as large as fits, its proportions kept."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: Any = None
        self._note = ""
        self.pixels: Pixels | None = None

    def compose(self) -> ComposeResult:
        yield Words(classes="picture--note")

    def say(self, note: str) -> None:
        """Words instead of a picture."""
        self.pixels = None
        if self._shown is not None:
            self._shown.display = False
        words = self.query_one(Words)
        words.say([(note, "dim")])
        words.display = True

    async def show(self, pixels: Pixels, widget: type[Any]) -> None:
        """`widget` is textual-image's class for this terminal."""
        if pixels is self.pixels:
            return
        self.pixels = pixels
        if self._shown is None:
            self._shown = widget(pixels)
            await self.mount(self._shown)
        else:
            self._shown.image = pixels
        self._shown.display = True
        self.query_one(Words).display = False
