"""The first line of every screen: the place, whether the daemon answers, bytes saved. Must never change its size."""

from __future__ import annotations

from rich.cells import cell_len

from dedupd.reviewing.words import fit, number, plain, progress, size
from dedupd.tui.model.review_state import ReviewState
from dedupd.tui.widgets.spans import Spans, Words

_WIDE = 110
"""Columns from which on there is room for the progress."""


class TopBar(Words):
    """`where` on the left; the state of the daemon on the right."""

    def show(self, where: str, state: ReviewState) -> None:
        width = self.screen.size.width - 2
        live = _live(state, wide=width >= _WIDE)
        room = width - sum(cell_len(text) for text, _ in live) - len("dedupd › ") - 2
        place: Spans = (
            [(" › ", "dim"), (fit(plain(where), room), "")] if where else [("   ", ""), (" " * room, "")]
        )
        self.say([("dedupd", "title"), *place, ("  ", ""), *live])


def _live(state: ReviewState, *, wide: bool) -> Spans:
    if not state.online:
        return [("○ no daemon", "bad")]
    status = state.status
    spans: Spans = []
    if state.progress is not None and wide:
        spans += [(f"{progress(state.progress)}   ", "dim")]
    if status.groups_waiting:
        spans += [(f"{number(status.groups_waiting)} waiting   ", "warn")]
    spans += [(f"{size(status.bytes_saved)} saved   ", "good")]
    if status.paused:
        return [*spans, ("‖ paused", "warn")]
    word = "working" if status.busy or state.progress or state.under_way else "live"
    return [*spans, ("● ", "good"), (word if status.daemon == "running" else plain(status.daemon), "dim")]
