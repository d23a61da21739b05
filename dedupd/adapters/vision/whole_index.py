"""All rows of a table in memory, with what a search of the whole library needs: about 400 bytes per photo.

Owns which of them may be near a photo: by hash, by the heads of the vectors, by the clock. What it leaves out
is proven to be beyond the bars. Must never decide what is proposed. Worker process only. Shapes: N rows, F
photos asked about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.heads import SLACK, Directions, Heads
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.vision.hash_join import (
    HashTables,
    count_up,
    cuts,
    distances_of_pairs,
    hash_distances,
)
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS

FEW, MANY = 64, 2_000_000
"""Photos asked about, and their pairs with rows: of fewer it is quicker to look at every hash than at tables."""
_TILE = 1024, 4096
"""Photos asked about and rows, multiplied at a time."""
_HASHES = 8, 1 << 15
"""Photos compared by hash at a time, and pairs: what fits into a processor's cache."""
_GATHERED = 4096
"""Pairs examined one by one, at a time."""

Places = NDArray[np.intp]
Pairs = tuple[Places, Places]
"""Places in the photos asked about, places in the rows."""


class WholeIndex:
    """The rows of `index` as they were when it was made."""

    def __init__(self, index: PhotoIndex) -> None:
        parts = list(index.scan())
        names = [content for part in parts for content in part.contents]
        self.contents = np.array(names, "S64")
        self.ids = np.concatenate([part.ids for part in parts] or [np.empty(0, np.uint64)])
        self._by_id = np.argsort(self.ids, kind="stable")
        self.phashes = np.concatenate([part.phashes for part in parts] or [np.empty((0, 8), np.uint64)])
        self.captured = np.concatenate([part.captured for part in parts] or [np.empty(0)])
        self._by_name = np.argsort(self.contents, kind="stable")
        self._undated = np.flatnonzero(np.isnan(self.captured))
        self._by_clock = np.argsort(self.captured, kind="stable")[: len(names) - len(self._undated)]
        """Places of the dated ones, in the order of their clocks."""
        self._times = self.captured[self._by_clock]
        self._heads: tuple[Directions, Heads] | None = (
            index.heads(names) if index.dimensions and names else None
        )
        self._made_tables: dict[bool, HashTables] = {}
        """Tables of all rows, and of those without a clock."""

    def __len__(self) -> int:
        return len(self.contents)

    def rows(self, index: PhotoIndex, contents: Sequence[str]) -> PhotoRows:
        """The rows of `contents` in the order of their names, with vectors; missing ones are left out."""
        names = np.unique(np.array(list(contents), "S64"))
        at = np.minimum(np.searchsorted(self.contents, names, sorter=self._by_name), len(self) - 1)
        places = self._by_name[at] if len(self) else np.empty(0, np.intp)
        places = places[self.contents[places] == names] if len(self) else places
        return PhotoRows(
            contents=[name.decode() for name in self.contents[places]], phashes=self.phashes[places],
            vectors=self._vectors(index, places), captured=self.captured[places], ids=self.ids[places],
        )  # fmt: skip

    def _vectors(self, index: PhotoIndex, places: Places) -> NDArray[np.float32] | None:
        if not index.dimensions:
            return None
        found = np.empty((len(places), index.dimensions), np.float32)
        for start in range(0, len(places), _GATHERED):
            some = np.sort(places[start : start + _GATHERED])
            ids, vectors = index.vectors_by_id(self.ids[some])
            order = np.argsort(self.places_of(ids))
            back = np.searchsorted(some, places[start : start + _GATHERED])
            found[start : start + len(some)] = vectors[order][back]
        return found

    def places_of(self, ids: NDArray[np.uint64]) -> Places:
        """The places of the rows with these ids."""
        return self._by_id[np.searchsorted(self.ids, ids, sorter=self._by_id)]

    def near_by_hash(self, rows: PhotoRows) -> Iterator[Pairs]:
        """All pairs within RADIUS that may be of one moment by their clocks; and some more."""
        for places, theirs in self._sides(rows):
            for one, other in self._near_by_hash(rows.phashes[places], theirs):
                yield places[one], other if theirs is None else theirs[other]
        for one, other in self._of_one_moment(rows):
            near = distances_of_pairs(rows.phashes[one], self.phashes[other]) <= RADIUS
            yield one[near], other[near]

    def near_by_vector(self, rows: PhotoRows, bar: float) -> Iterator[Pairs]:
        """All pairs whose vectors' product may reach the bar and that may be of one moment by their clocks;
        and some more."""
        if self._heads is None or rows.vectors is None:
            return
        directions, heads = self._heads
        asked, least = directions.asked(rows.vectors), bar - SLACK
        # Reused: much of the time would go into fresh memory.
        products, over = np.empty(_TILE, np.float32), np.empty(_TILE, bool)
        for places, chosen in self._sides(rows):
            mine, count = asked[places], len(self) if chosen is None else len(chosen)
            for o in range(0, count, _TILE[1]):
                block = slice(o, min(o + _TILE[1], count))
                columns = heads.where(block if chosen is None else chosen[block]).columns().T
                for f in range(0, len(places), _TILE[0]):
                    some = places[f : f + _TILE[0]]
                    tile = slice(len(some)), slice(columns.shape[1])
                    np.matmul(mine[f : f + _TILE[0]], columns, out=products[tile])
                    np.greater_equal(products[tile], least, out=over[tile])
                    one, other = np.divmod(np.flatnonzero(over[tile]), columns.shape[1])
                    other += o
                    yield some[one], other if chosen is None else chosen[other]
        for one, other in self._of_one_moment(rows):
            near = np.einsum("nd,nd->n", asked[one], heads.where(other).columns()) >= least
            yield one[near], other[near]

    def _sides(self, rows: PhotoRows) -> Iterator[tuple[Places, Places | None]]:
        """Photos, and which rows each of them is compared with (None: all).

        Two different clock times exclude a pair: so most of a library need not be compared.
        """
        undated = np.isnan(rows.captured)
        for mine, theirs in ((undated, None), (~undated, self._undated)):
            if mine.any() and (theirs is None or len(theirs)):
                yield np.flatnonzero(mine), theirs

    def _near_by_hash(self, phashes: NDArray[np.uint64], theirs: Places | None) -> Iterator[Pairs]:
        held = self.phashes if theirs is None else self.phashes[theirs]
        if len(phashes) >= FEW and len(phashes) * len(held) >= MANY:
            yield from self._tables(held, every=theirs is None).meeting(phashes)
            return
        for f in range(0, len(phashes), _HASHES[0]):
            some = phashes[f : f + _HASHES[0]]
            step = max(1, _HASHES[1] // len(some))
            for o in range(0, len(held), step):
                one, other = np.nonzero(hash_distances(some, held[o : o + step]) <= RADIUS)
                if len(one):
                    yield one + f, other + o

    def _tables(self, held: NDArray[np.uint64], *, every: bool) -> HashTables:
        if every not in self._made_tables:
            self._made_tables[every] = HashTables(held)
        return self._made_tables[every]

    def _of_one_moment(self, rows: PhotoRows) -> Iterator[Pairs]:
        """Photos and rows that both have a clock, of about one time."""
        places, times = np.flatnonzero(~np.isnan(rows.captured)), self._times
        first = np.searchsorted(times, rows.captured[places] - ONE_MOMENT_SECONDS - 1, side="left")
        counts = np.searchsorted(times, rows.captured[places] + ONE_MOMENT_SECONDS + 1, side="right") - first
        for start, end in cuts(np.cumsum(counts), _GATHERED):
            some = counts[start:end]
            mine = np.repeat(places[start:end], some)
            theirs = self._by_clock[np.repeat(first[start:end], some) + count_up(some)]
            for at in range(0, len(mine), _GATHERED):
                yield mine[at : at + _GATHERED], theirs[at : at + _GATHERED]
