"""Who a root is: whatever stands in the place of its marker, there is an answer, the same for all who ask."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.safe_paths import MARKER, Root, marker_of
from dedupd.errors import RootError
from tests.support.shelf import Shelf

ID = "0a1b2c3d-0000-4000-8000-000000000000"


def written(root: Path, text: str | bytes) -> Path:
    (root / MARKER).write_bytes(text.encode() if isinstance(text, str) else text)
    return root


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (json.dumps({"uuid": ID}), ID),
        (json.dumps({"uuid": ID.upper()}), ID),
        (json.dumps({"uuid": " holiday\n"}), "holiday"),
        (json.dumps({"uuid": "Urlaub in Österreich", "what": "mine"}), "urlaub in österreich"),
    ],
)
def test_any_short_text_is_a_name_for_all_who_ask(tmp_path: Path, text: str, name: str) -> None:
    written(tmp_path, text)
    assert LocalDisk().identity(str(tmp_path)).uuid == name
    with Root(str(tmp_path)) as root:
        assert marker_of(root) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[" * 4000, '{"uuid":' * 900, '{"uuid": 5}', '{"uuid": null}', '{"uuid": ""}', '["uuid"]', '"uuid"',
        '{"uuid": "\\ud800"}', '{"uuid": "\\u0000"}', b"\xff\xfe", json.dumps({"uuid": ID, "pad": "x" * 5000}),
    ],
)  # fmt: skip
def test_what_is_no_marker_is_one_sentence(tmp_path: Path, text: str | bytes) -> None:
    written(tmp_path, text)
    with pytest.raises(RootError, match=r"is damaged .*delete it to let dedupd know this folder anew"):
        LocalDisk().identity(str(tmp_path))
    with Root(str(tmp_path)) as root:
        assert marker_of(root) == ""


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, os.mkdir, lambda at: os.symlink("/etc/hostname", at)],
    ids=["fifo", "folder", "link"],
)
@pytest.mark.timeout(20)
def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / MARKER)
    with pytest.raises(RootError):
        LocalDisk().identity(str(tmp_path))
    with Root(str(tmp_path)) as root:
        assert marker_of(root) == ""


def test_the_draft_of_a_marker_that_a_crash_left_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / f"{MARKER}.{os.getpid()}.tmp").write_text("{")
    (tmp_path / f"{MARKER}.mine").write_text("a user's own")
    name = LocalDisk().mark(str(tmp_path))
    assert name
    assert LocalDisk().identity(str(tmp_path)).uuid == name
    assert sorted(p.name for p in tmp_path.iterdir()) == [MARKER, f"{MARKER}.mine"]


@pytest.mark.timeout(60)
def test_one_folder_with_a_pipe_for_a_marker_holds_up_no_other(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, roots=("First", "Second"))
    os.mkfifo(shelf.roots[0] / MARKER)
    for root in (0, 1):
        shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg", root=root)
    assert shelf.pass_().files == 1
    assert "is damaged" in shelf.library.problems[str(shelf.roots[0])]
    shelf.close()


@pytest.mark.parametrize("name", ["holiday", ID.upper()])
def test_a_marker_of_its_owners_words_forbids_nothing(shelf: Shelf, name: str) -> None:
    written(shelf.root, json.dumps({"uuid": name}))
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    assert shelf.pass_().files == 1
    shelf.again()
    assert shelf.library.undo(shelf.library.held(everything=True)).restored == 1
