"""The tests of small pictures, for the pairs that only vectors propose.

Owns which pairs are tested; must never test what a hash or one moment proposes. The tests themselves are in `coarse` and
`overlay`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.vision.candidates.coarse import GreyPictures, may_be_copies
from dedupd.adapters.vision.candidates.pairs import Pairs, Places
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS

_SMALLS = 1 << 15
"""Small pictures in memory at a time, of the photos that are not asked about."""
Smalls = Callable[[Sequence[str]], GreyPictures]
"""The small pictures of contents, in order."""
SmallTest = Callable[[GreyPictures, GreyPictures, Places, Places], NDArray[np.bool_]]


def seen_small(pairs: Pairs, rows: PhotoRows, smalls: Smalls) -> Pairs:
    """The same pairs, with the coarse test of small pictures for those that only vectors propose and that can be
    no burst."""
    asked, unlike = by_vectors_alone(pairs), pairs.unlike.copy()
    unlike[asked] = ~passing_pairs(may_be_copies, pairs.where(asked), rows, smalls)
    return replace(pairs, unlike=unlike)


def by_vectors_alone(pairs: Pairs) -> Places:
    """Those of them that neither a hash nor one moment proposes."""
    return np.flatnonzero((pairs.distances > RADIUS) & ~(pairs.apart <= ONE_MOMENT_SECONDS))


def passing_pairs(test: SmallTest, pairs: Pairs, rows: PhotoRows, smalls: Smalls) -> NDArray[np.bool_]:
    """(P,) which of the pairs pass a test of their small pictures."""
    ones, left = np.unique(pairs.fresh, return_inverse=True)
    others, right = np.unique(pairs.others, return_inverse=True)
    return passing(test, [rows.contents[int(place)] for place in ones], left, others, right, smalls)


def passing(
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
