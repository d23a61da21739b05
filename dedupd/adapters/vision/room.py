"""A memory limit for decoding: how much each picture needs, and which thread waits so that all together stay
below it.

Owns the figures. Must never decode. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import struct
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from threading import Condition, Lock
from typing import Protocol

from PIL import Image, Jpeg2KImagePlugin, JpegImagePlugin, TiffImagePlugin
from PIL.ImageFile import ImageFile

from dedupd.adapters.vision.deep_tiff import DeepTiff
from dedupd.adapters.vision.refused import Refused
from dedupd.core.formats import named

ROOM = 1_400_000_000
"""Bytes that one picture may take; what takes more is refused. The worker itself and its libraries take about 60 to 300
MB more."""
SHARED = 1_000_000_000
"""Bytes that pictures decoded at once may take together. One that takes more is decoded alone."""

_PIXEL = 4
"""Bytes per pixel of Pillow's own copy, in any mode."""
_PLAIN, _QUARTER = 8, 420
"""Bits per channel; colours at a quarter of the places."""
_HEIF, _HEIF_FINE, _HEIF_ALPHA, _HEIF_DEEP = 4.9, 9.4, 3.2, 1.65
"""libheif: plain pictures, as phones make them; those with more colours; what transparency adds; the factor for more
bits. Measured at 16 to 200 Mpixel."""
_WEBP = 8.3
"""libwebp's own pixels and OpenCV's."""
_HEAD = 1 << 16
"""Bytes in which a JPEG 2000 states the size of its tiles."""
_JPEG2000 = 4.7
"""OpenJPEG decodes a tile, usually the whole picture, in 32 bits per channel."""
_COEFFICIENT = 2
"""A progressive JPEG is decoded from all coefficients; one with four channels has one more."""


class TakesRoom(Protocol):
    """Who is asked before a picture is decoded."""

    def taken(self, need: int) -> AbstractContextManager[None]:
        """Wait for room, and hold it. Raises Refused when there is never enough."""
        ...


class Room:
    """Bytes shared by all threads that decode. First come, first served, so that a large picture is not passed
    over."""

    def __init__(self, size: int, shared: int | None = None) -> None:
        """`size`: for one alone; `shared`: for several together, when that is less."""
        self.size = size
        self._shared = size if shared is None else shared
        self._used = 0
        self._left = Condition()
        self._turn = Lock()

    @contextmanager
    def taken(self, need: int) -> Generator[None]:
        """Wait for memory, and hold it. Raises Refused when there can never be enough."""
        if need > self.size:
            raise Refused("too large: it does not fit in the worker's memory")
        with self._turn, self._left:
            self._left.wait_for(lambda: not self._used or self._used + need <= self._shared)
            self._used += need
        try:
            yield
        finally:
            with self._left:
                self._used -= need
                self._left.notify()


def need_of(image: Image.Image) -> int:
    """Bytes needed to decode this opened picture at its current size."""
    return round(image.width * image.height * (_PIXEL + _beside(image)))


def need_in_parts(image: ImageFile) -> int:
    """The same for a picture that decoder_pixels.py takes from its decoder: Pillow makes no copy."""
    return round(image.width * image.height * (_heif(image) if image.format == "HEIF" else _WEBP))


def need_of_result(image: Image.Image, factor: int) -> int:
    """Bytes of the picture made from it, smaller by `factor`."""
    return _PIXEL * -(-image.width // factor) * -(-image.height // factor)


def _beside(image: Image.Image) -> float:
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        return 0  # its coefficients are counted at its own size: need_of_coefficients
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _strip(image)
    if isinstance(image, DeepTiff):
        return image.weight
    if isinstance(image, Jpeg2KImagePlugin.Jpeg2KImageFile):
        return _JPEG2000 * len(image.getbands()) * _tile(image)
    if image.format == "HEIF":
        return _heif(image)
    row = named(str(image.format))
    return 0 if row is None else row.decoding


def _heif(image: Image.Image) -> float:
    """Bytes per pixel that libheif holds for this picture."""
    said = image.info
    plain = said.get("chroma") == _QUARTER or image.mode == "L"
    weight = (_HEIF if plain else _HEIF_FINE) + (_HEIF_ALPHA if "A" in image.mode.upper() else 0)
    return weight if said.get("bit_depth") == _PLAIN else weight * _HEIF_DEEP


def need_of_coefficients(image: ImageFile) -> int:
    """Bytes that a progressive JPEG needs, however small it is decoded; 0 for others."""
    if not isinstance(image, JpegImagePlugin.JpegImageFile) or not image.info.get("progressive"):
        return 0
    return image.width * image.height * _COEFFICIENT * len(image.getbands())


def _strip(image: TiffImagePlugin.TiffImageFile) -> float:
    """Bytes per pixel of one strip, which may be the whole picture."""
    bits = image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))
    rows = int(image.tag_v2.get(TiffImagePlugin.ROWSPERSTRIP, image.height))
    return sum(bits) / 8 * min(1.0, rows / image.height)


def _tile(image: ImageFile) -> float:
    """The share of the picture in one tile; 1 when the header does not say."""
    file = image.fp
    if file is None:
        return 1.0
    at = file.tell()
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(at)
    size = head.find(b"\xff\x4f\xff\x51")
    if size < 0 or size + 32 > len(head):
        return 1.0
    width, height = struct.unpack_from(">II", head, size + 24)
    return min(1.0, width * height / (image.width * image.height))
