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

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.hashes import RADIUS

_LONGER = 240_000, 4_000_000
"""Numbers of hashes from which on four substrings are faster than five, and three faster than four."""
_AT_ONCE = 1 << 19
"""Pairs of hashes tested at a time, and pairs told at a time."""
_KEYED = 1 << 14
"""Hashes of which the keys are made at a time: what fits into a processor's cache."""

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
    """Tables in which all hashes within RADIUS of another one are found."""

    def __init__(self, phashes: Hashes) -> None:
        """`phashes`: (N, 8) by orientation."""
        self._groups = _Groups(phashes)
        self._upright = np.ascontiguousarray(self._groups.phashes[:, 0])
        self._turned = self._groups.phashes.ravel()
        self._tables = [_substrings(hashes) for hashes in (self._upright, self._turned)]

    def meeting(self, phashes: Hashes) -> Iterator[tuple[Places, Places]]:
        """(places in `phashes`, places in the tables) of all pairs within RADIUS in any orientation of
        either, in parts; a pair may occur more than once."""
        asked = _Groups(phashes)
        count = len(asked.phashes)
        every = [
            # Turning one picture or the other is not the same.
            (asked.phashes[:, 0], np.arange(count), self._turned, self._tables[1], 8),
            (asked.phashes.ravel(), np.repeat(np.arange(count), 8), self._upright, self._tables[0], 1),
        ]
        for hashes, places, held, substrings, turns in every:
            for mine, theirs in _near(np.ascontiguousarray(hashes), held, substrings):
                groups = np.unique(places[mine] * len(self._groups.phashes) + theirs // turns)
                one, other = np.divmod(groups, len(self._groups.phashes))
                yield from _members(asked, one, self._groups, other)


class _Groups:
    """Rows whose eight hashes are all equal, as one group."""

    def __init__(self, phashes: Hashes) -> None:
        rows = np.ascontiguousarray(phashes).view(f"V{phashes.shape[1] * 8}").ravel()
        _, first, group = np.unique(rows, return_index=True, return_inverse=True)
        self.phashes = phashes[first]
        self.members = np.argsort(group, kind="stable")
        self.counts = np.bincount(group, minlength=len(first))
        self.starts = np.cumsum(self.counts) - self.counts


def _members(ones: _Groups, one: Places, others: _Groups, other: Places) -> Iterator[tuple[Places, Places]]:
    """The pairs of members of these pairs of groups."""
    widths = others.counts[other]
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
            yield ones.members[left], others.members[right]


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
                # The numbers from `first` on for each, one after another.
                places: Places = np.repeat(first[start:end] - (till - some), some)
                places += np.arange(till[0] - some[0], till[-1])
                theirs = part.order[places]
                differing = held[theirs]
                differing ^= np.repeat(asked[start:end], some)
                hit = np.flatnonzero(np.bitwise_count(differing) <= RADIUS)
                if len(hit):
                    mine: Places = start + np.searchsorted(till, till[0] - some[0] + hit, side="right")
                    yield mine, theirs[hit].astype(np.intp)


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


def _substrings(hashes: Hashes) -> list[_Substring]:
    parts = 5 - sum(len(hashes) >= least for least in _LONGER)
    base, more = divmod(RADIUS + 1, parts)
    found: list[_Substring] = []
    for part in range(parts):
        bits = range(part, 64, parts)
        keys = _keys(hashes, bits)
        start = np.zeros((1 << len(bits)) + 1, np.uint32)
        np.cumsum(np.bincount(keys, minlength=1 << len(bits)), out=start[1:])
        order = np.argsort(keys, kind="stable").astype(np.uint32)
        # The sum of (radius + 1) over the substrings is RADIUS + 1: not all of them can differ by more.
        found.append(_Substring(bits=bits, radius=base - 1 + (part < more), start=start, order=order))
    return found


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
