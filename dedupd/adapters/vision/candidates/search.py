"""Candidates: which pairs of photos the hashes and vectors propose.

Owns the candidate rule; must never decide what a pair is. Worker process only. A pair is proposed when it is within the bars,
otherwise not; and the answer is the same from either side, and whatever else is asked at the same time.

The way of a search: `within_month` or `across_library` finds pairs, `small_tests` reject most look-alikes, `inside_margins` adds what agrees within plain
margins, and `answer` tells each once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows, in_order
from dedupd.adapters.vision.candidates.across_library import anywhere
from dedupd.adapters.vision.candidates.answer import FoundPairs, GatheredPairs, Search
from dedupd.adapters.vision.candidates.inside_margins import meeting_inside
from dedupd.adapters.vision.candidates.overlay import may_lie_over
from dedupd.adapters.vision.candidates.pairs import Pairs, joined_pairs, within_bars
from dedupd.adapters.vision.candidates.small_tests import Smalls, passing_pairs, seen_small
from dedupd.adapters.vision.candidates.together import StillChoosing
from dedupd.adapters.vision.candidates.whole_index import WholeIndex
from dedupd.adapters.vision.candidates.within_month import within

_TESTED_AT_ONCE = 1 << 18
"""Pairs whose small pictures are compared at a time: the arrays of one picture serve all its pairs among
them."""

_ANSWERED = 8192
"""Photos of which the rows are in memory at a time."""
_MET_IN_IDLE = 1 << 18
"""Pairs of which those that are candidates are told at a time when all are asked for: so who comes waits some seconds, however
many photos are asked about."""


def propose(index: PhotoIndex, insides: PhotoIndex, smalls: Smalls, search: Search) -> FoundPairs:
    """Candidates, each pair once, without those that can be no copy: of these, the nearest look-alikes as
    `spared` says.

    `insides` holds the hashes of what is inside plain margins, for the pictures with such margins; `smalls`
    gives small pictures. Across the whole index, two photos with different clock times are no pair: that
    excludes most pairs of a library, which are never related. An answer may be for none of the contents yet: what is done for it
    is kept for who asks again.
    """
    try:
        return _proposed(index, insides, smalls, search)
    except StillChoosing:
        return FoundPairs(pairs=[], left=sorted(search.fresh), cut=[])


def _proposed(index: PhotoIndex, insides: PhotoIndex, smalls: Smalls, search: Search) -> FoundPairs:
    # A month is searched block by block, and read once.
    others = None if search.among is None else index.rows_kept(search.among)
    rows = _first_rows(index, search) if others is None else in_order(_of_these(others, index, search))
    gathered = GatheredPairs(rows.contents, search)
    if rows.contents:
        taken = gathered.taken if search.after is None else None
        most, theirs = max(1, _MET_IN_IDLE // len(rows.contents)), None
        if search.after is not None and others is None:
            theirs, last = index.made(WholeIndex).next_by_name(search.after, most)
            gathered.end_at(last)
        elif search.after is not None and others is not None:
            others, last = _next_by_name(others, search.after, most)
            gathered.end_at(last)
        if others is None:
            few_by = smalls if search.spared is None else None
            parts = anywhere(index, rows, search.bar, taken, few_by, theirs)
        else:
            parts = within(rows, others, search.bar, taken)
        for near in _together(_near_enough(parts, gathered, search.bar), _TESTED_AT_ONCE):
            seen = seen_small(near, rows, smalls)
            laid = gathered.room_to_lay(seen)
            seen.unlike[laid] = ~passing_pairs(may_lie_over, seen.where(laid), rows, smalls)
            gathered.add(_worth_telling(seen, search))
        for pairs in meeting_inside(index, insides, rows, search.among):
            gathered.add(pairs.where(gathered.wanted(pairs)))
    found = gathered.found()
    answered = {*rows.contents, *found.left}
    left = [*found.left, *(c for c in sorted(search.fresh)[_ANSWERED:] if c not in answered)]
    if others is None and search.after is None:
        index.made(WholeIndex).told(rows.contents[: len(rows.contents) - len(found.left)])
    return replace(found, left=left)


def _first_rows(index: PhotoIndex, search: Search) -> PhotoRows:
    """The rows of as many of the fresh contents, the first by name, as are answered for at a time. Who will be is noted."""
    whole, names = index.made(WholeIndex), sorted(search.fresh)
    if search.after is None:
        whole.await_(names, search.answered)
        whole.go_on_choosing(search.bar)
    return whole.rows(index, names[:_ANSWERED] if search.after is None else names)


def _of_these(others: PhotoRows, index: PhotoIndex, search: Search) -> PhotoRows:
    """The rows of the fresh contents, read again only when not all of them are among the others."""
    fresh = set(search.fresh)
    if fresh.issubset(search.among or ()):
        return others.at(np.array([n for n, c in enumerate(others.contents) if c in fresh], np.intp))
    return index.rows(search.fresh)


def _next_by_name(others: PhotoRows, after: str, most: int) -> tuple[PhotoRows, str]:
    """The next so many of these rows by name; and the last of the names, '' when none come after."""
    names = sorted(others.contents)
    start = bisect_right(names, after)
    some = set(names[start : start + most])
    chosen = np.array([n for n, name in enumerate(others.contents) if name in some], np.intp)
    return others.at(chosen), names[start + most - 1] if start + most < len(names) else ""


def _near_enough(parts: Iterable[Pairs], gathered: GatheredPairs, bar: float | None) -> Iterator[Pairs]:
    for pairs in parts:
        near = pairs.where(gathered.wanted(pairs))
        yield near.where(within_bars(near.distances, near.cosines, bar))


def _together(parts: Iterable[Pairs], least: int) -> Iterator[Pairs]:
    """The same, joined to parts of at least so many pairs, except the last part."""
    waiting, count = list[Pairs](), 0
    for part in parts:
        waiting.append(part)
        count += len(part.fresh)
        if count >= least:
            joined, waiting, count = joined_pairs(waiting), [], 0
            yield joined
            del joined
    if waiting:
        yield joined_pairs(waiting)


def _worth_telling(pairs: Pairs, search: Search) -> Pairs:
    """Without look-alikes that were not asked for."""
    if search.spared is None or search.after is not None:
        return pairs.where(~pairs.unlike)
    return pairs.where(~pairs.unlike | (pairs.cosines >= search.spared))
