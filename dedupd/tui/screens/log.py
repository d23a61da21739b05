"""What happened while this window was open, newest last."""

from __future__ import annotations

from datetime import UTC, datetime

from textual.app import ComposeResult

from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.state import LogLine
from dedupd.tui.screens.base import Page
from dedupd.tui.widgets.keys import Keys
from dedupd.tui.widgets.rows import Rows
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar


class Log(Page):
    """Follows its end while the cursor stands there."""

    def __init__(self) -> None:
        super().__init__()
        self._rows, self._attention = Rows[LogLine](self._draw, id="log"), Words(id="attention")

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield self._attention
        yield self._rows
        yield Keys()

    def where(self) -> str:
        return "log"

    def follow(self, topic: Topic) -> None:
        if topic in ("log", "status"):
            self.show_all()

    def show_all(self) -> None:
        library = self.review.library
        rows = self._rows
        at_end = rows.cursor >= len(rows.items) - 1
        lines = list(library.log)
        rows.show(lines, len(lines) - 1 if at_end else rows.cursor)
        self._attention.display = bool(library.status.attention)
        self._attention.say(
            *([(" ! ", "badge-bad"), (f" {sentence}", "")] for sentence in library.status.attention)
        )

    def _draw(self, line: LogLine, width: int, chosen: bool) -> Spans:
        del width, chosen
        moment = datetime.fromtimestamp(line.at, UTC).astimezone()
        return [(f"{moment:%H:%M:%S}  ", "dim"), (line.text, line.kind)]
