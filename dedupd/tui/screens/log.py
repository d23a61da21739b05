"""What happened while this window was open, newest last."""

from __future__ import annotations

from datetime import UTC, datetime

from textual.app import ComposeResult
from textual.widgets import Footer

from dedupd.tui.screens.base import Page
from dedupd.tui.state import LogLine
from dedupd.tui.voice import Topic
from dedupd.tui.widgets.rows import Rows
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar


class Log(Page):
    """Follows its end while the cursor stands there."""

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Words(id="attention")
        yield Rows[LogLine](self._draw, id="log")
        yield Footer()

    def where(self) -> str:
        return "log"

    def follow(self, topic: Topic) -> None:
        if topic in ("log", "status"):
            self.show_all()

    def show_all(self) -> None:
        library = self.review.library
        rows = self.query_one("#log", Rows)
        at_end = rows.cursor >= len(rows.items) - 1
        lines = list(library.log)
        rows.show(lines, len(lines) - 1 if at_end else rows.cursor)
        attention = self.query_one("#attention", Words)
        attention.display = bool(library.status.attention)
        attention.say(*([(" ! ", "badge-bad"), (f" {sentence}", "")] for sentence in library.status.attention))

    def _draw(self, line: LogLine, width: int, chosen: bool) -> Spans:
        del width, chosen
        moment = datetime.fromtimestamp(line.at, UTC).astimezone()
        return [(f"{moment:%H:%M:%S}  ", "dim"), (line.text, line.kind)]
