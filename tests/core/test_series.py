"""Long series: neighbours in time are compared, the rest is not, whatever order the shots come in."""

from __future__ import annotations

import random

import pytest

from dedupd.core.bars import SERIES_SHOTS
from dedupd.core.photo import Traits
from dedupd.core.relations import may_be_burst
from dedupd.core.series import Series, Shot, may_be_too_far


def lapse(count: int, step: float, camera: str = "one", start: float = 0.0, name: str = "f") -> list[Shot]:
    return [(f"{name}{number:05}", start + number * step, camera) for number in range(count)]


def compared(series: Series, shots: list[Shot]) -> int:
    names = [shot[0] for shot in shots]
    return sum(not series.too_far(a, b) for i, a in enumerate(names) for b in names[:i])


@pytest.mark.parametrize("step", [0.03, 0.5, 2.0, 10.0, 60.0])
def test_the_pairs_of_a_long_series_grow_with_its_length_not_by_its_square(step: float) -> None:
    for count in (100, 400):
        shots = lapse(count, step)
        assert 10 * count < compared(Series(shots), shots) < 70 * count


def test_up_to_two_dozen_all_are_compared_with_all() -> None:
    shots = lapse(SERIES_SHOTS, 60.0)
    assert compared(Series(shots), shots) == SERIES_SHOTS * (SERIES_SHOTS - 1) // 2
    assert Series(shots).reach("f00000") is None
    assert Series(lapse(SERIES_SHOTS + 1, 60.0)).too_far("f00000", "f00024")


def test_single_photos_of_a_month_are_no_series() -> None:
    shots = lapse(400, 600.0)
    assert not Series(shots).too_far("f00000", "f00399")


def test_other_cameras_and_photos_without_a_clock_are_compared_with_every_frame() -> None:
    shots = [*lapse(100, 10.0), *lapse(100, 10.0, "two", 5.0, "g"), ("copy", None, "one"), ("scan", 1.0, "")]
    series = Series(shots)
    assert series.too_far("f00000", "f00099")
    assert not any(series.too_far("f00000", other) for other in ("g00099", "copy", "scan"))


@pytest.mark.parametrize("hours", [-9.0, -1.0, 0.5, 1.0, 5.75, 23.0])
def test_copies_whose_clock_shows_another_time_zone_are_compared(hours: float) -> None:
    shots = lapse(100, 20.0)
    exported = lapse(100, 20.0, start=3600.0 * hours + 1.0, name="e")
    series = Series([*shots, *exported])
    assert not any(series.too_far(f"f{n:05}", f"e{n:05}") for n in range(100))
    assert compared(series, [*shots, *exported]) < 200 * 199 // 5, "and yet far from all"


def test_what_may_move_as_a_burst_is_always_compared() -> None:
    def traits(content: str, captured: float) -> Traits:
        return Traits(
            content=content, recipe="1", model="", format="JPEG", width=9, height=9, phash=0, dhash=0,
            captured=captured, camera="one",
        )  # fmt: skip

    shots = lapse(1000, 0.03)
    series = Series(shots)
    for content, captured, _ in shots:
        a, b = traits("f00000", 0.0), traits(content, captured or 0.0)
        assert not (may_be_burst(a, b) and series.too_far("f00000", content))
        assert may_be_too_far(a, b) or not series.too_far("f00000", content)


def test_the_order_of_the_shots_does_not_matter_and_a_shot_that_parts_two_series_goes_unnoticed() -> None:
    early, late = lapse(50, 10.0), lapse(50, 10.0, start=600.0, name="g")
    whole = [*early, ("between", 545.0, "one"), *late]
    joined = Series(whole)
    random.Random(1).shuffle(whole)
    parted = Series([*early, *late])
    names = [shot[0] for shot in (*early, *late)]
    for a in names[::7]:
        for b in names[::5]:
            assert joined.too_far(a, b) == Series(whole).too_far(a, b) == parted.too_far(a, b)
