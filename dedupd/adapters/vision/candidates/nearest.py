"""Of each photo the nearest of too many others: the pairs of a family of look-alikes grow by the square, what is looked
at of each photo must not.

Owns the choice, and what is known of the pairs it leaves out. Must never leave one out without saying so of its photo.
Worker process only. Shapes: F photos asked about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BY_BOUND = 4096
"""Pairs of one photo, the nearest by the heads, of which the vectors are compared: in a varied library of a million the
heads let fewer pass."""
LOOKED_AT = 256
"""Pairs of one photo across the library that only vectors propose, of which the small pictures are compared."""
IN_MONTH = 1024
"""The same within a month, where an ordinary feast has hundreds of photos that resemble each other."""
ONE_MOMENT = 2.0
"""Added to the cosine of two photos of one moment by their clocks: these come first."""
_MOST = 1 << 20
"""Pairs held: 10 MB, and some times as much while they are chosen. With more, fewer photos are answered for."""
_PART = 1 << 16

Places = NDArray[np.intp]


class Taken:
    """How much of the family of each photo was taken."""

    def __init__(self, photos: int) -> None:
        self.reach = np.full(photos, -np.inf)
        """(F,) All pairs of a photo that are nearer were taken; -inf: all of its pairs were."""
        self.covered = photos
        """The photos from this one on are not answered for."""
        self._searched = photos
        """Those from this one on were not searched to their end."""
        self._of: tuple[Taken, Places] | None = None

    def at(self, places: Places) -> Taken:
        """The same of the photos at these places, in order: what is noted there is noted here."""
        part = Taken(len(places))
        part._of = self, places
        return part

    @property
    def every(self) -> bool:
        """Whether nothing was left out."""
        return bool((self.reach == -np.inf).all())

    def whole(self) -> NDArray[np.bool_]:
        """(F,) whether all pairs of each photo were taken."""
        return (self.reach == -np.inf) & (np.arange(len(self.reach)) < self._searched)

    def note(self, nearest: Nearest, error: float, first: int = 0) -> None:
        """`nearest` left pairs out, and knows how near they are but for an error; it begins with this photo."""
        crowded = nearest.crowded()
        self.note_reach(first + crowded, nearest.least[crowded].astype(np.float64) + error)
        if nearest.covered < len(nearest.least):
            self.cover(first + nearest.covered)

    def note_reach(self, photos: Places, reach: NDArray[np.float64]) -> None:
        """Of these photos only pairs nearer than this were taken."""
        self.reach[photos] = np.maximum(self.reach[photos], reach)
        if self._of:
            whole, places = self._of
            whole.note_reach(places[photos], reach)

    def cover(self, photos: int) -> None:
        """Only the first so many were searched to their end."""
        self.covered, self._searched = min(self.covered, photos), min(self._searched, photos)
        if self._of:
            whole, places = self._of
            whole.cover(int(places[photos]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """When a photo has so many pairs that it takes less time to compute all its products than to choose among them."""

    least: int
    """More pairs than these,"""
    share: int
    """and than one in so many rows."""
    most: int
    """Photos in a crowd that are answered for at a time."""


class Nearest:
    """Of each photo the pairs with the highest nearness, at most `most`."""

    def __init__(self, photos: int, most: int) -> None:
        self.least = np.full(photos, -np.inf, np.float32)
        """(F,) A pair that is less near is not among them; -inf: there is still room."""
        self.covered = photos
        self._most = most
        self._met = np.zeros(photos, np.intp)
        # The shorter one is sorted in a tenth of the time.
        self._dtype = np.uint16 if photos <= 1 << 16 else np.uint32
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._count = self._kept = 0

    def crowded(self) -> Places:
        """Photos of which pairs were left out, once all were added."""
        self._choose()
        return np.flatnonzero(np.isfinite(self.least[: self.covered]))

    def meet(self, photos: Places, pairs: Places, among: int, crowd: Crowd) -> NDArray[np.bool_]:
        """So many more pairs of these photos, among so many rows, are to be added. Returns which of the photos are in a crowd:
        nothing more is added of these, and what was is dropped, because their nearest are chosen in another way."""
        self._met[photos] += pairs
        many = self._met[photos] > max(crowd.least, among // crowd.share)
        self.least[photos[many]] = np.inf
        crowded = np.flatnonzero(self.least[: self.covered] == np.inf)
        if len(crowded) > crowd.most:
            self.covered = int(crowded[crowd.most])
        return many

    def in_crowd(self) -> Places:
        """The photos in a crowd; from now on their pairs are added again."""
        self._choose()
        photos = np.flatnonzero(self.least[: self.covered] == np.inf)
        self.least[self.least == np.inf] = -np.inf
        return photos

    def add(self, photos: Places, nearness: NDArray[Any], *columns: NDArray[Any]) -> None:
        """Pairs of these photos, with what is to be kept of them: first what tells them apart."""
        near = nearness.astype(np.float32)
        chosen = np.flatnonzero((near >= self.least[photos]) & (photos < self.covered))
        self._parts.append((photos[chosen].astype(self._dtype), near[chosen], *(c[chosen] for c in columns)))
        self._count += len(chosen)
        if self._count > 2 * self._kept + _PART:
            self._choose()
            while self._count > _MOST and self.covered > 1:
                self.covered = (self.covered + 1) // 2
                self._choose()

    def least_of(self, most: int) -> NDArray[np.float32] | None:
        """(F,) how near at least so many pairs of each photo are, -inf where it has no more; None when none has."""
        self._choose()
        first = Nearest(len(self.least), most)
        for start in range(0, self._count, _PART):
            first.add(*(column[start : start + _PART] for column in self._parts[0][:3]))
        return first.least if len(first.crowded()) else None

    def parts(
        self, wanted: Callable[[Places, NDArray[np.float32]], NDArray[np.bool_]] | None = None
    ) -> Iterator[tuple[NDArray[Any], ...]]:
        """The photos of the pairs, and their columns, in parts; of those that are wanted by photo and nearness."""
        self._choose()
        held = self._parts[0] if self._parts else ()
        for start in range(0, self._count, _PART):
            photos, near, *columns = (column[start : start + _PART] for column in held)
            if wanted is None:
                yield photos.astype(np.intp), *columns
            else:
                some = np.flatnonzero(wanted(photos.astype(np.intp), near))
                yield photos[some].astype(np.intp), *(column[some] for column in columns)

    def short(self) -> Places:
        """Photos that have room although pairs were left out: these were guessed to be too far."""
        self._choose()
        count = np.zeros(len(self.least), np.intp)
        if self._parts:
            count += np.bincount(self._parts[0][0], minlength=len(count))
        return np.flatnonzero(np.isfinite(self.least[: self.covered]) & (count[: self.covered] < self._most))

    def replace(self, photos: Places, found: Nearest) -> None:
        """Of these photos, in order, these are the nearest."""
        self.least[photos] = np.inf
        self._choose()
        self.least[photos] = -np.inf
        for mine, near, *columns in found.with_nearness():
            self.add(photos[mine], near, *columns)
        self._choose()
        self.least[photos] = found.least

    def with_nearness(self) -> Iterator[tuple[NDArray[Any], ...]]:
        """All of them in parts, in the order of their photos: photos, nearness, columns."""
        self._choose()
        held = self._parts[0] if self._parts else ()
        for start in range(0, self._count, _PART):
            photos, *columns = (column[start : start + _PART] for column in held)
            yield photos.astype(np.intp), *columns

    def _choose(self) -> None:
        if not self._parts:
            return
        photos, near, *columns = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        if len(there := np.flatnonzero(self.least[photos] < np.inf)) < len(photos):
            photos, near, *columns = (column[there] for column in (photos, near, *columns))
        order = np.argsort(photos, kind="stable")
        counts = np.bincount(photos, minlength=self.covered)[: self.covered]
        ends = np.cumsum(counts)
        keep = np.zeros(len(photos), bool)
        keep[: ends[-1]] = True
        for photo in np.flatnonzero(counts > self._most):
            mine = order[ends[photo] - counts[photo] : ends[photo]]
            first, self.least[photo] = self._first(near[mine], columns[0][mine])
            keep[ends[photo] - counts[photo] : ends[photo]] = first
        order = order[keep]
        self._parts = [tuple(column[order] for column in (photos, near, *columns))]
        self._count = self._kept = len(order)

    def _first(self, near: NDArray[np.float32], names: NDArray[Any]) -> tuple[NDArray[np.bool_], np.float32]:
        """The nearest, and how near the last of them is; of equally near ones those with the first names."""
        at = len(near) - self._most
        last = np.partition(near, at)[at]
        first = near >= last
        if more := np.count_nonzero(first) - self._most:
            equal = np.flatnonzero(near == last)
            first[equal[np.argsort(names[equal], kind="stable")][-more:]] = False
        return first, last
