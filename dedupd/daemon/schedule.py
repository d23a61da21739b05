"""APScheduler: when things are due. Its jobs only enqueue; the engine owns the work.

Must never do work in a job: AsyncIOScheduler cancels running jobs at shutdown.
"""
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from dedupd import config

Job = Callable[[], None]
SWEEP_SECONDS = 30
"""How often keepers of held copies are looked at (P8: back within a minute)."""
ROOTS_SECONDS = 15
"""How often roots are checked to be there and themselves."""
CONFIG_SECONDS = 2
"""How often config.toml is checked for a change."""


class Schedule:
    """The daemon's timetable. Call inside the running event loop."""

    def __init__(self, when: config.Schedule) -> None:
        self._when = when
        self._jobs = AsyncIOScheduler(
            timezone=datetime.now().astimezone().tzinfo,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def start(self, *, recluster: Job, reconcile: Job, sweep: Job, roots: Job, config: Job) -> None:
        """Begin. `recluster` and `reconcile` are due as the settings say, the others at fixed intervals."""
        self._recluster, self._reconcile = recluster, reconcile
        for id, job, seconds in (
            ("sweep", sweep, SWEEP_SECONDS),
            ("roots", roots, ROOTS_SECONDS),
            ("config", config, CONFIG_SECONDS),
        ):
            self._every(id, job, IntervalTrigger(seconds=seconds))
        self._follow()
        self._jobs.start()

    def follow(self, when: config.Schedule) -> None:
        """Another timetable; its intervals begin now."""
        if when != self._when:
            self._when = when
            self._follow()

    def _follow(self) -> None:
        when = self._when
        self._every("interval", self._recluster, IntervalTrigger(seconds=round(60 * when.interval_minutes)))
        self._every("reconcile", self._reconcile, IntervalTrigger(seconds=round(60 * when.reconcile_minutes)))
        if when.nightly:
            hour, minute = when.nightly.split(":")
            # jitter: a household's machines on one NAS need not all begin at the same second
            self._every(
                "nightly", self._recluster, CronTrigger(hour=int(hour), minute=int(minute), jitter=120)
            )
        elif self._jobs.get_job("nightly"):
            self._jobs.remove_job("nightly")

    def _every(self, id: str, job: Job, trigger: BaseTrigger) -> None:
        self._jobs.add_job(_enqueue(job), trigger, id=id, replace_existing=True)

    def when_quiet(self, job: Job) -> None:
        """Run once, `quiet_seconds` after the last call of this method."""
        self.later("quiet", self._when.quiet_seconds, job)

    def later(self, id: str, seconds: float, job: Job) -> None:
        """Run once after `seconds`; a later call with the same id pushes it back."""
        due = datetime.now(UTC) + timedelta(seconds=seconds)
        self._jobs.add_job(_enqueue(job), DateTrigger(due), id=id, replace_existing=True)

    def next_run(self) -> float | None:
        """Wall clock of the next clustering."""
        due = [
            job.next_run_time.timestamp()
            for job in self._jobs.get_jobs()
            if job.id in {"quiet", "interval", "nightly"} and job.next_run_time is not None
        ]
        return min(due, default=None)

    def stop(self) -> None:
        if self._jobs.running:
            self._jobs.remove_all_jobs()
            self._jobs.shutdown(wait=False)


def _enqueue(job: Job) -> Callable[[], object]:
    async def tick() -> None:  # a coroutine stays on the loop; a plain function would run in a thread
        job()

    return tick
