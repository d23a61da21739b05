"""Pairs across the whole library: hashes, heads and clocks exclude most, and the vectors of the few that remain are read.

Must never cut to the nearest without telling of whom (`Taken`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.heads import SLACK
from dedupd.adapters.index.known_pairs import KnownPairs
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.stores.backfill_records import NEAR
from dedupd.adapters.vision.candidates import found_before
from dedupd.adapters.vision.candidates.coarse import may_be_copies, may_hold
from dedupd.adapters.vision.candidates.cosines import DENSE, FRESH_BLOCK, ROUNDING, exact_cosines
from dedupd.adapters.vision.candidates.found_before import Measured
from dedupd.adapters.vision.candidates.hash_join import distances_of_pairs
from dedupd.adapters.vision.candidates.inside_margins import whole_pictures
from dedupd.adapters.vision.candidates.nearest import (
    BY_BOUND,
    LOOKED_AT,
    Crowd,
    Nearest,
    Taken,
)
from dedupd.adapters.vision.candidates.pairs import Pairs, Places, held, nearness_of, within_bars
from dedupd.adapters.vision.candidates.small_tests import Smalls, SmallTest, passing
from dedupd.adapters.vision.candidates.together import MOST, PRODUCTS, Choosing, Together
from dedupd.adapters.vision.candidates.whole_index import Chosen, WholeIndex
from dedupd.adapters.vision.candidates.within_month import within
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS

_VECTORS_AT_ONCE = 1024
_TOLD_AT_ONCE = 4096
_MOST_OUTSIDE = 16_384
"""Rows that no backfill compared, held in memory at a time: 80 MB."""
_WHOLE_TABLE = 14
"""When more than one row in so many is needed, all rows are read in order, which is faster than reading each
by its id."""
_MOST_WAITING = 1 << 20
"""Pairs across the index that are collected before their exact numbers are computed."""
_WORTH_KEEPING = 64
"""Photos asked about from which on their pairs are kept for the next search of the same table."""
_MEASURED_AT_ONCE = 1 << 17
"""Pairs across the index whose exact numbers are computed at a time: among look-alikes all pairs of a block are near, and each
takes some 200 bytes on the way."""
_CROWDED = 1024
"""Photos in large families that are answered for at a time: people wait for the end of it, some three seconds. With twice as
many, each photo takes a twentieth less."""
_AT_THE_EDGE = 32
"""Pairs of one photo, beside the nearest, that may be among them by their exact cosines."""
_SAMPLE = 1024
"""Photos by which is guessed how near the nearest of all are."""
_READ = 1024
"""Products that take as long as to read one vector."""
_FIRST_OF_ALL = 512
"""Rows that all photos of a crowd are compared with first."""
Least = Callable[[Places], NDArray[np.float32]]
"""Of each of these fresh photos: what a pair must reach to be among the nearest."""


def anywhere(
    index: PhotoIndex,
    rows: PhotoRows,
    bar: float | None,
    taken: Taken | None,
    smalls: Smalls | None,
    theirs: Chosen | None = None,
) -> Iterator[Pairs]:
    """Pairs with the whole index, at least with `theirs` when given. When a backfill has compared its rows with each
    other, only the others are searched."""
    known = index.near_pairs
    if known is None or not known.answers(NEAR, bar) or len(outside := index.outside(known)) > _MOST_OUTSIDE:
        whole = index.made(WholeIndex)
        if theirs is None:
            yield from _across(index, whole, rows, bar, taken, smalls)
        else:
            found = _measured(index, whole, rows, bar, theirs, None, _of_any)
            yield from (_as_pairs(whole, rows, part) for part in found)
        return
    covered = known.covers(rows.contents)
    if len(places := np.flatnonzero(~covered)):
        some, part = rows.at(places), None if taken is None else taken.at(places)
        if taken is not None:  # what the others will find is not known yet: these are not left to them
            taken.reach[covered] = np.inf
        for pairs in _across(index, index.made(WholeIndex), some, bar, part, smalls):
            yield replace(pairs, fresh=places[pairs.fresh])
        if taken is not None:
            taken.reach[covered] = -np.inf
    if len(places := np.flatnonzero(covered)):
        some, part = rows.at(places), None if taken is None else taken.at(places)
        beside = _at_one_moment(within(some, index.rows(outside), bar, part)) if outside else ()
        for pairs in chain(_told(index, some, known, part), beside):
            yield replace(pairs, fresh=places[pairs.fresh])


def _of_any(fresh: Places) -> NDArray[np.float32]:
    return np.full(len(fresh), -np.inf, np.float32)


def _told(index: PhotoIndex, rows: PhotoRows, known: KnownPairs, taken: Taken | None) -> Iterator[Pairs]:
    """Pairs that a backfill found near these, measured here."""
    fresh, others = list[int](), list[str]()
    for place, partners in known.partners(rows.contents):
        fresh += [place] * len(partners)
        others += partners
        if len(others) >= _TOLD_AT_ONCE:
            yield _told_part(index, rows, fresh, others, taken)
            fresh, others = [], []
    if others:
        yield _told_part(index, rows, fresh, others, taken)


def _told_part(
    index: PhotoIndex, rows: PhotoRows, fresh: list[int], others: list[str], taken: Taken | None
) -> Pairs:
    """All that the backfill found of some photos, or the nearest."""
    (pairs,) = _at_one_moment([whole_pictures(index, rows, np.array(fresh, np.intp), others)])
    if taken is None:
        return pairs
    by_vector = np.flatnonzero(pairs.distances > RADIUS)
    some, nearest = pairs.where(by_vector), Nearest(len(rows.contents), LOOKED_AT)
    nearest.add(some.fresh, nearness_of(some.cosines, some.apart), by_vector)
    taken.note(nearest, 2 * ROUNDING)
    kept = [part for _, part in nearest.parts()]
    return pairs.where(np.sort(np.concatenate([np.flatnonzero(pairs.distances <= RADIUS), *kept])))


def _at_one_moment(parts: Iterable[Pairs]) -> Iterator[Pairs]:
    return (pairs.where(~(pairs.apart > ONE_MOMENT_SECONDS)) for pairs in parts)


def _across(
    index: PhotoIndex, whole: WholeIndex, rows: PhotoRows, bar: float | None, taken: Taken | None, smalls: Smalls | None
) -> Iterator[Pairs]:  # fmt: skip
    """The whole index: first hashes, heads and clocks exclude most pairs, then the vectors of the remaining
    few are compared. What was found before is not looked for again.

    `smalls`: of what only vectors propose not all is told, but what may be copies by these small pictures.
    """
    before, places = whole.found_before(bar), whole.places(rows.contents)
    left = before.left()
    few = _FewOfEach(index, whole, rows, bar, taken, smalls)
    if left is not None:
        yield few.of(before.of(places))
    found, count = list[Measured](), 0
    start, size = 0, len(places)
    while start < min(len(places), _CROWDED):
        # Of photos in large families there is room for few: the others follow.
        here = np.arange(start, min(start + size, len(places)))
        part = None if taken is None else Taken(len(here))
        some = rows if len(here) == len(places) else rows.at(here)
        for measured in _measured(index, whole, some, bar, left, part, few.least(here)):
            mine = replace(measured, fresh=measured.fresh + start)
            yield few.of(mine)
            if part is not None and not part.every:  # those of a large family are not all here
                mine = mine.where(part.reach[measured.fresh] == -np.inf)
            count += len(mine.fresh)
            if count <= found_before.MOST:
                found.append(mine)
        size = len(here) if part is None else part.covered
        if part is not None and taken is not None:
            taken.note_reach(here[:size], part.reach[:size])
        start += size
    if taken is not None and start < len(places):
        taken.cover(start)
    yield from few.nearest()
    if count <= found_before.MOST and len(places) >= _WORTH_KEEPING:
        before.add(places, found, np.ones(len(places), bool) if taken is None else taken.whole())


class _FewOfEach:
    """Lets through what hashes propose, and of what only vectors propose the nearest of each photo, once all were seen."""

    def __init__(
        self, index: PhotoIndex, whole: WholeIndex, rows: PhotoRows, bar: float | None, taken: Taken | None,
        smalls: Smalls | None,
    ) -> None:  # fmt: skip
        self._index, self._whole, self._rows, self._bar, self._taken, self._smalls = (
            index, whole, rows, bar, taken, smalls
        )  # fmt: skip
        self._nearest = Nearest(len(rows.contents), LOOKED_AT)

    def of(self, found: Measured) -> Pairs:
        """Those of them that need not wait."""
        if self._taken is None:
            return _as_pairs(self._whole, self._rows, found)
        near = found.distances <= RADIUS
        some = found.where(~near & within_bars(found.distances, found.cosines, self._bar))
        apart = np.abs(self._rows.captured[some.fresh] - self._whole.captured[some.other])
        nearness, other = nearness_of(some.cosines, apart), some.other.astype(np.uint32)
        self._nearest.add(some.fresh, nearness, other, some.distances, some.cosines)
        return _as_pairs(self._whole, self._rows, found.where(near))

    def least(self, here: Places) -> Callable[[Places], NDArray[np.float32]]:
        """How near a pair of the photos at these places must be now to be among the nearest."""
        return lambda fresh: self._nearest.least[here[fresh]]

    def nearest(self) -> Iterator[Pairs]:
        """The nearest of all that waited."""
        if self._taken is not None:
            self._taken.note(self._nearest, 2 * ROUNDING)
        passed, start = self._alike(), 0
        for fresh, other, distances, cosines in self._nearest.parts():
            some = Measured(fresh=fresh, other=other.astype(np.intp), distances=distances, cosines=cosines)
            if passed is not None:
                some = some.where(passed[start : start + len(fresh)])
            start += len(fresh)
            yield _as_pairs(self._whole, self._rows, some)
        if passed is not None and self._taken is not None:
            yield from self._of_who_looks_at_them()

    def _alike(self) -> NDArray[np.bool_] | None:
        """Which of them may be copies by their small pictures, None: any. All at once, because what takes most of the time is
        done for each picture once; and a pair of two that are asked about is met from both sides."""
        whole, parts = self._whole, list(self._nearest.parts())
        if self._smalls is None or not parts:
            return None
        mine = whole.places(self._rows.contents)
        one = np.concatenate([mine[fresh] for fresh, *_ in parts])
        other = np.concatenate([other.astype(np.intp) for _, other, *_ in parts])
        passed = np.abs(whole.captured[one] - whole.captured[other]) <= ONE_MOMENT_SECONDS
        asked = np.flatnonzero(~passed)
        one, other = one[asked], other[asked]
        # Those of two that are answered for now are compared here from both sides.
        shared = whole.together.shared(one, other) & ~held(np.sort(self._answered()), other)
        passed[asked[shared]] = self._passing(may_hold, one[shared], other[shared])
        asked, one, other = asked[~shared], one[~shared], other[~shared]
        turned = (one > other) & held(np.sort(mine), other)
        one[turned], other[turned] = other[turned], one[turned]
        pairs, which = np.unique(one * len(whole) + other, return_inverse=True)
        passed[asked] = self._passing(may_be_copies, *np.divmod(pairs, len(whole)))[which]
        return passed

    def _passing(self, test: SmallTest, one: Places, other: Places) -> NDArray[np.bool_]:
        """Which pairs of the rows at these places pass a test of their small pictures."""
        whole = self._whole
        if self._smalls is None:
            return np.ones(len(one), bool)
        (ones, left), (others, right) = (np.unique(places, return_inverse=True) for places in (one, other))
        names = [name.decode() for name in whole.contents(ones)]
        return passing(test, names, left, whole.contents(others), right, self._smalls)

    def _answered(self) -> Places:
        """The places of the photos that are answered for."""
        contents = self._rows.contents
        return self._whole.places(contents if self._taken is None else contents[: self._taken.covered])

    def _of_who_looks_at_them(self) -> Iterator[Pairs]:
        """Pairs with others that have one of the photos among their nearest and that were or will be answered for by another
        answer: that one compares the other side."""
        whole, together = self._whole, self._whole.together
        mine = self._answered()
        first = np.flatnonzero(together.held(mine))  # also when there was no room for an earlier answer
        one, other = together.whose(mine[first], 2 * ROUNDING)
        pairs = (first[one] * len(whole) + other)[~held(np.sort(mine), other)]
        looked_at = [fresh * len(whole) + other for fresh, other, *_ in self._nearest.parts()]
        pairs = pairs[~held(np.sort(np.concatenate(looked_at)), pairs)]
        one, other = np.divmod(pairs, len(whole))
        pairs = pairs[self._passing(may_hold, mine[one], other)]
        for found in _exact(self._index, whole, self._rows, pairs, self._bar, _of_any):
            yield _as_pairs(whole, self._rows, found)
        together.answer(mine)


def _measured(
    index: PhotoIndex,
    whole: WholeIndex,
    rows: PhotoRows,
    bar: float | None,
    left: Chosen | None,
    taken: Taken | None,
    least: Least,
) -> Iterator[Measured]:
    for met in _met_across(index, whole, rows, bar, left, taken, least):
        waiting, count = list[NDArray[np.int64]](), 0
        for fresh, other in met:
            # NaN, not known, counts
            keep = ~(np.abs(rows.captured[fresh] - whole.captured[other]) > ONE_MOMENT_SECONDS)
            waiting.append(fresh[keep] * len(whole) + other[keep])
            count += len(waiting[-1])
            if count >= _MOST_WAITING:
                yield from _exact(index, whole, rows, _distinct(waiting), bar, least)
                waiting, count = [], 0
        if count:
            yield from _exact(index, whole, rows, _distinct(waiting), bar, least)


def _distinct(parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """In order, each once: numpy's own way takes five times as long."""
    every = np.sort(np.concatenate(parts))
    return every[np.append(True, every[1:] != every[:-1])] if len(every) else every


def _met_across(
    index: PhotoIndex,
    whole: WholeIndex,
    rows: PhotoRows,
    bar: float | None,
    left: Chosen | None,
    taken: Taken | None,
    least: Least,
) -> Iterator[Iterator[tuple[Places, Places]]]:
    """Pairs that may be within the bars: those to be measured together."""
    nearest = None if taken is None else Nearest(len(rows.contents), BY_BOUND)
    by_vector: Iterable[tuple[NDArray[Any], ...]] = ()
    crowded = np.empty(0, np.intp)
    if bar is not None and nearest is not None:
        crowd = Crowd(least=2 * LOOKED_AT, share=DENSE, most=_CROWDED)
        crowded = whole.take_near_by_vector(rows, bar, left, nearest, crowd)
    elif bar is not None:
        by_vector = whole.near_by_vector(rows, bar, left)
    if nearest is not None and taken is not None:
        taken.note(nearest, SLACK)
        if bar is not None and len(crowded):
            of_crowd = _nearest_of_all(index, whole, rows.at(crowded), bar, left, taken.at(crowded))
            nearest.covered = taken.covered
            for places, chosen in of_crowd:
                chosen.covered = int(np.searchsorted(crowded[places], taken.covered))
                if chosen.covered:
                    yield _in_slices((crowded[places[fresh]], other) for fresh, other in chosen.parts())
        if (first := nearest.least_of(2 * LOOKED_AT)) is not None:
            # Once the first are measured, most of the others are too far to be among the nearest.
            yield _in_slices(nearest.parts(lambda photos, bounds: bounds >= first[photos]))
            by_vector = nearest.parts(
                lambda photos, bounds: (bounds < first[photos]) & (bounds >= least(photos) - 2 * SLACK)
            )
        else:
            by_vector = nearest.parts()
        if nearest.covered < len(rows.contents):
            # Hashes of the others are compared when these are asked for again.
            rows = rows.at(np.arange(nearest.covered))
    yield _in_slices(chain(by_vector, whole.near_by_hash(rows, left)))


def _nearest_of_all(
    index: PhotoIndex, whole: WholeIndex, rows: PhotoRows, bar: float, left: Chosen | None, taken: Taken
) -> list[tuple[Places, Nearest]]:  # fmt: skip
    """Of photos in crowds the pairs that may be the nearest, without what hashes and clocks propose. With the places of the
    photos."""
    found = list[tuple[Places, Nearest]]()
    for places, theirs in whole.sides(rows, left):
        assert rows.vectors is not None
        mine = whole.places([rows.contents[int(place)] for place in places])
        undated = np.isnan(rows.captured[places[0]])
        if undated and (chosen := _choose_together(index, whole, mine, bar, theirs)):
            nearest = Nearest(len(places), LOOKED_AT + _AT_THE_EDGE)
            nearest.covered = chosen
            whole.together.put(mine[:chosen], _wanted(whole, theirs), nearest)
        else:
            nearest = _nearest_of_some(index, whole, mine, rows.vectors[places], bar, theirs)
        taken.at(places).note(nearest, 2 * ROUNDING)
        found.append((places, nearest))
    return found


def _choose_together(
    index: PhotoIndex, whole: WholeIndex, mine: Places, bar: float, theirs: Chosen | None
) -> int:
    """Choose the nearest of all photos without a clock that will be answered for, when they are more than these. Of how many of
    these, the first, they are chosen: the others wait for their turn, because nobody knows yet who looks at them."""
    if (before := whole.together.held(mine))[0]:
        return len(mine) if before.all() else int(before.argmin())
    photos = whole.chosen_for
    if whole.together.owes(photos):  # what is known of those would be lost
        return 0
    chosen = photos[: min(MOST, PRODUCTS // len(whole))]
    if len(chosen) <= len(mine) or not np.isin(mine, chosen).all():
        return 0
    together, steps = Together(len(whole)), _nearest_of_each_other(index, whole, chosen, bar, theirs)
    together.begin(chosen, LOOKED_AT + _AT_THE_EDGE, LOOKED_AT)
    whole.choose(Choosing(together, photos, whole.found_before(bar).left(), steps))
    return len(mine) if whole.together.held(mine).all() else 0


def _nearest_of_each_other(
    index: PhotoIndex, whole: WholeIndex, photos: Places, bar: float, theirs: Chosen | None
) -> Iterator[int | Nearest]:
    """Of some of them at a time, in order; and in between how many products were computed. Each serves both photos."""
    wanted, halves = _wanted(whole, theirs), np.empty((len(photos), index.dimensions), np.float16)
    for start in range(0, len(photos), _VECTORS_AT_ONCE):
        part = slice(start, start + _VECTORS_AT_ONCE)
        halves[part] = whole.vectors(index, photos[part])
        yield len(halves[part]) * _READ
    outside = wanted.copy()
    outside[photos] = False
    blocks = [slice(at, at + 2 * _CROWDED) for at in range(0, len(photos), 2 * _CROWDED)]
    nearest = [Nearest(len(photos[block]), LOOKED_AT + _AT_THE_EDGE) for block in blocks]
    some = halves[:: -(-len(photos) // _SAMPLE)].astype(np.float32)
    rank = (
        len(some) - int(len(some) * 2 * (LOOKED_AT + _AT_THE_EDGE) / np.count_nonzero(wanted)) - _AT_THE_EDGE
    )
    for number, block in enumerate(blocks):
        if rank > 0:  # a guess of how near they must be, proven in the end
            guess = np.partition(halves[block].astype(np.float32) @ some.T, rank, axis=1)[:, rank]
            nearest[number].least[:] = np.where(guess > bar, guess, -np.inf)
            yield len(guess) * len(some)
    for number, block in enumerate(blocks):
        mine, vectors = photos[block], halves[block].astype(np.float32)
        if outside.any():
            for others, some in _vectors_of(index, whole, np.flatnonzero(outside)):
                _add_products(whole, mine, vectors, nearest[number], others, some, bar)
                yield len(mine) * len(others)
        for later in range(number, len(blocks)):
            others = photos[blocks[later]]
            theirs_too = nearest[later] if later > number else None
            some = halves[blocks[later]].astype(np.float32)
            _add_products(whole, mine, vectors, nearest[number], others, some, bar, theirs_too)
            yield len(mine) * len(others)
        if len(again := nearest[number].short()):
            of_these = _nearest_of_some(index, whole, mine[again], vectors[again], bar, theirs)
            nearest[number].replace(again, of_these)
            yield len(again) * len(whole)
        yield nearest[number]
        nearest[number] = Nearest(0, 1)


def _add_products(
    whole: WholeIndex, mine: Places, vectors: NDArray[np.float32], nearest: Nearest, others: Places,
    of_others: NDArray[np.float32], bar: float, theirs: Nearest | None = None,
) -> None:  # fmt: skip
    """Add the pairs of these photos to their nearest; and to those of the others when these are given."""
    for f in range(0, nearest.covered, FRESH_BLOCK):
        block = slice(f, f + FRESH_BLOCK)
        products, least = vectors[block] @ of_others.T, nearest.least[block, None]
        if theirs is not None:
            least = np.minimum(least, theirs.least)
        one, at = np.nonzero(products >= np.maximum(least, np.float32(bar - ROUNDING)))
        near = products[one, at]
        one += f
        far = distances_of_pairs(whole.phashes[mine[one]], whole.phashes[others[at]]) > RADIUS
        one, at, near = one[far], at[far], near[far]
        nearest.add(one, near, others[at].astype(np.uint32))
        if theirs is not None:
            theirs.add(at, near, mine[one].astype(np.uint32))


def _nearest_of_some(
    index: PhotoIndex, whole: WholeIndex, mine: Places, vectors: NDArray[np.float32], bar: float, theirs: Chosen | None
) -> Nearest:  # fmt: skip
    """All their products are computed, which takes less time than to choose among most of them by bounds."""
    nearest = Nearest(len(mine), LOOKED_AT + _AT_THE_EDGE)
    for others, of_others in _vectors_of(index, whole, theirs):
        _add_products(whole, mine, vectors, nearest, others, of_others, bar)
    return nearest


def _wanted(whole: WholeIndex, theirs: Chosen | None) -> NDArray[np.bool_]:
    wanted = np.ones(len(whole), bool) if theirs is None else np.zeros(len(whole), bool)
    if theirs is not None:
        wanted[theirs] = True
    return wanted


def _vectors_of(
    index: PhotoIndex, whole: WholeIndex, theirs: Chosen | None
) -> Iterator[tuple[Places, NDArray[np.float32]]]:
    """The places and vectors of these rows (None: of all), in parts: first of few, so that the nearest of these show how near
    the others must be."""
    wanted, few = _wanted(whole, theirs), _FIRST_OF_ALL
    for ids, vectors in index.all_vectors(lambda ids: wanted[whole.places_of(ids)]):
        start = 0
        while start < len(ids):
            part = slice(start, start + few)
            yield whole.places_of(ids[part]), vectors[part]
            start, few = start + few, 2 * few


def _in_slices(parts: Iterable[tuple[NDArray[Any], ...]]) -> Iterator[tuple[Places, Places]]:
    for fresh, other in parts:
        for start in range(0, len(fresh), _MOST_WAITING):
            part = slice(start, start + _MOST_WAITING)
            yield fresh[part], other[part].astype(np.intp)


def _as_pairs(whole: WholeIndex, rows: PhotoRows, found: Measured) -> Pairs:
    return Pairs(
        fresh=found.fresh, others=whole.contents(found.other), distances=found.distances,
        apart=np.abs(rows.captured[found.fresh] - whole.captured[found.other]), cosines=found.cosines,
        unlike=np.zeros(len(found.fresh), bool),
    )  # fmt: skip


def _exact(
    index: PhotoIndex, whole: WholeIndex, rows: PhotoRows, pairs: NDArray[np.int64], bar: float | None, least: Least
) -> Iterator[Measured]:  # fmt: skip
    """Those of the pairs (fresh * N + other) that are within the bars and may be among the nearest, with their numbers."""
    fresh, other = np.divmod(pairs, len(whole))
    by_other = np.argsort(other, kind="stable")
    fresh, other = fresh[by_other], other[by_other]
    for every, vectors, at in _with_vectors(index, whole, other, wanted=rows.vectors is not None):
        for start in range(0, len(every), _MEASURED_AT_ONCE):
            part, places = (each[start : start + _MEASURED_AT_ONCE] for each in (every, at))
            one, two = fresh[part], other[part]
            found = Measured(
                fresh=one, other=two, distances=distances_of_pairs(rows.phashes[one], whole.phashes[two]),
                cosines=np.full(len(one), np.nan),
            )  # fmt: skip
            if rows.vectors is None or vectors is None:
                yield found
                continue
            cosines = exact_cosines(rows.vectors, one, vectors, places)
            near = within_bars(found.distances, cosines, bar)
            nearness = nearness_of(cosines, np.abs(rows.captured[one] - whole.captured[two]))
            near &= (found.distances <= RADIUS) | (nearness >= least(one) - ROUNDING)
            yield replace(found, cosines=cosines).where(near)


def _with_vectors(
    index: PhotoIndex, whole: WholeIndex, other: Places, *, wanted: bool
) -> Iterator[tuple[Places, NDArray[np.float32] | None, Places]]:
    """Parts of `other`, which is in order: which of its items, vectors, and the place of each item's vector."""
    if not wanted:
        yield np.arange(len(other)), None, other
        return
    needed = np.unique(other)
    if len(needed) * _WHOLE_TABLE >= len(whole):

        def has_pairs(ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
            places = whole.places_of(ids)
            return needed[np.minimum(np.searchsorted(needed, places), len(needed) - 1)] == places

        read = index.all_vectors(has_pairs)
    else:
        slices = (needed[at : at + _VECTORS_AT_ONCE] for at in range(0, len(needed), _VECTORS_AT_ONCE))
        read = (index.vectors_by_id(whole.ids[places]) for places in slices)
    for ids, vectors in read:
        places = whole.places_of(ids)
        order = np.argsort(places)
        places = places[order]
        first, last = map(int, np.searchsorted(other, (places[0], places[-1] + 1)))
        part = np.arange(first, last)
        at = np.searchsorted(places, other[part])
        mine = places[at] == other[part]
        yield part[mine], vectors, order[at[mine]]
