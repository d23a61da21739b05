"""One picture of the comparison: what becomes of it, the picture, what is special about it."""

from __future__ import annotations

from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from dedupd.protocol.messages import PhotoView
from dedupd.tui.facts import Fact
from dedupd.tui.verdicts import Mark
from dedupd.tui.widgets.picture import Picture
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.words import fit, name_of, squeeze

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

    def compose(self) -> ComposeResult:
        yield Words(classes="badge")
        yield Words(classes="name")
        yield Picture()
        yield Words(classes="facts")

    def show(self, photo: PhotoView, mark: Mark, back: bool, facts: list[Fact], index: int, room: int) -> None:
        """back: a moved file is marked to come back. index: its place in the facts' values."""
        text, tone = (" ← COMES BACK ", "badge-good") if back else _MARKS[mark]
        width = max(10, self.size.width - 2)
        self.query_one(".badge", Words).say([(text, tone), (f" {photo.role}" if mark is Mark.DIFFERENT else "", "dim")])
        self.query_one(".name", Words).say([(squeeze(name_of(photo.path), width), "strong")])
        self.query_one(".facts", Words).say(*_facts(facts[:room], index, width))

    @property
    def picture(self) -> Picture:
        return self.query_one(Picture)

    def on_click(self, event: events.Click) -> None:
        badge = isinstance(event.widget, Words) and event.widget.has_class("badge")
        self.post_message(self.Pointed(self, badge=badge, twice=event.chain > 1))


def _facts(facts: list[Fact], index: int, width: int) -> list[Spans]:
    if not facts:
        return [[("only the names differ", "dim")]]
    return [
        [(f"{fact.label:<9}", "dim"), (fit(squeeze(fact.values[index], width - 9), width - 9), fact.tones[index])]
        for fact in facts
    ]
