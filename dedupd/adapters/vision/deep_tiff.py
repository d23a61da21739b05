"""TIFFs that Pillow refuses or shows wrong, as pictures that Pillow can open: decoded by libtiff
(imagecodecs, the extra `tiff`).

Owns which those are: float colours, integers of 12 or 32 bits, 16 bits in planes or with white as 0. Must
never show what libtiff could not decode to the end. Worker process only.

Source: TIFF 6.0, and Adobe's technical note 3 on the float predictor.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile
from PIL.TiffImagePlugin import (
    BITSPERSAMPLE,
    COMPRESSION,
    PHOTOMETRIC_INTERPRETATION,
    PLANAR_CONFIGURATION,
    SAMPLEFORMAT,
    SAMPLESPERPIXEL,
    ImageFileDirectory_v2,
)  # fmt: skip

from dedupd.adapters.vision.refused import Refused

FORMAT = "deep TIFF"
_LARGEST = 1 << 30
"""Bytes of a file, at most: 90 Mpixel of float colours."""
_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNCOMPRESSED, _PLANES, _FLOAT, _WHITE_IS_0, _RGB = 1, 2, 3, 0, 2
_WIDTH, _HEIGHT, _ICC, _XMP, _ORIENTATION = 256, 257, 34675, 700, 274
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True, slots=True)
class _Layout:
    """How the numbers of the first picture are stored in the file."""

    bits: int
    samples: int
    is_float: bool
    in_planes: bool
    white_is_0: bool
    compressed: bool

    @property
    def misread(self) -> bool:
        """Whether Pillow refuses it, or shows wrong pixels."""
        if self.is_float:
            return self.bits != 32 or self.samples > 1
        if self.bits == 16:
            return self.white_is_0 or (self.in_planes and not self.compressed)
        return self.bits in (12, 32)


class DeepTiff(ImageFile.ImageFile):
    """One such TIFF, opened."""

    format: ClassVar[str] = FORMAT  # type: ignore[misc]
    format_description = "TIFF of more than 8 bits a channel"

    def _open(self) -> None:
        assert self.fp is not None
        tags = directory(self.fp)
        layout = None if tags is None else _layout(tags)
        if tags is None or layout is None:
            raise SyntaxError("no such TIFF")
        self.layout = layout
        self._size = int(tags[_WIDTH]), int(tags[_HEIGHT])
        self._mode = _MODES[min(4, layout.samples)]
        self.is_animated = bool(tags.next)
        self.tile = []
        if icc := tags.get(_ICC):
            self.info["icc_profile"] = bytes(icc)
        if packet := tags.get(_XMP):
            self.info["xmp"] = bytes(packet)
        self._facts = _exif(self.fp)

    @property
    def weight(self) -> float:
        """Bytes per pixel while it is decoded, beside Pillow's copy."""
        return self.layout.bits / 8 * self.layout.samples + 2 * min(4, self.layout.samples)

    def getexif(self) -> Image.Exif:
        """The EXIF data, as Pillow gives it for other TIFFs."""
        return self._facts

    def load(self) -> Any:
        """Decode, to 8 bits per channel, like every picture of Pillow."""
        if self.fp is not None:
            import imagecodecs

            self.fp.seek(0)
            data = self.fp.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise Refused("too large: it does not fit in the worker's memory")
            pixels = np.asarray(imagecodecs.tiff_decode(data))
            del data
            if self.layout.in_planes and self.layout.samples > 1:
                pixels = np.moveaxis(pixels, 0, 2)
            if pixels.shape[:2] != self._size[::-1]:
                raise Refused("damaged: not of the size that it says")
            picture = Image.fromarray(_in_8_bits(pixels, self.layout))
            self.im, self._mode, self.fp = picture.im, picture.mode, None
        return Image.Image.load(self)


def is_deep(tags: ImageFileDirectory_v2) -> bool:
    """Whether the TIFF with this first directory is one of those."""
    return _layout(tags) is not None


def directory(file: IO[bytes]) -> ImageFileDirectory_v2 | None:
    """The first directory of a TIFF; None when it is no TIFF."""
    file.seek(0)
    head = file.read(16)
    if not head.startswith(_HEADS):
        return None
    try:
        tags = ImageFileDirectory_v2(head if b"+" in head[2:4] else head[:8])
        file.seek(tags.next)
        tags.load(file)
    except Exception:  # noqa: BLE001
        # Pillow lets many kinds of errors of a broken directory escape; opening the file later says what is
        # wrong.
        return None
    return tags


def _layout(tags: ImageFileDirectory_v2) -> _Layout | None:
    """None for what Pillow reads, and for colours other than grey and RGB."""
    colours = tags.get(PHOTOMETRIC_INTERPRETATION)
    bits, kinds = tags.get(BITSPERSAMPLE, (1,)), tags.get(SAMPLEFORMAT, (1,))
    found = _Layout(
        bits=bits[0],
        samples=int(tags.get(SAMPLESPERPIXEL, 1)),
        is_float=kinds[0] == _FLOAT,
        in_planes=tags.get(PLANAR_CONFIGURATION) == _PLANES,
        white_is_0=colours == _WHITE_IS_0,
        compressed=tags.get(COMPRESSION, _UNCOMPRESSED) != _UNCOMPRESSED,
    )
    # Signed integers are Pillow's mode "I"; nothing reads channels of different types.
    signed = kinds[0] not in (1, _FLOAT)
    odd = len(set(bits)) > 1 or len(set(kinds)) > 1 or colours not in (_WHITE_IS_0, 1, _RGB) or signed
    return found if found.misread and not odd else None


def _in_8_bits(pixels: NDArray[Any], layout: _Layout) -> NDArray[np.uint8]:
    if pixels.ndim == 3:
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :4]
    low, high = 0.0, float(2**layout.bits - 1)
    if layout.is_float:
        finite = [row[np.isfinite(row)] for row in pixels]
        low = min(0.0, *(float(row.min()) for row in finite if row.size), 0.0)
        high = max(1.0, *(float(row.max()) for row in finite if row.size), 1.0)
    small = np.empty(pixels.shape, np.uint8)
    for row, into in zip(pixels, small, strict=True):  # one by one: a large picture is not held three times
        shown = np.nan_to_num((row.astype(np.float64) - low) / (high - low), posinf=1.0, neginf=0.0)
        into[:] = np.rint(np.clip(1.0 - shown if layout.white_is_0 else shown, 0.0, 1.0) * 255)
    return small


def _exif(file: IO[bytes]) -> Image.Exif:
    exif = Image.Exif()
    with suppress(Exception):
        # Broken metadata does not make a photo unreadable.
        file.seek(0)
        head = file.read(8)
        exif.endian = "<" if head.startswith(b"II") else ">"
        exif.load_from_fp(file, int.from_bytes(head[4:], "little" if exif.endian == "<" else "big"))
    return exif
