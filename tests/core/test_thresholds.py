"""From three samples of cosines to one model's bars."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.photo import Measures
from dedupd.core.thresholds import OwnThresholds, derive, framed_alike, quantile, shipped
from dedupd.errors import NotCalibrated

DICE = random.Random(1)
COPIES = [min(1.0, DICE.gauss(0.9, 0.06)) for _ in range(800)]
STRANGERS = [DICE.gauss(0.3, 0.1) for _ in range(5000)]
NEIGHBOURS = [min(1.0, DICE.gauss(0.95, 0.02)) for _ in range(60)]


def found(**changes: list[float] | int) -> OwnThresholds:
    samples: dict[str, list[float] | int] = {
        "photos": 100, "copies": COPIES, "strangers": STRANGERS, "neighbours": NEIGHBOURS,
    }  # fmt: skip
    return derive("some/1", at=5.0, **(samples | changes))  # pyright: ignore[reportArgumentType]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50), st.floats(0, 1))
def test_quantiles_are_those_of_numpy(values: list[float], share: float) -> None:
    assert quantile(values, share) == pytest.approx(float(np.quantile(values, share)), abs=1e-9)


def test_the_bars_follow_from_the_samples() -> None:
    own = found()
    assert own.candidate == pytest.approx(quantile(COPIES, 0.01), abs=1e-3)
    assert own.across == pytest.approx(0.3 + 5 * 0.1, abs=0.02)
    assert own.similar == pytest.approx(quantile(COPIES, 0.25), abs=1e-3)
    assert own.burst == pytest.approx(quantile(NEIGHBOURS, 0.05), abs=1e-3)
    assert (own.photos, own.copies, own.strangers, own.neighbours, own.at) == (100, 800, 5000, 60, 5.0)
    assert own.bars.calibrated
    assert OwnThresholds.from_json(own.to_json()) == own


@given(
    st.floats(0.5, 0.95),
    st.floats(0.005, 0.1),
    st.floats(-0.1, 0.4),
    st.floats(0.02, 0.15),
    st.integers(0, 9),
)
def test_the_bars_are_always_in_order(
    near: float, spread: float, far: float, sigma: float, seed: int
) -> None:
    dice = random.Random(seed)
    try:
        own = found(
            copies=[min(1.0, dice.gauss(near, spread)) for _ in range(200)],
            strangers=[max(-1.0, min(1.0, dice.gauss(far, sigma))) for _ in range(500)],
            neighbours=[dice.uniform(0, 1) for _ in range(30)],
        )
    except NotCalibrated:
        return
    assert own.burst is not None
    assert far < own.candidate <= own.across <= own.similar <= own.burst <= 1


def test_relatives_among_the_strangers_hardly_count() -> None:
    """A library is full of what dedupd is to find: nobody told that these are relatives."""
    with_relatives = found(strangers=STRANGERS + [0.97] * 50)
    assert abs(with_relatives.across - found().across) < 0.02


def test_without_enough_neighbours_no_burst_moves() -> None:
    assert found(neighbours=NEIGHBOURS[:19]).burst is None
    assert found(neighbours=NEIGHBOURS[:20]).burst is not None


@pytest.mark.parametrize("few", [{"photos": 19}, {"copies": []}, {"strangers": STRANGERS[:99]}])
def test_too_few_photos_give_no_thresholds(few: dict[str, list[float] | int]) -> None:
    with pytest.raises(NotCalibrated, match="too few"):
        found(**few)


def test_a_model_that_tells_nothing_apart_gives_none() -> None:
    with pytest.raises(NotCalibrated, match="does not tell copies from strangers"):
        found(copies=[0.6] * 100)


def test_a_frame_that_moved_is_no_neighbour() -> None:
    still = Measures(method="identity", overlap_a=1.0, overlap_b=1.0, ncc=0.95)
    assert framed_alike(still)
    for other in (
        Measures(method="none", overlap_a=1.0, overlap_b=1.0, ncc=0.95),
        Measures(method="orb", overlap_a=0.7, overlap_b=1.0, ncc=0.95),
        Measures(method="orb", overlap_a=1.0, overlap_b=1.0, ncc=0.6),
    ):
        assert not framed_alike(other)


def test_only_what_was_measured_by_hand_is_shipped() -> None:
    assert shipped("")
    assert shipped("lite0-gem/1")
    assert not shipped("open_clip:ViT-B-32/laion2b_s34b_b79k")
