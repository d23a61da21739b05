"""Candidates: which pairs of photos the hashes and vectors propose.

Owns the candidate rule and its arithmetic; must never decide what a pair is. Worker process only. There is no
cut to the k nearest: a pair is proposed when it is within the bars, otherwise not; and the answer is the same
from either side, and whatever else is asked at the same time.

The part inside plain margins proposes pairs too, because a screenshot of a photo resembles it only there. The
numbers of a pair are always those of the whole pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.heads import SLACK
from dedupd.adapters.index.known_pairs import KnownPairs
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows, in_order
from dedupd.adapters.stores.backfill_records import NEAR
from dedupd.adapters.vision import found_before
from dedupd.adapters.vision.coarse import GreyPictures, may_be_copies
from dedupd.adapters.vision.found_before import Measured
from dedupd.adapters.vision.hash_join import distances_of_pairs, hash_distances
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.adapters.vision.nearest import BY_BOUND, IN_MONTH, LOOKED_AT, ONE_MOMENT, Crowd, Nearest, Taken
from dedupd.adapters.vision.overlay import may_lie_over
from dedupd.adapters.vision.whole_index import Chosen, WholeIndex
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.core.photo import Candidate

_FRESH_BLOCK = 256
_OTHER_BLOCK = 4096
_ROUNDING = 1e-4
"""The largest error of a product in single precision."""

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

_DENSE = 20
"""When more than one pair in so many is needed of some rows, all of them are multiplied as matrices."""

_CROWDED = 2048
"""Photos in large families that are answered for at a time: people wait for the end of it."""

_AT_THE_EDGE = 32
"""Pairs of one photo, beside the nearest, that may be among them by their exact cosines."""

_FIRST_OF_ALL = 512
"""Rows that all photos of a crowd are compared with first."""

_GATHERED = 256
"""Pairs whose vectors are copied together: what fits into a processor's cache."""

AT_ONCE = 20_000
"""Pairs in one answer: the other process holds them in memory."""
EACH = 4096
"""Pairs of one content in one answer: a family of look-alikes may have a million."""
LOOK_ALIKES = 16
"""Pairs of one content whose small pictures are unlike. No copy is among them; this many show what the
content resembles."""
_MOST_GATHERED = 200_000
_TESTED_AT_ONCE = 1 << 18
"""Pairs whose small pictures are compared at a time: the arrays of one picture serve all its pairs among
them."""
_LAID = 1 << 15
"""Pairs of one search whose small pictures are laid over each other, which takes up to a millisecond: with more, fewer photos
are answered for, because people may wait for its end."""
_LAID_IN_IDLE = 1 << 13
"""The same when all pairs are asked for: nobody waits for those, and who comes does not wait long."""
_SMALLS = 1 << 15
"""Small pictures in memory at a time, of the photos that are not asked about."""

Places = NDArray[np.intp]
Least = Callable[[Places], NDArray[np.float32]]
"""Of each of these fresh photos: what a pair must reach to be among the nearest."""
Smalls = Callable[[Sequence[str]], GreyPictures]
"""The small pictures of contents, in order."""
SmallTest = Callable[[GreyPictures, GreyPictures, Places, Places], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """Pairs whose exact numbers are worth computing."""

    fresh: Places
    """Places in the fresh rows."""
    other: Places
    """Places in the other rows."""
    distances: NDArray[np.uint8]
    apart: NDArray[np.float64]
    """Seconds between their clocks; NaN when one of them is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pairs:
    """Pairs with all their numbers."""

    fresh: Places
    others: NDArray[np.bytes_]
    """(P,) content ids, 64 hex digits."""
    distances: NDArray[np.uint8]
    apart: NDArray[np.float64]
    cosines: NDArray[np.float64]
    """NaN without vectors."""
    unlike: NDArray[np.bool_]
    """Whether their small pictures show that neither is part of the other."""

    def where(self, chosen: NDArray[Any]) -> _Pairs:
        """The pairs selected by a mask, or at places."""
        return _Pairs(
            fresh=self.fresh[chosen], others=self.others[chosen], distances=self.distances[chosen],
            apart=self.apart[chosen], cosines=self.cosines[chosen], unlike=self.unlike[chosen],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A request: each of `fresh` is compared with each of `among`."""

    fresh: Sequence[str]
    among: Sequence[str] | None
    """None: the whole index."""
    bar: float | None
    """The least cosine; None: hashes alone."""
    spared: float | None = None
    """From this cosine on, the nearest are proposed even when their small pictures are unlike; None: never.
    """
    after: str | None = None
    """When given ('' at first): all pairs, however many, with the contents after this one, in their order."""
    sizes: Sequence[int] = ()
    """Of how many contents each month has that stands in `among`, one after another; (): it is one month."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPairs:
    """An answer that fits into memory, or its first part."""

    pairs: list[Candidate]
    left: list[str]
    """Contents that must be searched for again: these were too many at once."""
    cut: list[str]
    """Contents of which only the most alike pairs are included."""
    after: str = ""
    """Where to go on, when all pairs were asked for and these are only the next ones."""


def propose(index: PhotoIndex, insides: PhotoIndex, smalls: Smalls, search: Search) -> FoundPairs:
    """Candidates, each pair once, without those that can be no copy: of these, the nearest look-alikes as
    `spared` says.

    `insides` holds the hashes of what is inside plain margins, for the pictures with such margins; `smalls`
    gives small pictures. Across the whole index, two photos with different clock times are no pair: that
    excludes most pairs of a library, which are never related.
    """
    # A month is searched block by block, and read once.
    others = None if search.among is None else index.rows_kept(search.among)
    if others is None:
        rows = index.made(WholeIndex).rows(index, search.fresh)
    else:
        rows = in_order(_of_these(others, index, search))
    gathered = _Gathered(rows.contents, search)
    if rows.contents:
        taken = gathered.taken if search.after is None else None
        if others is None:
            parts = _anywhere(index, rows, search.bar, taken, smalls if search.spared is None else None)
        else:
            parts = _within(rows, others, search.bar, taken)
        for near in _together(_near_enough(parts, gathered, search.bar), _TESTED_AT_ONCE):
            seen = _seen_small(near, rows, smalls)
            laid = gathered.room_to_lay(seen)
            seen.unlike[laid] = ~_pass(may_lie_over, seen.where(laid), rows, smalls)
            gathered.add(_worth_telling(seen, search))
        for pairs in _meeting_inside(index, insides, rows, search.among):
            gathered.add(pairs.where(gathered.wanted(pairs)))
    return gathered.found()


def _of_these(others: PhotoRows, index: PhotoIndex, search: Search) -> PhotoRows:
    """The rows of the fresh contents, read again only when not all of them are among the others."""
    fresh = set(search.fresh)
    if fresh.issubset(search.among or ()):
        return others.at(np.array([n for n, c in enumerate(others.contents) if c in fresh], np.intp))
    return index.rows(search.fresh)


def _near_enough(parts: Iterable[_Pairs], gathered: _Gathered, bar: float | None) -> Iterator[_Pairs]:
    for pairs in parts:
        near = pairs.where(gathered.wanted(pairs))
        yield near.where(_within_bars(near.distances, near.cosines, bar))


def _together(parts: Iterable[_Pairs], least: int) -> Iterator[_Pairs]:
    """The same, joined to parts of at least so many pairs, except the last part."""
    waiting, count = list[_Pairs](), 0
    for part in parts:
        waiting.append(part)
        count += len(part.fresh)
        if count >= least:
            joined, waiting, count = _joined(waiting), [], 0
            yield joined
            del joined
    if waiting:
        yield _joined(waiting)


class _Gathered:
    """Collects the pairs of the fresh contents, from the first on, while they are not too many."""

    def __init__(self, contents: Sequence[str], search: Search) -> None:
        self._contents = np.array(contents, "S64")
        self.taken = Taken(len(contents))
        # A pair of two fresh contents is found from both sides, and counts from the smaller id.
        twice = self._contents
        if search.among is not None:
            twice = np.intersect1d(twice, np.array(list(search.among), "S64"))
        self._twice = np.sort(twice)
        self._counts_twice = _held(self._twice, self._contents)
        self._month_of = _months(search)
        self._after = None if search.after is None else search.after.encode()
        self._till = b""
        """Where this answer ends when all pairs are too many for it."""
        self._parts: list[_Pairs] = []
        self._count = 0
        self._cut: set[int] = set()
        self._room: float = _LAID
        self._laid = np.empty(0, "S64")
        """The other contents of the pairs that were laid and are told, when all pairs are asked for."""

    def wanted(self, pairs: _Pairs) -> NDArray[np.bool_]:
        """Those pairs that are asked for, and not found from the other side."""
        ones = self._contents[pairs.fresh]
        keep = (ones != pairs.others) & (pairs.fresh < self.taken.covered)
        again = (ones > pairs.others) & self._counts_twice[pairs.fresh] & _held(self._twice, pairs.others)
        keep &= ~again | self._left_out_there(pairs)
        if self._month_of is not None:
            names, months = self._month_of
            one, other = (months[_places(names, some)] for some in (ones, pairs.others))
            keep &= one == other
        return keep if self._after is None else keep & (pairs.others > self._after)

    def _left_out_there(self, pairs: _Pairs) -> NDArray[np.bool_]:
        """Which of the pairs may be missing among those of the other photo, because it has too many that are nearer."""
        if self.taken.every:
            return np.zeros(len(pairs.fresh), bool)
        reach = self.taken.reach[self._places(pairs.others)]
        return (pairs.distances > RADIUS) & (_nearness(pairs.cosines, pairs.apart) < reach)

    def _places(self, names: NDArray[np.bytes_]) -> Places:
        """The places of those of them that are fresh."""
        return _places(self._contents, names)

    def room_to_lay(self, pairs: _Pairs) -> Places:
        """Those whose small pictures are laid over each other now. What there is no room for is left by this answer: the
        last of the photos; when all pairs are asked for, those with the last of the other photos."""
        laid = _by_vectors_alone(pairs)
        laid = laid[~pairs.unlike[laid]]
        if self._after is not None:
            return self._first_to_lay(pairs, laid)
        laid = laid[pairs.fresh[laid] < self.taken.covered]
        if len(laid) > self._room:
            # Pairs come in the order of their photos. What comes later of those that are answered for has room.
            self.taken.covered = max(1, int(np.sort(pairs.fresh[laid])[int(self._room)]))
            laid = laid[pairs.fresh[laid] < self.taken.covered]
            self._room = np.inf
        self._room -= len(laid)
        return laid

    def _first_to_lay(self, pairs: _Pairs, laid: Places) -> Places:
        """Those up to where they are too many together with all before: what was laid beyond that is not told yet."""
        names = np.append(self._laid, pairs.others[laid])
        names = np.sort(names[self._told(names)])
        if len(names) > _LAID_IN_IDLE:
            self._end_before(names, _LAID_IN_IDLE)
        self._laid = names[self._told(names)]
        return laid[self._told(pairs.others[laid])]

    def _told(self, others: NDArray[np.bytes_]) -> NDArray[np.bool_]:
        return (others <= self._till) | (not self._till)

    def _end_before(self, others: NDArray[np.bytes_], most: int) -> None:
        """So that at most so many of these, in order, are told: all pairs with the same other content, or none; of one
        content all."""
        first = others[others < others[most]]
        self._till = bytes(first[-1] if len(first) else others[most])

    def add(self, pairs: _Pairs) -> None:
        """Add these pairs."""
        if len(pairs.fresh):
            self._parts += [pairs, self._mirrored(pairs)]
            self._count += len(pairs.fresh)
        if self._count > _MOST_GATHERED:
            self._make_room()

    def found(self) -> FoundPairs:
        """The result, each pair once."""
        self._make_room()
        cut = self._cut.union(map(int, np.flatnonzero(self.taken.reach > -np.inf)))
        pairs, names = self._parts[0] if self._parts else None, [c.decode() for c in self._contents]
        return FoundPairs(
            pairs=[] if pairs is None else _candidates(pairs, names),
            left=names[self.taken.covered :],
            cut=[names[place] for place in sorted(cut) if place < self.taken.covered],
            after=self._till.decode(),
        )

    def _mirrored(self, pairs: _Pairs) -> _Pairs:
        """With both directions of pairs of two fresh contents: look-alikes are counted for each, and one may
        have nearer ones."""
        places = self._places(pairs.others)
        both = pairs.unlike & (self._contents[places] == pairs.others)
        mine = pairs.where(both)
        return replace(mine, fresh=places[both], others=self._contents[mine.fresh])

    def _make_room(self) -> None:
        if not self._parts:
            return
        pairs = _joined(self._parts)
        pairs = pairs.where(pairs.fresh < self.taken.covered)
        pairs = pairs.where(np.lexsort((pairs.unlike, pairs.others, pairs.fresh)))
        if self._after is not None:
            self._parts = [self._next(pairs)]
            self._count = len(self._parts[0].fresh)
            return
        pairs = self._most_alike(pairs)
        while len(pairs.fresh) > AT_ONCE and self.taken.covered > 1:
            self.taken.covered = (self.taken.covered + 1) // 2
            pairs = pairs.where(pairs.fresh < self.taken.covered)
        self._parts, self._count = [pairs], len(pairs.fresh)

    def _next(self, pairs: _Pairs) -> _Pairs:
        """Each pair once, up to where they are too many: all with the same other content, or none."""
        pairs = pairs.where(_new(pairs) & self._told(pairs.others))
        if len(pairs.fresh) > AT_ONCE:
            self._end_before(np.sort(pairs.others), AT_ONCE)
            pairs = pairs.where(self._told(pairs.others))
        return pairs

    def _most_alike(self, pairs: _Pairs) -> _Pairs:
        """Each pair once, and of each content at most `EACH` pairs and `LOOK_ALIKES` unlike ones: the nearest
        by hash, then by time, then by cosine."""
        new = _new(pairs)
        alike, unlike = pairs.where(new & ~pairs.unlike), pairs.where(new & pairs.unlike)
        many = np.flatnonzero(np.bincount(alike.fresh) > EACH)
        self._cut.update(map(int, many))
        if len(many):
            alike = _nearest_first(alike)
        return _joined([_first_of_each(alike, EACH), _first_of_each(_nearest_first(unlike), LOOK_ALIKES)])


def _months(search: Search) -> tuple[NDArray[np.bytes_], Places] | None:
    """The contents in order, and the number of the month of each; None where there is one month."""
    if search.among is None or len(search.sizes) < 2:
        return None
    names = np.array(list(search.among), "S64")
    order = np.argsort(names)
    return names[order], np.repeat(np.arange(len(search.sizes)), search.sizes)[order]


def _places(names: NDArray[Any], asked: NDArray[Any]) -> Places:
    """The places of those of them that are among these, that are in order."""
    return np.minimum(np.searchsorted(names, asked), len(names) - 1)


def _held(names: NDArray[Any], asked: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of them are among these, that are in order."""
    if not len(names):
        return np.zeros(len(asked), bool)
    return names[_places(names, asked)] == asked


def _nearness(cosines: NDArray[np.floating[Any]], apart: NDArray[np.float64]) -> NDArray[np.float64]:
    return cosines + ONE_MOMENT * (apart <= ONE_MOMENT_SECONDS)


def _nearest_first(pairs: _Pairs) -> _Pairs:
    """The order of pairs by content, nearest first."""
    hashes = np.where(pairs.distances <= RADIUS, pairs.distances, RADIUS + 1)
    return pairs.where(np.lexsort((pairs.others, -pairs.cosines, pairs.apart, hashes, pairs.fresh)))


def _new(pairs: _Pairs) -> NDArray[np.bool_]:
    """Which of them, that are in order, are not the same as those before."""
    new = np.ones(len(pairs.fresh), bool)
    new[1:] = (pairs.fresh[1:] != pairs.fresh[:-1]) | (pairs.others[1:] != pairs.others[:-1])
    return new


def _first_of_each(pairs: _Pairs, most: int) -> _Pairs:
    """The first so many pairs of each content, from pairs in the order of contents."""
    counts = np.bincount(pairs.fresh)
    rank = np.arange(len(pairs.fresh)) - (np.cumsum(counts) - counts)[pairs.fresh]
    return pairs.where(rank < most)


def _candidates(pairs: _Pairs, contents: Sequence[str]) -> list[Candidate]:
    """What is inside margins may propose what the small pictures of the wholes reject: then it is no look-alike."""
    found: dict[tuple[str, str], Candidate] = {}
    for number in (*np.flatnonzero(pairs.unlike), *np.flatnonzero(~pairs.unlike)):
        place = pairs.fresh[number]
        one, other = contents[int(place)], pairs.others[number].decode()
        a, b, cosine = min(one, other), max(one, other), float(pairs.cosines[number])
        found[a, b] = Candidate(
            a=a, b=b, cosine=None if np.isnan(cosine) else cosine, hash_distance=int(pairs.distances[number]),
            unlike=bool(pairs.unlike[number]),
        )  # fmt: skip
    return list(found.values())


def _joined(parts: Sequence[_Pairs]) -> _Pairs:
    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return _Pairs(
        fresh=column("fresh"), others=column("others"), distances=column("distances"),
        apart=column("apart"), cosines=column("cosines"), unlike=column("unlike"),
    )  # fmt: skip


def _seen_small(pairs: _Pairs, rows: PhotoRows, smalls: Smalls) -> _Pairs:
    """The same pairs, with the coarse test of small pictures for those that only vectors propose and that can be
    no burst."""
    asked, unlike = _by_vectors_alone(pairs), pairs.unlike.copy()
    unlike[asked] = ~_pass(may_be_copies, pairs.where(asked), rows, smalls)
    return replace(pairs, unlike=unlike)


def _by_vectors_alone(pairs: _Pairs) -> Places:
    return np.flatnonzero((pairs.distances > RADIUS) & ~(pairs.apart <= ONE_MOMENT_SECONDS))


def _pass(test: SmallTest, pairs: _Pairs, rows: PhotoRows, smalls: Smalls) -> NDArray[np.bool_]:
    """(P,) which of the pairs pass a test of their small pictures."""
    ones, left = np.unique(pairs.fresh, return_inverse=True)
    others, right = np.unique(pairs.others, return_inverse=True)
    return _passing(test, [rows.contents[int(place)] for place in ones], left, others, right, smalls)


def _passing(
    test: SmallTest, ones: Sequence[str], left: Places, others: NDArray[np.bytes_], right: Places, smalls: Smalls
) -> NDArray[np.bool_]:  # fmt: skip
    """(P,) which of the pairs ones[left], others[right] pass."""
    found = np.empty(len(left), bool)
    if not len(found):
        return found
    mine = smalls(ones)
    order = np.argsort(right, kind="stable")
    for start in range(0, len(others), _SMALLS):
        theirs = smalls([name.decode() for name in others[start : start + _SMALLS]])
        first, last = np.searchsorted(right, (start, start + _SMALLS), sorter=order)
        some = order[first:last]
        found[some] = test(mine, theirs, left[some], right[some] - start)
    return found


def _worth_telling(pairs: _Pairs, search: Search) -> _Pairs:
    """Without look-alikes that were not asked for."""
    if search.spared is None or search.after is not None:
        return pairs.where(~pairs.unlike)
    return pairs.where(~pairs.unlike | (pairs.cosines >= search.spared))


def _within_bars(
    distances: NDArray[np.uint8], cosines: NDArray[np.float64], bar: float | None
) -> NDArray[np.bool_]:
    keep = distances <= RADIUS
    return keep if bar is None else keep | (cosines >= bar)


def _meeting_inside(
    index: PhotoIndex, insides: PhotoIndex, rows: PhotoRows, among: Sequence[str] | None
) -> Iterator[_Pairs]:
    """Pairs that agree when the margins of one or both are removed, with the numbers of the whole pictures."""
    places = {content: place for place, content in enumerate(rows.contents)}
    framed = insides.rows(rows.contents)
    looks = [(framed, insides), (rows, insides), *([(framed, index)] if framed.contents else [])]
    for mine, of in looks:
        fresh = np.array([places[content] for content in mine.contents], np.intp)
        for one, others in _met_inside(mine, of, among):
            for start in range(0, len(one), _OTHER_BLOCK):
                part = slice(start, start + _OTHER_BLOCK)
                yield _whole_pictures(index, rows, fresh[one[part]], [c.decode() for c in others[part]])


def _met_inside(
    mine: PhotoRows, of: PhotoIndex, among: Sequence[str] | None
) -> Iterator[tuple[Places, NDArray[np.bytes_]]]:
    """(places in `mine`, contents of `of`) within the radius."""
    if among is not None:
        theirs = of.rows_kept(among)
        names = np.array(theirs.contents, "S64")
        for near in _near(mine, theirs, None, None, None):
            yield near.fresh, names[near.other]
        return
    whole = of.made(WholeIndex)
    for fresh, other in whole.near_by_hash(mine):
        keep = ~(np.abs(mine.captured[fresh] - whole.captured[other]) > ONE_MOMENT_SECONDS)
        yield fresh[keep], whole.contents(other[keep])


def _whole_pictures(index: PhotoIndex, rows: PhotoRows, fresh: Places, others: Sequence[str]) -> _Pairs:
    theirs = index.rows(sorted(set(others)))
    places = {content: place for place, content in enumerate(theirs.contents)}
    # The part cut out of a picture may outlive its row when a crash came between the two deletions.
    there = [number for number, other in enumerate(others) if other in places]
    left, right = fresh[there], np.array([places[others[number]] for number in there], np.intp)
    return _Pairs(
        fresh=left,
        others=np.array([others[number] for number in there], "S64"),
        distances=distances_of_pairs(rows.phashes[left], theirs.phashes[right]),
        apart=np.abs(rows.captured[left] - theirs.captured[right]),
        cosines=_all_cosines(rows.vectors, left, theirs.vectors, right),
        unlike=np.zeros(len(left), bool),
    )


def _all_cosines(
    ones: NDArray[np.float32] | None, left: Places, others: NDArray[np.float32] | None, right: Places
) -> NDArray[np.float64]:
    if ones is None or others is None:
        return np.full(len(left), np.nan)
    return _cosines(ones, left, others, right)


def cosines_of(index: PhotoIndex, pairs: Sequence[tuple[str, str]]) -> Iterator[list[float | None]]:
    """The cosine of each pair, in order and in parts; None when a content or its vector is missing."""
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


def _within(rows: PhotoRows, others: PhotoRows, bar: float | None, taken: Taken | None) -> Iterator[_Pairs]:
    """Within a month and similar: a blocked matrix product of the vectors."""
    loose = None if bar is None else bar - _ROUNDING
    names = np.array(others.contents, "S64")
    for near in _near(rows, others, rows.vectors, others.vectors, loose, taken):
        yield _Pairs(
            fresh=near.fresh, others=names[near.other], distances=near.distances, apart=near.apart,
            cosines=_all_cosines(rows.vectors, near.fresh, others.vectors, near.other),
            unlike=np.zeros(len(near.fresh), bool),
        )  # fmt: skip


def _anywhere(
    index: PhotoIndex, rows: PhotoRows, bar: float | None, taken: Taken | None, smalls: Smalls | None
) -> Iterator[_Pairs]:
    """Pairs with the whole index. When a backfill has compared its rows with each other, only the others are
    searched."""
    known = index.near_pairs
    if known is None or not known.answers(NEAR, bar) or len(outside := index.outside(known)) > _MOST_OUTSIDE:
        yield from _across(index, index.made(WholeIndex), rows, bar, taken, smalls)
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
        beside = _at_one_moment(_within(some, index.rows(outside), bar, part)) if outside else ()
        for pairs in chain(_told(index, some, known, part), beside):
            yield replace(pairs, fresh=places[pairs.fresh])


def _told(index: PhotoIndex, rows: PhotoRows, known: KnownPairs, taken: Taken | None) -> Iterator[_Pairs]:
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
) -> _Pairs:
    """All that the backfill found of some photos, or the nearest."""
    (pairs,) = _at_one_moment([_whole_pictures(index, rows, np.array(fresh, np.intp), others)])
    if taken is None:
        return pairs
    by_vector = np.flatnonzero(pairs.distances > RADIUS)
    some, nearest = pairs.where(by_vector), Nearest(len(rows.contents), LOOKED_AT)
    nearest.add(some.fresh, _nearness(some.cosines, some.apart), by_vector)
    taken.note(nearest, 2 * _ROUNDING)
    kept = [part for _, part in nearest.parts()]
    return pairs.where(np.sort(np.concatenate([np.flatnonzero(pairs.distances <= RADIUS), *kept])))


def _at_one_moment(parts: Iterable[_Pairs]) -> Iterator[_Pairs]:
    return (pairs.where(~(pairs.apart > ONE_MOMENT_SECONDS)) for pairs in parts)


def _across(
    index: PhotoIndex, whole: WholeIndex, rows: PhotoRows, bar: float | None, taken: Taken | None, smalls: Smalls | None
) -> Iterator[_Pairs]:  # fmt: skip
    """The whole index: first hashes, heads and clocks exclude most pairs, then the vectors of the remaining
    few are compared. What was found before is not looked for again.

    `smalls`: of what only vectors propose not all is told, but what may be copies by these small pictures.
    """
    before, places = whole.found_before(bar), whole.places(rows.contents)
    left = before.left()
    few = _FewOfEach(whole, rows, bar, taken, smalls)
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
        self,
        whole: WholeIndex,
        rows: PhotoRows,
        bar: float | None,
        taken: Taken | None,
        smalls: Smalls | None,
    ) -> None:
        self._whole, self._rows, self._bar, self._taken, self._smalls = whole, rows, bar, taken, smalls
        self._nearest = Nearest(len(rows.contents), LOOKED_AT)

    def of(self, found: Measured) -> _Pairs:
        """Those of them that need not wait."""
        if self._taken is None:
            return _as_pairs(self._whole, self._rows, found)
        near = found.distances <= RADIUS
        some = found.where(~near & _within_bars(found.distances, found.cosines, self._bar))
        apart = np.abs(self._rows.captured[some.fresh] - self._whole.captured[some.other])
        nearness, other = _nearness(some.cosines, apart), some.other.astype(np.uint32)
        self._nearest.add(some.fresh, nearness, other, some.distances, some.cosines)
        return _as_pairs(self._whole, self._rows, found.where(near))

    def least(self, here: Places) -> Callable[[Places], NDArray[np.float32]]:
        """How near a pair of the photos at these places must be now to be among the nearest."""
        return lambda fresh: self._nearest.least[here[fresh]]

    def nearest(self) -> Iterator[_Pairs]:
        """The nearest of all that waited."""
        if self._taken is not None:
            self._taken.note(self._nearest, 2 * _ROUNDING)
        passed, start = self._alike(), 0
        for fresh, other, distances, cosines in self._nearest.parts():
            some = Measured(fresh=fresh, other=other.astype(np.intp), distances=distances, cosines=cosines)
            if passed is not None:
                some = some.where(passed[start : start + len(fresh)])
            start += len(fresh)
            yield _as_pairs(self._whole, self._rows, some)

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
        turned = (one > other) & _held(np.sort(mine), other)
        one[turned], other[turned] = other[turned], one[turned]
        pairs, which = np.unique(one * len(whole) + other, return_inverse=True)
        (ones, left), (others, right) = (
            np.unique(s, return_inverse=True) for s in np.divmod(pairs, len(whole))
        )
        names = [name.decode() for name in whole.contents(ones)]
        passed[asked] = _passing(may_be_copies, names, left, whole.contents(others), right, self._smalls)[
            which
        ]
        return passed


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
        crowd = Crowd(least=2 * LOOKED_AT, share=_DENSE, most=_CROWDED)
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
    """Of photos in crowds the pairs that may be the nearest, without what hashes and clocks propose: all their products are
    computed, which takes less time than to choose among most of them by bounds. With the places of the photos."""
    found = list[tuple[Places, Nearest]]()
    for places, theirs in whole.sides(rows, left):
        assert rows.vectors is not None
        mine, phashes = rows.vectors[places], rows.phashes[places]
        nearest = Nearest(len(places), LOOKED_AT + _AT_THE_EDGE)
        for others, vectors in _vectors_of(index, whole, theirs):
            for f in range(0, nearest.covered, _FRESH_BLOCK):
                block = slice(f, f + _FRESH_BLOCK)
                products = mine[block] @ vectors.T
                one, at = np.nonzero(products >= np.maximum(nearest.least[block], bar - _ROUNDING)[:, None])
                other, near = others[at], products[one, at]
                one += f
                far = distances_of_pairs(phashes[one], whole.phashes[other]) > RADIUS
                nearest.add(one[far], near[far], other[far].astype(np.uint32))
        taken.at(places).note(nearest, 2 * _ROUNDING)
        found.append((places, nearest))
    return found


def _vectors_of(
    index: PhotoIndex, whole: WholeIndex, theirs: Chosen | None
) -> Iterator[tuple[Places, NDArray[np.float32]]]:
    """The places and vectors of these rows (None: of all), in parts: first of few, so that the nearest of these show how near
    the others must be."""
    wanted = np.ones(len(whole), bool) if theirs is None else np.zeros(len(whole), bool)
    if theirs is not None:
        wanted[theirs] = True
    few = _FIRST_OF_ALL
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


def _as_pairs(whole: WholeIndex, rows: PhotoRows, found: Measured) -> _Pairs:
    return _Pairs(
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
            cosines = _cosines(rows.vectors, one, vectors, places)
            near = _within_bars(found.distances, cosines, bar)
            nearness = _nearness(cosines, np.abs(rows.captured[one] - whole.captured[two]))
            near &= (found.distances <= RADIUS) | (nearness >= least(one) - _ROUNDING)
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


def _cosines(
    left: NDArray[np.float32], left_places: Places, right: NDArray[np.float32], right_places: Places
) -> NDArray[np.float64]:
    """(P,) cosines of pairs of unit vectors, rounded, so that the order of summing does not show."""
    if _most_of_all(left_places, right_places):
        cosines = _products(left, left_places, right, right_places)
        return np.round(np.clip(cosines, -1.0, 1.0), 5)
    cosines = np.empty(len(left_places))
    for start in range(0, len(cosines), _GATHERED):
        part = slice(start, start + _GATHERED)
        one, other = left[left_places[part]], right[right_places[part]]
        np.vecdot(one.astype(np.float64), other.astype(np.float64), out=cosines[part])
    return np.round(np.clip(cosines, -1.0, 1.0), 5)


def _most_of_all(left_places: Places, right_places: Places) -> bool:
    """Whether so many of all pairs of these are asked for that it takes less time to multiply all."""
    if len(left_places) < _DENSE:
        return False
    rows, columns = (np.count_nonzero(np.bincount(places)) for places in (left_places, right_places))
    return bool(len(left_places) * _DENSE > rows * columns)


def _products(
    left: NDArray[np.float32], left_places: Places, right: NDArray[np.float32], right_places: Places
) -> NDArray[np.float64]:
    """(P,) products of pairs of rows, of which there are few."""
    rows, columns = (np.flatnonzero(np.bincount(places)) for places in (left_places, right_places))
    at, ones = np.searchsorted(columns, right_places), np.searchsorted(rows, left_places)
    others = right[columns].astype(np.float64).T
    found = np.empty(len(left_places))
    order = np.argsort(ones, kind="stable")
    for start in range(0, len(rows), _FRESH_BLOCK):
        block = rows[start : start + _FRESH_BLOCK]
        first, last = np.searchsorted(ones, (start, start + len(block)), sorter=order)
        mine = order[first:last]
        found[mine] = (left[block].astype(np.float64) @ others)[ones[mine] - start, at[mine]]
    return found


def _near(
    ones: PhotoRows,
    others: PhotoRows,
    left: NDArray[np.float32] | None,
    right: NDArray[np.float32] | None,
    bar: float | None,
    taken: Taken | None = None,
) -> Iterator[_Near]:
    """Pairs whose hashes are near, or whose product left · right reaches `bar`: with `taken` the nearest of each."""
    for f in range(0, len(ones.phashes), _FRESH_BLOCK):
        block = slice(f, f + _FRESH_BLOCK)
        nearest = Nearest(len(ones.phashes[block]), IN_MONTH)
        for o in range(0, len(others.phashes), _OTHER_BLOCK):
            other_block = slice(o, o + _OTHER_BLOCK)
            distances = hash_distances(ones.phashes[block], others.phashes[other_block])
            close = distances <= RADIUS
            if left is not None and right is not None and bar is not None:
                products = left[block] @ right[other_block].T
                over = products >= bar
                if taken is None:
                    close |= over
                else:
                    apart = np.abs(np.subtract.outer(ones.captured[block], others.captured[other_block]))
                    products[apart <= ONE_MOMENT_SECONDS] += ONE_MOMENT
                    one, other = np.nonzero(over & ~close & (products >= nearest.least[:, None]))
                    places = (other + o).astype(np.uint32)
                    nearest.add(one, products[one, other], places, distances[one, other])
            fresh, other = np.nonzero(close)
            if len(fresh):
                yield _near_part(ones, others, fresh + f, other + o, distances[fresh, other])
        if taken is not None:
            taken.note(nearest, 2 * _ROUNDING, f)
        for fresh, other, distances in nearest.parts():
            yield _near_part(ones, others, fresh + f, other.astype(np.intp), distances)


def _near_part(
    ones: PhotoRows, others: PhotoRows, fresh: Places, other: Places, distances: NDArray[np.uint8]
) -> _Near:
    apart = np.abs(ones.captured[fresh] - others.captured[other])
    return _Near(fresh=fresh, other=other, distances=distances, apart=apart)
