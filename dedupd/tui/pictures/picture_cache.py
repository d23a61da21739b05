"""Pictures for the screens, decoded and cut in threads, and kept while they are needed.

Owns when Pillow and textual-image are loaded: after the first frame, in a thread. Must never block the event loop.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from dedupd.protocol.views import PhotoView
from dedupd.tui.model.zoom import UNZOOMED, WHOLE, Area, Viewport
from dedupd.tui.pictures.drawing import Drawing
from dedupd.tui.pictures.terminal import ImageMode

if TYPE_CHECKING:
    from types import ModuleType

    from dedupd.tui.pictures.imaging import Pixels

T = TypeVar("T")
FindThumbnails = Callable[[Sequence[int]], Awaitable[Mapping[int, str]]]
_KEPT = 96
"""Decoded thumbnails kept in memory; at 512 px each takes about 0.6 MB."""
_GRAPHICS = "dedupd.tui.pictures.graphics"
_loading = Lock()
_THUMBNAIL_SIDE = 512
_ORIGINAL_SIDE = 3000
"""Longest side, in pixels, of an original that is shown when zooming."""


class PictureCache:
    """Pictures by file id. find_thumbnails: paths of thumbnail files by file id, empty where there are none."""

    def __init__(self, find_thumbnails: FindThumbnails, mode: ImageMode) -> None:
        self.mode: ImageMode = mode
        self._find_thumbnails = find_thumbnails
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="pictures")
        self._imaging: ModuleType | None = None
        self._thumbnails: OrderedDict[int, Pixels] = OrderedDict()
        self._originals: OrderedDict[int, Pixels | None] = OrderedDict()
        self._places: dict[tuple[int, int], Area] = {}

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def thumbnails(self, files: Sequence[int]) -> dict[int, Pixels]:
        """The thumbnails of `files`, asked for in one request; without those that cannot be shown."""
        if self.mode == "off":
            return {}
        if missing := [file for file in files if file not in self._thumbnails]:
            await self._fetch(missing)
        for file in files:
            if file in self._thumbnails:
                self._thumbnails.move_to_end(file)
        return {file: self._thumbnails[file] for file in files if file in self._thumbnails}

    async def original(self, photo: PhotoView) -> Pixels | None:
        """The picture itself for zooming, its long side at most 3000 px; None when it cannot be decoded here."""
        if photo.file not in self._originals:
            picture = await self._off_loop(self._load, photo.where, _ORIGINAL_SIDE)
            self._originals[photo.file] = picture
            while len(self._originals) > 6:  # some 20 MB each
                self._originals.popitem(last=False)
        self._originals.move_to_end(photo.file)
        return self._originals[photo.file]

    async def place(self, keeper: int, other: int) -> Area:
        """Where `other` lies in the picture of `keeper`, found in their thumbnails."""
        if (keeper, other) not in self._places:
            small = await self.thumbnails([keeper, other])
            if len(small) < 2:
                return WHOLE
            box = await self._off_loop(lambda: self._tools().find_place(small[keeper], small[other]))
            self._places[keeper, other] = box
        return self._places[keeper, other]

    async def draw(self, picture: Pixels, columns: int, rows: int) -> Drawing:
        """Draw in at most this many cells, in the best way this terminal can; in blocks when textual-image is
        not installed."""
        if self.mode in ("kitty", "sixel"):
            try:
                return await self._off_loop(_draw_pixels, self.mode, picture, columns, rows)
            except ImportError:
                self.mode = "half"
        lines = await self._off_loop(lambda: self._tools().blocks(picture, columns, rows))
        return Drawing(lines=lines)

    async def part(
        self, picture: Pixels, view: Viewport = UNZOOMED, place: Area = WHOLE, side: int = 1024
    ) -> Pixels:
        """The part of this picture that `view` (given for the keeper) shows. place: where this picture lies
        in the keeper. side: longest side in pixels."""
        if view == UNZOOMED and place == WHOLE and max(picture.size) <= side:
            return picture
        return await self._off_loop(lambda: self._tools().part(picture, view, place, side))

    async def difference(self, keeper: Pixels, other: Pixels, covered: Area = WHOLE) -> Pixels:
        """Where two pictures of the same place differ. covered: the part of it that `other` has at all."""
        return await self._off_loop(lambda: self._tools().difference(keeper, other, covered))

    def clear(self) -> None:
        """Forget everything: another daemon may give other ids to its files."""
        self._thumbnails.clear()
        self._originals.clear()
        self._places.clear()

    async def _fetch(self, files: Sequence[int]) -> None:
        paths = await self._find_thumbnails(files)
        asked = [(file, paths[file]) for file in files if file in paths]
        pictures = await asyncio.gather(
            *(self._off_loop(self._load, path, _THUMBNAIL_SIDE) for _, path in asked)
        )
        for (file, _), picture in zip(asked, pictures, strict=True):
            if picture is not None:
                # Two callers may have asked at the same time: keep the picture that is shown already.
                self._thumbnails.setdefault(file, picture)
        while len(self._thumbnails) > max(_KEPT, len(files)):
            self._thumbnails.popitem(last=False)

    def _load(self, path: str, side: int) -> Pixels | None:
        return self._tools().load(path, side)

    def _tools(self) -> ModuleType:
        if self._imaging is None:
            self._imaging = importlib.import_module("dedupd.tui.pictures.imaging")
        return self._imaging

    async def _off_loop(self, work: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _draw_pixels(mode: ImageMode, picture: Pixels, columns: int, rows: int) -> Drawing:
    graphics = _load_graphics()
    draw = graphics.sixels if mode == "sixel" else graphics.kitty
    return draw(picture, columns, rows, _cell_pixels())


def _load_graphics() -> ModuleType:
    """Import textual-image while it sees no terminal: otherwise it would query the terminal, whose input the
    app already reads."""
    with _loading:  # two threads draw, and a module is in sys.modules before it is loaded
        if _GRAPHICS in sys.modules:
            return sys.modules[_GRAPHICS]
        stdout, sys.__stdout__ = sys.__stdout__, io.StringIO()  # type: ignore[misc]
        try:
            return importlib.import_module(_GRAPHICS)
        finally:
            sys.__stdout__ = stdout  # type: ignore[misc]


def _cell_pixels() -> tuple[int, int]:
    """Width and height of one character cell in pixels; 10x20 when the terminal does not say."""
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
