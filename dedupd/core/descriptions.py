"""Descriptions: what people and cameras wrote into photos, and what of that the copies have and their keeper lacks.

Owns which facts count and when copies contradict each other. Must never read or write a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

KEYWORDS, LETTERS = 200, 2000
"""Most keywords, and longest text, that are believed to be a description."""
_SAME_PLACE = 1e-4
"""Degrees by which two notations of one place may differ: about ten metres."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where the photo was taken: degrees (WGS 84) and metres above the sea."""

    latitude: float
    longitude: float
    altitude: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """The facts that must not get lost from sight when a copy moves. Empty: not known."""

    captured: str = ""
    """ISO 8601 of the camera's own clock, with its offset only when that is known: '2024-06-15T12:30:01+02:00'."""
    place: Location | None = None
    rating: int | None = None
    """1 to 5, or -1 for rejected; 0 is 'not rated' and counts as unknown."""
    keywords: tuple[str, ...] = ()
    caption: str = ""

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))

    def told(self) -> list[str]:
        """Each known fact in words for people."""
        facts = [f"capture date {self.captured.replace('T', ' ')}"] if self.captured else []
        if self.place is not None:
            facts.append(f"place {self.place.latitude:.5f}, {self.place.longitude:.5f}")
        facts += [f"rating {self.rating}"] if self.rating else []
        facts += [f"keywords {', '.join(self.keywords)}"] if self.keywords else []
        facts += [f"caption “{self.caption}”"] if self.caption else []
        return facts


def joined(first: Description, second: Description) -> Description:
    """The facts of two sources about one file; where both have one, the first wins."""
    return Description(
        captured=first.captured or second.captured,
        place=first.place or second.place,
        rating=first.rating or second.rating,
        keywords=_union([first.keywords, second.keywords]),
        caption=first.caption or second.caption,
    )


def lacking(keeper: Description, copies: Sequence[Description]) -> tuple[Description, list[str]]:
    """(what the copies know and the keeper does not, sentences on what is left out because the copies disagree).

    Keywords of all copies are joined. Any other fact counts only when the copies agree on it.
    """
    conflicts: list[str] = []

    def agreed(name: str, same: Callable[[object, object], bool] = lambda a, b: a == b) -> object:
        if getattr(keeper, name):
            return None
        values = [value for copy in copies if (value := getattr(copy, name))]
        if all(same(values[0], value) for value in values):
            return values[0] if values else None
        conflicts.append(_NAMES[name])
        return None

    known = {word.casefold() for word in keeper.keywords}
    words = [word for word in _union([copy.keywords for copy in copies]) if word.casefold() not in known]
    found = {
        "captured": agreed("captured", _same_moment) or "",
        "place": agreed("place", _same_place),
        "rating": agreed("rating"),
        "keywords": tuple(words),
        "caption": agreed("caption") or "",
    }
    return Description(**found), conflicts  # pyright: ignore[reportArgumentType]


_NAMES = {"captured": "capture date", "place": "place", "rating": "rating", "caption": "caption"}


def _union(lists: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for words in lists:
        for word in words:
            found.setdefault(word.casefold(), word)
    return tuple(found.values())


def _same_moment(a: object, b: object) -> bool:
    """Equal to the second; one of the two may lack fraction and offset."""
    return str(a)[:19] == str(b)[:19]


def _same_place(a: object, b: object) -> bool:
    assert isinstance(a, Location)
    assert isinstance(b, Location)
    return abs(a.latitude - b.latitude) < _SAME_PLACE and abs(a.longitude - b.longitude) < _SAME_PLACE


def cleaned(
    *, captured: str = "", place: Location | None = None, rating: float | None = None,
    keywords: Sequence[str] = (), caption: str = "",
) -> Description:  # fmt: skip
    """A Description of what a file says, without values that make no sense: files are not to be trusted."""
    words = [word for raw in keywords[:KEYWORDS] if (word := _printable(raw))]
    if place is not None and not (abs(place.latitude) <= 90 and abs(place.longitude) <= 180):
        place = None
    if place is not None and place.latitude == place.longitude == 0:  # what a receiver without a fix writes
        place = None
    return Description(
        captured=captured, place=place, rating=_stars(rating), keywords=_union([tuple(words)]),
        caption=_printable(caption),
    )  # fmt: skip


def _stars(rating: float | None) -> int | None:
    return int(rating) if rating is not None and rating in (-1, 1, 2, 3, 4, 5) else None


def _printable(text: str) -> str:
    kept = "".join(c for c in text if c.isprintable() or c == "\n")
    return kept.strip()[:LETTERS]
