"""What all full screens share: the top line, the way back, and following what changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual.binding import Binding, BindingType
from textual.screen import Screen

from dedupd.tui.link.app_port import Topic
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.app import ReviewApp

HelpLines = list[tuple[str, str]]
"""(keys, what they do)."""


class Page(Screen[None]):
    """A full screen. Subclasses say where they are, and what to redraw when a topic changed."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "back", "Back", show=False)]
    AUTO_FOCUS = "Rows"
    HELP_LINES: ClassVar[HelpLines] = []
    """Shown by `?`, the screen's own keys."""
    WIDE: ClassVar[int] = 0
    """Columns from which on the screen has the class `wide`; 0: it has none."""

    @property
    def review(self) -> ReviewApp:
        return cast("ReviewApp", self.app)

    def where(self) -> str:
        """For the top line."""
        return ""

    def follow(self, topic: Topic) -> None:
        """Something of the library changed while this screen is shown."""

    def show_all(self) -> None:
        """Draw everything anew: the screen is shown, or shown again."""

    def widen(self) -> None:
        """Called when composing too: a class that comes later styles every widget again."""
        self.set_class(0 < self.WIDE <= self.review.size.width, "wide")

    def on_mount(self) -> None:
        self.review.changed.subscribe(self, self._changed)

    def on_unmount(self) -> None:
        # Else it would be kept, with all it drew, until something changes.
        self.review.changed.unsubscribe(self)

    def on_screen_resume(self) -> None:
        self._show_top()
        self.show_all()

    def on_resize(self) -> None:
        self._show_top()

    def action_back(self) -> None:
        self.dismiss()

    def _changed(self, topic: Topic) -> None:
        # Not is_current: that is also true of the screen beneath, which would be drawn for nobody.
        if self.is_mounted and self.review.screen_stack and self.review.screen is self:
            self._show_top()
            self.follow(topic)

    def _show_top(self) -> None:
        for bar in self.query(TopBar):
            if bar.is_mounted:
                bar.show(self.where(), self.review.library)
