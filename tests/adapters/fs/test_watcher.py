"""Which folders are really watched: when the system has no more watches, that is known, told, and mended by itself."""

from __future__ import annotations

import ctypes
import errno
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.fs.watcher import Watcher

if sys.platform != "linux":
    pytest.skip("inotify is Linux", allow_module_level=True)

from watchdog.observers import inotify_c

PATIENCE = 10


class Kernel:
    """inotify with a limit, as fs.inotify sets it: the real calls, refused beyond it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watches, self.listeners = 10**6, 10**6
        self._taken: set[bytes] = set()
        add, init = inotify_c.inotify_add_watch, inotify_c.inotify_init

        def add_watch(fd: int, path: bytes, mask: int) -> int:
            if path not in self._taken and len(self._taken) >= self.watches:
                ctypes.set_errno(errno.ENOSPC)
                return -1
            found = add(fd, path, mask)
            if found != -1:
                self._taken.add(path)
            return found

        def make() -> int:
            if self.listeners == 0:
                ctypes.set_errno(errno.EMFILE)
                return -1
            return init()

        monkeypatch.setattr(inotify_c, "inotify_add_watch", add_watch)
        monkeypatch.setattr(inotify_c, "inotify_init", make)


class Ear:
    """What a watcher told."""

    def __init__(self) -> None:
        self.watcher = Watcher(self._on_folder, lambda reason: None)
        self._heard: list[str] = []
        self._told = threading.Condition()

    def _on_folder(self, folder: str, whole: bool) -> None:
        with self._told:
            self._heard.append(folder)
            self._told.notify_all()

    def hears(self, folder: Path, act: Callable[[], Any]) -> bool:
        with self._told:
            self._heard.clear()
            act()
            return self._told.wait_for(lambda: str(folder) in self._heard, PATIENCE)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


@pytest.fixture
def ear(kernel: Kernel) -> Iterator[Ear]:
    made = Ear()
    made.watcher.start()
    yield made
    made.watcher.stop()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """43 folders: itself, a year and forty-one days."""
    for day in range(41):
        (tmp_path / f"2021/{day:02}").mkdir(parents=True)
    return tmp_path


def test_every_folder_is_watched_where_there_are_watches_enough(ear: Ear, root: Path) -> None:
    assert ear.watcher.watch(str(root)) == ""
    assert ear.watcher.complete(str(root))
    assert ear.hears(root / "2021/40", (root / "2021/40/a.jpg").touch)


def test_folders_without_a_watch_are_counted_and_told(kernel: Kernel, ear: Ear, root: Path) -> None:
    """10 of 43 folders were watched, and status said "watching"."""
    kernel.watches = 10
    told = ear.watcher.watch(str(root))
    assert told.startswith(f"only 10 of 43 folders in {root} are watched")
    assert "sudo sysctl fs.inotify.max_user_watches=" in told
    assert not ear.watcher.complete(str(root))
    assert ear.watcher.watch(str(root)) == told


def test_a_raised_limit_is_taken_up_without_a_restart(kernel: Kernel, ear: Ear, root: Path) -> None:
    kernel.watches = 10
    assert ear.watcher.watch(str(root))
    deaf = next(f for f in (root / "2021").iterdir() if str(f).encode() not in kernel._taken)
    (deaf / "trip").mkdir()  # nobody tells of it
    kernel.watches = 30
    assert "only 30 of " in ear.watcher.watch(str(root))
    kernel.watches = 1000
    assert ear.watcher.watch(str(root)) == ""
    assert ear.watcher.complete(str(root))
    assert ear.hears(deaf / "trip", (deaf / "trip/a.jpg").touch)


def test_a_folder_made_later_without_a_watch_is_told_too(kernel: Kernel, ear: Ear, root: Path) -> None:
    kernel.watches = 43
    assert ear.watcher.watch(str(root)) == ""
    assert ear.hears(root / "new", (root / "new").mkdir)
    assert not ear.watcher.complete(str(root))
    assert "only 43 of 44" in ear.watcher.watch(str(root))


def test_what_is_gone_needs_no_watch(kernel: Kernel, ear: Ear, root: Path) -> None:
    kernel.watches = 42
    assert "only 42 of 43" in ear.watcher.watch(str(root))
    (deaf,) = (f for f in (root / "2021").iterdir() if str(f).encode() not in kernel._taken)
    shutil.rmtree(deaf)
    assert ear.watcher.watch(str(root)) == ""
    assert ear.watcher.complete(str(root))


def test_a_root_without_any_watch_is_tried_again(kernel: Kernel, ear: Ear, root: Path) -> None:
    kernel.watches = 0
    told = ear.watcher.watch(str(root))
    assert told.startswith(f"{root} is not watched")
    assert "max_user_watches=" in told
    assert not ear.watcher.complete(str(root))
    kernel.watches = 1000
    assert ear.watcher.watch(str(root)) == ""
    assert ear.hears(root, (root / "a.jpg").touch)


def test_no_listener_left_is_told_and_tried_again(kernel: Kernel, ear: Ear, root: Path) -> None:
    """The daemon did not even start."""
    kernel.listeners = 0
    told = ear.watcher.watch(str(root))
    assert "sudo sysctl fs.inotify.max_user_instances=" in told
    assert not ear.watcher.complete(str(root))
    kernel.listeners = 1
    assert ear.watcher.watch(str(root)) == ""
    assert ear.hears(root, (root / "a.jpg").touch)


def test_a_root_that_came_back_is_watched_anew(kernel: Kernel, ear: Ear, root: Path) -> None:
    kernel.watches = 10
    assert ear.watcher.watch(str(root))
    ear.watcher.unwatch(str(root))
    assert not ear.watcher.complete(str(root))
    kernel.watches = 1000
    assert ear.watcher.watch(str(root)) == ""
    assert ear.hears(root / "2021/40", (root / "2021/40/a.jpg").touch)
