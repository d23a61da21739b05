"""Multi-index hashing finds the pairs that comparing each with each finds, and no other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupd.adapters.vision.candidates import hash_join
from dedupd.adapters.vision.candidates.hash_join import HashTables, distances_of_pairs, hash_distances
from dedupd.adapters.vision.hashes import RADIUS


def hashes(seed: int, count: int) -> NDArray[np.uint64]:
    """Some of them within, at and just beyond the radius of others, seen from either side, and some equal."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, np.iinfo(np.uint64).max, (count, 8), np.uint64, endpoint=True)
    for row in range(1, count, 2):
        model, side, turn = rng.integers(0, row), rng.integers(0, 2), rng.integers(0, 8)
        flips = rng.permutation(64)[: rng.integers(RADIUS - 2, RADIUS + 3)]
        near = found[model, turn if side else 0] ^ np.bitwise_or.reduce(
            np.uint64(1) << flips.astype(np.uint64)
        )
        found[row, 0 if side else turn] = near
        if rng.random() < 0.2:
            found[row] = found[model]
    return found


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 10_000), st.integers(1, 60), st.integers(1, 40), st.booleans(), st.integers(1, 4000),
    st.integers(1, 70), st.booleans(),
)  # fmt: skip
def test_the_same_pairs_as_each_with_each(
    seed: int, held: int, asked: int, long: bool, at_once: int, sorted_at_once: int, some: bool
) -> None:
    every = hashes(seed, held + asked)
    mine, theirs = every[held:], every[:held]
    among = np.arange(0, held, 2) if some else np.arange(held)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hash_join, "_LONGER", 0 if long else 10**6)
        patch.setattr(hash_join, "_AT_ONCE", at_once)
        patch.setattr(hash_join, "_SORTED", sorted_at_once)
        tables = HashTables(theirs, among if some else None)
        told = [pair for parts in tables.meeting(mine) for pair in zip(*parts, strict=True)]
    near = np.argwhere(hash_distances(mine, theirs[among]) <= RADIUS)
    assert set(told) == {(one, among[other]) for one, other in near}


def test_a_distance_is_the_same_alone_and_in_a_table() -> None:
    every = hashes(1, 40)
    one, other = np.divmod(np.arange(1600), 40)
    assert (
        distances_of_pairs(every[one], every[other]).reshape(40, 40) == hash_distances(every, every)
    ).all()


def test_a_thousand_equal_pictures_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tested: list[int] = []
    usual = np.bitwise_count

    def count(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
        tested.append(len(values))
        return usual(values)

    black = np.repeat(hashes(3, 1), 1000, axis=0)
    tables = HashTables(black)
    monkeypatch.setattr(np, "bitwise_count", count)
    found = {pair for parts in tables.meeting(black[:30]) for pair in zip(*parts, strict=True)}
    assert len(found) == 30 * 1000
    assert sum(tested) < 5000
