"""What is in a cloud only is not opened by a scan, by whatever it is told: the kernel reports every opening."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dedupd.adapters.placeholder_marks import is_placeholder
from dedupd.library import Library
from tests.support.pictures import picture

if sys.platform != "linux":
    pytest.skip("inotify, which counts, is Linux", allow_module_level=True)

MARKS = {"nextcloud.jpg": "user.nextcloud.hydrate_exec", "dropbox.jpg": "user.com.dropbox.placeholder"}
_IN_ACCESS, _IN_OPEN = 0x01, 0x20


@contextmanager
def openings(folder: Path) -> Iterator[list[str]]:
    """The name of each file below that was opened or read by anybody in the block; filled at its end."""
    libc = ctypes.CDLL(None, use_errno=True)
    listening = libc.inotify_init1(os.O_NONBLOCK)
    for place in (folder, *(below for below in folder.rglob("*") if below.is_dir())):
        assert libc.inotify_add_watch(listening, os.fsencode(place), _IN_ACCESS | _IN_OPEN) >= 0
    found: list[str] = []
    yield found
    with open(listening, "rb", buffering=0) as events:
        while part := events.read(1 << 16):
            at = 0
            while at < len(part):
                length = struct.unpack_from("I", part, at + 12)[0]
                found.append(part[at + 16 : at + 16 + length].rstrip(b"\0").decode())
                at += 16 + length


@pytest.fixture
def cloudy(tmp_path: Path) -> Path:
    """A month with a photo and its copy, and every kind of stand-in beside them."""
    month = tmp_path / "Pictures/2024/06"
    month.mkdir(parents=True)
    picture(1).save(month / "a.jpg")
    (month / "a (1).jpg").write_bytes((month / "a.jpg").read_bytes())
    for name in ("blocks.jpg", "a.jpg.xmp", "a.mov"):
        with (month / name).open("wb") as file:
            file.truncate(1 << 20)
    for name in (".b.jpg.icloud", "c.jpg.nextcloud", "d.jpg.owncloud"):
        (month / name).write_bytes(b"bplist")
    for name, mark in MARKS.items():
        (month / name).write_bytes(b" " if name.startswith("next") else b"")
        try:
            os.setxattr(month / name, mark, b"true")
        except OSError:
            pytest.skip("this file system keeps no extended attributes")
    return month


def test_a_scan_opens_no_stand_in(tmp_path: Path, cloudy: Path) -> None:
    photos = {"a.jpg", "a (1).jpg"}
    with Library.open([tmp_path / "Pictures"], state_dir=tmp_path / "state", embedder="hashes") as library:
        with openings(cloudy) as opened:
            outcome = library.scan(yes=True)
    assert outcome.moved.files == 1
    stand_ins = {file.name for file in cloudy.iterdir() if file.is_file()} - photos
    assert len(stand_ins) >= 8
    assert photos <= set(opened), "counting works"
    assert not stand_ins & set(opened)


def test_a_mark_tells_of_small_files_alone(cloudy: Path) -> None:
    for name in MARKS:
        assert is_placeholder(str(cloudy / name), os.lstat(cloudy / name))
    os.setxattr(cloudy / "a.jpg", MARKS["nextcloud.jpg"], b"true")
    (cloudy / "empty.jpg").touch()
    for name in ("a.jpg", "empty.jpg"):
        assert not is_placeholder(str(cloudy / name), os.lstat(cloudy / name))
