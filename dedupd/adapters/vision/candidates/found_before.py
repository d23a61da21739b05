"""Pairs that earlier searches of the same table found: so each pair of a first import is looked for from one side.

Rows whose pairs with all others are held here need not be compared with the rows that are asked about next. Must
never leave out a pair: a row counts as done only when a search of it came to its end, and with what is held here
everything is found again. Worker process only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST = 2_000_000
"""Pairs held: 34 MB. With more, rows are compared again."""
_WORTH = 16
"""Only when one row in so many is done are the others chosen one by one."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Pairs within the bars, with their numbers."""

    fresh: Places
    """Places in the rows that are asked about."""
    other: Places
    """Places in the table."""
    distances: NDArray[np.uint8]
    cosines: NDArray[np.float64]

    def where(self, chosen: NDArray[Any]) -> Measured:
        """The pairs selected by a mask, or at places."""
        return Measured(
            fresh=self.fresh[chosen], other=self.other[chosen], distances=self.distances[chosen],
            cosines=self.cosines[chosen],
        )  # fmt: skip


class FoundBefore:
    """The pairs of some rows of a table, by one bar."""

    def __init__(self, rows: int, bar: float | None) -> None:
        self.bar = bar
        self._done = np.zeros(rows, bool)
        self._ones, self._others = np.empty(0, np.uint32), np.empty(0, np.uint32)
        self._distances, self._cosines = np.empty(0, np.uint8), np.empty(0)

    def left(self) -> NDArray[np.uint32] | None:
        """The places of the rows that are not done; None: compare with all."""
        if int(self._done.sum()) * _WORTH < len(self._done):
            return None
        return np.flatnonzero(~self._done).astype(np.uint32)

    def of(self, places: Places) -> Measured:
        """The pairs of the rows at these places with those that are done."""
        number = np.full(len(self._done), -1, np.int32)
        number[places] = np.arange(len(places))
        mine = np.flatnonzero(number[self._others] >= 0)
        both = np.flatnonzero((number[self._ones] >= 0) & self._done[self._others])
        pairs = np.concatenate((mine, both))
        asked = np.concatenate((self._others[mine], self._ones[both]))
        other = np.concatenate((self._ones[mine], self._others[both]))
        return Measured(
            fresh=number[asked].astype(np.intp), other=other.astype(np.intp), distances=self._distances[pairs],
            cosines=self._cosines[pairs],
        )  # fmt: skip

    def add(self, places: Places, found: list[Measured], whole: NDArray[np.bool_]) -> None:
        """All pairs of the rows at these places with the rows that were left are these, where `whole` says so."""
        new = ~self._done[places] & whole
        chosen = [np.flatnonzero(new[part.fresh]) for part in found]
        if len(self._ones) + sum(map(len, chosen)) > MOST:
            return
        parts = list(zip(found, chosen, strict=True))
        ones = [places[part.fresh[some]].astype(np.uint32) for part, some in parts]
        self._ones = np.concatenate([self._ones, *ones])
        others = [part.other[some].astype(np.uint32) for part, some in parts]
        self._others = np.concatenate([self._others, *others])
        self._distances = np.concatenate([self._distances, *(part.distances[some] for part, some in parts)])
        self._cosines = np.concatenate([self._cosines, *(part.cosines[some] for part, some in parts)])
        self._done[places[whole]] = True
