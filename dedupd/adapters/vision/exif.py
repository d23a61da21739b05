"""What EXIF says about a photo: when, by which camera, edited with what, how much description.

Owns the reading of tags; must never trust one: a value that makes no sense counts as absent. Worker process
only.
"""

from __future__ import annotations

import math
from calendar import timegm
from dataclasses import dataclass
from datetime import datetime

from PIL import Image
from PIL.ExifTags import IFD, Base

_EARLIEST_YEAR = 1900


@dataclass(frozen=True, slots=True, kw_only=True)
class ExifFacts:
    """The part of EXIF that decisions use."""

    captured: float | None = None
    camera: str = ""
    exposure: float | None = None
    software: str = ""
    metadata_fields: int = 0
    has_gps: bool = False


def read_facts(exif: Image.Exif) -> ExifFacts:
    """The facts in `exif`. Never raises: broken parts are left out."""
    details = _directory(exif, IFD.Exif)
    gps = _directory(exif, IFD.GPSInfo)
    camera = (
        _text(exif.get(Base.Make)),
        _text(exif.get(Base.Model)),
        _text(details.get(Base.BodySerialNumber)),
    )
    return ExifFacts(
        captured=_captured(details),
        camera="|".join(camera) if any(camera) else "",
        exposure=_exposure(details),
        software=_text(exif.get(Base.Software)),
        metadata_fields=len(exif) + len(details) + len(gps),
        has_gps=2 in gps and 4 in gps,
    )


def _directory(exif: Image.Exif, which: IFD) -> dict[int, object]:
    try:
        return dict(exif.get_ifd(which))
    except Exception:  # noqa: BLE001
        # Pillow lets many kinds of errors of a broken directory escape.
        return {}


def _text(value: object) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(letter for letter in value if letter.isprintable())
    return printable.strip()[:100]


def _exposure(details: dict[int, object]) -> float | None:
    """log2(seconds * ISO / 100 / F²); a lens without an F-number counts as F/1."""
    seconds = _positive(details.get(Base.ExposureTime))
    iso = _positive(details.get(Base.ISOSpeedRatings))
    stop = _positive(details.get(Base.FNumber)) or 1.0
    return None if seconds is None or iso is None else math.log2(seconds * iso / 100 / stop**2)


def _positive(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if 1e-6 <= number <= 1e7 else None


def _captured(details: dict[int, object]) -> float | None:
    """DateTimeOriginal + SubSecTimeOriginal, in seconds of the camera's own clock."""
    stamp = _text(details.get(Base.DateTimeOriginal))[:19]
    try:
        moment = datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    if moment.year < _EARLIEST_YEAR:
        return None
    fraction = _text(details.get(Base.SubsecTimeOriginal))
    # "07" means .07 s and "5" means .5 s: the digits are a decimal fraction.
    part = float(f"0.{fraction}") if fraction.isascii() and fraction.isdigit() else 0.0
    return timegm(moment.timetuple()) + part
