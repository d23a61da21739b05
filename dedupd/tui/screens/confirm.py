"""A dialog that asks before a large action. Must never accept a key that was pressed for something else."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from dedupd.tui.widgets.spans import Spans, Words


class Confirm(ModalScreen[bool]):
    """Answers True when the person said yes. With `word`: only when it was typed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "no", "No", show=False),
        Binding("y", "yes", "Yes", show=False),
    ]

    def __init__(self, title: str, *lines: Spans, yes: str = "Yes", word: str = "") -> None:
        super().__init__()
        self._title, self._lines, self._yes, self._word = title, lines, yes, word

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog"):
            yield Words(id="question")
            if self._word:
                yield Input(placeholder=f"type {self._word}, then Enter", id="word")
            with Horizontal(id="answers"):
                yield Button(f"{self._yes}" + ("" if self._word else "  (y)"), id="yes", variant="success")
                yield Button("No  (esc)", id="no")

    def on_mount(self) -> None:
        ask: Spans = [("Type ", ""), (self._word, "key"), (" to say yes.", "")] if self._word else []
        self.query_one("#question", Words).say(
            [(self._title, "title")], [], *self._lines, *([[], ask] if ask else [])
        )
        self.query_one("#yes", Button).disabled = bool(self._word)
        self.query_one("Input" if self._word else "#yes").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = not self._typed(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._typed(event.value):
            self.dismiss(True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_yes(self) -> None:
        if not self._word:
            self.dismiss(True)

    def action_no(self) -> None:
        self.dismiss(False)

    def _typed(self, text: str) -> bool:
        return text.strip().casefold() == self._word.casefold()
