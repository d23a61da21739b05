"""What a photo or a sidecar says about itself: EXIF, IPTC and XMP, read without decoding a pixel.

Owns where each fact is in each of the three. Must never raise because of a file: a broken part says nothing.
Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from contextlib import suppress
from os import fsdecode
from typing import Any, BinaryIO

from PIL import ExifTags, Image, IptcImagePlugin
from PIL.ImageFile import ImageFile

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.decode import Refused, opened
from dedupd.adapters.vision.recognise import open_picture
from dedupd.core.descriptions import Description, Location, cleaned, joined
from dedupd.core.xmp import LARGEST, from_xmp, moment

_RATING, _XP_COMMENT, _XP_KEYWORDS = 0x4746, 0x9C9C, 0x9C9E
_TIFF_XMP = 700
_IPTC_KEYWORDS, _IPTC_CAPTION, _IPTC_CHARSET = (2, 25), (2, 120), (1, 90)
_IPTC_DATE, _IPTC_TIME = (2, 55), (2, 60)
_PNG, _PNG_WORDS = b"\x89PNG\r\n\x1a\n", (b"eXIf", b"iTXt", b"tEXt", b"zTXt")
_UTF8 = b"\x1b%G"
_NO_CAPTION = frozenset((
    "olympus digital camera", "samsung camera pictures", "sony dsc", "kodak digital still camera",
    "digital camera", "dcim\\100media", "exif_jpeg_picture", "default",
))  # fmt: skip
"""Texts that cameras write into every picture's description."""


def describe(file: messages.FileToRead) -> messages.Described:
    """The answer for one file; empty for a file that cannot be read."""
    path = fsdecode(file.path)
    try:
        with opened(path, file.stat) as stream:
            said = (
                from_xmp(stream.read(LARGEST + 1)) if path.lower().endswith(".xmp") else _photo(stream, path)
            )
    except (Refused, OSError):
        said = Description()
    except Exception:  # noqa: BLE001
        # Pillow lets many kinds of errors of a broken directory escape.
        traceback.print_exc()
        said = Description()
    return messages.Described(key=file.key, said=said)


def says(stream: BinaryIO) -> tuple[str, ...]:
    """The kinds of facts that a photo holds, sorted; returns to the start of the stream."""
    stream.seek(0)
    try:
        said = _photo(stream)
    except Exception:  # noqa: BLE001
        # Pillow lets many kinds of errors of a broken directory escape.
        said = Description()
    stream.seek(0)
    found = {
        "caption": said.caption, "date": said.captured, "keywords": said.keywords, "place": said.place,
        "rating": said.rating,
    }  # fmt: skip
    return tuple(sorted(kind for kind, value in found.items() if value))


def _photo(stream: BinaryIO, path: str = "") -> Description:
    with open_picture(stream, path) as image:
        packet: Any = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
        tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
        packet = packet or tags.get(_TIFF_XMP, b"")
        packet = packet.encode() if isinstance(packet, str) else bytes(packet)
        said = from_xmp(packet) if packet else Description()
        for read in (_exif, _iptc):
            with suppress(Exception):
                said = joined(said, read(image))
        return said


def _exif(image: ImageFile) -> Description:
    # Pillow decodes all of a PNG to see what may come behind its pixels.
    exif = image.getexif() if image.format != "PNG" or _says_behind(image) else Image.Image.getexif(image)
    details = exif.get_ifd(ExifTags.IFD.Exif)
    caption = _text(exif.get(ExifTags.Base.ImageDescription)) or _wide(exif.get(_XP_COMMENT))
    rating = exif.get(_RATING)
    return cleaned(
        captured=_captured(details),
        place=_place(exif.get_ifd(ExifTags.IFD.GPSInfo)),
        rating=float(rating) if isinstance(rating, int) else None,
        keywords=[word.strip() for word in _wide(exif.get(_XP_KEYWORDS)).split(";")],
        caption="" if caption.strip().lower() in _NO_CAPTION else caption,
    )


def _says_behind(image: ImageFile) -> bool:
    """Whether a PNG has words behind its pixels."""
    stream, pixels = image.fp, False
    if stream is None:
        return True
    before = stream.tell()
    try:
        stream.seek(len(_PNG))
        while len(head := stream.read(8)) == 8:
            pixels = pixels or head[4:] == b"IDAT"
            if pixels and head[4:] in _PNG_WORDS:
                return True
            stream.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
        return False
    finally:
        stream.seek(before)


def _captured(details: Mapping[int, Any]) -> str:
    """'2024:06:15 12:30:01' with SubSec '25' and offset '+02:00' is '2024-06-15T12:30:01.25+02:00'."""
    stamp = _text(details.get(ExifTags.Base.DateTimeOriginal))[:19]
    date, _, time = stamp.partition(" ")
    plain = f"{date.replace(':', '-')}T{time}"
    fraction = _text(details.get(ExifTags.Base.SubsecTimeOriginal)).strip()
    exact = f"{plain}.{fraction[:6]}" if fraction.isascii() and fraction.isdigit() else plain
    offset = _text(details.get(ExifTags.Base.OffsetTimeOriginal)).strip()
    return moment(exact + offset) or moment(exact) or moment(plain)


def _place(gps: Mapping[int, Any]) -> Location | None:
    with suppress(TypeError, ValueError, ZeroDivisionError, KeyError, IndexError):
        latitude, longitude = _angle(gps[2]), _angle(gps[4])
        altitude = None
        with suppress(TypeError, ValueError, ZeroDivisionError, KeyError):
            below = gps.get(5) in (1, b"\x01")
            altitude = -float(gps[6]) if below else float(gps[6])
        return Location(
            latitude=-latitude if _text(gps.get(1)).upper() == "S" else latitude,
            longitude=-longitude if _text(gps.get(3)).upper() == "W" else longitude,
            altitude=altitude if altitude is not None and abs(altitude) < 1e5 else None,
        )
    return None


def _angle(parts: Any) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    return degrees + minutes / 60 + seconds / 3600


def _iptc(image: ImageFile) -> Description:
    said: Mapping[tuple[int, int], Any] = IptcImagePlugin.getiptcinfo(image) or {}
    encoding = "utf-8" if said.get(_IPTC_CHARSET) == _UTF8 else ""
    words = said.get(_IPTC_KEYWORDS, [])
    return cleaned(
        captured=_iptc_moment(_text(said.get(_IPTC_DATE)), _text(said.get(_IPTC_TIME))),
        keywords=[_text(word, encoding) for word in (words if isinstance(words, list) else [words])],
        caption=_text(said.get(_IPTC_CAPTION), encoding),
    )


def _iptc_moment(date: str, time: str) -> str:
    """'20240615' and '123001+0200' are '2024-06-15T12:30:01+02:00'."""
    plain = f"{date[:4]}-{date[4:6]}-{date[6:8]}T{time[:2]}:{time[2:4]}:{time[4:6]}"
    return moment(f"{plain}{time[6:9]}:{time[9:11]}") or moment(plain)


def _text(value: Any, encoding: str = "") -> str:
    if isinstance(value, bytes):
        try:
            return value.decode(encoding or "utf-8").rstrip("\0")
        except UnicodeDecodeError:
            return value.decode("latin-1").rstrip("\0")
    return value.rstrip("\0") if isinstance(value, str) else ""


def _wide(value: Any) -> str:
    """Windows' own EXIF fields: UTF-16, little-endian, ended by a zero."""
    if isinstance(value, tuple):
        with suppress(ValueError, TypeError):
            value = bytes(value)
    return value.decode("utf-16-le", "ignore").rstrip("\0") if isinstance(value, bytes) else ""
