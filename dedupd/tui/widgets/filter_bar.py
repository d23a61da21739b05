"""The line that shows which groups are listed: relation, reasons, order, text. Must never filter anything
itself."""

from __future__ import annotations

from collections.abc import Mapping

from dedupd.reviewing.listing import GroupFilter
from dedupd.reviewing.words import RELATION_NAMES, number
from dedupd.tui.widgets.spans import Spans, Words


class FilterBar(Words):
    """The bar. Its numbers are the keys that choose a relation."""

    def show(self, group_filter: GroupFilter, counts: Mapping[str, int], loading: tuple[int, int]) -> None:
        """counts: groups of each relation. loading: (there, all) groups of the month."""
        tabs = [
            ("", "all", sum(counts.values())),
            *((r, RELATION_NAMES.get(r, r), n) for r, n in counts.items()),
        ]
        relations: Spans = []
        for key, (relation, name, count) in enumerate(tabs, 1):
            tone = "accent" if relation == group_filter.relation else "" if count else "dim"
            relations += [(f"{key} ", "dim"), (f"{name} {count}", tone), ("   ", "")]
        order: Spans = [
            (f"by {group_filter.order}", "dim"),
            ("  settled too" if group_filter.settled else "", "dim"),
        ]
        text: Spans = [(f"  “{group_filter.text}”", "accent")] if group_filter.text else []
        self.say([*_loading(*loading), *_reasons(group_filter.reasons), *relations, *order, *text])


def _loading(there: int, groups: int) -> Spans:
    return [(f"loading {number(there)} of {number(groups)}   ", "warn")] if 0 < there < groups else []


def _reasons(reasons: frozenset[str] | None) -> Spans:
    """The reasons whose groups are listed; near the start of the line, as its end may be cut."""
    if reasons is None:
        return []
    what = "; ".join(sorted(reasons)) or "waits for your yes alone"
    return [("only: ", "dim"), (what, "accent"), ("  e shows all   ", "dim")]
