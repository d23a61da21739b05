"""A full look goes in slices: what comes in between moves files, and the look goes by what is there then.

Whatever moved, from a folder that was looked at into one that was not or the other way round, is in the end neither
gone nor known twice.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from dedupd.core.photo import FileState
from dedupd.core.relocation import Goal, MoveState
from dedupd.daemon.engine import Engine, Urgency
from dedupd.errors import MoveRefused, Refusal
from dedupd.library import Library, Moved
from dedupd.pipeline import held_copies, reconcile
from dedupd.pipeline.slices import Stop
from tests.support.safe_points import at
from tests.support.shelf import Shelf

PATIENCE = 20.0


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of a folder, then a safe point."""
    monkeypatch.setattr(reconcile, "PART", (2, 2))
    monkeypatch.setattr(held_copies, "PART", (2, 2))


def ended_at(number: int) -> Stop:
    """True from the `number`-th safe point on."""
    left = iter(range(number - 1))
    return lambda: next(left, None) is None


def safe_points(shelf: Shelf) -> int:
    """How many there are in a look at this library as it is."""
    asked: list[int] = []
    shelf.library.roots.reconcile(stop=lambda: bool(asked.append(1)))
    return len(asked)


def as_on_disk(shelf: Shelf) -> None:
    """The ledger knows each file once, where it lies, and no other."""
    rows = shelf.ledger.files.of_root(shelf.row.id)
    held = {row.path for row in rows if row.state == FileState.HELD}
    assert all(row.absent_since is None for row in rows)
    assert sorted(row.path for row in rows) == sorted(shelf.files())
    assert held == {path for path in shelf.files() if "duplicates/" in path}


def filled(shelf: Shelf, months: int = 2) -> Shelf:
    """In each month two copies in duplicates/, their keepers, and a photo of its own."""
    for month in range(1, months + 1):
        for number in range(2):
            shelf.pair(
                f"2024/{month:02}/a{number}.jpg",
                f"2024/{month:02}/trip/b{number}.jpg",
                f"{month} {number}",
            )
        shelf.add(f"2024/{month:02}/z.jpg", f"{month}")
    assert shelf.pass_().files == 2 * months
    return shelf


def everywhere(shelf: Shelf, act: Callable[[], object], again: Callable[[], object]) -> None:
    """`act` at each safe point of a look, one after the other; `again` makes it possible once more."""
    number, before = 0, shelf.census()
    while number < safe_points(shelf):
        number += 1
        shelf.library.roots.reconcile(stop=at(number, act))
        as_on_disk(shelf)
        assert not shelf.library.roots.reconcile().any, f"safe point {number}: a second look finds something"
        assert shelf.census() == before
        again()
    assert number > 8


# ---- what dedupd moves


def test_what_comes_back_while_it_looks_is_there(shelf: Shelf) -> None:
    """Into a folder that is looked at already, one that is still to come, and one that was not there any more."""
    filled(shelf)
    empty(shelf)

    def again() -> None:
        move_aside(shelf)
        empty(shelf)

    everywhere(shelf, lambda: come_back(shelf), again)


def test_what_moves_aside_while_it_looks_is_held_and_known_once(shelf: Shelf) -> None:
    filled(shelf)
    come_back(shelf)
    everywhere(shelf, lambda: move_aside(shelf), lambda: come_back(shelf))


def come_back(shelf: Shelf) -> None:
    back = Moved()
    shelf.library.movement.undo_into(back, shelf.library.movement.held(everything=True), Goal.RETURNED)
    assert back.undone == 4


def move_aside(shelf: Shelf) -> None:
    shelf.library.grouper.regroup()
    assert shelf.library.movement.move().files == 4


def empty(shelf: Shelf) -> None:
    for month in (1, 2):
        shelf.path(f"2024/{month:02}/trip").rmdir()


# ---- what its owner moves, and an event tells of in between


@pytest.mark.parametrize(("frm", "to"), [("2024/02", "2024/01"), ("2024/01", "2024/02")])
def test_what_its_owner_sorts_from_one_month_into_another_is_the_same_photo(
    shelf: Shelf, frm: str, to: str
) -> None:
    filled(shelf)
    before = {row.id for row in shelf.ledger.files.of_root(shelf.row.id)}
    sides = [(frm, to), (to, frm)]

    def sort() -> None:
        source, goal = sides[0]
        os.rename(shelf.path(f"{source}/z.jpg"), shelf.path(f"{goal}/y.jpg"))
        os.rename(shelf.path(f"{goal}/y.jpg"), shelf.path(f"{goal}/sorted {source[-2:]}.jpg"))
        shelf.library.roots.reconcile_folders(shelf.row, {goal: False})

    for number in (1, 3, 6, 9):
        shelf.library.roots.reconcile(stop=at(number, sort))
        as_on_disk(shelf)
        assert {row.id for row in shelf.ledger.files.of_root(shelf.row.id)} == before
        os.rename(shelf.path(f"{to}/sorted {frm[-2:]}.jpg"), shelf.path(f"{frm}/z.jpg"))
        assert shelf.library.roots.reconcile().renamed == 1
        as_on_disk(shelf)


def test_a_folder_that_came_and_was_looked_at_in_between_is_not_gone(shelf: Shelf) -> None:
    filled(shelf)
    for number in range(1, safe_points(shelf) + 1):

        def arrive(folder: str = f"19{number:02}") -> None:
            shelf.add(f"{folder}/new.jpg", folder)
            assert shelf.library.roots.reconcile_folders(shelf.row, {folder: True}).new == 1

        shelf.library.roots.reconcile(stop=at(number, arrive))
        as_on_disk(shelf)


def test_what_is_found_elsewhere_while_it_is_believed_gone_is_there(shelf: Shelf) -> None:
    """A folder was moved out of the library; it comes in again at another place, in the middle of the look."""
    filled(shelf)
    for number in range(4):
        shelf.add(f"2025/01/{number}.jpg", f"2025 {number}")
    shelf.look()
    place = "2025/01"
    for number in range(1, safe_points(shelf) + 1):
        os.rename(shelf.path(place), shelf.at / "out")
        place = f"19{number:02}"

        def come_in_again(folder: str = place) -> None:
            os.rename(shelf.at / "out", shelf.path(folder))
            shelf.library.roots.reconcile_folders(shelf.row, {folder: True})

        shelf.library.roots.reconcile(stop=at(number, come_in_again))
        if (shelf.at / "out").exists():  # it has fewer safe points without that folder
            come_in_again()
        as_on_disk(shelf)


def test_what_is_opened_in_between_does_not_leave(shelf: Shelf) -> None:
    """The walk met a folder that is none of the library; by its end its owner said otherwise."""
    filled(shelf)
    shelf.add("first.jpg", "first")
    shelf.library.roots.reconcile()
    for number in (2, 3):
        shelf.path("2024/.nomedia").touch()
        shelf.library.roots.reconcile(stop=at(number, lambda: shelf.path("2024/.nomedia").unlink()))
        as_on_disk(shelf)


def test_a_disk_that_is_pulled_out_in_between_costs_nothing(shelf: Shelf) -> None:
    filled(shelf)
    rows = shelf.ledger.files.of_root(shelf.row.id)

    def pull() -> None:
        os.rename(shelf.root, shelf.at / "away")
        shelf.root.mkdir()

    for number in range(1, safe_points(shelf) + 1):
        shelf.library.roots.reconcile(stop=at(number, pull))
        assert shelf.ledger.files.of_root(shelf.row.id) == rows
        shelf.clock.advance(100)
        shelf.root.rmdir()
        os.rename(shelf.at / "away", shelf.root)


def test_a_copy_that_comes_back_while_what_is_missing_is_sought_is_not_taken_out(shelf: Shelf) -> None:
    """One is missing, so that the look asks where the held copies are; meanwhile the others are put back."""
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    os.rename(shelf.path(gone.dst), shelf.at / "out")
    for number in range(safe_points(shelf), safe_points(shelf) - 9, -1):
        shelf.library.roots.reconcile(stop=at(number, lambda: come_back_but(shelf, gone.dst)))
        shelf.library.roots.reconcile()
        rows = {row.path: row for row in shelf.ledger.files.of_root(shelf.row.id)}
        assert {path for path, row in rows.items() if row.absent_since is None} == shelf.files()
        assert set(rows) - shelf.files() == {gone.dst}
        shelf.library.grouper.regroup()
        assert shelf.library.movement.move().files == 3


def test_a_missing_copy_that_is_in_its_place_again_is_not_taken_out(shelf: Shelf) -> None:
    """It was missed long enough to be believed gone; its owner puts it back in the middle of the look."""
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    for number in range(1, safe_points(shelf) + 4):
        os.rename(shelf.path(gone.dst), shelf.at / "out")
        shelf.library.roots.reconcile()
        shelf.clock.advance(100)
        shelf.library.roots.reconcile(
            stop=at(number, lambda: os.rename(shelf.at / "out", shelf.path(gone.dst)))
        )
        shelf.library.roots.reconcile()
        as_on_disk(shelf)


def come_back_but(shelf: Shelf, missing: str) -> None:
    held = [move.id for move in shelf.ledger.journal.moves(held=True) if move.dst != missing]
    shelf.library.movement.undo_into(Moved(), held, Goal.RETURNED)


# ---- ended before its end


def test_cut_short_it_believes_in_nothing_that_it_did_not_see_and_keeps_what_it_saw(shelf: Shelf) -> None:
    filled(shelf)
    known = {row.id: row for row in shelf.ledger.files.of_root(shelf.row.id)}
    shelf.add("2023/01/new.jpg", "new")
    os.rename(shelf.path("2024/01/a0.jpg"), shelf.path("2024/02/renamed.jpg"))
    for end in range(1, safe_points_of_a_copy(shelf)):
        shelf.library.roots.reconcile(stop=ended_at(end))
        rows = {row.id: row for row in shelf.ledger.files.of_root(shelf.row.id)}
        assert all(row.absent_since is None for row in rows.values()) and set(known) <= set(rows)
        assert end < 4 or {row.path for row in rows.values()} - {row.path for row in known.values()}
    shelf.library.roots.reconcile()
    as_on_disk(shelf)


def safe_points_of_a_copy(shelf: Shelf) -> int:
    """Counted on another shelf: a look changes what the next one finds."""
    with TemporaryDirectory() as folder:
        other = Shelf(Path(folder))
        filled(other)
        found = safe_points(other)
        other.close()
        return found


def test_a_person_and_a_hint_come_in_while_the_engine_looks(tmp_path: Path) -> None:
    order: list[str] = []
    shelves: list[Shelf] = []

    def make() -> Library:
        shelves.append(Shelf(tmp_path))
        return filled(shelves[0]).library

    engine = Engine(make, lambda view: None, lambda told: None)
    engine.start()
    begun, asked = threading.Event(), threading.Event()

    def progress(phase: str, done: int, total: int) -> None:
        begun.set()
        assert asked.wait(PATIENCE)

    def look(library: Library) -> None:
        library.roots.reconcile(on_progress=progress, stop=engine.give_way)
        order.append("looked")

    def undo(library: Library) -> None:
        order.append("undone")
        library.movement.undo(library.movement.held(everything=True))

    waiting: list[Future[Any]] = [engine.submit("reconcile", look)]
    assert begun.wait(PATIENCE)
    waiting.append(engine.submit("look", lambda library: order.append("hint"), Urgency.HINT))
    waiting.append(engine.submit("undo", undo, Urgency.PERSON))
    asked.set()
    for task in waiting:
        task.result(PATIENCE)
    assert order == ["undone", "hint", "looked"]
    engine.submit("check", lambda library: as_on_disk(shelves[0])).result(PATIENCE)
    assert engine.stop(PATIENCE)


# ---- whatever comes in, wherever

ACTS = ("back", "aside", "reject", "approve", "arrive", "sort", "look", "rename folder")


@hypothesis_settings(max_examples=4)
@example([(3, "back", 1), (4, "arrive", 1)])
@given(
    st.lists(st.tuples(st.integers(2, 14), st.sampled_from(ACTS), st.integers(0, 5)), min_size=2, max_size=6)
)
def test_whatever_comes_in_a_second_look_finds_nothing(acts: list[tuple[int, str, int]]) -> None:
    with TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder))
        filled(shelf)
        for month in (1, 2):
            shelf.pair(f"2024/{month:02}/c.jpg", f"2024/{month:02}/d.jpg", f"{month} c")
        shelf.look()
        before = shelf.census()
        asked = 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            for place, (number, act, which) in enumerate(acts):
                if number == asked:
                    come_in(shelf, act, which, f"{place}")
            return False

        shelf.library.roots.reconcile(stop=stop)
        as_on_disk(shelf)
        assert not shelf.library.roots.reconcile().any
        assert not before - shelf.census()
        shelf.close()


def come_in(shelf: Shelf, act: str, which: int, name: str) -> None:
    """What people and events do; of what their owner moves, an event tells."""
    library, month = shelf.library, f"2024/{which % 2 + 1:02}"
    held, groups = library.movement.held(everything=True), shelf.ledger.groups.all()
    if act == "back":
        library.movement.undo(held[which : which + 1])
    elif act == "aside":
        library.movement.move()
    elif act == "reject":
        library.verdicts.reject([group.id for group in groups[which : which + 1]])
    elif act == "approve":
        library.verdicts.approve([group.id for group in groups[which : which + 1]])
    elif act == "arrive":
        shelf.add(f"{month}/new/{name}.jpg", name)
        library.roots.reconcile_folders(shelf.row, {month: True})
    elif act == "sort":
        photos = sorted(path for path in shelf.files() if "duplicates/" not in path)
        photo = photos[which % len(photos)]
        shelf.path(month).mkdir(exist_ok=True)
        os.rename(shelf.path(photo), shelf.path(f"{month}/{name}.jpg"))
        library.roots.reconcile_folders(shelf.row, {photo.rpartition("/")[0]: False, month: False})
    elif act == "look":
        library.roots.reconcile()
    elif shelf.path(month).exists() and not shelf.path(f"2024/05 {name}").exists():
        os.rename(shelf.path(month), shelf.path(f"2024/05 {name}"))
        library.roots.reconcile()


def test_a_copy_that_its_owner_took_before_an_undo_is_told_of_until_it_is_believed_gone(shelf: Shelf) -> None:
    """Its owner took it out of the library; the undo finds it at neither place, and somebody is told to look for it."""
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    os.rename(shelf.path(gone.dst), shelf.at / "out")
    shelf.library.movement.undo([gone.id])
    assert [move.id for move in shelf.ledger.journal.attention()] == [gone.id]
    shelf.library.roots.reconcile()
    assert [*shelf.ledger.journal.attention()], "absence is believed at the second look only"
    shelf.clock.advance(100)
    shelf.library.roots.reconcile()
    assert not [*shelf.ledger.journal.attention()]
    (ended,) = shelf.ledger.journal.moves(ids=[gone.id])
    assert ended.refusal is Refusal.TAKEN_OUT


def test_what_an_older_dedupd_told_of_for_ever_is_ended(shelf: Shelf) -> None:
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    os.rename(shelf.path(gone.dst), shelf.at / "out")
    shelf.library.movement.undo([gone.id])
    shelf.ledger.files.remove(gone.file)
    shelf.library.roots.reconcile()
    assert not [*shelf.ledger.journal.attention()]


def test_a_copy_whose_folder_moved_before_an_undo_is_held_still(shelf: Shelf) -> None:
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    above = shelf.path(gone.dst.partition("/duplicates/")[0])
    os.rename(above, above.with_name(f"{above.name} trip"))
    shelf.library.movement.undo([gone.id])
    assert [*shelf.ledger.journal.attention()]
    shelf.library.roots.reconcile()
    assert not [*shelf.ledger.journal.attention()]
    (held,) = shelf.ledger.journal.moves(ids=[gone.id])
    assert held.held
    assert shelf.path(held.dst).exists()


def test_what_a_crash_lost_is_told_of_for_as_long_as_it_is_not_found(shelf: Shelf) -> None:
    """That is no undo: dedupd itself was moving the file."""
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    os.rename(shelf.path(gone.dst), shelf.at / "out")
    lost = MoveRefused("look for it by hand", Refusal.GONE)
    shelf.ledger.journal.finish([gone.refused(lost, MoveState.ATTENTION)])
    for _ in range(3):
        shelf.library.roots.reconcile()
        shelf.clock.advance(100)
    assert [*shelf.ledger.journal.attention()]


def test_what_was_left_for_a_person_for_another_reason_stays_with_them(shelf: Shelf) -> None:
    filled(shelf)
    gone = shelf.ledger.journal.moves(held=True)[0]
    os.rename(shelf.path(gone.dst), shelf.at / "out")
    doubtful = MoveRefused("two names, and one cannot be taken away", Refusal.FAILED)
    left = replace(gone.refused(doubtful, MoveState.ATTENTION), goal=Goal.UNDONE)
    shelf.ledger.journal.finish([left])
    for _ in range(3):
        shelf.library.roots.reconcile()
        shelf.clock.advance(100)
    assert [*shelf.ledger.journal.attention()]
