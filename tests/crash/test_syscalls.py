"""SIGKILL at the very system calls that change the disk, injected by strace: also inside SQLite's commits."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.killing import run
from tests.crash.rig import Rig
from tests.crash.test_kill import library, move, recover, recovered

CALLS = ("fsync", "fdatasync", "renameat2", "mkdirat", "fchmod", "pwrite64", "write", "ftruncate", "unlink")
ACTS = {"move": move, "recover": recover}

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace"),
]


def main(folder: str, what: str) -> None:
    """What the traced process does."""
    rig = Rig(Path(folder), mark=False)
    ACTS[what](rig)
    rig.close()


def killed(folder: Path, what: str, call: str, at: int) -> bool:
    """Let a process do it and die at its `at`th `call` (from 1); False when it came to its end before."""
    code = f"from tests.crash.test_syscalls import main; main({str(folder)!r}, {what!r})"
    inject = f"inject={call}:signal=SIGKILL:when={at}"
    done = subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "-e", f"trace={call}", "-e", inject, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    if "PTRACE" in done.stderr.upper():
        pytest.skip(f"this machine does not allow tracing: {done.stderr.strip()[:100]}")
    assert done.returncode in (0, -9, 137), done.stderr
    return done.returncode != 0


@pytest.mark.parametrize("what", ["move", "recover"])
def test_killed_at_every_call(tmp_path: Path, what: str) -> None:
    library(tmp_path / "count")
    steps = run(tmp_path / "count", move)
    half = [n for n, name in enumerate(steps) if name == "renamed"][1]
    deaths = 0
    for call in CALLS:
        for at in range(1, 200):
            folder = tmp_path / f"{call}-{at}"
            before = library(folder)
            if what == "recover":
                run(folder, move, half)
            if not killed(folder, what, call, at):
                break
            deaths += 1
            recovered(folder, before)
            shutil.rmtree(folder)
    assert deaths > 20
