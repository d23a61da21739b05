"""The daemon put together, as far as it can be asked without being started."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from dedupd.adapters.fs.lock import Locks
from dedupd.daemon.life import Daemon
from tests.fakes.vision import FakeVision
from tests.support.shelf import Shelf

UNHEARD = "only 10 of 43 folders are watched"


async def test_a_root_that_is_not_watched_is_told_in_the_status(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = Daemon(shelf.library.settings, shelf.library.places, cast("Locks", None))
    daemon._library = shelf.library
    monkeypatch.setattr(daemon._watcher, "watch", lambda root: UNHEARD)
    await daemon._check_roots()
    assert UNHEARD in daemon.attention()
    monkeypatch.setattr(daemon._watcher, "watch", lambda root: "")
    await daemon._check_roots()
    assert UNHEARD not in daemon.attention()
    assert daemon._hints.waiting, "all of it is looked at once more, when it is heard at last"


async def test_photos_that_are_embedded_here_for_now_are_told_in_the_status(shelf: Shelf) -> None:
    daemon = Daemon(shelf.library.settings, shelf.library.places, cast("Locks", None))
    daemon._library = shelf.library
    vision = cast("FakeVision", shelf.library.vision)
    vision.sees_here = "photos are embedded here for now: nobody answers"
    assert vision.sees_here in daemon.attention()
    vision.sees_here = ""
    assert not any("embedded" in sentence or not sentence for sentence in daemon.attention())


async def test_nobody_waits_for_what_a_daemon_reads(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    def worker(**options: Any) -> FakeVision:
        made.append(options)
        return FakeVision()

    monkeypatch.setattr("dedupd.library.build.VisionWorker", worker)
    shelf.library.close()
    daemon = Daemon(shelf.library.settings, shelf.library.places, cast("Locks", None))
    await asyncio.to_thread(daemon.engine.start)
    await asyncio.to_thread(daemon.engine.stop)
    assert [options["waited_for"] for options in made] == [False]
