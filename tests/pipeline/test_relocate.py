"""Recovery and undo as the pipeline orders them: every half-done move ends, and no content is ever lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dedupd.adapters.fs import test_points
from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.pipeline.relocate import relocate, undo_from_receipts
from tests.crash.rig import Rig, only

KEEPER, COPY, HELD = "2024/06/keep.jpg", "2024/06/trip/a.jpg", "2024/06/duplicates/trip/a.jpg"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.photo(KEEPER)
    rig.photo(COPY)
    yield rig
    rig.close()


def begun(rig: Rig, *paths: str, moved: bool, unit: str = "u") -> list[Move]:
    """What a crash leaves: intents, and the renames done or not."""
    orders = [rig.order(path, unit=unit) for path in paths or (COPY,)]
    with rig.mover.prepare_moves(orders) as batch:
        rows = rig.journal.intend(batch.orders, "batch", rig.clock.now())
        if moved:
            batch.move(rows)
    return rows


class TestRecover:
    def test_not_moved_yet(self, rig: Rig) -> None:
        begun(rig, moved=False)
        assert only(rig.recover()).state is MoveState.ABORTED
        assert rig.exists(COPY)

    def test_moved(self, rig: Rig) -> None:
        begun(rig, moved=True)
        assert only(rig.recover()).held
        assert rig.exists(HELD)

    def test_moved_but_its_keeper_is_gone(self, rig: Rig) -> None:
        begun(rig, moved=True)
        os.unlink(rig.root / KEEPER)
        row = only(rig.recover())
        assert (row.goal, row.state) == (Goal.RETURNED, MoveState.DONE)
        assert rig.exists(COPY) and not rig.exists(HELD)

    def test_moved_but_its_keeper_was_edited(self, rig: Rig) -> None:
        begun(rig, moved=True)
        (rig.root / KEEPER).write_bytes(b"edited")
        assert only(rig.recover()).goal is Goal.RETURNED
        assert rig.exists(COPY)

    def test_moved_and_a_new_file_has_the_old_name(self, rig: Rig) -> None:
        (row,) = begun(rig, moved=True)
        os.unlink(rig.root / KEEPER)
        rig.photo(COPY, b"new")
        assert only(rig.recover()).undone_to == "2024/06/trip/a (1).jpg"
        assert (rig.root / COPY).read_bytes() == b"new"
        assert rig.content("2024/06/trip/a (1).jpg") == row.content

    def test_moved_and_a_new_file_is_begun_at_the_old_name(self, rig: Rig) -> None:
        """Somebody copies into it just now: where no move leaves an empty file behind, it is none of ours."""
        begun(rig, moved=True)
        (rig.root / COPY).write_bytes(b"")
        assert only(rig.recover()).held
        assert rig.exists(COPY)

    def test_the_same_bytes_have_come_back_meanwhile(self, rig: Rig) -> None:
        (row,) = begun(rig, moved=True)
        rig.photo(COPY)
        assert rig.content(COPY) == row.content
        assert only(rig.recover()).held
        assert rig.exists(COPY) and rig.exists(HELD)

    def test_at_neither_place_is_an_alarm_that_names_the_content(self, rig: Rig) -> None:
        (row,) = begun(rig, moved=True)
        os.rename(rig.root / HELD, rig.root / "elsewhere.jpg")
        end = only(rig.recover())
        assert end.state is MoveState.ATTENTION
        assert row.content in end.error and COPY in end.error and HELD in end.error

    def test_other_bytes_at_its_place_are_not_it(self, rig: Rig) -> None:
        begun(rig, moved=True)
        (rig.root / HELD).write_bytes(b"damaged by the crash")
        assert only(rig.recover()).state is MoveState.ATTENTION
        assert (rig.root / HELD).read_bytes() == b"damaged by the crash"

    def test_damage_that_stat_does_not_show(self, rig: Rig) -> None:
        begun(rig, moved=True)
        at, before = rig.root / HELD, os.stat(rig.root / HELD)
        at.write_bytes(b"." * before.st_size)
        os.utime(at, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert only(rig.recover()).state is MoveState.ATTENTION

    def test_a_link_half_done_keeps_the_first_name(self, rig: Rig) -> None:
        begun(rig, moved=False)
        (rig.root / "2024/06/duplicates/trip").mkdir(parents=True)
        os.link(rig.root / COPY, rig.root / HELD)
        assert only(rig.recover()).state is MoveState.ABORTED
        assert rig.exists(COPY) and not rig.exists(HELD)
        assert os.stat(rig.root / COPY).st_nlink == 1

    def test_renumbered_disks_do_not_matter(self, rig: Rig) -> None:
        """After a restart the device may have another number; the bytes decide."""
        begun(rig, moved=True)
        rig.link.execute("UPDATE moves SET dev=dev+1, ino=ino+1")
        assert only(rig.recover()).held

    @pytest.mark.parametrize("how", ["missing", "empty mount point", "another library"])
    def test_absence_is_unknown(self, rig: Rig, tmp_path: Path, how: str) -> None:
        begun(rig, moved=True)
        os.rename(rig.root, tmp_path / "unplugged")
        if how != "missing":
            rig.root.mkdir()
            rig.link.execute("UPDATE moves SET dev=dev+1")  # a mount point lies on another device
        if how == "another library":
            files_of_another = Rig(tmp_path / "other")
            os.rename(files_of_another.root / ".dedupd-root.json", rig.root / ".dedupd-root.json")
            files_of_another.close()
        assert rig.recover() == []
        assert only(rig.rows()).state is MoveState.INTENT
        if how != "missing":
            (rig.root / ".dedupd-root.json").unlink(missing_ok=True)
            rig.root.rmdir()
        os.rename(tmp_path / "unplugged", rig.root)
        assert only(rig.recover()).held

    def test_undo_goes_on(self, rig: Rig) -> None:
        rows = rig.relocate(rig.order(COPY))
        with rig.mover.prepare_undo(rows, Goal.UNDONE) as batch:
            rig.journal.reopen(batch.moves)
        row = only(rig.recover())
        assert (row.goal, row.state) == (Goal.UNDONE, MoveState.DONE) and rig.exists(COPY)

    def test_undo_that_was_done_but_not_told(self, rig: Rig) -> None:
        rows = rig.relocate(rig.order(COPY))
        rig.photo(COPY, b"new")
        with rig.mover.prepare_undo(rows, Goal.UNDONE) as batch:
            rig.journal.reopen(batch.moves)
            batch.undo(batch.moves)
        row = only(rig.recover())
        assert (row.state, row.undone_to) == (MoveState.DONE, "2024/06/trip/a (1).jpg")
        assert rig.tree().keys() == {KEEPER, COPY, "2024/06/trip/a (1).jpg"}

    def test_twice_changes_nothing(self, rig: Rig) -> None:
        begun(rig, moved=True)
        rig.recover()
        tree, rows = rig.tree(), rig.rows()
        assert rig.recover() == []
        assert (rig.tree(), rig.rows()) == (tree, rows)


class TestUnitsInRecovery:
    @pytest.fixture
    def unit(self, rig: Rig) -> list[str]:
        return [rig.photo(f"2024/06/b/IMG_1.{ext}") for ext in ("HEIC", "MOV", "AAE")]

    def test_all_arrived(self, rig: Rig, unit: list[str]) -> None:
        begun(rig, *unit, moved=True)
        assert all(row.held for row in rig.recover())

    @pytest.mark.parametrize("arrived", [1, 2])
    def test_some_arrived_and_all_go_back(self, rig: Rig, unit: list[str], arrived: int) -> None:
        before = rig.tree()
        rows = begun(rig, *unit, moved=False)
        for row in rows[:arrived]:
            (rig.root / row.dst).parent.mkdir(parents=True, exist_ok=True)
            os.rename(rig.root / row.src, rig.root / row.dst)
        ended = rig.recover()
        assert rig.tree() == before
        assert not any(row.held for row in ended)
        assert {row.state for row in rig.rows()} <= {MoveState.DONE, MoveState.ABORTED}

    def test_one_lost_and_the_others_go_back(self, rig: Rig, unit: list[str]) -> None:
        rows = begun(rig, *unit, moved=True)
        os.unlink(rig.root / rows[1].dst)
        ended = {row.src: row for row in rig.recover()}
        assert ended[unit[1]].state is MoveState.ATTENTION
        assert rig.exists(unit[0]) and rig.exists(unit[2])

    def test_units_are_ended_one_by_one(self, rig: Rig, unit: list[str]) -> None:
        begun(rig, COPY, moved=True, unit="other")
        begun(rig, *unit, moved=False)
        held = {row.src for row in rig.recover() if row.held}
        assert held == {COPY}


class TestUndoFromReceipts:
    def lose_ledger(self, rig: Rig) -> None:
        rig.close()
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            (rig.folder / name).unlink(missing_ok=True)

    def test_everything_comes_back(self, rig: Rig) -> None:
        names = ["2024/06/b.jpg", "2023/12/c.jpg", "x/d.jpg", "2024/06/" + os.fsdecode(b"\xff\n.jpg")]
        for name in names:
            rig.photo(name)
        before = rig.tree()
        assert all(row.held for row in rig.relocate(*[rig.order(n) for n in [COPY, *names]]))
        self.lose_ledger(rig)
        rows = undo_from_receipts(str(rig.root), rig.mover, rig.clock)
        assert len(rows) == 5 and all(row.goal is Goal.UNDONE and row.state is MoveState.DONE for row in rows)
        assert rig.tree() == before

    def test_a_move_without_completion_comes_back_too(self, rig: Rig) -> None:
        before = rig.tree()
        rig.relocate(rig.order(COPY))
        receipts = rig.root / "2024/06/duplicates/.dedupd-receipts.jsonl"
        receipts.write_bytes(receipts.read_bytes().splitlines(keepends=True)[0])
        self.lose_ledger(rig)
        undo_from_receipts(str(rig.root), rig.mover, rig.clock)
        assert rig.tree() == before

    def test_what_is_back_already_stays_where_it_is(self, rig: Rig) -> None:
        rig.undo(rig.relocate(rig.order(COPY)))
        tree = rig.tree()
        self.lose_ledger(rig)
        assert undo_from_receipts(str(rig.root), rig.mover, rig.clock) == []
        assert rig.tree() == tree

    def test_twice(self, rig: Rig) -> None:
        before = rig.tree()
        rig.relocate(rig.order(COPY))
        self.lose_ledger(rig)
        undo_from_receipts(str(rig.root), rig.mover, rig.clock)
        assert undo_from_receipts(str(rig.root), rig.mover, rig.clock) == []
        assert rig.tree() == before

    def test_in_a_root_that_was_copied_elsewhere(self, rig: Rig, tmp_path: Path) -> None:
        """Other inodes, other device, other path: the bytes are proof enough."""
        import shutil

        contents = rig.census()
        rig.relocate(rig.order(COPY))
        shutil.copytree(rig.root, tmp_path / "restored")
        rows = undo_from_receipts(str(tmp_path / "restored"), rig.mover, rig.clock)
        assert only(rows).state is MoveState.DONE
        assert (tmp_path / "restored" / COPY).exists()
        assert rig.census() == contents


def test_more_than_a_chunk(rig: Rig) -> None:
    orders = [rig.order(rig.photo(f"2024/06/{n}.jpg")) for n in range(120)]
    told: list[tuple[str, int, int]] = []
    rows = relocate(orders, rig.mover, rig.journal, rig.clock, lambda *a: told.append(a))
    assert [row.src for row in rows] == [order.src for order in orders]
    assert all(row.held for row in rows) and len({row.batch for row in rows}) == 1
    assert told[-1] == ("move", 120, 120) and len(told) > 1
    back = rig.undo(rows)
    assert all(row.state is MoveState.DONE and row.goal is Goal.UNDONE for row in back)
    assert not any("duplicates" in path for path in rig.tree())


def test_two_roots_in_one_call(rig: Rig, tmp_path: Path) -> None:
    other = Rig(tmp_path / "other")
    other.photo(KEEPER)
    other.photo(COPY, b"another")
    rows = rig.relocate(rig.order(COPY), other.order(COPY))
    assert all(row.held for row in rows)
    assert [row.root for row in rows] == [str(rig.root), str(other.root)]
    rig.undo(rows)
    assert rig.exists(COPY) and other.exists(COPY)
    other.close()


def test_undo_leaves_rows_alone_that_hold_nothing(rig: Rig) -> None:
    back = rig.undo(rig.relocate(rig.order(COPY)))
    tree = rig.tree()
    assert rig.undo(back) == back
    assert rig.tree() == tree


def test_the_watch_brings_copies_back_by_itself(rig: Rig) -> None:
    rows = rig.relocate(rig.order(COPY))
    os.unlink(rig.root / KEEPER)
    back = only(rig.undo(rows, Goal.RETURNED))
    assert (back.goal, back.state) == (Goal.RETURNED, MoveState.DONE) and rig.exists(COPY)


def test_a_rescue_that_fails_can_be_tried_again(rig: Rig) -> None:
    rows = rig.relocate(rig.order(COPY))
    os.rmdir(rig.root / "2024/06/trip")
    (rig.root / "2024/06/trip").write_bytes(b"in the way")
    assert only(rig.undo(rows, Goal.RETURNED)).held
    (rig.root / "2024/06/trip").unlink()
    assert only(rig.undo(rows, Goal.RETURNED)).goal is Goal.RETURNED


def test_attention_is_mended_once_the_file_is_back(rig: Rig) -> None:
    (row,) = begun(rig, moved=True)
    os.rename(rig.root / HELD, rig.root / "elsewhere.jpg")
    lost = rig.recover()
    os.rename(rig.root / "elsewhere.jpg", rig.root / HELD)
    assert only(rig.undo(lost)).state is MoveState.DONE
    assert rig.content(COPY) == row.content


def test_names_taken_again_and_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A neighbour who is always faster: in the end the photo stays, and nothing was overwritten."""
    made: list[str] = []

    def neighbour(name: str) -> None:
        if name == "checked before rename":
            taken = rig.rows()[-1].dst
            made.append(rig.photo(taken, b"theirs"))

    monkeypatch.setattr(test_points, "step", neighbour)
    row = only(rig.relocate(rig.order(COPY)))
    assert row.state is MoveState.ABORTED and rig.exists(COPY)
    assert len(set(made)) == len(made) > 3
    assert all((rig.root / path).read_bytes() == b"theirs" for path in made)


@pytest.mark.parametrize("end", [lambda path: path.unlink(), lambda path: path.write_bytes(b"edited")])
def test_keeper_seen_by_whom_it_concerns(rig: Rig, end: Callable[[Path], object]) -> None:
    row = only(rig.relocate(rig.order(COPY)))
    assert rig.mover.keeper_stands(row)
    end(rig.root / KEEPER)
    assert not rig.mover.keeper_stands(row)
