"""A narrowed scan does a part of what a full one does, and the next full one is as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dedupd.core.narrowing import Narrowing
from dedupd.ports import FileRequest, Ingested, Proof, ProofRequest
from tests.fakes.vision import FakeVision
from tests.support.shelf import Shelf


class Witness(FakeVision):
    """Tells which files it opened."""

    def __init__(self) -> None:
        super().__init__(model="lite0-gem/1")
        self.opened: set[str] = set()

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        self.opened |= {Path(r.path).name for r in requests}
        yield from super().ingest(requests)

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        self.opened |= {Path(path).name for r in requests for path in (r.path_a, r.path_b)}
        yield from super().prove(requests)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    made = Shelf(tmp_path)
    made.close()
    made.vision = Witness()
    made.open()
    yield made
    made.close()


def opened(shelf: Shelf) -> set[str]:
    assert isinstance(shelf.vision, Witness)
    found, shelf.vision.opened = shelf.vision.opened, set()
    return found


def family(shelf: Shelf) -> None:
    """One photo with a copy beside it, one in another folder, and a third folder's."""
    shelf.add("2024/06/a.jpg")
    shelf.small("2024/06/a small.jpg")
    shelf.small("2024/06/trip/a tiny.jpg", rendering="tiny")
    shelf.small("Shots/a shot.jpg", rendering="shot")


ALL = {"2024/06/a small.jpg", "2024/06/trip/a tiny.jpg", "Shots/a shot.jpg"}


@pytest.mark.parametrize(
    ("narrowing", "moves"),
    [
        (Narrowing(), ALL),
        (Narrowing(folders="within"), {"2024/06/a small.jpg"}),
        (Narrowing(folders="across"), ALL - {"2024/06/a small.jpg"}),
        (Narrowing(exclude=("Shots",)), ALL - {"Shots/a shot.jpg"}),
    ],
)
@pytest.mark.parametrize("known", [False, True], ids=["fresh", "seen before"])
def test_what_does_not_count_neither_moves_nor_shows(
    shelf: Shelf, narrowing: Narrowing, moves: set[str], known: bool
) -> None:
    family(shelf)
    if known:
        shelf.look()
    outcome = shelf.library.scan(yes=True, narrowing=narrowing)
    shown = {path for group in outcome.report["groups"] for path in group["duplicates"]}
    assert shown == moves
    assert ALL - shelf.files() == moves
    assert outcome.found == len(moves)
    assert outcome.report["total_duplicates"] == len(moves)
    assert outcome.waiting == 0


def test_what_is_excluded_keeps_nothing(shelf: Shelf) -> None:
    family(shelf)
    shelf.look()
    assert set(shelf.proposals().values()) == {"2024/06/a.jpg"}
    before = shelf.files()
    outcome = shelf.library.scan(yes=True, narrowing=Narrowing(exclude=("a.jpg",)))
    assert (outcome.found, outcome.report["groups"], shelf.files()) == (0, [], before)


def test_a_dry_run_that_is_narrowed_leaves_the_next_full_scan_as_if_it_had_not_been(
    shelf: Shelf, tmp_path: Path
) -> None:
    family(shelf)
    other = Shelf(tmp_path / "other")
    family(other)
    other.look()
    for narrowing in (
        Narrowing(exclude=("Shots", "a small.jpg")),
        Narrowing(folders="across"),
        Narrowing(min_size=10**9),
    ):
        shelf.library.scan(dry_run=True, narrowing=narrowing)
    shelf.library.scan(dry_run=True)
    assert shelf.stars() == other.stars()
    assert shelf.proposals() == other.proposals()
    other.close()


def test_what_is_excluded_is_never_opened_and_compared_later(shelf: Shelf) -> None:
    shelf.add("2024/06/a.jpg")
    shelf.small("2024/06/a small.jpg")
    shelf.library.scan(dry_run=True, narrowing=Narrowing(exclude=("a.jpg",)))
    assert opened(shelf) == {"a small.jpg"}
    shelf.look()
    assert set(shelf.proposals()) == {"2024/06/a small.jpg"}
    opened(shelf)
    # It was seen by now: what comes is compared with it only by a scan that may open it.
    shelf.small("2024/06/a tiny.jpg", rendering="tiny")
    outcome = shelf.library.scan(yes=True, narrowing=Narrowing(exclude=("a.jpg",)))
    assert opened(shelf) == {"a small.jpg", "a tiny.jpg"}
    assert outcome.moved.files == 0
    shelf.again()
    shelf.look()
    assert set(shelf.proposals()) == {"2024/06/a small.jpg", "2024/06/a tiny.jpg"}


def test_smaller_files_are_not_opened(shelf: Shelf) -> None:
    large = shelf.add("2024/06/a.jpg", said={"keywords": ["x" * 500]})
    shelf.small("2024/06/a small.jpg")
    shelf.library.scan(dry_run=True, narrowing=Narrowing(min_size=large.stat().st_size))
    assert opened(shelf) == {"a.jpg"}


def test_what_moved_before_stays_moved_beside_its_keeper(shelf: Shelf) -> None:
    family(shelf)
    shelf.library.scan(yes=True)
    held, groups = shelf.files(), shelf.stars()
    for narrowing in (
        Narrowing(exclude=("2024", "a*")),
        Narrowing(min_size=10**9),
        Narrowing(folders="within"),
    ):
        report = shelf.library.scan(yes=True, narrowing=narrowing).report
        moved = {path for group in report["groups"] for path in group["moved_to"]}
        assert moved == ({"2024/06/a small.jpg"} if narrowing.folders == "within" else set())
        assert (shelf.files(), shelf.stars()) == (held, groups)


def test_a_photo_does_not_leave_an_excluded_companion_behind(shelf: Shelf) -> None:
    """P10: together or not at all, and what is excluded is not opened."""
    for name in ("one", "two"):
        shelf.add(f"2024/06/{name}.jpg")
        shelf.path(f"2024/06/{name}.mov").write_bytes(b"the same second")
    before = shelf.files()
    for excluded in ("*.mov", "one.mov", "two.mov"):
        outcome = shelf.library.scan(yes=True, narrowing=Narrowing(exclude=(excluded,)))
        assert (outcome.found, shelf.files()) == (0, before), excluded
    assert shelf.library.scan(yes=True, narrowing=Narrowing(min_size=20)).moved.files == 2


def test_the_companions_of_what_does_not_count_are_not_shown(shelf: Shelf) -> None:
    for name in ("2024/06/a", "2024/06/b", "Shots/c"):
        shelf.add(f"{name}.jpg")
        shelf.path(f"{name}.mov").write_bytes(b"the same second")
    shelf.library.scan(yes=True)
    report = shelf.library.scan(dry_run=True, narrowing=Narrowing(exclude=("Shots",))).report
    shown = {path for group in report["groups"] for path in group["moved_to"]}
    assert shown == {"2024/06/b.jpg", "2024/06/b.mov"}


def test_the_first_moves_are_not_through_when_a_part_of_them_is(shelf: Shelf) -> None:
    """Else the breaker would count against the rest."""
    family(shelf)
    shelf.look()
    shelf.library.movement.consent()
    shelf.library.scan(yes=True, narrowing=Narrowing(folders="within"))
    assert shelf.row.backlog_done_at is None


def test_a_reference_keeps_against_others_and_never_moves(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "Album/a.jpg")
    shelf.add("2024/06/same.jpg", "hill")
    shelf.add("Album/a long name, copy.jpg", "hill")
    shelf.look()
    assert shelf.proposals()["Album/a long name, copy.jpg"] == "2024/06/same.jpg"
    shelf.again(protected=(shelf.root / "Album",))
    shelf.library.scan(yes=True)
    assert {name for name in shelf.files() if name.startswith("Album/")} == {
        "Album/a.jpg",
        "Album/a long name, copy.jpg",
    }
    assert "2024/06/same.jpg" not in shelf.files(), "it went beside the reference"
    assert "2024/06/a.jpg" in shelf.files(), "it holds more than the reference, so a person decides (P16)"
    shelf.again(protected=())
    shelf.library.scan(yes=True)
    assert "Album/a long name, copy.jpg" in shelf.files(), "a keeper of held copies never moves (P7)"
    shelf.close()
