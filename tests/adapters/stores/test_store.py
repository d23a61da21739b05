"""Places by their address: what is listed, written whole, and never printed. (A bucket's own client is pyarrow's.)"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from dedupd.adapters.stores.object_store import ObjectStore
from dedupd.adapters.stores.store import LocalStore, Store, store_at
from dedupd.core.foreign import Scope
from dedupd.errors import UsageError

TREE = ("b.jpg", "a/1.jpg", "a/c/2.jpg", "#recycle/x.jpg", ".hidden/y.jpg", "a/.z.jpg", "ignored/q.jpg")
LISTED = ["b.jpg", "a/1.jpg", "a/c/2.jpg"]


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A folder, and the client of object stores on a folder in the place of a bucket."""
    top = tmp_path / "bucket/lib"
    top.mkdir(parents=True)

    def from_uri(address: str) -> tuple[Any, str]:
        return fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket/lib/"

    class Files:
        """pyarrow's own class does not let itself be changed."""

        FileSelector, FileType = fs.FileSelector, fs.FileType
        FileSystem = type("FileSystem", (), {"from_uri": staticmethod(from_uri)})

    monkeypatch.setattr("dedupd.adapters.stores.object_store.fs", Files)
    return store_at(os.fspath(top) if request.param == "folder" else "s3://bucket/lib/?endpoint_override=h:1")


def test_what_a_library_would_look_at_is_listed_in_one_order(store: Store) -> None:
    for name in TREE:
        if isinstance(store, ObjectStore):
            store._files.create_dir(f"bucket/lib/{os.path.dirname(name)}")
        store.write(name, b"seven b")
    found = list(store.pictures(Scope(ignore=("ignored",)), lambda sentence: None))
    assert [each.name for each in found] == LISTED
    assert {each.size for each in found} == {7} and all(each.version > 1e18 for each in found)


def test_a_file_is_read_as_it_was_written(store: Store) -> None:
    assert store.empty()
    alive = list[int]()
    store.write("one.json", b"0123456789")
    store.write("one.json", b"9876543210")
    assert store.read("one.json", alive=lambda: alive.append(1)) == b"9876543210"
    assert store.read("one.json", 4) == b"9876"
    assert store.sizes("") == {"one.json": 10} and not store.empty()
    assert store.sizes("none") == {}
    with pytest.raises(FileNotFoundError):
        store.read("none")


def test_what_people_read_does_not_say_how_a_place_is_reached(store: Store) -> None:
    assert "?" not in store.shown and not store.shown.endswith("/")


@pytest.mark.parametrize("address", ["s3://key:secret@bucket/x", "gs://bucket", "http://host/x"])
def test_an_address_with_a_secret_or_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(UsageError) as told:
        store_at(address)
    assert "secret@" not in str(told.value)


def test_a_folder_is_meant_by_its_own_path(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert store_at(os.fspath(tmp_path / "link")).address == os.fspath(tmp_path)
    assert isinstance(store_at("relative"), LocalStore)
    assert os.path.isabs(store_at("relative").address)
