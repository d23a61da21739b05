"""From a path to upright pixels, for hashing, embedding, proving and thumbnails.

Owns which files count as pictures and how they are decoded small. Must never write, follow a symlink,
download a cloud placeholder, or trust a file's name, header or length. Worker process only.
"""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import os
import stat as stat_module
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import BinaryIO

import cv2
import numpy as np
from blake3 import blake3
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from dedupd.adapters.placeholder_marks import is_placeholder
from dedupd.adapters.vision.container import SEQUENCE, holding
from dedupd.adapters.vision.recognise import open_picture
from dedupd.adapters.vision.refused import Refused
from dedupd.adapters.vision.small import load_small
from dedupd.core.photo import IN_THE_CLOUD, NO_PICTURE, FileStat, Holding

MAX_PIXELS = 250_000_000
"""Phones make pictures of up to 200 Mpixel; a file with more than this is kept and reported, not decoded."""
SHORT_SIDE = 320
"""The small decode keeps at least this short side: enough for the hashes and an embedder of 224 px."""

_TAG_ORIENTATION = 0x0112
_BLOCK = 1 << 20
_SIGN_OF_LIFE = 64
"""Blocks between two signs of life."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("ignore", UserWarning)
warnings.simplefilter("error", Image.DecompressionBombWarning)
cv2.setNumThreads(1)

BLOCKLESS: set[int] = set()
"""Devices where the number of blocks says nothing. The daemon, which may write there, finds them out and
passes them to the worker at its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One decoded picture, small and upright, with what its header says."""

    image: Image.Image
    """RGB, in the colour space of `profile`; L where grey levels were asked for and the decoder could leave the colours out."""
    format: str
    width: int
    """Width of the whole picture, upright, in px."""
    height: int
    exif: Image.Exif
    quantization: dict[int, list[int]] | None
    """A JPEG's quantization tables; None for other formats."""
    subsampling: str
    several: bool
    """Whether there are more frames or pages after the one decoded; for HEIF known only with `holding`."""
    holding: Holding
    """What the file holds besides; set only when it was asked for."""
    profile: bytes = b""
    """Its embedded ICC profile, not applied."""


@contextmanager
def opened(path: str, expected: FileStat | None = None) -> Generator[BinaryIO]:
    """The regular file at `path`, open for reading.

    Raises Refused: gone, not a regular file, a cloud placeholder, or different from `expected` at opening or
    at the end of the block.
    """
    try:
        _check(os.lstat(path), expected, path)
        # O_NONBLOCK: a FIFO put here after lstat must not block the open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            _check(before, expected)
            yield file
            _check(os.fstat(descriptor), expected or _identity(before))
    except FileNotFoundError:
        raise Refused("no longer there", retry=True) from None
    except PermissionError:
        raise Refused("no permission to read it") from None


def _identity(status: os.stat_result) -> FileStat:
    return FileStat(
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
        dev=status.st_dev,
        ino=status.st_ino,
    )


def _check(status: os.stat_result, expected: FileStat | None, path: str = "") -> None:
    """Raises Refused. `path`: given for a file that is not open yet."""
    if not stat_module.S_ISREG(status.st_mode):
        raise Refused("not a regular file")
    if expected is not None:
        found = (status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino)
        if found != (expected.size, expected.mtime_ns, expected.dev, expected.ino):
            raise Refused("changed while being read", retry=True)
    no_blocks = status.st_size > 0 and status.st_blocks == 0 and status.st_dev not in BLOCKLESS
    if no_blocks or (path and is_placeholder(path, status)):
        raise Refused(IN_THE_CLOUD, retry=True)


def content_of(file: BinaryIO, alive: Callable[[], None] = lambda: None) -> str:
    """BLAKE3 of the whole file, 64 hex digits; returns to the start of the file.

    `alive` is called from time to time: reading an hour of video from a slow disk is slow, and must not look
    like a hang.
    """
    hasher = blake3()
    block = bytearray(_BLOCK)
    view = memoryview(block)
    file.seek(0)
    read = 0
    while count := file.readinto(block):  # type: ignore[attr-defined]
        hasher.update(view[:count])
        read += 1
        if read % _SIGN_OF_LIFE == 0:
            alive()
    file.seek(0)
    return hasher.hexdigest()


def decode(
    file: BinaryIO,
    path: str,
    *,
    short_side: int = 0,
    long_side: int = 0,
    enough: int = 0,
    holds: bool = False,
    grey: bool = False,
) -> Picture:
    """Decode the first frame to its end, scaled down as far as both minimal sides (px) allow.

    JPEGs are scaled in the DCT domain (libjpeg), others by whole factors. `holds`: also read what else the
    file holds. `enough`: a smaller long side of a JPEG will do where no pixel is left over. `grey`: colours are not
    needed, which halves the cost of a JPEG in all its pixels. Raises Refused.
    """
    try:
        with open_picture(file, path) as image:
            found = holding(file, image) if holds else Holding()
            return _decode(image, file, short_side, long_side, found, enough=enough, grey=grey)
    except Refused:
        raise
    except UnidentifiedImageError:
        raise Refused("empty file" if not file.seek(0, os.SEEK_END) else NO_PICTURE) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(f"too large: over {MAX_PIXELS // 1_000_000} Mpixel") from None
    except MemoryError:
        raise Refused("too large: it does not fit in the worker's memory") from None
    except Exception as error:  # noqa: BLE001
        # Decoders raise many kinds of errors for a hostile file; all of them mean the same.
        raise Refused(f"damaged or cut short ({error})"[:200]) from None


def holding_of(file: BinaryIO, path: str) -> Holding:
    """What the file holds besides, without decoding it. Raises Refused."""
    with open_picture(file, path) as image:
        return holding(file, image)


def _decode(
    image: ImageFile,
    file: BinaryIO,
    short_side: int,
    long_side: int,
    found: Holding,
    *,
    enough: int,
    grey: bool,
) -> Picture:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Refused(f"too large: {width * height // 1_000_000} Mpixel")
    jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    tables = dict(image.quantization) if jpeg else None  # type: ignore[attr-defined]
    subsampling = (
        {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}.get(JpegImagePlugin.get_sampling(image), "") if jpeg else ""
    )
    name = "JPEG" if jpeg else str(image.format)
    # No decoder tells that a HEIF has frames beside its still picture.
    several = not jpeg and (_has_several(image) or SEQUENCE in found.further)
    small, transparent = load_small(image, file, short_side, long_side, enough=enough, grey=grey)
    exif = _exif(image)
    turn = _TURNS.get(_orientation(exif))
    if turn is not None:
        small = small.transpose(turn)
        if turn in (_TURNS[5], _TURNS[6], _TURNS[7], _TURNS[8]):
            width, height = height, width
    return Picture(
        image=small,
        format=name,
        width=width,
        height=height,
        exif=exif,
        quantization=tables,
        subsampling=subsampling,
        several=several,
        holding=replace(found, transparent=transparent),
        profile=_profile(image),
    )


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # noqa: BLE001
        # Broken metadata does not make a photo unreadable.
        return Image.Exif()


def _profile(image: Image.Image) -> bytes:
    found = image.info.get("icc_profile")
    return found if isinstance(found, bytes) else b""


def _has_several(image: Image.Image) -> bool:
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # noqa: BLE001
        # What follows the first frame is broken: nobody can see it.
        return False


def _orientation(exif: Image.Exif) -> int:
    value = exif.get(_TAG_ORIENTATION, 1)
    return value if isinstance(value, int) else 1


def area_resize(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Scale down so that the long side is at most `side` px; never up."""
    height, width = pixels.shape[:2]
    size = fitting(width, height, side)
    if size == (width, height):
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def fitting(width: int, height: int, side: int) -> tuple[int, int]:
    """A picture's size when it is scaled down so that its long side is at most `side` px; never up."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))
