"""What a measured import tells; never how fast it was. The daemon itself is run by hand, by `dedupd bench scale`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from dedupd.bench import many_files, real_import
from dedupd.errors import DedupdError
from dedupd.protocol.views import StatusView


class Told:
    """A daemon that answers so."""

    def __init__(self, *told: StatusView | None) -> None:
        self._told = iter(told)
        self.daemon, self.worker = 50 * 1024, 400 * 1024

    def status(self) -> StatusView | None:
        return next(self._told)


def seen(photos: int, *, moved: int = 0, busy: bool = True, months: int = 0) -> StatusView:
    return StatusView(daemon="running", photos=photos, moved=moved, busy=busy, months_waiting=months)


def test_it_ends_when_all_is_read_and_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_import, "_LOOK_SECONDS", 0.0)
    shown: list[int] = []
    told = Told(
        None,
        seen(0),
        seen(40),
        seen(100),
        seen(90, moved=10, busy=False, months=1),
        seen(90, moved=10, busy=False),
    )
    found = real_import.watched(told, 100, lambda phase, done, total: shown.append(done))
    assert (found.imported, found.import_moved, found.daemon_mb, found.worker_mb) == (100, 10, 50.0, 400.0)
    assert len(found.import_photos_per_s) == 10
    assert shown == [40, 100, 100, 100]


def test_a_daemon_that_never_answers_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_import, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(real_import, "_STARTS_SECONDS", -1.0)
    with pytest.raises(DedupdError, match="does not answer"):
        real_import.watched(Told(None), 100, lambda phase, done, total: None)


def test_memory_is_told_of_the_daemon_and_of_what_it_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine, others = real_import.memory_of(os.getpid())
        assert mine > others > 1000, "KB"
        assert real_import.memory_of(child.pid)[1] == 0
        child.communicate(b"\n")


def test_a_hundred_files_are_what_they_are_said_to_be(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(many_files, "_WIDTHS", range(96, 97))
    monkeypatch.setattr(many_files, "_SIDE", 128)
    many_files._noises.cache_clear(), many_files._patterns.cache_clear(), many_files._grain.cache_clear()
    for hundred in (0, 1):
        many_files._paint_hundred(tmp_path, hundred, 1)
    assert sorted(path.name for path in (tmp_path / "2005").iterdir()) == ["01", "02"]
    files = sorted((tmp_path / "2005" / "01").iterdir())
    contents = Counter(path.read_bytes() for path in files)
    assert (len(files), len(contents)) == (100, 95)
    assert sum(path.stem.endswith("_2") for path in files) == 12
    assert sum(path.stem.endswith("-small") for path in files) == 5
    assert sum(not Image.open(path).getexif().get_ifd(0x8769) for path in files) == 2
    many_files._noises.cache_clear(), many_files._patterns.cache_clear(), many_files._grain.cache_clear()
