"""All rows of a table, with what a search of the whole library needs: about 100 bytes per photo in memory, 250
with the tables of hashes, and the heads of the vectors in their file.

Owns which of them may be near a photo: by hash, by the heads of the vectors, by the clock. What it leaves out
is proven to be beyond the bars. Must never decide what is proposed. Worker process only. Shapes: N rows, F
photos asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.content_set import order_of, packed_ids, places_among, unpacked_ids
from dedupd.adapters.index.heads import SLACK, AnyHeads, Directions, FirstSteps
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.vision.candidates.found_before import FoundBefore
from dedupd.adapters.vision.candidates.hash_join import (
    HashTables,
    count_up,
    cuts,
    distances_of_pairs,
    hash_distances,
)
from dedupd.adapters.vision.candidates.nearest import ONE_MOMENT, Crowd, Nearest
from dedupd.adapters.vision.candidates.together import SLICE, Choosing, StillChoosing, Together
from dedupd.adapters.vision.child import return_free_memory
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS

FEW, MANY = 64, 2_000_000
"""Photos asked about, and pairs of them with rows: below these numbers, comparing every hash is faster than tables."""
_TILE = 1024, 4096
"""Photos asked about and rows, multiplied at a time."""
_ROWS = 128
"""Photos of which the pairs in a tile are listed at a time."""
_HASHES = 8, 1 << 13
"""Photos compared by hash at a time, and pairs: what fits into a processor's cache."""
_VECTORS = 1024
"""Vectors read at a time."""
_MANY_ROWS = 50_000
_GATHERED = 4096
"""Pairs examined one by one, at a time."""

_TIMES = 2
"""A few photos are compared with so many times all rows before their first coordinates are taken into memory."""
_ROOM = 16
"""There is room for one more row for so many."""
_MOST_BESIDE = 4096
"""Rows that came since the tables of hashes were made: these are compared one by one."""
_A_FEW = 4
"""Photos that are compared with all by the first coordinates of the heads before the others."""

Places = NDArray[np.intp]
Chosen = NDArray[np.integer[Any]]
"""Places of some of the rows."""
Pairs = tuple[Places, Places]
"""Places in the photos asked about, places in the rows."""


class WholeIndex:
    """The rows of `index` as they were when it was made, and those that it took in since."""

    def __init__(self, index: PhotoIndex) -> None:
        held = index.ids()
        room = len(held) + len(held) // _ROOM
        self._columns: list[NDArray[Any]] = [np.empty(room, np.uint64), np.empty((room, 8), np.uint64)]
        self._columns.append(np.empty(room))
        """With room for more rows; where there are none yet, there is no memory either."""
        self.ids, self.phashes, self.captured = (column[:0] for column in self._columns)
        packed = self._read(index.scan(), len(held))
        self._by_id = np.argsort(self.ids, kind="stable").astype(np.uint32)
        self._names, ranks = _in_order(packed, held)
        self._all_known = self._names is held
        """Whether the index answers for every row."""
        self._rank = ranks.astype(np.uint32)
        """The place of each row in the names."""
        self._by_name = np.zeros(len(self._names), np.uint32)
        self._by_name[self._rank] = np.arange(len(packed))
        self._undated = np.flatnonzero(np.isnan(self.captured)).astype(np.uint32)
        by_clock = np.argsort(self.captured, kind="stable")[: len(packed) - len(self._undated)]
        self._by_clock = by_clock.astype(np.uint32)
        """Places of the rows with a date, in the order of their clocks."""
        self._times = self.captured[by_clock]
        self._heads: tuple[Directions, AnyHeads] | None = (
            index.heads(packed, self.ids) if index.dimensions and len(packed) else None
        )
        self._compared = 0
        """Rows that a few photos were compared with."""
        self._made_tables: dict[bool, tuple[HashTables, int]] = {}
        """Tables of all rows, and of those without a clock; and of how many rows they were made."""
        self._found_before = FoundBefore(len(self.ids), None)
        self.together = Together(len(self.ids))
        self.choosing: Choosing | None = None
        """What is not chosen to its end."""
        self._choose_at_once = False
        """One was given up before its end: the next is made at once, so that it ends whatever comes in between."""
        self._told = np.zeros(len(self.ids), bool)
        """The rows that were answered for since this was made."""
        self.awaited = self.answered = np.empty(0, np.intp)
        """Places of the photos that are asked about, now and by the answers that follow."""
        del packed
        if len(self) >= _MANY_ROWS:
            return_free_memory()

    def _read(self, parts: Iterable[PhotoRows], expected: int) -> NDArray[np.bytes_]:
        """Put these rows behind the last. Returns their contents, 32 bytes each."""
        start = done = len(self.ids)
        packed = np.empty(expected, "S32")
        for part in parts:
            # Each goes to its place at once: a million rows joined from parts would need twice the memory.
            done, first = done + len(part.ids), done
            for number, some in enumerate((part.ids, part.phashes, part.captured)):
                self._columns[number] = _with_room(self._columns[number], done)
                self._columns[number][first:done] = some
            packed = _with_room(packed, done - start)
            packed[first - start : done - start] = packed_ids(part.contents)
        self.ids, self.phashes, self.captured = (column[:done] for column in self._columns)
        return packed[: done - start]

    def take_in(self, index: PhotoIndex, more: int) -> bool:
        """Take in so many rows, that were added at the end of the table; False: make another one, this one is of no use."""
        before, held = len(self), index.ids()
        room = before + more <= len(self._columns[0])
        if not (before and room and self._all_known and len(held) == before + more):
            return False
        packed, last = self._read(index.scan(first=before, most=more + 1), more), self.ids[self._by_id[-1]]
        ids, order = self.ids[before:], np.argsort(packed)
        by_name = np.searchsorted(held, packed[order])
        if len(ids) != more or (ids <= last).any() or (held[by_name] != packed[order]).any():
            return False
        if self._heads is not None:
            self._heads = index.heads_with(self._heads, packed, ids)
            if self._heads is None:
                return False
            if first_steps := self.__dict__.get("_first_steps"):
                first_steps.take_in(self._heads[1])
        self._names = held
        self._by_name = np.insert(self._by_name, by_name - np.arange(more), before + order)
        self._rank = np.empty(len(self), np.uint32)
        self._rank[self._by_name] = np.arange(len(self))
        self._by_id = np.append(self._by_id, before + np.argsort(ids)).astype(np.uint32)
        clocks = self.captured[before:]
        self._undated = np.append(self._undated, before + np.flatnonzero(np.isnan(clocks))).astype(np.uint32)
        by_clock = np.argsort(clocks, kind="stable")[: int((~np.isnan(clocks)).sum())]
        at = np.searchsorted(self._times, clocks[by_clock], side="right")
        self._by_clock = np.insert(self._by_clock, at, before + by_clock)
        self._times = np.insert(self._times, at, clocks[by_clock])
        self._found_before, self.together = FoundBefore(len(self), None), Together(len(self))
        self._give_up_choosing()
        self._told = np.append(self._told, np.zeros(more, bool))
        self.awaited = self.answered = np.empty(0, np.intp)
        return True

    def __len__(self) -> int:
        return len(self.ids)

    def contents(self, places: Places) -> NDArray[np.bytes_]:
        """(P,) content ids of the rows at these places, 64 hex digits each."""
        return unpacked_ids(self._names[self._rank[places]])

    def places(self, contents: Sequence[str]) -> Places:
        """The places of the rows of these contents, which all have one."""
        return self._by_name[np.searchsorted(self._names, packed_ids(contents))].astype(np.intp)

    def next_by_name(self, after: str, most: int) -> tuple[Chosen, str]:
        """The places of the next so many rows by name, in their own order; and the last of the names, '' when none come after."""
        start = int(np.searchsorted(self._names, packed_ids([after]), side="right")[0]) if after else 0
        end = min(start + most, len(self._names))
        last = unpacked_ids(self._names[end - 1 : end])[0].decode() if end < len(self._names) else ""
        return np.sort(self._by_name[start:end]), last

    def found_before(self, bar: float | None) -> FoundBefore:
        """What searches by this bar found since this was made."""
        if self._found_before.bar != bar:
            self._give_up_choosing()
            self._found_before, self.together = FoundBefore(len(self), bar), Together(len(self))
        return self._found_before

    def rows(self, index: PhotoIndex, contents: Sequence[str]) -> PhotoRows:
        """The rows of `contents` in the order of their names, with vectors; missing ones are left out."""
        if len(self) >= _MANY_ROWS and len(contents) >= FEW:
            return_free_memory()  # what the last search left scattered
        places = self._held(contents)
        return PhotoRows(
            contents=[name.decode() for name in self.contents(places)], phashes=self.phashes[places],
            vectors=self.vectors(index, places) if index.dimensions else None, captured=self.captured[places], ids=self.ids[places],
        )  # fmt: skip

    def choose(self, choosing: Choosing) -> None:
        """Begin with this, or go on with it. Raises StillChoosing before its end."""
        self.choosing = None  # one that could not read the index would seem to have come to its end
        chosen = choosing.go_on(np.inf if self._choose_at_once else SLICE)
        if chosen is None:
            self.choosing = choosing
            raise StillChoosing
        self.together, self._choose_at_once = chosen, False
        chosen.answer(self.answered)
        chosen.tell(self.answered)

    def go_on_choosing(self, bar: float | None) -> None:
        """With what the photos that are awaited need. Raises StillChoosing before its end."""
        left = self.found_before(bar).left()  # of another bar none is left
        if self.choosing is None:
            return
        if self.choosing.is_of(self.chosen_for, left):
            self.choose(self.choosing)
        else:
            self._give_up_choosing()

    def _give_up_choosing(self) -> None:
        self._choose_at_once |= self.choosing is not None
        self.choosing = None

    def await_(self, contents: Sequence[str], answered: Sequence[str] = ()) -> None:
        """These are asked about, now and by the answers that follow; `answered`: by those before, with the same photos."""
        self.awaited, self.answered = self._held(contents), self._held(answered)
        self.answered = self.answered[~self._told[self.answered]]

    @property
    def chosen_for(self) -> Places:
        """Places of the photos whose nearest are chosen at once: those without a clock that are awaited, and then those that
        were answered for by a worker before this one, which left some of their pairs to others."""
        both = np.concatenate((self.awaited, self.answered))
        return both[np.isnan(self.captured[both])]

    def told(self, contents: Sequence[str]) -> None:
        """All that is to be told of these was."""
        places = self._held(contents)
        self._told[places] = True
        if self.together.tell(places):
            self.together = Together(len(self))

    def _held(self, contents: Sequence[str]) -> Places:
        """The places of these contents in the order of their names, of those that have a row."""
        if not len(self):
            return np.empty(0, np.intp)
        asked = np.unique(packed_ids(contents))
        at = np.minimum(np.searchsorted(self._names, asked), len(self) - 1)
        return self._by_name[at[self._names[at] == asked]].astype(np.intp)

    def vectors(self, index: PhotoIndex, places: Places) -> NDArray[np.float32]:
        """(P, D) the vectors of the rows at these places."""
        found = np.empty((len(places), index.dimensions), np.float32)
        for start in range(0, len(places), _VECTORS):
            by_place = start + np.argsort(places[start : start + _VECTORS])
            ids, vectors = index.vectors_by_id(self.ids[places[by_place]])
            found[by_place[np.searchsorted(places[by_place], self.places_of(ids))]] = vectors
        return found

    def places_of(self, ids: NDArray[np.uint64]) -> Places:
        """The places of the rows with these ids."""
        return self._by_id[np.searchsorted(self.ids, ids, sorter=self._by_id)].astype(np.intp)

    def near_by_hash(self, rows: PhotoRows, left: Chosen | None = None) -> Iterator[Pairs]:
        """All pairs within RADIUS that may be of one moment by their clocks; and some more. `left`: with these
        rows, None: with all."""
        for places, theirs in self.sides(rows, left):
            every = bool(np.isnan(rows.captured[places[0]]))
            for one, other in self._near_by_hash(rows.phashes[places], theirs, every=every):
                yield places[one], other
        for one, other in self._of_one_moment(rows, left):
            near = distances_of_pairs(rows.phashes[one], self.phashes[other]) <= RADIUS
            yield one[near], other[near]

    def near_by_vector(self, rows: PhotoRows, bar: float, left: Chosen | None = None) -> Iterator[Pairs]:
        """All pairs whose vectors' product may reach the bar and that may be of one moment by their clocks;
        and some more. `left`: with these rows, None: with all."""
        if self._heads is None or rows.vectors is None:
            return
        asked = self._heads[0].asked(rows.vectors)
        for one, other, _ in chain(
            self._reaching(rows, asked, bar - SLACK, left),
            self._reaching_at_one_moment(rows, asked, bar - SLACK, left),
        ):
            yield one, other

    def take_near_by_vector(
        self, rows: PhotoRows, bar: float, left: Chosen | None, nearest: Nearest, crowd: Crowd
    ) -> Places:
        """Add the same pairs to `nearest`, with the bounds of their products, which these do not exceed by more than SLACK.

        Returns the photos in a crowd: of these only the pairs of one moment are added.
        """
        if self._heads is None or rows.vectors is None:
            return np.empty(0, np.intp)
        asked = self._heads[0].asked(rows.vectors)
        for one, other, bounds in self._reaching(rows, asked, bar - SLACK, left, nearest, crowd):
            nearest.add(one, bounds, other.astype(np.uint32))
        crowded = nearest.in_crowd()
        for one, other, bounds in self._reaching_at_one_moment(rows, asked, bar - SLACK, left):
            nearest.add(one, bounds, other.astype(np.uint32))
        return crowded

    def _reaching(
        self, rows: PhotoRows, asked: NDArray[np.float32], least: float, left: Chosen | None,
        nearest: Nearest | None = None, crowd: Crowd | None = None,
    ) -> Iterator[tuple[Places, Places, NDArray[np.float32]]]:  # fmt: skip
        """Pairs with a bound of their product that is at least so large, and large enough for the nearest; without those of
        one moment."""
        assert self._heads is not None
        _, heads = self._heads
        # Reused: much of the time would go into fresh memory.
        products, over = np.empty(_TILE, np.float32), np.empty(_TILE, bool)
        for places, theirs in self.sides(rows, left):
            mine, chosen = asked[places], theirs
            if len(places) <= _A_FEW and self._worth_first_steps(theirs):
                chosen = self._first_steps.reaching(mine, least, theirs)
            count = len(self) if chosen is None else len(chosen)
            for o in range(0, count, _TILE[1]):
                block = slice(o, min(o + _TILE[1], count))
                columns = heads.where(block if chosen is None else chosen[block]).columns().T
                for f in range(0, len(places), _TILE[0]):
                    some, of_some, bars = places[f : f + _TILE[0]], mine[f : f + _TILE[0]], least
                    if nearest is not None:
                        # Of those in a crowd nothing more is looked for.
                        alone = (some < nearest.covered) & (nearest.least[some] < np.inf)
                        some, of_some = some[alone], of_some[alone]
                        bars = np.maximum(nearest.least[some], least)[:, None]
                    if not len(some):
                        continue
                    tile = slice(len(some)), slice(columns.shape[1])
                    np.matmul(of_some, columns, out=products[tile])
                    np.greater_equal(products[tile], bars, out=over[tile])
                    if nearest is not None and crowd is not None:
                        many = nearest.meet(some, np.count_nonzero(over[tile], axis=1), count, crowd)
                        over[: len(some)][many] = False
                    for one, other in _listed(over[tile]):
                        found = other + o if chosen is None else chosen[other + o].astype(np.intp)
                        yield some[one], found, products[one, other]

    def _reaching_at_one_moment(
        self, rows: PhotoRows, asked: NDArray[np.float32], least: float, left: Chosen | None
    ) -> Iterator[tuple[Places, Places, NDArray[np.float32]]]:
        """The same of those of one moment."""
        assert self._heads is not None
        _, heads = self._heads
        for one, other in self._of_one_moment(rows, left):
            bounds = np.einsum("nd,nd->n", asked[one], heads.where(other).columns())
            near = bounds >= least
            yield one[near], other[near], bounds[near] + np.float32(ONE_MOMENT)

    def _worth_first_steps(self, theirs: Chosen | None) -> bool:
        """To make them takes as long as to compare some photos with all."""
        self._compared += len(self) if theirs is None else len(theirs)
        return self._compared > _TIMES * len(self)

    @cached_property
    def _first_steps(self) -> FirstSteps:
        assert self._heads is not None
        return FirstSteps(*self._heads, room=len(self._columns[0]))

    def sides(self, rows: PhotoRows, left: Chosen | None) -> Iterator[tuple[Places, Chosen | None]]:
        """Photos, and which rows each of them is compared with (None: all).

        Two different clock times exclude a pair: so most of a library need not be compared.
        """
        undated = np.isnan(rows.captured)
        without = self._undated if left is None else left[np.isnan(self.captured[left])]
        for mine, theirs in ((undated, left), (~undated, without)):
            if mine.any() and (theirs is None or len(theirs)):
                yield np.flatnonzero(mine), theirs

    def _near_by_hash(
        self, phashes: NDArray[np.uint64], theirs: Chosen | None, *, every: bool
    ) -> Iterator[Pairs]:
        count = len(self) if theirs is None else len(theirs)
        if len(phashes) >= FEW and len(phashes) * count >= MANY:
            left = np.ones(len(self), bool) if theirs is None else np.zeros(len(self), bool)
            if theirs is not None:
                left[theirs] = True
            tables, till = self._tables(every=every)
            for one, other in tables.meeting(phashes):
                yield one[left[other]], other[left[other]]
            theirs = till + np.flatnonzero(left[till:])
            count = len(theirs)
        for f in range(0, len(phashes), _HASHES[0]):
            some = phashes[f : f + _HASHES[0]]
            step = max(1, _HASHES[1] // len(some))
            for o in range(0, count, step):
                at = slice(o, o + step) if theirs is None else theirs[o : o + step]
                one, other = np.nonzero(hash_distances(some, self.phashes[at]) <= RADIUS)
                if len(one):
                    yield one + f, other + o if theirs is None else theirs[o + other].astype(np.intp)

    def _tables(self, *, every: bool) -> tuple[HashTables, int]:
        made = self._made_tables.pop(every, None)
        if made is None or len(self) - made[1] > _MOST_BESIDE:
            made = None  # not two of them at a time
            made = HashTables(self.phashes, None if every else self._undated), len(self)
            if len(self) >= _MANY_ROWS:
                return_free_memory()
        self._made_tables[every] = made
        return made

    def _of_one_moment(self, rows: PhotoRows, left: Chosen | None) -> Iterator[Pairs]:
        """Pairs of photos and rows that both have a clock, with about the same time."""
        places, times = np.flatnonzero(~np.isnan(rows.captured)), self._times
        first = np.searchsorted(times, rows.captured[places] - ONE_MOMENT_SECONDS - 1, side="left")
        counts = np.searchsorted(times, rows.captured[places] + ONE_MOMENT_SECONDS + 1, side="right") - first
        wanted = np.ones(len(self), bool)
        if left is not None:
            wanted[:] = False
            wanted[left] = True
        for start, end in cuts(np.cumsum(counts), _GATHERED):
            some = counts[start:end]
            mine = np.repeat(places[start:end], some)
            theirs = self._by_clock[np.repeat(first[start:end], some) + count_up(some)]
            here = wanted[theirs]
            mine, theirs = mine[here], theirs[here]
            for at in range(0, len(mine), _GATHERED):
                yield mine[at : at + _GATHERED], theirs[at : at + _GATHERED].astype(np.intp)


def _listed(over: NDArray[np.bool_]) -> Iterator[Pairs]:
    """The places of those that are true, in parts: among look-alikes all are."""
    for start in range(0, len(over), _ROWS):
        one, other = np.divmod(np.flatnonzero(over[start : start + _ROWS]), over.shape[1])
        yield one + start, other


def _with_room(column: NDArray[Any], rows: int) -> NDArray[Any]:
    """The column, long enough for so many rows: the table may hold rows that its index does not answer for."""
    if rows <= len(column):
        return column
    more = np.empty((rows - len(column), *column.shape[1:]), column.dtype)
    return np.concatenate((column, more))


def _in_order(names: NDArray[np.bytes_], held: NDArray[np.bytes_]) -> tuple[NDArray[np.bytes_], Places]:
    """The names in order: those that the index holds in memory, when they are the same; and the place of each there."""
    order = order_of(names)
    names_in_order = names[order]
    if np.array_equal(names_in_order, held):
        places = np.empty(len(names), np.intp)
        places[order] = np.arange(len(names))
        return held, places
    return names_in_order, places_among(names_in_order, names)
