"""Camera RAW as a picture that Pillow can open: decoded by LibRaw (rawpy, the extra `raw`).

Owns which of its two pictures is shown: the embedded preview when that is large enough, else the sensor's at
half the size; and where a RAW keeps its EXIF. Must never show a picture of a file whose sensor data cannot be
read to the end: all of it is unpacked first, whatever is shown. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingImports=false, reportUntypedFunctionDecorator=false
from __future__ import annotations

import io
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import IO, Any, ClassVar

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dedupd.adapters.vision.refused import NobodyReads, Refused
from dedupd.core.formats import raw_format

FORMAT = "RAW"
_LARGEST = 512 << 20
"""Bytes of a file, at most: the whole file is in memory while it is read. 150 Mpixel at 16 bits are 300 MB.
"""
_SAME_SHAPE = 0.02
"""Difference of shapes: previews are cropped to the picture's shape; a small one with black bars does not
show the whole picture."""
_TURNS = {3: Image.Transpose.ROTATE_180, 5: Image.Transpose.ROTATE_90, 6: Image.Transpose.ROTATE_270}
"""LibRaw's `flip`: the transform that makes the picture upright."""
_ORIENTATION, _XMP = 0x0112, 700
_TIFF_LIKE = (b"II*\0", b"MM\0*", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")
_BOXES = 1 << 20
"""Bytes in which a CR3 has its EXIF."""
_NO_CLOCK = 1970
_DNG_VERSION, _SUB_DIRECTORIES, _MOST_DIRECTORIES = 50706, 330, 16


class RawPhoto(ImageFile.ImageFile):
    """One opened RAW; `size` is that of its whole picture, upright, until it is loaded smaller."""

    format: ClassVar[str] = FORMAT  # type: ignore[misc]
    format_description = "camera RAW"

    def _open(self) -> None:
        import rawpy

        file = self.fp
        assert file is not None
        size = file.seek(0, io.SEEK_END)
        if size > _LARGEST:
            raise Refused("too large for a raw photo")
        if _end_of_dng(file) > size:
            # LibRaw accepts a last level of which half is missing.
            raise Refused("damaged or cut short (its data go on behind its end)")
        file.seek(0)
        self._raw: Any = rawpy.RawPy()
        with _refusing():
            self._raw.open_buffer(file)
        sizes = self._raw.sizes
        self._turn = _TURNS.get(sizes.flip)
        self._whole = _upright((sizes.width, sizes.height), self._turn)
        self._mode, self._size = "RGB", self._whole
        self._preview = self._usable_preview()
        self._facts = self._read_exif()
        packet = self._facts.get(_XMP)
        if isinstance(packet, bytes):
            self.info["xmp"] = packet
        self.tile = []

    def depth(self) -> int:
        """Bits of its brightest level. Unpacks the sensor's data, so it must be asked before loading."""
        with _refusing():
            return max(8, min(16, int(self._raw.white_level).bit_length()))

    def getexif(self) -> Image.Exif:
        """The EXIF data without the orientation, because the picture is upright already."""
        return self._facts

    def load_small(self, short_side: int, long_side: int) -> None:
        """Load a picture that keeps both minimal sides (px), when there is one; the largest when no sides are
        given."""
        preview = self._preview
        wanted = (short_side, long_side) if short_side or long_side else (min(self._whole) // 2, 0)
        with _refusing():
            # All of the sensor's data, whatever is shown: a file that was cut short must be refused.
            _ = self._raw.raw_type
        picture = None
        if preview is not None and min(preview.size) >= wanted[0] and max(preview.size) >= wanted[1]:
            picture = self._upright_preview(preview)
        self._take(picture or self._developed())

    def load(self) -> Any:
        """Decode, like every picture of Pillow."""
        if self._raw is not None:
            self.load_small(0, 0)
        return Image.Image.load(self)

    def _take(self, picture: Image.Image) -> None:
        self._raw.close()
        self._raw = self._preview = None
        self.im, self._size, self._mode = picture.im, picture.size, picture.mode

    def _developed(self) -> Image.Image:
        with _refusing():
            pixels = self._raw.postprocess(half_size=True, use_camera_wb=True, user_flip=0)
        return _turned(Image.fromarray(np.ascontiguousarray(pixels)), self._turn)

    def _usable_preview(self) -> Image.Image | None:
        try:
            found = self._raw.extract_thumb()
            if isinstance(found.data, bytes):
                preview = Image.open(io.BytesIO(found.data), formats=("JPEG",))
            else:
                preview = Image.fromarray(found.data)
        except Exception:  # noqa: BLE001
            # There is none, or not one that can be read: then the sensor's own data is used.
            return None
        wide, high = sorted(self._whole, reverse=True)
        shown_wide, shown_high = sorted(preview.size, reverse=True)
        whole = abs(shown_wide * high / (shown_high * wide) - 1) <= _SAME_SHAPE
        return preview if whole and preview.width * preview.height <= wide * high else None

    def _upright_preview(self, preview: Image.Image) -> Image.Image | None:
        try:
            picture = preview.convert("RGB")
        except Exception:  # noqa: BLE001
            # Pillow raises many kinds of errors for a broken JPEG.
            return None
        # Some cameras turn the preview themselves.
        lies = (picture.width > picture.height) != (self._whole[0] > self._whole[1])
        turned = lies or self._turn is Image.Transpose.ROTATE_180
        return _turned(picture, self._turn) if turned else picture

    def _read_exif(self) -> Image.Exif:
        exif = Image.Exif()
        with suppress(Exception):
            exif = self._exif_in_file()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if ExifTags.Base.DateTimeOriginal not in details:
            with suppress(Exception):
                # The camera's own clock, as LibRaw found it in a maker's block or a header.
                taken = self._raw.other.timestamp
                if taken.year > _NO_CLOCK:
                    details[ExifTags.Base.DateTimeOriginal] = f"{taken:%Y:%m:%d %H:%M:%S}"
        exif.pop(_ORIENTATION, None)
        return exif

    def _exif_in_file(self) -> Image.Exif:
        file, exif = self.fp, Image.Exif()
        assert file is not None
        file.seek(0)
        head = file.read(_BOXES)
        if head.startswith(_TIFF_LIKE):
            exif.endian = "<" if head.startswith(b"II") else ">"
            exif.load_from_fp(file, int.from_bytes(head[4:8], "little" if exif.endian == "<" else "big"))
        elif head[4:12] == b"ftypcrx ":
            exif.load(_box(head, b"CMT1"))
            inner = Image.Exif()
            inner.load(_box(head, b"CMT2"))
            exif.get_ifd(ExifTags.IFD.Exif).update(inner)
        elif self._preview is not None:
            exif = self._preview.getexif()
        for directory in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            exif.get_ifd(directory)  # read now, while the file is open
        return exif


def _end_of_dng(file: IO[bytes]) -> int:
    """The end of the data that the directories of a DNG list; 0 for other kinds, whose makers do not document
    them."""
    end, waiting, is_dng = 0, list[int](), False
    with suppress(Exception):
        file.seek(0)
        tags = ImageFileDirectory_v2(file.read(8))
        waiting.append(tags.next)
        for at in waiting:
            file.seek(at)
            tags.reset()
            tags.load(file)
            is_dng = is_dng or _DNG_VERSION in tags
            for starts, counts in ((273, 279), (324, 325)):
                end = max(0, end, *map(sum, zip(tags.get(starts, ()), tags.get(counts, ()), strict=True)))
            waiting += tags.get(_SUB_DIRECTORIES, ())[: _MOST_DIRECTORIES - len(waiting)]
    return end if is_dng else 0


def _box(head: bytes, kind: bytes) -> bytes:
    at = head.index(kind)
    return head[at + 4 : at - 4 + int.from_bytes(head[at - 4 : at], "big")]


def _upright(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    return size if turn is None or turn is Image.Transpose.ROTATE_180 else (size[1], size[0])


def _turned(picture: Image.Image, turn: Image.Transpose | None) -> Image.Image:
    return picture if turn is None else picture.transpose(turn)


@contextmanager
def _refusing() -> Generator[None]:
    """Turns LibRaw's errors into refusals: a form that nothing here decodes, too large, damaged."""
    import rawpy

    try:
        yield
    except (
        rawpy.LibRawFileUnsupportedError,
        rawpy.LibRawNotImplementedError,
        rawpy.LibRawRequestForNonexistentImageError,
        rawpy.NotSupportedError,
    ):
        kind = raw_format().unknown
        raise NobodyReads(kind, kind) from None
    except (
        rawpy.LibRawTooBigError,
        rawpy.LibRawMemPoolOverflowError,
        rawpy.LibRawUnsufficientMemoryError,
    ):
        raise Refused("too large: it does not fit in the worker's memory") from None
    except rawpy.LibRawError as error:
        words = error.args[0] if error.args else ""
        said = words.decode("ascii", "replace") if isinstance(words, bytes) else str(words)
        raise Refused(f"damaged or cut short ({said})"[:200]) from None
