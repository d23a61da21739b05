"""Other bytes under the same size and times: noticed, and never for more than a little reading."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.fs.walk import file_stat
from dedupd.core.photo import FileStat, FileState
from dedupd.core.relocation import Goal
from dedupd.errors import Refusal
from dedupd.pipeline import reread
from dedupd.pipeline.reconcile import MANY_DOUBTS
from dedupd.ports import Disk, Reading
from tests.support.shelf import Shelf

KEEPER, COPY, HELD = "2024/06/a.jpg", "2024/06/b.jpg", "2024/06/duplicates/b.jpg"


@pytest.fixture
def settled(shelf: Shelf) -> Shelf:
    """One copy lies in duplicates/."""
    shelf.pair(KEEPER, COPY)
    assert shelf.pass_().files == 1
    return shelf


@pytest.fixture
def opened(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every path that is opened to be read again, in order."""
    paths: list[str] = []
    disk: Disk = shelf.library.disk

    def reading(root: str, path: str, real: Callable[[str, str], Reading] = disk.reading) -> Reading:
        paths.append(path)
        return real(root, path)

    monkeypatch.setattr(disk, "reading", reading)
    return paths


def rewrite(path: Path) -> None:
    """Another scene in as many bytes, in place, the mtime kept; only ctime tells."""
    before, held = path.stat(), path.read_bytes()
    with path.open("r+b") as file:
        file.write(held.replace(b'"lake"', b'"hill"'))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.read_bytes() != held and path.stat().st_size == before.st_size


def rot(shelf: Shelf, path: Path) -> None:
    """The same, and not even ctime tells: the ledger is given what stands there now."""
    rewrite(path)
    shelf.ledger._link.execute(
        "UPDATE files SET ctime_ns=? WHERE path=?",
        (path.stat().st_ctime_ns, os.fsencode(path.relative_to(shelf.root))),
    )


def touch(path: Path) -> None:
    """Its rights change, and nothing else."""
    path.chmod(0o640 if path.stat().st_mode & 0o777 != 0o640 else 0o600)


def _without_ctime(found: os.stat_result) -> FileStat:
    return replace(file_stat(found), ctime_ns=found.st_mtime_ns)


class TestKeeper:
    def test_rewritten_in_place_its_copy_comes_back(self, settled: Shelf) -> None:
        rewrite(settled.path(KEEPER))
        settled.library.roots.reconcile_folders(settled.row, {"2024/06": False})
        found = settled.library.rereader.read_on()
        (back,) = settled.library.movement.sweep({}, {settled.row.id})
        assert found.changed and "does not hold the bytes any more" in found.said[0]
        assert back.endswith(f"so 1 file(s) came back, first {COPY}")
        for _ in range(3):
            assert settled.pass_().files == 0, "another scene is no keeper of it"
        assert settled.files() == {KEEPER, COPY}

    def test_rotten_it_is_found_within_a_month(self, settled: Shelf) -> None:
        rot(settled, settled.path(KEEPER))
        said: list[str] = []
        for _ in range(32):
            settled.clock.advance(reread.DAY)
            settled.pass_()
            said += settled.library.rereader.read_on().said
        assert "check the disk" in said[0]
        assert settled.files() == {KEEPER, COPY}

    def test_one_that_cannot_be_read_is_told_and_hides_nothing_for_that(
        self, settled: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        touch(settled.path(KEEPER))
        settled.library.roots.reconcile()

        def pread(fd: int, count: int, offset: int) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        with monkeypatch.context() as broken:
            broken.setattr("dedupd.adapters.fs.disk.os.pread", pread)
            (told,) = settled.library.rereader.read_on().said
        assert told.startswith(f"{KEEPER} cannot be read (Input/output error)")
        assert f"dedupd undo '{HELD}'" in told
        assert settled.library.movement.rescue() == [] and HELD in settled.files()

    def test_one_that_left_before_it_was_read_is_looked_for_and_its_copy_comes_back(
        self, settled: Shelf
    ) -> None:
        touch(settled.path(KEEPER))
        settled.library.roots.reconcile()
        settled.path(KEEPER).unlink()
        settled.library.rereader.read_on()
        assert settled.library.movement.sweep({}, {settled.row.id}) and COPY in settled.files()

    def test_rewritten_and_renamed_it_is_read_again_too(self, settled: Shelf) -> None:
        rewrite(settled.path(KEEPER))
        os.rename(settled.path(KEEPER), settled.path("2024/06/c.jpg"))
        settled.library.roots.reconcile()
        assert settled.library.rereader.read_on().changed and settled.library.movement.rescue()
        assert settled.files() == {"2024/06/c.jpg", COPY}

    def test_a_doubt_outlives_another_number_of_the_device(self, settled: Shelf) -> None:
        """A look takes the number over and says nothing of the bytes: the same disk gets another at each mount."""
        rewrite(settled.path(KEEPER))
        settled.library.roots.reconcile()
        settled.ledger._link.execute("UPDATE files SET dev=dev+1")
        assert settled.library.rereader.read_on().changed
        assert settled.library.movement.rescue() and COPY in settled.files()

    def test_a_root_that_is_another_by_now_says_nothing_of_it(self, settled: Shelf) -> None:
        rewrite(settled.path(KEEPER))
        settled.library.roots.reconcile()
        marker = settled.root / ".dedupd-root.json"
        ours = marker.read_text()
        marker.write_text('{"uuid": "another disk"}')
        assert not settled.library.rereader.read_on().changed
        marker.write_text(ours)
        settled.library.roots.reconcile()
        assert settled.library.rereader.read_on().changed

    def test_a_held_copy_taken_back_over_it_is_an_undo(self, shelf: Shelf) -> None:
        """Of the same bytes, size and mtime: only the inode tells which file lies there."""
        shelf.add(KEEPER)
        shutil.copy2(shelf.path(KEEPER), shelf.path(COPY))
        assert shelf.pass_().files == 1
        (held,) = shelf.ledger.journal.moves(held=True)
        os.replace(shelf.path(held.dst), shelf.path(held.keeper))
        for _ in range(2):
            shelf.pass_()
            shelf.clock.advance(100)
        (move,) = shelf.ledger.journal.moves()
        assert (move.goal, move.undone_to) == (Goal.UNDONE, held.keeper)


class TestDoubt:
    def test_another_ctime_is_read_again_and_not_looked_at_again(
        self, settled: Shelf, opened: list[str]
    ) -> None:
        looked, views = len(settled.vision.looked), settled.views()
        touch(settled.path(KEEPER))
        for _ in range(2):
            settled.pass_()
            assert not settled.library.rereader.read_on().changed
        assert opened == [KEEPER]
        assert (len(settled.vision.looked), settled.views()) == (looked, views)

    def test_keepers_of_held_copies_are_read_first(self, settled: Shelf, opened: list[str]) -> None:
        settled.add("2024/05/other.jpg", "town")
        settled.pass_()
        settled.library.rereader.read_on()
        for name in ("2024/05/other.jpg", KEEPER):
            settled.clock.advance(1)
            touch(settled.path(name))
            settled.library.roots.reconcile()
        settled.library.rereader.read_on()
        assert opened[-2:] == [KEEPER, "2024/05/other.jpg"]

    def test_what_befalls_most_files_at_once_is_no_doubt(self, shelf: Shelf, opened: list[str]) -> None:
        """chown -R every night must not read the library every night."""
        names = [f"2024/06/{number}.jpg" for number in range(MANY_DOUBTS + 1)]
        for number, name in enumerate(names):
            shelf.add(name, f"scene {number}")
        shelf.look()
        for name in names:
            touch(shelf.path(name))
        shelf.library.roots.reconcile()
        shelf.library.rereader.read_on()
        assert opened == []
        for name in names[:MANY_DOUBTS]:
            touch(shelf.path(name))
        shelf.library.roots.reconcile()
        shelf.library.rereader.read_on()
        assert len(opened) == MANY_DOUBTS

    def test_nor_where_the_look_is_ended_before_its_end(self, shelf: Shelf, opened: list[str]) -> None:
        names = [f"2024/{month:02}/{number}.jpg" for month in (6, 7) for number in range(MANY_DOUBTS + 1)]
        for number, name in enumerate(names):
            shelf.add(name, f"scene {number}")
        shelf.look()
        for name in names:
            touch(shelf.path(name))
        safe_points = iter(range(4))
        shelf.library.roots.reconcile(stop=lambda: next(safe_points, None) is None)
        shelf.library.rereader.read_on()
        assert opened == []

    def test_other_inode_numbers_of_a_new_mount_are_read_again_at_most(
        self, settled: Shelf, opened: list[str]
    ) -> None:
        looked = len(settled.vision.looked)
        settled.ledger._link.execute("UPDATE files SET ino=ino+7 WHERE state!='held'")
        settled.pass_()
        settled.library.rereader.read_on()
        assert opened == [KEEPER] and len(settled.vision.looked) == looked

    def test_another_device_number_is_adopted_before_it_is_read(
        self, settled: Shelf, opened: list[str]
    ) -> None:
        """A move asks for the number that is recorded, and would be refused for ever."""
        touch(settled.path(KEEPER))
        settled.library.roots.reconcile()
        settled.ledger._link.execute("UPDATE files SET dev=dev+7")
        settled.library.rereader.read_on()
        row = settled.ledger.files.at(settled.row.id, KEEPER)
        assert row is not None and row.stat.dev == settled.path(KEEPER).stat().st_dev

    def test_a_file_system_that_shows_mtime_for_ctime_is_believed(
        self, settled: Shelf, opened: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """sshfs, or FAT after its inode was forgotten."""
        at = settled.path(KEEPER).stat()
        settled.ledger._link.execute("UPDATE files SET ctime_ns=ctime_ns+5")
        monkeypatch.setattr("dedupd.adapters.fs.walk.file_stat", _without_ctime)
        settled.library.roots.reconcile()
        settled.library.rereader.read_on()
        (row,) = (r for r in settled.ledger.files.of_root(settled.row.id) if r.path == KEEPER)
        assert row.stat.ctime_ns == at.st_mtime_ns, "adopted"
        assert opened == []

    def test_what_lies_in_the_cloud_is_not_fetched(
        self, settled: Shelf, opened: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(settled.library.disk, "local", lambda root, path: False)
        touch(settled.path(KEEPER))
        settled.library.roots.reconcile()
        for _ in range(32):
            settled.clock.advance(reread.DAY)
            settled.library.rereader.read_on()
        assert opened == []

    def test_a_sidecar_of_other_bytes_is_none_of_its_photo_any_more(self, shelf: Shelf) -> None:
        shelf.add(KEEPER)
        clip = shelf.path("2024/06/a.mov")
        clip.write_bytes(b'clip "lake"')
        shelf.look()
        (row,) = shelf.ledger.files.in_state(FileState.COMPANION)
        with shelf.ledger.transaction():
            shelf.ledger.files.companion_content(
                row.id, shelf.library.disk.content(str(shelf.root), row.path)
            )
        rewrite(clip)
        shelf.library.roots.reconcile()
        assert shelf.library.rereader.read_on().changed
        (now,) = shelf.ledger.files.in_state(FileState.COMPANION)
        assert now.content not in (None, row.content)

    def test_it_outlives_a_restart_in_the_middle_and_a_disk_that_leaves(
        self, settled: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rewrite(settled.path(KEEPER))
        settled.library.roots.reconcile()
        monkeypatch.setattr(reread, "BLOCK_BYTES", 16)
        settled.library.rereader.read_on(limit=16)
        settled.again()
        settled.library.rereader.read_on(limit=16)
        os.rename(settled.root, settled.at / "away")
        for _ in range(2):
            assert not settled.library.rereader.read_on().changed
        os.rename(settled.at / "away", settled.root)
        settled.library.roots.reconcile()
        assert settled.library.rereader.read_on().changed


class TestRefused:
    def test_a_move_refused_for_other_bytes_has_the_file_looked_at_again(self, shelf: Shelf) -> None:
        shelf.add(KEEPER)
        shelf.add(COPY)
        shelf.look()
        rot(shelf, shelf.path(COPY))
        refused = shelf.library.scan(yes=True).moved.refused
        assert [move.refusal for move in refused] == [Refusal.OTHER_BYTES]
        again = shelf.library.scan(yes=True)
        assert (again.moved.refused, again.moved.files, again.report["duplicate_groups"]) == ([], 0, 0)

    def test_one_refused_because_its_keeper_is_another_does_too(self, shelf: Shelf) -> None:
        shelf.pair(KEEPER, COPY)
        shelf.look()
        shelf.add(KEEPER, "town")
        assert [m.refusal for m in shelf.library.movement.move(yes=True).refused] == [Refusal.CHANGED]
        assert shelf.library.rereader.read_on().changed
        shelf.library.passes.ingest()
        shelf.library.grouper.regroup()
        assert shelf.proposals() == {}


class TestPace:
    def settle(self, shelf: Shelf, count: int) -> set[str]:
        """Keepers of one size each, each with a held copy."""
        for number in range(count):
            shelf.pair(f"2024/06/{number:02}.jpg", f"2024/06/{number:02}s.jpg", f"scene {number:02}")
        assert shelf.pass_().files == count
        return {f"2024/06/{number:02}.jpg" for number in range(count)}

    def test_each_keeper_is_read_once_a_month_a_share_each_day_over_restarts_too(
        self, shelf: Shelf, opened: list[str]
    ) -> None:
        keepers = self.settle(shelf, 60)
        shelf.library.rereader.read_on()
        assert opened == []
        for day in range(1, 31):
            shelf.clock.advance(reread.DAY)
            for _ in range(3):
                shelf.library.follow(shelf.library.settings)  # as after a restart, nothing is remembered
                shelf.library.rereader.read_on()
            assert abs(len(opened) - 2 * day) <= 2
        assert len(opened) >= 58 and set(opened) <= keepers and len(set(opened)) == len(opened)

    def test_a_clock_put_back_stops_nothing(self, settled: Shelf, opened: list[str]) -> None:
        settled.library.rereader.read_on()
        settled.clock.jump(-400 * reread.DAY)
        settled.library.rereader.read_on()
        for _ in range(32):
            settled.clock.advance(reread.DAY)
            settled.library.rereader.read_on()
        assert opened

    def test_after_a_long_rest_no_more_than_a_days_share_is_read(
        self, shelf: Shelf, opened: list[str]
    ) -> None:
        self.settle(shelf, 60)
        shelf.library.rereader.read_on()
        shelf.clock.advance(90 * reread.DAY)
        shelf.library.rereader.read_on()
        assert 1 <= len(opened) <= 3

    def test_a_large_file_is_read_in_slices_between_which_people_come_in(
        self, settled: Shelf, opened: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reread, "BLOCK_BYTES", 16)
        rewrite(settled.path(KEEPER))
        settled.library.roots.reconcile()
        assert not settled.library.rereader.read_on(lambda: True).changed and opened == []
        slices = 0
        while not settled.library.rereader.read_on(limit=16).changed:
            slices += 1
        assert slices > 3 and opened == [KEEPER]
