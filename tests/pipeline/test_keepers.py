"""Which keepers are looked at when: those that events name soon, all others slowly, none of them never (P8)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.errors import StateError
from dedupd.pipeline import keepers, movement
from tests.support.shelf import Shelf

MONTHS = ("2024/05", "2024/06", "2024/06/trip", "2024/061", "2024/07", "")


def kept_in(folder: str) -> str:
    return f"{folder}/a.jpg".lstrip("/")


@pytest.fixture
def settled(shelf: Shelf) -> Shelf:
    """In each folder a keeper, whose copy lies in duplicates/; all were looked at."""
    for number, folder in enumerate(MONTHS):
        shelf.pair(kept_in(folder), f"{folder}/b.jpg".lstrip("/"), f"scene {number}")
    assert shelf.pass_().files == len(MONTHS)
    assert shelf.library.movement.rescue() == []
    return shelf


@pytest.fixture
def asked(settled: Shelf, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every path that the disk is asked about: whether it is gone."""
    paths: set[str] = set()

    def gone(root: str, path: str, real: Callable[[str, str], bool] = settled.library.disk.gone) -> bool:
        paths.add(path)
        return real(root, path)

    monkeypatch.setattr(settled.library.disk, "gone", gone)
    return paths


def sweep(shelf: Shelf, folders: dict[str, bool] | None = None, *, heard: bool = True) -> list[str]:
    return shelf.library.movement.sweep({shelf.row.id: folders or {}}, {shelf.row.id} if heard else set())


@pytest.mark.parametrize(
    ("folder", "whole", "near"),
    [
        ("2024/06", False, {"2024/06"}),
        ("2024/06", True, {"2024/06", "2024/06/trip"}),
        ("", False, {""}),
        ("", True, set(MONTHS)),
        ("2023", True, set[str]()),
    ],
)
def test_exactly_the_keepers_below_what_changed_are_looked_at(
    settled: Shelf, asked: set[str], folder: str, whole: bool, near: set[str]
) -> None:
    assert sweep(settled, {folder: whole}) == []
    assert asked == {kept_in(at) for at in near}


def test_one_that_is_lost_there_has_its_copy_back_in_the_next_sweep(settled: Shelf) -> None:
    settled.path("2024/06/a.jpg").unlink()
    assert sweep(settled, {"2024/05": True}) == []
    (said,) = sweep(settled, {"2024/06": False})
    assert said.endswith("first 2024/06/b.jpg")
    assert "2024/06/b.jpg" in settled.files()


def test_without_news_nobody_is_asked_until_the_next_round_which_finds_what_events_missed(
    settled: Shelf, asked: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepers, "ROUND_KEEPERS", 2)
    last = max(settled.views(), key=lambda view: view.id)
    settled.path(last.keep).unlink()
    settled.clock.advance(keepers.ROUND_SECONDS - 1)
    assert sweep(settled) == [] and asked == set()
    settled.clock.advance(1)
    said: list[str] = []
    for so_far in (2, 4):
        said += sweep(settled)
        assert said == [] and len(asked) == so_far
    assert len(sweep(settled)) == 1 and last.keep.replace("a.jpg", "b.jpg") in settled.files()
    asked.clear()
    assert sweep(settled) == [] and asked == set()


def test_where_no_events_come_all_are_looked_at_each_time(settled: Shelf, asked: set[str]) -> None:
    assert sweep(settled, heard=False) == []
    assert asked == {kept_in(folder) for folder in MONTHS}
    settled.path("2024/07/a.jpg").unlink()
    assert len(sweep(settled, heard=False)) == 1


def test_a_root_that_is_away_is_left_alone(settled: Shelf, asked: set[str]) -> None:
    os.rename(settled.root, settled.at / "away")
    settled.library.roots.reconcile()
    assert sweep(settled, heard=False) == [] and asked == set()


def test_one_that_changed_is_asked_about_until_its_bytes_are_known(settled: Shelf) -> None:
    settled.add("2024/06/a.jpg", "town")
    settled.library.roots.reconcile_folders(settled.row, {"2024/06": False})
    for _ in range(2):
        assert sweep(settled, {"2024/06": False}) == []
    settled.library.passes.ingest()
    assert len(sweep(settled)) == 1 and "2024/06/b.jpg" in settled.files()


def test_one_that_left_the_library_is_found_by_where_it_lay(settled: Shelf) -> None:
    settled.path("2024/06/.nomedia").touch()
    settled.library.roots.reconcile_folders(settled.row, {"2024/06": True})
    (said,) = sweep(settled, {"2024/06": True})
    assert "so 2 file(s) came back" in said
    assert {"2024/06/b.jpg", "2024/06/trip/b.jpg"} <= settled.files()


def test_a_rescue_that_failed_is_tried_again_later(settled: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    settled.path("2024/06/a.jpg").unlink()
    with monkeypatch.context() as full:
        full.setattr(settled.library.mover, "halted", "the disk failed to write")
        (said,) = sweep(settled, {"2024/06": False})
        assert "could not be brought back" in said
        assert sweep(settled) == []
    settled.clock.advance(601)
    assert len(sweep(settled)) == 1 and "2024/06/b.jpg" in settled.files()


def test_a_rescue_that_is_ended_in_its_look_is_for_the_next_sweep(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    assert shelf.pass_().files == 1
    shelf.path("2024/06/a.jpg").unlink()
    assert shelf.library.movement.rescue(stop=lambda: True) == []
    assert "2024/06/b.jpg" not in shelf.files()
    assert shelf.library.movement.sweep({}, {shelf.row.id}) and "2024/06/b.jpg" in shelf.files()


def lose_all(shelf: Shelf) -> None:
    for folder in MONTHS:
        shelf.path(kept_in(folder)).unlink()


def back(shelf: Shelf) -> set[str]:
    return {path for path in shelf.files() if path.endswith("b.jpg") and "duplicates" not in path}


def slow(shelf: Shelf) -> Callable[[], bool]:
    """Safe points of a disk on which each step takes longer than a rescue has in one go."""

    def stop() -> bool:
        shelf.clock.advance(movement.RESCUE_SECONDS)
        return False

    return stop


def test_many_come_back_a_few_at_a_time_and_each_is_asked_about_again(settled: Shelf) -> None:
    """A folder of thousands of keepers may be gone: people come in between."""
    moves, stop = settled.library.movement, slow(settled)
    lose_all(settled)
    sight = {settled.row.id: {"": True}}, {settled.row.id}
    assert len(moves.sweep(*sight, stop)) == 1 == len(back(settled))
    assert moves.rescue_goes_on
    assert len(moves.rescue_on(stop)) == 1 and len(back(settled)) == 2
    lost = next(at for at in MONTHS if f"{at}/b.jpg".lstrip("/") not in back(settled))
    settled.add(kept_in(lost), f"scene {MONTHS.index(lost)}")  # its owner brought it back
    while moves.rescue_goes_on:
        moves.rescue_on(stop)
    assert len(back(settled)) == len(MONTHS) - 1
    assert f"{lost}/b.jpg".lstrip("/") not in back(settled)
    assert sweep(settled) == []


def test_what_a_sweep_did_not_end_the_next_goes_on_with_and_looks_nowhere_again(
    settled: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    moves, stop = settled.library.movement, slow(settled)
    lose_all(settled)
    assert len(moves.sweep({settled.row.id: {"": True}}, {settled.row.id}, stop)) == 1
    monkeypatch.setattr(movement, "reconcile", lambda *what, **how: pytest.fail("one look was enough"))
    assert "so 1 file(s) came back" in " ".join(sweep(settled))
    assert len(back(settled)) == len(MONTHS) and not moves.rescue_goes_on


def test_a_rescue_ends_between_two_files_when_it_is_told_to(settled: Shelf) -> None:
    lose_all(settled)
    assert len(settled.library.movement.rescue(lambda: bool(back(settled)))) == 1 == len(back(settled))


def test_a_root_that_goes_away_in_a_rescue_does_not_keep_it_going(settled: Shelf) -> None:
    moves = settled.library.movement
    lose_all(settled)
    moves.sweep({settled.row.id: {"": True}}, {settled.row.id}, slow(settled))
    os.rename(settled.root, settled.at / "away")
    assert moves.rescue_on() == [] and not moves.rescue_goes_on
    os.rename(settled.at / "away", settled.root)
    settled.library.roots.reconcile()
    moves.rescue()
    assert len(back(settled)) == len(MONTHS)


def test_what_fails_in_one_root_makes_no_news_of_another_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(tmp_path, ("Pictures", "Scans"))
    for root in (0, 1):
        shelf.pair("2024/06/a.jpg", "2024/06/b.jpg", f"scene {root}", root=root)
    assert shelf.pass_().files == 2 and shelf.library.movement.rescue() == []
    for root in (0, 1):
        shelf.path("2024/06/a.jpg", root).unlink()
    ids = [row.id for row in shelf.library.roots.all]
    with monkeypatch.context() as full:
        full.setattr(
            movement, "reconcile", lambda *what, **how: (_ for _ in ()).throw(StateError("the disk is full"))
        )
        with pytest.raises(StateError):
            shelf.library.movement.sweep({id: {"2024/06": False} for id in ids}, set(ids))
    assert len(shelf.library.movement.sweep({}, set(ids))) == 2
    assert "2024/06/b.jpg" in shelf.files(0) & shelf.files(1)
    shelf.close()


def test_other_settings_make_no_event_forgotten(settled: Shelf) -> None:
    settled.library.movement.keepers.hint(settled.row, {"2024/06": False})
    settled.library.follow(replace(settled.library.settings, metadata="off"))
    settled.path("2024/06/a.jpg").unlink()
    assert sweep(settled)
    assert "2024/06/b.jpg" in settled.files()
