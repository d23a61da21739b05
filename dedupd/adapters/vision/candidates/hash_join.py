"""Finds all pairs of perceptual hashes within the radius without comparing each with each (multi-index
hashing).

The 64 bits are divided into substrings. Two hashes within RADIUS differ in so few bits of at least one
substring that all values near it can be looked up in a table of that substring; so no pair is missed
(Norouzi, Punjani, Fleet 2012). Equal pictures are looked up once. Shapes: N rows in the tables, 8
orientations.

Must never decide what a pair is, nor give another answer than `hash_distances` within RADIUS would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.hashes import RADIUS

_LONGER = 240_000
"""Number of hashes from which on four substrings are faster than five. (Three were faster from four million on, but
their tables take far more memory, and this is a small part of a search.)"""
_AT_ONCE = 1 << 16
"""Pairs of hashes tested at a time, and pairs in one part of the answer."""
_KEYED = 1 << 14
"""Hashes of which the keys are made at a time: what fits into a processor's cache."""
_SORTED = 1 << 16
"""Rows put into a table at a time."""
_MIXING = np.uint64(0x9E3779B97F4A7C15)

Hashes = NDArray[np.uint64]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Substring:
    """One substring of some hashes: those with the value v are at order[start[v] : start[v + 1]]."""

    bits: Sequence[int]
    radius: int
    start: NDArray[np.uint32]
    order: NDArray[np.uint32]


class HashTables:
    """Tables in which all hashes within RADIUS of another one are found. The hashes themselves stay where they are."""

    def __init__(self, phashes: Hashes, among: NDArray[np.integer[Any]] | None = None) -> None:
        """`phashes`: (N, 8) by orientation; `among`: places in it, None for all."""
        self._groups = groups = _Groups(phashes, among)
        self._every = phashes.reshape(-1)
        self._upright = phashes[groups.first, 0]
        self._tables = [
            _substrings(self._upright, np.arange(len(groups.first), dtype=np.uint32), 1),
            _substrings(self._every, groups.first, 8),
        ]
        self._of = np.zeros(len(phashes), np.uint32)
        """The group of the first row of each."""
        self._of[groups.first] = np.arange(len(groups.first))

    def meeting(self, phashes: Hashes) -> Iterator[tuple[Places, Places]]:
        """(places in `phashes`, places in the tables) of all pairs within RADIUS in any orientation of
        either, in parts; a pair may occur more than once."""
        asked = _Groups(phashes)
        mine, count = phashes[asked.first], len(self._groups.first)
        # Turning one picture or the other is not the same.
        for one, other in _near(np.ascontiguousarray(mine[:, 0]), self._every, self._tables[1]):
            pairs = np.unique(one * count + self._of[other >> 3])
            yield from _members(asked, self._groups, *np.divmod(pairs, count))
        for one, other in _near(mine.ravel(), self._upright, self._tables[0]):
            pairs = np.unique((one >> 3) * count + other)
            yield from _members(asked, self._groups, *np.divmod(pairs, count))


class _Groups:
    """Rows whose eight hashes are all equal, as one group."""

    def __init__(self, phashes: Hashes, among: NDArray[np.integer[Any]] | None = None) -> None:
        rows = np.arange(len(phashes), dtype=np.uint32) if among is None else among.astype(np.uint32)
        mixed = np.zeros(len(rows), np.uint64)
        for orientation in range(phashes.shape[1]):
            mixed = (mixed ^ phashes[rows, orientation]) * _MIXING
        order = np.argsort(mixed, kind="stable")
        self.members = rows[order]
        """The rows, group by group."""
        mixed = mixed[order]
        new = np.ones(len(rows), bool)
        same = 1 + np.flatnonzero(mixed[1:] == mixed[:-1])
        new[same] = (phashes[self.members[same]] != phashes[self.members[same - 1]]).any(axis=1)
        starts = np.flatnonzero(new)
        self.first, self.starts = self.members[starts], starts.astype(np.uint32)
        """One row of each group, and where its members begin."""
        self.counts = np.diff(starts, append=len(rows)).astype(np.uint32)


def _members(ones: _Groups, others: _Groups, one: Places, other: Places) -> Iterator[tuple[Places, Places]]:
    """The pairs of members of these pairs of groups."""
    widths = others.counts[other].astype(np.int64)
    ends = np.cumsum(ones.counts[one] * widths)
    for first, last in cuts(ends, _AT_ONCE):
        part = slice(first, last)
        counts = ones.counts[one[part]] * widths[part]
        number = count_up(counts)
        row, column = np.divmod(number, np.repeat(widths[part], counts))
        # A single pair of groups may have more pairs than one part of the answer.
        for at in range(0, len(row), _AT_ONCE):
            some = slice(at, at + _AT_ONCE)
            left = np.repeat(ones.starts[one[part]], counts)[some] + row[some]
            right = np.repeat(others.starts[other[part]], counts)[some] + column[some]
            yield ones.members[left].astype(np.intp), others.members[right].astype(np.intp)


def _near(asked: Hashes, held: Hashes, substrings: Sequence[_Substring]) -> Iterator[tuple[Places, Places]]:
    """(places in `asked`, places in `held`) of hashes within RADIUS, in parts."""
    for part in substrings:
        keys = _keys(asked, part.bits)
        for pattern in _patterns(len(part.bits), part.radius):
            near = keys ^ pattern
            first = part.start[near].astype(np.int64)
            counts = part.start[near + 1] - first
            ends = np.cumsum(counts)
            for start, end in cuts(ends, _AT_ONCE):
                some, till = counts[start:end], ends[start:end]
                before = int(ends[start]) - int(counts[start])
                # The numbers from `first` on for each, one after another.
                shifts = np.repeat(first[start:end] - (till - some), some)
                theirs = part.order[np.arange(before, before + len(shifts)) + shifts]
                differing = held[theirs]
                differing ^= np.repeat(asked[start:end], some)
                hit = np.flatnonzero(np.bitwise_count(differing) <= RADIUS)
                if len(hit):
                    mine = np.searchsorted(till, before + hit, side="right")
                    yield start + mine, theirs[hit].astype(np.intp)


def cuts(ends: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
    """Ranges of items of about `most` in total, where `ends` is the sum of the sizes up to each item."""
    start, total = 0, int(ends[-1]) if len(ends) else 0
    while start < len(ends):
        before = int(ends[start - 1]) if start else 0
        if before == total:
            return
        end = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield start, end
        start = end


def count_up(counts: NDArray[np.int64]) -> Places:
    """0 to c - 1 for each c."""
    total = int(counts.sum())
    return np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)


def _substrings(held: Hashes, rows: NDArray[np.uint32], turns: int) -> list[_Substring]:
    """Tables of held[row * turns + turn], for each of the rows and turns."""
    parts = 5 - (len(rows) * turns >= _LONGER)
    base, more = divmod(RADIUS + 1, parts)
    # The sum of (radius + 1) over the substrings is RADIUS + 1: not all of them can differ by more.
    return [
        _substring(held, rows, turns, range(part, 64, parts), base - 1 + (part < more))
        for part in range(parts)
    ]


def _substring(
    held: Hashes, rows: NDArray[np.uint32], turns: int, bits: Sequence[int], radius: int
) -> _Substring:
    count = len(rows) * turns
    keys, counts = np.empty(count, np.uint16), np.zeros(1 << len(bits), np.int64)
    parts = [slice(at, min(at + _SORTED, len(rows))) for at in range(0, len(rows), _SORTED)]
    for part in parts:
        some = keys[part.start * turns : part.stop * turns]
        some[:] = _keys(held[_entries(rows[part], turns)], bits)
        counts += np.bincount(some, minlength=len(counts))
    start = np.zeros(len(counts) + 1, np.uint32)
    np.cumsum(counts, out=start[1:])
    # A part at a time is sorted, and put behind those before it: sorting all would take three times the memory.
    order, ends = np.empty(count, np.uint32), start[:-1].astype(np.int64)
    for part in parts:
        some = keys[part.start * turns : part.stop * turns]
        by_key, here = np.argsort(some, kind="stable"), np.bincount(some, minlength=len(counts))
        at = np.repeat(ends - (np.cumsum(here) - here), here) + np.arange(len(some))
        order[at] = _entries(rows[part], turns)[by_key]
        ends += here
    return _Substring(bits=bits, radius=radius, start=start, order=order)


def _entries(rows: NDArray[np.uint32], turns: int) -> NDArray[np.uint32]:
    return (rows[:, None] * np.uint32(turns) + np.arange(turns, dtype=np.uint32)).ravel()


def _keys(hashes: Hashes, bits: Sequence[int]) -> NDArray[np.int32]:
    keys = np.zeros(len(hashes), np.int32)
    for start in range(0, len(hashes), _KEYED):
        part = slice(start, start + _KEYED)
        for number, bit in enumerate(bits):
            keys[part] |= ((hashes[part] >> np.uint64(bit)) & np.uint64(1)).astype(np.int32) << number
    return keys


@cache
def _patterns(width: int, radius: int) -> list[int]:
    """All values of `width` bits with at most `radius` of them set."""
    return [
        sum(1 << bit for bit in bits)
        for count in range(radius + 1)
        for bits in combinations(range(width), count)
    ]


def distances_of_pairs(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(P,) distances of P pairs of (P, 8) hashes, equal to those of `hash_distances`."""
    mine, theirs = np.bitwise_count(one ^ other[:, :1]), np.bitwise_count(other ^ one[:, :1])
    return np.minimum(mine.min(axis=1, initial=64), theirs.min(axis=1, initial=64)).astype(np.uint8)


def hash_distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(F, N) Hamming distances of (F, 8) and (N, 8) hashes by orientation: the smallest over turning either
    picture.

    Turning one picture or the other is not the same: it moves the median with which its hash compares.
    """
    columns = np.ascontiguousarray(other.T)
    least = np.bitwise_count(one[:, :1] ^ columns[0])
    # Reused: allocating memory would take most of the time.
    differing, bits = np.empty(least.shape, np.uint64), np.empty_like(least)
    for orientation in range(1, one.shape[1]):
        for left, right in ((orientation, 0), (0, orientation)):
            np.bitwise_xor(one[:, left, None], columns[right], out=differing)
            np.bitwise_count(differing, out=bits)
            np.minimum(least, bits, out=least)
    return least
