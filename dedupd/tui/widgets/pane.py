"""One picture of the comparison: what becomes of it, the picture, what is special about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from dedupd.protocol.messages import PhotoView
from dedupd.tui.model.decisions import Mark
from dedupd.tui.model.facts import Fact
from dedupd.tui.model.words import fit, holds, name_of, squeeze
from dedupd.tui.widgets.picture import Picture
from dedupd.tui.widgets.spans import Spans, Words

_MARKS = {
    Mark.KEEPER: (" ★ KEEPER ", "badge-good"),
    Mark.MOVE: (" → MOVE ", "badge-warn"),
    Mark.KEEP: (" = STAYS ", "badge-good"),
    Mark.DIFFERENT: (" ≠ NOT A DUPLICATE ", "badge-bad"),
    Mark.MOVED: (" ✓ MOVED ", "dim"),
}


class Pane(Vertical):
    """Click to focus; click its badge to toggle; double-click for the full screen."""

    @dataclass
    class Pointed(Message):
        """Somebody clicked."""

        pane: Pane
        badge: bool
        twice: bool

    def __init__(self) -> None:
        super().__init__()
        self._head, self.picture, self._facts = Words(classes="head"), Picture(), Words(classes="facts")

    def compose(self) -> ComposeResult:
        yield self._head
        yield self.picture
        yield self._facts

    def show(
        self, photo: PhotoView, mark: Mark, back: bool, facts: Sequence[Fact], index: int, width: int
    ) -> None:
        """back: a moved file is marked to come back. index: its place in the facts' values. width: columns for words."""
        text, tone = (" ← COMES BACK ", "badge-good") if back else _MARKS[mark]
        worn = f"  {fit(holds(photo), width - len(text) - 2).rstrip()}" if photo.holds else ""
        self._head.say([(text, tone), (worn, "accent")], [(squeeze(name_of(photo.path), width), "strong")])
        self._facts.say(*_facts(facts, index, width))

    def give_facts(self, lines: int) -> None:
        """So many lines for facts, however many there are: pictures keep their place from group to group."""
        self._facts.styles.height = lines

    def on_click(self, event: events.Click) -> None:
        self.post_message(
            self.Pointed(self, badge=event.widget is self._head and event.y == 0, twice=event.chain > 1)
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
