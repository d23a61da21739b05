"""Pairs that agree inside plain margins: a screenshot of a photo resembles it only there.

The numbers of such a pair are always those of the whole pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.vision.candidates.cosines import OTHER_BLOCK, cosines_or_nan
from dedupd.adapters.vision.candidates.hash_join import distances_of_pairs
from dedupd.adapters.vision.candidates.pairs import Pairs, Places
from dedupd.adapters.vision.candidates.whole_index import WholeIndex
from dedupd.adapters.vision.candidates.within_month import near_in_month
from dedupd.core.bars import ONE_MOMENT_SECONDS


def meeting_inside(
    index: PhotoIndex, insides: PhotoIndex, rows: PhotoRows, among: Sequence[str] | None
) -> Iterator[Pairs]:
    """Pairs that agree when the margins of one or both are removed, with the numbers of the whole pictures."""
    places = {content: place for place, content in enumerate(rows.contents)}
    framed = insides.rows(rows.contents)
    looks = [(framed, insides), (rows, insides), *([(framed, index)] if framed.contents else [])]
    for mine, of in looks:
        fresh = np.array([places[content] for content in mine.contents], np.intp)
        for one, others in _met_inside(mine, of, among):
            for start in range(0, len(one), OTHER_BLOCK):
                part = slice(start, start + OTHER_BLOCK)
                yield whole_pictures(index, rows, fresh[one[part]], [c.decode() for c in others[part]])


def _met_inside(
    mine: PhotoRows, of: PhotoIndex, among: Sequence[str] | None
) -> Iterator[tuple[Places, NDArray[np.bytes_]]]:
    """(places in `mine`, contents of `of`) within the radius."""
    if among is not None:
        theirs = of.rows_kept(among)
        names = np.array(theirs.contents, "S64")
        for near in near_in_month(mine, theirs, None, None, None):
            yield near.fresh, names[near.other]
        return
    whole = of.made(WholeIndex)
    for fresh, other in whole.near_by_hash(mine):
        keep = ~(np.abs(mine.captured[fresh] - whole.captured[other]) > ONE_MOMENT_SECONDS)
        yield fresh[keep], whole.contents(other[keep])


def whole_pictures(index: PhotoIndex, rows: PhotoRows, fresh: Places, others: Sequence[str]) -> Pairs:
    """These pairs with the numbers of the whole pictures, without those of which the index holds one alone."""
    theirs = index.rows(sorted(set(others)))
    places = {content: place for place, content in enumerate(theirs.contents)}
    # The part cut out of a picture may outlive its row when a crash came between the two deletions.
    there = [number for number, other in enumerate(others) if other in places]
    left, right = fresh[there], np.array([places[others[number]] for number in there], np.intp)
    return Pairs(
        fresh=left,
        others=np.array([others[number] for number in there], "S64"),
        distances=distances_of_pairs(rows.phashes[left], theirs.phashes[right]),
        apart=np.abs(rows.captured[left] - theirs.captured[right]),
        cosines=cosines_or_nan(rows.vectors, left, theirs.vectors, right),
        unlike=np.zeros(len(left), bool),
    )
