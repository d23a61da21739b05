"""Pairs within a month, and similar: a blocked product of all vectors, and of all hashes.

Must never read the index: it gets rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.vision.candidates.cosines import FRESH_BLOCK, OTHER_BLOCK, ROUNDING, cosines_or_nan
from dedupd.adapters.vision.candidates.hash_join import hash_distances
from dedupd.adapters.vision.candidates.nearest import (
    IN_MONTH,
    ONE_MOMENT,
    Nearest,
    Taken,
)
from dedupd.adapters.vision.candidates.pairs import Pairs, Places
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS


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


def within(rows: PhotoRows, others: PhotoRows, bar: float | None, taken: Taken | None) -> Iterator[Pairs]:
    """Within a month and similar: a blocked matrix product of the vectors."""
    loose = None if bar is None else bar - ROUNDING
    names = np.array(others.contents, "S64")
    for near in near_in_month(rows, others, rows.vectors, others.vectors, loose, taken):
        yield Pairs(
            fresh=near.fresh, others=names[near.other], distances=near.distances, apart=near.apart,
            cosines=cosines_or_nan(rows.vectors, near.fresh, others.vectors, near.other),
            unlike=np.zeros(len(near.fresh), bool),
        )  # fmt: skip


def near_in_month(
    ones: PhotoRows,
    others: PhotoRows,
    left: NDArray[np.float32] | None,
    right: NDArray[np.float32] | None,
    bar: float | None,
    taken: Taken | None = None,
) -> Iterator[_Near]:
    """Pairs whose hashes are near, or whose product left · right reaches `bar`: with `taken` the nearest of each."""
    for f in range(0, len(ones.phashes), FRESH_BLOCK):
        block = slice(f, f + FRESH_BLOCK)
        nearest = Nearest(len(ones.phashes[block]), IN_MONTH)
        for o in range(0, len(others.phashes), OTHER_BLOCK):
            other_block = slice(o, o + OTHER_BLOCK)
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
            taken.note(nearest, 2 * ROUNDING, f)
        for fresh, other, distances in nearest.parts():
            yield _near_part(ones, others, fresh + f, other.astype(np.intp), distances)


def _near_part(
    ones: PhotoRows, others: PhotoRows, fresh: Places, other: Places, distances: NDArray[np.uint8]
) -> _Near:
    apart = np.abs(ones.captured[fresh] - others.captured[other])
    return _Near(fresh=fresh, other=other, distances=distances, apart=apart)
