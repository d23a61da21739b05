"""One picture on the whole screen; arrow keys go to the others of its group, or pan when zoomed in.

Must never leave the group.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dedupd.protocol.views import PhotoView
from dedupd.reviewing.words import camera_time, name_of, pixels, size
from dedupd.tui.model.zoom import UNZOOMED, Viewport
from dedupd.tui.pictures.painter import Painter
from dedupd.tui.screens.full_screen import HelpLines
from dedupd.tui.screens.zoomable import ZoomablePage
from dedupd.tui.widgets.picture_view import PictureView
from dedupd.tui.widgets.spans import Words

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort


class PictureScreen(ZoomablePage):
    """at: index of the picture that is shown first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,space", "arrow(1, 0)", show=False),
        Binding("f,enter", "back", show=False),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("← →", "the other pictures of the group"),
        ("+ - 0", "zoom; arrows pan then"),
        ("o  y", "open in the desktop's viewer; copy the path"),
        ("esc", "back to the comparison"),
    ]

    def __init__(self, port: ScreenPort, photos: Sequence[PhotoView], at: int) -> None:
        super().__init__(port)
        self._photos, self.at = list(photos), at
        self._picture, self._caption = PictureView(), Words(id="caption")

    def compose(self) -> ComposeResult:
        yield self._picture
        yield self._caption

    def show_all(self) -> None:
        photo = self._photos[self.at]
        zoom = f"   {self.view.zoom:g}×" if self.view.zoom > 1 else ""
        self._caption.say(
            [
                (f"{self.at + 1}/{len(self._photos)}  ", "dim"),
                (f"{photo.role}  ", "good" if photo.role == "keeper" else "warn"),
                (name_of(photo.path), "strong"),
                (f"   {pixels(photo)}   {size(photo.size)}   {camera_time(photo.captured)}", "dim"),
                (zoom, "accent"),
            ]
        )
        self.run_worker(self._paint(photo, self.view), group="paint", exclusive=True)

    async def _paint(self, photo: PhotoView, view: Viewport) -> None:
        cache, target = self.port.picture_cache, self._picture
        async for _, picture in Painter(cache).paint([photo], photo, view, differs=False, blinked=None):
            if isinstance(picture, str):
                target.say(picture)
            else:
                await target.show(picture, cache)
        if view == UNZOOMED and cache.mode != "off" and (fine := await cache.original(photo)) is not None:
            await target.show(await cache.part(fine), cache)

    def photo(self) -> PhotoView:
        return self._photos[self.at]

    def redraw(self) -> None:
        self.show_all()

    def step(self, dx: int, dy: int) -> None:
        self.at = (self.at + (dx or dy)) % len(self._photos)
        self.show_all()
