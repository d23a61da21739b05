"""What differs between the pictures of a group, and what would change the decision, in words.

Must never import Textual or do I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dedupd.protocol.views import GroupView, PhotoView
from dedupd.reviewing.words import camera_time, holds, local_time, name_of, pixels, plain, size, squeeze


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of the comparison: a value for every picture, in the order of the pictures."""

    label: str
    values: tuple[str, ...]
    tones: tuple[str, ...]
    """For each value: 'good' better than the keeper's, 'bad' worse, 'warn' different, '' the same or the keeper's own."""


_Value = Callable[[PhotoView], str]
_Rank = Callable[[PhotoView], float]


def _format(photo: PhotoView) -> str:
    quality = f" q{photo.jpeg_quality:.0f}" if photo.jpeg_quality is not None else ""
    return f"{plain(photo.format)}{quality}"


def _camera(photo: PhotoView) -> str:
    return plain(" ".join(part for part in photo.camera.split("|")[:2] if part)) or "–"


def _fields(photo: PhotoView) -> str:
    return f"{photo.metadata_fields} fields" + (", GPS" if photo.has_gps else "")


def _folder(photo: PhotoView) -> str:
    return plain(photo.path.rpartition("/")[0]) or "."


_FACTS: tuple[tuple[str, _Value, _Rank | None], ...] = (
    ("pixels", pixels, lambda p: p.width * p.height),
    ("size", lambda p: size(p.size), None),
    ("format", _format, lambda p: p.jpeg_quality or 0.0),
    ("holds", holds, None),
    ("taken", lambda p: camera_time(p.captured), None),
    ("sharp", lambda p: f"{p.sharpness:.0f}", lambda p: p.sharpness),
    ("exif", _fields, lambda p: p.metadata_fields + p.has_gps * 0.5),
    ("camera", _camera, None),
    ("software", lambda p: plain(p.software) or "–", None),
    ("folder", _folder, None),
    ("changed", lambda p: local_time(p.mtime), None),
    ("with", lambda p: ", ".join(name_of(c) for c in p.companions) or "–", None),
)


def differing(photos: Sequence[PhotoView], keeper: int = 0) -> list[Fact]:
    """The facts that are not the same for all pictures. keeper: its index in `photos`."""
    found: list[Fact] = []
    for label, value, rank in _FACTS:
        values = tuple(value(photo) for photo in photos)
        if len(set(values)) < 2:
            continue
        tones = tuple(_tone(i, keeper, photos, values, rank) for i in range(len(photos)))
        found.append(Fact(label=label, values=values, tones=tones))
    return found


def _tone(
    index: int, keeper: int, photos: Sequence[PhotoView], values: Sequence[str], rank: _Rank | None
) -> str:
    if index == keeper or values[index] == values[keeper]:
        return ""
    if rank is None or rank(photos[index]) == rank(photos[keeper]):
        return "warn"
    return "good" if rank(photos[index]) > rank(photos[keeper]) else "bad"


def loss_warning(losses: Sequence[tuple[PhotoView, Sequence[str]]], width: int) -> str:
    """One line: what approving would hide that the keeper lacks; '' when there is nothing."""
    if not losses:
        return ""
    photo, clauses = losses[0]
    name = squeeze(name_of(photo.path), max(22, width // 4))
    told = "; ".join(clauses)
    if len(losses) == 1:
        return f"a puts {name} out of sight, and it alone {told}"
    return f"a puts {len(losses)} pictures out of sight that hold more than the keeper: {name} alone {told}"


def would_change(group: GroupView, photo: PhotoView, lost: Sequence[str]) -> str:
    """One sentence: which key would change what happens to `photo`; '' when there is nothing to say.

    lost: what it holds that the keeper lacks. Only that makes it the better keeper: more pixels alone may
    come from enlarging.
    """
    if photo.role == "moved":
        return "It lies in duplicates/; space marks it to come back, n parts it from its keeper for ever."
    evidence = group.evidence.get(photo.path)
    if photo.role == "review" and evidence is not None and evidence.relation == "similar":
        return "It is only alike, so it stays: space moves it, n parts it for ever."
    instead = ", k keeps it instead" if lost else ""
    if photo.role == "review":
        return f"It never moves by itself: a moves it{instead}, space lets it stay, n parts it for ever."
    if lost:
        return f"It {'; it '.join(lost)}: k keeps it instead."
    if group.state == "proposed":
        return "It waits for your yes alone; n parts it from its keeper for ever."
    return ""
