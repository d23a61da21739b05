"""The values at the pixels of a mask are the same, however they are read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from dedupd.adapters.vision.masked import Masked

SIDE = 40
RNG = np.random.default_rng(1)
PLANE, COLOURS = RNG.random((SIDE, SIDE)), RNG.random((SIDE, SIDE, 3))


def same(where: NDArray[np.bool_]) -> None:
    places = Masked(where)
    assert places.size == np.count_nonzero(where)
    assert places.flat.tolist() == np.flatnonzero(where).tolist()
    height, width = where.shape
    for plane in (PLANE[:height, :width].copy(), COLOURS[:height, :width].copy()):
        for step in (1, 3, 5):
            assert np.array_equal(places.of(plane, step), plane[where][::step])


@given(where=arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_of_any_mask(where: NDArray[np.bool_]) -> None:
    same(where)


@given(
    sides=st.tuples(*[st.integers(0, SIDE)] * 4), extra=st.integers(0, SIDE * SIDE - 1), more=st.booleans()
)
def test_of_a_rectangle_and_of_one_with_a_pixel_more_or_less(
    sides: tuple[int, int, int, int], extra: int, more: bool
) -> None:
    top, bottom, left, right = sides
    where = np.zeros((SIDE, SIDE), bool)
    where[top:bottom, left:right] = True
    same(where)
    where.flat[extra] = more
    same(where)


@pytest.mark.parametrize("where", [np.zeros((4, 6), bool), np.ones((4, 6), bool), np.eye(5, dtype=bool)])
def test_of_none_of_all_and_of_a_diagonal(where: NDArray[np.bool_]) -> None:
    same(where)


def test_as_many_pixels_as_the_rectangle_between_the_ends_are_no_rectangle() -> None:
    where = np.zeros((4, 6), bool)
    where[0, 0] = where[3, 3] = True
    where[1:3, :] = True
    where[0, 4] = where[0, 5] = True
    assert np.count_nonzero(where) == 4 * 4
    same(where)
