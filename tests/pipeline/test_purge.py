"""A purge: what was held for long goes into the trash on its owner's word, with its keeper proven at that moment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from dedupd.adapters.fs import test_points
from dedupd.core.abilities import Way
from dedupd.core.photo import Holding
from dedupd.core.purging import PurgeState
from dedupd.errors import Refusal
from dedupd.pipeline.movement import Moved
from dedupd.pipeline.undo import undo as undo_asked
from dedupd.pipeline.verify import verify
from dedupd.protocol.requests import Undo
from tests.fakes.vision import COPY
from tests.support import disks
from tests.support.shelf import Shelf

DAY = 86_400.0
LONG = 90 * DAY
PLAIN = Holding()
KEEPER, COPIED, HELD = "2024/06/kept.jpg", "2024/06/small.jpg", "2024/06/duplicates/small.jpg"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with_shelf = Shelf(tmp_path)
    yield with_shelf
    with_shelf.close()


def held(
    shelf: Shelf, mine: Holding = PLAIN, its: Holding = PLAIN, scene: str = "lake", **copy: object
) -> int:
    """A copy that moved a hundred days ago. Returns its move."""
    keeper, small = (
        shelf.add(f"2024/06/kept{scene[4:]}.jpg", scene),
        shelf.small(f"2024/06/small{scene[4:]}.jpg", scene, **copy),
    )
    a, b = content(keeper), content(small)
    one, two = (its, mine) if a < b else (mine, its)
    shelf.vision.measures[frozenset((a, b))] = replace(COPY, holds_a=one, holds_b=two)
    shelf.clock.advance(60)
    assert shelf.pass_().files
    shelf.clock.advance(100 * DAY)
    shelf.look()
    return shelf.ledger.journal.moves(held=True)[-1].id


def content(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest()


def purge(shelf: Shelf, *moves: int, older_than: float = LONG) -> Moved:
    return shelf.library.purging.purge(moves, older_than)


def trash(shelf: Shelf) -> dict[str, str]:
    """Name -> content of what lies in the trash."""
    files = shelf.at / "data/Trash/files"
    return {p.name: content(p) for p in files.iterdir()} if files.exists() else {}


def infos(shelf: Shelf) -> set[str]:
    info = shelf.at / "data/Trash/info"
    return {p.name for p in info.iterdir()} if info.exists() else set()


def breaches(shelf: Shelf) -> list[str]:
    library = shelf.library
    found = verify(shelf.ledger, library.disk, library.mover.receipts, library.roots.all, library.roots.scope)
    return [f"{b.promise} {b.path} {b.told}" for b in found]


def stays(shelf: Shelf, move: int, because: str) -> None:
    """It is asked for, and stays where it is, with this reason."""
    before = shelf.census()
    result = purge(shelf, move)
    assert (result.purged, result.stayed) == (0, 1)
    assert because in " ".join(result.messages), result.messages
    assert shelf.census() == before and not trash(shelf) and not infos(shelf)
    assert shelf.ledger.journal.moves(ids=[move], held=True)


class TestGoes:
    def test_into_the_trash_with_its_place_told(self, shelf: Shelf) -> None:
        move = held(shelf)
        bytes_before = content(shelf.path(HELD))
        result = purge(shelf, move)
        assert (result.purged, result.stayed, result.messages) == (1, 0, [])
        assert trash(shelf) == {"small.jpg": bytes_before}
        text = (shelf.at / "data/Trash/info/small.jpg.trashinfo").read_text()
        assert text.startswith(f"[Trash Info]\nPath={shelf.path(HELD)}\nDeletionDate=")
        row = shelf.ledger.purges.of([move])[move]
        assert (row.state, row.trash) == (PurgeState.DONE, str(shelf.at / "data/Trash/files/small.jpg"))
        assert shelf.files() == {KEEPER}

    def test_every_number_is_what_the_disk_shows(self, shelf: Shelf) -> None:
        """P15: nothing is counted as moved or saved that is not in duplicates/."""
        move = held(shelf)
        purge(shelf, move)
        shelf.look()
        row = shelf.row
        assert shelf.ledger.files.held_totals(row.id) == (0, 0)
        assert [(m.moved, m.bytes_saved) for m in shelf.library.reviewer.months()] == [(0, 0)]
        assert not breaches(shelf)
        (seen,) = shelf.library.reviewer.moves(shelf.ledger.journal.moves(ids=[move]))
        assert seen.state == "purged" and "data/Trash/files/small.jpg" in seen.error

    def test_a_name_in_the_trash_is_never_taken_from_another_file(self, shelf: Shelf) -> None:
        move = held(shelf)
        (shelf.at / "data/Trash/files").mkdir(parents=True, mode=0o700)
        (shelf.at / "data/Trash/files/small.jpg").write_bytes(b"of another program")
        assert purge(shelf, move).purged == 1
        assert set(trash(shelf)) == {"small.jpg", "small (1).jpg"}
        assert (shelf.at / "data/Trash/files/small.jpg").read_bytes() == b"of another program"

    def test_bytes_alike_need_no_measures(self, shelf: Shelf) -> None:
        shelf.add(KEEPER)
        shelf.add("2024/06/kept copy.jpg")
        shelf.clock.advance(60)
        assert shelf.pass_().files == 1
        shelf.clock.advance(100 * DAY)
        shelf.look()
        (move,) = shelf.ledger.journal.moves(held=True)
        assert purge(shelf, move.id).purged == 1

    def test_the_receipt_tells(self, shelf: Shelf) -> None:
        move = held(shelf)
        purge(shelf, move)
        (told,) = shelf.library.mover.receipts(str(shelf.root))
        assert told.refusal is Refusal.PURGED and "data/Trash/files/small.jpg" in told.error
        assert not told.held

    def test_its_row_is_never_forgotten(self, shelf: Shelf) -> None:
        move = held(shelf)
        purge(shelf, move)
        with shelf.ledger.transaction():
            shelf.ledger.forgetting.aborted_moves(shelf.clock.now() + 1e9)
        assert shelf.ledger.journal.moves(ids=[move])


class TestStays:
    """Each check by itself: without it a photo could be lost."""

    def test_what_is_not_old_enough(self, shelf: Shelf) -> None:
        move = held(shelf)
        result = purge(shelf, move, older_than=101 * DAY)
        assert (result.purged, result.stayed) == (0, 1) and not trash(shelf)

    def test_its_keeper_is_gone(self, shelf: Shelf) -> None:
        move = held(shelf)
        shelf.path(KEEPER).unlink()
        stays(shelf, move, "kept.jpg is gone")

    def test_its_keeper_was_changed(self, shelf: Shelf) -> None:
        move = held(shelf)
        shelf.path(KEEPER).write_bytes(b"edited")
        stays(shelf, move, "changed since it was looked at")

    def test_its_keeper_was_spoiled_unseen(self, shelf: Shelf) -> None:
        """A bad disk changes bytes and no time: only reading them all tells."""
        move = held(shelf)
        keeper = shelf.path(KEEPER)
        before = keeper.stat()
        with keeper.open("r+b") as file:
            file.write(b"X")
        os.utime(keeper, ns=(before.st_atime_ns, before.st_mtime_ns))
        stays(shelf, move, "does not hold the bytes that were recorded")

    def test_its_keeper_holds_less(self, shelf: Shelf) -> None:
        """P16, by what is stored now."""
        move = held(shelf)
        a, _ = sorted((content(shelf.path(KEEPER)), content(shelf.path(HELD))))
        better = replace(COPY, holds_a=Holding(colour=0.5), holds_b=Holding(colour=20.0))
        if content(shelf.path(HELD)) == a:
            better = replace(better, holds_a=better.holds_b, holds_b=better.holds_a)
        (pair,) = shelf.ledger.pairs.among([a], "lite0-gem/1")
        with shelf.ledger.transaction():
            shelf.ledger.pairs.put([replace(pair, measures=better)])
        stays(shelf, move, "it has the colours, and its keeper does not")

    def test_what_it_holds_was_never_measured(self, shelf: Shelf) -> None:
        move = held(shelf)
        a, _ = sorted((content(shelf.path(KEEPER)), content(shelf.path(HELD))))
        (pair,) = shelf.ledger.pairs.among([a], "lite0-gem/1")
        with shelf.ledger.transaction():
            shelf.ledger.pairs.put([replace(pair, measures=COPY)])
        stays(shelf, move, "never compared")

    def test_a_keeper_that_was_never_read(self, shelf: Shelf) -> None:
        move = held(shelf)
        with shelf.ledger.transaction():
            shelf.ledger._link.execute("DELETE FROM contents WHERE content=?", (content(shelf.path(KEEPER)),))  # pyright: ignore[reportPrivateUsage]
        stays(shelf, move, "never read to the end")

    def test_a_persons_no(self, shelf: Shelf) -> None:
        move = held(shelf)
        with shelf.ledger.transaction():
            shelf.ledger.verdicts.add("keep", content(shelf.path(HELD)), "", [HELD], 1.0)
        stays(shelf, move, "a person said")

    def test_what_only_looks_alike(self, shelf: Shelf) -> None:
        """A person may have moved it; its keeper shows something else."""
        move = held(shelf)
        shelf.ledger._link.execute("UPDATE moves SET relation='similar'")  # pyright: ignore[reportPrivateUsage]
        stays(shelf, move, "only looks alike")

    def test_what_it_knows_is_not_written_yet(self, shelf: Shelf) -> None:
        move = held(shelf)
        with shelf.ledger.transaction():
            shelf.ledger.sidecars.owe(shelf.row.id, shelf.group().id)
        stays(shelf, move, "not written beside its keeper yet")

    def test_a_sidecar_that_is_gone(self, shelf: Shelf) -> None:
        move = held(shelf, said={"rating": 4})
        sidecar = shelf.path(KEEPER + ".xmp")
        assert sidecar.exists()
        sidecar.unlink()
        stays(shelf, move, "is not there any more")

    def test_companions_that_the_library_has_nowhere_else(self, shelf: Shelf) -> None:
        """A sidecar of the copy's own goes only when its very bytes stand beside the keeper."""
        (shelf.root / "2024/06").mkdir(parents=True)
        shelf.path(COPIED + ".xmp").write_bytes(b"<x:xmpmeta/>")
        held(shelf)
        moves = [m.id for m in shelf.ledger.journal.moves(held=True)]
        assert len(moves) == 2
        result = purge(shelf, *moves)
        assert (result.purged, result.stayed) == (0, 2)
        assert "no other copy of small.jpg.xmp" in " ".join(result.messages)
        assert not trash(shelf)

    def test_no_part_of_a_unit(self, shelf: Shelf) -> None:
        (shelf.root / "2024/06").mkdir(parents=True)
        shelf.path(COPIED + ".xmp").write_bytes(b"<x:xmpmeta/>")
        held(shelf)
        move = next(m.id for m in shelf.ledger.journal.moves(held=True) if m.primary)
        stays(shelf, move, "not all that belongs to it was named")

    def test_the_held_file_is_not_what_moved(self, shelf: Shelf) -> None:
        move = held(shelf)
        shelf.path(HELD).write_bytes(b"something else")
        stays(shelf, move, "does not hold the bytes that were recorded")

    def test_a_link_in_its_place(self, shelf: Shelf) -> None:
        move = held(shelf)
        shelf.path(HELD).unlink()
        shelf.path(HELD).symlink_to(shelf.path(KEEPER))
        stays(shelf, move, "is gone")

    def test_its_keeper_under_a_second_name(self, shelf: Shelf) -> None:
        """By some accident both are one file: then nothing stands for it."""
        move = held(shelf)
        os.link(shelf.path(KEEPER), shelf.at / "second name")
        shelf.look()
        stays(shelf, move, "second name")

    def test_a_keeper_in_a_bin(self, shelf: Shelf) -> None:
        """P17: what lies in somebody's bin stands for nothing."""
        move = held(shelf)
        (shelf.root / "2024/06/.nomedia").write_bytes(b"")
        stays(shelf, move, "none of the library")

    def test_another_disk_at_the_roots_path(self, shelf: Shelf) -> None:
        move = held(shelf)
        marker = shelf.path(".dedupd-root.json")
        text = marker.read_text()
        marker.write_text(text.replace(shelf.row.uuid[:8], "00000000"))
        result = purge(shelf, move)
        assert result.purged == 0 and not trash(shelf)

    def test_without_a_trash_nothing_goes(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        move = held(shelf)
        (shelf.at / "data").mkdir()
        (shelf.at / "data/Trash").symlink_to(shelf.at)
        result = purge(shelf, move)
        assert result.purged == 0 and "there is no trash" in " ".join(result.messages)
        assert shelf.path(HELD).exists()


class TestAtTheLastMoment:
    """Between proof and act the world goes on."""

    @pytest.mark.parametrize("step", ["checked before discard", "discarded", "name reserved"])
    def test_the_keeper_vanishes(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
        move = held(shelf)
        away = shelf.at / "away.jpg"
        _at(monkeypatch, step, lambda: shelf.path(KEEPER).rename(away))
        result = purge(shelf, move)
        assert (result.purged, result.stayed) == (0, 1)
        assert shelf.path(HELD).exists() and not trash(shelf) and not infos(shelf)
        assert shelf.ledger.journal.moves(ids=[move], held=True)
        assert shelf.ledger.purges.of([move])[move].state is PurgeState.ABORTED

    def test_nothing_goes_when_the_keeper_vanished_before(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What need not go is not even brought back."""
        move, seen = held(shelf), list[str]()

        def step(name: str) -> None:
            seen.append(name)
            if name == "name reserved":
                shelf.path(KEEPER).rename(shelf.at / "away.jpg")

        monkeypatch.setattr(test_points, "step", step)
        assert purge(shelf, move).purged == 0
        assert "discarded" not in seen and shelf.path(HELD).exists()

    def test_the_file_is_exchanged(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        """What goes is not what was proven: it is brought back, whatever it is."""
        move = held(shelf)

        def exchange() -> None:
            shelf.path(HELD).rename(shelf.path(HELD + "~"))
            shelf.path(HELD).write_bytes(b"new here")

        _at(monkeypatch, "checked before discard", exchange)
        assert purge(shelf, move).purged == 0
        assert shelf.path(HELD).read_bytes() == b"new here" and not trash(shelf)

    def test_the_name_in_the_trash_is_taken(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        move = held(shelf)
        other = shelf.at / "data/Trash/files/small.jpg"
        _at(monkeypatch, "checked before discard", lambda: other.write_bytes(b"of another program"))
        assert purge(shelf, move).purged == 0
        assert other.read_bytes() == b"of another program" and shelf.path(HELD).exists()

    def test_the_info_name_is_taken(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        move = held(shelf)
        other = shelf.at / "data/Trash/info/small.jpg.trashinfo"
        _at(monkeypatch, "discard receipted", lambda: other.write_text("of another program"))
        assert purge(shelf, move).purged == 0
        assert other.read_text() == "of another program" and shelf.path(HELD).exists()

    def test_the_disk_takes_no_receipt(self, shelf: Shelf) -> None:
        move = held(shelf)
        receipts = shelf.path("2024/06/duplicates/.dedupd-receipts.jsonl")
        receipts.unlink()
        receipts.mkdir()
        assert purge(shelf, move).purged == 0
        assert shelf.path(HELD).exists() and not trash(shelf)


STEPS = (
    "discard proven",
    "discard receipted",
    "name reserved",
    "checked before discard",
    "discarded",
    "purged receipted",
)


class TestKilled:
    """kill -9 after each step: afterwards the ledger says where the photo lies, and it lies in one place."""

    @pytest.mark.parametrize("step", STEPS)
    def test_the_ledger_tells_the_truth(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        move = held(shelf)
        bytes_before = content(shelf.path(HELD))
        _dies(monkeypatch, step)
        with pytest.raises(_Killed):
            purge(shelf, move)
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(shelf.at / "data"))
        shelf.close()
        shelf.open()
        # Nobody is sent for a backup of what lies in the trash.
        assert {b[:2] for b in breaches(shelf)} <= {"P4"}
        shelf.library.recover()
        gone = step in ("discarded", "purged receipted")
        assert trash(shelf) == ({"small.jpg": bytes_before} if gone else {})
        assert infos(shelf) == ({"small.jpg.trashinfo"} if gone else set())
        assert shelf.path(HELD).exists() is not gone
        assert bool(shelf.ledger.journal.moves(ids=[move], held=True)) is not gone
        shelf.look()
        assert not breaches(shelf)
        rows = shelf.ledger.purges.of([move])
        shelf.library.recover()
        assert shelf.ledger.purges.of([move]) == rows, "twice changes nothing"

    @pytest.mark.parametrize(("way", "step"), [(Way.LINK, "linked"), (Way.CLAIM, "claimed")])
    def test_in_the_middle_of_a_rename_of_two_steps(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, way: Way, step: str
    ) -> None:
        """Where a file system has no rename that refuses a taken name."""
        with monkeypatch.context() as patch:
            disks.limited(patch, way)
            move = held(shelf)
            _dies(patch, step)
            with pytest.raises(_Killed):
                purge(shelf, move)
            patch.setattr(test_points, "step", lambda name: None)
            shelf.library.recover()
        assert shelf.path(HELD).stat().st_nlink == 1 and not trash(shelf) and not infos(shelf)
        assert shelf.ledger.journal.moves(ids=[move], held=True)

    @pytest.mark.parametrize(
        "what", ["a photo", "a copy", "two names of another photo", "a link", "the changed file"]
    )
    def test_what_took_the_name_in_the_trash_meanwhile_stays_there(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch, what: str
    ) -> None:
        """The one place where a purge takes a name away: only that of the very file that is held, whole."""
        move = held(shelf)
        _dies(monkeypatch, "name reserved")
        with pytest.raises(_Killed):
            purge(shelf, move)
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(shelf.at / "data"))
        there, mine, other = shelf.at / "data/Trash/files/small.jpg", shelf.path(HELD), shelf.at / "other.jpg"
        if what == "a photo":
            there.write_bytes(b"a photo of somebody's")
        elif what == "a copy":
            there.write_bytes(mine.read_bytes())
        elif what == "two names of another photo":
            other.write_bytes(mine.read_bytes())
            os.link(other, there)
            os.link(mine, shelf.at / "so that only the inode tells")
        elif what == "a link":
            there.symlink_to(mine)
        else:
            os.link(mine, there)
            mine.write_bytes(bytes(mine.stat().st_size))
        before = os.lstat(there).st_ino
        shelf.close()
        shelf.open()
        shelf.library.recover()
        assert os.lstat(there).st_ino == before and mine.exists()

    def test_a_row_that_an_older_dedupd_forgot(self, shelf: Shelf) -> None:
        purge(shelf, held(shelf))
        shelf.ledger._link.execute("DELETE FROM moves")  # pyright: ignore[reportPrivateUsage]
        shelf.library.recover()

    def test_what_has_no_keeper_any_more_comes_back(
        self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        move = held(shelf)
        _dies(monkeypatch, "discarded")
        with pytest.raises(_Killed):
            purge(shelf, move)
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(shelf.at / "data"))
        shelf.path(KEEPER).unlink()
        shelf.library.recover()
        assert shelf.path(HELD).exists() and not trash(shelf)
        assert shelf.ledger.journal.moves(ids=[move], held=True)

    def test_on_the_way_back(self, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
        move = held(shelf)
        purge(shelf, move)
        _dies(monkeypatch, "taken out of the trash")
        with pytest.raises(_Killed):
            shelf.library.purging.undo([move])
        monkeypatch.undo()
        monkeypatch.setenv("XDG_DATA_HOME", str(shelf.at / "data"))
        assert breaches(shelf)[0].startswith("P4")
        shelf.library.recover()
        assert shelf.path(HELD).exists() and shelf.ledger.journal.moves(ids=[move], held=True)
        assert not breaches(shelf)


class TestBack:
    def test_an_undo_brings_it_where_it_was_and_it_stays(self, shelf: Shelf) -> None:
        move = held(shelf)
        before = content(shelf.path(HELD))
        purge(shelf, move)
        assert undo(shelf, move) == []
        assert content(shelf.path(COPIED)) == before and not trash(shelf) and not infos(shelf)
        assert shelf.ledger.verdicts.has("keep", before), "what a person put back never moves again (P11)"
        shelf.clock.advance(60)
        assert shelf.pass_().files == 0 and not breaches(shelf)

    def test_it_is_found_by_both_its_names(self, shelf: Shelf) -> None:
        move = held(shelf)
        purge(shelf, move)
        assert shelf.ledger.purges.purged_at(str(shelf.root), HELD) == [move]
        assert shelf.ledger.purges.purged_at(str(shelf.root), COPIED) == [move]

    def test_a_unit_goes_and_comes_back_whole(self, shelf: Shelf) -> None:
        (shelf.root / "2024/06").mkdir(parents=True)
        for name in (KEEPER, COPIED):
            shelf.path(name + ".xmp").write_bytes(b"<x:xmpmeta/>")
        held(shelf)
        moves = [m.id for m in shelf.ledger.journal.moves(held=True)]
        assert len(moves) == 2 and purge(shelf, *moves).purged == 2
        assert set(trash(shelf)) == {"small.jpg", "small.jpg.xmp"}
        assert undo(shelf, moves[0]) == []
        assert shelf.path(COPIED).exists() and shelf.path(COPIED + ".xmp").exists() and not trash(shelf)

    def test_no_file_is_replaced(self, shelf: Shelf) -> None:
        move = held(shelf)
        purge(shelf, move)
        shelf.path(COPIED).write_bytes(b"new here")
        shelf.path(HELD).write_bytes(b"and here")
        assert undo(shelf, move) == []
        assert shelf.path(COPIED).read_bytes() == b"new here" and shelf.path(HELD).read_bytes() == b"and here"
        assert shelf.path("2024/06/small (1).jpg").exists()

    def test_an_emptied_trash_is_told(self, shelf: Shelf) -> None:
        move = held(shelf)
        purge(shelf, move)
        (shelf.at / "data/Trash/files/small.jpg").unlink()
        (said,) = undo(shelf, move)
        assert "data/Trash/files/small.jpg" in said and "emptied" in said
        assert shelf.ledger.purges.of([move])[move].state is PurgeState.DONE

    def test_another_file_in_its_place_in_the_trash_is_left_there(self, shelf: Shelf) -> None:
        move = held(shelf)
        purge(shelf, move)
        there = shelf.at / "data/Trash/files/small.jpg"
        there.write_bytes(b"." * there.stat().st_size)
        (said,) = undo(shelf, move)
        assert "not the file that went there" in said and there.exists()

    def test_what_the_desktop_restored_is_put_back(self, shelf: Shelf) -> None:
        """P8: in duplicates/ nobody would look for it."""
        move = held(shelf)
        purge(shelf, move)
        (shelf.at / "data/Trash/files/small.jpg").rename(shelf.path(HELD))
        shelf.library.recover()
        assert shelf.path(COPIED).exists() and not shelf.path(HELD).exists()
        assert shelf.ledger.purges.of([move])[move].state is PurgeState.RETURNED


def undo(shelf: Shelf, move: int) -> list[str]:
    """As `dedupd undo PATH` and a reviewer ask for it."""
    return undo_asked(Undo(moves=[move]), shelf.library.movement, shelf.library.purging).messages


class _Killed(BaseException):
    """As kill -9: nothing cleans up after it."""


def _at(monkeypatch: pytest.MonkeyPatch, name: str, act: object) -> None:
    seen: list[str] = []

    def step(this: str) -> None:
        if this == name and name not in seen:
            seen.append(this)
            act()  # type: ignore[operator]

    monkeypatch.setattr(test_points, "step", step)


def _dies(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def die() -> None:
        raise _Killed

    _at(monkeypatch, name, die)
