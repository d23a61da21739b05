"""The daemon's jobs on a shelf, without its threads and its event loop: a test says what is done, and when."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

from dedupd.core.records import RootRow
from dedupd.daemon.engine import Engine, Urgency
from dedupd.daemon.hints import Hints
from dedupd.daemon.jobs import Jobs
from dedupd.daemon.schedule import Scheduler
from dedupd.library import Library
from dedupd.protocol.notices import Notice
from tests.support.shelf import Shelf


class Queue(Engine):
    """An engine without a thread; what is queued waits for `JobsRig.work`."""

    def __init__(self, library: Library) -> None:
        super().__init__(lambda: library, lambda view: None, lambda sentence: None)
        self.queued: list[Callable[[Library], Any]] = []

    def submit(
        self, name: str, act: Callable[[Library], Any], urgency: Urgency = Urgency.PASS, *, once: bool = False,
        alone: bool = False, idle: bool = False,
    ) -> Future[Any]:  # fmt: skip
        self.queued.append(act)
        return Future()


class JobsRig:
    """What a test needs around `jobs`, and what they asked for."""

    def __init__(self, shelf: Shelf, reports_all: Callable[[RootRow], bool] = lambda root: True) -> None:
        self.library = shelf.library
        self.settings = shelf.library.settings
        """What the jobs go by."""
        self.now = 1000.0
        """Seconds by the clock of the hints."""
        self.engine = Queue(shelf.library)
        self.hints = Hints(lambda: [str(shelf.root)], lambda: shelf.library.roots.scope, lambda: self.now)
        self.soon: list[Callable[..., object]] = []
        """What the event loop is to do next."""
        self.sent: list[Notice] = []
        self.due: dict[str, Callable[[], None]] = {}
        """What the scheduler is to do later, by its id there."""
        self.waits: list[float] = []
        """Seconds until then, as they were asked for."""
        self.jobs = Jobs(
            self.engine, cast("Scheduler", self), self.hints, settings=lambda: self.settings, reports_all=reports_all,
            soon=lambda act, *arguments: self.soon.append(act), send=self.sent.append, send_status=lambda: None,
        )  # fmt: skip

    def later(self, id: str, seconds: float, job: Callable[[], None]) -> None:
        """Called by the jobs in place of the scheduler."""
        self.due[id] = job
        self.waits.append(seconds)

    def work(self) -> None:
        """The engine does all that is queued."""
        while self.engine.queued:
            self.engine.queued.pop(0)(self.library)

    def ring(self) -> None:
        """The time is there that the jobs asked for because of hints."""
        self.due.pop("hints")()

    def look_at_hints(self) -> None:
        """Events have paused for long enough."""
        self.now += self.waits[-1]
        self.ring()
        self.work()

    def sweep(self) -> None:
        """The time for a sweep has come."""
        self.jobs.sweep()
        self.work()
