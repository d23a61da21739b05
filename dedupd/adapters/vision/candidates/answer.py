"""What is asked of a search, and its answer: which of the pairs found are told, each once, and where it ends.

Owns the limits of an answer; must never look for a pair. The answer is the same from either side, and whatever else is asked at
the same time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.candidates.nearest import (
    Taken,
)
from dedupd.adapters.vision.candidates.pairs import (
    Pairs,
    Places,
    held,
    joined_pairs,
    nearness_of,
    places_among,
)
from dedupd.adapters.vision.candidates.small_tests import by_vectors_alone
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.photo import Candidate

AT_ONCE = 20_000
"""Pairs in one answer: the other process holds them in memory."""
EACH = 4096
"""Pairs of one content in one answer: a family of look-alikes may have a million."""
LOOK_ALIKES = 16
"""Pairs of one content whose small pictures are unlike. No copy is among them; this many show what the
content resembles."""
_MOST_GATHERED = 200_000
_LAID = 1 << 15
"""Pairs of one search whose small pictures are laid over each other, which takes up to a millisecond: with more, fewer photos
are answered for, because people may wait for its end."""
_LAID_IN_IDLE = 1 << 13
"""The same when all pairs are asked for: nobody waits for those, and who comes does not wait long."""


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
    answered: Sequence[str] = ()
    """Those of the photos asked about that earlier answers were for, perhaps by a worker that is gone."""
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


class GatheredPairs:
    """Collects the pairs of the fresh contents, from the first on, while they are not too many."""

    def __init__(self, contents: Sequence[str], search: Search) -> None:
        self._contents = np.array(contents, "S64")
        self.taken = Taken(len(contents))
        # A pair of two fresh contents is found from both sides, and counts from the smaller id.
        twice = self._contents
        if search.among is not None:
            twice = np.intersect1d(twice, np.array(list(search.among), "S64"))
        self._twice = np.sort(twice)
        self._counts_twice = held(self._twice, self._contents)
        self._month_of = _months(search)
        self._after = None if search.after is None else search.after.encode()
        self._till = b""
        """Where this answer ends when all pairs are too many for it."""
        self._parts: list[Pairs] = []
        self._count = 0
        self._cut: set[int] = set()
        self._room: float = _LAID
        self._laid = np.empty(0, "S64")
        """The other contents of the pairs that were laid and are told, when all pairs are asked for."""

    def end_at(self, last: str) -> None:
        """The answer ends with the pairs with this content, '' with those of the last one; perhaps before."""
        self._till = last.encode()

    def wanted(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Those pairs that are asked for, and not found from the other side."""
        ones = self._contents[pairs.fresh]
        keep = (ones != pairs.others) & (pairs.fresh < self.taken.covered)
        again = (ones > pairs.others) & self._counts_twice[pairs.fresh] & held(self._twice, pairs.others)
        keep &= ~again | self._left_out_there(pairs)
        if self._month_of is not None:
            names, months = self._month_of
            one, other = (months[places_among(names, some)] for some in (ones, pairs.others))
            keep &= one == other
        return keep if self._after is None else keep & (pairs.others > self._after) & self._told(pairs.others)

    def _left_out_there(self, pairs: Pairs) -> NDArray[np.bool_]:
        """Which of the pairs may be missing among those of the other photo, because it has too many that are nearer."""
        if self.taken.every:
            return np.zeros(len(pairs.fresh), bool)
        reach = self.taken.reach[self._places(pairs.others)]
        return (pairs.distances > RADIUS) & (nearness_of(pairs.cosines, pairs.apart) < reach)

    def _places(self, names: NDArray[np.bytes_]) -> Places:
        """The places of those of them that are fresh."""
        return places_among(self._contents, names)

    def room_to_lay(self, pairs: Pairs) -> Places:
        """Those whose small pictures are laid over each other now. What there is no room for is left by this answer: the
        last of the photos; when all pairs are asked for, those with the last of the other photos."""
        laid = by_vectors_alone(pairs)
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

    def _first_to_lay(self, pairs: Pairs, laid: Places) -> Places:
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

    def add(self, pairs: Pairs) -> None:
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

    def _mirrored(self, pairs: Pairs) -> Pairs:
        """With both directions of pairs of two fresh contents: look-alikes are counted for each, and one may
        have nearer ones."""
        places = self._places(pairs.others)
        both = pairs.unlike & (self._contents[places] == pairs.others)
        mine = pairs.where(both)
        return replace(mine, fresh=places[both], others=self._contents[mine.fresh])

    def _make_room(self) -> None:
        if not self._parts:
            return
        pairs = joined_pairs(self._parts)
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

    def _next(self, pairs: Pairs) -> Pairs:
        """Each pair once, up to where they are too many: all with the same other content, or none."""
        pairs = pairs.where(_new(pairs) & self._told(pairs.others))
        if len(pairs.fresh) > AT_ONCE:
            self._end_before(np.sort(pairs.others), AT_ONCE)
            pairs = pairs.where(self._told(pairs.others))
        return pairs

    def _most_alike(self, pairs: Pairs) -> Pairs:
        """Each pair once, and of each content at most `EACH` pairs and `LOOK_ALIKES` unlike ones: the nearest
        by hash, then by time, then by cosine."""
        new = _new(pairs)
        alike, unlike = pairs.where(new & ~pairs.unlike), pairs.where(new & pairs.unlike)
        many = np.flatnonzero(np.bincount(alike.fresh) > EACH)
        self._cut.update(map(int, many))
        if len(many):
            alike = _nearest_first(alike)
        return joined_pairs(
            [_first_of_each(alike, EACH), _first_of_each(_nearest_first(unlike), LOOK_ALIKES)]
        )


def _months(search: Search) -> tuple[NDArray[np.bytes_], Places] | None:
    """The contents in order, and the number of the month of each; None where there is one month."""
    if search.among is None or len(search.sizes) < 2:
        return None
    names = np.array(list(search.among), "S64")
    order = np.argsort(names)
    return names[order], np.repeat(np.arange(len(search.sizes)), search.sizes)[order]


def _nearest_first(pairs: Pairs) -> Pairs:
    """The order of pairs by content, nearest first."""
    hashes = np.where(pairs.distances <= RADIUS, pairs.distances, RADIUS + 1)
    return pairs.where(np.lexsort((pairs.others, -pairs.cosines, pairs.apart, hashes, pairs.fresh)))


def _new(pairs: Pairs) -> NDArray[np.bool_]:
    """Which of them, that are in order, are not the same as those before."""
    new = np.ones(len(pairs.fresh), bool)
    new[1:] = (pairs.fresh[1:] != pairs.fresh[:-1]) | (pairs.others[1:] != pairs.others[:-1])
    return new


def _first_of_each(pairs: Pairs, most: int) -> Pairs:
    """The first so many pairs of each content, from pairs in the order of contents."""
    counts = np.bincount(pairs.fresh)
    rank = np.arange(len(pairs.fresh)) - (np.cumsum(counts) - counts)[pairs.fresh]
    return pairs.where(rank < most)


def _candidates(pairs: Pairs, contents: Sequence[str]) -> list[Candidate]:
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
