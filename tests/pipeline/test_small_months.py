"""Many small months: their pairs are measured together, so that all cores are busy, and each month stands for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dedupd.pipeline import compare
from dedupd.ports import Proof, ProofRequest
from tests.support.safe_points import at
from tests.support.shelf import Shelf

MONTHS = [f"{2000 + number // 12}/{number % 12 + 1:02}" for number in range(40)]


def scenes(shelf: Shelf, months: Iterable[str], exposures: Sequence[str] = ("1", "2")) -> None:
    """Photos of one scene a month, with nothing to say that they are of two moments: compared within their month only."""
    for month in months:
        for exposure in exposures:
            shelf.add(f"{month}/{exposure}.jpg", f"scene of {month}", exposure)
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()


@pytest.fixture
def together(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pairs the eyes were asked to measure, each time."""
    asked: list[int] = []
    usual = shelf.vision.prove

    def prove(requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        asked.append(len(requests))
        return usual(requests)

    monkeypatch.setattr(shelf.vision, "prove", prove)
    return asked


def waiting(shelf: Shelf) -> list[str]:
    return [row.month for row in shelf.ledger.months.all() if row.waiting]


def left(shelf: Shelf) -> dict[str, int]:
    """Month -> photos of which something is left to compare."""
    counts = {row.month: shelf.ledger.deferred.count(shelf.vision.model, shelf.row.id, row.month)
              for row in shelf.ledger.months.all()}  # fmt: skip
    return {month: number for month, number in counts.items() if number}


def test_pairs_of_many_months_are_measured_together(shelf: Shelf, together: list[int]) -> None:
    scenes(shelf, MONTHS)
    shelf.library.grouper.regroup()
    assert together == [8, 16, 16]
    assert len(shelf.stars()) == len(MONTHS)
    assert waiting(shelf) == []


@pytest.mark.parametrize(("at_hand", "at_once"), [(1, 1), (5, 1), (5, 5), (1000, 1000)])
def test_however_many_are_searched_and_measured_together_the_groups_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_hand: int, at_once: int
) -> None:
    """Some of their photos came earlier, or lie in other months too."""
    found: list[object] = []
    usual = compare.AT_HAND, compare.AT_ONCE
    for name, most in (("usual", usual), ("patched", (at_hand, at_once))):
        monkeypatch.setattr(compare, "AT_HAND", most[0])
        monkeypatch.setattr(compare, "AT_ONCE", most[1])
        shelf = Shelf(tmp_path / name)
        scenes(shelf, MONTHS[:6], ("1",))
        shelf.library.grouper.regroup()
        scenes(shelf, MONTHS[3:9])
        shelf.small(f"{MONTHS[2]}/copy.jpg", f"scene of {MONTHS[7]}")
        shelf.add(f"{MONTHS[0]}/again.jpg", f"scene of {MONTHS[8]}")
        shelf.look()
        assert len(shelf.vision.proved) == len(set(shelf.vision.proved))
        found.append((shelf.stars(), waiting(shelf), left(shelf)))
        shelf.close()
    assert found[0] == found[1]
    assert found[0][0]  # type: ignore[index]


def test_they_are_never_more_than_is_asked_for_and_those_of_one_month(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "AT_HAND", 4)
    measured: list[int] = []
    usual = compare.Comparison._measure

    def measure(comparison: compare.Comparison, parts: Sequence[compare._Part], *rest: Any) -> bool:
        measured.append(sum(len(part.pairs) for part in parts))
        return usual(comparison, parts, *rest)

    monkeypatch.setattr(compare.Comparison, "_measure", measure)
    scenes(shelf, MONTHS[:9], ("1", "2", "3"))
    shelf.library.grouper.regroup()
    assert [number for number in measured if number] == [6, 6, 6, 6, 3]


def test_months_with_nothing_to_measure_do_not_pile_up(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another threshold all are searched for again within their months, and not across the library."""
    scenes(shelf, MONTHS, ("1",))
    shelf.library.grouper.regroup()
    shelf.again(threshold=0.7)
    searched, noted = list[str](), set[int]()
    propose, usual = shelf.vision.propose, shelf.ledger.pairs.compared

    def search(fresh: Sequence[str], among: Sequence[str] | None, *bars: float | None) -> Any:
        assert among is not None
        searched.extend(fresh)
        return propose(fresh, among, *bars)

    def compared(contents: Iterable[str], *rest: str) -> None:
        noted.add(len(searched))
        usual(contents, *rest)

    monkeypatch.setattr(compare, "FRESH", 10)
    monkeypatch.setattr(compare, "ASKED", 10)
    monkeypatch.setattr(shelf.vision, "propose", search)
    monkeypatch.setattr(shelf.ledger.pairs, "compared", compared)
    shelf.library.grouper.regroup()
    assert sorted(noted) == [10, 20, 30, 40], "after each ten photos what was compared is written down"


def test_what_cannot_be_read_concerns_its_own_month(shelf: Shelf) -> None:
    scenes(shelf, MONTHS[:5])
    bad = shelf.ledger.files.at(shelf.row.id, f"{MONTHS[2]}/1.jpg")
    assert bad is not None and bad.content
    shelf.vision.unreadable.add(bad.content)
    shelf.library.grouper.regroup()
    assert len(shelf.stars()) == 4
    assert left(shelf) == {MONTHS[2].replace("/", "-"): 2}
    shelf.vision.unreadable.clear()
    assert shelf.library.grouper.compare_deferred()
    assert waiting(shelf) == [MONTHS[2].replace("/", "-")]
    shelf.library.grouper.regroup()
    assert len(shelf.stars()) == 5


def test_what_the_index_lacks_concerns_its_own_month(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    scenes(shelf, MONTHS[:5])
    bad = shelf.ledger.files.at(shelf.row.id, f"{MONTHS[2]}/1.jpg")
    assert bad is not None and bad.content
    seen = shelf.vision.index.pop(bad.content)
    with monkeypatch.context() as patch:
        patch.setattr(shelf.vision, "ingest", lambda requests: iter(()))
        shelf.library.grouper.regroup()
    assert len(shelf.stars()) == 4
    assert left(shelf) == {}
    shelf.vision.index[bad.content] = seen
    shelf.add(f"{MONTHS[2]}/other.jpg", "other")
    shelf.look()
    assert len(shelf.stars()) == 5


@pytest.mark.parametrize("among", [1, 2, 3, 5])
def test_whoever_stops_it_again_and_again_loses_nothing(
    shelf: Shelf, together: list[int], among: int
) -> None:
    """Each `among`-th time it is asked, it ends."""
    scenes(shelf, MONTHS[:12])
    rounds = 0
    while waiting(shelf):
        before, asked = len(waiting(shelf)) + len(MONTHS) * len(shelf.vision.proved), count(1)
        shelf.library.grouper.regroup(stop=lambda: next(asked) % (among + 1) == 0)  # noqa: B023
        assert len(waiting(shelf)) + len(MONTHS) * len(shelf.vision.proved) != before, (
            "something is done each time"
        )
        rounds += 1
        assert rounds < 40
    assert rounds > 1
    assert len(shelf.vision.proved) == len(set(shelf.vision.proved)), "none was measured twice"
    assert len(shelf.stars()) == 12


def test_months_with_a_photo_in_common_are_not_searched_at_once(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes(shelf, MONTHS[:6])
    for name in ("1.jpg", "2.jpg"):
        shelf.path(f"{MONTHS[4]}/again {name}").write_bytes(shelf.path(f"{MONTHS[1]}/{name}").read_bytes())
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    sizes, propose = list[int](), shelf.vision.propose

    def search(*asked: Any) -> Any:
        if asked[1] is not None:
            assert len(set(asked[1])) == len(asked[1])
            sizes.append(len(asked[1]))
        return propose(*asked)

    monkeypatch.setattr(shelf.vision, "propose", search)
    shelf.library.grouper.regroup()
    assert sizes == [8, 6]
    assert len(shelf.vision.proved) == 6


@pytest.mark.parametrize(("at_once", "then"), [(1, "a" * 2 + "am" * 11 + "m"), (512, "a" * 13 + "m")])
def test_people_are_asked_between_any_two_months(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, at_once: int, then: str
) -> None:
    """Also of those that are searched at once."""
    monkeypatch.setattr(compare, "AT_ONCE", at_once)
    scenes(shelf, MONTHS[:12])
    order: list[str] = []
    propose = shelf.vision.propose

    def search(fresh: Sequence[str], among: Sequence[str] | None, *bars: float | None) -> Any:
        order.append("month" if among is not None else "all")
        return propose(fresh, among, *bars)

    def stop() -> bool:
        order.append("asked")
        return False

    shelf.vision.propose = search  # type: ignore[method-assign]
    shelf.library.grouper.regroup(stop=stop)
    assert "".join(each[0] for each in order).startswith(then)


def test_a_kill_between_two_of_them_leaves_all_to_be_compared_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenes(shelf, MONTHS[:6])
    usual, noted = shelf.ledger.pairs.compared, list[str]()

    def killed(contents: Sequence[str], place: str, *rest: str) -> None:
        if place:
            noted.append(place)
        if len(noted) > 3:
            raise KilledError
        usual(contents, place, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(shelf.ledger.pairs, "compared", killed)
        with pytest.raises(KilledError):
            shelf.library.grouper.regroup()
    assert len(waiting(shelf)) == 6
    for month in noted:
        files = shelf.ledger.files.live_in_month(shelf.row.id, month.partition(":")[2])
        contents = [file.content for file in files if file.content]
        rows = shelf.ledger._link.execute("SELECT content FROM compared WHERE month=?", (month,)).fetchall()
        assert len(contents) == 2 and rows == [], "all of what is measured together is noted, or nothing"
    shelf.library.grouper.regroup()
    assert len(shelf.vision.proved) == 6, "what was measured is kept"
    assert len(shelf.stars()) == 6


class KilledError(Exception):
    """The process ended here."""


def test_what_comes_into_a_month_that_is_at_hand_keeps_it_waiting(shelf: Shelf) -> None:
    """Others are searched for before its pairs are measured; what came meanwhile was not compared with it."""
    scenes(shelf, MONTHS[:6])

    def arrive() -> None:
        shelf.add(f"{MONTHS[1]}/3.jpg", f"scene of {MONTHS[1]}", "3")
        shelf.library.roots.reconcile()
        shelf.library.passes.ingest()

    shelf.library.grouper.regroup(stop=at(5, arrive))
    assert waiting(shelf) == [MONTHS[1].replace("/", "-")]
    shelf.library.grouper.regroup()
    assert len(shelf.vision.proved) == 5 + 3
    assert waiting(shelf) == []


def test_what_leaves_a_month_that_is_at_hand_is_compared_when_it_is_back(shelf: Shelf) -> None:
    scenes(shelf, MONTHS[:6])
    photo, elsewhere = shelf.path(f"{MONTHS[1]}/1.jpg"), shelf.at / "elsewhere"

    def leave() -> None:
        photo.rename(elsewhere)
        shelf.library.roots.reconcile()

    shelf.library.grouper.regroup(stop=at(5, leave))
    assert len(shelf.stars()) == 5
    elsewhere.rename(photo)
    shelf.look()
    assert len(shelf.stars()) == 6


@pytest.mark.parametrize(("elsewhere", "point"), [("", 5), (MONTHS[8], 4)])
def test_who_came_while_a_photo_at_hand_was_away_meets_it_when_it_is_back(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, elsewhere: str, point: int
) -> None:
    """A scan that somebody asked for comes in between, and another exposure in the same month or a copy in another one."""
    monkeypatch.setattr(compare, "PROOFS", (1, 1))
    scenes(shelf, MONTHS[:4])
    if elsewhere:  # so that pairs are measured across the library, too
        for month in MONTHS[:4]:
            shelf.small(f"{MONTHS[7]}/{month.replace('/', '-')}.jpg", f"scene of {month}")
        shelf.library.roots.reconcile()
        shelf.library.passes.ingest()
    scene, photo, away = f"scene of {MONTHS[1]}", shelf.path(f"{MONTHS[1]}/1.jpg"), shelf.at / "away"
    new = f"{elsewhere or MONTHS[1]}/new.jpg"

    def come_and_go() -> None:
        photo.rename(away)
        shelf.small(new, scene, "smaller") if elsewhere else shelf.add(new, scene, "3")
        shelf.look()
        away.rename(photo)
        shelf.library.roots.reconcile()

    shelf.library.grouper.regroup(stop=at(point, come_and_go))
    shelf.look()
    files = [shelf.ledger.files.at(shelf.row.id, path) for path in (f"{MONTHS[1]}/1.jpg", new)]
    one, other = sorted(file.content for file in files if file and file.content)
    assert shelf.ledger.pairs.has(one, other)


def test_progress_counts_the_photos_of_all_months_at_hand(shelf: Shelf) -> None:
    scenes(shelf, MONTHS)
    told: list[tuple[str, int, int]] = []
    shelf.library.grouper.regroup(on_progress=lambda *progress: told.append(progress))
    months = [(done, total) for phase, done, total in told if phase == "compare"]
    assert months == [(number, len(MONTHS)) for number in range(len(MONTHS))]
    pairs = [(done, total) for phase, done, total in told if phase == "prove"]
    assert pairs[0] == pairs[-1] == (2 * len(MONTHS), 2 * len(MONTHS)), (
        "across the library, and within the months"
    )
    assert [done for done, _ in pairs[1:]] == sorted(done for done, _ in pairs[1:])
    assert {total for _, total in pairs} == {2 * len(MONTHS)}
