"""Run as root over somebody's library: what dedupd makes there is the owner's, or they are told before anything moves."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dedupd.adapters.fs import ownership, probing
from tests.crash.rig import Rig, only
from tests.support.shelf import Shelf

OWNER = (12345, 23456)

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of others")


def given_to_its_owner(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, *OWNER)


@as_root
def test_all_that_is_made_in_a_library_belongs_to_its_owner(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/trip/a.jpg", "2024/06/trip/a-small.jpg")
    shelf.add("x/b.jpg", "hill"), shelf.small("x/b-small.jpg", "hill")
    given_to_its_owner(shelf.root)
    shelf.clock.sleep(10)
    assert shelf.library.scan(yes=True).moved.files == 2
    made = {p.relative_to(shelf.root).as_posix(): p.stat() for p in shelf.root.rglob("*")}
    assert {
        ".dedupd-root.json",
        "2024/06/duplicates/.dedupd-receipts.jsonl",
        "2024/duplicates_summary/2024-06.md",
    } <= set(made)
    assert {path for path, found in made.items() if (found.st_uid, found.st_gid) != OWNER} == set()
    shelf.close()


@as_root
def test_a_folder_made_again_for_an_undo_belongs_to_the_owner_too(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for path in ("2024/06/keep.jpg", "2024/06/trip/a.jpg"):
        rig.photo(path)
    given_to_its_owner(rig.root)
    held = rig.relocate(rig.order("2024/06/trip/a.jpg"))
    (rig.root / "2024/06/trip").rmdir()
    assert only(rig.undo(held)).undone_to == "2024/06/trip/a.jpg"
    found = (rig.root / "2024/06/trip").stat()
    assert (found.st_uid, found.st_gid) == OWNER
    rig.close()


def test_where_it_stays_roots_people_are_told_before_the_first_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(probing, "_known", {})
    monkeypatch.setattr(probing, "give_to_owner", lambda made, folder: False)
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    told: list[bool] = []
    real = shelf.library.mover.prepare_moves
    monkeypatch.setattr(
        shelf.library.mover,
        "prepare_moves",
        lambda orders: (told.append("stays root's" in caplog.text), real(orders))[1],
    )
    with caplog.at_level(logging.WARNING):
        assert shelf.pass_().files == 1
    assert told == [True]
    assert any("stays root's" in told for told in shelf.library.roots.problems.values())
    shelf.close()


def test_who_is_not_root_gives_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "fchown", lambda *_: pytest.fail("asked for what only root may"))
    fd = os.open(tmp_path, os.O_RDONLY)
    assert ownership.give_to_owner(fd, fd)
    os.close(fd)


def test_a_system_that_does_not_allow_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "fchown", forbidden)
    monkeypatch.setattr(os, "fstat", lambda fd: SimpleNamespace(st_uid=fd, st_gid=fd))
    assert not ownership.give_to_owner(1, 2)
