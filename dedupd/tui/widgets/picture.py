"""One picture, in whichever way the terminal can show it, or the words for why not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from dedupd.tui.words import fit, plain

if TYPE_CHECKING:
    from dedupd.tui.gallery import Gallery
    from dedupd.tui.imaging import Picture as Pixels


class Picture(Widget):
    """Centred, as large as fits, its proportions kept.

    Coloured blocks and words it draws itself: a widget more for each would be felt whenever a screen opens. Only
    real pixels are a widget of their own, textual-image's.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"picture--note"}

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[Segment]] = []
        """Rows of coloured cells, made elsewhere."""
        self.pixels: Pixels | None = None
        self._note = ""
        self._graphics: Any = None
        self._gallery: Gallery | None = None

    @property
    def drawn(self) -> bool:
        """A picture is on the screen."""
        return self.pixels is not None

    def say(self, note: str) -> None:
        """Words instead of a picture."""
        if self._note == plain(note):
            return
        self.pixels, self.lines, self._note = None, [], plain(note)
        self._show_graphics(False)
        self.refresh()

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

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.visual_style.rich_style
        if self._note:
            if y != (self.size.height - 1) // 2:
                return Strip.blank(width, base)
            note = fit(self._note, min(width, cell_len(self._note)))
            line = [Segment(note, base + self.get_component_rich_style("picture--note", partial=True))]
        else:
            row = y - (self.size.height - len(self.lines)) // 2
            if not 0 <= row < len(self.lines):
                return Strip.blank(width, base)
            line = self.lines[row]
        left = max(0, (width - sum(cell_len(segment.text) for segment in line)) // 2)
        return Strip([Segment(" " * left, base), *line]).adjust_cell_length(width, base)

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
        self.lines, self._note = lines, ""
        self._show_graphics(False)
        self.refresh()

    async def _draw_graphics(self, pixels: Pixels, kind: type[Any]) -> None:
        if not self.is_attached:
            return
        if self._graphics is None:
            self._graphics = kind(pixels)
            await self.mount(self._graphics)
        else:
            self._graphics.image = pixels
        self.lines, self._note = [], ""
        self._show_graphics(True)

    def _show_graphics(self, shown: bool) -> None:
        if self._graphics is not None:
            self._graphics.display = shown
