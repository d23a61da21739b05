"""Power cuts at every step, on a real ext4 whose journal is dropped at that instant.

A loop-mounted image is shut down without flushing its log; what survives the next mount is what a machine
would find after its plug was pulled. Skipped where loop devices or root are not to be had.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dedupd.core.abilities import Way
from dedupd.core.relocation import MoveState
from tests.crash import killing
from tests.crash import test_kill_sidecars as kill_sidecars
from tests.crash.killing import run
from tests.crash.rig import Rig
from tests.crash.test_kill import KEEPER, UNITS, all_ended, library, move, nothing_lost, undo
from tests.support.shelf import Shelf

EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2

pytestmark = [
    pytest.mark.crash,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux for a loop-mounted ext4"
    ),
]


class Machine:
    """A disk that can lose its power."""

    def __init__(self, folder: Path) -> None:
        self.image, self.disk = folder / "disk.img", folder / "disk"
        self.disk.mkdir()

    def fresh(self) -> Path:
        """A new file system."""
        self.off()
        self.image.unlink(missing_ok=True)
        with open(self.image, "wb") as image:
            image.truncate(32 << 20)
        self._sh("mkfs.ext4", "-q", str(self.image))
        self.on()
        return self.disk / "library"

    def on(self) -> None:
        self._sh("mount", "-o", "loop", str(self.image), str(self.disk))

    def cut(self) -> None:
        """Pull the plug: what is not on disk now never will be. Then this process ends."""
        fd = os.open(self.disk, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.kill(os.getpid(), 9)

    def off(self) -> None:
        for _ in range(100):
            subprocess.run(["umount", str(self.disk)], capture_output=True, check=False)
            if not os.path.ismount(self.disk):
                return

    def restart(self) -> None:
        self.off()
        self.on()

    def _sh(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"this machine does not allow {command[0]}: {done.stderr.strip()}")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.off()


def steps(machine: Machine, first: bool) -> int:
    folder = machine.fresh()
    library(folder)
    if not first:
        run(folder, move)
    return len(run(folder, move if first else undo))


def test_power_cut_while_moving(machine: Machine) -> None:
    for at in range(steps(machine, True)):
        folder = machine.fresh()
        before = library(folder)
        os.sync()
        cut(folder, machine, at, moving=True)
        machine.restart()
        rig = Rig(folder, mark=False)
        nothing_lost(rig, before)
        rig.recover()
        all_ended(rig, before)
        rig.undo([row for row in rig.rows() if row.held])
        assert rig.tree() == before
        rig.close()


def test_power_cut_while_undoing(machine: Machine) -> None:
    for at in range(steps(machine, False)):
        folder = machine.fresh()
        before = library(folder)
        run(folder, move)
        os.sync()
        cut(folder, machine, at, moving=False)
        machine.restart()
        rig = Rig(folder, mark=False)
        nothing_lost(rig, before)
        rig.recover()
        rig.undo([row for row in rig.rows() if row.held])
        assert rig.tree() == before
        rig.close()


def test_fresh_files_are_whole_after_a_power_cut(machine: Machine) -> None:
    """Keeper and copies still in the page cache when they are chosen: whole on disk before anything moves."""
    for at in range(steps(machine, True)):
        folder = machine.fresh()
        rig = Rig(folder)
        os.sync()
        for path in (KEEPER, *(path for unit in UNITS.values() for path in unit)):
            rig.photo(path)
        before = rig.tree()
        rig.close()
        cut(folder, machine, at, moving=True)
        machine.restart()
        rig = Rig(folder, mark=False)
        if rig.rows():
            nothing_lost(rig, before)
        rig.close()


@pytest.mark.parametrize("act", [kill_sidecars.move, kill_sidecars.undo])
def test_power_cut_while_a_sidecar_comes_or_goes(machine: Machine, act: Callable[[Shelf], None]) -> None:
    def prepared() -> Counter[str]:
        before = kill_sidecars.made(machine.fresh())
        if act is kill_sidecars.undo:
            kill_sidecars.run(machine.disk / "library", kill_sidecars.move)
        return before

    prepared()
    names = kill_sidecars.run(machine.disk / "library", act)
    for at in (n for n, name in enumerate(names) if "sidecar" in name or "put" in name or "forget" in name):
        before = prepared()
        os.sync()
        in_a_child(
            lambda at=at: kill_sidecars.work(machine.disk / "library", act, at, Path(os.devnull), machine.cut)
        )
        machine.restart()
        kill_sidecars.all_well(machine.disk / "library", before)


def test_done_is_done(machine: Machine) -> None:
    """What the journal calls done is where it says, whenever the power goes afterwards."""
    last = steps(machine, True) - 1
    folder = machine.fresh()
    library(folder)
    os.sync()
    cut(folder, machine, last, moving=True)
    machine.restart()
    rig = Rig(folder, mark=False)
    rows = rig.rows()
    assert rows and all(row.state is MoveState.DONE for row in rows)
    assert all(rig.exists(row.dst) and not rig.exists(row.src) for row in rows)
    rig.close()


def cut(folder: Path, machine: Machine, at: int, *, moving: bool) -> None:
    """Do it and pull the plug at this step. The step count cannot be read back: it was on that disk."""
    act = move if moving else undo
    in_a_child(lambda: killing._work(folder, act, at, machine.cut, Path(os.devnull), Way.EXCLUSIVE))


def in_a_child(act: Callable[[], object]) -> None:
    """Let a child do it until the plug is pulled."""
    child = os.fork()
    if child == 0:
        try:
            act()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the plug was never pulled"
