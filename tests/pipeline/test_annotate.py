"""What moved copies know stands in a sidecar beside their keeper: no file of anybody's is touched, and undo takes it away."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs import sidecar_files, test_points
from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.fs.sidecar_files import SidecarFiles
from dedupd.core.descriptions import Description
from dedupd.core.foreign import Scope
from dedupd.core.relocation import MoveState
from dedupd.core.xmp import from_xmp, to_xmp
from dedupd.errors import VisionError
from dedupd.pipeline.annotate import withdraw_by_receipts
from dedupd.pipeline.relocate import undo_from_receipts
from dedupd.pipeline.verify import verify
from tests.support.shelf import Shelf

KEEPER, COPY, SIDECAR = "2024/06/a.jpg", "2024/06/b.jpg", "2024/06/a.jpg.xmp"
SAID: dict[str, Any] = {"captured": "2024-06-15T12:30:01", "rating": 4, "keywords": ["sea"], "caption": "Us"}
KNOWN = Description(captured="2024-06-15T12:30:01", rating=4, keywords=("sea",), caption="Us")


def filled(shelf: Shelf, **said: Any) -> Shelf:
    shelf.add(KEEPER)
    shelf.small(COPY, said=said or SAID)
    return shelf


def settled(shelf: Shelf) -> Shelf:
    assert filled(shelf).pass_().files == 1
    return shelf


def read(shelf: Shelf, path: str = SIDECAR) -> Description:
    return from_xmp(shelf.path(path).read_bytes())


def summary(shelf: Shelf) -> dict[str, Any]:
    shelf.library.summaries.rewrite({shelf.row.id: {"2024-06"}})
    record = json.loads((shelf.root / "2024/duplicates_summary/2024-06.json").read_text())
    return next(g["metadata"] for g in record["groups"])


def breaches(shelf: Shelf) -> list[str]:
    found = verify(
        shelf.ledger, shelf.library.disk, FileMover(SystemClock()).receipts, shelf.library.roots.all, Scope()
    )
    return [f"{b.promise} {b.path} {b.told}" for b in found]


def test_what_the_copy_knows_stands_beside_the_keeper_whose_bytes_stay(shelf: Shelf) -> None:
    keeper = filled(shelf).path(KEEPER).read_bytes()
    os.chmod(shelf.path(KEEPER), 0o640)
    assert shelf.pass_().files == 1
    assert read(shelf) == KNOWN
    assert shelf.path(KEEPER).read_bytes() == keeper
    assert shelf.path(SIDECAR).stat().st_mode & 0o777 == 0o640
    assert summary(shelf) == {"sidecar": SIDECAR, "known": KNOWN.told(), "conflicts": []}
    assert shelf.pass_().files == 0 and breaches(shelf) == []


def test_nothing_new_no_sidecar(shelf: Shelf) -> None:
    shelf.add(KEEPER, said=SAID)
    shelf.small(COPY, said=SAID)
    assert shelf.pass_().files == 1
    assert not shelf.path(SIDECAR).exists() and not shelf.ledger.sidecars.unsettled()


def test_byte_copies_need_no_eyes(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.add(KEEPER)
    shelf.add(COPY)

    def never(requests: object) -> dict[int, Description]:
        raise AssertionError("a byte copy knows nothing that its keeper does not")

    monkeypatch.setattr(shelf.vision, "describe", never)
    assert shelf.pass_().files == 1


def test_a_copys_own_sidecar_is_knowledge_too(shelf: Shelf) -> None:
    shelf.pair(KEEPER, COPY)
    shelf.path("2024/06/a.aae").write_text("an edit: photos with something of their own keep")
    shelf.path(COPY + ".xmp").write_text(to_xmp(KNOWN))
    assert shelf.pass_().files == 2
    assert read(shelf) == KNOWN


def test_switched_off_and_in_a_dry_run_nothing_is_written(tmp_path: Path) -> None:
    shelf = filled(Shelf(tmp_path / "off", metadata="off"))
    assert shelf.pass_().files == 1 and not shelf.path(SIDECAR).exists()
    shelf.close()
    shelf = filled(Shelf(tmp_path / "dry"))
    shelf.library.scan(dry_run=True)
    assert shelf.files() == {KEEPER, COPY}
    shelf.close()


def test_another_frame_of_a_burst_does_not_speak_for_its_keeper(shelf: Shelf) -> None:
    settled(shelf)
    (move,) = shelf.ledger.journal.moves(held=True)
    shelf.ledger._link.execute("UPDATE moves SET relation='burst' WHERE id=?", (move.id,))
    shelf.ledger.sidecars.owe(shelf.row.id, move.group)
    shelf.library.annotator.settle()
    assert not shelf.path(SIDECAR).exists()


def test_conflicts_are_left_out_and_told(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    filled(shelf)
    shelf.small("2024/06/c.jpg", rendering="other", said={"caption": "Them", "rating": 4})
    with caplog.at_level("INFO"):
        assert shelf.pass_().files == 2
    assert read(shelf).caption == "" and read(shelf).rating == 4
    assert summary(shelf)["conflicts"] == ["caption"]
    assert "caption" in caplog.text


@pytest.mark.parametrize("name", [SIDECAR, "2024/06/a.xmp", "2024/06/A.JPG.XMP"])
def test_a_sidecar_that_is_there_stays_and_the_summary_tells(shelf: Shelf, name: str) -> None:
    filled(shelf).path(name).write_text("somebody's")
    shelf.pass_()
    assert shelf.path(name).read_text() == "somebody's"
    assert sorted(p for p in shelf.files() if p.casefold().endswith("xmp")) == [name]
    told = summary(shelf)
    assert told["sidecar"] is None and told["known"][:-1] == KNOWN.told() and name in told["known"][-1]
    assert shelf.library.movement.undo(shelf.library.movement.held(everything=True)).undone == 1
    assert shelf.path(name).read_text() == "somebody's"


def test_what_an_existing_sidecar_knows_is_not_lacking(shelf: Shelf) -> None:
    filled(shelf).path(SIDECAR).write_text(to_xmp(KNOWN))
    shelf.pass_()
    assert summary(shelf) == {"sidecar": None, "known": [], "conflicts": []}


def test_a_name_taken_at_the_last_moment(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def take(step: str) -> None:
        if step == "sidecar receipted":
            shelf.path(SIDECAR).write_text("theirs")

    monkeypatch.setattr(test_points, "step", take)
    filled(shelf).pass_()
    assert shelf.path(SIDECAR).read_text() == "theirs"
    assert summary(shelf)["sidecar"] is None
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    assert shelf.path(SIDECAR).read_text() == "theirs"


# ---- away again


def test_undo_takes_it_away(shelf: Shelf) -> None:
    before = filled(shelf).census()
    shelf.pass_()
    shelf.library.roots.reconcile()
    assert shelf.library.movement.undo(shelf.library.movement.held(everything=True)).undone == 1
    assert shelf.files() == {KEEPER, COPY} and shelf.census() == before
    assert breaches(shelf) == []
    assert shelf.pass_().files == 0 and shelf.files() == {KEEPER, COPY}


def test_undo_of_one_copy_leaves_what_the_other_knows(shelf: Shelf) -> None:
    filled(shelf)
    shelf.small("2024/06/c.jpg", rendering="other", said={"keywords": ["Anna"]})
    assert shelf.pass_().files == 2
    assert set(read(shelf).keywords) == {"sea", "Anna"}
    first = next(m for m in shelf.ledger.journal.moves(held=True) if m.src == COPY)
    assert shelf.library.movement.undo([first.id]).undone == 1
    assert read(shelf) == Description(keywords=("Anna",))


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "unseen"])
def test_edited_by_its_owner_it_is_its_owners(shelf: Shelf, seen: bool) -> None:
    settled(shelf)
    if seen:
        shelf.library.roots.reconcile()
    edited = shelf.path(SIDECAR).read_text().replace("Us", "We all")
    shelf.path(SIDECAR).write_text(edited)
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    assert shelf.path(SIDECAR).read_text() == edited
    shelf.library.roots.reconcile()
    assert breaches(shelf) == []


@pytest.mark.parametrize("how", ["link", "folder", "second name"])
def test_what_is_no_plain_file_is_left_alone(shelf: Shelf, how: str, tmp_path: Path) -> None:
    settled(shelf)
    text = shelf.path(SIDECAR).read_text()
    other = tmp_path / "other.xmp"
    if how == "second name":
        os.link(shelf.path(SIDECAR), other)
    else:
        shelf.path(SIDECAR).unlink()
        other.write_text(text)
        shelf.path(SIDECAR).mkdir() if how == "folder" else shelf.path(SIDECAR).symlink_to(other)
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    assert os.path.lexists(shelf.path(SIDECAR))
    if how != "folder":
        assert other.read_text() == text


@pytest.mark.parametrize("seen", [True, False], ids=["seen", "unseen"])
def test_the_keeper_moved_by_hand_with_its_sidecar(shelf: Shelf, seen: bool) -> None:
    """It is of the keeper's unit, and dedupd still knows it as its own."""
    settled(shelf)
    if seen:
        shelf.library.roots.reconcile()
    (shelf.root / "2024/07").mkdir()
    for name in (KEEPER, SIDECAR):
        os.rename(shelf.path(name), shelf.path(name.replace("2024/06/a", "2024/07/z")))
    shelf.pass_()
    assert read(shelf, "2024/07/z.jpg.xmp") == KNOWN
    assert shelf.library.movement.undo(shelf.library.movement.held(everything=True)).undone == 1
    assert shelf.files() == {"2024/07/z.jpg", COPY}


def test_a_lost_keeper_takes_its_sidecar_along(shelf: Shelf) -> None:
    settled(shelf)
    shelf.path(KEEPER).unlink()
    shelf.pass_()
    assert shelf.files() == {COPY}


def test_a_held_copy_thrown_away_leaves_what_it_knew(shelf: Shelf) -> None:
    settled(shelf)
    (move,) = shelf.ledger.journal.moves(held=True)
    shelf.path(move.dst).unlink()
    for _ in range(3):
        shelf.pass_()
        shelf.clock.advance(100)
    assert read(shelf) == KNOWN and not shelf.ledger.journal.moves(held=True)


def test_with_the_ledger_gone_the_receipts_take_it_away(shelf: Shelf) -> None:
    before = filled(shelf).census()
    shelf.pass_()
    (shelf.at / "state").rename(shelf.at / "lost")
    undo_from_receipts(str(shelf.root), shelf.library.mover, shelf.clock)
    told = shelf.path(SIDECAR).read_bytes()
    assert withdraw_by_receipts(str(shelf.root), SidecarFiles(), shelf.library.mover) == 1
    aside = shelf.path(f"2024/06/duplicates/{SIDECAR.rpartition('/')[2]}")
    assert aside.read_bytes() == told  # not deleted: a receipt alone is not believed so far
    aside.unlink()
    assert shelf.files() == {KEEPER, COPY} and shelf.census() == before
    assert withdraw_by_receipts(str(shelf.root), SidecarFiles(), shelf.library.mover) == 0


def test_a_sidecar_beside_a_keeper_of_another_month_is_laid_aside_too(shelf: Shelf) -> None:
    shelf.add("2024/05/a.jpg")
    shelf.small("2024/06/b.jpg", said={"rating": 4})
    shelf.pass_()
    assert shelf.path("2024/05/a.jpg.xmp").exists()
    undo_from_receipts(str(shelf.root), shelf.library.mover, shelf.clock)
    assert withdraw_by_receipts(str(shelf.root), SidecarFiles(), shelf.library.mover) == 1
    assert shelf.files() == {"2024/05/a.jpg", "2024/06/b.jpg", "2024/06/duplicates/a.jpg.xmp"}


def test_receipts_of_a_sidecar_never_point_at_anything_else(shelf: Shelf) -> None:
    """A line that somebody else wrote cannot make dedupd take a file away."""
    settled(shelf)
    receipts = shelf.root / "2024/06/duplicates/.dedupd-receipts.jsonl"
    shelf.path("2024/06/c.jpg").write_text("photo")
    shelf.path("2024/c.xmp").write_text("text")
    (shelf.at / "d.xmp").write_text("text")
    lie = {"receipt": "sidecar", "id": 1, "batch": "sidecar", "folder": "2024/06/duplicates"}
    with receipts.open("a") as file:
        for path, text in (
            ("2024/06/c.jpg", "photo"),
            ("2024/c.xmp", "text"),
            ("2024/06/../../../d.xmp", "text"),
        ):
            file.write(json.dumps(lie | {"path": path, "text": text}) + "\n")
    undo_from_receipts(str(shelf.root), shelf.library.mover, shelf.clock)
    withdraw_by_receipts(str(shelf.root), SidecarFiles(), shelf.library.mover)
    assert shelf.path("2024/06/c.jpg").exists() and shelf.path("2024/c.xmp").exists()
    assert (shelf.at / "d.xmp").exists()


# ---- bad days


def test_without_eyes_it_is_written_later(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(requests: object) -> dict[int, Description]:
        raise VisionError("the worker cannot be started")

    with monkeypatch.context() as broken:
        broken.setattr(shelf.vision, "describe", blind)
        settled(shelf)
        assert not shelf.path(SIDECAR).exists()
    shelf.pass_()
    assert read(shelf) == KNOWN


def test_a_disk_that_takes_no_more_leaves_nothing_half(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> None:
        os.write(fd, data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(sidecar_files, "_fill", full)
        settled(shelf)
    assert not shelf.path(SIDECAR).exists()
    assert "No space left" in summary(shelf)["known"][-1]
    assert {m.state for m in shelf.ledger.journal.moves()} == {MoveState.DONE}


def test_another_disk_at_the_roots_path_gets_none(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(shelf)
    (move,) = shelf.ledger.journal.moves(held=True)
    row = shelf.ledger.sidecars.of(move.group)
    assert row is not None
    shelf.path(SIDECAR).unlink()
    files = SidecarFiles()
    why = files.write(str(shelf.root), "another", row, KEEPER, "2024/06/duplicates")
    assert "not the folder or disk" in why and not shelf.path(SIDECAR).exists()


@pytest.mark.parametrize("other", ["", "x", "longer"])
def test_ours_is_only_what_is_byte_for_byte_ours(shelf: Shelf, other: str) -> None:
    settled(shelf)
    (move,) = shelf.ledger.journal.moves(held=True)
    row = shelf.ledger.sidecars.of(move.group)
    assert row is not None
    text = row.text[:-1] + other
    shelf.path(SIDECAR).write_text(text)
    assert not SidecarFiles().remove(str(shelf.root), shelf.row.uuid, row, "2024/06/duplicates")
    assert shelf.path(SIDECAR).read_text() == text


@pytest.mark.skipif(sys.platform != "linux", reason="names descriptors by /proc")
def test_a_sidecar_is_on_disk_before_it_is_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes, then its folder, then its completion; and its folder again when it went."""
    diary: list[str] = []
    sync = os.fsync

    def noted(fd: int) -> None:
        diary.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        sync(fd)

    monkeypatch.setattr(test_points, "step", lambda name: diary.append(name))
    monkeypatch.setattr(os, "fsync", noted)
    settled(shelf)
    written = diary[diary.index("sidecar begun") : diary.index("sidecar completed")]
    assert written == [
        "sidecar begun", "a.jpg.xmp", "sidecar written", "06", "sidecar synced", ".dedupd-receipts.jsonl"
    ]  # fmt: skip
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    gone = diary[diary.index("sidecar removed") : diary.index("sidecar removal receipted")]
    assert gone == ["sidecar removed", "06", ".dedupd-receipts.jsonl"]
