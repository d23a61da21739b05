"""The index is disposable (P13): lost or damaged, it costs time alone, and nothing moves until it is whole again."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dedupd.errors import VisionError
from dedupd.library import Library
from dedupd.ports import FileRequest, Ingested
from tests.support.pictures import picture, save
from tests.support.shelf import Shelf


def test_nothing_moves_until_the_index_is_whole(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    decided = shelf.stars()
    assert shelf.proposals()

    def blind(requests: list[FileRequest]) -> Iterator[Ingested]:
        raise VisionError("the worker cannot be started")

    shelf.vision.index.clear()
    with monkeypatch.context() as broken:
        broken.setattr(shelf.vision, "ingest", blind)
        shelf.again()
        before = shelf.files()
        for move in (
            shelf.library.verdicts.approve_all,
            lambda: shelf.library.verdicts.approve([shelf.group().id]),
        ):
            with pytest.raises(VisionError):
                move()
            assert shelf.files() == before
    assert shelf.stars() == decided
    assert shelf.library.verdicts.approve_all().files == 1
    assert shelf.vision.index


def test_an_index_damaged_under_way_is_asked_for_as_a_whole_again(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.add("2023/01/c.jpg", "wood")
    shelf.look()

    def damaged(*arguments: object) -> list[object]:
        shelf.vision.index.clear()
        raise VisionError("the index was damaged and has been set aside")

    shelf.add("2024/07/d.jpg", "sea")
    with monkeypatch.context() as broken:
        broken.setattr(shelf.vision, "propose", damaged)
        with pytest.raises(VisionError):
            shelf.look()
    shelf.look()
    assert not shelf.vision.missing(shelf.ledger.contents.live()), "other months' rows are back too"


# ---- the real index, damaged in every way a disk or a person does


def missing(index: Path) -> None:
    shutil.rmtree(index)


def truncated(index: Path) -> None:
    for file in _files(index):
        os.truncate(file, file.stat().st_size // 2)


def bit_flipped(index: Path) -> None:
    chance = random.Random(7)
    for file in _files(index):
        data = bytearray(file.read_bytes())
        for _ in range(8):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        file.write_bytes(data)


def foreign(index: Path) -> None:
    """The index of somebody else's library."""
    other = index.parent.parent / "other"
    save(other / "Pictures/2020/01/x.jpg", picture(99))
    with Library.open([other / "Pictures"], state_dir=other / "state", embedder="hashes") as library:
        library.scan(dry_run=True)
    shutil.rmtree(index)
    shutil.copytree(other / "state/index", index)


def _files(index: Path) -> list[Path]:
    found = sorted(file for file in index.rglob("*") if file.is_file() and file.stat().st_size)
    assert found
    return found


_SLOW = (missing, truncated, foreign)


@pytest.mark.parametrize("damage", [bit_flipped, *(pytest.param(d, marks=pytest.mark.slow) for d in _SLOW)])
def test_damaged_it_is_rebuilt_and_no_decision_changes(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    root, state = tmp_path / "Pictures", tmp_path / "state"
    original = save(root / "2024/06/IMG_1.jpg", picture(1))
    (root / "2024/06/IMG_1 (1).jpg").write_bytes(original.read_bytes())
    save(root / "2024/06/IMG_2.jpg", picture(2))
    with Library.open([root], state_dir=state, embedder="hashes") as library:
        library.scan(dry_run=True)
        decided = library.report()["groups"]
        assert decided
    damage(state / "index")
    with Library.open([root], state_dir=state, embedder="hashes") as library:
        assert library.report()["groups"] == decided
        outcome = library.scan(yes=True)
        assert outcome.moved.files == 1
        assert library.vision.missing(library.ledger.contents.live()) == []
        (group,) = library.report()["groups"]
        assert group["moved_to"] and (group["keep"], group["duplicates"]) == (
            decided[0]["keep"],
            decided[0]["duplicates"],
        )
