"""What each pane of the comparison shows: the same place in all, the difference, the other one of a blink."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from dedupd.protocol.messages import PhotoView
from dedupd.tui.model.zoom import FULL, Box, View
from dedupd.tui.pictures.picture_cache import Gallery

if TYPE_CHECKING:
    from dedupd.tui.pictures.imaging import Picture


class Painter:
    """Yields pictures as soon as they are there: small ones first, finer ones when zoomed in."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    async def paint(
        self, shown: Sequence[PhotoView], keeper: PhotoView, view: View, differs: bool, blinked: int | None
    ) -> AsyncIterator[tuple[int, Picture | str]]:
        """(index into shown, picture or the words for why there is none). blinked: file that shows its keeper now."""
        small = await self._gallery.thumbnails(list({photo.file for photo in (*shown, keeper)}))
        aligned = view != FULL or differs or blinked is not None
        for index, photo in enumerate(shown):
            yield index, await self._one(photo, keeper, small, view, differs, blinked, aligned=aligned)
        if view.zoom > 1:
            fine = await self._originals([*shown, keeper], small)
            for index, photo in enumerate(shown):
                yield index, await self._one(photo, keeper, fine, view, differs, blinked, aligned=True)

    async def _one(
        self,
        photo: PhotoView,
        keeper: PhotoView,
        pictures: dict[int, Picture],
        view: View,
        differs: bool,
        blinked: int | None,
        *,
        aligned: bool,
    ) -> Picture | str:
        own, base = pictures.get(photo.file), pictures.get(keeper.file)
        if own is None:
            return "pictures are off (--images)" if self._gallery.mode == "off" else "no picture to show"
        if photo.file == keeper.file or base is None:
            return await self._gallery.part(own, view)
        if not aligned:
            return own
        if photo.file == blinked:
            return await self._gallery.part(base, view)
        place = await self._place(photo, keeper)
        seen = await self._gallery.part(own, view, place)
        if not differs:
            return seen
        return await self._gallery.difference(await self._gallery.part(base, view), seen, view.of(place))

    async def _place(self, photo: PhotoView, keeper: PhotoView) -> Box:
        return await self._gallery.place(keeper.file, photo.file)

    async def _originals(self, photos: Sequence[PhotoView], small: dict[int, Picture]) -> dict[int, Picture]:
        fine = dict(small)
        for photo in photos:
            if (picture := await self._gallery.original(photo)) is not None:
                fine[photo.file] = picture
        return fine
