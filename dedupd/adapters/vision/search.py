"""Which pairs of photos the hashes and vectors propose.

Owns the candidate rule and its arithmetic; must never decide what a pair is. Worker process only.
Nothing is cut to the k nearest: a pair is proposed when it is within the bars, or not at all; and
the answer is the same from whichever side, and in whichever company, it is asked.
What plain margins surround proposes too: a screenshot of a photo resembles it there and nowhere else. The numbers
of a pair are always those of the whole pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import SKETCH, PhotoRows
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.core.photo import Candidate

_FRESH_BLOCK = 256
_OTHER_BLOCK = 4096
_SLACK_SIGMAS = 5.0
"""How far below the bar a sketch may stand before its pair is dropped unseen. Vectors share a common part,
whose projection shifts every estimate of one model by about one sigma; four remain for chance."""
_ROUNDING = 1e-4
"""More than a product in single precision can be off."""

_VECTORS_AT_ONCE = 4096

Places = NDArray[np.intp]
RowIds = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """Pairs worth an exact look."""

    fresh: Places
    """Places in the fresh rows."""
    other: Places
    """Places in the other rows."""
    distances: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Pairs with all that is to be known of them."""

    fresh: Places
    others: list[str]
    distances: NDArray[np.uint8]
    cosines: NDArray[np.float64] | None


def propose(
    index: PhotoIndex,
    insides: PhotoIndex,
    fresh: Sequence[str],
    among: Sequence[str] | None,
    bar: float | None,
) -> Iterator[list[Candidate]]:
    """Candidates of each `fresh` with each of `among` (None: the whole index), in parts, each pair once.

    `insides` holds the hashes of what plain margins surround, of the pictures that have such margins.
    `bar` is the least cosine, None for hashes alone. Across the whole index two photos that both know when they
    were taken, and that it was not at one moment, are no pair: most of a library, and never anything to each other.
    """
    # A month is searched block by block, and read once.
    others = None if among is None else index.rows_kept(among)
    rows = index.rows(fresh)
    if not rows.contents:
        return
    # A pair of these is met from both sides, and counts when the smaller id is the fresh one.
    met_twice = set(rows.contents) if among is None else set(rows.contents) & set(among)
    parts = _across(index, rows, bar) if others is None else _within(rows, others, bar)
    for pairs in parts:
        keep = _within_bars(pairs.distances, pairs.cosines, bar)
        found: list[Candidate] = []
        for number in map(int, np.nonzero(keep)[0]):
            one, other = rows.contents[int(pairs.fresh[number])], pairs.others[number]
            if one == other or (one > other and one in met_twice and other in met_twice):
                continue
            a, b = min(one, other), max(one, other)
            cosine = None if pairs.cosines is None else float(pairs.cosines[number])
            found.append(Candidate(a=a, b=b, cosine=cosine, hash_distance=int(pairs.distances[number])))
        yield found
    met = sorted(_meeting_inside(index, insides, rows, among))
    for start in range(0, len(met), _OTHER_BLOCK):
        yield _not_by_themselves(index, met[start : start + _OTHER_BLOCK], bar)


def _within_bars(
    distances: NDArray[np.uint8], cosines: NDArray[np.float64] | None, bar: float | None
) -> NDArray[np.bool_]:
    keep = distances <= RADIUS
    return keep if cosines is None or bar is None else keep | (cosines >= bar)


def _meeting_inside(
    index: PhotoIndex, insides: PhotoIndex, rows: PhotoRows, among: Sequence[str] | None
) -> set[tuple[str, str]]:
    """Pairs (a < b) that agree when one or both are seen without their margins."""

    def blocks(of: PhotoIndex) -> Iterable[PhotoRows]:
        return of.scan(sketches=False) if among is None else [of.rows_kept(among)]

    framed = insides.rows(rows.contents)
    looks = [(framed, insides), (rows, insides), *([(framed, index)] if framed.contents else [])]
    met: set[tuple[str, str]] = set()
    for mine, of in looks:
        for theirs in blocks(of):
            for near in _near(mine.phashes, theirs.phashes, None, None, None):
                if among is None:
                    near = _of_one_moment(near, mine, theirs)  # noqa: PLW2901
                for one, other in zip(near.fresh, near.other, strict=True):
                    a, b = mine.contents[int(one)], theirs.contents[int(other)]
                    if a != b:
                        met.add((min(a, b), max(a, b)))
    return met


def _not_by_themselves(
    index: PhotoIndex, met: Sequence[tuple[str, str]], bar: float | None
) -> list[Candidate]:
    """The candidates of these pairs but for those that the whole pictures propose."""
    rows = index.rows(sorted({content for pair in met for content in pair}))
    places = {content: place for place, content in enumerate(rows.contents)}
    # What was cut out of a picture may outlive its row: a crash came between.
    pairs = [(a, b) for a, b in met if a in places and b in places]
    left, right = (np.array([places[pair[side]] for pair in pairs], np.intp) for side in (0, 1))
    distances = _distances(rows.phashes[left], rows.phashes[right])
    cosines = None if rows.vectors is None else _cosines(rows.vectors, left, rows.vectors, right)
    known = _within_bars(distances, cosines, bar)
    return [
        Candidate(
            a=a,
            b=b,
            cosine=None if cosines is None else float(cosines[number]),
            hash_distance=int(distances[number]),
        )
        for number, (a, b) in enumerate(pairs)
        if not known[number]
    ]


def cosines_of(index: PhotoIndex, pairs: Sequence[tuple[str, str]]) -> Iterator[list[float | None]]:
    """The cosine of each pair, in order and in parts; None where a content or its vector is not there."""
    for start in range(0, len(pairs), _OTHER_BLOCK):
        part = pairs[start : start + _OTHER_BLOCK]
        rows = index.rows(sorted({content for pair in part for content in pair}))
        places = {content: place for place, content in enumerate(rows.contents)}
        known = [number for number, (a, b) in enumerate(part) if a in places and b in places]
        found: list[float | None] = [None] * len(part)
        if rows.vectors is not None and known:
            left = np.array([places[part[number][0]] for number in known])
            right = np.array([places[part[number][1]] for number in known])
            for number, cosine in zip(known, _cosines(rows.vectors, left, rows.vectors, right), strict=True):
                found[number] = float(cosine)
        yield found


def _within(rows: PhotoRows, others: PhotoRows, bar: float | None) -> Iterator[_Pairs]:
    """A month and the like: a blocked matrix product of the vectors."""
    loose = None if bar is None else bar - _ROUNDING
    for near in _near(rows.phashes, others.phashes, rows.vectors, others.vectors, loose):
        cosines = None
        if rows.vectors is not None and others.vectors is not None:
            cosines = _cosines(rows.vectors, near.fresh, others.vectors, near.other)
        names = [others.contents[int(place)] for place in near.other]
        yield _Pairs(fresh=near.fresh, others=names, distances=near.distances, cosines=cosines)


def _across(index: PhotoIndex, rows: PhotoRows, bar: float | None) -> Iterator[_Pairs]:
    """The whole index: a product of the sketches, then the vectors of the few pairs that remain."""
    loose = None if bar is None else bar - _SLACK_SIGMAS * (1 - bar * bar) / sqrt(SKETCH)
    waiting: list[tuple[_Near, list[str], RowIds]] = []
    for others in index.scan():
        for each in _near(rows.phashes, others.phashes, rows.sketches, others.sketches, loose):
            near = _of_one_moment(each, rows, others)
            names = [others.contents[int(place)] for place in near.other]
            waiting.append((near, names, others.ids[near.other]))
            # Reading vectors by id costs per call more than per vector.
            if sum(len(names) for _, names, _ in waiting) >= _VECTORS_AT_ONCE:
                yield _exact(index, rows, waiting)
                waiting = []
    if waiting:
        yield _exact(index, rows, waiting)


def _of_one_moment(near: _Near, rows: PhotoRows, others: PhotoRows) -> _Near:
    """Those that were, or may have been, taken at one moment."""
    apart = np.abs(rows.captured[near.fresh] - others.captured[near.other])
    keep = ~(apart > ONE_MOMENT_SECONDS)  # so that NaN, not known, counts as one moment
    return _Near(fresh=near.fresh[keep], other=near.other[keep], distances=near.distances[keep])


def _exact(index: PhotoIndex, rows: PhotoRows, waiting: list[tuple[_Near, list[str], RowIds]]) -> _Pairs:
    fresh = np.concatenate([near.fresh for near, _, _ in waiting])
    cosines = None
    if rows.vectors is not None:
        wanted, places = np.unique(np.concatenate([ids for _, _, ids in waiting]), return_inverse=True)
        ids, vectors = index.vectors_by_id(wanted)
        cosines = _cosines(rows.vectors, fresh, vectors[np.argsort(ids)], places)
    return _Pairs(
        fresh=fresh,
        others=[name for _, names, _ in waiting for name in names],
        distances=np.concatenate([near.distances for near, _, _ in waiting]),
        cosines=cosines,
    )


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


def _distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(P,) distances of P pairs of (P, 8) hashes, as `hash_distances` tells them."""
    mine, theirs = np.bitwise_count(one ^ other[:, :1]), np.bitwise_count(other ^ one[:, :1])
    return np.minimum(mine.min(axis=1, initial=64), theirs.min(axis=1, initial=64)).astype(np.uint8)


def hash_distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """(F, N) Hamming distances of (F, 8) and (N, 8) hashes by orientation: the least over turning either.

    Turning one picture or the other is not the same: it moves the median its hash compares with.
    """
    columns = np.ascontiguousarray(other.T)
    least = np.bitwise_count(one[:, :1] ^ columns[0])
    # Reused: most of the time would go into fresh memory.
    differing, bits = np.empty(least.shape, np.uint64), np.empty_like(least)
    for orientation in range(1, one.shape[1]):
        for left, right in ((orientation, 0), (0, orientation)):
            np.bitwise_xor(one[:, left, None], columns[right], out=differing)
            np.bitwise_count(differing, out=bits)
            np.minimum(least, bits, out=least)
    return least
