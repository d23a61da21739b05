"""SIGKILL at every step of making and unmaking a sidecar: it is there whole or not at all, and undo leaves nothing."""

from __future__ import annotations

import os
import shutil
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.fs import test_points
from dedupd.adapters.fs.sidecar_files import SidecarFiles
from dedupd.adapters.ledger.sidecar_rows import Sidecars
from dedupd.core.descriptions import Description
from dedupd.core.xmp import from_xmp, to_xmp
from dedupd.pipeline.annotate import withdraw_by_receipts
from dedupd.pipeline.relocate import undo_from_receipts
from tests.crash.killing import die
from tests.support.shelf import Shelf

KEEPER, COPY, SIDECAR = "2024/06/a.jpg", "2024/06/b.jpg", "2024/06/a.jpg.xmp"
KNOWN = Description(rating=4, keywords=("sea",), caption="Us")
SAID = {"rating": 4, "keywords": ["sea"], "caption": "Us"}


def move(shelf: Shelf) -> None:
    assert shelf.pass_().files == 1


def undo(shelf: Shelf) -> None:
    assert shelf.library.movement.undo(shelf.library.movement.held(everything=True)).undone == 1


def recover(shelf: Shelf) -> None:
    shelf.library.movement.recover()


def made(folder: Path) -> Counter[str]:
    shelf = Shelf(folder)
    shelf.add(KEEPER)
    shelf.small(COPY, said=SAID)
    shelf.look()
    shelf.close()
    return photos(shelf)


def photos(shelf: Shelf) -> Counter[str]:
    """The census without what dedupd itself wrote."""
    there = shelf.path(SIDECAR)
    census = shelf.census()
    if there.exists():
        from blake3 import blake3

        census.subtract([blake3(there.read_bytes()).hexdigest()])
    return +census


def run(folder: Path, act: Callable[[Shelf], None], at: int = -1) -> list[str]:
    """Let a child do it and die at its step number `at`; returns the steps it took."""
    told = folder / "steps"
    child = os.fork()
    if child == 0:
        try:
            work(folder, act, at, told)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a child must never return into pytest
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    steps = told.read_text().splitlines()
    told.unlink()
    killed = os.WIFSIGNALED(status)
    assert killed or os.WEXITSTATUS(status) == 0, "the child failed by itself; its traceback is above"
    assert killed == (0 <= at < len(steps))
    return steps


def work(
    folder: Path, act: Callable[[Shelf], None], at: int, told: Path, end: Callable[[], object] = die
) -> None:
    """What the child does; at its step number `at` it ends by `end`."""
    out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    count = -1

    def step(name: str) -> None:
        nonlocal count
        count += 1
        os.write(out, f"{name}\n".encode())
        if count == at:
            end()

    put: Any = Sidecars.put
    forget: Any = Sidecars.forget

    def stepping(what: str, write: Any) -> Any:
        def done(self: Sidecars, value: Any) -> None:
            step(f"before {what}")
            write(self, value)
            step(f"{what} asked")  # within its transaction: not committed yet

        return done

    Sidecars.put, Sidecars.forget = stepping("put", put), stepping("forget", forget)  # type: ignore[method-assign]
    test_points.step = step
    shelf = Shelf(folder)
    act(shelf)
    step("end")
    shelf.close()


def all_well(folder: Path, before: Counter[str]) -> None:
    """After another start: nothing half made, and beside the keeper what the held copy knows, or nothing."""
    shelf = Shelf(folder)
    assert photos(shelf) == before or shelf.path(SIDECAR).exists()
    shelf.library.movement.recover()
    assert not [row for row in shelf.ledger.sidecars.unsettled() if row.path]
    assert photos(shelf) == before
    shelf.pass_()
    held = shelf.ledger.journal.moves(held=True)
    assert shelf.path(SIDECAR).exists() == bool(held)
    if held:
        assert from_xmp(shelf.path(SIDECAR).read_bytes()) == KNOWN
        undo(shelf)
    assert shelf.files() == {KEEPER, COPY} and shelf.census() == before
    shelf.close()


def all_well_by_receipts(folder: Path, before: Counter[str]) -> None:
    """The same with the ledger gone."""
    shelf = Shelf(folder)
    root = str(shelf.root)
    undo_from_receipts(root, shelf.library.mover, shelf.clock)
    withdraw_by_receipts(root, SidecarFiles(), shelf.library.mover)
    # Laid aside when it was whole; one that is not stays: a receipt alone cannot say whose it is.
    for left in (p for p in map(shelf.path, shelf.files() - {KEEPER, COPY}) if p.suffix == ".xmp"):
        assert "duplicates" in left.parts or left.read_bytes() != to_xmp(KNOWN).encode()
        left.unlink()
    assert shelf.files() == {KEEPER, COPY} and shelf.census() == before
    shelf.close()


@pytest.mark.parametrize("turns", [2, pytest.param(1, marks=pytest.mark.crash)], ids=["by turns", "both"])
@pytest.mark.parametrize("act", [move, undo])
def test_killed_at_every_step(tmp_path: Path, act: Callable[[Shelf], None], turns: int) -> None:
    """With the ledger there and with it gone: by turns in the default run, both at every step in the long one."""
    made(tmp_path / "count")
    if act is undo:
        run(tmp_path / "count", move)
    steps = run(tmp_path / "count", act)
    expected = {
        "sidecar receipted",
        "sidecar begun",
        "sidecar written",
        "sidecar synced",
        "sidecar completed",
    }
    assert (expected if act is move else {"sidecar removed", "sidecar removal receipted"}) <= set(steps)
    first = next(n for n, name in enumerate(steps) if "put" in name or "sidecar" in name)
    for at in range(first - 1, len(steps)):
        for end in (all_well, all_well_by_receipts)[at % turns :: turns]:
            folder = tmp_path / f"{at}-{end.__name__}"
            before = made(folder)
            if act is undo:
                run(folder, move)
            run(folder, act, at)
            end(folder, before)
            shutil.rmtree(folder)


@pytest.mark.parametrize("length", [0, 10, None])
def test_a_torn_sidecar_is_made_anew(tmp_path: Path, length: int | None) -> None:
    """What a power cut leaves of a file that was being written: less of it, or zeros."""
    before = made(tmp_path)
    steps = run(tmp_path, move)
    shutil.rmtree(tmp_path)
    made(tmp_path)
    run(tmp_path, move, steps.index("sidecar written"))
    whole = (tmp_path / "Pictures" / SIDECAR).read_bytes()
    torn = whole[:length] if length is not None else whole[:100] + bytes(len(whole) - 100)
    (tmp_path / "Pictures" / SIDECAR).write_bytes(torn)
    all_well(tmp_path, before)


@pytest.mark.crash
@pytest.mark.timeout(600)
@pytest.mark.parametrize("act", [move, undo])
def test_killed_again_while_recovering(tmp_path: Path, act: Callable[[Shelf], None]) -> None:
    made(tmp_path / "count")
    if act is undo:
        run(tmp_path / "count", move)
    for at in range(len(run(tmp_path / "count", act))):
        for again in range(1000):
            folder = tmp_path / f"{at}-{again}"
            before = made(folder)
            if act is undo:
                run(folder, move)
            run(folder, act, at)
            taken = run(folder, recover, again)
            all_well(folder, before)
            shutil.rmtree(folder)
            if again >= len(taken):
                break
