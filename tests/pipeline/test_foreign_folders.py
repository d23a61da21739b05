"""P17 in the pipeline: what lies in bins and other programs' folders supplies no keeper and does not move.

And what an older dedupd did there comes right by itself: `ignore_defaults=False` stands for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.core.photo import FileState
from dedupd.core.relocation import Goal, MoveState
from tests.support.shelf import Shelf

BIN, COPY, HELD = "#recycle/a.jpg", "2024/06/b.jpg", "2024/06/duplicates/b.jpg"
PLACES = ["#recycle", "2024/06/@eaDir/a.jpg", "@Recently-Snapshot/x", "prism/storage/cache", "Sent/2024"]


@pytest.fixture
def old(tmp_path: Path) -> Iterator[Shelf]:
    """The library as a dedupd that went everywhere left it."""
    made = Shelf(tmp_path, ignore_defaults=False)
    yield made
    made.close()


def mark(shelf: Shelf) -> None:
    """What makes a plain name one of PhotoPrism's, or hides a folder from galleries."""
    for folder in ("prism/storage/cache", "prism/storage/sidecar", "Sent"):
        shelf.path(folder).mkdir(parents=True)
    shelf.path("Sent/.nomedia").touch()


def rows(shelf: Shelf) -> set[str]:
    return {row.path for row in shelf.ledger.files.of_root(shelf.row.id)}


def status(shelf: Shelf) -> str:
    return shelf.library.scan(dry_run=True).not_looked_at


@pytest.mark.parametrize("place", PLACES)
def test_a_better_photo_there_takes_nothing_out_of_the_library(shelf: Shelf, place: str) -> None:
    mark(shelf)
    shelf.pair(f"{place}/a.jpg", COPY)
    shelf.add("2024/06/c.jpg", rendering="tiny", width=400, height=300)
    for _ in range(2):
        shelf.pass_()
    assert {f"{place}/a.jpg", COPY} <= shelf.files()
    assert rows(shelf) <= {COPY, "2024/06/c.jpg", "2024/06/duplicates/c.jpg"}


@pytest.mark.parametrize("place", PLACES)
def test_a_copy_there_is_not_moved_out(shelf: Shelf, place: str) -> None:
    mark(shelf)
    shelf.pair("2024/06/a.jpg", f"{place}/b.jpg")
    assert shelf.pass_().files == 0
    assert f"{place}/b.jpg" in shelf.files() and shelf.views() == []


def test_a_plain_folder_of_such_a_name_is_tidied_as_any(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "storage/cache/b.jpg")
    shelf.small("thumbs/3f/c.jpg", rendering="tiny")
    assert shelf.pass_().files == 2


@pytest.mark.parametrize("where", ["2024/06", "2024/06/trip"], ids=["keeper", "copy"])
def test_a_marker_that_came_after_the_last_look_stops_the_move(shelf: Shelf, where: str) -> None:
    """`.nomedia` beside the keeper or the copy; nobody has looked since."""
    shelf.pair("2024/06/a.jpg", "2024/06/trip/b.jpg")
    shelf.look()
    (shelf.root / where / ".nomedia").touch()
    for move in (
        lambda: shelf.library.movement.move(yes=True),
        lambda: shelf.library.verdicts.approve([shelf.group().id]),
    ):
        assert move().files == 0
    assert {"2024/06/a.jpg", "2024/06/trip/b.jpg"} <= shelf.files()


class TestUpgrade:
    @pytest.mark.parametrize("place", PLACES)
    def test_what_was_indexed_there_leaves_at_the_first_look(self, old: Shelf, place: str) -> None:
        mark(old)
        old.pair(f"{place}/a.jpg", COPY)
        old.add("2024/06/other.jpg", "other")
        old.look()
        assert f"{place}/a.jpg" in rows(old) and old.proposals() == {COPY: f"{place}/a.jpg"}
        old.again(ignore_defaults=True)
        changes = old.library.roots.reconcile()
        assert (changes.left, changes.absent) == (1, 0)
        assert rows(old) == {COPY, "2024/06/other.jpg"}
        assert old.pass_().files == 0 and old.views() == []
        assert f"{place}/a.jpg" in old.files()

    @pytest.mark.parametrize("place", PLACES)
    def test_what_was_moved_beside_a_keeper_there_comes_back_and_stays(self, old: Shelf, place: str) -> None:
        mark(old)
        old.pair(f"{place}/a.jpg", COPY)
        assert old.pass_().files == 1 and HELD in old.files()
        before = old.census()
        old.again(ignore_defaults=True)
        old.library.roots.reconcile()
        (said,) = old.library.movement.rescue()
        assert said.startswith("what was kept for them is none of your library (")
        assert said.endswith(f"so 1 file(s) came back, first {COPY}")
        for _ in range(3):
            assert old.pass_().files == 0
            old.clock.advance(100)
        assert {f"{place}/a.jpg", COPY} <= old.files() and old.census() == before
        (move,) = old.ledger.journal.moves()
        assert (move.goal, move.state) == (Goal.RETURNED, MoveState.DONE)
        assert old.ledger.verdicts.all() == []  # nobody said anything of these photos

    def test_one_sentence_for_all_that_came_back_from_one_kind_of_place(self, old: Shelf) -> None:
        for scene in ("lake", "hill", "town"):
            old.pair(f"#recycle/{scene}.jpg", f"2024/06/{scene}.jpg", scene)
        old.pair("2024/07/@eaDir/x/a.jpg", "2024/07/b.jpg", "sea")
        assert old.pass_().files == 4
        old.again(ignore_defaults=True)
        old.library.roots.reconcile()
        said = old.library.movement.rescue()
        assert len(said) == 2 and any("so 3 file(s) came back" in sentence for sentence in said)

    def test_a_scan_alone_does_all_of_it(self, old: Shelf) -> None:
        old.pair(BIN, COPY)
        old.pass_()
        old.again(ignore_defaults=True)
        outcome = old.library.scan()
        assert any("recycle bin" in problem and "came back" in problem for problem in outcome.problems)
        assert {BIN, COPY} <= old.files()

    def test_the_others_of_its_group_find_a_keeper_among_themselves(self, old: Shelf) -> None:
        old.pair(BIN, COPY)
        old.add("2024/06/c.jpg", rendering="tiny", width=400, height=300)
        assert old.pass_().files == 2
        old.again(ignore_defaults=True)
        for _ in range(2):
            old.pass_()
        assert {BIN, COPY, "2024/06/duplicates/c.jpg"} == old.files()

    def test_what_was_moved_out_of_there_stays_undoable_and_goes_back_there(self, old: Shelf) -> None:
        old.pair("2024/06/a.jpg", "#recycle/b.jpg")
        assert old.pass_().files == 1
        old.again(ignore_defaults=True)
        for _ in range(2):
            old.pass_()
            old.clock.advance(100)
        (move,) = old.ledger.journal.moves(held=True)
        assert (move.src, move.dst) == ("#recycle/b.jpg", "duplicates/#recycle/b.jpg")
        assert old.library.movement.undo([move.id]).undone == 1
        for _ in range(2):
            assert old.pass_().files == 0
        assert old.files() == {"2024/06/a.jpg", "#recycle/b.jpg"} and rows(old) == {"2024/06/a.jpg"}

    def test_copies_that_lie_in_duplicates_inside_such_a_place_stay_held(self, old: Shelf) -> None:
        """A month named inside a store has its duplicates/ there; its keeper is of the library."""
        old.pair("2024/06/a.jpg", "prism/storage/2024/07/b.jpg")
        assert old.pass_().files == 1
        (old.root / "prism/storage/cache").mkdir()
        (old.root / "prism/storage/sidecar").mkdir()
        old.again(ignore_defaults=True)
        for _ in range(3):
            old.pass_()
            old.clock.advance(100)
        (move,) = old.ledger.journal.moves(held=True)
        assert move.dst == "prism/storage/2024/07/duplicates/b.jpg"
        assert old.library.movement.undo([move.id]).undone == 1

    def test_a_crash_between_the_look_and_the_rescue_hides_nothing(self, old: Shelf) -> None:
        old.pair(BIN, COPY)
        old.pass_()
        old.again(ignore_defaults=True)
        old.library.roots.reconcile()
        old.again()
        old.pass_()
        assert {BIN, COPY} <= old.files()

    def test_a_root_that_is_away_is_left_alone(self, old: Shelf) -> None:
        old.pair(BIN, COPY)
        old.look()
        before = rows(old)
        os.rename(old.root, old.at / "away")
        old.root.mkdir()
        old.again(ignore_defaults=True)
        old.library.roots.reconcile()
        assert rows(old) == before
        old.root.rmdir()
        os.rename(old.at / "away", old.root)
        old.library.roots.reconcile()
        assert rows(old) == {COPY}

    def test_nothing_leaves_while_the_disk_is_pulled_out(
        self, old: Shelf, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A look that ends at another root than it began with proves nothing."""
        old.pair(BIN, COPY)
        old.look()
        before = rows(old)
        old.again(ignore_defaults=True)
        monkeypatch.setattr("dedupd.pipeline.reconcile._same_root", lambda *what: False)
        old.library.roots.reconcile()
        assert rows(old) == before


class TestEvents:
    """reconcile_folders, as the watcher asks for it: folder -> whether all below it too."""

    def test_a_marker_closes_all_below_and_opens_it_again(self, shelf: Shelf) -> None:
        shelf.pair("Sent/2024/a.jpg", COPY)
        shelf.look()
        assert shelf.pass_().files == 1
        (shelf.root / "Sent/.nomedia").touch()
        assert shelf.library.roots.reconcile_folders(shelf.row, {"Sent": True}).left == 1
        shelf.library.movement.rescue()
        assert COPY in shelf.files() and rows(shelf) == {COPY}
        (shelf.root / "Sent/.nomedia").unlink()
        assert shelf.library.roots.reconcile_folders(shelf.row, {"Sent": True}).new == 1

    def test_a_folder_closed_with_its_keeper_and_its_copies_ends_as_it_was(self, shelf: Shelf) -> None:
        shelf.pair("2024/06/a.jpg", COPY)
        assert shelf.pass_().files == 1
        (shelf.root / "2024/06/.nomedia").touch()
        for _ in range(3):
            assert shelf.pass_().files == 0
            shelf.clock.advance(100)
        assert {"2024/06/a.jpg", COPY} <= shelf.files() and rows(shelf) == set()
        assert shelf.library.movement.rescue() == []

    @pytest.mark.parametrize("whole", [True, False])
    @pytest.mark.parametrize("place", PLACES)
    def test_what_happens_in_such_a_place_is_no_news(self, shelf: Shelf, place: str, whole: bool) -> None:
        mark(shelf)
        shelf.add(f"{place}/deep/a.jpg")
        for folder in (place, f"{place}/deep"):
            assert not shelf.library.roots.reconcile_folders(shelf.row, {folder: whole}).any

    def test_an_event_there_takes_out_what_an_older_dedupd_took_in(self, old: Shelf) -> None:
        old.add(BIN)
        old.look()
        old.again(ignore_defaults=True)
        assert old.library.roots.reconcile_folders(old.row, {"#recycle": False}).left == 1
        assert rows(old) == set()

    def test_a_photo_taken_out_of_the_bin_is_one_of_the_library_again(self, shelf: Shelf) -> None:
        shelf.pair(BIN, COPY)
        shelf.pass_()
        os.rename(shelf.root / BIN, shelf.root / "2024/06/a.jpg")
        assert shelf.pass_().files == 1
        assert shelf.files() == {"2024/06/a.jpg", HELD}

    def test_a_keeper_that_its_owner_throws_away_is_rescued_from_its_copies(self, shelf: Shelf) -> None:
        """A NAS deletes by a rename into its bin: what is there stands for nothing."""
        shelf.pair("2024/06/a.jpg", COPY)
        assert shelf.pass_().files == 1
        (shelf.root / "#recycle/2024/06").mkdir(parents=True)
        os.rename(shelf.root / "2024/06/a.jpg", shelf.root / "#recycle/2024/06/a.jpg")
        shelf.pass_()
        assert COPY in shelf.files()


class TestHeldCopies:
    def test_one_that_went_into_the_bin_with_its_path_is_held_no_more(self, shelf: Shelf) -> None:
        """A NAS keeps the path of what is deleted: .../#recycle/2024/06/duplicates/b.jpg."""
        shelf.pair("2024/06/a.jpg", COPY)
        assert shelf.pass_().files == 1
        (shelf.root / "#recycle/2024/06").mkdir(parents=True)
        shutil.move(shelf.root / "2024/06/duplicates", shelf.root / "#recycle/2024/06/duplicates")
        for _ in range(3):
            shelf.pass_()
            shelf.clock.advance(100)
        assert shelf.ledger.journal.moves(held=True) == []
        assert shelf.ledger.files.count(state=FileState.HELD) == 0

    @pytest.mark.parametrize("where", ["2024/06", "2024/06/duplicates"])
    def test_a_nomedia_hides_none_from_undo(self, shelf: Shelf, where: str) -> None:
        shelf.pair("2024/a.jpg", COPY)
        assert shelf.pass_().files == 1
        (shelf.root / where / ".nomedia").touch()
        os.rename(shelf.root / "2024/06", shelf.root / "2024/06 June")
        for _ in range(3):
            shelf.pass_()
            shelf.clock.advance(100)
        (move,) = shelf.ledger.journal.moves(held=True)
        assert move.dst == "2024/06 June/duplicates/b.jpg"


class TestTold:
    def test_the_count_of_the_last_full_look(self, shelf: Shelf) -> None:
        mark(shelf)
        for place in PLACES:
            shelf.add(f"{place}/a.jpg", place)
        shelf.add("2024/06/IMG/@eaDir/x.jpg")
        assert status(shelf).startswith(
            "6 folder(s) belong to other programs or bins (Synology thumbnails 2, "
        )
        assert "recycle bin 1" in status(shelf) and "folder with .nomedia 1" in status(shelf)
        shutil.rmtree(shelf.root / "#recycle")
        assert status(shelf).startswith("5 folder(s)")

    def test_nothing_is_told_where_there_is_none(self, shelf: Shelf) -> None:
        shelf.add(COPY)
        assert status(shelf) == ""

    def test_switched_off_only_what_stays_closed_is_told(self, old: Shelf) -> None:
        old.add(BIN)
        old.add("My.photoslibrary/originals/a.jpg", "hill")
        assert (
            status(old)
            == "1 folder(s) belong to other programs or bins (Apple photo library 1) and are not looked at"
        )
        assert rows(old) == {BIN}


def test_a_running_library_follows_the_key(shelf: Shelf) -> None:
    from dataclasses import replace

    shelf.pair(BIN, COPY)
    shelf.look()
    assert rows(shelf) == {COPY}
    shelf.library.follow(replace(shelf.library.settings, ignore_defaults=False))
    assert shelf.pass_().files == 1
    shelf.library.follow(replace(shelf.library.settings, ignore_defaults=True))
    for _ in range(2):
        assert shelf.pass_().files == 0
    assert shelf.files() == {BIN, COPY}
