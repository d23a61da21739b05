# pyright: reportPrivateUsage=false, reportUnknownMemberType=false
"""A widget that shows one picture as the terminal can, or the words for why it cannot.

Must never load or decode a picture itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len
from rich.segment import ControlType, Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets._toast import Toast

from dedupd.reviewing.words import fit, plain

if TYPE_CHECKING:
    from dedupd.tui.pictures.drawing import Drawing
    from dedupd.tui.pictures.imaging import Pixels
    from dedupd.tui.pictures.picture_cache import PictureCache


class PictureView(Widget):
    """The picture is centred and as large as fits, its proportions kept.

    One widget draws words, blocks and pixels: a widget for each would make every screen open slower.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"picture-view--note"}

    def __init__(self) -> None:
        super().__init__()
        self.drawing: Drawing | None = None
        self.pixels: Pixels | None = None
        self._note = ""
        self._cache: PictureCache | None = None

    @property
    def drawn(self) -> bool:
        """A picture is shown, not words."""
        return self.pixels is not None

    def say(self, note: str) -> None:
        """Show words instead of a picture."""
        if self._note == plain(note):
            return
        self.pixels, self._note = None, plain(note)
        self._draw(None)

    @property
    def lines(self) -> list[list[Segment]]:
        """The picture's rows of cells."""
        return self.drawing.lines if self.drawing is not None else []

    async def show(self, pixels: Pixels, cache: PictureCache) -> None:
        """Show a picture, once it is drawn for this terminal and size."""
        if pixels is self.pixels:
            return
        # `pixels` is set only together with its drawing: a cancelled `show` must not count as done.
        drawing = await self._fitting(pixels, cache)
        if self.is_attached:
            self.pixels, self._cache, self._note = pixels, cache, ""
            self._draw(drawing)

    def on_resize(self) -> None:
        if self.pixels is not None and self._cache is not None:
            self.run_worker(self._redraw(self.pixels, self._cache), exclusive=True)

    def on_unmount(self) -> None:
        self._draw(None)

    def render_lines(self, crop: Region) -> list[Strip]:
        if self.drawing is None or not (self.drawing.before or self.drawing.over):
            return super().render_lines(crop)
        if not self.screen.is_active:
            # Below a dialog: a dimmed placeholder would name another picture, and Sixel pixels would cover the dialog.
            return [Strip.blank(crop.width, self.visual_style.rich_style)] * crop.height
        strips = super().render_lines(crop)
        if self.drawing.over and self._has_room():
            strips[-1] = self._with_pixels(strips[-1], crop)
        return strips

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.visual_style.rich_style
        if self._note:
            if y != (self.size.height - 1) // 2:
                return Strip.blank(width, base)
            note = fit(self._note, min(width, cell_len(self._note)))
            line = [Segment(note, base + self.get_component_rich_style("picture-view--note", partial=True))]
        else:
            row = y - self._corner()[1]
            if not 0 <= row < len(self.lines):
                return Strip.blank(width, base)
            line = list(Segment.apply_style(self.lines[row], base))
        left = max(0, (width - sum(cell_len(segment.text) for segment in line)) // 2)
        return Strip([Segment(" " * left, base), *line]).adjust_cell_length(width, base)

    def _corner(self) -> tuple[int, int]:
        """Column and row of the picture's first cell."""
        wide = sum(cell_len(segment.text) for segment in self.lines[0]) if self.lines else 0
        return max(0, (self.size.width - wide) // 2), (self.size.height - len(self.lines)) // 2

    def _has_room(self) -> bool:
        """Whether the pixels fit and cover no notice. After a change of size they are still those for the old
        size."""
        wide = sum(cell_len(segment.text) for segment in self.lines[0])
        fits = wide <= self.size.width and len(self.lines) <= self.size.height
        return fits and not any(toast.region.overlaps(self.region) for toast in self.screen.query(Toast))

    def _with_pixels(self, last: Strip, crop: Region) -> Strip:
        """The last line, followed by the pixels of the picture, as one segment: a part that is cropped would
        lose the pixels."""
        left, top = self._corner()
        sequence = (
            last.render(self.app.console)
            + _to(self.region.x + left, self.region.y + top)
            + (self.drawing.over if self.drawing is not None else "")
            + _to(self.region.x + crop.right, self.region.y + crop.bottom - 1)
        )
        return Strip([Segment(sequence, None, ((ControlType.CURSOR_FORWARD, 0),))], crop.width)

    async def _redraw(self, pixels: Pixels, cache: PictureCache) -> None:
        drawing = await self._fitting(pixels, cache)
        if pixels is self.pixels and self.is_attached:
            self._draw(drawing)

    async def _fitting(self, pixels: Pixels, cache: PictureCache) -> Drawing:
        """The picture drawn for this widget's size; the size may change while it is drawn."""
        while True:
            size = self.size
            drawing = await cache.draw(pixels, max(1, size.width), max(1, size.height))
            if size == self.size:
                return drawing

    def _draw(self, drawing: Drawing | None) -> None:
        old, self.drawing = self.drawing, drawing
        if drawing is not None:
            self._write(drawing.before)
        if old is not None:
            self._write(old.after)
        self.refresh()

    def _write(self, sequence: str) -> None:
        """Write to the terminal in turn with the frames, so that neither breaks the other."""
        driver = self.app._driver  # noqa: SLF001 - nothing public writes in turn with the frames
        if sequence and driver is not None:
            driver.write(sequence)


def _to(x: int, y: int) -> str:
    return f"\x1b[{y + 1};{x + 1}H"
