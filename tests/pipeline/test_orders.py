"""What may not move at the last moment, whatever was decided before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.core.month import Month
from tests.support.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path)
    yield shelf
    shelf.close()


def test_a_changed_file_voids_its_proposal(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.add("2024/06/a.jpg", "quite another scene")
    shelf.library.reconcile()
    shelf.library.ingest()
    assert shelf.library.move(yes=True).files == 0
    assert shelf.proposals() == {}


def test_what_a_person_keeps_does_not_move_before_the_next_grouping(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.library.keep([shelf.member().file])
    assert shelf.library.move(yes=True).files == 0


def test_a_raw_that_came_a_moment_ago_keeps_its_picture_here(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    (shelf.root / "2024/06/b.cr2").write_bytes(b"raw")
    assert shelf.library.move(yes=True).files == 0
    assert "2024/06/b.jpg" in shelf.files()


def test_only_the_chosen_months_move(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg", "june")
    shelf.pair("2024/07/a.jpg", "2024/07/b.jpg", "july")
    shelf.library.scan(dry_run=True)
    outcome = shelf.library.scan(yes=True, months=[Month(2024, 7)])
    assert outcome.moved.files == 1
    assert "2024/06/b.jpg" in shelf.files()


def test_an_approval_is_no_yes_for_a_root_that_proposed_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, roots=("A", "B"))
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.library.approve_all()
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg", "other", root=1)
    assert shelf.pass_(yes=False).files == 0
    assert "2024/06/b.jpg" in shelf.files(1)
    shelf.close()


def test_a_settled_copy_that_comes_back_is_settled_again(shelf: Shelf) -> None:
    _, copy = shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    data = copy.read_bytes()
    shelf.pass_()
    copy.write_bytes(data)
    assert shelf.pass_().files == 1
    assert shelf.files() == {"2024/06/a.jpg", "2024/06/duplicates/b.jpg", "2024/06/duplicates/b (1).jpg"}


def test_names_that_are_no_text(shelf: Shelf) -> None:
    shelf.pair("2024/06/a\udcff.jpg", "2024/06/b\udcff.jpg")
    shelf.look()
    (shelf.root / "2024/06/b\udcff.jpg").unlink()
    assert shelf.library.move(yes=True).files == 0
    shelf.small("2024/06/b\udcff.jpg")
    assert shelf.pass_().files == 1
