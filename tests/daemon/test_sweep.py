"""Which keepers the daemon has looked at in a sweep (P8): what its events, its looks and its roots say of them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.adapters.fs import probing
from dedupd.adapters.fs.lock import hold
from dedupd.daemon.life import Daemon
from dedupd.pipeline.slices import never
from tests.support.shelf import Shelf

KEEPER, COPY = "2024/06/a.jpg", "2024/06/b.jpg"


@pytest.fixture
def daemon(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    """One that watches the shelf, between two tasks; one copy lies in duplicates/."""
    shelf.pair(KEEPER, COPY)
    assert shelf.pass_().files == 1 and shelf.library.rescue() == []
    with hold(shelf.library.places, shelf.library.settings.roots) as locks:
        made = Daemon(shelf.library.settings, shelf.library.places, locks)
        made._library, made._loop = shelf.library, asyncio.new_event_loop()
        made._roots[str(shelf.root)] = (1, 1)
        monkeypatch.setattr(made, "safe_points", lambda: never)  # no task of the engine is at work here
        yield made
        made._loop.close()


def back(shelf: Shelf) -> bool:
    return COPY in shelf.files()


def test_without_an_event_nobody_is_asked(daemon: Daemon, shelf: Shelf) -> None:
    shelf.path(KEEPER).unlink()
    daemon._rescue(shelf.library)
    assert not back(shelf)


@pytest.mark.parametrize("paused", [False, True])
def test_an_event_is_enough_though_nobody_looks_while_paused(
    daemon: Daemon, shelf: Shelf, paused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon.schedule, "later", lambda *what: None)
    daemon.paused = paused
    shelf.path(KEEPER).unlink()
    daemon._hint(str(shelf.path("2024/06")), False)
    daemon._rescue(shelf.library)
    assert back(shelf) and len(daemon._rescued) == 1


def test_what_a_look_finds_after_the_sweep_is_looked_at_in_the_next(daemon: Daemon, shelf: Shelf) -> None:
    shelf.add(KEEPER, "town")
    daemon._rescue(shelf.library)
    daemon._look(shelf.library, {str(shelf.path("2024/06")): False})
    daemon._rescue(shelf.library)
    assert back(shelf)


@pytest.mark.parametrize("why", ["never asked", "gone", "no watch left"])
def test_a_root_that_gives_no_events_is_looked_at_as_a_whole(daemon: Daemon, shelf: Shelf, why: str) -> None:
    if why == "never asked":
        daemon._roots.clear()
    elif why == "gone":
        daemon._roots[str(shelf.root)] = None
    else:
        daemon._unwatched[str(shelf.root)] = "it cannot be watched"
    shelf.path(KEEPER).unlink()
    daemon._rescue(shelf.library)
    assert back(shelf)


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p"])
def test_on_a_server_others_change_files_without_an_event(
    daemon: Daemon, shelf: Shelf, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = shelf.root.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"29 1 {os.major(dev)}:{os.minor(dev)} / / rw - {kind} somewhere:/photos rw\n")
    monkeypatch.setattr(probing, "_MOUNTS", mounts)
    shelf.path(KEEPER).unlink()
    daemon._rescue(shelf.library)
    assert back(shelf)


def test_paused_it_reads_nothing_again(daemon: Daemon, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(shelf.library, "reread", asked.append)
    daemon.paused = True
    daemon._rescue(shelf.library)
    assert asked == []
