"""The last line of every screen: the keys that do something now. A click on one presses it.

It is one line of text: Textual's own footer mounts a widget for each key at every change of screen or focus.
"""

from __future__ import annotations

from itertools import accumulate
from typing import cast

from rich.cells import cell_len
from textual import events
from textual.app import App
from textual.screen import Screen

from dedupd.reviewing.words import plain
from dedupd.tui.widgets.spans import Spans, Words


class KeyBar(Words):
    """Shows the bindings of its screen. Must never handle a key itself."""

    _places: tuple[tuple[int, str], ...] = ()
    """(column behind its last cell, key) of each key that is shown."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)  # pyright: ignore[reportUnknownMemberType]

    def _changed(self, screen: Screen[object]) -> None:
        if self.is_attached and screen is self.screen:
            self.call_after_refresh(self._show)

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        if not self.is_attached:
            return  # its screen was closed meanwhile
        app = cast("App[None]", self.app)
        shown = [a for a in self.screen.active_bindings.values() if a.binding.show and not a.binding.system]
        labels = [(f" {app.get_key_display(a.binding)}", f" {plain(a.binding.description)} ") for a in shown]
        widths = [cell_len(key) + cell_len(what) for key, what in labels]
        while sum(widths) > self.size.width and len(widths) > 1:
            del shown[-2], labels[-2], widths[-2]  # the last is help, which lists the others
        self._places = tuple(zip(accumulate(widths), (a.binding.key for a in shown), strict=True))
        spans: Spans = []
        for active, (key, what) in zip(shown, labels, strict=True):
            spans += [(key, "key"), (what, "")] if active.enabled else [(key + what, "dim")]
        self.say(spans)

    def on_click(self, event: events.Click) -> None:
        key = next((key for end, key in self._places if event.x < end), None)
        if key is not None:
            cast("App[None]", self.app).simulate_key(key)
