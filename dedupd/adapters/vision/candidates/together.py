"""The nearest of photos in crowds that are asked about one after another, chosen for all of them at once: so it is known of each
whose nearest it is, and the small pictures of a pair are compared from either side when that photo is answered for.

The windows of a small picture, which take as long as ten pairs, are then cut out once for each photo, however large its family is.
Owns who is to be answered for and what was chosen for them. A photo that was answered for shares no pair of its own with others
any more: when there was no room for its answer, it is asked about again, and its pairs are compared from both sides. Worker
process only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.candidates.nearest import Nearest

MOST = 1 << 15
"""Photos of which the nearest are held: some 80 MB."""
PRODUCTS = 1 << 30
"""Products of these with all rows at a time: some ten seconds."""
SLICE = 1 << 25
"""Products after which what comes in between has its turn: some two seconds."""

Places = NDArray[np.intp]


class StillChoosing(Exception):
    """There is no answer yet: whoever asks again for the same photos has the choice go on."""


class Choosing:
    """The choice for all of some photos, which goes on slice by slice."""

    def __init__(
        self, together: Together, photos: Places, left: NDArray[Any] | None, steps: Iterator[int | Nearest]
    ) -> None:
        """`left`: the rows that they are compared with, None: all. `steps`: how many products were computed, and in between the
        nearest of the next photos."""
        self._together, self._photos, self._left, self._steps = together, photos, left, steps

    def is_of(self, photos: Places, left: NDArray[Any] | None) -> bool:
        """Whether it is the choice for these."""
        return np.array_equal(self._photos, photos) and (
            (left is None and self._left is None)
            or (left is not None and self._left is not None and np.array_equal(self._left, left))
        )

    def go_on(self, most: float) -> Together | None:
        """Compute about so many products more. The choice, once it is made."""
        done = 0
        for step in self._steps:
            if isinstance(step, Nearest):
                self._together.take(step)
            elif (done := done + step) >= most:
                return None
        return self._together


class Together:
    """Places are those in a table of so many rows."""

    def __init__(self, rows: int) -> None:
        self._number = np.full(rows, -1, np.int32)
        self._answered, self._told = np.zeros(rows, bool), np.zeros(rows, bool)
        self._places, self._taken, self._looked_at = np.empty(0, np.intp), 0, 0
        self._least, self._last = np.empty(0, np.float32), np.empty(0, np.float32)
        """A pair that is less near was left out; and is not among those that are looked at."""
        self._near, self._others = np.empty((0, 0), np.float32), np.empty((0, 0), np.uint32)

    def held(self, places: Places) -> NDArray[np.bool_]:
        """Of which of them the nearest were chosen."""
        return self._number[places] >= 0

    def shared(self, one: Places, other: Places) -> NDArray[np.bool_]:
        """Which pairs need be compared from the side of `one` alone, that is answered for the first time: the other side is seen
        to when the other one is."""
        return self.held(one) & ~self._answered[one] & self.held(other)

    def begin(self, places: Places, most: int, looked_at: int) -> None:
        """Once: so many nearest of each of the photos at these places will be held, of which the first are looked at."""
        self._places, self._taken, self._looked_at = places, 0, looked_at
        self._number[places] = np.arange(len(places))
        self._least = np.empty(len(places), np.float32)
        self._last = np.full(len(places), -np.inf, np.float32)
        self._near = np.full((len(places), most), -np.inf, np.float32)
        self._others = np.zeros((len(places), most), np.uint32)

    def take(self, nearest: Nearest) -> None:
        """These are those of the next of the photos."""
        mine = slice(self._taken, self._taken + len(nearest.least))
        self._least[mine] = nearest.least
        self._fill(mine, nearest)
        if (last := self._near.shape[1] - self._looked_at) > 0:
            self._last[mine] = np.partition(self._near[mine], last, axis=1)[:, last]
        self._number[self._places[mine][nearest.covered :]] = -1  # there was no room for these
        self._taken = mine.stop

    def _fill(self, mine: slice, nearest: Nearest) -> None:
        near, others, filled = self._near[mine], self._others[mine], np.zeros(len(nearest.least), np.intp)
        for photos, *found in nearest.with_nearness():
            rank = filled[photos] + np.arange(len(photos)) - np.searchsorted(photos, photos)
            near[photos, rank], others[photos, rank] = found
            filled += np.bincount(photos, minlength=len(filled))

    def put(self, places: Places, wanted: NDArray[np.bool_], nearest: Nearest) -> None:
        """Add to `nearest` what was chosen for these, the first of its photos, of rows that are wanted."""
        numbers = self._number[places]
        nearest.least[: len(places)] = self._least[numbers]
        near, others = self._near[numbers], self._others[numbers]
        one, rank = np.nonzero((near > -np.inf) & wanted[others])
        nearest.add(one, near[one, rank], others[one, rank])

    def whose(self, places: Places, error: float) -> tuple[Places, Places]:
        """Pairs of the photos at these places, by their number there, and of the photos that look at them."""
        numbers = np.full(len(self._number), -1, np.int32)
        numbers[places] = np.arange(len(places))
        looked_at = (self._near > -np.inf) & (self._near >= self._last[:, None] - error)
        one, rank = np.nonzero(looked_at & (numbers[self._others] >= 0))
        return numbers[self._others[one, rank]].astype(np.intp), self._places[one]

    def answer(self, places: Places) -> None:
        """These are answered for, if there is room for all that is found of them."""
        self._answered[places] = True

    def owes(self, places: Places) -> bool:
        """Whether the nearest of any of these were chosen, and not all is told of it."""
        return bool((self.held(places) & ~self._told[places]).any())

    def tell(self, places: Places) -> bool:
        """For these there was room. Whether there was for all, and nothing need be held of them."""
        self._told[places] = True
        return bool(self._told[self._places].all())
