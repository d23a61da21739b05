"""One picture, in whichever way the terminal can show it, or the words for why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.segment import Segment
from textual.app import ComposeResult
from textual.strip import Strip
from textual.widget import Widget

from dedupd.tui.widgets.spans import Words

if TYPE_CHECKING:
    from dedupd.tui.gallery import Gallery
    from dedupd.tui.imaging import Picture as Pixels


class Blocks(Widget):
    """Rows of coloured cells, made elsewhere; drawn in the middle."""

    lines: list[list[Segment]] = []  # noqa: RUF012 - replaced, never changed

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        row = y - (self.size.height - len(self.lines)) // 2
        if not 0 <= row < len(self.lines):
            return Strip.blank(width, base)
        line = self.lines[row]
        left = max(0, (width - sum(len(segment.text) for segment in line)) // 2)
        return Strip([Segment(" " * left, base), *line]).adjust_cell_length(width, base)


class Picture(Widget):
    """Centred, as large as fits, its proportions kept."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._graphics: Any = None
        self._gallery: Gallery | None = None
        self._note = Words(classes="picture--note")
        self._blocks = Blocks()
        self.pixels: Pixels | None = None

    def compose(self) -> ComposeResult:
        yield self._note
        yield self._blocks

    @property
    def drawn(self) -> bool:
        """A picture is on the screen."""
        return self.pixels is not None and not self._note.display

    def say(self, note: str) -> None:
        """Words instead of a picture."""
        self.pixels = None
        self._note.say([(note, "dim")])
        self._only(self._note)

    async def show(self, pixels: Pixels, gallery: Gallery) -> None:
        """Draws once the picture is ready for this terminal and size."""
        if pixels is self.pixels:
            return
        await gallery.ready()
        # `pixels` is set only with what it draws: a show that is cut short must not count as done.
        if gallery.widget_class is None:
            lines = await self._fitting(pixels, gallery)
            self.pixels, self._gallery = pixels, gallery
            self._draw_blocks(lines)
        else:
            await self._draw_graphics(pixels, gallery.widget_class)
            self.pixels, self._gallery = pixels, gallery

    def on_resize(self) -> None:
        if self.pixels is not None and self._gallery is not None and self._gallery.widget_class is None:
            self.run_worker(self._redraw(self.pixels, self._gallery), exclusive=True)

    async def _redraw(self, pixels: Pixels, gallery: Gallery) -> None:
        lines = await self._fitting(pixels, gallery)
        if pixels is self.pixels:
            self._draw_blocks(lines)

    async def _fitting(self, pixels: Pixels, gallery: Gallery) -> list[list[Segment]]:
        """Blocks for the size there is once they are ready: it may change while they are made."""
        while True:
            size = self.size
            lines = await gallery.blocks(pixels, max(1, size.width), max(1, size.height))
            if size == self.size:
                return lines

    def _draw_blocks(self, lines: list[list[Segment]]) -> None:
        self._blocks.lines = lines
        self._blocks.refresh()
        self._only(self._blocks)

    async def _draw_graphics(self, pixels: Pixels, kind: type[Any]) -> None:
        if not self.is_attached:
            return
        if self._graphics is None:
            self._graphics = kind(pixels)
            await self.mount(self._graphics)
        else:
            self._graphics.image = pixels
        self._only(self._graphics)

    def _only(self, shown: Widget) -> None:
        for child in self.children:
            child.display = child is shown
