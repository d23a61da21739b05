"""The one pipeline thread: owns the library, does one task at a time, in the order of urgency.

Nothing else in the daemon writes the ledger or moves a file. A person's act goes before housekeeping; long
passes stop between files when something more urgent waits, and go on afterwards.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from dedupd.errors import DedupdError
from dedupd.library import Library
from dedupd.protocol.messages import ProgressView

log = logging.getLogger("dedupd.engine")
NOTICE_SECONDS = 0.2
"""Progress is told at most five times a second."""


STUCK_SECONDS = 900.0
"""Longer than the worker may take to load a model or search a large index."""


class Urgency(IntEnum):
    """Smaller goes first."""

    STOP = 0
    PERSON = 1
    """Somebody waits for the answer."""
    RESCUE = 2
    PASS = 3
    """Looking, indexing, clustering, moving."""
    SHADOW = 4
    """Another embedder in preparation: whatever else there is to do comes first."""


@dataclass(order=True)
class _Task:
    urgency: Urgency
    number: int
    name: str = field(compare=False)
    act: Callable[[Library], Any] = field(compare=False)
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
        self._tasks: queue.PriorityQueue[_Task] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._queued: set[str] = set()
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="pipeline", daemon=True)
        self._started: Future[Library] = Future()
        self._stopping = threading.Event()
        self._progress = _Pace(self._tell)
        self.progress: ProgressView | None = None
        self.last_beat = time.monotonic()
        """When the thread last showed life: a heartbeat that only proves the loop lives proves nothing."""
        self.working = False

    def start(self) -> Library:
        """Open the library in the thread and wait for it. Raises what opening raised."""
        self._thread.start()
        return self._started.result()

    def submit(
        self, name: str, act: Callable[[Library], Any], urgency: Urgency = Urgency.PASS, *, once: bool = False
    ) -> Future[Any]:
        """Queue a task. `once`: when one of this name waits already, that one is enough."""
        answer: Future[Any] = Future()
        with self._guard:
            if once and name in self._queued:
                answer.set_result(None)
                return answer
            self._queued.add(name)
        self._tasks.put(_Task(urgency, next(self._numbers), name, act, answer))
        return answer

    @property
    def busy(self) -> bool:
        return self.working or not self._tasks.empty()

    def alive(self) -> bool:
        """False when a task has shown no life for so long that only a restart helps."""
        return not self.working or time.monotonic() - self.last_beat < STUCK_SECONDS

    def should_yield(self) -> bool:
        """True when the running pass should stop at the next file: somebody waits, or the daemon ends."""
        self.last_beat = time.monotonic()
        if self._stopping.is_set():
            return True
        with self._tasks.mutex:
            return bool(self._tasks.queue) and self._tasks.queue[0].urgency < Urgency.PASS

    def report(self, phase: str, done: int, total: int) -> None:
        """The progress callback handed to the library."""
        self.last_beat = time.monotonic()
        self._progress(phase, done, total)

    def stop(self, timeout: float | None = None) -> bool:
        """Finish the running step and end. True when the thread ended in time."""
        self._stopping.set()
        self.submit("stop", lambda library: None, Urgency.STOP)
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
        try:
            while True:
                task = self._tasks.get()
                if task.urgency is Urgency.STOP:
                    break
                self._do(library, task)
        finally:
            library.close()

    def _do(self, library: Library, task: _Task) -> None:
        with self._guard:
            self._queued.discard(task.name)
        # From here on nobody can cancel it. Who asked is gone already: nobody waits for what was not begun.
        if not task.answer.set_running_or_notify_cancel():
            return
        self.working = True
        try:
            task.answer.set_result(task.act(library))
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
            self.working = False
            self.last_beat = time.monotonic()
            if self.progress is not None:
                self._tell(None)
                self._progress = _Pace(
                    self._tell
                )  # the next task's first word is told, however soon it comes
            # An error holds this frame, the frame its task, the task its error: refusals would pile up with all they name.
            del task

    def _failed(self, task: _Task, error: Exception) -> None:
        task.answer.set_exception(error)
        task.answer.exception()  # mark as seen: not everybody waits for the answer


class _Pace:
    """Turns (phase, done, total) into views with rate and ETA, not too many of them."""

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
