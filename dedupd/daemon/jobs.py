"""The daemon's own work: what is queued into the engine, and what follows from how it ends.

How a changed month comes to be clustered: events hint at its folder (`hint`); a look finds what is new and marks the month
(`_reconcile_hinted`); `regroup` asks the scheduler for a pass when nothing has changed for `quiet_seconds`; `_pass` clusters and moves.
Interval and nightly passes come from daemon/schedule.py and end in the same `_pass`.
Owns the pause, and what waits for a better moment (core/politeness.py): nothing that a person asks for, nothing that keepers
need. Must never touch a file or the ledger itself: the library does, in the engine's thread.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from dedupd.config import Settings
from dedupd.core.month import Month
from dedupd.core.politeness import Limits, Machine, waits_for
from dedupd.core.records import RootRow
from dedupd.daemon.engine import Engine, Urgency
from dedupd.daemon.hints import Folders, Hints, folders_of
from dedupd.daemon.schedule import Scheduler
from dedupd.errors import DedupdError, Refusal
from dedupd.library import Library, Moved, ScanOutcome
from dedupd.pipeline import pausing
from dedupd.pipeline.reread import Reread
from dedupd.pipeline.slices import Stop
from dedupd.protocol.notices import Attention, FilesMoved, MonthChanged, Notice

log = logging.getLogger("dedupd")
RESCUES_TOLD = 20
FAMILY_SECONDS = 120.0
"""Seconds after which the pairs found so far in large families of look-alikes are grouped, and what is left is told."""
BUSY_SECONDS = 30.0
"""Seconds after which a file that another program was writing is tried again."""
FAILED_SECONDS, PATIENT_SECONDS = 60.0, 3600.0
"""Seconds after which all is looked at again when something failed: a full disk has room again. Twice as long after each
failure, up to an hour."""


class Jobs:
    """Queues the daemon's own work. Methods that take a library run in the engine's thread, all others on the
    event loop."""

    def __init__(
        self, engine: Engine, schedule: Scheduler, hints: Hints, *, settings: Callable[[], Settings],
        reports_all: Callable[[RootRow], bool], soon: Callable[..., None], send: Callable[[Notice], None],
        send_status: Callable[[], None],
    ) -> None:  # fmt: skip
        """reports_all: whether events report every change in a root. soon(act, *arguments): call it on the
        event loop, from any thread.

        send, send_status: send a notice, or the status, to clients; on the event loop.
        """
        self._engine, self._schedule, self._hints, self._settings = engine, schedule, hints, settings
        self._reports_all, self._soon, self._send, self._send_status = reports_all, soon, send, send_status
        self.paused = False
        self.paused_until: float | None = None
        self.waits = ""
        """Why heavy work that nobody asked for waits, as a clause; '' when it may run."""
        self._rescued: deque[str] = deque(maxlen=RESCUES_TOLD)
        self._round: list[str] = []
        """What the last round of moves could not do, and what failed since."""
        self._patience = FAILED_SECONDS
        self._unread: list[str] = []
        """Folders that the last full look could not read."""

    # ---- rest

    @property
    def rests(self) -> bool:
        """Whether everything that nobody asked for and no keeper needs is postponed for now."""
        return self.paused or bool(self.waits)

    def pause(self, until: float | None, left: float | None = None) -> None:
        """Pause until this wall clock, which is so many seconds away, or until `resume`. Running work ends at
        its next safe point."""
        self.paused, self.paused_until = True, until
        if left is not None:
            self._schedule.later("resume", left, self._resume_by_itself)

    def resume(self) -> None:
        """End the pause, and reconcile what happened meanwhile."""
        self.paused, self.paused_until = False, None
        self.reconcile_all()
        self._send_status()

    def _resume_by_itself(self) -> None:
        if self.paused and self.paused_until is not None:  # not paused anew meanwhile, for ever
            log.info("the pause is over")
            self._engine.submit("resume", lambda library: pausing.resume(library.ledger), Urgency.GLANCE)
            self.resume()

    def consider(self, now: datetime, machine: Machine) -> None:
        """Decide whether heavy work may run now, by the settings and the state of the machine."""
        speed, before = self._settings().speed, self.waits
        limits = Limits(hours=speed.hours, battery=speed.battery, load=speed.load, disk_ms=speed.disk_ms)
        self.waits = waits_for(limits, now, machine, waiting=bool(before))
        if bool(before) == bool(self.waits):
            return
        log.info("waiting: %s", self.waits) if self.waits else log.info("going on")
        self.reconcile_all()  # for what happened meanwhile; while it waits, nothing
        self._send_status()

    # ---- what clients are told

    def rescued(self) -> list[str]:
        """The last copies that were brought back because their keeper was gone, one sentence each."""
        return list(self._rescued)

    def failures(self) -> list[str]:
        """What the last round of moves could not do, and what failed since."""
        return list(self._round)

    def unread(self) -> list[str]:
        """Folders that the last full reconciliation could not read."""
        return list(self._unread)

    def failed(self, sentence: str) -> None:
        """A task of the engine failed."""
        if sentence not in self._round:
            self._round.append(sentence)
        self._send(Attention(message=sentence))
        self._schedule.later("failed", self._patience, self.reconcile_all)
        self._patience = min(2 * self._patience, PATIENT_SECONDS)

    # ---- looking

    def hint(self, folder: str, whole: bool) -> None:
        """Something changed in this folder, or everywhere below it: reconcile it as soon as events pause."""
        # Thousands of files may come at once, each with two events: only the first of them sets an alarm.
        if self._hints.add(folder, whole):
            self._schedule.later("hints", self._hints.due_in(), self._queue_hinted)

    def _queue_hinted(self) -> None:
        if (wait := self._hints.due_in()) > 0:  # further events came
            self._schedule.later("hints", wait, self._queue_hinted)
            return
        hints = self._hints.take()
        if hints and not self.rests:
            self._engine.submit("hints", lambda library: self._reconcile_hinted(library, hints), Urgency.HINT)

    def _reconcile_hinted(self, library: Library, hints: Folders) -> None:
        if self.rests:  # it waited meanwhile; who ends the rest looks everywhere
            return
        changed, stop = False, self.safe_points()
        paths = [root.path for root in library.roots.all]
        with self._hints.reconciling():
            for root in library.roots.all:
                if folders := folders_of(root.path, hints, paths):
                    changed |= library.roots.reconcile_folders(root, folders, stop=stop).any
                    library.movement.keepers.hint(root, folders)  # a sweep came before this look, perhaps
        if stop():  # not every folder was looked at
            self._soon(self.reconcile_all)
        elif changed:
            self._engine.submit("index", self._index, once=True)

    def _index(self, library: Library) -> None:
        if not self.rests:
            library.passes.ingest(on_progress=self._engine.report, stop=self.safe_points())
            self._soon(self.regroup)
            self._soon(self._send_status)

    def reconcile_all(self) -> None:
        """Reconcile every root, then cluster what changed."""
        if not self.rests:
            self._engine.submit("reconcile", self._reconcile, once=True)

    def reconcile_now(self) -> None:
        """The same because a person asked: it does not wait for a better moment."""
        self._engine.submit("reconcile now", lambda library: self._reconcile(library, asked=True), once=True)

    def _reconcile(self, library: Library, *, asked: bool = False) -> None:
        if self.paused or (self.rests and not asked):
            return
        stop = self.safe_points(asked=asked)
        problems = library.roots.reconcile(on_progress=self._engine.report, stop=stop).problems
        if stop():  # not every folder was looked at
            self._soon(self.reconcile_now if asked else self.reconcile_all)
            return
        self._unread = problems
        self._report_rescued(library.movement.rescue(stop))
        self._pass(library, asked=asked)

    # ---- passes

    def regroup(self) -> None:
        """Queue a pass once nothing has changed for `quiet_seconds`."""
        self._schedule.when_quiet(self.recluster)

    def recluster(self) -> None:
        """Queue a pass: it runs as soon as the engine has time."""
        if not self.rests:
            self._engine.submit("pass", self._pass, once=True)

    def _pass(self, library: Library, *, asked: bool = False) -> None:
        """A pass: index, cluster, move, summarise. When a task that must run alone ended it early, it is
        queued again after that."""
        if self.paused or (self.rests and not asked):
            return
        stop, told = self.safe_points(asked=asked), self._engine.report
        library.passes.ingest(on_progress=told, stop=stop)
        touched = library.grouper.regroup(on_progress=told, stop=stop)
        for root, behind in library.grouper.worked_off().items():  # before a kill, perhaps
            touched.setdefault(root, set()).update(behind)
        # Half a pass moves nothing: the first moves must be seen as a whole before the consent limit counts.
        moved = Moved() if stop() else library.movement.move(on_progress=told, stop=stop)
        self.after_moves(library, moved, touched)
        if not stop() and library.passes.check_held(on_progress=told, stop=stop):
            self._soon(self._send_status)
        if stop():
            self._soon(self.reconcile_now if asked else self.recluster)
        elif library.grouper.left():
            self._soon(self.compare_deferred)

    def compare_deferred(self) -> None:
        """Continue with large families of look-alikes, when there is nothing else to do."""
        if not self.rests:
            self._engine.submit("families", self._compare_deferred, Urgency.SHADOW, once=True, idle=True)

    def _compare_deferred(self, library: Library) -> None:
        if self.rests:
            return
        stop, waited = self.safe_points(), library.grouper.waits()
        done = library.grouper.compare_deferred(stop, FAMILY_SECONDS)
        if worked_off := library.grouper.worked_off():
            library.summaries.rewrite(worked_off)
            self._soon(self._send_status)
        # Of a photo that could not be compared with all, something may have been found too.
        if (done or not waited) and library.grouper.waits():
            self._soon(self.recluster)  # which asks for more
        elif stop() or (done and library.grouper.left()):
            self._soon(self.compare_deferred)

    def scan(
        self, library: Library, *, months: Sequence[Month] | None, dry_run: bool, yes: bool,
        left: Callable[[], bool],
    ) -> ScanOutcome:  # fmt: skip
        """A full pass, as `dedupd scan` asked of the daemon; answers with what it did. `left`: whether nobody
        waits for it any more.

        Raises DedupdError when it could not reach its end: incomplete work must not look complete.
        """
        stop = self.safe_points(lambda: left() or self.paused, asked=True)
        outcome = library.passes.scan(
            months=months, dry_run=dry_run, yes=yes, on_progress=self._engine.report, stop=stop, brief=True
        )
        self.after_moves(library, outcome.moved)
        if stop():  # what it began is not left half looked at and half compared
            self._soon(self.reconcile_all)
        if stop() and not left():
            raise DedupdError(
                f"the scan was ended before its end, when {outcome.moved.files} file(s) had moved: if dedupd is paused, "
                "`dedupd resume`; then scan again"
            )
        return outcome

    def safe_points(self, ended: Callable[[], bool] = lambda: False, *, asked: bool = False) -> Stop:
        """The safe points of one long task. It ends at one of them when the engine, a pause or `ended` says
        so.

        What a person `asked` for goes on when heavy work begins to wait.
        """

        def rests() -> bool:
            return self.paused if asked else self.rests

        rested = rests()
        return _SafePoints(self._engine, lambda: (rests() and not rested) or ended())

    # ---- after moves

    def after_moves(self, library: Library, moved: Moved, touched: dict[int, set[str]] | None = None) -> None:
        """Write summaries and send notices after anything moved or was grouped anew. `touched`: months by
        root, grouped anew."""
        months = library.movement.months_of(moved, touched or {})
        summaries = library.summaries.rewrite(months)
        self._round, self._patience = list(moved.messages), FAILED_SECONDS
        for summary in summaries:
            self._soon(self._send, MonthChanged(root=summary.root, month=summary.month))
        if moved.files or moved.undone:
            month = summaries[0].month if summaries else ""
            self._soon(self._send, FilesMoved(month=month, moved=moved.files, restored=moved.undone))
            log.info("moved %d file(s), put back %d", moved.files, moved.undone)
        kinds = {m.refusal for m in moved.refused}
        if Refusal.NOT_QUIET in kinds:
            self._try_again_in(self._settings().schedule.settle_seconds + 1)
        elif Refusal.BUSY in kinds:
            self._try_again_in(BUSY_SECONDS)
        elif moved.again_in:
            self._try_again_in(moved.again_in)
        self._soon(self._send_status)

    def _try_again_in(self, seconds: float) -> None:
        self._soon(self._schedule.later, "retry", seconds, self._retry)

    def _retry(self) -> None:
        if not self.rests:
            self._engine.submit("retry", self._move_again, once=True)

    def _move_again(self, library: Library) -> None:
        if not self.rests:
            self.after_moves(library, library.movement.move(stop=self.safe_points()))

    # ---- what looks after keepers

    def sweep(self) -> None:
        """Check that the keepers of all held copies are there."""
        self._engine.submit("sweep", self._rescue, Urgency.RESCUE, once=True)

    def _rescue(self, library: Library) -> None:
        """Bring copies back when their keeper is gone (P8): read more doubtful files again, then check the
        keepers that events, doubts or the slow round name.

        The check that keepers exist is also done during a pause.
        """
        stop = self.safe_points()
        again = Reread() if self.rests else library.rereader.read_on(stop)
        hints = self._hints.take_unchecked()
        paths = [root.path for root in library.roots.all]
        folders = {root.id: folders_of(root.path, hints, paths) for root in library.roots.all}
        heard = {root.id for root in library.roots.all if self._reports_all(root)}
        said = [*again.said, *library.movement.sweep(folders, heard, stop)]
        self._report_rescued(said)
        self._rescue_on_later(library)
        if again.changed:
            self._soon(self.regroup)

    def _rescue_on_later(self, library: Library) -> None:
        """With the urgency of a person's act, so that people who wait get their turn: a folder of thousands
        of keepers may be gone."""
        if library.movement.rescue_goes_on:
            self._engine.submit("rescue", self._rescue_on, Urgency.PERSON, once=True)

    def _rescue_on(self, library: Library) -> None:
        self._report_rescued(library.movement.rescue_on(self.safe_points()))
        self._rescue_on_later(library)

    def _report_rescued(self, said: Sequence[str]) -> None:
        for sentence in said:
            self._rescued.append(sentence)
            self._soon(self._send, Attention(message=sentence))
        if said:
            self._soon(self.regroup)


class _SafePoints:
    """One long task's `Stop`. Once it has said that the task ends, it keeps saying so."""

    def __init__(self, engine: Engine, ended: Callable[[], bool]) -> None:
        self._engine, self._told_to_end = engine, ended
        self._ended = False

    def __call__(self) -> bool:
        if not self._ended:
            self._ended = self._engine.give_way() or self._told_to_end()
        return self._ended
