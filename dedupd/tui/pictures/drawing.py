"""A picture as a widget shows it, in blocks, Sixel or Kitty graphics. Values only: it must never draw or write."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Rows of cells, and the terminal sequences that put pixels there."""

    lines: list[list[Segment]]
    before: str = ""
    """Written once, before the cells."""
    over: str = ""
    """Written at the first cell each time the cells were written."""
    after: str = ""
    """Written when the picture is no longer shown."""
