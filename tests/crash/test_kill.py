"""SIGKILL at every step of move, undo and recovery: nothing is lost, and recovery ends all that was begun.

The census is taken outside the process that dies, by the standard library alone.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.core.abilities import Way
from dedupd.core.relocation import Goal, MoveOrder, MoveState
from dedupd.pipeline.relocate import undo_from_receipts
from tests.crash.killing import Act, run
from tests.crash.rig import FileOnDisk, Rig
from tests.support import disks

KEEPER = "2024/06/keep.jpg"
UNITS = {
    "single": ("2024/06/trip/a.jpg",),
    "live": ("2024/06/b/IMG_1.HEIC", "2024/06/b/IMG_1.MOV"),
    "flat": ("x/c.jpg",),
}
WAYS = pytest.mark.parametrize("way", list(Way))


@pytest.fixture(autouse=True)
def the_disk_stays_what_it_is(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recovery works on the same file system as what was killed."""
    if "way" in request.fixturenames:
        disks.limited(monkeypatch, request.getfixturevalue("way"))


def library(folder: Path) -> dict[str, FileOnDisk]:
    """The same small library each time; returns how it looks."""
    rig = Rig(folder)
    for path in (KEEPER, *(path for unit in UNITS.values() for path in unit)):
        rig.photo(path)
    tree = rig.tree()
    rig.close()
    return tree


def orders(rig: Rig) -> list[MoveOrder]:
    rig.root_id = LocalDisk().mark(str(rig.root))
    return [
        rig.order(path, KEEPER, unit=unit, primary=n == 0)
        for unit, paths in UNITS.items()
        for n, path in enumerate(paths)
    ]


def move(rig: Rig) -> object:
    return rig.relocate(*orders(rig))


def undo(rig: Rig) -> object:
    return rig.undo([row for row in rig.rows() if row.held])


def recover(rig: Rig) -> object:
    return rig.recover()


def contents(tree: dict[str, FileOnDisk]) -> Counter[str]:
    return Counter(look.content for look in tree.values())


def nothing_lost(rig: Rig, before: dict[str, FileOnDisk]) -> None:
    """I1, at this instant: every content is there (a half-done link shows one twice, a claim an empty file)."""
    assert not contents(before) - rig.census()
    assert set(contents(before)) == set(rig.census()) - {sha256().hexdigest()}


def all_ended(rig: Rig, before: dict[str, FileOnDisk]) -> None:
    """After recovery: every unit wholly here or wholly there, untouched, and the journal says which."""
    tree, rows = rig.tree(), rig.rows()
    assert contents(tree) == contents(before)
    assert {row.state for row in rows} <= {MoveState.DONE, MoveState.ABORTED}
    held = {row.src: row.dst for row in rows if row.held}
    assert tree == {held.get(path, path): look for path, look in before.items()}
    for unit in UNITS.values():
        assert len({path in held for path in unit}) == 1, "a unit was torn apart"


def recovered(folder: Path, before: dict[str, FileOnDisk]) -> None:
    """Recovery, twice, and then undo with the ledger gone: all as it was before anything moved."""
    rig = Rig(folder, mark=False)
    nothing_lost(rig, before)
    rig.recover()
    all_ended(rig, before)
    assert rig.recover() == []
    rig.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (folder / name).unlink(missing_ok=True)
    undo_from_receipts(str(rig.root), rig.mover, rig.clock)
    assert rig.tree() == before


def left(folder: Path, before: dict[str, FileOnDisk]) -> str:
    """All that the next process finds, told without what no two runs have in common: inodes, times, random names."""
    rig = Rig(folder, mark=False)
    names = {look.ino: path for path, look in before.items()}
    files = {
        path: (names.get(look.ino, "a claim"), replace(look, ino=0)) for path, look in rig.tree().items()
    }
    rows = [replace(row, batch="", root="", root_id="", dev=0, ino=0, at=0.0) for row in rig.rows()]
    receipts = {
        str(path.relative_to(rig.root)): re.sub(
            r'"(?:batch|at|root_id|dev|ino|mtime_ns)":(?:"[^"]*"|[\d.]+)', "", path.read_text("utf-8")
        )
        for path in rig.root.rglob(".dedupd-receipts.jsonl")
    }
    folders = {
        str(path.relative_to(rig.root)): path.stat().st_mode for path in rig.root.rglob("*") if path.is_dir()
    }
    rig.close()
    return repr((sorted(files.items()), rows, sorted(receipts.items()), sorted(folders.items())))


def steps_of(folder: Path, act: Act, way: Way) -> int:
    return len(run(folder, act, way=way))


@WAYS
def test_killed_while_moving(tmp_path: Path, way: Way) -> None:
    library(tmp_path / "count")
    steps = run(tmp_path / "count", move, way=way)
    assert {
        "proven",
        "intent committed",
        "intent receipted",
        "renamed",
        "folder synced",
        "end committed",
    } <= set(steps)
    for at in range(len(steps)):
        folder = tmp_path / str(at)
        before = library(folder)
        run(folder, move, at, way=way)
        recovered(folder, before)


@WAYS
def test_killed_while_undoing(tmp_path: Path, way: Way) -> None:
    library(tmp_path / "count")
    run(tmp_path / "count", move)
    steps = run(tmp_path / "count", undo, way=way)
    assert {"reopened", "undone", "folder synced", "end committed"} <= set(steps)
    for at in range(len(steps)):
        folder = tmp_path / str(at)
        before = library(folder)
        run(folder, move)
        run(folder, undo, at, way=way)
        rig = Rig(folder, mark=False)
        nothing_lost(rig, before)
        rig.recover()
        rig.undo([row for row in rig.rows() if row.held])
        assert rig.tree() == before
        assert all(row.goal is Goal.UNDONE and row.state is MoveState.DONE for row in rig.rows())
        rig.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "every",
    [pytest.param(False, marks=pytest.mark.crash), pytest.param(True, marks=pytest.mark.exhaustive)],
    ids=["each state", "every step"],
)
@WAYS
@pytest.mark.parametrize("first", [move, undo])
def test_killed_while_recovering_and_again(tmp_path: Path, first: Act, way: Way, every: bool) -> None:
    """Every step of the first death, steps of the recovery after it, and a third death half-way.

    every: each step of each recovery. Else one of three, another third after each first death, so that each step of
    recovery is met in some states; and where an earlier first death left the same behind, recovery has met it already.
    """
    library(tmp_path / "count")
    if first is undo:
        run(tmp_path / "count", move)
    met: set[str] = set()
    for at in range(len(run(tmp_path / "count", first, way=way))):
        for again in range(0 if every else len(met) % 3, 1000, 1 if every else 3):
            folder = tmp_path / f"{at}-{again}"
            before = library(folder)
            if first is undo:
                run(folder, move)
            run(folder, first, at, way=way)
            if again < 3:
                state = left(folder, before)
                if state in met and not every:
                    break
                met.add(state)
            steps = run(folder, recover, again, way=way)
            if again >= len(steps):
                break
            run(folder, recover, again // 2, way=way)
            recovered(folder, before)
    assert len(met) > 5


@WAYS
def test_killed_in_the_middle_of_recovering(tmp_path: Path, way: Way) -> None:
    """The states that matter most, in the default run: a unit half moved, and a unit that lost its keeper."""
    library(tmp_path / "count")
    steps = run(tmp_path / "count", move, way=way)
    half = [n for n, name in enumerate(steps) if name == "renamed"][1]
    for again in range(1000):
        folder = tmp_path / str(again)
        before = library(folder)
        run(folder, move, half, way=way)
        if again >= len(run(folder, recover, again, way=way)):
            break
        recovered(folder, before)
    assert again > 5


def test_killed_when_the_keeper_is_gone_too(tmp_path: Path) -> None:
    library(tmp_path / "count")
    for at in range(steps_of(tmp_path / "count", move, Way.EXCLUSIVE)):
        folder = tmp_path / str(at)
        before = library(folder)
        run(folder, move, at)
        rig = Rig(folder, mark=False)
        (rig.root / KEEPER).unlink()
        del before[KEEPER]
        unfinished = {row.src for row in rig.rows() if not row.held}
        rig.recover()
        assert contents(rig.tree()) == contents(before)
        assert all(rig.exists(path) for path in unfinished), (
            "nothing stays hidden behind a keeper that is gone"
        )
        rig.close()
