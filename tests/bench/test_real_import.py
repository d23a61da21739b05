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
    """A daemon that answers so, and takes a CPU second from look to look."""

    def __init__(self, *told: StatusView | None) -> None:
        self._told = iter(told)
        self.daemon, self.worker = 50 * 1024, 400 * 1024
        self.cpu = 0.0
        self.kills = 0

    def status(self) -> StatusView | None:
        self.cpu += 1.0
        return next(self._told)

    def kill_and_start(self) -> None:
        self.kills += 1


def seen(photos: int, *, moved: int = 0, busy: bool = True, months: int = 0) -> StatusView:
    return StatusView(daemon="running", photos=photos, moved=moved, busy=busy, months_waiting=months)


def test_it_ends_when_all_is_read_and_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_import, "_LOOK_SECONDS", 0.0)
    shown: list[int] = []
    told = Told(
        None,
        seen(0),
        seen(40),
        seen(50),
        None,
        seen(47),
        seen(100),
        seen(90, moved=10, busy=False, months=1),
        seen(90, moved=10, busy=False),
        seen(90, moved=10, busy=False),
        seen(190, moved=10, months=1),
        seen(190, moved=10, busy=False),
    )
    came: list[str] = []
    found = real_import.watched(
        told, 100, lambda phase, done, total: shown.append(done), lambda: came.append("a hundred")
    )
    assert (found.imported, found.import_moved, found.daemon_mb, found.worker_mb) == (100, 10, 50.0, 400.0)
    assert len(found.import_photos_per_s) == 10
    assert found.import_cpu_ms == [100.0, 0.0, 0.0, 0.0, 100.0, 300.0, 0.0, 0.0, 0.0, 0.0]
    assert (told.kills, found.import_again) == (1, 3)
    assert shown == [40, 50, 47, 100, 100, 100]
    assert came and next(told._told, None) is None, "it looked until the hundred were settled"


def test_a_daemon_that_never_answers_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_import, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(real_import, "_STARTS_SECONDS", -1.0)
    with pytest.raises(DedupdError, match="does not answer"):
        real_import.watched(Told(None), 100, lambda phase, done, total: None, lambda: None)


def test_memory_and_time_are_told_of_the_daemon_and_of_what_it_started() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        mine, *others = real_import.processes_of(os.getpid())
        assert (mine.pid, child.pid) == (os.getpid(), others[0].pid)
        assert mine.kilobytes > others[0].kilobytes > 1000
        assert mine.cpu >= others[0].cpu >= 0
        assert [each.pid for each in real_import.processes_of(child.pid)] == [child.pid]
        child.communicate(b"\n")


def test_the_time_that_ps_tells_is_seconds() -> None:
    assert [real_import._seconds(text) for text in ("0:01.25", "00:02:03", "1-00:00:01")] == [
        1.25,
        123.0,
        86401.0,
    ]


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
