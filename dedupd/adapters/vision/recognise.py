"""Which decoder reads a file: from its name and first bytes to the opened, not yet decoded picture.

Owns the allow-list of decoders, made from the rows of core/formats.py, and the sentence about a photo that
none of them reads. Must never decode a pixel, and never trust a name alone. Worker process only.
"""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

from typing import BinaryIO

import pillow_heif
from PIL import AvifImagePlugin, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from dedupd.adapters.vision import deep_tiff, jpeg_xl, photoshop, raw_photo
from dedupd.adapters.vision.container import is_sequence_alone
from dedupd.adapters.vision.deep_tiff import directory, is_deep
from dedupd.adapters.vision.extras import installed
from dedupd.adapters.vision.refused import NobodyReads
from dedupd.core.formats import FORMATS, Format, named, of_suffix, raw_format
from dedupd.core.units import extension

_HEAD = 32
_TAG_DNG_VERSION, _TAG_PHOTOMETRIC = 50706, 262
_RAW_PHOTOMETRIC = (32803, 34892)

pillow_heif.register_heif_opener(thumbnails=False)
pillow_heif.options.DECODE_THREADS = 1
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_OWN: dict[str, type[ImageFile]] = {
    deep_tiff.FORMAT: deep_tiff.DeepTiff, jpeg_xl.FORMAT: jpeg_xl.JpegXl,
    photoshop.FORMAT: photoshop.Photoshop, raw_photo.FORMAT: raw_photo.RawPhoto,
}  # fmt: skip
"""Formats recognised by their rows before Pillow is asked: Pillow would offer every file to a plugin for
them."""


_HEIF = next(row for row in FORMATS if row.name == "HEIF")


def open_picture(file: BinaryIO, path: str) -> ImageFile:
    """The picture in `file`, opened and not decoded.

    Raises NobodyReads, Refused, and what Pillow raises: UnidentifiedImageError for what is no picture.
    """
    file.seek(0)
    row = _format_of(file.read(_HEAD), path) or _format_by_tags(file)
    file.seek(0)
    if row is not None:
        return _opened_as(row, file)
    try:
        return Image.open(file, formats=[row.name for row in FORMATS if row.name not in _OWN])
    except UnidentifiedImageError:
        file.seek(0)
        if is_sequence_alone(file):
            raise NobodyReads(_HEIF.unknown, _HEIF.unknown) from None
        raise


def _format_of(head: bytes, path: str) -> Format | None:
    """The row of the format of our own that this file has; a RAW that is a TIFF is known by its name only."""
    named = of_suffix(extension(path))
    if named is not None and named.raw:
        return named if head else None
    return next((row for row in FORMATS if row.name in _OWN and row.begins(head)), None)


def _opened_as(row: Format, file: BinaryIO) -> ImageFile:
    if row.library and not installed(row.library):
        raise NobodyReads(row.without_extra, row.unread)
    return _OWN[row.name](file)


def _format_by_tags(file: BinaryIO) -> Format | None:
    """The row of a TIFF whose first directory says that it is a camera's, or that Pillow would read it wrong."""
    tags = directory(file)
    if tags is None:
        return None
    if _TAG_DNG_VERSION in tags or tags.get(_TAG_PHOTOMETRIC) in _RAW_PHOTOMETRIC:
        return raw_format()
    return named(deep_tiff.FORMAT) if is_deep(tags) else None
