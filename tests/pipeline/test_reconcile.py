"""Disk against ledger on its worst days: nothing is believed gone that may be there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.fs import walk
from dedupd.core.foreign import Scope
from dedupd.core.photo import FileState
from dedupd.ports import FoundFile
from tests.support.shelf import Shelf

KEEPER, COPY, HELD = "2024/06/a.jpg", "2024/06/b.jpg", "2024/06/duplicates/b.jpg"


@pytest.fixture
def settled(shelf: Shelf) -> Shelf:
    """One copy lies in duplicates/."""
    shelf.pair(KEEPER, COPY)
    assert shelf.pass_().files == 1
    return shelf


class TestAbsence:
    def test_an_unmounted_root_costs_nothing(self, settled: Shelf) -> None:
        os.rename(settled.root, settled.at / "away")
        settled.root.mkdir()
        for _ in range(3):
            assert settled.pass_().files == 0
            settled.clock.advance(100)
        assert settled.files() == set()
        settled.root.rmdir()
        os.rename(settled.at / "away", settled.root)
        looked = len(settled.vision.looked)
        settled.pass_()
        assert settled.files() == {KEEPER, HELD}
        assert len(settled.vision.looked) == looked

    def test_an_empty_mount_point_of_a_root_never_marked(self, shelf: Shelf) -> None:
        shelf.pair(KEEPER, COPY)
        shelf.library.scan(dry_run=True)
        with shelf.ledger.transaction():
            shelf.ledger.roots.update(shelf.row.id, dev=12345)
        shutil.rmtree(shelf.root / "2024")
        for _ in range(3):
            shelf.library.roots.reconcile()
            shelf.clock.advance(100)
        assert not shelf.row.online
        assert len(shelf.ledger.files.of_root(shelf.row.id)) == 2
        assert not (shelf.root / ".dedupd-root.json").exists()

    def test_a_marker_tidied_away_is_put_back(self, settled: Shelf) -> None:
        uuid = settled.row.uuid
        (settled.root / ".dedupd-root.json").unlink()
        settled.library.roots.reconcile()
        assert settled.row.online
        assert settled.library.disk.identity(str(settled.root)).uuid == uuid

    def test_another_device_number_looks_at_nothing_again(self, settled: Shelf) -> None:
        looked = len(settled.vision.looked)
        settled.ledger._link.execute("UPDATE files SET dev=dev+7")
        settled.pass_()
        assert len(settled.vision.looked) == looked

    def test_a_folder_replaced_by_a_link_is_not_followed(self, shelf: Shelf, tmp_path: Path) -> None:
        shelf.add("2024/06/a.jpg")
        shelf.look()
        os.rename(shelf.root / "2024/06", tmp_path / "elsewhere")
        (shelf.root / "2024/06").symlink_to(tmp_path / "elsewhere")
        found = list(
            shelf.library.disk.list_folder(str(shelf.root), "2024/06", Scope(), lambda at, why: None)
        )
        assert found == []


class TestHeld:
    def test_a_renamed_month_takes_its_duplicates_along(self, settled: Shelf) -> None:
        os.rename(settled.root / "2024/06", settled.root / "2024/06 June")
        for _ in range(3):
            settled.pass_()
            settled.clock.advance(100)
        (move,) = settled.ledger.journal.moves(held=True)
        assert move.dst == "2024/06 June/duplicates/b.jpg"
        assert settled.library.movement.undo([move.id]).undone == 1
        assert settled.files() == {"2024/06 June/a.jpg", "2024/06 June/b.jpg"}

    def test_one_look_is_not_enough_to_believe_it_gone(self, settled: Shelf) -> None:
        os.rename(settled.root / HELD, settled.at / "out")
        settled.library.roots.reconcile()
        assert settled.ledger.journal.moves(held=True)
        os.rename(settled.at / "out", settled.root / HELD)
        settled.clock.advance(100)
        settled.library.roots.reconcile()
        assert settled.ledger.journal.moves(held=True)
        assert settled.ledger.files.count(state=FileState.HELD) == 1

    def test_taken_back_by_hand_while_an_undo_of_it_was_asked_for(self, settled: Shelf) -> None:
        move = settled.ledger.journal.moves(held=True)[0]
        os.rename(settled.root / HELD, settled.root / "2024/06/mine.jpg")
        settled.library.movement.undo([move.id])  # finds it at neither place
        for _ in range(3):
            settled.clock.advance(100)
            assert settled.pass_().files == 0
        assert settled.files() == {KEEPER, "2024/06/mine.jpg"}
        assert [*settled.ledger.journal.attention()] == []

    def test_taken_back_by_copy_and_delete_it_is_not_moved_again(self, settled: Shelf) -> None:
        shutil.copy(settled.root / HELD, settled.root / "2024/06/mine.jpg")
        (settled.root / HELD).unlink()
        for _ in range(4):
            settled.pass_()
            settled.clock.advance(100)
        assert settled.files() == {KEEPER, "2024/06/mine.jpg"}

    def test_taken_back_over_another_file(self, settled: Shelf) -> None:
        settled.add("2024/06/c.jpg", "other")
        settled.pass_()
        os.replace(settled.root / HELD, settled.root / "2024/06/c.jpg")
        for _ in range(3):
            settled.pass_()
            settled.clock.advance(100)
        assert settled.files() == {KEEPER, "2024/06/c.jpg"}


def test_what_a_vanished_keeper_leaves_is_grouped_anew_in_every_month(shelf: Shelf) -> None:
    shelf.add("2024/06/a.jpg")
    shelf.small("2024/07/b.jpg")
    shelf.add("2024/07/c.jpg", rendering="tiny", width=400, height=300)
    shelf.look()
    assert shelf.proposals() == {"2024/07/b.jpg": "2024/06/a.jpg", "2024/07/c.jpg": "2024/06/a.jpg"}
    (shelf.root / "2024/06/a.jpg").unlink()
    shelf.look()
    assert shelf.proposals() == {"2024/07/c.jpg": "2024/07/b.jpg"}


def test_what_was_away_when_a_new_photo_came_is_compared_with_it_later(settled: Shelf) -> None:
    settled.add("2024/06/c.jpg", rendering="tiny", width=400, height=300)
    (settled.root / KEEPER).unlink()
    settled.pass_()
    settled.pass_()
    assert settled.views()[0].keep == "2024/06/b.jpg"


class TestInTheCloud:
    def test_files_that_are_numbered_anew_at_each_mount_are_not_read_again(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """FAT, exFAT, FUSE: what tells a file there is its ctime, which nobody can set."""
        shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
        shelf.look()
        real = walk.file_stat
        monkeypatch.setattr(walk, "file_stat", lambda found: replace(real(found), ino=found.st_ino + 1000))
        found = shelf.library.roots.reconcile()
        assert (found.new, found.changed, found.renamed) == (0, 0, 0)
        assert not shelf.ledger.files.any_to_read()

    def test_a_placeholder_is_asked_about_when_its_stat_changes_and_not_before(self, shelf: Shelf) -> None:
        path = shelf.add(KEEPER)
        shelf.vision.clouds = {path.name}
        for _ in range(3):
            shelf.pass_()
        assert len(shelf.vision.looked) == 1
        (row,) = shelf.ledger.files.of_root(shelf.row.id)
        assert (row.state, row.reason) == (FileState.SKIPPED, "cloud placeholder")
        shelf.vision.clouds = set()
        path.chmod(0o600)  # a download changes ctime at least
        shelf.pass_()
        (row,) = shelf.ledger.files.of_root(shelf.row.id)
        assert row.state == FileState.INDEXED

    def test_a_photo_that_was_seen_before_it_went_there_stays_known(self, shelf: Shelf) -> None:
        path = shelf.add(KEEPER)
        shelf.pass_()
        shelf.vision.clouds = {path.name}
        shelf.vision.index.clear()
        shelf.again()
        shelf.library.grouper.regroup(everything=True)
        (row,) = shelf.ledger.files.of_root(shelf.row.id)
        assert row.state == FileState.INDEXED
        assert row.content is not None


def test_several_disks_mounted_in_one_folder_that_are_roots_of_their_own_are_nothing_to_tell_of(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look names them, so that nothing below them is believed gone, and has nothing to say of them."""
    shelf.add(KEEPER)
    real = shelf.library.disk.walk

    def walk(
        root: str, under: str, scope: Scope, on_problem: walk.OnProblem, on_foreign: walk.OnForeign
    ) -> Iterator[tuple[str, list[FoundFile]]]:
        for year in ("2021", "2022"):
            on_problem(year, "")
        return real(root, under, scope, on_problem, on_foreign)

    monkeypatch.setattr(shelf.library.disk, "walk", walk)
    assert shelf.library.roots.reconcile().problems == []
