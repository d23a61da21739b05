"""The real daemon in this process: its loop, its engine's thread, its socket, a ledger and a disk; only the eyes are a twin."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import patch

from dedupd.adapters.fs.lock import lock_library
from dedupd.config import Places, Schedule, Settings
from dedupd.daemon import hints
from dedupd.daemon.life import Daemon
from dedupd.library import Library
from tests.fakes.vision import FakeVision

QUICK = Schedule(settle_seconds=0.0, quiet_seconds=0.05, nightly="")


class TwinEyedDaemon(Daemon):
    """A daemon whose library sees pseudo-photos."""

    def _open_library(self) -> Library:
        library = Library(
            self.config.settings,
            self.places,
            vision=FakeVision(model="lite0-gem/1"),
            locks=self._locks,
            background=True,
        )
        library.recover()
        return library

    async def calm(self) -> None:
        """All that was asked for, and the passes that follow it, are done."""
        quiet = 0
        while quiet < 3:
            due = {job.id for job in self._schedule._jobs.get_jobs()} & {"quiet", "hints", "retry", "failed"}
            quiet = 0 if due or self.engine.busy else quiet + 1
            await asyncio.sleep(0.03)


@contextlib.asynccontextmanager
async def living_daemon(folder: Path) -> AsyncIterator[TwinEyedDaemon]:
    """Over `folder`/Pictures, answering; its state and its socket lie in `folder`."""
    settings = Settings(roots=(folder / "Pictures",), schedule=QUICK)
    places = Places(state=folder / "state", config=folder / "config.toml", socket=folder / "d.sock")
    hurried = patch.multiple(hints, HINT_SECONDS=0.02, HINT_LIMIT_SECONDS=0.1)
    with hurried, lock_library(places, settings.roots) as locks:
        daemon = TwinEyedDaemon(settings, places, locks)
        living = asyncio.create_task(daemon.live())
        try:
            while not daemon._begun:
                if living.done():
                    living.result()
                await asyncio.sleep(0.01)
            await daemon.calm()
            yield daemon
        finally:
            daemon._stopped.set()  # not _stop: its deadline ends the process
            await living
