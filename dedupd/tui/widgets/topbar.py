"""The first line of every screen: where one is, whether the daemon answers, what was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len

from dedupd.tui.model.words import fit, number, plain, progress, size
from dedupd.tui.widgets.spans import Spans, Words

if TYPE_CHECKING:
    from dedupd.tui.model.state import Library

_WIDE = 110


class TopBar(Words):
    """`where` to the left; the daemon to the right, live. One line of one width, so that it never moves anything."""

    def show(self, where: str, library: Library) -> None:
        width = self.screen.size.width - 2
        live = _live(library, wide=width >= _WIDE)
        room = width - sum(cell_len(text) for text, _ in live) - len("dedupd › ") - 2
        place: Spans = (
            [(" › ", "dim"), (fit(plain(where), room), "")] if where else [("   ", ""), (" " * room, "")]
        )
        self.say([("dedupd", "title"), *place, ("  ", ""), *live])


def _live(library: Library, *, wide: bool) -> Spans:
    if not library.online:
        return [("○ no daemon", "bad")]
    status = library.status
    spans: Spans = []
    if library.progress is not None and wide:
        spans += [(f"{progress(library.progress)}   ", "dim")]
    if status.groups_waiting:
        spans += [(f"{number(status.groups_waiting)} waiting   ", "warn")]
    spans += [(f"{size(status.bytes_saved)} saved   ", "good")]
    if status.paused:
        return [*spans, ("‖ paused", "warn")]
    word = "working" if status.busy or library.progress or library.under_way else "live"
    return [*spans, ("● ", "good"), (word if status.daemon == "running" else plain(status.daemon), "dim")]
