"""From an opened picture to its pixels: RGB, 8 bits, as small as was asked for.

Owns the scaling and the modes. A large picture is scaled strip by strip after its decoder, so that it is
never in memory twice; the pixels are the same. Must never open a file. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin
from PIL.ImageFile import ImageFile

from dedupd.adapters.vision.card_jpeg import CardJpegs
from dedupd.adapters.vision.child import returning_memory
from dedupd.adapters.vision.decoder_pixels import Rows, comes_in_parts, rows_of
from dedupd.adapters.vision.profiles import rgb_of
from dedupd.adapters.vision.raw_photo import RawPhoto
from dedupd.adapters.vision.room import (
    ROOM,
    SHARED,
    Room,
    TakesRoom,
    need_in_parts,
    need_of,
    need_of_coefficients,
    need_of_result,
)  # fmt: skip

LARGE_PIXELS = 40_000_000
"""A picture with more pixels is scaled strip by strip."""
MOST_PIXELS = 110_000_000
"""No result has more: every pixel of the largest cameras (102 Mpixel), and half the size of a phone's 200."""
GREY = (128, 128, 128)
"""The colour shown through transparency."""
_OPAQUE = 250
"""Of 255: from this on, nobody sees transparency."""
_STRIP_PIXELS = 4_000_000

_room: TakesRoom = Room(ROOM, SHARED)
_card: CardJpegs | None = None

Levels = Callable[[NDArray[np.generic]], NDArray[np.uint8]]


def share_room(room: TakesRoom) -> None:
    """From now on ask for room there: other processes decode within the same limit."""
    global _room  # noqa: PLW0603
    _room = room


def use_card(card: CardJpegs | None) -> None:
    """From now on ask it first for photos that are decoded small."""
    global _card  # noqa: PLW0603
    _card = card


def room() -> TakesRoom:
    """Where this process asks for room."""
    return _room


def load_small(
    image: ImageFile, file: BinaryIO, short_side: int, long_side: int, *, enough: int = 0, grey: bool = False
) -> tuple[Image.Image, bool]:
    """The pixels of `image`, which was opened from `file`, and whether any of it is transparent. `enough`: a smaller long
    side, down to which both sides of a JPEG may be halved where no pixel is left over; `grey`: a JPEG gives its grey
    levels alone (L). Raises Refused."""
    coefficients = need_of_coefficients(image)
    if isinstance(image, RawPhoto):
        with _room.taken(need_of(image)):
            image.load_small(short_side, long_side)
    jpeg = isinstance(image, JpegImagePlugin.JpegImageFile)
    factor, scale = _factor(image.width, image.height, short_side, long_side), 1
    if enough and jpeg:  # of others, nothing is saved by it
        factor = max(factor, _halvings(image.width, image.height, enough))
    grey = grey and jpeg
    if isinstance(image, JpegImagePlugin.JpegImageFile) and (factor > 1 or grey):
        width = image.width
        image.draft("L" if grey else None, (max(1, width // factor), max(1, image.height // factor)))
        scale = round(width / image.width)
        factor //= scale
    large = image.width * image.height > LARGE_PIXELS
    result = need_of_result(image, factor)
    if large and comes_in_parts(image):
        with _room.taken(need_in_parts(image) + result), returning_memory():
            return _in_strips(*rows_of(image, file), factor)
    with _room.taken(need_of(image) + coefficients + result):
        on_card = _card.shrunk(image, file, scale) if _card and not large and not grey else None
        if on_card and _card and _card.trusted:
            return _to_rgb(on_card, factor, None)
        image.load()
        if on_card and _card:
            _card.compare(on_card, image)
        if not large:
            return _to_rgb(image, factor, None, grey=grey)
        return _in_strips(lambda top, end: image.crop((0, top, image.width, end)), image.size, factor)


def _factor(width: int, height: int, short_side: int, long_side: int) -> int:
    """The largest whole factor that keeps both minimal sides; 1 when no sides are given. A result that would still
    have too many pixels is made smaller."""
    factors = [
        side // least
        for side, least in ((min(width, height), short_side), (max(width, height), long_side))
        if least
    ]
    least = math.ceil(math.sqrt(width * height / MOST_PIXELS))
    return max(1, least, min(factors, default=1))


def _halvings(width: int, height: int, enough: int) -> int:
    """The largest power of two that divides both sides and leaves the long one `enough`: of an odd side, the last pixel of
    a smaller picture shows half as much as the others, and two turned copies would not lie on each other."""
    most = max(width, height) // enough
    return next((n for n in (8, 4, 2) if n <= most and width % n == 0 and height % n == 0), 1)


def _in_strips(rows: Rows, size: tuple[int, int], factor: int) -> tuple[Image.Image, bool]:
    width, height = size
    # Multiples of the factor, so that each pixel of the small picture is made from one strip.
    step = max(1, _STRIP_PIXELS // width // factor) * factor

    def strips() -> Iterator[Image.Image]:
        return (rows(top, min(top + step, height)) for top in range(0, height, step))

    levels = _levels(strips())
    small = Image.new("RGB", (-(-width // factor), -(-height // factor)))
    transparent = False
    for number, strip in enumerate(strips()):
        part, seen_through = _to_rgb(strip, factor, levels)
        small.paste(part, (0, number * step // factor))
        transparent = transparent or seen_through
    return small, transparent


def _to_rgb(
    frame: Image.Image, factor: int, levels: Levels | None, *, grey: bool = False
) -> tuple[Image.Image, bool]:
    """`levels`: those of the whole picture, when `frame` is a part of one. `grey`: grey levels stay such."""
    if _many_levels(frame):
        to_8_bit = levels or _levels(iter([frame]))
        frame = Image.fromarray(to_8_bit(np.asarray(frame)))
    elif frame.mode in ("P", "PA") or "transparency" in frame.info:
        frame = frame.convert("RGBA")
    elif frame.mode == "1":
        frame = frame.convert("L")
    if factor > 1 and frame.mode in ("L", "LA", "RGB", "RGBA", "CMYK", "LAB"):
        frame = frame.reduce(factor)
    if frame.mode in ("LAB", "CMYK"):
        frame = rgb_of(frame)
    transparent = False
    if frame.mode in ("RGBA", "LA", "RGBa", "La"):
        frame = frame.convert("RGBA")
        transparent = int(np.asarray(frame)[..., 3].min()) < _OPAQUE
        ground = Image.new("RGBA", frame.size, (*GREY, 255))
        frame = Image.alpha_composite(ground, frame)
    # Pillow copies a picture that is RGB already: 48 MB for a full photo. A decoded JPEG does not need its
    # file any more.
    mode = "L" if grey and frame.mode == "L" else "RGB"
    as_it_is = frame.mode == mode and isinstance(frame, JpegImagePlugin.JpegImageFile)
    return frame if as_it_is else frame.convert(mode), transparent


def _many_levels(frame: Image.Image) -> bool:
    return frame.mode in ("I", "F") or frame.mode.startswith("I;")


def _levels(parts: Iterator[Image.Image]) -> Levels:
    """How 16-bit, 32-bit or float grey of these parts of one picture becomes 8 bits: by the range that the
    values show."""
    low, high, whole = np.inf, -np.inf, False
    for part in parts:
        if not _many_levels(part):
            break
        pixels = np.asarray(part)
        whole = pixels.dtype == np.uint16
        if whole:
            break
        values = _numbers(pixels)
        low, high = min(low, float(values.min())), max(high, float(values.max()))

    def to_8_bit(pixels: NDArray[np.generic]) -> NDArray[np.uint8]:
        values = _numbers(pixels)
        if whole or (low >= 0 and 255 < high <= 65535):
            values /= 257.0
        elif low < 0 or high > 255:
            values = (values - low) * (255.0 / (high - low))
        elif high <= 1.0 and pixels.dtype == np.float32:
            values *= 255.0
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    return to_8_bit


def _numbers(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.nan_to_num(pixels.astype(np.float32), posinf=0.0, neginf=0.0)
