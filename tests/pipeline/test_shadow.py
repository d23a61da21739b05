"""Another model in the shadow: what is in force stays until the switch, and the switch does what was said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dedupd.core.photo import Candidate
from dedupd.library import Library
from dedupd.pipeline import shadow as shadows
from dedupd.pipeline.tune import Difference, tune
from dedupd.ports import FileRequest, Ingested, Proposal, Vision
from tests.fakes.vision import FakeVision
from tests.support.shelf import Shelf

OTHER = "other/1"


class Stern(FakeVision):
    """Another model: what merely resembles is far apart for it, two scenes of a kind are near. Counts its work."""

    def __init__(self, model: str = OTHER, alike: tuple[str, ...] = ()) -> None:
        super().__init__(model=model)
        self.alike = alike
        self.tidied: list[list[str]] = []
        self.bars: set[float | None] = set()

    def propose(
        self,
        fresh: Sequence[str],
        among: Sequence[str] | None,
        min_cosine: float | None = None,
        bar: float | None = None,
        spared: float | None = None,
        sizes: Sequence[int] = (),
    ) -> Iterator[Proposal]:
        self.bars.add(bar)
        for part in super().propose(fresh, among, min_cosine, bar, spared, sizes):
            shown = [pair for pair in part.pairs if pair.hash_distance == 0 or self._shown(pair)]
            yield replace(part, pairs=shown)

    def _shown(self, pair: Candidate) -> bool:
        return self.index[pair.a]["scene"] in self.alike

    def tidy(self, keep: Sequence[str]) -> None:
        self.tidied.append(list(keep))


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """A moved copy, a copy told apart by a person, one that waits, two that merely resemble each other."""
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/moved.jpg", "2024/06/moved-small.jpg", "pier")
    shelf.pass_()
    shelf.pair("2024/06/told.jpg", "2024/06/told-small.jpg", "tower")
    shelf.look()
    shelf.library.verdicts.reject(
        [g.id for g in shelf.ledger.groups.all() if any(m.role != "moved" for m in g.members)]
    )
    shelf.pair("2024/07/lake.jpg", "2024/07/lake-small.jpg", "lake")
    shelf.add("2024/07/hill.jpg", "hill", exposure="1")
    shelf.add("2024/07/hill2.jpg", "hill", exposure="2")
    shelf.look()
    yield shelf
    shelf.close()


def prepared(shelf: Shelf, monkeypatch: pytest.MonkeyPatch, vision: Vision | None = None) -> Library:
    other = vision or Stern()
    monkeypatch.setattr(Library, "vision_worker", lambda self, name="": other)
    return shelf.library


def difference(library: Library) -> Difference:
    model = shadows.in_preparation(library.ledger)
    assert model is not None
    return tune(library.ledger, library.disk, library.roots.all, library.settings, library.settings, model)


def state(shelf: Shelf) -> dict[str, Any]:
    """All that is in force."""
    ledger = shelf.ledger
    return {
        "model": (ledger.get("embedder"), ledger.get("model")),
        "stars": shelf.stars(),
        "verdicts": ledger.verdicts.all(),
        "moves": ledger.journal.moves(),
        "files": shelf.files(),
        "pairs": {
            (p.a, p.b, p.cosine) for c in ledger.contents.live() for p in ledger.pairs.among([c], ledger.get("model"))
        },
    }  # fmt: skip


def outcome(shelf: Shelf) -> tuple[dict[str, str], dict[str, str]]:
    """What waits to move and what waits for a person, as groups say it: path -> keeper."""
    views = shelf.views()
    moves = {p: v.keep for v in views for p in v.duplicates if p not in v.moved_to}
    return moves, {p: v.keep for v in views for p in v.review}


def test_preparing_changes_nothing_in_force(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    before = state(shelf)
    library = prepared(shelf, monkeypatch)
    assert library.models.prepare(OTHER)
    difference(library)
    assert state(shelf) == before


def test_what_was_said_is_what_then_happens(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    library = prepared(shelf, monkeypatch)
    library.models.prepare(OTHER)
    said = difference(library)
    assert outcome(shelf) == (said.now.moves, said.now.review)
    assert said.now.review, "the hill of two exposures waits for a person under the first model"
    before = state(shelf)
    library.models.switch(OTHER)
    after = state(shelf)
    assert outcome(shelf) == (said.then.moves, said.then.review)
    assert said.fewer_review == ["2024/07/hill2.jpg"] or said.fewer_review == ["2024/07/hill.jpg"]
    assert after["model"] == (OTHER, OTHER)
    assert [after[k] for k in ("verdicts", "moves", "files")] == [
        before[k] for k in ("verdicts", "moves", "files")
    ]
    moved = {g.keep: g.moved_to for g in shelf.views() if g.moved_to}
    assert moved == {"2024/06/moved.jpg": {"2024/06/moved-small.jpg": "2024/06/duplicates/moved-small.jpg"}}
    shelf.pass_()
    assert outcome(shelf) == ({}, {})
    assert "2024/06/told-small.jpg" in shelf.files()


def test_after_the_switch_nothing_of_the_old_model_is_left(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stern = Stern()
    library = prepared(shelf, monkeypatch, stern)
    library.models.use(OTHER)
    assert stern.tidied == [[]]
    for content in shelf.ledger.contents.live():
        assert shelf.ledger.pairs.among([content], "lite0-gem/1") == []
    assert library.models.in_force == OTHER
    assert shelf.ledger.get(shadows.IN_SHADOW) == ""
    incremental = shelf.stars()
    with shelf.ledger.transaction():
        shelf.ledger.pairs.forget()
    library.grouper.regroup(everything=True)
    assert shelf.stars() == incremental


def test_only_pairs_that_were_never_measured_are_measured(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stern = Stern(alike=("hill",))
    prepared(shelf, monkeypatch, stern).models.prepare(OTHER)
    assert stern.proved == []  # the first model had proposed all of these
    shelf.add("2024/08/a.jpg", "wood", exposure="1")
    shelf.add("2024/08/b.jpg", "wood", exposure="2")
    stern.alike = ("hill", "wood")
    blind = FakeVision(model="lite0-gem/1")
    blind.index = shelf.vision.index
    monkeypatch.setattr(blind, "propose", lambda *_: [])
    shelf.library.change_vision(blind)
    shelf.look()
    shelf.library.models.prepare(OTHER)
    assert len(stern.proved) == 1


def test_a_stopped_preparation_goes_on_where_it_was_while_the_old_model_decides(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "BATCH", 2)
    stern = Stern()
    library = prepared(shelf, monkeypatch, stern)
    assert not library.models.prepare(OTHER, stop=after(2))
    assert len(stern.looked) == 4
    shelf.pair("2024/09/new.jpg", "2024/09/new-small.jpg", "shore")
    shelf.pass_()
    assert library.models.in_force == "lite0-gem/1"
    assert "2024/09/duplicates/new-small.jpg" in shelf.files()
    shelf.again()
    assert shelf.library.models.prepare(OTHER)
    assert stern.missing(shelf.ledger.contents.live()) == []
    assert len(stern.looked) == len(set(stern.looked))


def after(calls: int) -> Callable[[], bool]:
    left = iter([False] * calls)
    return lambda: next(left, True)


def test_a_switch_that_fails_leaves_the_old_model_whole(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = prepared(shelf, monkeypatch)
    library.models.prepare(OTHER)
    before, months = state(shelf), shelf.ledger.months.all()
    real = shadows.decide
    calls = iter(range(10))

    def broken(*arguments: Any) -> set[str]:
        if next(calls):
            raise OSError("no space left on device")
        return real(*arguments)

    monkeypatch.setattr(shadows, "decide", broken)
    with pytest.raises(OSError, match="no space"):
        library.models.switch(OTHER)
    assert state(shelf) == before
    assert shelf.ledger.months.all() == months


def test_choosing_the_model_in_force_forgets_the_other(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    library = prepared(shelf, monkeypatch)
    library.models.prepare(OTHER)
    before = state(shelf)
    prepared(shelf, monkeypatch, FakeVision(model="lite0-gem/1"))
    assert library.models.prepare("lite0")
    assert shadows.in_preparation(shelf.ledger) is None
    assert state(shelf) == before
    content = shelf.ledger.contents.live()[0]
    assert not shelf.ledger.pairs.among([content], OTHER)


def test_a_third_model_takes_the_place_of_the_second(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    library = prepared(shelf, monkeypatch)
    library.models.prepare(OTHER)
    prepared(shelf, monkeypatch, Stern("third/1"))
    library.models.prepare("third/1")
    assert shadows.in_preparation(shelf.ledger) == "third/1"
    pairs = [p for c in shelf.ledger.contents.live() for p in shelf.ledger.pairs.among([c], OTHER)]
    assert pairs == []


def test_a_copy_that_comes_back_is_seen_by_the_new_model(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(shelf, monkeypatch).models.use(OTHER)
    shelf.pair("2024/10/x.jpg", "2024/10/x-small.jpg", "dune")
    shelf.look()
    (move,) = [m for m in shelf.ledger.journal.moves(held=True) if "moved-small" in m.src]
    taken = shelf.path("2024/06/taken.jpg")
    shelf.path(move.dst).rename(taken)
    shelf.clock.advance(100)
    shelf.look()
    assert shelf.ledger.pairs.has(*sorted((move.content, move.keeper_content)), OTHER)


def test_a_photo_the_new_model_cannot_look_at_keeps_nobody_waiting(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    stern = Stern()
    stern.poison = {"hill.jpg"}
    library = prepared(shelf, monkeypatch, stern)
    assert library.models.prepare(OTHER)
    library.models.switch(OTHER)
    skipped = {f.path for f in shelf.ledger.files.of_root(1) if f.state == "skipped"}
    assert skipped == {"2024/07/hill.jpg"}
    assert "2024/07/hill.jpg" in shelf.files()


class Slow(Stern):
    """Answers while another thing happens to the file."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self.act = act

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        self.act()
        return super().ingest(requests)


def test_a_photo_that_changes_meanwhile_is_seen_as_it_is_in_the_end(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow(lambda: None)
    library = prepared(shelf, monkeypatch, slow)
    slow.act = lambda: (
        shelf.add("2024/07/hill2.jpg", "lake", rendering="third", width=500, height=400),
        None,
    )[1]
    library.models.prepare(OTHER)
    slow.act = lambda: None
    shelf.look()
    library.models.switch(OTHER)
    assert set(outcome(shelf)[0]) == {"2024/07/lake-small.jpg", "2024/07/hill2.jpg"}
