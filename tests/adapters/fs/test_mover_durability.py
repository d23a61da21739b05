"""What is on disk before what: the order of fsyncs, commits and renames that a power cut relies on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from dedupd.adapters.fs import move_checks, test_points
from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.ledger.journal import Journal
from dedupd.core.abilities import Way
from dedupd.core.relocation import Goal, Move, MoveState
from tests.crash.rig import Rig, only
from tests.support import disks

KEEPER, COPY = "2024/06/keep.jpg", "2024/06/trip/a.jpg"
DUPLICATES, RECEIPTS = "2024/06/duplicates", "2024/06/duplicates/.dedupd-receipts.jsonl"


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.photo(KEEPER)
    rig.photo(COPY)
    yield rig
    rig.close()


class Diary(list[str]):
    """What happened, in order: 'sync PATH', 'commit intent', 'commit end', 'rename'."""

    def before(self, first: str, then: str) -> bool:
        """True when the last `first` comes before the first `then` (and both happened)."""
        last = len(self) - 1 - self[::-1].index(first)
        return last < self.index(then)

    def between(self, start: str, wanted: str, end: str) -> bool:
        """True when `wanted` happened after the last `start` and before the first `end` that follows."""
        at = len(self) - 1 - self[::-1].index(start)
        stop = self.index(end, at)
        return wanted in self[at:stop]


@pytest.fixture
def diary(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Diary:
    seen = Diary()
    real = os.fsync

    def fsync(fd: int) -> None:
        real(fd)
        seen.append("sync " + os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), rig.root))

    class Told(Journal):
        def intend(self, *args: object) -> list[Move]:
            rows = super().intend(*args)  # type: ignore[arg-type]
            seen.append("commit intent")
            return rows

        def reopen(self, moves: Sequence[Move]) -> None:
            super().reopen(moves)
            seen.append("commit intent")

        def finish(self, moves: Sequence[Move]) -> None:
            super().finish(moves)
            seen.append("commit end")

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(test_points, "step", lambda name: seen.append("rename") if name in RENAMES else None)
    rig.journal = Told(rig.link)
    return seen


RENAMES = ("renamed", "brought back", "put back")

if not os.path.isdir("/proc/self/fd"):
    pytest.skip("needs /proc to name what is synced", allow_module_level=True)


def test_keeper_and_copy_are_synced_before_anything_is_promised(rig: Rig, diary: Diary) -> None:
    rig.relocate(rig.order(COPY))
    assert diary.before(f"sync {KEEPER}", "commit intent")
    assert diary.before(f"sync {COPY}", "commit intent")


def test_intent_then_receipt_then_rename(rig: Rig, diary: Diary) -> None:
    rig.relocate(rig.order(COPY))
    assert diary.index("commit intent") < diary.index(f"sync {RECEIPTS}") < diary.index("rename")


def test_new_folders_and_receipts_are_synced_into_their_parents(rig: Rig, diary: Diary) -> None:
    rig.relocate(rig.order(COPY))
    until = diary[: diary.index("rename")]
    assert "sync 2024/06" in until, "duplicates/ is new in it"
    assert f"sync {DUPLICATES}" in until[until.index(f"sync {RECEIPTS}") :], "the receipts are new in it"


def test_both_folders_are_synced_before_the_move_is_done(rig: Rig, diary: Diary) -> None:
    rig.relocate(rig.order(COPY))
    assert diary.between("rename", "sync 2024/06/trip", "commit end")
    assert diary.between("rename", f"sync {DUPLICATES}/trip", "commit end")


def test_completion_receipt_is_synced_before_the_move_is_done(rig: Rig, diary: Diary) -> None:
    rig.relocate(rig.order(COPY))
    assert diary.between("rename", f"sync {RECEIPTS}", "commit end")


def test_undo_is_journaled_first_and_synced_before_it_is_done(rig: Rig, diary: Diary) -> None:
    rows = rig.relocate(rig.order(COPY))
    os.rmdir(rig.root / "2024/06/trip")
    diary.clear()
    rig.undo(rows)
    assert diary.index("commit intent") < diary.index("sync 2024/06") < diary.index("rename")
    assert diary.between("rename", "sync 2024/06/trip", "commit end")
    assert diary.between("rename", f"sync {DUPLICATES}/trip", "commit end")
    assert diary.between("rename", f"sync {RECEIPTS}", "commit end")


def test_a_put_back_is_synced_before_it_is_told(
    rig: Rig, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = test_points.step

    def step(name: str) -> None:
        told(name)
        if name == "renamed":
            os.unlink(rig.root / KEEPER)

    monkeypatch.setattr(test_points, "step", step)
    assert only(rig.relocate(rig.order(COPY))).state is MoveState.ABORTED
    assert diary.count("rename") == 2
    assert diary.between("rename", "sync 2024/06/trip", "commit end")
    assert diary.between("rename", f"sync {DUPLICATES}/trip", "commit end")


def test_a_batch_shares_commits_and_syncs(rig: Rig, diary: Diary) -> None:
    orders = [rig.order(rig.photo(f"2024/06/{n}.jpg")) for n in range(40)]
    assert all(row.held for row in rig.relocate(*orders))
    assert diary.count("commit intent") == diary.count("commit end") == 1
    assert diary.count(f"sync {RECEIPTS}") == 2
    assert diary.count(f"sync {KEEPER}") == 1


def test_the_link_fallback_syncs_the_new_name_before_the_old_one_goes(
    rig: Rig, diary: Diary, monkeypatch: pytest.MonkeyPatch
) -> None:
    disks.limited(monkeypatch, Way.LINK)
    real = os.unlink

    def unlink(path: str, *, dir_fd: int | None = None) -> None:
        diary.append(f"unlink {path}")
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    assert only(rig.relocate(rig.order(COPY))).held
    assert diary[diary.index("unlink a.jpg") - 1] == f"sync {DUPLICATES}/trip"


# ---- a disk that fails


class FailingSync:
    """fsync fails with EIO for paths that end so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ending: str, code: int = errno.EIO) -> None:
        self.ending, self.code, self.real = ending, code, os.fsync
        monkeypatch.setattr(os, "fsync", self)

    def __call__(self, fd: int) -> None:
        if self.ending and os.readlink(f"/proc/self/fd/{fd}").endswith(self.ending):
            raise OSError(self.code, os.strerror(self.code))
        self.real(fd)


@pytest.mark.parametrize("ending", [KEEPER, COPY])
def test_a_file_that_cannot_be_synced_does_not_move(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    FailingSync(monkeypatch, ending)
    row = only(rig.relocate(rig.order(COPY)))
    assert row.state is MoveState.ABORTED and rig.exists(COPY)
    assert rig.rows() == []


def test_after_an_io_error_nothing_moves_any_more(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    held = rig.relocate(rig.order(rig.photo("2024/06/b.jpg")))
    failing = FailingSync(monkeypatch, KEEPER)
    rig.relocate(rig.order(COPY))
    failing.ending = ""
    assert "disk failed to write" in only(rig.relocate(rig.order(COPY))).error
    assert "disk failed to write" in only(rig.undo(held)).error
    assert rig.exists(COPY) and rig.exists(held[0].dst)


def test_a_receipt_that_cannot_be_synced_stops_the_move(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = FailingSync(monkeypatch, RECEIPTS)
    assert only(rig.relocate(rig.order(COPY))).state is MoveState.ABORTED
    assert rig.exists(COPY)
    failing.ending = ""
    assert "disk failed to write" in only(rig.relocate(rig.order(COPY))).error, "a second sync would lie"


@pytest.mark.parametrize("ending", [KEEPER, COPY])
def test_a_file_that_cannot_be_read_does_not_move(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    real = move_checks.content_of

    def read(fd: int) -> str:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(ending):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(fd)

    monkeypatch.setattr(move_checks, "content_of", read)
    row = only(rig.relocate(rig.order(COPY)))
    assert row.state is MoveState.ABORTED and "Input/output" in row.error
    assert rig.exists(COPY) and rig.rows() == []


def test_a_folder_that_cannot_be_synced_leaves_the_end_open(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rename may or may not survive: nobody claims that it is done, and the next start looks."""
    FailingSync(monkeypatch, "/duplicates/trip")
    row = only(rig.relocate(rig.order(COPY)))
    assert row.state is MoveState.INTENT and row.error
    monkeypatch.undo()
    rig.mover = FileMover(rig.clock, 0.0)
    assert only(rig.recover()).held
    assert only(rig.rows()).held


def test_a_completion_that_cannot_be_written_loses_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from dedupd.adapters.fs import receipts

    real = receipts.append

    def append(folder: int, lines: Sequence[dict[str, object]]) -> None:
        if lines[0]["receipt"] != "intent":
            raise OSError(errno.ENOSPC, "No space left on device")
        real(folder, lines)

    monkeypatch.setattr(receipts, "append", append)
    row = only(rig.relocate(rig.order(COPY)))
    assert row.held
    told = only(rig.mover.receipts(str(rig.root)))
    assert (told.goal, told.state) == (Goal.MOVED, MoveState.INTENT)
