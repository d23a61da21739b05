"""How much of each file an act holds: a library of a hundred thousand moves must fit into a small daemon."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.ledger import journal
from dedupd.adapters.ledger.verdict_rows import VerdictRows
from dedupd.core.records import HeldGroupRow
from dedupd.core.relocation import Move
from dedupd.pipeline import keepers, movement, purge
from dedupd.pipeline.verify import verify
from tests.support.shelf import Shelf

MANY = 24
DAY = 86_400.0


@pytest.fixture
def moved(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """One batch of many moves."""
    for number in range(MANY):
        shelf.pair(f"2024/01/{number}.jpg", f"2024/01/{number}-small.jpg", f"scene {number}")
    shelf.look()
    assert shelf.library.verdicts.approve_all().files == MANY
    monkeypatch.setattr(movement, "GROUPS", (2, 4))
    return shelf


def rows_alive() -> Callable[[], int]:
    """How many rows of the journal are held now, beyond those that were held before."""

    def count() -> int:
        return sum(isinstance(each, Move) for each in gc.get_objects())

    gc.collect()
    before = count()
    return lambda: count() - before


def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[Move]:
    """Every row of the journal that is read from now on."""
    read, reading = list[Move](), journal._from_row

    def noted(row: Any) -> Move:
        read.append(move := reading(row))
        return move

    monkeypatch.setattr(journal, "_from_row", noted)
    return read


def test_an_undo_of_all_holds_the_rows_of_one_slice(moved: Shelf) -> None:
    """The daemon grew from 49 to 131 MB while 20,250 files came back."""
    alive, most = rows_alive(), list[int]()

    def stop() -> bool:
        most.append(alive())
        return False

    library = moved.library
    back = library.movement.undo(library.movement.held(everything=True), stop=stop)
    assert back.undone == MANY and len(most) > MANY / 4
    assert max(most) <= 2 * 4
    assert library.movement.months_of(back, {}) == {moved.row.id: {"2024-01"}}


def test_what_people_said_of_other_photos_is_not_read_to_group_a_month(
    moved: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An undo of all leaves two verdicts for each file, and each month had read all of them."""
    library = moved.library
    _, said = library.verdicts.recording(
        lambda: library.movement.undo(library.movement.held(everything=True))
    )
    assert len(said) == 2 * MANY

    def all_of_them(self: VerdictRows, kind: str | None = None) -> list[object]:
        raise AssertionError("all verdicts were read")

    monkeypatch.setattr(VerdictRows, "all", all_of_them)
    assert moved.pass_().files == 0, "what a person put back stays"
    assert not moved.proposals()
    assert [each.id for each in library.reviewer.lessons(2, 3)] == said[2:5]
    library.verdicts.forget(*said)
    assert not library.reviewer.lessons() and len(moved.proposals()) == MANY


def test_a_purge_holds_the_rows_of_some_units_and_reads_no_others(
    moved: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each file it had read all moves of its batch: a hundred million rows for ten thousand files."""
    monkeypatch.setenv("XDG_DATA_HOME", str(moved.at / "data"))
    monkeypatch.setattr(purge, "UNITS", 4)
    moved.clock.advance(100 * DAY)
    moved.look()
    named = [move.id for move in moved.ledger.journal.moves(held=True)]
    alive, most, read = rows_alive(), list[int](), rows_read(monkeypatch)

    def stop() -> bool:
        read.clear()
        most.append(alive())
        return False

    library = moved.library
    asked = [c.why_not for c in library.purging.plan.candidates(moved.clock.now())]
    assert len(asked) == MANY and len(read) == MANY
    library.purging.purge(named[::-1], 0.0, stop=stop)
    assert max(most, default=0) <= 3 * 4


def test_of_a_purge_that_is_stopped_all_that_stays_is_counted(
    moved: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "UNITS", 4)
    named = [move.id for move in moved.ledger.journal.moves(held=True)]
    told = moved.library.purging.purge([*named, 999], 0.0, stop=lambda: True)
    assert (told.purged, told.stayed) == (0, MANY + 1)
    assert told.said[0] == "1 file(s) are not held (or not for so long) any more, and stay as they are"


def test_one_copy_that_is_gone_has_no_other_row_read(moved: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = moved.ledger.journal.moves(held=True)[3]
    moved.path(gone.dst).unlink()
    read = rows_read(monkeypatch)
    moved.library.roots.reconcile()
    assert {move.id for move in read} <= {gone.id}


def test_a_verify_holds_one_row_beside_the_receipts(moved: Shelf) -> None:
    alive, most = rows_alive(), list[int]()
    receipts = FileMover(moved.clock).receipts
    found = verify(
        moved.ledger, moved.library.disk, receipts, [moved.row], moved.library.roots.scope,
        lambda phase, done, total: most.append(alive()),
    )  # fmt: skip
    assert not list(found) and max(most) <= MANY + 2


def test_every_keeper_is_looked_at_a_few_rows_at_a_time(
    moved: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "ROWS", 5)
    found = [row.group for row in moved.library.movement.keepers.all(moved.row)]
    assert found == [row.group for row in moved.ledger.groups.with_held(moved.row)] and len(found) == MANY
    rows = moved.library.movement.keepers.all(moved.row)
    next(rows)
    gc.collect()
    assert sum(isinstance(each, HeldGroupRow) for each in gc.get_objects()) <= 5


def test_a_brief_outcome_of_a_scan_counts_the_groups_and_holds_none(moved: Shelf) -> None:
    moved.add("2024/02/a.jpg", "tower")
    moved.small("2024/02/b.jpg", "tower")
    outcome = moved.library.passes.scan(dry_run=True, brief=True)
    assert outcome.report == {}
    assert [(month.groups, month.found) for month in outcome.months] == [((), 1)]
    assert len(moved.library.passes.scan(dry_run=True).report["groups"]) == MANY + 1
