"""What may not move at the last moment, whatever was decided before."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.core.month import Month
from dedupd.core.units import units_in
from dedupd.pipeline import move_orders
from dedupd.pipeline.move_orders import Companions
from tests.support.shelf import Shelf


def test_a_changed_file_voids_its_proposal(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.add("2024/06/a.jpg", "quite another scene")
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    assert shelf.library.movement.move(yes=True).files == 0
    assert shelf.proposals() == {}


def test_what_a_person_keeps_does_not_move_before_the_next_grouping(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.library.verdicts.keep([shelf.member().file])
    assert shelf.library.movement.move(yes=True).files == 0


def test_a_raw_that_came_a_moment_ago_keeps_its_picture_here(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    (shelf.root / "2024/06/b.cr2").write_bytes(b"raw")
    assert shelf.library.movement.move(yes=True).files == 0
    assert "2024/06/b.jpg" in shelf.files()


def flat_export(shelf: Shelf) -> None:
    """Enough in one folder for several slices of moves."""
    for number in range(40):
        shelf.pair(f"a{number:02}.jpg", f"b{number:02}.jpg", f"scene {number}")
    shelf.look()


def test_a_folder_is_sorted_into_units_once_for_many_moves(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was for every few of them, so that a flat export took time by the square."""
    flat_export(shelf)
    names: list[int] = []
    monkeypatch.setattr(move_orders, "units_in", lambda paths: names.append(len(paths)) or units_in(paths))
    assert shelf.library.movement.move(yes=True).files == 40
    assert names == [80, 40], "once for the moves, and once for the sidecars"


def test_a_raw_that_comes_between_two_slices_keeps_its_picture_here(shelf: Shelf) -> None:
    flat_export(shelf)

    def one_comes() -> bool:
        if (shelf.root / "duplicates").exists():
            (shelf.root / "b39.cr2").write_bytes(b"raw")
        return False

    assert shelf.library.movement.move(yes=True, stop=one_comes).files == 39
    assert "b39.jpg" in shelf.files()


NAMES = [
    "IMG_1.jpg", "IMG_1 (1).jpg", "IMG_1 (2).jpg", "IMG_1-edited.jpg", "IMG_2.jpg", "IMG_2.cr2", "IMG_2.xmp", "anna.jpg",
    "anna-maria.jpg", "c.jpg", "c.png", "c.xmp", "IMG_3.heic", "IMG_3.mov", "IMG_E3.jpg", "IMG_3.aae", "d.jpg", "d.jpg.json",
    "e.jpg",
]  # fmt: skip


@pytest.mark.parametrize("photo", sorted(photo for photo, unit in units_in(NAMES).items() if not unit.stay))
def test_what_dedupd_moved_away_leaves_the_other_units_as_a_new_look_finds_them(
    shelf: Shelf, photo: str
) -> None:
    def look() -> Companions:
        return Companions(shelf.ledger, shelf.library.disk, shelf.row, shelf.library.roots.scope)

    for name in NAMES:
        shelf.path(name).touch()
    known = look()
    files = known.unit(photo).files
    for file in files:
        shelf.path(file).unlink()
    known.moved(files)
    known.turn()
    left = [each for each in sorted(units_in(NAMES)) if each not in files]
    assert {each: known.unit(each) for each in left} == {each: look().unit(each) for each in left}


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
    shelf.library.verdicts.approve_all()
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
    assert shelf.library.movement.move(yes=True).files == 0
    shelf.small("2024/06/b\udcff.jpg")
    assert shelf.pass_().files == 1


def test_nothing_leaves_a_protected_folder_even_on_a_persons_yes(tmp_path: Path) -> None:
    """Protection is asked again at the move: it may be younger than the proposal."""
    shelf = Shelf(tmp_path)
    shelf.pair("2024/06/a.jpg", "2024/06/best/b.jpg")
    shelf.look()
    shelf.again(protected=(shelf.root / "2024/06/best",))
    for move in (
        lambda: shelf.library.verdicts.approve([shelf.group().id]),
        lambda: shelf.library.movement.move(yes=True),
    ):
        assert move().files == 0
        assert shelf.files() == {"2024/06/a.jpg", "2024/06/best/b.jpg"}
    assert shelf.member().role == "review" and "protected" in shelf.member().why
    shelf.close()


@pytest.mark.parametrize("mode", [0o777, 0o770], ids=["all", "group"])
def test_where_others_can_write_nothing_moves_unless_it_is_allowed(
    shelf: Shelf, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    os.chmod(shelf.root, mode)
    monkeypatch.setattr("dedupd.adapters.fs.disk._own_group", lambda gid: False)
    moved = shelf.library.verdicts.approve_all()
    assert moved.files == 0 and "allow_shared_roots = true" in moved.messages[0]
    assert shelf.files() == {"2024/06/a.jpg", "2024/06/b.jpg"}
    shelf.again(allow_shared_roots=True)
    assert shelf.library.verdicts.approve_all().files == 1


def test_a_root_taken_out_of_the_settings_moves_nothing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, roots=("A", "B"))
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg", root=1)
    shelf.look()
    group, before = shelf.group().id, shelf.files(1)
    shelf.close()
    shelf.roots.pop()
    shelf.open()
    assert shelf.library.verdicts.approve([group]).files == shelf.library.verdicts.approve_all().files == 0
    shelf.roots.append(tmp_path / "B")
    assert shelf.files(1) == before
    shelf.close()


def test_a_settled_copy_that_comes_back_without_its_keeper_is_kept(shelf: Shelf) -> None:
    keeper, copy = shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    data = copy.read_bytes()
    assert shelf.pass_().files == 1
    keeper.unlink()
    shelf.path("2024/06/again.jpg").write_bytes(data)
    for _ in range(3):
        shelf.pass_()
        shelf.clock.advance(100)
    assert any(shelf.path(path).read_bytes() == data for path in shelf.files() if "duplicates" not in path)


@pytest.mark.parametrize("kind", ["keep", "different"])
def test_a_persons_no_binds_at_the_move_whatever_was_proposed(shelf: Shelf, kind: str) -> None:
    """As learned from another library: the group still proposes it."""
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    group = shelf.group()
    rows = shelf.ledger.files.by_ids([group.keeper, shelf.member().file])
    copy, keeper = rows[shelf.member().file].content or "", rows[group.keeper].content or ""
    shelf.ledger.verdicts.add(kind, copy, keeper if kind == "different" else "", [], 0.0)
    assert shelf.library.movement.move(yes=True).files == 0
    assert "2024/06/b.jpg" in shelf.files()


def test_moving_a_twin_aside_changes_no_relation_of_the_others(shelf: Shelf) -> None:
    """What is only similar is shown within a month; a twin there, moved to its keeper in another month, still counts."""
    shelf.add("2024/06/keep.jpg", "lake")
    shelf.add("2024/07/twin.jpg", "lake")
    shelf.add("2024/07/other.jpg", "lake", exposure="2")
    shelf.pass_()
    assert "2024/07/duplicates/twin.jpg" in shelf.files()
    before = shelf.stars()
    shelf.library.grouper.regroup(everything=True)
    assert shelf.stars() == before


SHOT: dict[str, Any] = {"captured": 1_700_000_000.0, "camera": "Maker|Model"}


class TestEditsByNameAndShot:
    """`-muokattu` is no word that dedupd knows: the name proposes an edit, capture time and camera confirm it."""

    def test_it_stays_beside_its_original_and_says_why(self, shelf: Shelf) -> None:
        shelf.add("2024/06/a.jpg", **SHOT)
        shelf.small("2024/06/a-muokattu.jpg", **SHOT)
        assert shelf.pass_().files == 0
        assert shelf.member().why == "it is the edited version of 'a.jpg'"

    @pytest.mark.parametrize(
        "other", [{"captured": 1_700_000_002.0, "camera": "Maker|Model"}, {"camera": "Maker|Model"}, {}]
    )
    def test_what_is_merely_named_like_one_moves(self, shelf: Shelf, other: dict[str, Any]) -> None:
        shelf.add("2024/06/a.jpg", camera="Maker|Model")
        shelf.small("2024/06/a-maria.jpg", **other)
        assert shelf.pass_().files == 1

    def test_the_same_bytes_are_no_edit(self, shelf: Shelf) -> None:
        shelf.add("2024/06/a.jpg", **SHOT)
        shelf.add("2024/06/a-muokattu.jpg", **SHOT)
        assert shelf.pass_().files == 1

    def test_the_original_moves_with_it_or_not_at_all(self, shelf: Shelf) -> None:
        shelf.again(protected=(shelf.root / "2024/06/best",))
        shelf.add("2024/06/best/a.jpg", **SHOT)
        shelf.add("2024/06/b/a.jpg", **SHOT)
        shelf.add("2024/06/b/a-muokattu.jpg", rendering="warmer", **SHOT)
        assert shelf.pass_().files == 0
        shelf.add("2024/06/best/a-muokattu.jpg", rendering="warmer", **SHOT)
        assert shelf.pass_().files == 2
        held = {"2024/06/duplicates/b/a.jpg", "2024/06/duplicates/b/a-muokattu.jpg"}
        assert shelf.files() == {"2024/06/best/a.jpg", "2024/06/best/a-muokattu.jpg", *held}
        assert shelf.library.movement.undo(shelf.library.movement.held(last=True)).undone == 2
        for _ in range(2):
            assert shelf.pass_().files == 0
        assert not any("duplicates" in path for path in shelf.files())

    def test_until_both_were_seen_both_stay(self, shelf: Shelf) -> None:
        shelf.again(protected=(shelf.root / "2024/06/best",))
        shelf.add("2024/06/best/a.jpg", **SHOT)
        shelf.add("2024/06/b/a.jpg", **SHOT)
        shelf.add("2024/06/b/a-muokattu.jpg", **SHOT, rendering="warmer")
        shelf.vision.clouds = {"a-muokattu.jpg"}
        assert shelf.pass_().files == 0
        assert shelf.member().why == "'a-muokattu.jpg' may be its edited version and was not seen yet"

    def test_a_doubt_about_the_edit_holds_its_original_too(self, shelf: Shelf) -> None:
        shelf.again(protected=(shelf.root / "2024/06/best",))
        for folder in ("best", "b"):
            shelf.add(f"2024/06/{folder}/a.jpg", **SHOT)
            shelf.add(f"2024/06/{folder}/a-muokattu.jpg", rendering="warmer", **SHOT)
            shelf.add(f"2024/06/{folder}/a-muokattu.png", rendering="warm", **SHOT)
        (shelf.root / "2024/06/b/a-muokattu.mov").write_bytes(b"whose is it")
        assert shelf.pass_().files == 0
        (shelf.root / "2024/06/b/a-muokattu.mov").unlink()
        assert shelf.pass_().files == 3

    def test_a_person_decides_otherwise(self, shelf: Shelf) -> None:
        shelf.add("2024/06/a.jpg", **SHOT)
        shelf.small("2024/06/a-muokattu.jpg", **SHOT)
        shelf.pass_()
        assert shelf.library.verdicts.approve([shelf.group().id]).files == 1


PXL = "PXL_20230501_090000000"
BESIDE = [
    (f"{PXL}.MP.jpg", f"{PXL}.MP", f"{PXL}.MP~2.jpg", f"{PXL}.MP~2"),
    (f"{PXL}.MV.jpg", f"{PXL}.MV"),
    ("MVIMG_20180101_120000.jpg", "MVIMG_20180101_120000"),
    ("IMG_1234.jpg", "IMG_1234_HEVC.MOV", "IMG_E1234.jpg"),
    (f"{PXL}.RAW-01.COVER.jpg", f"{PXL}.RAW-02.ORIGINAL.dng"),
    (f"{PXL}.PORTRAIT-01.COVER.jpg", f"{PXL}.PORTRAIT-02.ORIGINAL.jpg"),
    ("caf\u00e9.jpg", "cafe\u0301.MP", "cafe\u0301.jpg.json", "cafe\u0301-yo\u0301.jpg"),
]


@given(
    st.sampled_from(BESIDE),
    st.sets(st.integers(1, 3)),
    st.randoms(),
)
@settings(max_examples=25)
def test_the_files_of_a_unit_never_part(
    names: tuple[str, ...], twins: set[int], chance: random.Random
) -> None:
    """Two folders with one shot each; in the folder that keeps, only some of its companions. In whatever order they come."""
    with tempfile.TemporaryDirectory() as folder:
        shelf = Shelf(Path(folder), protected=(Path(folder) / "Pictures/2023/05/best",))
        shelf.add(f"2023/05/best/{names[0]}", **SHOT)
        coming = [f"2023/05/best/{name}" for n, name in enumerate(names) if n in twins]
        coming += [f"2023/05/b/{name}" for name in names]
        chance.shuffle(coming)
        for path in coming:
            scene = path.rpartition("/")[2]
            if path.endswith(names[0]):
                shelf.add(path, **SHOT)
            elif path.endswith("jpg"):
                shelf.add(path, rendering=scene, **SHOT)
            else:
                shelf.path(path).parent.mkdir(parents=True, exist_ok=True)
                shelf.path(path).write_bytes(scene.encode())
            if chance.random() < 0.3:
                shelf.look()
        shelf.pass_()
        files = shelf.files()
        shelf.close()
    together = {f"2023/05/b/{name}" in files for name in names}
    assert len(together) == 1
    whole = set(range(1, len(names))) <= twins | {n for n, name in enumerate(names) if name.endswith("json")}
    assert together == {not whole}
