"""A file read in slices: the same answer as at once, or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    made = tmp_path / "2024" / "a.jpg"
    made.parent.mkdir()
    made.write_bytes(bytes(range(256)) * 40)
    return made


def test_it_gives_the_content_of_the_whole(tmp_path: Path, photo: Path) -> None:
    disk = LocalDisk()
    reading = disk.reading(str(tmp_path), "2024/a.jpg")
    read: list[int] = []
    while count := reading.go_on(3000):
        read.append(count)
    assert sum(read) == photo.stat().st_size and len(read) == 4
    assert reading.content == disk.content(str(tmp_path), "2024/a.jpg")
    assert reading.stat == disk.stat(str(tmp_path), "2024/a.jpg")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks /proc which files are open")
def test_it_holds_nothing_open_between_two_slices(tmp_path: Path, photo: Path) -> None:
    reading = LocalDisk().reading(str(tmp_path), "2024/a.jpg")
    reading.go_on(1)
    assert not [fd for fd in Path("/proc/self/fd").iterdir() if fd.resolve() == photo]


@pytest.mark.parametrize("how", ["rewritten", "gone", "a link"])
def test_one_that_changes_meanwhile_has_no_content(tmp_path: Path, photo: Path, how: str) -> None:
    reading = LocalDisk().reading(str(tmp_path), "2024/a.jpg")
    reading.go_on(1)
    if how == "rewritten":
        photo.write_bytes(photo.read_bytes()[::-1])
    else:
        photo.unlink()
    if how == "a link":
        photo.symlink_to("/etc/hostname")
    with pytest.raises(OSError, match=r"changed while|No such file|symbolic links"):
        reading.go_on(1)


def test_a_root_that_is_away_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        LocalDisk().reading(str(tmp_path / "away"), "a.jpg").go_on(1)
