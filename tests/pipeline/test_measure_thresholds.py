"""A model's own thresholds: found on the library, kept with where they come from, used, and never another model's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.core.photo import Measures
from dedupd.core.relations import thresholds_for
from dedupd.core.thresholds import OwnThresholds
from dedupd.errors import NotCalibrated, UsageError
from dedupd.library import Library
from dedupd.pipeline.measure_thresholds import bars_in_force, own_thresholds
from dedupd.ports import Proof, ProofRequest
from tests.fakes.vision import FakeVision
from tests.pipeline.test_shadow import OTHER, Stern, after, prepared
from tests.support.shelf import Shelf

NOON = 1_718_400_000.0
BURST = Measures(
    method="orb", inliers=90, overlap_a=0.97, overlap_b=0.97, ncc=0.96, mean=5.0, worst=40.0, band_ncc=0.5, band_std=12.0,
    extra={"local": 0.2, "bad": 0.1, "tone": 0.02, "flow50": 1.0, "flow_share": 0.1},
)  # fmt: skip


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """Thirty scenes, each shot twice within a second by one camera, and a small copy of each first shot."""
    shelf = Shelf(tmp_path)
    for number in range(30):
        taken = {"camera": "Maker|One|", "captured": NOON + number * 90_000}
        shelf.add(f"2024/06/{number}a.jpg", f"scene {number}", "1", **taken)
        shelf.add(
            f"2024/06/{number}b.jpg", f"scene {number}", "2", **taken | {"captured": taken["captured"] + 1}
        )
        shelf.small(f"2024/06/{number}a-small.jpg", f"scene {number}")
    shelf.look()
    yield shelf
    shelf.close()


def burst_like(vision: FakeVision, shelf: Shelf) -> FakeVision:
    """Each second shot lies over the first as that of a burst does."""
    rows = {f.path.rpartition("/")[2]: f.content or "" for f in shelf.ledger.files.of_root(1)}
    for number in range(30):
        for other in (f"{number}a.jpg", f"{number}a-small.jpg"):
            vision.measures[frozenset((rows[other], rows[f"{number}b.jpg"]))] = BURST
    return vision


def bursts(shelf: Shelf) -> tuple[int, int]:
    """Unattended, and for a person."""
    members = [m for g in shelf.ledger.groups.all() for m in g.members if m.relation == "burst"]
    return sum(m.role == "duplicate" for m in members), sum(m.role == "review" for m in members)


def test_a_model_without_shipped_thresholds_measures_its_own_on_the_way(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = burst_like(Stern(alike=tuple(f"scene {n}" for n in range(30))), shelf)
    with shelf.ledger.transaction():
        shelf.ledger.pairs.forget()
    library = prepared(shelf, monkeypatch, vision)
    library.models.prepare(OTHER)
    own = own_thresholds(shelf.ledger, OTHER)
    assert own is not None
    assert (own.model, own.photos, own.copies, own.neighbours) == (OTHER, 90, 270, 30)
    assert own.at == shelf.clock.now()
    assert own.candidate == 0.8
    assert vision.bars == {own.candidate, own.across}
    assert set(own.quantiles) == {"copies", "strangers", "neighbours"}
    library.models.switch(OTHER)
    assert bars_in_force(shelf.ledger, OTHER) == own.bars
    summary = library.summaries.rewrite({shelf.row.id: {"2024-06"}})[0]
    assert summary.thresholds["burst"] == own.burst


class Glancing(Stern):
    """Eyes that take kept pictures' word for what may be no shot of one moment."""

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        for request, proof in zip(requests, super().prove(requests), strict=True):
            yield proof if request.may.moment else replace(proof, measures=Measures())


def test_neighbours_in_time_are_measured_as_shots_of_one_moment(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kept pictures settle no such pair near the bar from which the neighbours are counted."""
    with shelf.ledger.transaction():
        shelf.ledger.pairs.forget()
    prepared(shelf, monkeypatch, burst_like(Glancing(), shelf)).models.prepare(OTHER)
    own = own_thresholds(shelf.ledger, OTHER)
    assert own is not None and own.neighbours == 30


def test_thresholds_are_never_carried_to_another_model(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared(shelf, monkeypatch).models.use(OTHER)
    for other in ("open_clip:third/x", "timm:fourth.x"):
        bars = bars_in_force(shelf.ledger, other)
        assert bars == thresholds_for(other)
        assert not bars.calibrated
        assert bars.burst is None
    assert bars_in_force(shelf.ledger, "lite0-gem/1") == thresholds_for("lite0-gem/1")
    assert bars_in_force(shelf.ledger, OTHER, similar=0.5).similar == 0.5


def test_the_same_library_gives_the_same_thresholds(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    with shelf.ledger.transaction():
        shelf.ledger.pairs.forget()  # what a pair measures is the same whichever model proposed it
    library = prepared(shelf, monkeypatch, burst_like(Stern(), shelf))
    library.models.use(OTHER)
    first = own_thresholds(shelf.ledger, OTHER)
    shelf.clock.advance(1000)
    again = library.models.calibrate()
    assert first is not None
    assert again == replace(first, at=shelf.clock.now())


def test_a_stopped_calibration_goes_on(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    library = prepared(shelf, monkeypatch)
    library.models.use(OTHER)
    whole = library.models.calibrate()
    assert library.models.calibrate(stop=after(3)) is None
    assert library.models.calibrate() == whole


def test_until_it_has_thresholds_a_model_only_proposes_and_no_burst_moves(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = burst_like(FakeVision(model=OTHER), shelf)
    with shelf.ledger.transaction():
        shelf.ledger.pairs.forget()
    monkeypatch.setattr("dedupd.core.thresholds._FEWEST_PHOTOS", 1000)
    library = prepared(shelf, monkeypatch, vision)
    library.models.use(OTHER)
    assert own_thresholds(shelf.ledger, OTHER) is None
    unattended, asked = bursts(shelf)
    assert (unattended, asked > 0) == (0, True)
    with pytest.raises(NotCalibrated, match="too few"):
        library.models.calibrate()
    monkeypatch.undo()
    library.models.calibrate()
    own = own_thresholds(shelf.ledger, OTHER)
    assert own is not None
    assert own.burst is not None
    assert bursts(shelf)[0] == 0  # grouped by what was in force when it was grouped
    low = replace(own, burst=0.5)
    shelf.ledger.put(f"thresholds {OTHER}", low.to_json())
    library.grouper.regroup()
    assert bursts(shelf)[0] > 0


def test_shipped_thresholds_stay_in_force(shelf: Shelf) -> None:
    before = shelf.stars()
    found = shelf.library.models.calibrate()
    assert isinstance(found, OwnThresholds)
    assert own_thresholds(shelf.ledger, "lite0-gem/1") is None
    assert bars_in_force(shelf.ledger, "lite0-gem/1") == thresholds_for("lite0-gem/1")
    assert not any(m.waiting for m in shelf.ledger.months.all())
    assert shelf.stars() == before


def test_hashes_alone_have_nothing_to_measure(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.vision = FakeVision(model="")
    shelf.again()
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    with pytest.raises(UsageError, match="hashes alone"):
        shelf.library.models.calibrate()
    shelf.close()


def test_status_says_what_is_missing(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    from dedupd.pipeline.review import status_view

    def attention(library: Library) -> list[str]:
        return status_view(library.ledger, library.roots.all, daemon="stopped", now=0.0).attention

    with monkeypatch.context() as patch:
        patch.setattr("dedupd.core.thresholds._FEWEST_PHOTOS", 1000)
        prepared(shelf, monkeypatch).models.use(OTHER)
    assert any("models calibrate" in sentence for sentence in attention(shelf.library))
    shelf.library.models.calibrate()
    assert not any("models calibrate" in sentence for sentence in attention(shelf.library))
