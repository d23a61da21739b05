"""The pixels of a mask, and the values of a plane there.

Owns reading them in rows where they fill a rectangle, as nearly all overlaps of copies do: the same values in the same
order, for less than a third of the time that it takes to pick them one by one. Worker process only.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Masked:
    """The true pixels of (H, W) `where`, row by row."""

    def __init__(self, where: Mask) -> None:
        self._where = where
        self.size = int(np.count_nonzero(where))
        self._box = _box(where, self.size)

    @cached_property
    def flat(self) -> NDArray[np.intp]:
        """Each as its place in the flattened plane."""
        return np.flatnonzero(self._where)

    def of(self, plane: NDArray[Any], step: int = 1) -> NDArray[Any]:
        """The values of (H, W, ...) `plane` there, of every `step`th place."""
        if self._box is None:
            return at(plane, self.flat[::step])
        inside = plane[self._box].reshape(-1, *plane.shape[2:])
        return np.ascontiguousarray(inside[::step]) if step > 1 else inside


def at(plane: NDArray[Any], places: NDArray[np.intp]) -> NDArray[Any]:
    """The values of (H, W, ...) `plane` at these flat places: the same as with a mask, at a third of the
    cost."""
    return plane.reshape(-1, *plane.shape[2:]).take(places, axis=0)


def _box(where: Mask, size: int) -> tuple[slice, slice] | None:
    """The rectangle that these pixels fill; None when they fill none."""
    if not size:
        return None
    first, last = int(where.argmax()), where.size - 1 - int(where.ravel()[::-1].argmax())
    (top, left), (bottom, right) = divmod(first, where.shape[1]), divmod(last, where.shape[1])
    box = slice(top, bottom + 1), slice(left, right + 1)
    # As many as it has, and all of its own: then there are no others.
    return box if size == (bottom + 1 - top) * (right + 1 - left) and bool(where[box].all()) else None
