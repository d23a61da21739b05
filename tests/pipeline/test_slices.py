"""Long work in slices: each takes about as long as the others, and what is done between two of them is kept."""

from __future__ import annotations

import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.adapters.ledger import group_rows
from dedupd.core.month import Month
from dedupd.core.photo import Evidence
from dedupd.pipeline import consent
from dedupd.pipeline.slices import SLICE_SECONDS, Stop, slices, wait
from tests.fakes.clock import FakeClock
from tests.support.shelf import Shelf


@given(st.integers(0, 500), st.integers(1, 20), st.integers(20, 100), st.lists(st.floats(0, 30), max_size=40))
def test_slices_hold_all_once_in_order_and_keep_their_bounds(
    count: int, fewest: int, most: int, costs: list[float]
) -> None:
    clock = FakeClock()
    found: list[int] = []
    for number, part in enumerate(slices(range(count), clock, fewest, most)):
        assert len(part) <= most and (len(part) >= fewest or found + list(part) == list(range(count)))
        found += part
        clock.advance(costs[number % len(costs)] if costs else 0.0)
    assert found == list(range(count))


@pytest.mark.parametrize("each", [0.002, 0.01, 0.1])
def test_a_slice_takes_about_as_long_whatever_one_thing_costs(each: float) -> None:
    clock, sizes = FakeClock(), list[int]()
    for part in slices(range(5000), clock, 8, 1000):
        clock.advance(each * len(part))
        sizes.append(len(part))
    assert 0.9 * SLICE_SECONDS <= each * max(sizes) <= 1.1 * SLICE_SECONDS


def test_a_wait_ends_early_when_it_is_told_to() -> None:
    clock = FakeClock()
    wait(5.0, clock, now_and_then(3))
    assert sum(clock.slept) < 2.0
    wait(5.0, clock, now_and_then(1000))
    assert sum(clock.slept) >= 5.0


def now_and_then(every: int) -> Stop:
    """True at each `every`-th safe point."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked % every == 0

    return stop


def months_of_copies(shelf: Shelf, months: int, each: int) -> None:
    for month in range(1, months + 1):
        for number in range(each):
            shelf.pair(
                f"2024/{month:02}/a{number}.jpg", f"2024/{month:02}/b{number}.jpg", f"{month} {number}"
            )


def test_a_comparison_that_is_stopped_again_and_again_comes_to_its_end(shelf: Shelf) -> None:
    """A pass threw its whole search away whenever something more urgent came: large months were never grouped."""
    months_of_copies(shelf, 2, 40)
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    searches = count_searches(shelf)
    rounds = 0
    while any(m.waiting for m in shelf.ledger.months.all()):
        shelf.library.grouper.regroup(stop=now_and_then(2))
        rounds += 1
        assert rounds < 40
    assert rounds > 3, "it was stopped on the way"
    assert searches() < 60, "what was searched for and measured is not searched for again"
    assert len(shelf.proposals()) == 80


def count_searches(shelf: Shelf) -> Callable[[], int]:
    usual, asked = shelf.vision.propose, list[int]()

    def propose(*arguments: object, **named: object) -> object:
        asked.append(1)
        return usual(*arguments, **named)  # type: ignore[arg-type]

    shelf.vision.propose = propose  # type: ignore[method-assign]
    return lambda: len(asked)


def test_moves_that_are_stopped_are_whole_and_go_on_later(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 40)
    shelf.look()
    shelf.library.movement.consent()
    first = shelf.library.movement.move(stop=now_and_then(3))
    assert 0 < first.files < 40 and first.stayed == 0
    assert shelf.row.backlog_done_at is None
    assert len(shelf.proposals()) == 40 - first.files
    second = shelf.library.movement.move()
    assert first.files + second.files == 40, "the breaker does not count before the first moves are through"
    assert shelf.row.backlog_done_at is not None


def test_a_round_of_moves_holds_little_of_each_file(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon grew by 6 KB for each file of a first yes: what spoke for each lay in memory to the end."""
    months_of_copies(shelf, 1, 40)
    shelf.look()
    shelf.library.movement.consent()
    reading, read = group_rows.evidence_from_json, list[int]()

    def counted(text: str) -> Evidence:
        read.append(1)
        return reading(text)

    monkeypatch.setattr(group_rows, "evidence_from_json", counted)
    found = consent.allowed(shelf.ledger, shelf.row, shelf.clock.now())
    assert found.files == 40 and not read
    moved = shelf.library.movement.move()
    assert len(moved.moves) == 40 and len(pickle.dumps(moved.moves)) < 40 * 120
    assert shelf.library.movement.months_of(moved, {}) == {shelf.row.id: {"2024-01"}}


def test_of_what_a_person_asked_for_all_that_stays_is_counted(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 40)
    shelf.look()
    moved = shelf.library.verdicts.approve_all(stop=now_and_then(3))
    assert moved.stayed == 40 - moved.files > 0
    assert any("dedupd was stopped" in sentence for sentence in moved.messages)


def test_a_no_between_two_slices_is_heard(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 40)
    shelf.look()
    last = max(shelf.ledger.groups.all(), key=lambda group: group.id)
    kept = shelf.ledger.files.get(last.members[0].file)
    assert kept is not None

    def say_no() -> bool:
        if shelf.ledger.groups.get(last.id) is not None:
            shelf.library.verdicts.reject([last.id])
        return False

    moved = shelf.library.verdicts.approve_all(stop=say_no)
    assert moved.files == 39
    assert shelf.path(kept.path).exists()


def test_what_waits_for_a_person_since_a_moment_ago_does_not_move(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 40)
    shelf.look()
    last = max(shelf.ledger.groups.all(), key=lambda group: group.id)

    def doubt() -> bool:
        with shelf.ledger.transaction():
            shelf.ledger.groups.set_role(last.id, last.members[0].file, "review", "looked at again")
        return False

    assert shelf.library.verdicts.approve_all(stop=doubt).files == 39


def test_a_no_to_many_groups_that_is_stopped_says_how_many_are_left(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 6)
    shelf.look()
    groups = [group.id for group in shelf.ledger.groups.all()]
    told = shelf.library.verdicts.reject(groups, stop=now_and_then(3))
    assert told.messages == ["3 group(s) stay as they are: dedupd was stopped"]
    assert len(shelf.proposals()) == 3


def test_one_act_is_one_batch_however_many_slices_it_takes(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 40)
    shelf.look()
    groups = [group.id for group in shelf.ledger.groups.all()]
    assert shelf.library.verdicts.approve(groups).files == 40
    assert shelf.library.movement.undo(shelf.library.movement.held(last=True)).undone == 40


def test_an_undo_that_is_stopped_puts_back_whole_units_and_says_what_is_left(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 40)
    shelf.look()
    shelf.library.verdicts.approve_all()
    back = shelf.library.movement.undo(shelf.library.movement.held(everything=True), stop=now_and_then(3))
    assert 0 < back.undone < 40
    assert any(f"{40 - back.undone} file(s) are not put back" in sentence for sentence in back.messages)
    assert (
        shelf.library.movement.undo(shelf.library.movement.held(everything=True)).undone == 40 - back.undone
    )


def test_a_scan_that_is_stopped_moves_nothing_more(shelf: Shelf) -> None:
    months_of_copies(shelf, 1, 4)
    outcome = shelf.library.scan(yes=True, months=[Month(2024, 1)], stop=now_and_then(1))
    assert outcome.moved.files == 0
    assert shelf.library.scan(yes=True).moved.files == 4
