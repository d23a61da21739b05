"""The screen of all keys; first those of the screen below. Must never do anything but show them."""

from __future__ import annotations

from textwrap import wrap
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen

from dedupd.tui.screens.full_screen import HelpLines, Page
from dedupd.tui.widgets.spans import Spans, Words

_WORDS = 56
"""Columns for the words beside the keys, in a terminal of 80 columns."""
_MOVES = (
    "A move is a rename into a duplicates/ folder beside its month; undo puts it back. "
    "“Not duplicates” binds for ever, until undone."
)
EVERYWHERE: HelpLines = [
    ("j ↓   ↑", "next, previous; PgDn PgUp Home End"),
    ("u", "undo the last action, as often as you like"),
    ("h", "history: every move, and undo for each"),
    ("l  ,", "log of this session; settings"),
    ("T", "light or dark"),
    ("ctrl+p", "every command by name"),
    ("esc q", "back; q in the months ends the program, not the daemon"),
]


class Help(ModalScreen[None]):
    """Esc, q or ? closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", show=False)
    ]

    def __init__(self, below: Screen[object]) -> None:
        super().__init__()
        self._own = below.HELP_LINES if isinstance(below, Page) else []

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="dialog"):
            yield Words()

    def on_mount(self) -> None:
        lines: list[Spans] = []
        if self._own:
            lines += [[("On this screen", "title")], *_table(self._own), []]
        lines += [[("Everywhere", "title")], *_table(EVERYWHERE), []]
        lines += [
            [
                ("Nothing is ever deleted. ", "strong"),
                (_MOVES, ""),
            ]
        ]
        self.query_one(Words).say(*lines)
        self.query_one(VerticalScroll).focus()


def _table(lines: HelpLines) -> list[Spans]:
    rows: list[Spans] = []
    for keys, words in lines:
        for row, part in enumerate(wrap(words, _WORDS)):
            rows.append([(f"{'' if row else keys:<10}", "key"), (part, "")])
    return rows
