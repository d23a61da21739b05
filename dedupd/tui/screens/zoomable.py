"""The base of all screens with large pictures: zoom, pan, the desktop's viewer, the path. Must never draw a
picture itself."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType

from dedupd.protocol.views import PhotoView
from dedupd.tui import desktop
from dedupd.tui.model.zoom import UNZOOMED, Viewport
from dedupd.tui.screens.full_screen import Page


class ZoomablePage(Page):
    """Subclasses say which picture is in focus, how to draw again, and what an arrow does."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign,z", "zoom(1)", "Zoom", show=False, key_display="+"),
        Binding("minus,Z", "zoom(-1)", show=False),
        Binding("0", "whole", show=False),
        Binding("left", "arrow(-1, 0)", show=False),
        Binding("right", "arrow(1, 0)", show=False),
        Binding("up", "arrow(0, -1)", show=False),
        Binding("down", "arrow(0, 1)", show=False),
        Binding("o", "open", "Open", show=False),
        Binding("y", "copy", "Copy path", show=False),
    ]

    view: Viewport = UNZOOMED

    def photo(self) -> PhotoView | None:
        """The picture in focus."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again, because the view changed."""
        raise NotImplementedError

    def step(self, dx: int, dy: int) -> None:
        """An arrow key was pressed while the whole picture is shown."""
        raise NotImplementedError

    def action_arrow(self, dx: int, dy: int) -> None:
        """When zoomed in, arrow keys move the view; then they never leave the group."""
        if self.view.zoom > 1:
            self.view = self.view.panned(dx, dy)
            self.redraw()
        else:
            self.step(dx, dy)

    def action_zoom(self, steps: int) -> None:
        self.view = self.view.zoomed(steps)
        self.redraw()

    def action_whole(self) -> None:
        self.view = UNZOOMED
        self.redraw()

    def action_open(self) -> None:
        photo = self.photo()
        if photo is not None and (why := desktop.open_file(photo.where)):
            self.port.tell(why, "warn")

    def action_copy(self) -> None:
        photo = self.photo()
        if photo is not None:
            self.app.copy_to_clipboard(photo.where.encode(errors="surrogateescape").decode(errors="replace"))
            self.port.tell(f"Copied: {photo.where}")
