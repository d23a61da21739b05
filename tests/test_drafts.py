"""A file is written whole or not at all, and nothing of an attempt is left."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from dedupd.drafts import draft_of, write_whole


def test_the_old_file_gives_way_to_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    write_whole(path, b"old")
    write_whole(path, b"new", 0o600)
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["report.json"]


def test_a_full_disk_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    write_whole(path, b"old")

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["report.json"]


def test_all_bytes_are_synced_before_the_name_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.json"
    sizes: list[int] = []
    sync, replace = os.fsync, os.replace

    def noted(fd: int) -> None:
        sizes.append(os.fstat(fd).st_size)
        sync(fd)

    def renamed(*ends: str, **folders: int | None) -> None:
        assert sizes == [6]
        replace(*ends, **folders)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", renamed)
    write_whole(path, b"whole\n")
    assert path.read_bytes() == b"whole\n"


def test_it_lands_in_the_folder_that_is_open_wherever_that_is_now(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    folder = os.open(tmp_path / "a", os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "a").rename(tmp_path / "b")
    (tmp_path / "a").mkdir()
    with draft_of("page", 0o644, folder=folder) as draft:
        draft.write([b"x"])
        draft.replace()
    os.close(folder)
    assert os.listdir(tmp_path / "a") == []
    assert os.listdir(tmp_path / "b") == ["page"]


def test_what_fails_before_it_has_its_name_leaves_nothing(tmp_path: Path) -> None:
    def cut_short(path: Path) -> None:
        with draft_of(path, 0o644) as draft:
            draft.write([b"half"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut_short(tmp_path / "page")
    assert os.listdir(tmp_path) == []
