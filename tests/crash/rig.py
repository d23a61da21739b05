"""A small photo library on a real disk with a real ledger, for everything that moves files.

Its census reads the disk with the standard library alone, so that dedupd is never its own witness.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from dedupd.adapters.fs import test_points
from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.ledger.journal import Journal
from dedupd.adapters.ledger.schema import connect
from dedupd.core.relocation import Goal, Move, MoveOrder, MoveState, destination
from dedupd.pipeline import relocate

OWN = (".dedupd-root.json", ".dedupd-receipts.jsonl")


class TestClock:
    """Real time plus what a test adds; each of the two clocks can be turned on its own."""

    __test__ = False

    def __init__(self) -> None:
        self.wall = 0.0
        self.elapsed = 0.0

    def now(self) -> float:
        return time.time() + self.wall

    def monotonic(self) -> float:
        return self.elapsed

    def since_boot(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds
        self.wall += seconds


@dataclass(frozen=True, slots=True)
class FileOnDisk:
    """What a careful owner would compare of one file."""

    content: str
    ino: int
    mtime_ns: int
    mode: int


class Rig:
    """Library under `folder`/root, ledger beside it. Opening it again continues where it was left."""

    def __init__(self, folder: Path, *, settle_seconds: float = 0.0, mark: bool = True) -> None:
        self.folder = folder
        self.root = folder / "root"
        self.root.mkdir(parents=True, exist_ok=True)
        self.clock = TestClock()
        self.link = connect(folder / "ledger.db")
        self.journal: relocate.MoveJournal = Journal(self.link)
        self.mover = FileMover(self.clock, settle_seconds)
        self.root_id = LocalDisk().mark(str(self.root)) if mark else ""

    def close(self) -> None:
        self.link.close()

    # ---- making

    def photo(self, path: str, content: bytes | None = None, *, mode: int = 0o640) -> str:
        """A file with these bytes (its own path by default), an odd mtime and this mode."""
        at = self.root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(os.fsencode(path) * 50 if content is None else content)
        at.chmod(mode)
        os.utime(at, ns=(10**18, 10**18 + 123_456_789))
        return path

    def order(self, src: str, keeper: str = "2024/06/keep.jpg", **changes: Any) -> MoveOrder:
        """An order as the pipeline would give it, of the disk as it is now."""
        stat, keeper_stat = self.mover.stat(str(self.root), src), self.mover.stat(str(self.root), keeper)
        assert stat is not None and keeper_stat is not None
        order = MoveOrder(
            group=1, unit=src, file=1, root=str(self.root), root_id=self.root_id, src=src,
            dst=destination(src), stat=stat, content=self.content(src), keeper=keeper,
            keeper_stat=keeper_stat, keeper_content=self.content(keeper), relation="copy",
        )  # fmt: skip
        return replace(order, **changes)

    # ---- acting

    def relocate(self, *orders: MoveOrder) -> list[Move]:
        return relocate.relocate(orders, self.mover, self.journal, self.clock)

    def recover(self) -> list[Move]:
        return relocate.recover(self.journal, self.mover, self.clock)

    def undo(self, moves: list[Move], goal: Goal = Goal.UNDONE) -> list[Move]:
        return relocate.undo(moves, self.mover, self.journal, self.clock, goal=goal)

    def redo(self, moves: list[Move]) -> list[Move]:
        """Move again what was undone, by new orders of the disk as it is now; what is not there is left out."""
        return self.relocate(*[order for move in moves if (order := self._order_again(move))])

    def _order_again(self, move: Move) -> MoveOrder | None:
        src = move.undone_to or move.src
        stat, keeper_stat = self.mover.stat(move.root, src), self.mover.stat(move.root, move.keeper)
        if move.goal is not Goal.UNDONE or stat is None or keeper_stat is None:
            return None
        return MoveOrder(
            group=move.group, unit=move.unit, file=move.file, root=move.root, root_id=move.root_id, src=src,
            dst=destination(src, move.root), stat=stat, content=move.content, keeper=move.keeper,
            keeper_stat=keeper_stat, keeper_content=move.keeper_content, relation=move.relation,
            evidence=move.evidence, primary=move.primary,
        )  # fmt: skip

    def rows(self) -> list[Move]:
        """Every journal row, read through a connection of its own."""
        with closing(connect(self.folder / "ledger.db")) as link:
            return Journal(link).moves()

    # ---- looking

    def content(self, path: str) -> str:
        return blake3((self.root / path).read_bytes()).hexdigest()

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.root / path)

    def tree(self) -> dict[str, FileOnDisk]:
        """Every regular file but dedupd's own, by path."""
        found: dict[str, FileOnDisk] = {}
        for folder, _, names in os.walk(os.fsencode(self.root)):
            for name in names:
                at = os.path.join(folder, name)
                if os.fsdecode(name).startswith(OWN) or os.path.islink(at) or not os.path.isfile(at):
                    continue
                stat = os.lstat(at)
                with open(at, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
                path = os.fsdecode(os.path.relpath(at, os.fsencode(self.root)))
                found[path] = FileOnDisk(content, stat.st_ino, stat.st_mtime_ns, stat.st_mode)
        return found

    def census(self) -> Counter[str]:
        """How many files hold each content."""
        return Counter(look.content for look in self.tree().values())


def at_step(monkeypatch: pytest.MonkeyPatch, name: str, act: Callable[[], object]) -> list[str]:
    """Let `act` happen once, right after the first step `name`; returns the growing list of steps seen."""
    seen: list[str] = []

    def step(this: str) -> None:
        first = this == name and name not in seen
        seen.append(this)
        if first:
            act()

    monkeypatch.setattr(test_points, "step", step)
    return seen


def only(rows: list[Move]) -> Move:
    """The one row there should be."""
    assert len(rows) == 1, rows
    return rows[0]


def stayed(rig: Rig, move: Move, path: str, because: str) -> None:
    """The file stays where it was, and the reason says so."""
    assert move.state is MoveState.ABORTED, move
    assert because in move.error, move.error
    assert rig.exists(path)
    assert not any("duplicates" in path for path in rig.tree())
