"""Pairs of photos in columns: the form in which they are searched for, tested and told.

Must never read anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.candidates.nearest import (
    ONE_MOMENT,
)
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.core.bars import ONE_MOMENT_SECONDS

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Pairs with all their numbers."""

    fresh: Places
    others: NDArray[np.bytes_]
    """(P,) content ids, 64 hex digits."""
    distances: NDArray[np.uint8]
    apart: NDArray[np.float64]
    cosines: NDArray[np.float64]
    """NaN without vectors."""
    unlike: NDArray[np.bool_]
    """Whether their small pictures show that neither is part of the other."""

    def where(self, chosen: NDArray[Any]) -> Pairs:
        """The pairs selected by a mask, or at places."""
        return Pairs(
            fresh=self.fresh[chosen], others=self.others[chosen], distances=self.distances[chosen],
            apart=self.apart[chosen], cosines=self.cosines[chosen], unlike=self.unlike[chosen],
        )  # fmt: skip


def joined_pairs(parts: Sequence[Pairs]) -> Pairs:
    """All of them, one part after another."""

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return Pairs(
        fresh=column("fresh"), others=column("others"), distances=column("distances"),
        apart=column("apart"), cosines=column("cosines"), unlike=column("unlike"),
    )  # fmt: skip


def nearness_of(cosines: NDArray[np.floating[Any]], apart: NDArray[np.float64]) -> NDArray[np.float64]:
    """(P,) by which the nearest are chosen: what was taken at one moment comes before all else."""
    return cosines + ONE_MOMENT * (apart <= ONE_MOMENT_SECONDS)


def within_bars(
    distances: NDArray[np.uint8], cosines: NDArray[np.float64], bar: float | None
) -> NDArray[np.bool_]:
    """(P,) which of them are proposed: by hash, or with this cosine; None: by hash alone."""
    keep = distances <= RADIUS
    return keep if bar is None else keep | (cosines >= bar)


def held(names: NDArray[Any], asked: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of them are among these, that are in order."""
    if not len(names):
        return np.zeros(len(asked), bool)
    return names[places_among(names, asked)] == asked


def places_among(names: NDArray[Any], asked: NDArray[Any]) -> Places:
    """The places of those of them that are among these, that are in order."""
    return np.minimum(np.searchsorted(names, asked), len(names) - 1)
