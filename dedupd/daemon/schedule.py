"""When the daemon's work is due (APScheduler). What the work is, daemon/jobs.py says.

A month is clustered at the first of these moments after something in it changed:
  - `quiet`: nothing has changed for `quiet_seconds` (`when_quiet`, which jobs.regroup calls after each look or lesson);
  - `interval`: every `interval_minutes`, for what changes all the time and is never quiet;
  - `nightly`: at this time of day.
Besides: `reconcile` looks at every root, `sweep` at keepers (P8), `roots` at disks, `machine` at battery and load, `config` at config.toml; and once only
`hints` (changed folders) and `retry` (files that were busy).

Must never do work in a job: it only queues, for AsyncIOScheduler cancels running jobs at shutdown. Must never let the wall
clock decide how long an interval lasts: APScheduler knows no other clock, so whoever sets it back (NTP, another system, a
dead battery) would stop every interval for as long, the rescues of P8 among them.
"""
# pyright: reportIncompatibleMethodOverride=false, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger

from dedupd import config

log = logging.getLogger("dedupd.schedule")
Job = Callable[[], None]
SWEEP_SECONDS = 30
"""Seconds between two checks of the keepers of held copies (P8: back within a minute)."""
MACHINE_SECONDS = 15
"""Seconds between two checks of battery, load, disks, and the hours for heavy work."""
ROOTS_SECONDS = 15
"""Seconds between two checks that the roots are there and are the same folders."""
CONFIG_SECONDS = 2
"""Seconds between two checks of config.toml for a change."""
CLOCK_SECONDS = 2
"""Seconds between two comparisons of the wall clock with the monotonic clock."""
SET_SECONDS = 1.0
"""A difference of more seconds than this means that the wall clock was set, or that the machine slept."""
NIGHTLY = "nightly"


class Scheduler:
    """Knows what is due when. Call it on the running event loop."""

    def __init__(self, when: config.Schedule) -> None:
        self._when = when
        self._jobs = AsyncIOScheduler(
            timezone=datetime.now().astimezone().tzinfo,
            # A job that sets itself anew may be due again before APScheduler has noted its end: with one instance allowed,
            # that run would be left out, and with it all that waits for it.
            job_defaults={"coalesce": True, "max_instances": 100, "misfire_grace_time": None},
        )
        self._ahead = -math.inf
        """Wall clock minus the loop's clock, when they were last compared."""
        self._tick: asyncio.TimerHandle | None = None

    def start(
        self, *, recluster: Job, reconcile: Job, sweep: Job, roots: Job, machine: Job, config: Job
    ) -> None:
        """Begin. `recluster` and `reconcile` are due as the settings say, the others at fixed intervals."""
        self._recluster, self._reconcile = recluster, reconcile
        for id, job, seconds in (
            ("sweep", sweep, SWEEP_SECONDS),
            ("roots", roots, ROOTS_SECONDS),
            ("machine", machine, MACHINE_SECONDS),
            ("config", config, CONFIG_SECONDS),
        ):
            self._add(id, job, Every(seconds))
        self._follow()
        self._jobs.start()
        self._watch_clock()

    def follow(self, when: config.Schedule) -> None:
        """Use these settings from now on; each interval begins anew."""
        if when != self._when:
            self._when = when
            self._follow()

    def _follow(self) -> None:
        when = self._when
        for id, job, minutes in (
            ("interval", self._recluster, when.interval_minutes),
            ("reconcile", self._reconcile, when.reconcile_minutes),
        ):
            self._add(id, job, Every(max(1, round(60 * minutes))))
        if when.nightly:
            hour, minute = when.nightly.split(":")
            # Jitter: several machines of a household on one NAS should not all begin at the same second.
            self._add(NIGHTLY, self._recluster, Daily(hour=int(hour), minute=int(minute), jitter=120))
        elif self._jobs.get_job(NIGHTLY):
            self._jobs.remove_job(NIGHTLY)

    def _add(self, id: str, job: Job, trigger: BaseTrigger) -> None:
        self._compare_clocks()
        self._jobs.add_job(_enqueue(job), trigger, id=id, replace_existing=True)

    def when_quiet(self, job: Job) -> None:
        """Run once, `quiet_seconds` after the last call of this method."""
        self.later("quiet", self._when.quiet_seconds, job)

    def later(self, id: str, seconds: float, job: Job) -> None:
        """Run once after `seconds`; a later call with the same id pushes it back."""
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        self._add(id, job, DateTrigger(due))

    def next_run(self) -> float | None:
        """Wall clock of the next clustering; None when none is due."""
        due = [
            job.next_run_time.timestamp()
            for job in self._jobs.get_jobs()
            if job.id in {"quiet", "interval", NIGHTLY} and job.next_run_time is not None
        ]
        return min(due, default=None)

    def stop(self) -> None:
        if self._tick is not None:
            self._tick.cancel()
        if self._jobs.running:
            self._jobs.remove_all_jobs()
            self._jobs.shutdown(wait=False)

    def _watch_clock(self) -> None:
        """Compare the clocks at intervals of the loop's own clock, which nobody can set."""
        self._compare_clocks()
        self._tick = asyncio.get_running_loop().call_later(CLOCK_SECONDS, self._watch_clock)

    def _compare_clocks(self) -> None:
        """When the wall clock was set back, what is due in some seconds stays due in some seconds, and the
        nightly run is planned anew.

        When it was set ahead, or after a sleep, there is nothing to do: what is overdue runs at once, and
        once.
        """
        loop = asyncio.get_running_loop()
        before, self._ahead = self._ahead, datetime.now(UTC).timestamp() - loop.time()
        back = before - self._ahead
        if back <= SET_SECONDS:
            return
        log.info("the clock was set back by %.0f s: what is due is laid anew", back)
        for job in self._jobs.get_jobs():
            if job.id == NIGHTLY:
                job.reschedule(job.trigger)
            elif job.next_run_time is not None:
                job.modify(next_run_time=job.next_run_time - timedelta(seconds=back))


class Every(BaseTrigger):
    """So many seconds after the last run, however many runs were missed.

    APScheduler's own triggers count from the run before, and list each missed run when a clock was set ahead
    by decades.
    """

    def __init__(self, seconds: float) -> None:
        self._interval = timedelta(seconds=seconds)

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        return now + self._interval


class Daily(CronTrigger):
    """The next such time of day from now on, however many were missed."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        return super().get_next_fire_time(None, now + timedelta(microseconds=1))


def _enqueue(job: Job) -> Callable[[], object]:
    async def tick() -> None:  # a coroutine stays on the loop; a plain function would run in a thread
        job()

    return tick
