"""Pictures for the screens: fetched, decoded and cut off the event loop, kept while they are needed.

Owns when Pillow and textual-image are loaded: after the first frame, in a thread.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from dedupd.client.connection import Refused
from dedupd.errors import NoDaemon, ProtocolError
from dedupd.protocol.messages import GetThumbnails, PhotoView, Thumbnails
from dedupd.tui.link.daemon_line import Link
from dedupd.tui.model.zoom import FULL, WHOLE, Box, View
from dedupd.tui.pictures.drawing import Drawing
from dedupd.tui.pictures.terminal import ImageMode

if TYPE_CHECKING:
    from types import ModuleType

    from dedupd.tui.pictures.imaging import Picture

T = TypeVar("T")
_KEPT = 96
"""Decoded thumbnails in memory; at 512 px some 0.6 MB each."""
_GRAPHICS = "dedupd.tui.pictures.graphics"
_loading = Lock()
_THUMBNAIL_SIDE = 512
_ORIGINAL_SIDE = 3000
"""Pixels of an original's long side that zooming shows."""


class Gallery:
    """Pictures by file id. Every method may answer None: then there is nothing to show, and why is in `note`."""

    def __init__(self, link: Link, mode: ImageMode) -> None:
        self.mode: ImageMode = mode
        self._link = link
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="pictures")
        self._imaging: ModuleType | None = None
        self._thumbnails: OrderedDict[int, Picture] = OrderedDict()
        self._originals: OrderedDict[int, Picture | None] = OrderedDict()
        self._places: dict[tuple[int, int], Box] = {}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def thumbnails(self, files: Sequence[int]) -> dict[int, Picture]:
        """The small pictures of `files` that there are, asked for in one request."""
        if self.mode == "off":
            return {}
        if missing := [file for file in files if file not in self._thumbnails]:
            await self._fetch(missing)
        for file in files:
            if file in self._thumbnails:
                self._thumbnails.move_to_end(file)
        return {file: self._thumbnails[file] for file in files if file in self._thumbnails}

    async def original(self, photo: PhotoView) -> Picture | None:
        """The picture itself at up to 3000 px, for zooming; None when it cannot be decoded here."""
        if photo.file not in self._originals:
            picture = await self._off_loop(self._load, photo.where, _ORIGINAL_SIDE)
            self._originals[photo.file] = picture
            while len(self._originals) > 6:  # some 20 MB each
                self._originals.popitem(last=False)
        self._originals.move_to_end(photo.file)
        return self._originals[photo.file]

    async def place(self, keeper: int, other: int) -> Box:
        """Where `other` lies in the keeper's picture, from their thumbnails."""
        if (keeper, other) not in self._places:
            small = await self.thumbnails([keeper, other])
            if len(small) < 2:
                return WHOLE
            box = await self._off_loop(lambda: self._tools().find_place(small[keeper], small[other]))
            self._places[keeper, other] = box
        return self._places[keeper, other]

    async def draw(self, picture: Picture, columns: int, rows: int) -> Drawing:
        """In at most so many cells, in the way of this terminal; where what shows real pixels is missing, in blocks."""
        if self.mode in ("kitty", "sixel"):
            try:
                return await self._off_loop(_draw_pixels, self.mode, picture, columns, rows)
            except ImportError:
                self.mode = "half"
        lines = await self._off_loop(lambda: self._tools().blocks(picture, columns, rows))
        return Drawing(lines=lines)

    async def part(
        self, picture: Picture, view: View = FULL, place: Box = WHOLE, side: int = 1024
    ) -> Picture:
        if view == FULL and place == WHOLE and max(picture.size) <= side:
            return picture
        return await self._off_loop(lambda: self._tools().part(picture, view, place, side))

    async def difference(self, keeper: Picture, other: Picture, covered: Box = WHOLE) -> Picture:
        return await self._off_loop(lambda: self._tools().difference(keeper, other, covered))

    def forget(self) -> None:
        """Another daemon may number its files otherwise."""
        self._thumbnails.clear()
        self._originals.clear()
        self._places.clear()

    async def _fetch(self, files: Sequence[int]) -> None:
        try:
            paths = (await self._link.ask(GetThumbnails(files=list(files)), Thumbnails)).paths
        except (NoDaemon, Refused, ProtocolError):
            return
        asked = [(file, paths[str(file)]) for file in files if str(file) in paths]
        pictures = await asyncio.gather(
            *(self._off_loop(self._load, path, _THUMBNAIL_SIDE) for _, path in asked)
        )
        for (file, _), picture in zip(asked, pictures, strict=True):
            if picture is not None:
                # Two may have asked at once: the one that is shown already stays.
                self._thumbnails.setdefault(file, picture)
        while len(self._thumbnails) > max(_KEPT, len(files)):
            self._thumbnails.popitem(last=False)

    def _load(self, path: str, side: int) -> Picture | None:
        return self._tools().load(path, side)

    def _tools(self) -> ModuleType:
        if self._imaging is None:
            self._imaging = importlib.import_module("dedupd.tui.pictures.imaging")
        return self._imaging

    async def _off_loop(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _draw_pixels(mode: ImageMode, picture: Picture, columns: int, rows: int) -> Drawing:
    graphics = _load_graphics()
    draw = graphics.sixels if mode == "sixel" else graphics.kitty
    return draw(picture, columns, rows, _cell_pixels())


def _load_graphics() -> ModuleType:
    """textual-image asks the terminal while it is imported; the app owns the terminal by now, and asked already."""
    with _loading:  # two threads draw; a module that one still loads is in sys.modules already
        if _GRAPHICS in sys.modules:
            return sys.modules[_GRAPHICS]
        stdout, sys.__stdout__ = sys.__stdout__, io.StringIO()  # type: ignore[misc]
        try:
            return importlib.import_module(_GRAPHICS)
        finally:
            sys.__stdout__ = stdout  # type: ignore[misc]


def _cell_pixels() -> tuple[int, int]:
    """Size of one character cell; 10x20 when the terminal does not say."""
    try:
        import fcntl
        import struct
        import termios

        if sys.__stdout__ is None:
            return (10, 20)
        reply = fcntl.ioctl(sys.__stdout__.fileno(), termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, across, down = struct.unpack("4H", reply)
        return (across // columns, down // rows) if across and down and rows and columns else (10, 20)
    except (ImportError, OSError, TypeError, AttributeError, ValueError):
        return (10, 20)
