"""SIGKILL at every system call that changes the disk, injected by strace: also inside SQLite's commits."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import traceback
from pathlib import Path

import pytest

from tests.crash.killing import Act, run
from tests.crash.rig import FileOnDisk, Rig
from tests.crash.test_kill import library, move, recover, recovered, undo

CALLS = (
    "openat", "write", "pwrite64", "ftruncate", "fsync", "fdatasync", "fchmod",
    "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat",
)  # fmt: skip
_PR_SET_PTRACER = 0x59616D61

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


def half_moved(folder: Path) -> dict[str, FileOnDisk]:
    """As a process left it that died right after its second rename."""
    run_through = folder.with_name("run through")
    if not run_through.exists():
        library(run_through)
        (run_through / "names").write_text("\n".join(run(run_through, move)))
    names = (run_through / "names").read_text().splitlines()
    before = library(folder)
    run(folder, move, [n for n, name in enumerate(names) if name == "renamed"][1])
    return before


def moved(folder: Path) -> dict[str, FileOnDisk]:
    before = library(folder)
    run(folder, move)
    return before


BEFORE = {"move": (library, move), "recover": (half_moved, recover), "undo": (moved, undo)}


def traced(folder: Path, act: Act, call: str, *options: str) -> tuple[bool, list[str]]:
    """Let a child do it while strace looks on; whether it was killed, and its calls of this name.

    The child is a fork of this process: all it needs is imported, and nothing but `act` is counted.
    """
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
            os.read(ready, 1)
            rig = Rig(folder, mark=False)
            act(rig)
            rig.close()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
            os._exit(1)
    log = folder.with_suffix(".strace")
    strace = subprocess.Popen(
        ["strace", "-f", "-o", str(log), "-e", f"trace=?{call}", *options, "-p", str(child)],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert strace.stderr is not None
    told = strace.stderr.readline()
    if "attached" not in told:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        pytest.skip(f"this machine does not allow tracing: {told.strip()[:100]}")
    os.write(go, b".")
    _, status = os.waitpid(child, 0)
    strace.communicate()
    os.close(ready)
    os.close(go)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.WEXITSTATUS(status) == 0, "the child failed by itself; its traceback is above"
    return killed, re.findall(r"^\d+ +\w+\(.*", log.read_text(), re.MULTILINE)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", BEFORE)
def test_killed_at_every_call_that_changes_the_disk(tmp_path: Path, what: str, call: str) -> None:
    folder = tmp_path / "library"
    prepare, act = BEFORE[what]
    prepare(folder)
    _, calls = traced(folder, act, call)
    for at, line in enumerate(calls, 1):
        if call == "openat" and "O_CREAT" not in line:
            continue
        shutil.rmtree(folder)
        before = prepare(folder)
        killed, _ = traced(folder, act, call, "-e", f"inject=?{call}:signal=SIGKILL:when={at}")
        assert killed, (call, at, line)
        recovered(folder, before)


@pytest.mark.parametrize("what", BEFORE)
def test_what_is_counted_is_most_of_what_happens(tmp_path: Path, what: str) -> None:
    """On a machine whose calls have other names, the kills above would be none."""
    prepare, act = BEFORE[what]
    prepare(tmp_path / "library")
    _, calls = traced(tmp_path / "library", act, ",?".join(CALLS))
    assert len([line for line in calls if "rename" in line or "link" in line]) >= 3
    assert len(calls) > 40
