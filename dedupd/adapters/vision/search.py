"""Which pairs of photos the hashes and vectors propose.

Owns the candidate rule and its arithmetic; must never decide what a pair is. Worker process only.
Nothing is cut to the k nearest: a pair is proposed when it is within the bars, or not at all; and
the answer is the same from whichever side, and in whichever company, it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
_ONE_SIDED = 6
"""Bits by which a distance seen from one side may exceed the one that counts (turning a picture moves
the median its hash compares with)."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """Some pairs: places in the fresh rows and in other rows, and their cosines so far."""

    fresh: Places
    other: Places
    cosines: NDArray[np.float32] | None


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
    for others, near in parts:
        distances = _distances(rows.phashes[near.fresh], others.phashes[near.other])
        cosines = near.cosines
        keep = distances <= RADIUS
        if cosines is not None:
            keep |= cosines >= bar
        found: list[Candidate] = []
        for number in np.nonzero(keep)[0].tolist():
            one, other = rows.contents[near.fresh[number]], others.contents[near.other[number]]
            if one == other or (one > other and one in met_twice and other in met_twice):
                continue
            a, b = min(one, other), max(one, other)
            cosine = None if cosines is None else round(min(1.0, float(cosines[number])), 6)
            found.append(Candidate(a=a, b=b, cosine=cosine, hash_distance=int(distances[number])))
        yield found


def _within(rows: Rows, others: Rows, bar: float | None) -> Iterator[tuple[Rows, _Near]]:
    """Every pair by its exact cosine: a blocked matrix product."""
    for near in _near(rows.phashes, others.phashes, rows.vectors, others.vectors, bar):
        yield others, near


def _across(index: PhotoIndex, rows: Rows, bar: float | None) -> Iterator[tuple[Rows, _Near]]:
    """The whole index: sketches first, then the exact cosine of the few pairs that remain."""
    loose = None if bar is None else bar - _SLACK_SIGMAS * (1 - bar * bar) / sqrt(SKETCH)
    for others in index.scan():
        for near in _near(rows.phashes, others.phashes, rows.sketches, others.sketches, loose):
            if rows.vectors is None:
                yield others, near
            else:
                yield others, replace(near, cosines=_exact(index, rows.vectors, others, near))


def _exact(index: PhotoIndex, vectors: NDArray[np.float32], others: Rows, near: _Near) -> NDArray[np.float32]:
    wanted, places = np.unique(others.ids[near.other], return_inverse=True)
    ids, found = index.vectors_by_id(wanted)
    found = found[np.argsort(ids)]
    cosines = np.empty(len(places), np.float32)
    for start in range(0, len(places), _OTHER_BLOCK):
        part = slice(start, start + _OTHER_BLOCK)
        cosines[part] = np.einsum("nd,nd->n", vectors[near.fresh[part]], found[places[part]])
    return cosines


def _near(
    turned: NDArray[np.uint64],
    others: NDArray[np.uint64],
    left: NDArray[np.float32] | None,
    right: NDArray[np.float32] | None,
    bar: float | None,
) -> Iterator[_Near]:
    """Pairs whose hashes are close from the fresh side, or whose product left · right reaches `bar`."""
    for f in range(0, len(turned), _FRESH_BLOCK):
        for o in range(0, len(others), _OTHER_BLOCK):
            block, other_block = slice(f, f + _FRESH_BLOCK), slice(o, o + _OTHER_BLOCK)
            close = _one_sided(turned[block], others[other_block, 0]) <= RADIUS + _ONE_SIDED
            products = None
            if left is not None and right is not None and bar is not None:
                products = left[block] @ right[other_block].T
                close |= products >= bar
            fresh, other = np.nonzero(close)
            if len(fresh):
                cosines = None if products is None else products[fresh, other]
                yield _Near(fresh=fresh + f, other=other + o, cosines=cosines)


def _one_sided(turned: NDArray[np.uint64], upright: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(F, N) Hamming distances of (F, 8) hashes by orientation to (N,) upright ones: the least of eight."""
    least = np.full((len(turned), len(upright)), 64, np.uint8)
    for orientation in range(turned.shape[1]):
        np.minimum(least, np.bitwise_count(turned[:, orientation, None] ^ upright), out=least)
    return least


def _distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(P,) Hamming distances of P pairs of (P, 8) hashes, the least over orientations of either side."""
    there = np.bitwise_count(one ^ other[:, :1]).min(axis=1)
    back = np.bitwise_count(other ^ one[:, :1]).min(axis=1)
    return np.minimum(there, back)
