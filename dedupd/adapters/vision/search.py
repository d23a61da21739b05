"""Which pairs of photos the hashes and vectors propose.

Owns the candidate rule and its arithmetic; must never decide what a pair is. Worker process only.
Nothing is cut to the k nearest: a pair is proposed when it is within the bars, or not at all; and
the answer is the same from whichever side, and in whichever company, it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.lance import SKETCH, PhotoIndex, Rows
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.photo import Candidate

_FRESH_BLOCK = 256
_OTHER_BLOCK = 4096
_SLACK_SIGMAS = 4.0
"""How far below the bar a sketch may stand before its pair is dropped unseen: 1 in 30,000 at the bar itself."""
_ROUNDING = 1e-4
"""More than a product in single precision can be off."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """Pairs worth an exact look: places in the fresh rows and in the other rows."""

    fresh: Places
    other: Places
    distances: NDArray[np.uint8]


def propose(
    index: PhotoIndex, fresh: Sequence[str], among: Sequence[str] | None, bar: float | None
) -> Iterator[list[Candidate]]:
    """Candidates of each `fresh` with each of `among` (None: the whole index), in parts, each pair once.

    `bar` is the least cosine, None for hashes alone.
    """
    rows = index.rows(fresh)
    if not rows.contents:
        return
    # A pair of these is met from both sides, and counts when the smaller id is the fresh one.
    met_twice = set(rows.contents) if among is None else set(rows.contents) & set(among)
    parts = _across(index, rows, bar) if among is None else _within(rows, index.rows(among), bar)
    for others, near, cosines in parts:
        keep = near.distances <= RADIUS
        if cosines is not None and bar is not None:
            keep |= cosines >= bar
        found: list[Candidate] = []
        for number in np.nonzero(keep)[0].tolist():
            one, other = rows.contents[near.fresh[number]], others.contents[near.other[number]]
            if one == other or (one > other and one in met_twice and other in met_twice):
                continue
            a, b = min(one, other), max(one, other)
            cosine = None if cosines is None else float(cosines[number])
            found.append(Candidate(a=a, b=b, cosine=cosine, hash_distance=int(near.distances[number])))
        yield found


_Part = tuple[Rows, _Near, "NDArray[np.float64] | None"]


def _within(rows: Rows, others: Rows, bar: float | None) -> Iterator[_Part]:
    """A month and the like: a blocked matrix product of the vectors."""
    loose = None if bar is None else bar - _ROUNDING
    for near in _near(rows.phashes, others.phashes, rows.vectors, others.vectors, loose):
        if rows.vectors is None or others.vectors is None:
            yield others, near, None
        else:
            yield others, near, _cosines(rows.vectors, near.fresh, others.vectors, near.other)


def _across(index: PhotoIndex, rows: Rows, bar: float | None) -> Iterator[_Part]:
    """The whole index: a product of the sketches, then the vectors of the few pairs that remain."""
    loose = None if bar is None else bar - _SLACK_SIGMAS * (1 - bar * bar) / sqrt(SKETCH)
    for others in index.scan():
        for near in _near(rows.phashes, others.phashes, rows.sketches, others.sketches, loose):
            if rows.vectors is None:
                yield others, near, None
                continue
            wanted, places = np.unique(others.ids[near.other], return_inverse=True)
            ids, vectors = index.vectors_by_id(wanted)
            yield others, near, _cosines(rows.vectors, near.fresh, vectors[np.argsort(ids)], places)


def _cosines(
    left: NDArray[np.float32], left_places: Places, right: NDArray[np.float32], right_places: Places
) -> NDArray[np.float64]:
    """(P,) cosines of pairs of unit rows, rounded, so that no order of summing shows."""
    cosines = np.empty(len(left_places))
    for start in range(0, len(cosines), _OTHER_BLOCK):
        part = slice(start, start + _OTHER_BLOCK)
        one, other = left[left_places[part]], right[right_places[part]]
        cosines[part] = np.einsum("nd,nd->n", one, other, dtype=np.float64)
    return np.round(np.clip(cosines, -1.0, 1.0), 5)


def _near(
    phashes: NDArray[np.uint64],
    others: NDArray[np.uint64],
    left: NDArray[np.float32] | None,
    right: NDArray[np.float32] | None,
    bar: float | None,
) -> Iterator[_Near]:
    """Pairs whose hashes are close, or whose product left · right reaches `bar`."""
    for f in range(0, len(phashes), _FRESH_BLOCK):
        for o in range(0, len(others), _OTHER_BLOCK):
            block, other_block = slice(f, f + _FRESH_BLOCK), slice(o, o + _OTHER_BLOCK)
            distances = hash_distances(phashes[block], others[other_block])
            close = distances <= RADIUS
            if left is not None and right is not None and bar is not None:
                close |= left[block] @ right[other_block].T >= bar
            fresh, other = np.nonzero(close)
            if len(fresh):
                yield _Near(fresh=fresh + f, other=other + o, distances=distances[fresh, other])


def hash_distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(F, N) Hamming distances of (F, 8) and (N, 8) hashes by orientation: the least over turning either.

    Turning one picture or the other is not the same: it moves the median its hash compares with.
    """
    least = np.bitwise_count(one[:, :1] ^ other[:, 0])
    for orientation in range(1, one.shape[1]):
        np.minimum(least, np.bitwise_count(one[:, orientation, None] ^ other[:, 0]), out=least)
        np.minimum(least, np.bitwise_count(one[:, :1] ^ other[:, orientation]), out=least)
    return least
