"""Which keepers the daemon has looked at in a sweep (P8): what its events, its looks and its roots say of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from dedupd.adapters.fs import probing
from dedupd.daemon.root_watch import RootWatch
from dedupd.pipeline import movement
from tests.support.jobs_rig import JobsRig
from tests.support.shelf import Shelf

KEEPER, COPY = "2024/06/a.jpg", "2024/06/b.jpg"


def roots(shelf: Shelf, *, gone: bool = False, unwatched: str = "") -> RootWatch:
    """The shelf's root as it answers, watched as far as `unwatched` says."""
    watcher = SimpleNamespace(watch=lambda root: unwatched, unwatch=lambda root: None)
    watch = RootWatch(watcher, identity=lambda root: None if gone else (1, 1))
    asyncio.run(watch.check([str(shelf.root)], JobsRig(shelf).jobs))
    return watch


@pytest.fixture
def held(shelf: Shelf) -> Shelf:
    """One copy lies in duplicates/, and its keeper was looked at."""
    shelf.pair(KEEPER, COPY)
    assert shelf.pass_().files == 1 and shelf.library.movement.rescue() == []
    return shelf


@pytest.fixture
def rig(held: Shelf) -> JobsRig:
    """Its root is watched, and all of it is heard."""
    return JobsRig(held, roots(held).reports_all)


def back(shelf: Shelf) -> bool:
    return COPY in shelf.files()


def test_without_an_event_nobody_is_asked(rig: JobsRig, held: Shelf) -> None:
    held.path(KEEPER).unlink()
    rig.sweep()
    assert not back(held)


@pytest.mark.parametrize("paused", [False, True])
def test_an_event_is_enough_though_nobody_looks_while_paused(rig: JobsRig, held: Shelf, paused: bool) -> None:
    rig.jobs.paused = paused
    held.path(KEEPER).unlink()
    rig.jobs.hint(str(held.path("2024/06")), False)
    rig.sweep()
    assert back(held) and len(rig.jobs.rescued()) == 1


def test_a_rescue_that_takes_long_lets_people_in_and_goes_on(
    rig: JobsRig, held: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    held.pair("2024/07/a.jpg", "2024/07/b.jpg", "another scene")
    assert held.pass_().files == 1
    for folder in ("2024/06", "2024/07"):
        held.path(f"{folder}/a.jpg").unlink()
        rig.jobs.hint(str(held.path(folder)), False)
    monkeypatch.setattr(rig.engine, "give_way", lambda: held.clock.advance(movement.RESCUE_SECONDS))
    seen: list[int] = []
    rig.jobs.sweep()
    rig.engine.queued.append(lambda library: seen.append(len(rig.jobs.rescued())))  # a person who waits
    rig.work()
    assert seen == [1] and len(rig.jobs.rescued()) == 2


def test_what_a_look_finds_after_the_sweep_is_looked_at_in_the_next(rig: JobsRig, held: Shelf) -> None:
    rig.jobs.hint(str(held.path("2024/06")), False)
    rig.sweep()
    held.add(KEEPER, "town")
    rig.look_at_hints()
    assert not back(held)
    rig.sweep()
    assert back(held)


@pytest.mark.parametrize("why", ["never asked", "gone", "no watch left"])
def test_a_root_that_gives_no_events_is_looked_at_as_a_whole(held: Shelf, why: str) -> None:
    if why == "never asked":
        watch = RootWatch(SimpleNamespace())
    elif why == "gone":
        watch = roots(held, gone=True)
    else:
        watch = roots(held, unwatched="it cannot be watched")
    held.path(KEEPER).unlink()
    JobsRig(held, watch.reports_all).sweep()
    assert back(held)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_on_a_server_others_change_files_without_an_event(
    rig: JobsRig, held: Shelf, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = held.root.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"29 1 {os.major(dev)}:{os.minor(dev)} / / rw - {kind} somewhere:/photos rw\n")
    monkeypatch.setattr(probing, "_MOUNTS", mounts)
    held.path(KEEPER).unlink()
    rig.sweep()
    assert back(held)


def test_paused_it_reads_nothing_again(rig: JobsRig, held: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(held.library.rereader, "read_on", asked.append)
    rig.jobs.paused = True
    rig.sweep()
    assert asked == []
