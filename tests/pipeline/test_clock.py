"""Somebody sets the wall clock: nothing moves unasked that would have waited, and nothing waits for ever."""

from __future__ import annotations

import pytest

from dedupd.pipeline import consent
from tests.support.shelf import Shelf

MOST = 8
"""More than so many in an hour wait for a yes, here."""
YEAR = 365 * 86400.0


def flood(shelf: Shelf, month: str, count: int = MOST) -> None:
    for number in range(count):
        shelf.pair(f"2024/{month}/{number}.jpg", f"2024/{month}/{number}-small.jpg", f"{month} {number}")


def settled(shelf: Shelf) -> int:
    """How many files move, as the daemon tries again: what was changed in the future is known quiet by watching alone."""
    files = 0
    for _ in range(3):
        files += shelf.pass_(yes=False).files
        shelf.clock.advance(60)
    return files


@pytest.fixture
def moved(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """The first moves are through, and in this hour as many moved as may unasked."""
    monkeypatch.setattr(consent, "BREAKER_FILES", MOST)
    shelf.pair("2024/01/a.jpg", "2024/01/a-small.jpg")
    assert shelf.pass_().files == 1
    shelf.clock.advance(7200)
    flood(shelf, "06")
    assert shelf.pass_(yes=False).files == MOST
    shelf.clock.advance(60)
    return shelf


@pytest.mark.parametrize("seconds", [7200.0, YEAR, -7200.0, -YEAR])
def test_a_clock_that_is_set_does_not_open_the_breaker(moved: Shelf, seconds: float) -> None:
    moved.clock.jump(seconds)
    flood(moved, "07", 5)
    assert moved.pass_(yes=False).waiting == 5


def test_an_hour_later_they_go_by_themselves_again(moved: Shelf) -> None:
    flood(moved, "07", 5)
    moved.clock.advance(1800)
    assert moved.pass_(yes=False).waiting == 5
    moved.clock.advance(1800)
    assert moved.pass_(yes=False).files == 5
    moved.clock.jump(YEAR)
    flood(moved, "08", MOST - 5)
    assert settled(moved) == MOST - 5, "those of this hour count, and no others"


def test_a_yes_ends_the_doubt_of_a_clock_that_was_set_back(moved: Shelf) -> None:
    """What moved in a wrong future counted as moved within the hour, until that future came."""
    moved.clock.jump(-YEAR)
    moved.again()
    flood(moved, "07", 5)
    assert moved.pass_(yes=False).waiting == 5
    moved.library.verdicts.approve_all()
    assert settled(moved) == 5
    flood(moved, "08", MOST - 5)
    assert settled(moved) == MOST - 5


@pytest.mark.parametrize("held", [False, True])
def test_what_is_gone_is_given_its_time_after_the_clock_was_set_back(shelf: Shelf, held: bool) -> None:
    keeper, small = shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.pass_()
    gone = shelf.path("2024/06/duplicates/a-small.jpg") if held else keeper
    assert not small.exists()
    beside = gone.with_name("elsewhere")
    path = str(gone.relative_to(shelf.root))

    def known() -> bool:
        return shelf.ledger.files.at(shelf.row.id, path) is not None

    gone.rename(shelf.at / "elsewhere")
    shelf.library.roots.reconcile()
    shelf.clock.jump(-7200)
    shelf.library.roots.reconcile()
    assert known(), "a second later is no minute"
    shelf.clock.advance(61)
    shelf.library.roots.reconcile()
    assert not known()
    assert not beside.exists()


def test_a_scan_moves_what_was_changed_in_the_future(shelf: Shelf) -> None:
    """After the clock was set back, every file of the time between is younger than now: refused at each scan."""
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.clock.jump(-YEAR)
    shelf.again()
    outcome = shelf.library.scan(yes=True)
    assert (outcome.moved.files, outcome.moved.messages) == (1, [])
