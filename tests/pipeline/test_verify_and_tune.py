"""verify finds each broken promise on a real disk; tune says what other settings would do, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs import renaming
from dedupd.adapters.fs.mover import FileMover
from dedupd.cli.main import main
from dedupd.config import Schedule, Settings, places
from dedupd.core.abilities import Way
from dedupd.errors import VisionError
from dedupd.library import Library
from dedupd.pipeline.verify import Breach, IndexCheck, check_index, verify
from tests.fakes.vision import FakeVision, pseudo_photo
from tests.support import disks
from tests.support.pictures import picture, save
from tests.support.shelf import Shelf


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    """A photo, its byte copy moved beside it, and an unrelated one."""
    june = tmp_path / "Pictures/2024/06"
    june.mkdir(parents=True)
    for name, scene in (("IMG_1.jpg", "beach"), ("IMG_1 (1).jpg", "beach"), ("IMG_2.jpg", "wood")):
        (june / name).write_bytes(pseudo_photo(scene))
    settings = Settings(roots=(tmp_path / "Pictures",), schedule=Schedule(settle_seconds=0.0))
    with Library(settings, places(tmp_path / "state"), vision=FakeVision()) as library:
        assert library.scan(yes=True).moved.files == 1
        yield library


def breaches(library: Library) -> list[Breach]:
    return list(
        verify(
            library.ledger,
            library.disk,
            FileMover(SystemClock()).receipts,
            library.roots.all,
            library.roots.scope,
        )
    )


def held(library: Library) -> Path:
    root = library.roots.all[0].path
    return Path(root, library.ledger.journal.moves(held=True)[0].dst)


def test_after_a_scan_every_promise_holds(library: Library) -> None:
    assert breaches(library) == []


def test_a_keeper_that_is_gone_breaks_p8(library: Library) -> None:
    Path(library.roots.all[0].path, "2024/06/IMG_1.jpg").unlink()
    assert "P8" in {b.promise for b in breaches(library)}


def test_a_keeper_in_a_folder_that_is_none_of_the_library_breaks_p17(library: Library) -> None:
    Path(library.roots.all[0].path, "2024/06/.nomedia").touch()
    assert [(b.promise, b.path) for b in breaches(library)] == [("P17", "2024/06")]


@pytest.mark.parametrize("left", ["a second name", "a second copy", "an empty file"])
def test_what_a_refused_move_left_in_duplicates_is_found(
    tmp_path: Path, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path)
    _, copy = shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.look()
    with monkeypatch.context() as refusing:
        refusing.setitem(renaming._WAYS, Way.EXCLUSIVE, disks.no_links)
        assert shelf.pass_().files == 0
    stray = shelf.root / "2024/06/duplicates/a-small.jpg"
    if left == "a second name":
        os.link(copy, stray)
    else:
        stray.write_bytes(copy.read_bytes() if left == "a second copy" else b"")
    (found,) = [b for b in breaches(shelf.library) if b.promise == "P4"]
    assert found.path == "2024/06/duplicates/a-small.jpg" and "2024/06/a-small.jpg" in found.told
    shelf.close()


def test_held_copies_that_a_nas_keeps_in_its_bin_are_no_breach(library: Library) -> None:
    """Their receipts went with them; their owner threw them away."""
    bin_ = Path(library.roots.all[0].path, "#recycle/2024/06")
    bin_.mkdir(parents=True)
    held(library).parent.rename(bin_ / "duplicates")
    library.roots.reconcile()
    library.ledger._link.execute("UPDATE files SET absent_since=1 WHERE state='held'")
    library.roots.reconcile()
    assert library.ledger.journal.moves(held=True) == []
    assert breaches(library) == []


def test_a_keeper_with_other_bytes_breaks_p8(library: Library) -> None:
    with Path(library.roots.all[0].path, "2024/06/IMG_1.jpg").open("ab") as file:
        file.write(b"edited")
    assert "P8" in {b.promise for b in breaches(library)}


def test_what_it_says_of_a_keeper_whose_size_and_times_do_not_tell_is_true(library: Library) -> None:
    keeper = Path(library.roots.all[0].path, "2024/06/IMG_1.jpg")
    before = keeper.stat()
    keeper.write_bytes(bytes(before.st_size))
    os.utime(keeper, ns=(before.st_atime_ns, before.st_mtime_ns))
    (told,) = (b for b in breaches(library) if b.promise == "P8")
    assert "once a month" in told.mend
    keeper.unlink()
    assert any("within a minute" in b.mend for b in breaches(library) if b.promise == "P8")


def test_a_held_file_that_vanished_breaks_p1(library: Library) -> None:
    held(library).unlink()
    assert "P1" in {b.promise for b in breaches(library)}


def test_a_month_that_was_renamed_by_hand_is_found_where_it_lies(library: Library) -> None:
    """Nothing is lost: no backup is to be asked for, and no undo of a path that is gone."""
    june = Path(library.roots.all[0].path, "2024/06")
    june.rename(june.with_name("06 June"))
    found = [b for b in breaches(library) if b.promise != "P15" or "1 moved file(s)" in b.told]
    assert [(b.promise, b.path) for b in found] == [("P15", "2024/06/duplicates")]
    assert "lie in 2024/06 June/duplicates now" in found[0].told
    assert "dedupd scan" in found[0].mend
    library.scan()  # what it names mends it
    assert breaches(library) == []
    assert library.movement.undo(library.movement.held(everything=True)).undone == 1


def test_a_keeper_that_was_renamed_by_hand_is_found_where_it_lies(library: Library) -> None:
    june = Path(library.roots.all[0].path, "2024/06")
    (june / "IMG_1.jpg").rename(june / "Beach.jpg")
    (found,) = [b for b in breaches(library) if b.promise == "P8"]
    assert "lies at 2024/06/Beach.jpg now" in found.told and "scan" in found.mend
    library.scan()
    assert breaches(library) == []


def test_a_moved_file_that_its_owner_took_out_is_found_where_it_lies(library: Library) -> None:
    held(library).rename(Path(library.roots.all[0].path, "2024/06/mine.jpg"))
    told = {b.promise: b for b in breaches(library)}
    assert "lies at 2024/06/mine.jpg now" in told["P15"].told
    assert "P1" not in told


def test_bytes_that_the_library_has_anyway_are_no_place_where_a_lost_file_went(library: Library) -> None:
    """Its keeper holds the same bytes: that is not where the held one went."""
    held(library).unlink()
    assert next(b.promise for b in breaches(library) if "2024/06/duplicates" in b.path) == "P1"


def test_a_month_that_was_copied_is_not_taken_for_a_renamed_one(library: Library) -> None:
    june = Path(library.roots.all[0].path, "2024/06")
    shutil.copytree(june, june.with_name("06 copy"))
    assert not [b for b in breaches(library) if "renamed" in b.told]


def test_a_month_that_took_the_place_of_another_with_the_same_bytes_is_told(tmp_path: Path) -> None:
    """Both held copies seem to lie at one path: that is a breach, and no end of verify."""
    shelf = Shelf(tmp_path)
    shelf.add("2024/04/keeper.jpg", "beach")
    for month in ("05", "06"):
        shelf.small(f"2024/{month}/a.jpg", "beach")
    assert shelf.pass_().files == 2
    shutil.rmtree(shelf.path("2024/05"))
    shelf.path("2024/06").rename(shelf.path("2024/05"))
    assert "renamed by hand" in " ".join(b.told for b in breaches(shelf.library))
    shelf.close()


def test_a_missing_receipt_breaks_p4(library: Library) -> None:
    next(held(library).parent.glob(".dedupd-receipts.jsonl")).unlink()
    assert "P4" in {b.promise for b in breaches(library)}


def test_a_swapped_root_breaks_p9_and_nothing_else_is_said_of_it(library: Library) -> None:
    marker = Path(library.roots.all[0].path, ".dedupd-root.json")
    marker.write_text(json.dumps({"uuid": "another"}))
    assert [b.promise for b in breaches(library)] == ["P9"]


def test_a_veto_on_a_held_pair_breaks_p11(library: Library) -> None:
    move = library.ledger.journal.moves(held=True)[0]
    library.ledger.verdicts.add("different", move.content, move.keeper_content, [], 0.0)
    assert "P11" in {b.promise for b in breaches(library)}


def test_a_twin_that_was_put_back_calls_nobody_else_back(tmp_path: Path) -> None:
    """Two byte copies of one photo are held, and a person takes one back: the other one breaks no promise."""
    june = tmp_path / "Pictures/2024/06"
    june.mkdir(parents=True)
    for name in ("IMG_1.jpg", "IMG_1 (1).jpg", "IMG_1 (2).jpg"):
        (june / name).write_bytes(pseudo_photo("beach"))
    settings = Settings(roots=(tmp_path / "Pictures",), schedule=Schedule(settle_seconds=0.0))
    with Library(settings, places(tmp_path / "state"), vision=FakeVision()) as library:
        assert library.scan(yes=True).moved.files == 2
        assert library.movement.undo(library.movement.held(everything=True)[:1]).undone == 1
        assert breaches(library) == []
        (held,) = library.ledger.journal.moves(held=True)
        with library.ledger.transaction():  # whoever moves it again after that word breaks the promise
            library.ledger.verdicts.drop("keep", held.content, "")
            library.ledger.verdicts.add("keep", held.content, "", [], held.at - 1)
        assert [b.promise for b in breaches(library)] == ["P11"]


def test_a_photo_changed_since_it_was_seen_breaks_p15(library: Library) -> None:
    Path(library.roots.all[0].path, "2024/06/IMG_2.jpg").unlink()
    assert {b.promise for b in breaches(library)} == {"P15"}


def test_what_the_index_lacks_or_holds_too_much_of_is_told_and_breaks_nothing(library: Library) -> None:
    ids = library.ledger.contents.live()
    assert check_index(library.ledger, lambda model, recipe: ids) == IndexCheck(rows=2)
    found = check_index(library.ledger, lambda model, recipe: [ids[0], "gone"])
    assert (found.not_in_it, found.of_no_file) == (1, 1)
    assert "looked at again" in str(found) and breaches(library) == []

    def unreadable(model: str, recipe: str) -> list[str]:
        raise VisionError("the index cannot be read")

    assert str(check_index(library.ledger, unreadable)) == "the index cannot be read"


def test_verify_reads_the_real_index_and_leaves_a_damaged_one_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for n, scene in enumerate((3, 4)):
        save(tmp_path / f"Pictures/2024/06/{n}.jpg", picture(scene))
    state = tmp_path / "state"
    with Library.open([tmp_path / "Pictures"], state_dir=state, embedder="hashes") as library:
        library.scan(dry_run=True)
    assert main(["--state-dir", str(state), "verify", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["index"] == {"rows": 2, "not_in_it": 0, "of_no_file": 0, "problem": ""}
    for manifest in (state / "index").rglob("*.manifest"):
        manifest.write_bytes(b"torn")
    before = sorted(p.relative_to(state) for p in (state / "index").rglob("*"))
    assert main(["--state-dir", str(state), "verify", "--json"]) == 0
    assert "cannot be read" in json.loads(capsys.readouterr().out)["index"]["problem"]
    assert sorted(p.relative_to(state) for p in (state / "index").rglob("*")) == before


def test_tune_replays_without_changing_the_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "Pictures"
    original = save(root / "2024/06/IMG_1.jpg", picture(1))
    (root / "2024/06/IMG_1 (1).jpg").write_bytes(original.read_bytes())
    with Library.open([root], state_dir=tmp_path / "state", embedder="hashes") as library:
        library.scan(dry_run=True)
        before = library.report()["groups"]
    assert main(["--state-dir", str(tmp_path / "state"), "tune", "--tier", "exact=review", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["moves"] == {"now": 1, "then": 0}
    assert len(told["would_not_move"]) == 1
    with Library.open([root], state_dir=tmp_path / "state", embedder="hashes") as library:
        assert library.report()["groups"] == before


def test_lessons_travel_to_another_state_and_can_be_forgotten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "Pictures"
    original = save(root / "2024/06/IMG_1.jpg", picture(1))
    (root / "2024/06/IMG_1 (1).jpg").write_bytes(original.read_bytes())
    for state in ("one", "two"):
        with Library.open([root], state_dir=tmp_path / state, embedder="hashes") as library:
            library.scan(dry_run=True)
            if state == "one":
                library.verdicts.reject([library.groups()[0].id])
    one, two = ["--state-dir", str(tmp_path / "one")], ["--state-dir", str(tmp_path / "two")]
    assert main([*one, "feedback", "export", str(tmp_path / "lessons.json")]) == 0
    assert main([*two, "feedback", "import", str(tmp_path / "lessons.json")]) == 0
    capsys.readouterr()
    assert main([*two, "groups", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["groups"] == []
    assert main([*two, "feedback", "--json"]) == 0
    lesson = json.loads(capsys.readouterr().out)[0]["id"]
    assert main([*two, "feedback", "forget", str(lesson)]) == 0
    capsys.readouterr()
    assert main([*two, "groups", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["groups"]) == 1


def test_a_model_that_cannot_be_loaded_is_not_recorded(tmp_path: Path) -> None:
    root = tmp_path / "Pictures"
    save(root / "2024/06/IMG_1.jpg", picture(1))
    junk = tmp_path / "junk.pt"
    junk.write_bytes(b"no weights")
    with Library.open([root], state_dir=tmp_path / "state", embedder="hashes") as library:
        library.scan(dry_run=True)
        with pytest.raises(VisionError):
            library.models.use(f"open_clip:ViT-B-32@{junk}")
        assert library.ledger.get("embedder") == "hashes"
        assert library.scan(dry_run=True).report["total_images"] == 1
