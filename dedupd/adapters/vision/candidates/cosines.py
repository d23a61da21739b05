"""Cosines of pairs of photos, and how the products of many are computed.

Must never choose pairs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.vision.candidates.pairs import Places

ROUNDING = 1e-4
"""The largest error of a product in single precision."""
DENSE = 20
"""When more than one pair in so many is needed of some rows, all of them are multiplied as matrices."""
FRESH_BLOCK, OTHER_BLOCK = 256, 4096
"""Rows on either side that are multiplied at a time: their products take a few MB."""
_GATHERED = 256
"""Pairs whose vectors are copied together: what fits into a processor's cache."""


def cosines_of(index: PhotoIndex, pairs: Sequence[tuple[str, str]]) -> Iterator[list[float | None]]:
    """The cosine of each pair, in order and in parts; None when a content or its vector is missing."""
    for start in range(0, len(pairs), OTHER_BLOCK):
        part = pairs[start : start + OTHER_BLOCK]
        rows = index.rows(sorted({content for pair in part for content in pair}))
        places = {content: place for place, content in enumerate(rows.contents)}
        known = [number for number, (a, b) in enumerate(part) if a in places and b in places]
        found: list[float | None] = [None] * len(part)
        if rows.vectors is not None and known:
            left = np.array([places[part[number][0]] for number in known])
            right = np.array([places[part[number][1]] for number in known])
            for number, cosine in zip(
                known, exact_cosines(rows.vectors, left, rows.vectors, right), strict=True
            ):
                found[number] = float(cosine)
        yield found


def cosines_or_nan(
    ones: NDArray[np.float32] | None, left: Places, others: NDArray[np.float32] | None, right: Places
) -> NDArray[np.float64]:
    """The same; NaN when there are no vectors."""
    if ones is None or others is None:
        return np.full(len(left), np.nan)
    return exact_cosines(ones, left, others, right)


def exact_cosines(
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
    if len(left_places) < DENSE:
        return False
    rows, columns = (np.count_nonzero(np.bincount(places)) for places in (left_places, right_places))
    return bool(len(left_places) * DENSE > rows * columns)


def _products(
    left: NDArray[np.float32], left_places: Places, right: NDArray[np.float32], right_places: Places
) -> NDArray[np.float64]:
    """(P,) products of pairs of rows, of which there are few."""
    rows, columns = (np.flatnonzero(np.bincount(places)) for places in (left_places, right_places))
    at, ones = np.searchsorted(columns, right_places), np.searchsorted(rows, left_places)
    others = right[columns].astype(np.float64).T
    found = np.empty(len(left_places))
    order = np.argsort(ones, kind="stable")
    for start in range(0, len(rows), FRESH_BLOCK):
        block = rows[start : start + FRESH_BLOCK]
        first, last = np.searchsorted(ones, (start, start + len(block)), sorter=order)
        mine = order[first:last]
        found[mine] = (left[block].astype(np.float64) @ others)[ones[mine] - start, at[mine]]
    return found
