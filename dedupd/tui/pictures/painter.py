"""Computes what each pane of the comparison shows: the same part of every picture, the difference, or the
keeper (blink).

Must never draw on the screen or change a mark.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from dedupd.protocol.views import PhotoView
from dedupd.tui.model.zoom import UNZOOMED, Area, Viewport
from dedupd.tui.pictures.picture_cache import PictureCache

if TYPE_CHECKING:
    from dedupd.tui.pictures.imaging import Pixels


class Painter:
    """Yields pictures as soon as they are ready: first from thumbnails, then finer ones when zoomed in."""

    def __init__(self, cache: PictureCache) -> None:
        self._cache = cache

    async def paint(
        self,
        shown: Sequence[PhotoView],
        keeper: PhotoView,
        view: Viewport,
        differs: bool,
        blinked: int | None,
    ) -> AsyncIterator[tuple[int, Pixels | str]]:
        """Yields (index in `shown`, picture, or the words for why there is none).

        differs: show the difference to the keeper. blinked: id of the file in whose place the keeper is shown.
        """
        small = await self._cache.thumbnails(list({photo.file for photo in (*shown, keeper)}))
        aligned = view != UNZOOMED or differs or blinked is not None
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
        pictures: dict[int, Pixels],
        view: Viewport,
        differs: bool,
        blinked: int | None,
        *,
        aligned: bool,
    ) -> Pixels | str:
        own, base = pictures.get(photo.file), pictures.get(keeper.file)
        if own is None:
            return "pictures are off (--images)" if self._cache.mode == "off" else "no picture to show"
        if photo.file == keeper.file or base is None:
            return await self._cache.part(own, view)
        if not aligned:
            return own
        if photo.file == blinked:
            return await self._cache.part(base, view)
        place = await self._place(photo, keeper)
        seen = await self._cache.part(own, view, place)
        if not differs:
            return seen
        return await self._cache.difference(await self._cache.part(base, view), seen, view.covered_by(place))

    async def _place(self, photo: PhotoView, keeper: PhotoView) -> Area:
        return await self._cache.place(keeper.file, photo.file)

    async def _originals(self, photos: Sequence[PhotoView], small: dict[int, Pixels]) -> dict[int, Pixels]:
        fine = dict(small)
        for photo in photos:
            if (picture := await self._cache.original(photo)) is not None:
                fine[photo.file] = picture
        return fine
