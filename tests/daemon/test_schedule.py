"""When things are due, whoever sets the wall clock: the real scheduler, under a clock that a test sets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from apscheduler.schedulers import base

from dedupd import config
from dedupd.daemon import schedule as schedule_module
from dedupd.daemon.schedule import Daily, Every, Scheduler

PATIENCE = 10
TWO_HOURS = 7200.0
DECADES = 40 * 365 * 86400.0


class Wall(datetime):
    """The wall clock as somebody set it."""

    off = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Any:
        return datetime.now(tz) + cls.off

    @classmethod
    def set(cls, seconds: float) -> None:
        cls.off += timedelta(seconds=seconds)


class Rig:
    """A timetable whose fixed intervals are short, and how often each job ran."""

    def __init__(self) -> None:
        self.ran: dict[str, int] = {}
        self._more = asyncio.Event()
        # Half a day away: a clock that is set ahead by some hours must not pass it, whenever the test runs.
        nightly = f"{datetime.now() + timedelta(hours=12):%H:%M}"
        self.schedule = Scheduler(config.Schedule(interval_minutes=60, reconcile_minutes=30, nightly=nightly))
        names = ("recluster", "reconcile", "sweep", "roots", "machine", "config")
        self.schedule.start(**{name: self.job(name) for name in names})

    def job(self, name: str) -> Callable[[], None]:
        def run() -> None:
            self.ran[name] = self.ran.get(name, 0) + 1
            self._more.set()

        return run

    async def once_more(self, *names: str) -> None:
        """Returns when each of these has run again."""
        wanted = {name: self.ran.get(name, 0) + 1 for name in names}
        async with asyncio.timeout(PATIENCE):
            while any(self.ran.get(name, 0) < count for name, count in wanted.items()):
                self._more.clear()
                await self._more.wait()

    def due_in(self, id: str) -> float:
        """Seconds by the wall clock."""
        self.schedule._compare_clocks()
        job = self.schedule._jobs.get_job(id)
        return (job.next_run_time - Wall.now(UTC)).total_seconds()


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Rig]]:
    """Makes one, in the running loop."""
    monkeypatch.setattr(Wall, "off", timedelta())
    monkeypatch.setattr(base, "datetime", Wall)
    monkeypatch.setattr(schedule_module, "datetime", Wall)
    for name in ("SWEEP_SECONDS", "ROOTS_SECONDS", "CONFIG_SECONDS", "CLOCK_SECONDS"):
        monkeypatch.setattr(schedule_module, name, 0.03)
    made: list[Rig] = []

    def make() -> Rig:
        made.append(Rig())
        return made[-1]

    yield make
    for each in made:
        assert each.schedule._tick is not None
        each.schedule._tick.cancel()


@pytest.mark.parametrize("seconds", [-TWO_HOURS, -DECADES, TWO_HOURS, DECADES])
async def test_fixed_intervals_go_on_whatever_the_wall_clock_does(
    rig: Callable[[], Rig], seconds: float
) -> None:
    """Set back by two hours, nothing was rescued (P8) and no disk was followed for two hours."""
    made = rig()
    await made.once_more("sweep", "roots", "config")
    Wall.set(seconds)
    await made.once_more("sweep", "roots", "config")
    await made.once_more("sweep", "roots", "config")
    made.schedule.stop()


async def test_what_is_to_run_once_is_not_put_off_by_a_clock_set_back(rig: Callable[[], Rig]) -> None:
    made = rig()
    made.schedule.later("hints", 0.05, made.job("hints"))
    Wall.set(-TWO_HOURS)
    await made.once_more("hints")
    made.schedule.stop()


async def test_what_sets_itself_anew_runs_again_however_soon(rig: Callable[[], Rig]) -> None:
    """Of thousands of changed files each set no alarm of its own: the one that was lost was the last one."""
    made = rig()
    ran = made.job("hints")

    def again() -> None:
        ran()
        if made.ran["hints"] < 50:
            made.schedule.later("hints", 0.0, again)

    made.schedule.later("hints", 0.0, again)
    while made.ran.get("hints", 0) < 50:
        await made.once_more("hints")
    made.schedule.stop()


async def test_what_is_laid_after_the_clock_was_set_is_not_early(rig: Callable[[], Rig]) -> None:
    made = rig()
    Wall.set(-TWO_HOURS)
    made.schedule.later("quiet", 300, made.job("quiet"))
    assert 290 < made.due_in("quiet") <= 300
    made.schedule.stop()


async def test_the_intervals_of_the_settings_keep_what_is_left_of_them(rig: Callable[[], Rig]) -> None:
    made = rig()
    Wall.set(-3 * 86400.0)
    assert 3590 < made.due_in("interval") <= 3600
    assert 1790 < made.due_in("reconcile") <= 1800
    assert 0 < made.due_in("nightly") <= 86400 + 120
    told = made.schedule.next_run()
    assert told is not None
    assert 0 < told - Wall.now(UTC).timestamp() <= 3600
    made.schedule.stop()


async def test_after_a_sleep_what_is_overdue_runs_once(rig: Callable[[], Rig]) -> None:
    made = rig()
    await made.once_more("sweep")
    assert "recluster" not in made.ran
    Wall.set(1.2 * 3600)  # as resume does: the loop's clock stood still
    await made.once_more("recluster", "reconcile")
    await made.once_more("sweep")
    assert (made.ran["recluster"], made.ran["reconcile"]) == (1, 1)
    assert 3590 < made.due_in("interval") <= 3600
    made.schedule.stop()


@pytest.mark.parametrize("trigger", [Every(2), Daily(hour=3, minute=0, timezone=UTC)])
def test_the_next_run_counts_from_now_and_none_is_listed_that_was_missed(trigger: Every | Daily) -> None:
    """A machine without a battery comes up in 1970: 900 million runs of two seconds were listed when its clock was set."""
    long_ago, now = datetime(1970, 1, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, 3, tzinfo=UTC)
    due = trigger.get_next_fire_time(long_ago, now)
    assert due == trigger.get_next_fire_time(None, now)
    assert due == now + (timedelta(days=1) if isinstance(trigger, Daily) else timedelta(seconds=2))
