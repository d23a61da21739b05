"""Killing the hands at any step: a forked child does the work and dies by SIGKILL at the step it is told."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dedupd.adapters.fs import test_points
from dedupd.adapters.ledger.journal import Journal
from dedupd.core.abilities import Way
from dedupd.core.relocation import Move, MoveOrder
from tests.crash.rig import Rig
from tests.support import disks

Act = Callable[[Rig], object]


class SteppingJournal(Journal):
    """The real journal, with a step before and after each commit."""

    def intend(self, orders: Sequence[MoveOrder], batch: str, at: float) -> list[Move]:
        test_points.step("before intent")
        rows = super().intend(orders, batch, at)
        test_points.step("intent committed")
        return rows

    def reopen(self, moves: Sequence[Move]) -> None:
        test_points.step("before reopening")
        super().reopen(moves)
        test_points.step("reopened")

    def finish(self, moves: Sequence[Move]) -> None:
        test_points.step("before end")
        super().finish(moves)
        test_points.step("end committed")


def die() -> None:
    """Like a power switch for this process alone."""
    os.kill(os.getpid(), signal.SIGKILL)


def run(
    folder: Path, act: Act, at: int = -1, end: Callable[[], object] = die, *, way: Way = Way.EXCLUSIVE
) -> list[str]:
    """Let a child do `act` on the rig in `folder`; at its step number `at` (from 0) it ends by `end`.

    Returns the steps it took, the last one being where it died, if it did.
    """
    told = folder / "steps"
    child = os.fork()
    if child == 0:
        try:
            _work(folder, act, at, end, told, way)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    steps = told.read_text().splitlines() if told.exists() else []
    told.unlink(missing_ok=True)
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or os.WEXITSTATUS(status) == 0, "the child failed by itself; its traceback is above"
    assert killed == (0 <= at < len(steps)), (at, steps)
    return steps


def _work(folder: Path, act: Act, at: int, end: Callable[[], object], told: Path, way: Way) -> None:
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    count = -1

    def step(name: str) -> None:
        nonlocal count
        count += 1
        os.write(out, f"{name}\n".encode())
        if count == at:
            end()

    rig = Rig(folder, mark=False)
    rig.journal = SteppingJournal(rig.link)
    test_points.step = step
    if way is not Way.EXCLUSIVE:
        disks.limited(pytest.MonkeyPatch(), way)
    act(rig)
    rig.close()
