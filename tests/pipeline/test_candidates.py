"""What is aligned: whatever could be a copy, and across months nothing that cannot be one, however alike it looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dedupd.core.photo import Candidate
from dedupd.pipeline import compare
from dedupd.ports import Proof, ProofRequest
from tests.support.shelf import Shelf

MONTHS = [f"{2010 + number // 12}/{number % 12 + 1:02}" for number in range(24)]
DAY = 86400.0


@pytest.fixture
def aligned(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[ProofRequest]:
    """Every pair that the worker was asked to align."""
    asked: list[ProofRequest] = []
    usual = shelf.vision.prove

    def prove(requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        asked.extend(requests)
        return usual(requests)

    monkeypatch.setattr(shelf.vision, "prove", prove)
    return asked


def test_photos_of_one_place_on_many_days_cost_no_alignment(
    shelf: Shelf, aligned: list[ProofRequest]
) -> None:
    for number, month in enumerate(MONTHS):
        shelf.add(
            f"{month}/IMG_{number}.jpg", "garden", str(number), captured=31 * DAY * number, camera="one"
        )
    shelf.look()
    assert aligned == []


def test_photos_of_one_place_at_many_times_of_a_month_cost_no_alignment(
    shelf: Shelf, aligned: list[ProofRequest]
) -> None:
    for number in range(12):
        shelf.add(f"2010/01/IMG_{number}.jpg", "garden", str(number), captured=DAY * number, camera="one")
    shelf.look()
    assert aligned == []
    assert {str(m.relation) for group in shelf.ledger.groups.all() for m in group.members} == {"similar"}
    proofs = [proof for view in shelf.views() for proof in view.evidence.values()]
    assert {proof.cosine is None for proof in proofs} == {False}
    assert {proof.confidence for proof in proofs} == {None}  # nobody looked how sure that is


def test_screenshots_of_one_app_cost_no_alignment(shelf: Shelf, aligned: list[ProofRequest]) -> None:
    for number, month in enumerate(MONTHS):
        shelf.add(f"{month}/Screenshot_{number}.png", "chat", str(number), format="PNG", text_like=True)
    shelf.look()
    assert aligned == []


def test_a_messengers_copy_among_them_is_found_in_another_month(shelf: Shelf) -> None:
    for number, month in enumerate(MONTHS):
        shelf.add(
            f"{month}/IMG_{number}.jpg", "garden", str(number), captured=31 * DAY * number, camera="one"
        )
    shelf.small("2012/03/WA0001.jpg", "garden", exposure="5")
    shelf.look()
    assert shelf.proposals() == {"2012/03/WA0001.jpg": "2010/06/IMG_5.jpg"}


def test_a_shot_of_the_same_moment_filed_elsewhere_is_compared(
    shelf: Shelf, aligned: list[ProofRequest]
) -> None:
    shelf.add("2010/01/IMG_1.jpg", "garden", "1", captured=100.0, camera="one")
    shelf.add("2010/02/IMG_2.jpg", "garden", "2", captured=101.5, camera="one")
    shelf.look()
    assert [request.may.burst for request in aligned] == [True]


@pytest.mark.parametrize(("second", "camera"), [(103.0, "one"), (101.0, "two"), (101.0, "")])
def test_only_shots_of_one_moment_are_measured_for_a_burst(
    shelf: Shelf, aligned: list[ProofRequest], second: float, camera: str
) -> None:
    shelf.add("2010/01/IMG_1.jpg", "garden", "1", captured=100.0, camera="one")
    shelf.add("2010/01/IMG_2.jpg", "garden", "2", captured=second, camera=camera)
    shelf.look()
    assert [request.may.burst for request in aligned] == [False]


def test_photos_that_come_into_one_month_later_are_compared_then(
    shelf: Shelf, aligned: list[ProofRequest]
) -> None:
    for number, month in enumerate(MONTHS[:2]):
        shelf.add(f"{month}/IMG_{number}.jpg", "garden", str(number))
    shelf.look()
    assert aligned == []
    shelf.path(f"{MONTHS[1]}/IMG_1.jpg").rename(shelf.path(f"{MONTHS[0]}/IMG_1.jpg"))
    shelf.look()
    assert len(aligned) == 1


def test_searching_in_parts_finds_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[object] = []
    for at, part in (("whole", 256), ("parts", 3)):
        monkeypatch.setattr(compare, "FRESH", part)
        shelf = Shelf(tmp_path / at)
        for number, month in enumerate(MONTHS[:10]):
            shelf.pair(f"{month}/a.jpg", f"{MONTHS[number - 3]}/b{number}.jpg", f"scene {number}")
        shelf.look()
        found.append(shelf.stars())
        shelf.close()
    assert found[0] == found[1] and found[0]


def lapse(shelf: Shelf, numbers: Sequence[int], step: float = 10.0) -> None:
    for number in numbers:
        shelf.add(
            f"2024/06/G{number:04}.jpg", "garden", str(number), captured=step * number, camera="one",
            sharpness=float(number % 7),
        )  # fmt: skip


def test_frames_of_a_time_lapse_are_aligned_with_their_neighbours_in_time(
    shelf: Shelf, aligned: list[ProofRequest]
) -> None:
    lapse(shelf, range(80))
    shelf.small("2024/06/WA0001.jpg", "garden", exposure="40")
    shelf.look()
    among_frames = len(aligned) - 80  # the copy knows no time: it is compared with every frame
    assert among_frames < 80 * 14
    assert shelf.proposals() == {"2024/06/WA0001.jpg": "2024/06/G0040.jpg"}


def test_an_export_of_a_long_series_in_another_time_zone_is_found_for_review(shelf: Shelf) -> None:
    """The copies say that they were taken an hour later, each by the same camera."""
    for number in range(30):
        at = 20.0 * number
        shelf.add(f"2024/06/{number}.jpg", f"view {number}", captured=at, camera="one")
        shelf.small(f"2024/06/export/{number}.jpg", f"view {number}", captured=at + 3600.0, camera="one")
    shelf.look()
    assert len(shelf.stars()) == 30
    assert shelf.proposals() == {}


def test_a_time_lapse_gives_the_same_groups_however_its_frames_came_and_went(tmp_path: Path) -> None:
    found: list[object] = []
    for name, parts in (("once", [range(40)]), ("parts", [range(20, 40), range(0, 30, 3), range(30)])):
        shelf = Shelf(tmp_path / name)
        for part in parts:
            lapse(shelf, part)
            shelf.look()
        after = [shelf.stars()]
        for gone in (range(1, 8), range(25, 40)):  # at last it is a short series again
            for number in gone:
                shelf.path(f"2024/06/G{number:04}.jpg").unlink()
            shelf.look()
            shelf.clock.advance(3600)
            shelf.look()
            after.append(shelf.stars())
        fresh = Shelf(tmp_path / f"{name} fresh")
        lapse(fresh, [0, *range(8, 25)])
        fresh.look()
        assert after[-1] == fresh.stars()
        found.append(after)
        shelf.close()
        fresh.close()
    assert found[0] == found[1] and found[0]


def test_look_alikes_of_one_scene_are_compared_one_after_another() -> None:
    pairs = [
        Candidate(a=a, b=b, cosine=0.9, hash_distance=3) for a, b in ("be", "ad", "cf", "dg", "eh", "bh")
    ]
    together = compare._met_together(pairs)
    assert [pair.a + pair.b for pair in together] == ["ad", "dg", "be", "bh", "eh", "cf"]
    assert compare._met_together(reversed(pairs)) == together
