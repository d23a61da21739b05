"""All rows of a table in memory, as far as a search of the whole library looks at them: about 400 bytes a photo.

Owns which of them may be near a photo: by hash, by the heads of the vectors, by the clock. What it leaves out is proven
to be beyond the bars. Must never decide what is proposed. Worker process only. Shapes: N rows, F photos asked about.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.heads import SLACK, Directions, Heads
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.vision.hash_join import HashTables, count_up, cuts, hash_distances
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS

FEW = 64
"""Photos for which it is quicker to look at every hash than to make tables."""
_TILE = 1024, 4096
"""Photos asked about and rows, multiplied at a time."""
_AT_ONCE = 1 << 18

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
        self._undated = np.flatnonzero(np.isnan(self.captured))
        self._by_clock = np.argsort(self.captured, kind="stable")[: len(names) - len(self._undated)]
        """Places of the dated ones, in the order of their clocks."""
        self._heads: tuple[Directions, Heads] | None = (
            index.heads(names) if index.dimensions and names else None
        )
        self._tables: HashTables | None = None

    def __len__(self) -> int:
        return len(self.contents)

    def places_of(self, ids: NDArray[np.uint64]) -> Places:
        """Where the rows of these ids are."""
        return self._by_id[np.searchsorted(self.ids, ids, sorter=self._by_id)]

    def near_by_hash(self, phashes: NDArray[np.uint64]) -> Iterator[Pairs]:
        """All pairs within RADIUS, in parts."""
        if len(phashes) < FEW:
            for start in range(0, len(self), _AT_ONCE // FEW):
                block = slice(start, start + _AT_ONCE // FEW)
                asked, rows = np.nonzero(hash_distances(phashes, self.phashes[block]) <= RADIUS)
                yield asked, rows + start
            return
        if self._tables is None:
            self._tables = HashTables(self.phashes)
        yield from self._tables.meeting(phashes)

    def near_by_vector(self, rows: PhotoRows, bar: float) -> Iterator[Pairs]:
        """All pairs of one moment, as far as clocks tell, whose vectors' product may reach the bar; and some more."""
        if self._heads is None or rows.vectors is None:
            return
        directions, heads = self._heads
        asked, least = directions.asked(rows.vectors), bar - SLACK
        dated = ~np.isnan(rows.captured)
        # Two clocks that differ make no pair: most of a library need not be multiplied.
        for mine, theirs in ((~dated, np.arange(len(self))), (dated, self._undated)):
            places = np.flatnonzero(mine)
            for o in range(0, len(theirs) if len(places) else 0, _TILE[1]):
                block = theirs[o : o + _TILE[1]]
                columns = heads.where(block).columns().T
                for f in range(0, len(places), _TILE[0]):
                    some = places[f : f + _TILE[0]]
                    one, other = np.nonzero(asked[some] @ columns >= least)
                    yield some[one], block[other]
        for one, other in self._of_one_moment(np.flatnonzero(dated), rows.captured):
            for at in range(0, len(one), _TILE[1]):
                some = slice(at, at + _TILE[1])
                bounds = np.einsum("nd,nd->n", asked[one[some]], heads.where(other[some]).columns())
                near = bounds >= least
                yield one[some][near], other[some][near]

    def _of_one_moment(self, places: Places, captured: NDArray[np.float64]) -> Iterator[Pairs]:
        """Pairs of these dated photos with dated rows of about their time."""
        times = self.captured[self._by_clock]
        first = np.searchsorted(times, captured[places] - ONE_MOMENT_SECONDS - 1, side="left")
        last = np.searchsorted(times, captured[places] + ONE_MOMENT_SECONDS + 1, side="right")
        counts = last - first
        for start, end in cuts(np.cumsum(counts)):
            some = counts[start:end]
            number = count_up(some)
            yield (
                np.repeat(places[start:end], some),
                self._by_clock[np.repeat(first[start:end], some) + number],
            )
