"""The pipeline thread: owns the library and does one task at a time, the most urgent first.

Nothing else in the daemon writes the ledger or moves a file. A long task calls `give_way` at its safe points:
more urgent tasks run there, and then the task goes on. So no work is lost, and nobody waits for the end of a
long task. Must never decide what is to be done: it is given tasks.
"""

from __future__ import annotations

import bisect
import itertools
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from dedupd.errors import DedupdError
from dedupd.library import Library
from dedupd.protocol.views import ProgressView

log = logging.getLogger("dedupd.engine")
NOTICE_SECONDS = 0.2
"""Seconds between two notices of progress, at least."""
STUCK_SECONDS = 900.0
"""Seconds without progress after which the engine counts as stuck; longer than the worker needs to load a
model or to search a large index."""


class Urgency(IntEnum):
    """How urgent a task is: a smaller number goes first, and interrupts larger ones at their safe points."""

    GLANCE = 0
    """Done at once, and no photo is touched: small pictures, a pause."""
    RESCUE = 1
    """Protects copies that exist nowhere else (P8)."""
    PERSON = 2
    """An act for which a person waits."""
    SCAN = 3
    """A pass for which a person waits."""
    HINT = 4
    """Reconciles folders in which events report a change."""
    PASS = 5
    """Reconciles everything, indexes, clusters, moves."""
    SHADOW = 6
    """Prepares another embedder: everything else comes first."""


@dataclass(order=True)
class _Task:
    urgency: Urgency
    number: int
    name: str = field(compare=False)
    act: Callable[[Library], Any] = field(compare=False)
    alone: bool = field(compare=False)
    idle: bool = field(compare=False)
    answer: Future[Any] = field(compare=False)


class Engine:
    """Runs tasks on a Library in its own thread. `on_progress` and `on_error` are called in that thread."""

    def __init__(
        self,
        make: Callable[[], Library],
        on_progress: Callable[[ProgressView | None], None],
        on_error: Callable[[str], None],
    ) -> None:
        self._make, self._on_progress, self._on_error = make, on_progress, on_error
        self._tasks: list[_Task] = []
        """Tasks that wait, in order."""
        self._waiting = threading.Condition()
        self._numbers = itertools.count()
        self._running: list[_Task] = []
        """Running tasks: the last one runs, those before it were interrupted by it."""
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._started: Future[Library] = Future()
        self._stopping = threading.Event()
        self._progress = _Pace(self._tell)
        self.progress: ProgressView | None = None
        self.last_beat = time.monotonic()
        """When the thread last showed progress. A heartbeat of the event loop alone would not show that this
        thread works."""

    def start(self) -> Library:
        """Open the library in the thread and wait for it. Raises what opening raised."""
        self._thread.start()
        return self._started.result()

    def submit(
        self, name: str, act: Callable[[Library], Any], urgency: Urgency = Urgency.PASS, *, once: bool = False,
        alone: bool = False, idle: bool = False,
    ) -> Future[Any]:  # fmt: skip
        """Queue a task. `once`: skip it when a task of this name already waits. `alone`: never run it inside
        another task; a running pass ends early for it. For tasks that change what a running task relies on.
        `idle`: nobody waits for its end.
        """
        answer: Future[Any] = Future()
        with self._waiting:
            if once and any(task.name == name for task in self._tasks):
                answer.set_result(None)
                return answer
            bisect.insort(self._tasks, _Task(urgency, next(self._numbers), name, act, alone, idle, answer))
            self._waiting.notify()
        return answer

    @property
    def working(self) -> bool:
        return bool(self._running)

    @property
    def busy(self) -> bool:
        """Whether anything is done or queued of which somebody waits for the end."""
        return any(not task.idle for task in (*self._running, *self._tasks))

    @property
    def idles(self) -> bool:
        """Whether anything is done or queued of which nobody waits for the end."""
        return any(task.idle for task in (*self._running, *self._tasks))

    def alive(self) -> bool:
        """False when a task has shown no progress for so long that only a restart helps."""
        return not self._running or time.monotonic() - self.last_beat < STUCK_SECONDS

    def give_way(self) -> bool:
        """At a safe point of the running task: do what is more urgent.

        Returns True when the running task should end here: the daemon ends, or a waiting task must run alone.
        """
        self.last_beat = time.monotonic()
        if not self._running:
            return self._stopping.is_set()
        at_work = self._running[-1].urgency
        while not self._stopping.is_set():
            task, wanted = self._more_urgent(at_work)
            if task is None:
                return wanted and at_work >= Urgency.HINT
            self._do(task)
        return True

    def _more_urgent(self, than: Urgency) -> tuple[_Task | None, bool]:
        """(the first task that may run now, whether one waits that may not)."""
        with self._waiting:
            urgent = [task for task in self._tasks if task.urgency < than]
            chosen = next((task for task in urgent if not task.alone), None)
            if chosen is not None:
                self._tasks.remove(chosen)
            return chosen, bool(urgent)

    def report(self, phase: str, done: int, total: int) -> None:
        """The progress callback given to the library."""
        self.last_beat = time.monotonic()
        self._progress(phase, done, total)

    def stop(self, timeout: float | None = None) -> bool:
        """Finish the running step and end. Returns True when the thread ended in time."""
        with self._waiting:
            self._stopping.set()
            self._waiting.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _tell(self, view: ProgressView | None) -> None:
        self.progress = view
        self._on_progress(view)

    def _run(self) -> None:
        try:
            library = self._make()
        except BaseException as error:  # noqa: BLE001  # a border: start() raises it in the caller's thread
            self._started.set_exception(error)
            return
        self._started.set_result(library)
        self._library = library
        try:
            while (task := self._next()) is not None:
                self._do(task)
                # An error holds this frame, the frame its task, the task its error: without this, refusals
                # would stay in memory with all they name.
                del task
        finally:
            library.close()

    def _next(self) -> _Task | None:
        """The next task, waiting for one; None at the end of the daemon."""
        with self._waiting:
            self._waiting.wait_for(lambda: self._tasks or self._stopping.is_set())
            return None if self._stopping.is_set() else self._tasks.pop(0)

    def _do(self, task: _Task) -> None:
        if not task.answer.set_running_or_notify_cancel():
            return  # whoever asked left before it began
        self._running.append(task)
        outer = self.progress
        try:
            task.answer.set_result(task.act(self._library))
        except DedupdError as error:
            self._failed(task, error)
            self._on_error(str(error))
        except Exception as error:  # a border: one bad task must not end the daemon
            log.exception("task %s failed", task.name)
            self._failed(task, error)
            self._on_error(
                f"an internal error stopped '{task.name}' ({type(error).__name__}): see the daemon's log"
            )
        finally:
            self._running.pop()
            self.last_beat = time.monotonic()
            if self.progress is not outer:
                self._tell(outer)  # of the task in the middle of which it came
            if not self._running:
                self._progress = _Pace(
                    self._tell
                )  # the next task's first word is told, however soon it comes
            del task

    def _failed(self, task: _Task, error: Exception) -> None:
        task.answer.set_exception(error)
        task.answer.exception()  # mark as seen: not everybody waits for the answer


class _Pace:
    """Turns (phase, done, total) into views with rate and estimated time, at a limited rate."""

    def __init__(self, tell: Callable[[ProgressView], None]) -> None:
        self._tell, self._phase, self._start, self._first, self._last = tell, "", 0.0, 0, 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase or done < self._first:
            self._phase, self._start, self._first, self._last = phase, now, done, 0.0
        if now - self._last < NOTICE_SECONDS and done != total:
            return
        self._last = now
        rate = (done - self._first) / max(now - self._start, 1e-3)
        eta = (total - done) / rate if rate > 0 and total else None
        self._tell(ProgressView(phase=phase, done=done, total=total, rate=rate, eta=eta))
