"""What the daemon leaves for a better moment, what never waits, and a pause that ends by itself."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dedupd.config import Pacing
from dedupd.core.politeness import Machine
from dedupd.daemon.handlers import Handlers
from dedupd.daemon.services import Services
from dedupd.daemon.socket_server import RequestError
from dedupd.library import Moved
from dedupd.pipeline.pausing import Pausing, pause, pausing, resume
from dedupd.protocol.requests import Pause, Resume, ScanNow
from dedupd.protocol.results import Confirmed
from tests.support.jobs_rig import JobsRig
from tests.support.shelf import Shelf

NOON = datetime(2024, 6, 15, 12, 0)
LOW, PLUGGED = Machine(battery=20), Machine()


@pytest.fixture
def rig(shelf: Shelf) -> JobsRig:
    shelf.library.movement.consent()
    return JobsRig(shelf)


@pytest.fixture
def pair(shelf: Shelf) -> Shelf:
    shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg", "lake")
    return shelf


def done(pair: Shelf) -> bool:
    """Whether the smaller of the two was looked at, compared and moved."""
    return not pair.path("2024/06/a-small.jpg").exists()


def test_on_a_low_battery_nothing_is_looked_at_and_plugged_in_everything(rig: JobsRig, pair: Shelf) -> None:
    rig.jobs.consider(NOON, LOW)
    assert "on battery at 20 %" in rig.jobs.waits
    rig.jobs.reconcile_all()
    rig.jobs.recluster()
    rig.work()
    assert not done(pair)
    rig.jobs.consider(NOON, PLUGGED)
    assert not rig.jobs.waits
    rig.work()
    assert done(pair)


def test_what_waited_for_its_turn_does_nothing_when_heavy_work_waits(rig: JobsRig, pair: Shelf) -> None:
    rig.jobs.reconcile_all()
    rig.jobs.consider(NOON, LOW)
    rig.work()
    assert not done(pair)


def test_a_task_at_work_ends_at_its_next_safe_point_unless_a_person_asked(rig: JobsRig) -> None:
    own, asked = rig.jobs.safe_points(), rig.jobs.safe_points(asked=True)
    assert not own() and not asked()
    rig.jobs.consider(NOON, LOW)
    assert own() and not asked()


def test_what_a_person_asks_for_is_done_at_once(rig: JobsRig, pair: Shelf) -> None:
    rig.jobs.consider(NOON, LOW)
    rig.jobs.reconcile_now()
    rig.work()
    assert done(pair)


def test_a_person_asks_in_vain_while_it_is_paused(rig: JobsRig, pair: Shelf) -> None:
    rig.jobs.pause(None)
    rig.jobs.reconcile_now()
    rig.work()
    assert not done(pair)


def test_keepers_are_looked_after_all_the_same(rig: JobsRig, pair: Shelf) -> None:
    pair.look()
    pair.library.movement.move(yes=True)
    assert done(pair)
    rig.jobs.consider(NOON, LOW)
    pair.path("2024/06/a.jpg").unlink()
    rig.hints.add(str(pair.root / "2024/06"), False)
    rig.sweep()
    assert not done(pair), "it is back"


def test_outside_its_hours_it_waits(rig: JobsRig) -> None:
    rig.settings = replace(rig.settings, speed=Pacing(hours="22:00-07:00"))
    rig.jobs.consider(NOON, PLUGGED)
    assert "22:00-07:00" in rig.jobs.waits
    rig.jobs.consider(NOON.replace(hour=23), PLUGGED)
    assert not rig.jobs.waits


# ---- a pause with an end


@pytest.fixture
def handlers(rig: JobsRig, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Handlers:
    """Answers with an engine that does each task at once."""

    def submit(name: str, act: Any, *more: Any, **how: Any) -> Any:
        from concurrent.futures import Future

        done: Future[Any] = Future()
        done.set_result(act(shelf.library))
        return done

    monkeypatch.setattr(rig.engine, "submit", submit)
    services = SimpleNamespace(jobs=rig.jobs, engine=rig.engine, send_status=lambda: None)
    return Handlers(cast("Services", services))


async def test_a_pause_ends_by_itself(handlers: Handlers, rig: JobsRig, pair: Shelf) -> None:
    answer = await handlers.answer(Pause(seconds=7200))
    assert (
        isinstance(answer, Confirmed) and answer.message.startswith("paused: ") and "until" in answer.message
    )
    assert rig.jobs.paused and pausing(pair.ledger, time.time()).paused
    assert rig.waits[-1] == 7200
    rig.due.pop("resume")()
    assert not rig.jobs.paused and not pausing(pair.ledger, time.time()).paused
    assert done(pair), "it looked at what happened meanwhile"


async def test_a_pause_without_an_end_is_not_ended_by_an_earlier_one(
    handlers: Handlers, rig: JobsRig
) -> None:
    await handlers.answer(Pause(seconds=60))
    await handlers.answer(Pause())
    rig.due.pop("resume")()
    assert rig.jobs.paused


async def test_resume_ends_it_sooner(handlers: Handlers, rig: JobsRig, shelf: Shelf) -> None:
    await handlers.answer(Pause(seconds=7200))
    await handlers.answer(Resume())
    assert not rig.jobs.paused
    assert pausing(shelf.ledger, time.time()) == Pausing()


@pytest.mark.parametrize("seconds", [0.0, -5.0, 1e9, float("nan"), float("inf")])
async def test_a_pause_of_no_length_or_of_years_is_refused(
    handlers: Handlers, rig: JobsRig, seconds: float
) -> None:
    with pytest.raises(RequestError, match="366 days"):
        await handlers.answer(Pause(seconds=seconds))
    assert not rig.jobs.paused


async def test_scan_now_waits_for_no_better_moment(handlers: Handlers, rig: JobsRig, pair: Shelf) -> None:
    rig.jobs.consider(NOON, LOW)
    await handlers.answer(ScanNow())
    assert done(pair)


def test_a_pause_lasts_over_a_restart_and_no_longer_than_it_was_meant(shelf: Shelf) -> None:
    pause(shelf.ledger, 1000.0, 600.0)
    assert pausing(shelf.ledger, 1100.0) == Pausing(paused=True, until=1600.0)
    assert pausing(shelf.ledger, 1600.0) == Pausing()
    assert pausing(shelf.ledger, 10.0) == Pausing(paused=True, until=610.0), "the clock was set back"
    pause(shelf.ledger, 1000.0, None)
    assert pausing(shelf.ledger, 1e9) == Pausing(paused=True)
    resume(shelf.ledger)
    assert pausing(shelf.ledger, 1000.0) == Pausing()


def test_what_a_sync_client_made_wait_is_tried_again_in_time(
    rig: JobsRig, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    again: list[float] = []
    monkeypatch.setattr(rig.jobs, "_try_again_in", again.append)
    rig.jobs.after_moves(shelf.library, Moved(again_in=42.0))
    rig.jobs.after_moves(shelf.library, Moved())
    assert again == [42.0]
