"""Which folders are a sync client's, and when it is at work there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dedupd.adapters.fs.sync_folders import at_work, client_of


@pytest.mark.parametrize(
    ("folder", "client"),
    [
        ("OneDrive/Pictures", "OneDrive"), ("OneDrive - Contoso", "OneDrive"), ("Dropbox/Camera Uploads", "Dropbox"),
        ("Library/CloudStorage/Other-me/Photos", "a cloud"), ("Nextcloud", "Nextcloud"), ("Pictures", ""),
        ("My Dropbox pictures", ""),
    ],
)  # fmt: skip
def test_a_client_is_told_by_the_name_of_its_folder(tmp_path: Path, folder: str, client: str) -> None:
    (tmp_path / folder).mkdir(parents=True)
    assert client_of(str(tmp_path / folder)) == client


@pytest.mark.parametrize(
    ("mark", "client"),
    [(".dropbox.cache", "Dropbox"), (".sync_1a2b3c.db", "Nextcloud"), ("._sync_1a2b3c.db", "ownCloud"), (".stfolder", "Syncthing")],
)  # fmt: skip
def test_and_by_what_it_keeps_there(tmp_path: Path, mark: str, client: str) -> None:
    (tmp_path / "mine/2024").mkdir(parents=True)
    (tmp_path / "mine" / mark).touch()
    assert client_of(str(tmp_path / "mine/2024")) == client


@pytest.mark.parametrize(
    ("name", "age", "busy"),
    [
        (".a.jpg.~1f3a", 5, True), (".syncthing.a.jpg.tmp", 5, True), ("a.jpg.part", 5, True), (".~a.jpg", 5, True),
        (".a.jpg.~1f3a", 3600, False), ("a.jpg", 5, False), (".dropbox.cache", 5, False),
    ],
)  # fmt: skip
def test_a_file_begun_within_the_minute_says_that_it_is_at_work(
    tmp_path: Path, name: str, age: float, busy: bool
) -> None:
    (tmp_path / "2024").mkdir()
    file = tmp_path / "2024" / name
    file.touch()
    begun = file.stat().st_mtime - age
    os.utime(file, (begun, begun))
    assert at_work(str(tmp_path), ["2024"]) is busy
    assert not at_work(str(tmp_path), ["2023"])
