"""Large pictures as their decoder returns them, part by part, without the copy of the whole that Pillow makes.

Owns which formats that is done for: still WebP and HEIF. The pixels are those that Pillow gives. Must never hold the
whole twice. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

import cv2
import numpy as np
import pillow_heif
from PIL import Image
from PIL.ImageFile import ImageFile

from dedupd.adapters.vision.refused import Refused

Rows = Callable[[int, int], Image.Image]
"""The part of a picture from one row up to another."""


def comes_in_parts(image: ImageFile) -> bool:
    """Whether `rows_of` takes this picture."""
    return image.format == "HEIF" or (image.format == "WEBP" and not getattr(image, "is_animated", False))


def rows_of(image: ImageFile, file: BinaryIO) -> tuple[Rows, tuple[int, int]]:
    """The decoded rows of this picture, which was opened from `file`, and its size. Raises Refused, and what the
    decoder raises."""
    file.seek(0)
    return _of_heif(file) if image.format == "HEIF" else _of_webp(file)


def _of_webp(file: BinaryIO) -> tuple[Rows, tuple[int, int]]:
    """By OpenCV. Pillow reads each WebP as an animation with three pictures at once: 16 bytes per pixel, where
    OpenCV takes 8 for the same pixels. Neither gives libwebp's decoding to a smaller size."""
    pixels = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise Refused("damaged or cut short")
    order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return lambda top, end: Image.fromarray(cv2.cvtColor(pixels[top:end], order)), pixels.shape[1::-1]


def _of_heif(file: BinaryIO) -> tuple[Rows, tuple[int, int]]:
    """With the options of Pillow's plugin for it."""
    found = pillow_heif.open_heif(file, convert_hdr_to_8bit=True, remove_stride=False)
    whole = found[found.primary_index]
    data = whole.data
    assert data is not None
    pixels = memoryview(data)
    stride, mode, (width, height) = whole.stride, whole.mode, whole.size

    def rows(top: int, end: int) -> Image.Image:
        part = pixels[top * stride : end * stride]
        return Image.frombytes(mode, (width, end - top), part, "raw", mode, stride)

    return rows, (width, height)
