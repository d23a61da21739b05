"""The groups of a month as a list. Must never decide about a group, nor ask the daemon."""

from __future__ import annotations

from dedupd.protocol.views import GroupView
from dedupd.reviewing.listing import PREDECIDED, confidence, waits, weight
from dedupd.reviewing.words import STATES, fit, group_title, percent, size, squeeze
from dedupd.tui.model.review_state import ReviewState
from dedupd.tui.widgets.row_list import OpeningRowList
from dedupd.tui.widgets.spans import Spans

_WITH_CONFIDENCE, _WITH_STATE = 52, 64
"""Columns from which on there is room for the confidence, and for the state."""
_SIGNS = {
    "proposed": ("●", "warn"),
    "review": ("?", "accent"),
    "settled": ("✓", "good"),
    "kept": ("=", "dim"),
}


class GroupList(OpeningRowList[GroupView]):
    """One line for each group: state, relation, title, bytes."""

    def __init__(self, state: ReviewState, *, id: str | None = None) -> None:
        super().__init__(self._line, id=id)
        self._state = state

    def move_to_group(self, id: int) -> None:
        """Move the cursor to this group, when it is listed."""
        for index, group in enumerate(self.items):
            if group.id == id:
                self.move_to(index)

    def _line(self, group: GroupView, width: int, chosen: bool) -> Spans:
        del chosen
        acting = group.id in self._state.acting
        sign, tone = ("…", "dim") if acting else _SIGNS.get(group.state, (" ", ""))
        right: Spans = [(f"{size(weight(group)):>8}", "")]
        if width >= _WITH_CONFIDENCE:
            sure = confidence(group)
            right.append((f"{'' if sure is None else percent(sure):>8}", "dim"))
        if width >= _WITH_STATE:
            right.append((f"  {fit(STATES.get(group.state, group.state), 9)}", tone))
        room = width - 11 - sum(len(text) for text, _ in right)
        return [
            (f"{sign} ", tone),
            (fit(group.relation, 8), "dim" if group.relation in PREDECIDED else "warn"),
            (fit(squeeze(group_title(group), room), room), "" if waits(group) else "dim"),
            *right,
        ]
