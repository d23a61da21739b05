"""The months as a list, each year below a heading. Must never ask the daemon; it shows the months it is given."""

from __future__ import annotations

from collections.abc import Sequence

from dedupd.protocol.views import MonthView
from dedupd.reviewing.listing import Year, by_year
from dedupd.reviewing.words import bar, month_name, name_of, number, size
from dedupd.tui.widgets.row_list import OpeningRowList, columns
from dedupd.tui.widgets.spans import Spans


class MonthList(OpeningRowList[Year | MonthView]):
    """The list. The cursor stops on months only."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(self._line, heading=lambda row: isinstance(row, Year), id=id)
        self._several_roots = False

    def show_months(self, months: Sequence[MonthView]) -> None:
        """Show these months; the cursor stays on its month."""
        here = self.current
        key = (here.root, here.month) if isinstance(here, MonthView) else None
        rows = by_year(months)
        at = next((i for i, m in enumerate(rows) if isinstance(m, MonthView) and (m.root, m.month) == key), 0)
        self._several_roots = len({month.root for month in months}) > 1
        self.show(rows, at)

    def move_to_next_waiting(self) -> None:
        """Go to the next month with groups that wait; at the end the search continues from the start."""
        for index in (*range(self.cursor + 1, len(self.items)), *range(self.cursor)):
            if isinstance(row := self.items[index], MonthView) and row.waiting:
                self.move_to(index)
                return

    def move_to_match(self, text: str) -> None:
        """Go to the first month whose number or name contains `text`."""
        wanted = text.casefold().replace("/", "-")
        for index, row in enumerate(self.items):
            if isinstance(row, MonthView) and wanted in f"{row.month} {month_name(row.month)}".casefold():
                self.move_to(index)
                return

    def _line(self, row: Year | MonthView, width: int, chosen: bool) -> Spans:
        del width, chosen
        saved = size(row.bytes_saved) if row.bytes_saved else ""
        waiting = number(row.waiting) if row.waiting else ""
        if isinstance(row, Year):
            return _cells((row.year, number(row.photos), "", waiting, "", saved), tone="title")
        settled = (row.groups - row.waiting) / row.groups if row.groups else 0.0
        cells = _cells(
            (
                f" {row.month} {month_name(row.month)}",
                number(row.photos),
                number(row.groups) if row.groups else "",
                waiting,
                bar(settled, 8) if row.groups else "",
                saved,
            )
        )
        if self._several_roots:
            cells += [("  ", ""), (name_of(row.root), "dim")]
        if row.changed:
            cells += [(" ↻", "dim")]
        return cells


def column_titles() -> Spans:
    """One line of titles above the columns of the list."""
    return [(text, "dim") for text, _ in _cells(("month", "photos", "groups", "waiting", "done", "saved"))]


def _cells(texts: tuple[str, str, str, str, str, str], tone: str = "") -> Spans:
    month, photos, groups, waiting, done, saved = texts
    return columns(
        (f" {month}", 20, tone),
        (photos, -9, tone or "dim"),
        (groups, -7, tone),
        (waiting, -8, tone or "warn"),
        (done, 8, tone or "good"),
        (saved, -9, tone or "good"),
    )
