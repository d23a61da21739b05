"""JPEG XL as a picture that Pillow can open: decoded by libjxl (imagecodecs, the extra `jxl`).

Owns its container and the first bytes of its codestream: size, depth, whether it lost anything, EXIF and XMP.
Must never decode before the size is known, and never show what libjxl could not decode to the end. Worker
process only.

Sources: ISO/IEC 18181-1 (codestream, annex on image header), ISO/IEC 18181-2 (container).
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false
from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from dedupd.adapters.vision.refused import Refused

FORMAT = "JPEG XL"
_BARE, _BOXED = b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n"
_LARGEST = 512 << 20
_MOST_METADATA = 4 << 20
"""Bytes of EXIF or XMP, unpacked; more is a hostile file."""
_MOST_CHANNELS = 16
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(slots=True)
class Header:
    """What the codestream says about its picture before the pixels."""

    width: int = 0
    height: int = 0
    turned: bool = False
    """libjxl turns it upright, with its sides exchanged."""
    depth: int = 8
    moving: bool = False
    coded_with_loss: bool = True
    """Coded in libjxl's own colour space, from which colours do not come back exactly."""


class JpegXl(ImageFile.ImageFile):
    """One JPEG XL, opened."""

    format: ClassVar[str] = FORMAT  # type: ignore[misc]
    format_description = "JPEG XL"

    def _open(self) -> None:
        assert self.fp is not None
        head = self.fp.read(len(_BOXED))
        if not head.startswith((_BARE, _BOXED)):
            raise SyntaxError("no JPEG XL")
        self._whole = head + self.fp.read(_LARGEST)
        codestream = bytes(self._whole)
        self.from_jpeg = False
        if head.startswith(_BOXED):
            codestream = self._read_boxes()
        self.header = read_header(codestream)
        size = self.header.width, self.header.height
        self._size = size[::-1] if self.header.turned else size
        self._mode = "RGB"
        self.is_animated = self.header.moving
        self.tile = []

    def _read_boxes(self) -> bytes:
        """Read the beginning of the codestream, and EXIF and XMP on the way."""
        codestream = b""
        for kind, body in _boxes(self._whole):
            if kind == b"jxlc":
                codestream = codestream or body
            elif kind == b"jxlp":
                codestream += body[4:]
            elif kind == b"Exif":
                self.info["exif"] = b"Exif\0\0" + body[4 + int.from_bytes(body[:4], "big") :]
            elif kind == b"xml ":
                self.info["xmp"] = body
            self.from_jpeg = self.from_jpeg or kind == b"jbrd"
        return codestream

    def load(self) -> Any:
        """Decode: upright, 8 bits per channel, like every picture of Pillow."""
        if self._whole:
            import imagecodecs

            whole, self._whole = self._whole, b""
            index = 0 if self.header.moving else None
            pixels = imagecodecs.jpegxl_decode(whole, index=index, numthreads=1)
            picture = Image.fromarray(_in_8_bits(pixels, self.header.depth))
            del pixels
            if picture.size != self._size:
                raise Refused("damaged: not of the size that it says")
            self.im, self._mode = picture.im, picture.mode
        return Image.Image.load(self)

    def getexif(self) -> Image.Exif:
        """The EXIF data without the orientation, because the picture is upright already."""
        exif = super().getexif()
        exif.pop(0x0112, None)
        return exif


def _in_8_bits(pixels: NDArray[Any], depth: int) -> NDArray[np.uint8]:
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype == np.uint8:
        return pixels
    small = np.empty(pixels.shape, np.uint8)
    for row, into in zip(pixels, small, strict=True):  # one by one: a large picture is not held three times
        if pixels.dtype == np.uint16:
            into[:] = np.rint(row * np.float32(255 / ((1 << depth) - 1)))
        else:
            shown = np.nan_to_num(row.astype(np.float32), posinf=1.0, neginf=0.0)
            into[:] = np.rint(np.clip(shown, 0.0, 1.0) * 255)
    return small


def _boxes(whole: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(whole):
        size, kind = struct.unpack_from(">I4s", whole, at)
        body = at + 8
        if size == 1:
            size = int.from_bytes(whole[body : body + 8], "big")
            body += 8
        end = len(whole) if size == 0 else at + size
        if end < body:
            return
        if kind == b"brob" and whole[body : body + 4] in {b"Exif", b"xml "}:
            yield whole[body : body + 4], _unpacked(whole[body + 4 : end])
        else:
            yield kind, whole[body:end]
        at = end


def _unpacked(body: bytes) -> bytes:
    import imagecodecs

    try:
        return bytes(imagecodecs.brotli_decode(body, out=_MOST_METADATA))
    except Exception:  # noqa: BLE001
        # Broken metadata does not make a photo unreadable.
        return bytes(4)


class _Bits:
    """Reads a codestream's header, least significant bit first."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data[:4096], "little"), 8 * min(len(data), 4096)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        if count > self._left:
            raise SyntaxError("a JPEG XL that ends in its header")
        found = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return found

    def one_of(self, *ways: tuple[int, int]) -> int:
        """Two bits choose one of four (offset, number of bits that follow)."""
        offset, count = ways[self.take(2)]
        return offset + self.take(count)


def read_header(codestream: bytes) -> Header:
    """Raises SyntaxError when it is no such header."""
    if not codestream.startswith(_BARE):
        raise SyntaxError("no JPEG XL")
    bits, found = _Bits(codestream[2:]), Header()
    found.width, found.height = _size(bits)
    if bits.take(1):  # all as usual
        return found
    if bits.take(1):
        found.turned = bits.take(3) >= 4
        if bits.take(1):
            _size(bits)
        if bits.take(1):
            _preview(bits)
        found.moving = bool(bits.take(1))
        if found.moving:
            _animation(bits)
    found.depth = _depth(bits)
    bits.take(1)
    channels = bits.one_of((0, 0), (1, 0), (2, 4), (1, 12))
    if channels > _MOST_CHANNELS:
        raise SyntaxError("too many channels")
    for _ in range(channels):
        _channel(bits)
    found.coded_with_loss = bool(bits.take(1))
    return found


_SIDE = ((1, 9), (1, 13), (1, 18), (1, 30))


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.one_of(*_SIDE)
    ratio = bits.take(3)
    if ratio:
        wide, high = _RATIOS[ratio - 1]
        return height * wide // high, height
    return (8 * (bits.take(5) + 1) if small else bits.one_of(*_SIDE)), height


def _preview(bits: _Bits) -> None:
    ways = ((16, 0), (32, 0), (1, 5), (33, 9)) if bits.take(1) else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.one_of(*ways)
    if not bits.take(3):
        bits.one_of(*ways)


def _animation(bits: _Bits) -> None:
    bits.one_of((100, 0), (1000, 0), (1, 10), (1, 30))
    bits.one_of((1, 0), (1001, 0), (1, 8), (1, 10))
    bits.one_of((0, 0), (0, 3), (0, 16), (0, 32))
    bits.take(1)


def _depth(bits: _Bits) -> int:
    if not bits.take(1):
        return bits.one_of((8, 0), (10, 0), (12, 0), (1, 6))
    depth = bits.one_of((32, 0), (16, 0), (24, 0), (1, 6))
    bits.take(4)
    return depth


def _channel(bits: _Bits) -> None:
    """One extra channel: alpha, depth, a spot colour, …"""
    if bits.take(1):
        return
    kind = bits.one_of((0, 0), (1, 0), (2, 4), (18, 6))
    _depth(bits)
    bits.one_of((0, 0), (3, 0), (4, 0), (1, 3))
    bits.take(8 * bits.one_of((0, 0), (0, 4), (16, 5), (48, 10)))
    if kind == 0:
        bits.take(1)
    elif kind == 2:
        bits.take(4 * 16)
    elif kind == 5:
        bits.one_of((1, 0), (0, 2), (3, 4), (19, 8))
