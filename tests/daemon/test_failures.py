"""What the daemon does after its own work failed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dedupd.daemon import jobs
from dedupd.errors import StateError
from dedupd.pipeline.recluster import Grouper
from tests.support.living_daemon import living_daemon


async def test_what_failed_is_tried_again_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk that holds the ledger was full for a while: no month waits for the next hour, and nothing is said any more."""
    monkeypatch.setattr(jobs, "FAILED_SECONDS", 0.05)
    full = [StateError("the disk that holds ledger.db is full")] * 2
    regroup = Grouper.regroup

    def fails(grouper: Grouper, *given: Any, **more: Any) -> Any:
        if full:
            raise full.pop()
        return regroup(grouper, *given, **more)

    (tmp_path / "Pictures").mkdir()
    async with living_daemon(tmp_path) as daemon:
        monkeypatch.setattr(Grouper, "regroup", fails)
        month = "INSERT INTO months(root, month, changes, changed_at) SELECT id, '2024-06', 1, 1 FROM roots"
        await asyncio.wrap_future(
            daemon.engine.submit("change", lambda library: library.ledger._link.execute(month))
        )
        daemon.jobs.recluster()
        await daemon.calm()
        now = await daemon._handlers.status()
        assert (full, now.months_waiting, now.attention) == ([], 0, [])
