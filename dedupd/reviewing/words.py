"""Numbers, names and evidence as text for the screen. Must never do I/O, nor let markup or control codes through.

Every name that is shown goes through `plain`: a file name is somebody else's text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.cells import cell_len, set_cell_size

from dedupd.protocol.views import EvidenceView, GroupView, PhotoView, ProgressView, StatusView

RELATIONS = ("exact", "copy", "burst", "similar")
"""Strongest first."""
RELATION_NAMES = {"exact": "exact", "copy": "copies", "burst": "bursts", "similar": "similar"}
MEANING = {
    "exact": "the same bytes",
    "copy": "the same exposure, saved another way",
    "burst": "another exposure of the same moment",
    "similar": "looks alike; nothing is proven",
}
PHASES = {
    "look": "Looking through folders",
    "index": "Indexing photos",
    "prove": "Comparing pairs",
    "again": "Looking at earlier moves",
    "annotate": "Keeping what copies know",
    "compare": "Comparing months",
    "group": "Grouping months",
    "move": "Moving files",
    "undo": "Putting files back",
}
"""The daemon's phases in words for people."""
STATES = {"proposed": "ready", "review": "your call", "settled": "moved", "kept": "kept all"}
_MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
# Cc C0/C1, Cf bidi and invisible, Cs undecodable bytes, Co/Cn no glyph, Zl/Zp line breaks.
_ESCAPED = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}


def plain(text: str) -> str:
    """`text` as one harmless line: everything that could move the cursor, colour, reorder or hide text is
    escaped."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(c) if unicodedata.category(c) in _ESCAPED else c for c in text)


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def name_of(path: str) -> str:
    """The file name of a path, harmless."""
    return plain(path.rsplit("/", 1)[-1])


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells, padded, or cut at its end with an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    return set_cell_size(text, width)


def squeeze(text: str, width: int) -> str:
    """`text` in at most `width` cells, cut in the middle: the number and extension of a photo stay readable."""
    if cell_len(text) <= width or width < 5:
        return text if cell_len(text) <= width else fit(text, width)
    tail = (width - 1) // 2
    end = text[-tail:]
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(text, width - 1 - cell_len(end)).rstrip() + "…" + end


def size(count: float) -> str:
    """Bytes in words: '3.4 MB' (powers of ten, as file browsers and cloud services count)."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.95 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number(count: int) -> str:
    return f"{count:,}"


def plural(count: int, word: str, words: str = "") -> str:
    """'1 file', '3 files'."""
    return f"{number(count)} {word if count == 1 else words or word + 's'}"


def duration(seconds: float) -> str:
    """'8 s', '12 min', '3 h 20 min', '2 days'."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{round(seconds / 60)} min"
    if seconds < 86400:
        hours, rest = divmod(round(seconds / 60), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return plural(round(seconds / 86400), "day")


def month_name(month: str) -> str:
    """'2024-06' -> 'June'; any other text as it is."""
    year, _, index = month.partition("-")
    if year.isdigit() and index.isdigit() and 1 <= int(index) <= 12:
        return _MONTHS[int(index) - 1]
    return plain(month)


def camera_time(stamp: float | None) -> str:
    """A time of the camera's clock, which has no time zone: none is applied."""
    if stamp is None:
        return "no date"
    try:
        moment = datetime.fromtimestamp(stamp, UTC)
    except (ValueError, OverflowError, OSError):
        return "no date"
    tenths = f".{moment.microsecond // 100_000}" if moment.microsecond >= 100_000 else ""
    return f"{moment:%Y-%m-%d %H:%M:%S}{tenths}"


def local_time(stamp: float) -> str:
    """A time stamp in this machine's time zone."""
    try:
        return f"{datetime.fromtimestamp(stamp, UTC).astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError, OSError):
        return "?"


def when(stamp: float | None, now: float) -> str:
    """'3 min ago', 'in 2 h'; the date when it is more than a day away."""
    if stamp is None:
        return "–"
    away = stamp - now
    if abs(away) < 1.5:
        return "now"
    if abs(away) > 86400:
        return local_time(stamp)
    return f"in {duration(away)}" if away > 0 else f"{duration(-away)} ago"


def news(attention: Sequence[str]) -> list[str]:
    """The sentences for a reviewer, without those that only send people to the reviewer."""
    return [sentence for sentence in attention if "dedupd review" not in sentence]


def percent(share: float | None) -> str:
    """A share of 1 as percent, never rounded up to 100: 0.9996 is '99.9 %'."""
    if share is None:
        return "–"
    value = share * 100
    if value >= 100:
        return "100 %"
    return f"{int(value * 10) / 10:.1f} %" if value >= 90 else f"{value:.0f} %"


def progress(view: ProgressView) -> str:
    """'Indexing 1,204 of 12,000 · 14/s · 12 min left'."""
    parts = [PHASES.get(view.phase, plain(view.phase).capitalize())]
    parts[0] += f" {number(view.done)} of {number(view.total)}" if view.total else f" {number(view.done)}"
    if view.rate > 0:
        parts.append(f"{view.rate:.0f}/s" if view.rate >= 10 else f"{view.rate:.1f}/s")
    if view.eta is not None:
        parts.append(f"{duration(view.eta)} left")
    return " · ".join(parts)


def resting(status: StatusView, now: float) -> str:
    """Why nothing is done that a person waits for: 'idle', 'paused until 22:15', 'waits: on battery at 20 %: …', 'works off
    look-alikes: 12,000 left'."""
    if status.paused:
        until = local_time(status.paused_until or 0.0).removeprefix(local_time(now)[:11])
        return f"paused until {until}" if status.paused_until else "paused"
    if status.waits:
        return f"waits: {plain(status.waits)}"
    left = number(status.look_alikes_left)
    return f"works off look-alikes: {left} left" if status.works_off_look_alikes else "idle"


def bar(share: float, width: int) -> str:
    """A progress bar of exactly `width` cells, drawn in eighths of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width)


def pixels(photo: PhotoView) -> str:
    if not photo.width:
        return plain(photo.format)  # a format that is not decoded: only its name is known
    return f"{photo.width}×{photo.height} · {photo.width * photo.height / 1e6:.1f} MP"


def holds(photo: PhotoView) -> str:
    """'lossless, 2.4 s of film'; '–' when it holds nothing special."""
    return plain(", ".join(photo.holds)) or "–"


def evidence(view: EvidenceView | None, *, brief: bool = False) -> list[str]:
    """Why a member belongs to its keeper, one clause for each entry; `brief` for narrow screens."""
    if view is None:
        return []
    said = [
        view.relation
        if brief
        else f"{view.relation}: {MEANING.get(view.relation, 'not known to this version')}"
    ]
    if view.overlap is not None:
        share = percent(view.overlap)
        said.append(f"overlap {share}" if brief else f"the keeper shows {share} of this picture")
    if view.residual is not None:
        what = "residual" if brief else "worst local difference"
        said.append(f"{what} {view.residual:.1f}" + ("" if brief else " (50 = the pictures' own contrast)"))
    if view.hash_distance is not None:
        said.append(
            f"hash {view.hash_distance}/64" if brief else f"hash distance {view.hash_distance} of 64 bits"
        )
    if view.cosine is not None:
        said.append(f"cosine {view.cosine:.3f}")
    if view.seconds_apart is not None:
        said.append(apart(view.seconds_apart))
    if (sure := view.confidence_told) is not None:
        said.append(percent(sure) if brief else f"confidence {percent(sure)}")
    return said


def apart(seconds: float) -> str:
    """'taken 2.0 s apart', whichever was first."""
    seconds = abs(seconds)
    if seconds == 0:
        return "taken at the same instant"
    return f"taken {seconds:.1f} s apart" if seconds < 60 else f"taken {duration(seconds)} apart"


def group_title(group: GroupView) -> str:
    """'IMG_1234.jpg +2'."""
    others = len(group.duplicates) + len(group.review) + group.left_out
    return f"{name_of(group.keep)} +{others}"
