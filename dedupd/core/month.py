"""Which month a photo belongs to, and which folder of its path says so.

Owns how dates in folder and file names are read. Must never touch a file, and never take a run of digits for a date
when it only might be one: a photo without a date falls back to its mtime, marked as a guess.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Literal

MonthSource = Literal["folder", "exif", "name", "mtime"]
"""Where a month was read from, surest first; 'mtime' is a guess."""

FIRST_YEAR, LAST_YEAR = 1826, 2100
"""The first photograph was taken in 1826; a year after 2100 is a wrong clock."""


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A calendar month; sorts by time. ValueError when there is no such month or no photo can be from it."""

    year: int
    month: int

    def __post_init__(self) -> None:
        if not (FIRST_YEAR <= self.year <= LAST_YEAR and 1 <= self.month <= 12):
            raise ValueError(f"{self.year}-{self.month} is not a month between {FIRST_YEAR} and {LAST_YEAR}")

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"

    @property
    def label(self) -> str:
        """As shown in folders and summaries: '2024/06'."""
        return f"{self.year:04}/{self.month:02}"

    @classmethod
    def parse(cls, text: str) -> Month:
        """'2024-06' or '2024/06'; ValueError with one sentence for anything else."""
        if match := re.fullmatch(r"([0-9]{4})[-/]([0-9]{1,2})", text.strip()):
            return cls(int(match[1]), int(match[2]))
        raise ValueError(f"{text!r} is not a month: write it as 2024-06")


_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sep(?:t|tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_YEAR = r"(?P<year>[0-9]{4})"
_FLAGS = re.IGNORECASE | re.ASCII

_YEAR_FOLDER = re.compile(r"[0-9]{4}", _FLAGS)
_WHOLE_MONTH = tuple(
    re.compile(pattern, _FLAGS)
    for pattern in (
        rf"{_YEAR}(?P<sep>[-_. ])(?P<month>[0-9]{{2}})(?:(?P=sep)(?P<day>[0-9]{{2}}))?(?![0-9]).*",  # 2024-06-15 trip
        rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})(?![0-9]).*",  # 20240615 trip
        rf"{_YEAR}(?P<month>[0-9]{{2}})_[_a-z]",  # 202406__ and 202406_a: folders of an iPhone
        rf"{_YEAR}[-_. ]{{0,3}}{_NAME}\b.*",  # 2024 June
        rf"{_NAME}[-_., ]{{0,3}}{_YEAR}",  # June 2024
        rf"(?P<month>[0-9]{{2}})[-_.]{_YEAR}",  # 06-2024
    )
)
_COMPACT_MONTH = re.compile(r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})", _FLAGS)
_MONTH_BELOW_YEAR = tuple(
    re.compile(pattern, _FLAGS)
    for pattern in (
        r"(?P<month>[0-9]{2})(?:[-_. ].*)?",  # 06, 06 June, 06-15 trip
        rf"(?P<month>[0-9]{{1,2}})[-_. ]{{0,3}}{_NAME}\b.*",  # 6 June
        r"(?P<month>[0-9])",
        rf"{_NAME}(?:[-_. ].*)?",  # June
    )
)

_HOUR = r"(?:[01][0-9]|2[0-3])"
_CLOCK = (
    rf"(?:[-_ T]?{_HOUR}[0-5][0-9][0-5][0-9](?:[0-9]{{3}})?(?![0-9])"
    rf"|[-_ ]{_HOUR}(?P<sep>[-_.])[0-5][0-9](?P=sep)[0-5][0-9])"
)
_CAMERAS = (
    r"(?:IMG|MVIMG|VID|PXL|PANO|PHOTO|PICTURE|PIC|DSC|DSCN|CIMG|WP|WIN|P|C|SAVE|SCAN|COLLAGE|SNAPSHOT|SCREENSHOT"
    r"|SCREEN[ _-]?SHOT|WHATSAPP[ _-]IMAGE|SIGNAL|SIGNAL[ _-]PHOTO|VIBER[ _-]IMAGE|TELEGRAM|BURST)"
)
_DAY = rf"{_YEAR}(?P<month>[0-9]{{2}})(?P<day>[0-9]{{2}})"
_FILE_DATES = tuple(
    re.compile(pattern, _FLAGS)
    for pattern in (
        # 2024-06-15 anywhere; 20240615_120000 anywhere; IMG-20240615-WA0001: after what cameras and apps write.
        rf"(?<![0-9])(?<![0-9][-.]){_YEAR}(?P<sep>[-_.])(?P<month>[0-9]{{2}})(?P=sep)(?P<day>[0-9]{{2}})(?![0-9])",
        rf"(?<![0-9]){_DAY}{_CLOCK}",
        rf"^(?:{_CAMERAS}[ _-]?)?{_DAY}(?![0-9])",
    )
)
_PHOTO_ON = re.compile(r"^Photo on ([0-9]{1,2})[-.]([0-9]{1,2})[-.]((?:[0-9]{2})?[0-9]{2})(?![0-9])", _FLAGS)


def month_of(
    path: str, captured: float | None, mtime: float, *, root: str = "", zone: tzinfo = UTC
) -> tuple[Month, MonthSource]:
    """The month of the photo at `path` (relative to `root`), and where it was read from.

    A folder of the path wins, then `captured` (seconds of the camera's own clock, no zone), then the file
    name, then `mtime` (seconds since the epoch, read in `zone`). Never fails: an impossible mtime is 1970-01.
    """
    if folder := month_folder(path, root):
        return folder[0], "folder"
    if captured is not None and (month := _month_at(captured, UTC)):
        return month, "exif"
    if month := month_in_name(path.rpartition("/")[2]):
        return month, "name"
    return _month_at(mtime, zone) or Month(1970, 1), "mtime"


def month_folder(path: str, root: str = "") -> tuple[Month, str] | None:
    """The nearest folder above the file at `path` in `root` that names a month, with that month; None when none does.

    'Pictures/2024/06/trip/a.jpg' -> (2024-06, 'Pictures/2024/06');
    '2024/2024-06-15/b.jpg' -> (2024-06, '2024/2024-06-15'). '' is the root itself.
    """
    above = _place(root)
    folders = [*above, *path.split("/")[:-1]]
    for depth in range(len(folders), 0, -1):
        parent = folders[depth - 2] if depth > 1 else ""
        if month := _month_named(folders[depth - 1], parent):
            return month, "/".join(folders[len(above) : depth])
    return None


def _place(root: str) -> list[str]:
    """The folders of a root's own path that its months go by: a year, or a month below its year; else none.

    A disk may be mounted at Pictures/2024 or at Pictures/2024/06. Any other name of a root, and all that is above it,
    says where somebody keeps photos, not when they were taken.
    """
    parent, name = ["", "", *root.split("/")][-2:]
    if _year_named(name):
        return [name]
    return [parent, name] if _year_named(parent) and _month_named(name, parent) else []


def named_month(path: str, root: str = "") -> str:
    """The month that a folder of the path names, '' when none does. For files that cannot be read."""
    found = month_folder(path, root)
    return str(found[0]) if found else ""


def year_folder(path: str, year: int | None = None) -> str | None:
    """The nearest folder above the file at `path` whose name is a year (or exactly `year`); None means: the root.

    'Pictures/2024/06/a.jpg' -> 'Pictures/2024'; '2024-06/a.jpg' -> None.
    """
    folders = path.split("/")[:-1]
    for depth in range(len(folders), 0, -1):
        found = _year_named(folders[depth - 1])
        if found is not None and year in (None, found):
            return "/".join(folders[:depth])
    return None


def month_in_name(name: str) -> Month | None:
    """The month in a file name as cameras, phones and messengers write it; None when it has no certain date.

    'IMG_20240615_120000.jpg', 'WhatsApp Image 2024-06-15 at 12.00.00.jpeg', 'IMG-20240615-WA0001.jpg'.
    """
    for pattern in _FILE_DATES:
        for match in pattern.finditer(name):
            if found := _month_on(int(match["year"]), int(match["month"]), int(match["day"])):
                return found
    if match := _PHOTO_ON.match(name):
        return _photo_booth(*(int(part) for part in match.groups()))
    return None


def _photo_booth(first: int, second: int, year: int) -> Month | None:
    """Photo Booth writes day and month in the order of the country: used only when one order alone is possible."""
    year += 2000 if year < 100 else 0
    found = {_month_on(year, first, second), _month_on(year, second, first)} - {None}
    return found.pop() if len(found) == 1 else None


def _month_named(folder: str, parent: str) -> Month | None:
    """The month that `folder` names by itself, or as a part of the year that its `parent` names."""
    for pattern in _WHOLE_MONTH:
        if match := pattern.fullmatch(folder):
            parts = match.groupdict()
            if found := _month_on(int(parts["year"]), _number(parts), int(parts.get("day") or 1)):
                return found
    # 190612 and 200612 may be days (2019-06-12, 2020-06-12); as a day, 2013 and later would have a 13th month.
    if (match := _COMPACT_MONTH.fullmatch(folder)) and 2013 <= int(match["year"]) <= 2099:
        return _month_on(int(match["year"]), int(match["month"]), 1)
    year = _year_named(parent)
    if year is None:
        return None
    matches = (pattern.fullmatch(folder) for pattern in _MONTH_BELOW_YEAR)
    found = (_month_on(year, _number(match.groupdict()), 1) for match in matches if match)
    return next((month for month in found if month), None)


def _number(parts: dict[str, str]) -> int:
    """The number of the month in a match: from its digits, or else from its English name."""
    if digits := parts.get("month"):
        return int(digits)
    return _NAMES.index(parts["name"][:3].lower()) + 1


def _year_named(folder: str) -> int | None:
    if _YEAR_FOLDER.fullmatch(folder) and FIRST_YEAR <= int(folder) <= LAST_YEAR:
        return int(folder)
    return None


def _month_on(year: int, month: int, day: int) -> Month | None:
    """The month of this date; None when the date does not exist or no photo can be from it."""
    try:
        date(year, month, day)
        return Month(year, month)
    except ValueError:
        return None


def _month_at(seconds: float, zone: tzinfo) -> Month | None:
    try:
        # Not fromtimestamp: that fails for years before 1970 on some platforms.
        moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone)
        return Month(moment.year, moment.month)
    except (ValueError, OverflowError):
        return None
