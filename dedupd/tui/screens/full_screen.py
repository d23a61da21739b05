"""The base of all full screens: the top line, the way back, and following changes of the state.

A screen is given the port through which it asks the app. It imports only the screens that it opens itself;
screens that a key opens from everywhere are opened by the app. No screen imports the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.screen import Screen

from dedupd.tui.link.app_port import Topic
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from textual.app import App

    from dedupd.tui.screens.screen_port import ScreenPort

HelpLines = list[tuple[str, str]]
"""(keys, what they do)."""


class Page(Screen[None]):
    """A full screen. Subclasses say what their place is called, and what to draw again when a topic changed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "back", "Back", show=False)]
    AUTO_FOCUS = "RowList"
    HELP_LINES: ClassVar[HelpLines] = []
    """Shown by `?`: the screen's own keys."""
    WIDE: ClassVar[int] = 0
    """Columns from which on the screen has the class `wide`; 0: never."""

    def __init__(self, port: ScreenPort) -> None:
        super().__init__()
        self.port = port

    @property
    def app(self) -> App[None]:
        """Textual's own part of the app: open a screen, size, clipboard. Textual leaves its type partly
        unknown."""
        return cast("App[None]", super().app)

    def where(self) -> str:
        """The name of this place, for the top line."""
        return ""

    def follow(self, topic: Topic) -> None:
        """A part of the review state changed while this screen is shown."""

    def show_all(self) -> None:
        """Draw everything again: the screen is shown for the first time, or again."""

    def widen(self) -> None:
        """Set the class `wide`. Also called in `compose`: a class that is set later makes every widget be
        styled again."""
        self.set_class(0 < self.WIDE <= self.app.size.width, "wide")

    def on_mount(self) -> None:
        self.port.changed.subscribe(self, self._changed)

    def on_unmount(self) -> None:
        # Otherwise the signal would keep the screen, with all it drew, in memory until something changes.
        self.port.changed.unsubscribe(self)

    def on_screen_resume(self) -> None:
        self._show_top()
        self.show_all()

    def on_resize(self) -> None:
        self._show_top()

    def action_back(self) -> None:
        self.dismiss()

    def _changed(self, topic: Topic) -> None:
        # Not is_current: that is also true for the screen below a dialog, which need not be drawn.
        if self.is_mounted and self.app.screen_stack and self.app.screen is self:
            self._show_top()
            self.follow(topic)

    def _show_top(self) -> None:
        for bar in self.query(TopBar):
            if bar.is_mounted:
                bar.show(self.where(), self.port.state)
