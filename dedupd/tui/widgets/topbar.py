"""The first line of every screen: where one is, whether the daemon answers, what was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Horizontal

from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.words import number, plain, progress, size

if TYPE_CHECKING:
    from dedupd.tui.state import Library


class TopBar(Horizontal):
    """`where` to the left; the daemon to the right, live."""

    def compose(self) -> ComposeResult:
        yield Words(id="where")
        yield Words(id="live")

    def show(self, where: str, library: Library) -> None:
        self.query_one("#where", Words).say([("dedupd ", "title"), *([("› ", "dim"), (where, "")] if where else [])])
        self.query_one("#live", Words).say(_live(library, wide=self.app.size.width >= 110))


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
    word = "working" if status.busy or library.progress else "live"
    return [*spans, ("● ", "good"), (word if status.daemon == "running" else plain(status.daemon), "dim")]
