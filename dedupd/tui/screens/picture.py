"""One picture on the whole screen; arrows go to the group's others, or pan when zoomed in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dedupd.protocol.messages import PhotoView
from dedupd.tui.model.words import camera_time, name_of, pixels, size
from dedupd.tui.model.zoom import FULL, View
from dedupd.tui.pictures.painter import Painter
from dedupd.tui.screens.base import HelpLines
from dedupd.tui.screens.looking import Looking
from dedupd.tui.widgets.picture import Picture
from dedupd.tui.widgets.spans import Words


class PictureScreen(Looking):
    """Never leaves the group."""

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

    def __init__(self, photos: Sequence[PhotoView], at: int) -> None:
        super().__init__()
        self._photos, self.at = list(photos), at
        self._picture, self._caption = Picture(), Words(id="caption")

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

    async def _paint(self, photo: PhotoView, view: View) -> None:
        gallery, target = self.review.gallery, self._picture
        async for _, pixels_ in Painter(gallery).paint([photo], photo, view, differs=False, blinked=None):
            if isinstance(pixels_, str):
                target.say(pixels_)
            else:
                await target.show(pixels_, gallery)
        if view == FULL and gallery.mode != "off" and (fine := await gallery.original(photo)) is not None:
            await target.show(await gallery.part(fine), gallery)

    def photo(self) -> PhotoView:
        return self._photos[self.at]

    def redraw(self) -> None:
        self.show_all()

    def step(self, dx: int, dy: int) -> None:
        self.at = (self.at + (dx or dy)) % len(self._photos)
        self.show_all()
