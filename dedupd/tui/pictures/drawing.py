"""What a widget needs to show a picture, in whichever way the terminal can. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from rich.segment import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A picture as it is shown: rows of cells, and what makes pixels of them."""

    lines: list[list[Segment]]
    before: str = ""
    """Written once, before the cells are."""
    over: str = ""
    """Written at the first cell whenever the cells were."""
    after: str = ""
    """Written when it is not needed any more."""
