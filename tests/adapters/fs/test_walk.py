"""A walk, a look at one folder and the filter of events go into the same folders, on a real disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from watchdog.events import FileCreatedEvent, FileDeletedEvent

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.walk import looked_at
from dedupd.adapters.fs.watcher import _Handler
from dedupd.core.foreign import Scope

CLOSED = [
    "#recycle/a.jpg", "@Recycle/2021/a.jpg", "$RECYCLE.BIN/S-1-5-21-1/a.jpg", ".Trash-1000/files/a.jpg",
    "lost+found/a.jpg", "2021/#snapshot/GMT/a.jpg", "@Recently-Snapshot/a.jpg", "2021/07/@eaDir/IMG_1.jpg/XL.jpg",
    ".@__thumb/a.jpg", "2021/.thumbnails/normal/a.jpg", "2021/.picasaoriginals/a.jpg", "iPod Photo Cache/a.jpg",
    "x/CaptureOne/Cache/Thumbnails/a.jpg", "Catalog Previews.lrdata/a.jpg", "My.photoslibrary/originals/a.jpg",
    "immich/thumbs/3f/a.jpg", "immich/encoded-video/a.jpg", "prism/storage/cache/thumbnails/a.jpg",
    "prism/storage/sidecar/a.jpg", "Sent/a.jpg", "Sent/2021/deep/a.jpg", "resized/a.jpg",
]  # fmt: skip
OPEN = [
    "2021/07/a.jpg", "thumbs/3f/a.jpg", "storage/cache/thumbnails/a.jpg", "cache/a.jpg", "CaptureOne/a.jpg",
    "immich/library/a.jpg", "Recycled/a.jpg", "2021/eaDir/a.jpg",
]  # fmt: skip
MARKS = ["Sent/.nomedia", "resized/CACHEDIR.TAG"]
BY_NAME = [path for path in CLOSED if not path.startswith(("immich", "prism", "Sent", "resized"))]
HIDDEN_OR_ALWAYS = [
    path for path in CLOSED if path.startswith((".", "2021/.")) or ".lrdata" in path or ".photosl" in path
]


ALL = Scope()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in (*CLOSED, *OPEN, *MARKS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def walked(root: Path, scope: Scope = ALL, under: str = "") -> set[str]:
    return {f.path for f in LocalDisk().walk(str(root), under, scope, _no_problem)}


def listed(root: Path, scope: Scope = ALL) -> set[str]:
    """The same by asking for each folder of the disk, as events do."""
    folders = (os.path.relpath(at, root) for at, _, _ in os.walk(root))
    names = ["" if folder == "." else folder for folder in folders]
    disk = LocalDisk()
    return {f.path for name in names for f in disk.list_folder(str(root), name, scope, _no_problem)}


def _no_problem(folder: str, sentence: str) -> None:
    raise AssertionError(f"{folder}: {sentence}")


def test_a_walk_enters_none_of_them_and_all_others(root: Path) -> None:
    assert walked(root) == set(OPEN)


def test_folder_by_folder_the_same_is_found(root: Path) -> None:
    assert listed(root) == set(OPEN)


@pytest.mark.parametrize("path", CLOSED)
def test_a_walk_that_begins_there_finds_nothing(root: Path, path: str) -> None:
    assert walked(root, under=path.rpartition("/")[0]) == set()


def test_switched_off_what_was_open_before_is_open_again(root: Path) -> None:
    scope = Scope(defaults=False)
    opened = {*OPEN, *CLOSED, "resized/CACHEDIR.TAG"} - set(HIDDEN_OR_ALWAYS)
    assert walked(root, scope) == listed(root, scope) == opened


def test_events_go_where_walks_go(root: Path) -> None:
    for path in OPEN:
        assert looked_at(path.rpartition("/")[0], Scope())
    for path in BY_NAME:
        assert not looked_at(path.rpartition("/")[0], Scope())
    assert not looked_at("2024/06/duplicates/trip", Scope(defaults=False))
    assert looked_at("#recycle", Scope(defaults=False))
    assert not looked_at("2021/Screenshots/a", Scope(ignore=("Screenshots",)))
    assert looked_at("", Scope())


def test_each_is_told_once_with_its_kind(root: Path) -> None:
    met: list[tuple[str, str]] = []
    list(LocalDisk().walk(str(root), "", Scope(), _no_problem, lambda at, kind: met.append((at, kind.kind))))
    assert len(met) == len(set(met))
    told = dict(met)
    assert told["#recycle"] == told[".Trash-1000"] == "recycle bin"
    assert told["2021/07/@eaDir"] == "Synology thumbnails"
    assert told["prism/storage"] == "PhotoPrism store"
    assert told["Sent"] == "folder with .nomedia"
    assert "Sent/2021" not in told and "2021/07" not in told


@pytest.mark.parametrize("path", CLOSED)
def test_whoever_asks_about_one_folder_hears_the_kind(root: Path, path: str) -> None:
    kind = LocalDisk().foreign(str(root), path.rpartition("/")[0], Scope())
    assert kind is not None and kind.clause


def test_no_kind_for_a_folder_of_the_library_or_one_that_is_not_there(root: Path) -> None:
    for folder in ("", "2021/07", "thumbs/3f", "nowhere/at/all"):
        assert LocalDisk().foreign(str(root), folder, Scope()) is None


def test_the_root_itself_was_named_by_its_owner(tmp_path: Path) -> None:
    root = tmp_path / "#recycle"
    root.mkdir()
    (root / ".nomedia").touch()
    (root / "a.jpg").write_bytes(b"x")
    assert walked(root) == {"a.jpg"}


def test_a_link_of_such_a_name_is_no_layout_to_follow(root: Path, tmp_path: Path) -> None:
    """A link beside counts by its name, and what it points to is not entered."""
    (root / "web/thumbs").mkdir(parents=True)
    (root / "web/thumbs/a.jpg").write_bytes(b"x")
    (root / "web/library").symlink_to(root / "2021")
    assert not any(path.startswith("web/") for path in walked(root))


@pytest.mark.parametrize("event", [FileCreatedEvent, FileDeletedEvent])
@pytest.mark.parametrize(("name", "whole"), [(".nomedia", True), (".immich", True), ("a.jpg", False)])
def test_a_marker_that_comes_or_goes_speaks_for_all_below(event: type, name: str, whole: bool) -> None:
    heard: list[tuple[str, bool]] = []
    _Handler(lambda folder, all_below: heard.append((folder, all_below))).dispatch(
        event(f"/photos/Sent/{name}")
    )
    assert heard == [("/photos/Sent", whole)]
