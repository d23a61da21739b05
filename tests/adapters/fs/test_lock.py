"""One writer a state folder and a root; a dead holder holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.fs.lock import hold, private_folder, root_lock, state_lock
from dedupd.config import Places, places
from dedupd.errors import AlreadyRunning, ExitCode, RootError, StateError

HOLD = """
import sys
from pathlib import Path
from dedupd.config import places
from dedupd.adapters.fs.lock import root_lock, state_lock
kind, a, b = sys.argv[1:]
with state_lock(places(Path(a))) if kind == "state" else root_lock(Path(a), Path(b)):
    print("held", flush=True)
    sys.stdin.read()
"""

Holder = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def holder() -> Iterator[Holder]:
    """Starts another process that holds a lock until its stdin closes."""
    with ExitStack() as stack:

        def start(kind: str, a: Path, b: Path = Path()) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLD, kind, str(a), str(b)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.enter_context(process)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return process

        yield start


@pytest.fixture
def home(tmp_path: Path) -> Places:
    return places(tmp_path / "state")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Pictures/2024").mkdir(parents=True)
    return tmp_path / "Pictures"


def test_a_second_process_is_told_in_one_sentence(home: Places, holder: Holder) -> None:
    holder("state", home.state)
    with pytest.raises(AlreadyRunning, match="another dedupd already works with") as caught, state_lock(home):
        pass
    assert caught.value.exit_code == ExitCode.LOCKED


def test_a_killed_holder_holds_nothing(home: Places, holder: Holder) -> None:
    process = holder("state", home.state)
    process.kill()
    process.wait()
    with state_lock(home):
        pass


def test_a_lock_can_be_taken_again_after_it_was_left(home: Places) -> None:
    for _ in range(2):
        with state_lock(home):
            pass


def test_a_child_that_outlives_the_daemon_does_not_keep_its_lock(home: Places) -> None:
    with state_lock(home):
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False)
        assert child.stdin and child.stdout
        child.stdin.write(b"up\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"up\n"
    with child:
        with state_lock(home):
            assert child.poll() is None
        child.kill()


def test_the_state_folder_is_made_private(home: Places) -> None:
    with state_lock(home):
        assert home.state.stat().st_mode & 0o777 == 0o700
        assert home.lock.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("named", "mode"), [(False, 0o700), (True, 0o755)])
def test_what_was_open_to_others_is_closed_but_for_the_folder_that_a_person_named(
    home: Places, named: bool, mode: int
) -> None:
    """An older dedupd, or `mkdir` before the first start, left photo names and small pictures to all who log in."""
    home.state.mkdir()
    for folder in (home.index, home.cache, home.logs):
        folder.mkdir()
    for file in (home.ledger, home.state / "ledger.db-wal"):
        file.touch()
    for path in (home.state, *home.state.iterdir()):
        path.chmod(0o755)
    with state_lock(replace(home, named=named)):
        assert home.state.stat().st_mode & 0o777 == mode
        assert not any(path.stat().st_mode & 0o077 for path in home.state.iterdir())


def test_a_folder_that_others_can_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StateError, match="others can write"):
        private_folder(tmp_path / "open")


def test_a_link_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StateError, match="is a link"):
        private_folder(tmp_path / "link")


def test_a_folder_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StateError, match="belongs to another user"):
        private_folder(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be made"), state_lock(places(tmp_path / "file/state")):
        pass


def test_a_link_in_place_of_the_lock_is_not_followed(home: Places, tmp_path: Path) -> None:
    private_folder(home.state)
    home.lock.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="cannot be opened"), state_lock(home):
        pass
    assert not (tmp_path / "elsewhere").exists()


# --- roots


def test_a_root_has_one_writer_whatever_its_name(root: Path, tmp_path: Path, holder: Holder) -> None:
    holder("root", root, tmp_path / "locks")
    (tmp_path / "alias").symlink_to(root)
    for name in (root, tmp_path / "alias"):
        with pytest.raises(AlreadyRunning, match="already looks after"), root_lock(name, tmp_path / "locks"):
            pass


@pytest.mark.parametrize(("theirs", "ours"), [("Pictures", "Pictures/2024"), ("Pictures/2024", "Pictures")])
def test_a_root_inside_another_held_one_is_refused(
    theirs: str, ours: str, tmp_path: Path, root: Path, holder: Holder
) -> None:
    process = holder("root", tmp_path / theirs, tmp_path / "locks")
    with pytest.raises(AlreadyRunning, match="overlaps"), root_lock(tmp_path / ours, tmp_path / "locks"):
        pass
    process.kill()
    process.wait()
    with root_lock(tmp_path / ours, tmp_path / "locks"):
        pass


@pytest.mark.skipif(not os.path.ismount("/dev/shm"), reason="no file system is mounted inside another here")
def test_a_disk_mounted_inside_a_held_root_is_a_root_of_its_own(tmp_path: Path, holder: Holder) -> None:
    holder("root", Path("/dev"), tmp_path / "locks")
    with root_lock(Path("/dev/shm"), tmp_path / "locks"):
        pass


def test_the_place_of_a_disk_that_is_not_mounted_is_not_held(
    root: Path, home: Places, tmp_path: Path, runtime: Path
) -> None:
    (root / "2024").mkdir(exist_ok=True)
    with hold(home, [root, root / "2024"]):
        pass


def test_different_roots_do_not_hinder_each_other(root: Path, tmp_path: Path, holder: Holder) -> None:
    (tmp_path / "Pictures2").mkdir()
    holder("root", root, tmp_path / "locks")
    with root_lock(tmp_path / "Pictures2", tmp_path / "locks"):
        pass


def test_a_lock_leaves_nothing_in_the_root_and_does_not_hold_it_open(root: Path, tmp_path: Path) -> None:
    before = sorted(root.rglob("*"))
    with root_lock(root, tmp_path / "locks"):
        assert sorted(root.rglob("*")) == before
        opened = (
            {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
            if os.path.isdir("/proc/self/fd")
            else set()
        )
        assert not any(path.startswith(str(root)) for path in opened)


def test_a_missing_root_is_told(tmp_path: Path) -> None:
    with pytest.raises(RootError, match="is not there"), root_lock(tmp_path / "usb", tmp_path / "locks"):
        pass


# --- both at once


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "run"


def test_the_same_root_with_another_state_folder_is_refused(
    root: Path, home: Places, tmp_path: Path, runtime: Path
) -> None:
    with hold(home, [root]):
        with (
            pytest.raises(AlreadyRunning, match="already looks after"),
            hold(places(tmp_path / "s2"), [root]),
        ):
            pass
        with hold(places(tmp_path / "s2"), []):
            pass


def test_an_offline_root_is_held_once_it_is_there(
    root: Path, home: Places, tmp_path: Path, runtime: Path
) -> None:
    usb = tmp_path / "usb"
    with hold(home, [usb, root]) as locks:
        usb.mkdir()
        locks.add(usb)
        locks.add(usb)
        with pytest.raises(AlreadyRunning), hold(places(tmp_path / "s2"), [usb]):
            pass


def test_a_refused_instance_holds_nothing(root: Path, home: Places, tmp_path: Path, runtime: Path) -> None:
    second = places(tmp_path / "s2")
    with hold(home, [root]), pytest.raises(AlreadyRunning), hold(second, [root]):
        pass
    with hold(second, [root]):
        pass
