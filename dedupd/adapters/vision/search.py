"""Which pairs of photos the hashes and vectors propose.

Owns the candidate rule and its arithmetic; must never decide what a pair is. Worker process only.
Nothing is cut to the k nearest: a pair is proposed when it is within the bars, or not at all; and
the answer is the same from whichever side, and in whichever company, it is asked.
What plain margins surround proposes too: a screenshot of a photo resembles it there and nowhere else. The numbers
of a pair are always those of the whole pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.known_pairs import KnownPairs
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import SKETCH, PhotoRows, in_order
from dedupd.adapters.stores.backfill_records import NEAR
from dedupd.adapters.vision.coarse import GreyPictures, may_be_copies
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
_MOST_OUTSIDE = 16_384
"""Rows that no backfill told of, held in memory at a time: 80 MB."""

AT_ONCE = 20_000
"""Pairs of one answer: what the other process holds of them."""
EACH = 4096
"""Pairs of one content in one answer: a family of look-alikes may have a million."""
_MOST_GATHERED = 200_000
_TESTED_AT_ONCE = 1 << 16
"""Pairs whose small pictures are compared at a time: what is made of one picture serves all its pairs among them."""

Places = NDArray[np.intp]
RowIds = NDArray[np.uint64]
Smalls = Callable[[Sequence[str]], GreyPictures]
"""The small pictures of contents, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """Pairs worth an exact look."""

    fresh: Places
    """Places in the fresh rows."""
    other: Places
    """Places in the other rows."""
    distances: NDArray[np.uint8]
    apart: NDArray[np.float64]
    """Seconds between their clocks; NaN when one of them is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Pairs with all that is to be known of them."""

    fresh: Places
    others: NDArray[np.bytes_]
    """(P,) content ids, 64 hex digits."""
    distances: NDArray[np.uint8]
    apart: NDArray[np.float64]
    cosines: NDArray[np.float64]
    """NaN without vectors."""

    def where(self, chosen: NDArray[Any]) -> _Pairs:
        """Those of a mask, or at places."""
        return _Pairs(
            fresh=self.fresh[chosen], others=self.others[chosen], distances=self.distances[chosen],
            apart=self.apart[chosen], cosines=self.cosines[chosen],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is asked: each of `fresh` with each of `among`."""

    fresh: Sequence[str]
    among: Sequence[str] | None
    """None: the whole index."""
    bar: float | None
    """The least cosine; None: hashes alone."""
    spared: float | None = None
    """From this cosine on a pair is proposed whatever the small pictures show; None: from none."""
    after: str | None = None
    """Given ('' at first): all pairs of one content, however many, with contents after this one, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPairs:
    """An answer that fits into memory, or the first part of one."""

    pairs: list[Candidate]
    left: list[str]
    """Contents to be searched for again: these are too many at once."""
    cut: list[str]
    """Contents of which only the `EACH` most alike pairs are here, or with `after` only the next ones."""


def propose(index: PhotoIndex, insides: PhotoIndex, smalls: Smalls, search: Search) -> FoundPairs:
    """Candidates, each pair once and each as soon as it is found rejected if it can be no copy.

    `insides` holds the hashes of what plain margins surround, of the pictures that have such margins; `smalls` tells
    small pictures. Across the whole index two photos that both know when they were taken, and that it was not at one
    moment, are no pair: most of a library, and never anything to each other.
    """
    # A month is searched block by block, and read once.
    others = None if search.among is None else index.rows_kept(search.among)
    rows = in_order(index.rows(search.fresh))
    gathered = _Gathered(rows.contents, search)
    if rows.contents:
        parts = _anywhere(index, rows, search.bar) if others is None else _within(rows, others, search.bar)
        for near in _together(_near_enough(parts, gathered, search.bar), _TESTED_AT_ONCE):
            gathered.add(near.where(_worth_proving(near, rows, smalls, search.spared)))
        for pairs in _meeting_inside(index, insides, rows, search.among):
            gathered.add(pairs.where(gathered.wanted(pairs)))
    return gathered.found()


def _near_enough(parts: Iterable[_Pairs], gathered: _Gathered, bar: float | None) -> Iterator[_Pairs]:
    for pairs in parts:
        near = pairs.where(gathered.wanted(pairs))
        yield near.where(_within_bars(near.distances, near.cosines, bar))


def _together(parts: Iterable[_Pairs], least: int) -> Iterator[_Pairs]:
    """The same in parts of at least so many pairs, but for the last."""
    waiting, count = list[_Pairs](), 0
    for part in parts:
        waiting.append(part)
        count += len(part.fresh)
        if count >= least:
            yield _joined(waiting)
            waiting, count = [], 0
    if waiting:
        yield _joined(waiting)


class _Gathered:
    """Pairs of as many of the fresh contents, from the first on, as are not too many at once."""

    def __init__(self, contents: Sequence[str], search: Search) -> None:
        self._contents = np.array(contents, "S64")
        self._covered = len(contents)
        # A pair of these is met from both sides, and counts when the smaller id is the fresh one.
        twice = self._contents
        if search.among is not None:
            twice = np.intersect1d(twice, np.array(list(search.among), "S64"))
        self._twice = np.sort(twice)
        self._after = None if search.after is None else search.after.encode()
        self._parts: list[_Pairs] = []
        self._count = 0
        self._cut: set[int] = set()

    def wanted(self, pairs: _Pairs) -> NDArray[np.bool_]:
        """Those that are asked for, and not from the other side."""
        ones = self._contents[pairs.fresh]
        keep = (ones != pairs.others) & (pairs.fresh < self._covered)
        keep &= (ones < pairs.others) | ~(np.isin(ones, self._twice) & np.isin(pairs.others, self._twice))
        return keep if self._after is None else keep & (pairs.others > self._after)

    def add(self, pairs: _Pairs) -> None:
        """Take these pairs, too."""
        if len(pairs.fresh):
            self._parts.append(pairs)
            self._count += len(pairs.fresh)
        if self._count > _MOST_GATHERED:
            self._make_room()

    def found(self) -> FoundPairs:
        """What there is, each pair once."""
        self._make_room()
        pairs, names = self._parts[0] if self._parts else None, [c.decode() for c in self._contents]
        return FoundPairs(
            pairs=[] if pairs is None else _candidates(pairs, names),
            left=names[self._covered :],
            cut=[names[place] for place in sorted(self._cut) if place < self._covered],
        )

    def _make_room(self) -> None:
        if not self._parts:
            return
        pairs = _joined(self._parts)
        pairs = self._most_alike(pairs.where(np.lexsort((pairs.others, pairs.fresh))))
        while len(pairs.fresh) > AT_ONCE and self._covered > 1:
            self._covered = (self._covered + 1) // 2
            pairs = pairs.where(pairs.fresh < self._covered)
        self._parts, self._count = [pairs], len(pairs.fresh)

    def _most_alike(self, pairs: _Pairs) -> _Pairs:
        """Each pair once, and of each content no more than `EACH`: the nearest hashes, the nearest in time, then by cosine."""
        new = np.ones(len(pairs.fresh), bool)
        new[1:] = (pairs.fresh[1:] != pairs.fresh[:-1]) | (pairs.others[1:] != pairs.others[:-1])
        pairs = pairs.where(new)
        counts = np.bincount(pairs.fresh, minlength=len(self._contents))
        many = np.flatnonzero(counts > EACH)
        if not len(many):
            return pairs
        self._cut.update(map(int, many))
        if self._after is None:
            hashes = np.where(pairs.distances <= RADIUS, pairs.distances, RADIUS + 1)
            pairs = pairs.where(np.lexsort((-pairs.cosines, pairs.apart, hashes, pairs.fresh)))
        counts = np.bincount(pairs.fresh, minlength=len(self._contents))
        rank = np.arange(len(pairs.fresh)) - (np.cumsum(counts) - counts)[pairs.fresh]
        return pairs.where(rank < EACH)


def _candidates(pairs: _Pairs, contents: Sequence[str]) -> list[Candidate]:
    found: list[Candidate] = []
    for number, place in enumerate(pairs.fresh):
        one, other = contents[int(place)], pairs.others[number].decode()
        cosine = float(pairs.cosines[number])
        found.append(
            Candidate(
                a=min(one, other),
                b=max(one, other),
                cosine=None if np.isnan(cosine) else cosine,
                hash_distance=int(pairs.distances[number]),
            )
        )
    return found


def _joined(parts: Sequence[_Pairs]) -> _Pairs:
    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return _Pairs(
        fresh=column("fresh"), others=column("others"), distances=column("distances"),
        apart=column("apart"), cosines=column("cosines"),
    )  # fmt: skip


def _worth_proving(pairs: _Pairs, rows: PhotoRows, smalls: Smalls, spared: float | None) -> NDArray[np.bool_]:
    """But for pairs that only vectors propose, that can be no burst, and whose small pictures show that neither is in the other."""
    asked = (pairs.distances > RADIUS) & ~(pairs.apart <= ONE_MOMENT_SECONDS)
    if spared is not None:
        asked &= pairs.cosines < spared
    keep = ~asked
    if asked.any():
        ones, left = np.unique(pairs.fresh[asked], return_inverse=True)
        others, right = np.unique(pairs.others[asked], return_inverse=True)
        mine = smalls([rows.contents[int(place)] for place in ones])
        theirs = smalls([name.decode() for name in others])
        keep[asked] = may_be_copies(mine, theirs, left, right)
    return keep


def _within_bars(
    distances: NDArray[np.uint8], cosines: NDArray[np.float64], bar: float | None
) -> NDArray[np.bool_]:
    keep = distances <= RADIUS
    return keep if bar is None else keep | (cosines >= bar)


def _meeting_inside(
    index: PhotoIndex, insides: PhotoIndex, rows: PhotoRows, among: Sequence[str] | None
) -> Iterator[_Pairs]:
    """Pairs that agree when one or both are seen without their margins, with the numbers of the whole pictures."""

    def blocks(of: PhotoIndex) -> Iterable[PhotoRows]:
        return of.scan(sketches=False) if among is None else [of.rows_kept(among)]

    places = {content: place for place, content in enumerate(rows.contents)}
    framed = insides.rows(rows.contents)
    looks = [(framed, insides), (rows, insides), *([(framed, index)] if framed.contents else [])]
    for mine, of in looks:
        fresh = np.array([places[content] for content in mine.contents], np.intp)
        for theirs in blocks(of):
            for near in _near(mine, theirs, None, None, None):
                met = _of_one_moment(near) if among is None else near
                for start in range(0, len(met.fresh), _OTHER_BLOCK):
                    part = slice(start, start + _OTHER_BLOCK)
                    others = [theirs.contents[int(place)] for place in met.other[part]]
                    yield _whole_pictures(index, rows, fresh[met.fresh[part]], others)


def _whole_pictures(index: PhotoIndex, rows: PhotoRows, fresh: Places, others: Sequence[str]) -> _Pairs:
    theirs = index.rows(sorted(set(others)))
    places = {content: place for place, content in enumerate(theirs.contents)}
    # What was cut out of a picture may outlive its row: a crash came between.
    there = [number for number, other in enumerate(others) if other in places]
    left, right = fresh[there], np.array([places[others[number]] for number in there], np.intp)
    return _Pairs(
        fresh=left,
        others=np.array([others[number] for number in there], "S64"),
        distances=pair_distances(rows.phashes[left], theirs.phashes[right]),
        apart=np.abs(rows.captured[left] - theirs.captured[right]),
        cosines=_all_cosines(rows.vectors, left, theirs.vectors, right),
    )


def _all_cosines(
    ones: NDArray[np.float32] | None, left: Places, others: NDArray[np.float32] | None, right: Places
) -> NDArray[np.float64]:
    if ones is None or others is None:
        return np.full(len(left), np.nan)
    return _cosines(ones, left, others, right)


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
    names = np.array(others.contents, "S64")
    for near in _near(rows, others, rows.vectors, others.vectors, loose):
        yield _Pairs(
            fresh=near.fresh, others=names[near.other], distances=near.distances, apart=near.apart,
            cosines=_all_cosines(rows.vectors, near.fresh, others.vectors, near.other),
        )  # fmt: skip


def _anywhere(index: PhotoIndex, rows: PhotoRows, bar: float | None) -> Iterator[_Pairs]:
    """Pairs with the whole index. Where a backfill has told what is near among its rows, the others alone are searched."""
    known = index.near_pairs
    if known is None or not known.answers(NEAR, bar) or len(outside := index.outside(known)) > _MOST_OUTSIDE:
        yield from _across(index, rows, bar)
        return
    covered = known.covers(rows.contents)
    if len(places := np.flatnonzero(covered)):
        some = rows.at(places)
        beside = _at_one_moment(_within(some, index.rows(outside), bar)) if outside else ()
        for pairs in chain(_told(index, some, known), beside):
            yield replace(pairs, fresh=places[pairs.fresh])
    if len(places := np.flatnonzero(~covered)):
        for pairs in _across(index, rows.at(places), bar):
            yield replace(pairs, fresh=places[pairs.fresh])


def _told(index: PhotoIndex, rows: PhotoRows, known: KnownPairs) -> Iterator[_Pairs]:
    """What a backfill found near these, measured here."""
    fresh, others = list[int](), list[str]()
    for place, partners in known.partners(rows.contents):
        fresh += [place] * len(partners)
        others += partners
        if len(others) >= _VECTORS_AT_ONCE:
            yield from _at_one_moment([_whole_pictures(index, rows, np.array(fresh, np.intp), others)])
            fresh, others = [], []
    if others:
        yield from _at_one_moment([_whole_pictures(index, rows, np.array(fresh, np.intp), others)])


def _at_one_moment(parts: Iterable[_Pairs]) -> Iterator[_Pairs]:
    return (pairs.where(~(pairs.apart > ONE_MOMENT_SECONDS)) for pairs in parts)


def _across(index: PhotoIndex, rows: PhotoRows, bar: float | None) -> Iterator[_Pairs]:
    """The whole index: a product of the sketches, then the vectors of the few pairs that remain."""
    loose = None if bar is None else bar - _SLACK_SIGMAS * (1 - bar * bar) / sqrt(SKETCH)
    waiting: list[tuple[_Near, NDArray[np.bytes_], RowIds]] = []
    for others in index.scan():
        names = np.array(others.contents, "S64")
        for each in _near(rows, others, rows.sketches, others.sketches, loose):
            near = _of_one_moment(each)
            waiting.append((near, names[near.other], others.ids[near.other]))
            # Reading vectors by id costs per call more than per vector.
            if sum(len(names) for _, names, _ in waiting) >= _VECTORS_AT_ONCE:
                yield _exact(index, rows, waiting)
                waiting = []
    if waiting:
        yield _exact(index, rows, waiting)


def _of_one_moment(near: _Near) -> _Near:
    """Those that were, or may have been, taken at one moment."""
    keep = ~(near.apart > ONE_MOMENT_SECONDS)  # so that NaN, not known, counts as one moment
    return _Near(
        fresh=near.fresh[keep], other=near.other[keep], distances=near.distances[keep], apart=near.apart[keep]
    )


def _exact(
    index: PhotoIndex, rows: PhotoRows, waiting: list[tuple[_Near, NDArray[np.bytes_], RowIds]]
) -> _Pairs:
    fresh = np.concatenate([near.fresh for near, _, _ in waiting])
    cosines = np.full(len(fresh), np.nan)
    if rows.vectors is not None:
        wanted, places = np.unique(np.concatenate([ids for _, _, ids in waiting]), return_inverse=True)
        ids, vectors = index.vectors_by_id(wanted)
        cosines = _cosines(rows.vectors, fresh, vectors[np.argsort(ids)], places)
    return _Pairs(
        fresh=fresh,
        others=np.concatenate([names for _, names, _ in waiting]),
        distances=np.concatenate([near.distances for near, _, _ in waiting]),
        apart=np.concatenate([near.apart for near, _, _ in waiting]),
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
    ones: PhotoRows,
    others: PhotoRows,
    left: NDArray[np.float32] | None,
    right: NDArray[np.float32] | None,
    bar: float | None,
) -> Iterator[_Near]:
    """Pairs whose hashes are close, or whose product left · right reaches `bar`."""
    for f in range(0, len(ones.phashes), _FRESH_BLOCK):
        for o in range(0, len(others.phashes), _OTHER_BLOCK):
            block, other_block = slice(f, f + _FRESH_BLOCK), slice(o, o + _OTHER_BLOCK)
            distances = hash_distances(ones.phashes[block], others.phashes[other_block])
            close = distances <= RADIUS
            if left is not None and right is not None and bar is not None:
                close |= left[block] @ right[other_block].T >= bar
            fresh, other = np.nonzero(close)
            if len(fresh):
                yield _Near(
                    fresh=fresh + f, other=other + o, distances=distances[fresh, other],
                    apart=np.abs(ones.captured[fresh + f] - others.captured[other + o]),
                )  # fmt: skip


def pair_distances(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint8]:
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
