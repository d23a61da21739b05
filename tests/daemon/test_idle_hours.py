"""What `status` says while look-alikes are worked off: what is done now, and what somebody waits for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from dedupd.daemon.engine import Urgency
from dedupd.library import Library
from dedupd.pipeline.recluster import Grouper
from dedupd.pipeline.slices import Stop, never
from dedupd.protocol.views import StatusView
from tests.support.living_daemon import TwinEyedDaemon, living_daemon


async def done(daemon: TwinEyedDaemon, *changes: str) -> None:
    """These statements, by the thread that may write."""

    def write(library: Library) -> None:
        with library.ledger.transaction():
            for change in changes:
                library.ledger._link.execute(change)

    await asyncio.wrap_future(daemon.engine.submit("change", write))
    await daemon.calm()


@asynccontextmanager
async def in_idle_hours(daemon: TwinEyedDaemon) -> AsyncGenerator[None]:
    """Meanwhile it does what nobody waits for."""
    begun, ended = threading.Event(), threading.Event()

    def families(library: Library) -> None:
        begun.set()
        ended.wait(30)

    work = daemon.engine.submit("families", families, Urgency.SHADOW, idle=True)
    assert await asyncio.to_thread(begun.wait, 30)
    try:
        yield
    finally:
        ended.set()
        await asyncio.wrap_future(work)


async def told(daemon: TwinEyedDaemon) -> StatusView:
    return await daemon._handlers.status()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "Pictures").mkdir()
    return tmp_path


async def test_look_alikes_are_worked_off_only_while_they_are(pictures: Path) -> None:
    """Those that are left could not be read, or lie on a disk that is away: they are tried again hours later."""
    async with living_daemon(pictures) as daemon:
        model = (await told(daemon)).model
        await done(daemon, f"INSERT INTO deferred VALUES('{'a' * 64}', '', '{model}', '')")
        left = await told(daemon)
        assert left.look_alikes_left == 1 and not left.busy and not left.works_off_look_alikes
        async with in_idle_hours(daemon):
            now = await told(daemon)
            assert now.works_off_look_alikes and not now.busy
            daemon.jobs.paused = True
            assert not (await told(daemon)).works_off_look_alikes


@pytest.mark.parametrize(("online", "busy"), [(1, True), (0, False)])
async def test_a_month_that_idle_hours_found_something_in_is_waited_for(
    pictures: Path, online: int, busy: bool
) -> None:
    """It is grouped within two minutes; one on a disk that is away is not."""
    async with living_daemon(pictures) as daemon:
        await done(
            daemon,
            "INSERT INTO months(root, month, changes, changed_at) SELECT id, '2024-06', 1, 1 FROM roots",
            f"UPDATE roots SET online={online}",
        )
        assert not (await told(daemon)).busy
        async with in_idle_hours(daemon):
            now = await told(daemon)
            assert (now.months_waiting, now.busy, now.works_off_look_alikes) == (1, busy, False)


async def test_what_idle_hours_found_is_grouped_also_where_no_photo_came_to_its_end(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of its look-alikes could not be read: it is tried again hours later, and what was found waits for nothing."""

    async with living_daemon(pictures) as daemon:
        library = await asyncio.wrap_future(daemon.engine.submit("library", lambda library: library))

        def found(grouper: Grouper, stop: Stop = never, seconds: float = 0.0) -> bool:
            with library.ledger.transaction():
                for root in library.roots.all:
                    library.ledger.months.mark_changed(root.id, "2024-06", 1.0)
            return False

        monkeypatch.setattr(Grouper, "compare_deferred", found)
        daemon.jobs.compare_deferred()
        await daemon.calm()
        now = await told(daemon)
        assert (now.months_waiting, now.busy) == (0, False)
