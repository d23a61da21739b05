"""The log of this session, newest line last. Must never change it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from textual.app import ComposeResult

from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.review_state import LogLine
from dedupd.tui.screens.full_screen import Page
from dedupd.tui.widgets.key_bar import KeyBar
from dedupd.tui.widgets.row_list import RowList
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort


class LogScreen(Page):
    """The log; while the cursor is on the last line, it follows new lines."""

    def __init__(self, port: ScreenPort) -> None:
        super().__init__(port)
        self._rows, self._attention = RowList[LogLine](self._draw, id="log"), Words(id="attention")

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield self._attention
        yield self._rows
        yield KeyBar()

    def where(self) -> str:
        return "log"

    def follow(self, topic: Topic) -> None:
        if topic in ("log", "status"):
            self.show_all()

    def show_all(self) -> None:
        state = self.port.state
        rows = self._rows
        at_end = rows.cursor >= len(rows.items) - 1
        lines = list(state.log)
        rows.show(lines, len(lines) - 1 if at_end else rows.cursor)
        self._attention.display = bool(state.status.attention)
        self._attention.say(
            *([(" ! ", "badge-bad"), (f" {sentence}", "")] for sentence in state.status.attention)
        )

    def _draw(self, line: LogLine, width: int, chosen: bool) -> Spans:
        del width, chosen
        moment = datetime.fromtimestamp(line.at, UTC).astimezone()
        return [(f"{moment:%H:%M:%S}  ", "dim"), (line.text, line.kind)]
