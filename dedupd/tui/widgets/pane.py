"""One picture of the comparison: its mark, the picture, and the facts that differ. Must never change a mark
itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from dedupd.protocol.views import PhotoView
from dedupd.reviewing.facts import Fact
from dedupd.reviewing.words import fit, holds, name_of, squeeze
from dedupd.tui.model.decisions import Mark
from dedupd.tui.widgets.picture_view import PictureView
from dedupd.tui.widgets.spans import Spans, Words

_MARKS = {
    Mark.KEEPER: (" ★ KEEPER ", "badge-good"),
    Mark.MOVE: (" → MOVE ", "badge-warn"),
    Mark.KEEP: (" = STAYS ", "badge-good"),
    Mark.DIFFERENT: (" ≠ NOT A DUPLICATE ", "badge-bad"),
    Mark.MOVED: (" ✓ MOVED ", "dim"),
}


class Pane(Vertical):
    """A click selects the picture, a click on its mark changes the mark, a double click opens the full
    screen."""

    @dataclass
    class Clicked(Message):
        """The pane was clicked. badge: the click was on its mark."""

        pane: Pane
        badge: bool
        twice: bool

    def __init__(self) -> None:
        super().__init__()
        self._head, self.picture, self._facts = Words(classes="head"), PictureView(), Words(classes="facts")

    def compose(self) -> ComposeResult:
        yield self._head
        yield self.picture
        yield self._facts

    def show(
        self, photo: PhotoView, mark: Mark, undo: bool, facts: Sequence[Fact], index: int, width: int
    ) -> None:
        """undo: the marks undo its move. index: its place in the values of the facts. width: columns for words."""
        text, tone = (" ← COMES BACK ", "badge-good") if undo else _MARKS[mark]
        held = f"  {fit(holds(photo), width - len(text) - 2).rstrip()}" if photo.holds else ""
        self._head.say([(text, tone), (held, "accent")], [(squeeze(name_of(photo.path), width), "strong")])
        self._facts.say(*_facts(facts, index, width))

    def set_fact_lines(self, lines: int) -> None:
        """Always use this many lines for facts: so pictures keep their place from group to group."""
        self._facts.styles.height = lines

    def on_click(self, event: events.Click) -> None:
        self.post_message(
            self.Clicked(self, badge=event.widget is self._head and event.y == 0, twice=event.chain > 1)
        )


def _facts(facts: Sequence[Fact], index: int, width: int) -> list[Spans]:
    if not facts:
        return [[("only the names differ", "dim")]]
    return [
        [
            (f"{fact.label:<9}", "dim"),
            (fit(squeeze(fact.values[index], width - 9), width - 9), fact.tones[index]),
        ]
        for fact in facts
    ]
