"""A list of any length that draws only the visible rows. Must never draw or measure the others.

Textual's DataTable and OptionList measure every row: with 10,000 rows that takes a second before the first
frame and a third of a second at each key of a filter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from dedupd.reviewing.words import fit, plain
from dedupd.tui.widgets.spans import TONES, Spans

T = TypeVar("T")


class RowList(ScrollView, Generic[T], can_focus=True):
    """One line for each item, and a cursor; Enter or a second click chooses an item.

    draw(item, width, chosen) gives the spans of one line. The cursor skips items for which `heading` is true.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", "Next", show=False),
        Binding("up", "move(-1)", "Previous", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Page down", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Page up", show=False),
        Binding("home", "end(-1)", "First", show=False),
        Binding("end", "end(1)", "Last", show=False),
        Binding("enter", "choose", "Choose", show=False),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"row-list--{tone}" for tone in TONES if tone} | {
        "row-list--cursor",
        "row-list--heading",
    }

    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class CursorMoved(Message):
        """The cursor stands on another item."""

        rows: RowList[Any]

        @property
        def control(self) -> RowList[Any]:
            return self.rows

    @dataclass
    class Chosen(Message):
        """The item under the cursor was chosen."""

        rows: RowList[Any]

        @property
        def control(self) -> RowList[Any]:
            return self.rows

    def __init__(
        self,
        draw: Callable[[T, int, bool], Spans],
        *,
        heading: Callable[[T], bool] = lambda item: False,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._draw = draw
        self._heading = heading
        self.items: Sequence[T] = ()

    @property
    def current(self) -> T | None:
        return self.items[self.cursor] if 0 <= self.cursor < len(self.items) else None

    def show(self, items: Sequence[T], cursor: int = 0) -> None:
        """Show other items; the cursor goes to `cursor` or the nearest item that is no heading. Without items: hidden."""
        before = self.current
        if self.display != bool(items):
            self.display = bool(items)
            if items and self.is_attached and self.screen.focused is None:
                self.focus()  # it lost the focus, and with it the keys, while it was hidden
        self.items = items
        self.virtual_size = Size(self.size.width, len(items))
        self.set_reactive(RowList.cursor, self._landing(cursor, 1))
        self.refresh()
        self._keep_in_sight()
        if self.current is not before:
            self.post_message(self.CursorMoved(self))

    def move_to(self, index: int) -> None:
        self.cursor = self._landing(index, 1)

    def redraw(self, index: int) -> None:
        """Draw one line again."""
        self.refresh(Region(0, index - round(self.scroll_y), self.size.width, 1))

    def render_line(self, y: int) -> Strip:
        index = y + round(self.scroll_y)
        width = self.size.width
        base = self.visual_style.rich_style
        if index >= len(self.items):
            return Strip.blank(width, base)
        item, chosen = self.items[index], index == self.cursor
        if chosen and (self.has_focus or self.screen.focused is None):
            base += self.get_component_rich_style("row-list--cursor")
        elif self._heading(item):
            base += self.get_component_rich_style("row-list--heading")
        elif chosen:
            base += Style(bold=True)
        segments: list[Segment] = []
        used = 0
        for said, tone in self._draw(item, width, chosen):
            text = plain(said)
            style = base + self.get_component_rich_style(f"row-list--{tone}", partial=True) if tone else base
            segments.append(Segment(text, style))
            used += cell_len(text)
        return Strip(segments, used).adjust_cell_length(width, base)

    def on_resize(self) -> None:
        self.virtual_size = Size(self.size.width, len(self.items))
        self._keep_in_sight()

    def on_click(self, event: events.Click) -> None:
        index = event.y + round(self.scroll_y)
        if not 0 <= index < len(self.items) or self._heading(self.items[index]):
            return
        again = index == self.cursor
        self.cursor = index
        if again or event.chain > 1:
            self.action_choose()

    def action_move(self, by: int) -> None:
        self.cursor = self._landing(self.cursor + by, by)

    def action_page(self, by: int) -> None:
        self.cursor = self._landing(self.cursor + by * max(1, self.size.height - 1), by)

    def action_end(self, by: int) -> None:
        self.cursor = self._landing(0 if by < 0 else len(self.items) - 1, -by)

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self))

    def watch_cursor(self, before: int, after: int) -> None:
        self.redraw(before)
        self.redraw(after)
        self._keep_in_sight()
        if before != after:
            self.post_message(self.CursorMoved(self))

    def _landing(self, index: int, step: int) -> int:
        """The nearest item that is no heading; first in the direction of `step`."""
        if not self.items:
            return 0
        index = max(0, min(len(self.items) - 1, index))
        for way in (1 if step > 0 else -1, -1 if step > 0 else 1):
            at = index
            while 0 <= at < len(self.items):
                if not self._heading(self.items[at]):
                    return at
                at += way
        return index

    def _keep_in_sight(self) -> None:
        if self.items and self.size.height:
            # Scroll to the line above as well: a heading is shown with its first item.
            top = max(0, self.cursor - 1)
            self.scroll_to_region(Region(0, top, 1, self.cursor - top + 1), animate=False, force=True)


class OpeningRowList(RowList[T]):
    """A list whose items open another screen: the key bar shows Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Open")]


def columns(*cells: tuple[str, int, str], gap: str = " ") -> Spans:
    """Cells of (text, width, tone) in one line; a negative width aligns to the right."""
    spans: Spans = []
    for said, width, tone in cells:
        text = plain(said)
        wide = (
            fit(text, width)
            if width >= 0
            else fit(text, -width)
            if cell_len(text) > -width
            else text.rjust(-width)
        )
        spans += [(wide, tone), (gap, "")]
    return spans
