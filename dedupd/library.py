"""Opens a library: builds adapters and pipelines. The one composition root of daemon, command line and notebooks.

Owns the order of a pass: recover, reconcile, ingest, recluster, relocate, summarise. Must be used from one
thread, and only by the process that holds the lock (`Library.open` takes it).

    from dedupd import Library
    with Library.open(["~/Pictures"]) as library:
        outcome = library.scan(dry_run=True)
        for group in library.groups():
            print(group.keep, group.duplicates, group.review)
"""

from __future__ import annotations

import contextlib
import logging
import os.path
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.fs.lock import Locks, hold
from dedupd.adapters.fs.mover import FileMover
from dedupd.adapters.fs.sidecar_files import SidecarFiles
from dedupd.adapters.fs.summary_files import SummaryFiles
from dedupd.adapters.ledger import Ledger
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.embedders.registry import parse as parse_model
from dedupd.config import Places, Settings, load, places
from dedupd.core.dominance import waived_by
from dedupd.core.foreign import Scope
from dedupd.core.month import Month, month_folder
from dedupd.core.photo import FileState
from dedupd.core.records import GroupRow, MonthRow, RootRow
from dedupd.core.relations import MEASURES
from dedupd.core.summary import MonthSummary, moved_line
from dedupd.core.thresholds import OwnThresholds, shipped
from dedupd.errors import RootError, StateError, UsageError, VisionError
from dedupd.pipeline import consent, placeholders, shadow
from dedupd.pipeline.annotate import Annotator
from dedupd.pipeline.foreign_folders import not_looked_at
from dedupd.pipeline.forget import forget_gone, forget_rows
from dedupd.pipeline.held_better import look_again
from dedupd.pipeline.ingest import ingest, know_media
from dedupd.pipeline.keepers import Keepers
from dedupd.pipeline.measure_thresholds import Calibration
from dedupd.pipeline.movement import Moved, Movement
from dedupd.pipeline.recluster import Comparison, decide, forget_older_measures
from dedupd.pipeline.relearn import relearn
from dedupd.pipeline.reread import Rereader
from dedupd.pipeline.review import Reviewer, build_report, resolve, status_view
from dedupd.pipeline.roots import Progress, Roots, quiet
from dedupd.pipeline.slices import Stop, never, wait
from dedupd.pipeline.summarise import summarise
from dedupd.pipeline.verdicts import Verdicts
from dedupd.ports import Clock, Vision
from dedupd.protocol.messages import GroupView, Resolved, Side, StatusView

log = logging.getLogger("dedupd.library")
SCAN_REREADS = 1 << 30
"""Bytes that a scan reads again of what is in doubt; a daemon has more time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthResult:
    """One month of one root after a pass."""

    root: str
    year: int
    month: int
    photos: int
    groups: tuple[GroupView, ...]
    moved: int
    """Files of this month that lie in duplicates/."""
    bytes_saved: int
    line: str
    """'Moved 18 duplicate files from 9 group(s) in 2024/06.'"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOutcome:
    """What one pass found and did."""

    report: dict[str, Any]
    """The JSON report (DESIGN contract)."""
    months: tuple[MonthResult, ...]
    """Months with something moved, in order."""
    moved: Moved
    problems: tuple[str, ...]
    waiting: int
    """Files that would move, but nobody said yes."""
    not_looked_at: str = ""
    """One sentence on folders that are none of the library; '' without any."""


class Library:
    """A photo library with its state: see the module's docstring for use."""

    def __init__(
        self, settings: Settings, where: Places, *, vision: Vision | None = None, clock: Clock | None = None,
        locks: Locks | None = None,
    ) -> None:  # fmt: skip
        """Opens the ledger; the caller holds `locks`, which grow with disks that come later. StateError, LedgerDamaged."""
        self.settings, self.places, self._locks = settings, where, locks
        self.clock: Clock = clock or SystemClock()
        self.disk = LocalDisk()
        _make_private(where.state)
        self.ledger = Ledger(where.ledger)
        forget_older_measures(self.ledger, self.clock)
        self.mover = FileMover(self.clock, settings.schedule.settle_seconds)
        self.vision: Vision = vision or self._worker()
        self._compares: Comparison | None = None
        self._shadow: shadow.Shadow | None = None
        self._calibration: Calibration | None = None
        self._asked = ""
        """The name the embedder in preparation was asked for by."""
        self._tidied = False
        self._looked_again = False
        self._asked_for_blocks = False
        """Once after each start too: an older dedupd, or a root that was read-only, could not find out."""
        self._log = SummaryFiles(where.logs)
        self._keepers = Keepers(self.ledger, self.clock)
        self._lately = consent.Lately(self.ledger, self.clock)
        self._furnish()

    def _furnish(self) -> None:
        """Everything that goes by the settings and remembers nothing but what people were told."""
        settings = self.settings
        self.known = Roots(
            map(str, settings.roots), self.ledger, self.disk, self.clock, _scope(settings), self._hold
        )
        self.movement = Movement(
            self.ledger, self.mover, self.disk, self.clock, settings, self.known,
            keepers=self._keepers, lately=self._lately,
            make_whole=lambda stop: self._comparison().make_whole(stop), annotate=self.annotate, hold=self._hold,
        )  # fmt: skip
        self.verdicts = Verdicts(
            self.ledger, self.disk, self.clock, settings, self.known, self.movement,
            regroup=self.cluster, annotate=self.annotate,
        )  # fmt: skip
        self.problems = self.known.problems
        self.reconcile, self.reconcile_folders = self.known.reconcile, self.known.reconcile_folders
        self.recover, self.move, self.rescue = self.movement.recover, self.movement.move, self.movement.rescue
        self.undo, self.held = self.movement.undo, self.movement.held
        self.sweep = self.movement.sweep
        self.reread = Rereader(self.ledger, self.disk, self.clock, self.known, self.movement.keepers).slice
        self.consent, self.months_of = self.movement.consent, self.movement.months_of
        self.approve, self.approve_all = self.verdicts.approve, self.verdicts.approve_all
        self.exchange = self.verdicts.exchange
        self.reject, self.judge, self.keep = self.verdicts.reject, self.verdicts.judge, self.verdicts.keep
        self.forget, self.learn = self.verdicts.forget, self.verdicts.learn

    def follow(self, settings: Settings) -> list[str]:
        """Go by these settings from now on. Returns a sentence for each that only a restart or a command can change.

        As after a restart, the next pass groups anew what is decided otherwise now.
        """
        told: list[str] = []
        before = self.settings
        if set(settings.roots) != set(before.roots):
            told.append(
                f"{settings.source} names other folders than this daemon watches: restart it to follow them"
            )
            settings = replace(settings, roots=before.roots)
        try:
            self._check_model(settings.embedder)
        except UsageError as error:
            told.append(str(error))
            settings = replace(settings, embedder=before.embedder)
        self.settings = settings
        self._refit(before)
        problems = self.problems
        self._furnish()
        self.problems.update(problems)
        return told

    def _refit(self, before: Settings) -> None:
        """What remembers, and goes by one of the settings."""
        now = self.settings
        self.mover.quiet.seconds = now.schedule.settle_seconds
        if _eyes(now) != _eyes(before) and isinstance(self.vision, VisionWorker):
            self.vision.rest()
            self.vision = self._worker()
        if now.keep_policy != before.keep_policy:
            self._looked_again = False
        if now.threshold != before.threshold:
            self._compares = None
            if self._shadow is not None:  # goes on from the ledger when it is asked for again
                self._shadow.vision.rest()
                self._shadow = None

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        roots: Sequence[str | Path] = (),
        *,
        state_dir: str | Path | None = None,
        config: str | Path | None = None,
        **changes: Any,
    ) -> Generator[Library]:
        """Take the lock and open a library for these roots (default: the configured ones).

        `changes` are fields of Settings (threshold=0.9, keep_policy="oldest", embedder="hashes", …).
        Raises ConfigError, AlreadyRunning, StateError, RootError.
        """
        where = places(_path(state_dir), _path(config))
        settings = load(_path(config), where, roots=roots, **changes)
        with (
            hold(where, settings.roots) as locks,
            contextlib.closing(cls(settings, where, locks=locks)) as library,
        ):
            yield library

    def _worker(self, embedder: str = "") -> Vision:
        """The recorded choice stands (only `models use` changes it), unless this run names another."""
        if not embedder:
            self._check_model(self.settings.embedder)
        setting = embedder or self.ledger.get("embedder") or self.settings.embedder
        return VisionWorker(
            index_dir=self.places.index, cache_dir=self.places.cache, embedder=setting,
            batch_size=self.settings.batch_size, idle_seconds=self.settings.schedule.worker_idle_seconds,
        )  # fmt: skip

    def _check_model(self, asked: str) -> None:
        recorded = self.ledger.get("embedder")
        if recorded and asked != "auto" and not _same_model(asked, recorded):
            raise UsageError(
                f"this library's photos were seen with {recorded}, not with {asked}: "
                f"switch with `dedupd models use {asked}`, or leave the embedder out"
            )

    def _hold(self, root: str) -> None:
        """A disk that came later, or another one at this path, is held from now on. Raises AlreadyRunning."""
        if self._locks is not None:
            self._locks.add(Path(root))

    @property
    def roots(self) -> list[RootRow]:
        """The configured roots as the ledger knows them now."""
        return self.known.all

    @property
    def reviewer(self) -> Reviewer:
        return Reviewer(self.ledger, self.disk)

    @property
    def model(self) -> str:
        """The embedder in force, as recorded; '' before anything was seen or with hashes alone."""
        return self.ledger.get("model")

    # ---- one pass, step by step

    def ingest(
        self,
        *,
        months: Iterable[Month] | None = None,
        on_progress: Progress = quiet,
        stop: Stop = never,
        dry_run: bool = False,
    ) -> int:
        """Look at what nobody has looked at yet; with `months`, skip files whose folder names another month.

        `dry_run`: without finding out in the roots whether what looks like a placeholder of a cloud is one.
        """
        know_media(self.ledger)
        self._trust(dry_run=dry_run)
        self._see()
        wanted = None if months is None else set(months)

        def choose(path: str, root: str) -> bool:
            folder = month_folder(path, root)
            return folder is None or folder[0] in (wanted or ())

        def look() -> int:
            return ingest(
                self.ledger,
                self.vision,
                self.clock,
                lambda done, total: on_progress("index", done, total),
                stop,
                None if wanted is None else choose,
            )

        skipped = self.ledger.inventory.count(state=FileState.SKIPPED)
        photos = look()
        more = self.ledger.inventory.count(state=FileState.SKIPPED) > skipped or not self._asked_for_blocks
        if more and not dry_run and not stop():
            self._asked_for_blocks = True
            if placeholders.found_out(self.ledger, self.disk, self.roots):
                self._trust(dry_run=False)
                photos += look()
        if not stop() and not self.ledger.inventory.anything_to_look_at():
            forget_gone(self.ledger, self.clock)
            if photos:
                forget_rows(self.ledger, self.vision, self.clock)
        return photos

    def _trust(self, *, dry_run: bool) -> None:
        self.vision.trust(placeholders.devices(self.ledger, self.roots, None if dry_run else self.disk))

    def _see(self) -> None:
        """Find out which embedder is in force, record the choice once, and re-look at what another one saw."""
        if not self.ledger.inventory.anything_to_look_at() and self.ledger.get("recipe"):
            return
        seeing = self.vision.status()
        if seeing.note:
            self.ledger.put("model_note", seeing.note)
        if not self.ledger.get("embedder"):
            self.ledger.put("embedder", seeing.model or "hashes")
        self.ledger.put("model", seeing.model)
        self.ledger.put("recipe", seeing.recipe)
        self._tidy()

    def cluster(
        self, months: Iterable[Month] | None = None, *, everything: bool = False, on_progress: Progress = quiet,
        stop: Stop = never,
    ) -> dict[int, set[str]]:  # fmt: skip
        """Compare and group the months that changed (of `months`, if given). Returns root id -> months touched."""
        wanted = None if months is None else {str(m) for m in months}
        online = {r.id: r for r in self.roots if r.online}
        self._note_settings()
        relearn(self.ledger, self.clock.now())
        waiting = [
            m for m in self.ledger.inventory.months()
            if m.root in online and (m.waiting or everything) and (wanted is None or m.month in wanted)
        ]  # fmt: skip
        try:
            return self._cluster(waiting, online, on_progress, stop)
        except VisionError:
            self._compares = None  # perhaps the index was damaged: whether it is whole is asked again
            raise

    def _cluster(
        self, waiting: Sequence[MonthRow], online: Mapping[int, RootRow], on_progress: Progress, stop: Stop
    ) -> dict[int, set[str]]:  # fmt: skip
        comparison = self._comparison()
        touched: dict[int, set[str]] = {}
        compared: list[tuple[MonthRow, int]] = []
        for row in waiting:
            if stop():
                break
            on_progress("compare", len(compared), len(waiting))
            # Read before: what changes from here on may not be compared, and keeps the month waiting.
            changes = self.ledger.inventory.changes(row.root, row.month)
            if not comparison.month(row.root, row.month, on_progress, stop):
                break
            compared.append((row, changes))
        for done, (row, changes) in enumerate(compared):
            if stop() and done:  # however often it is stopped, something is done each time
                break
            on_progress("group", done, len(waiting))
            touched.setdefault(row.root, set()).update(
                decide(
                    self.ledger, self.disk, self.settings, self.clock, online[row.root], row.month, self.model
                )
            )
            with self.ledger.transaction():
                self.ledger.inventory.clustered_month(row.root, row.month, changes, self.clock.now())
        return touched

    def annotate(
        self, *, groups: Collection[int] | None = None, see: bool = True, on_progress: Progress = quiet,
        stop: Stop = never,
    ) -> None:  # fmt: skip
        """Sidecars beside keepers: written when copies moved, taken away when they came back. `see`: photos may be read.

        `groups`: these alone; somebody waits for an act, and not for all that a pass has still to write.
        """
        waiting = {row.root for row in self.ledger.sidecars.unsettled()}
        annotator = Annotator(
            self.ledger, self.vision, self.disk, SidecarFiles(), self.known.scope, self.clock,
            on=self.settings.metadata == "sidecar",
        )  # fmt: skip
        for root in self.ledger.inventory.roots():
            if root.id not in waiting or self.known.surely(root, mark=False) is None:
                continue
            try:
                for sentence in annotator.settle(root, groups, see=see, on_progress=on_progress, stop=stop):
                    log.info("%s", sentence)
            except VisionError as error:
                log.warning("sidecars are written later: %s", error)

    def look_again(self, *, on_progress: Progress = quiet, stop: Stop = never) -> int:
        """Compare what an older dedupd moved with what it left, each pair once. Returns how many hold what theirs lacks.

        What cannot be read is asked about again when dedupd is started anew.
        """
        if self._looked_again:
            return 0
        online = [r.path for r in self.roots if r.online]
        try:
            found = look_again(
                self.ledger,
                self.vision,
                online,
                waived_by(self.settings.keep_policy),
                lambda done, total: on_progress("again", done, total),
                stop,
            )
        except VisionError as error:
            log.warning("what moved before is looked at later: %s", error)
            return 0
        self._looked_again = not stop()
        return found

    def summarise(self, touched: dict[int, set[str]]) -> list[MonthSummary]:
        """Rewrite the logs of these months."""
        written: list[MonthSummary] = []
        for root in self.roots:
            for month in sorted(touched.get(root.id, ())):
                if not month:
                    continue
                summary, problem = summarise(
                    self.ledger, self.reviewer, self._log, self.settings, self.clock, root, month, self.model
                )
                self.problems.pop(f"summary {root.id} {month}", None)
                if problem:
                    self.problems[f"summary {root.id} {month}"] = problem
                written.append(summary)
        return written

    def use_model(self, name: str, *, on_progress: Progress = quiet) -> str:
        """Prepare another embedder and put it in force, without asking. Returns its id; see the two steps for the rest."""
        self.prepare_model(name, on_progress=on_progress)
        return self.switch_model(name, on_progress=on_progress)

    def catch_up(self, *, on_progress: Progress = quiet) -> None:
        """Look, index and group with the embedder in force, if it can be had; nothing moves."""
        if not self.ledger.get("embedder"):
            return
        self.reconcile(mark=False, on_progress=on_progress)
        try:
            self.ingest(on_progress=on_progress)
            self.summarise(self.cluster(on_progress=on_progress))
        except VisionError as error:  # perhaps the very reason to choose another
            self.problems["embedder"] = str(error)

    def prepare_model(self, name: str, *, on_progress: Progress = quiet, stop: Stop = never) -> bool:
        """See and compare every photo with another embedder, in the shadow of the one in force; nothing changes yet.

        False when it was stopped: call it again to go on, after a restart too. `pipeline.tune` says what the switch
        would change. Raises VisionError when the embedder cannot be had.
        """
        if self._shadow is None or self._asked != name:
            self._shadow, self._asked = self._prepare(name), name
        return self._shadow is None or self._shadow.advance(on_progress, stop)

    def _prepare(self, name: str) -> shadow.Shadow | None:
        """None when that is the embedder in force: then there is nothing to prepare, and what was is forgotten."""
        if self._shadow is not None:
            self._shadow.vision.rest()
        vision = self._worker(name)
        try:
            prepared = shadow.Shadow(self.ledger, vision, self.clock, self.settings.threshold)
            vision.load()  # status only chooses: a model that cannot be loaded must not be prepared
        except VisionError:
            vision.rest()
            raise
        if (prepared.model or "hashes") == self.ledger.get("embedder"):
            vision.rest()
            self._shadow = None
            self.drop_model()
            return None
        if self.ledger.get(shadow.IN_SHADOW) not in ("", prepared.model or "hashes"):
            shadow.drop(self.ledger)
        self.ledger.put(shadow.IN_SHADOW, prepared.model or "hashes")
        return prepared

    def switch_model(self, name: str, *, on_progress: Progress = quiet) -> str:
        """Put the prepared embedder in force, at once or not at all; verdicts, moves and their keepers stay. Returns its id."""
        self.prepare_model(name, on_progress=on_progress)
        chosen, self._shadow = self._shadow, None
        if chosen is None:
            return self.model
        touched = shadow.switch(
            self.ledger, self.disk, self.settings, self.clock, self.roots, chosen, on_progress
        )
        self.vision.rest()
        self.vision, self._tidied = chosen.vision, False
        self._tidy()
        for root, months in self.cluster(on_progress=on_progress).items():
            touched.setdefault(root, set()).update(months)
        self.summarise(touched)
        return chosen.model

    def calibrate(self, *, on_progress: Progress = quiet, stop: Stop = never) -> OwnThresholds | None:
        """Measure the thresholds of the embedder in force on these photos; all months wait to be grouped by them.

        Shipped ones stay in force: then this only measures. None when it was stopped: call it again to go on.
        Raises UsageError for hashes alone, NotCalibrated, VisionError.
        """
        if not self.model:
            raise UsageError(
                "hashes alone have no thresholds to measure: choose a model with `dedupd models use`"
            )
        if self._calibration is None or self._calibration.model != self.model:
            self._calibration = Calibration(self.ledger, self.vision, self.clock)
        found = self._calibration.advance(on_progress, stop)
        if found is not None:
            self._calibration = None
            with self.ledger.transaction():
                for row in () if shipped(found.model) else self.ledger.inventory.months():
                    self.ledger.inventory.change_month(row.root, row.month, self.clock.now())
        return found

    def drop_model(self) -> str:
        """Forget the embedder in preparation. Returns its id, '' when there was none."""
        dropped = self.ledger.get(shadow.IN_SHADOW)
        if self._shadow is not None:
            self._shadow.vision.rest()
            self._shadow = None
        if dropped:
            shadow.drop(self.ledger)
            self._tidied = False
        return dropped

    def _tidy(self) -> None:
        """Once, when the eyes are open anyway: what former models and recipes left in the index goes."""
        if not self._tidied:
            prepared = self.ledger.get(shadow.IN_SHADOW)
            self.vision.tidy([parse_model(prepared).id] if prepared else [])
            self._tidied = True

    # ---- use cases

    def scan(
        self, *, dry_run: bool = False, yes: bool = False, months: Iterable[Month] | None = None,
        ask: Callable[[int, dict[str, Any]], bool] | None = None, on_progress: Progress = quiet,
        stop: Stop = never,
    ) -> ScanOutcome:  # fmt: skip
        """One pass over all roots. `ask(files, report)` is called before anything moves, unless `yes`.

        Without `yes` and without `ask` nothing moves; `waiting` says how many files would. A dry run keeps
        the index and touches nothing under the roots. Stopped before its end, it moves nothing more.
        """
        chosen = None if months is None else list(months)
        if not dry_run:
            self.recover()
        changes = self.reconcile(mark=not dry_run, on_progress=on_progress, stop=stop)
        if not dry_run:
            changes.problems += self.reread(stop, SCAN_REREADS).said
        self.ingest(months=chosen, on_progress=on_progress, stop=stop, dry_run=dry_run)
        if not dry_run:
            for sentence in self.rescue():
                changes.problems.append(sentence)
        touched = self.cluster(chosen, on_progress=on_progress, stop=stop)
        self.look_again(on_progress=on_progress, stop=stop)
        moved = Moved()
        proposed = 0 if stop() else self._proposed(chosen)
        if proposed and not dry_run and (yes or (ask is not None and ask(proposed, self.report()))):
            self._wait_until_quiet(stop)
            moved = self.move(yes=True, months=chosen, on_progress=on_progress, stop=stop)
        waiting = 0 if dry_run else self._proposed(chosen)
        touched = self.months_of(moved, touched)
        if not dry_run:
            self.summarise(touched)
        return ScanOutcome(
            report=self.report(), months=tuple(self._month_results(touched, chosen)), moved=moved,
            problems=(*self.problems.values(), *changes.problems), waiting=waiting,
            not_looked_at=not_looked_at(self.ledger, self.roots),
        )  # fmt: skip

    def _proposed(self, months: Iterable[Month] | None) -> int:
        wanted = None if months is None else {str(m) for m in months}
        return sum(consent.proposals(self.ledger, r, wanted).files for r in self.roots if r.online)

    def _note_settings(self) -> None:
        """Other tiers, thresholds, policy or measures than the groups rest on: every month waits to be grouped again."""
        settings = self.settings
        by = (settings.tiers, settings.threshold, settings.keep_policy, settings.protected, settings.metadata)
        now = repr((*by, MEASURES))
        if self.ledger.get("grouped_by") == now:
            return
        with self.ledger.transaction():
            self.ledger.put("grouped_by", now)
            for row in self.ledger.inventory.months():
                self.ledger.inventory.change_month(row.root, row.month, self.clock.now())

    def _comparison(self) -> Comparison:
        """One for the life of this library and its eyes: that the index is whole is checked once, not for each photo."""
        if self._compares is None or self._compares.vision is not self.vision:
            self._compares = Comparison(self.ledger, self.vision, self.clock, self.settings.threshold)
        return self._compares

    def _wait_until_quiet(self, stop: Stop) -> None:
        """A move needs files unchanged for the settle time; photos copied seconds ago are waited for, once."""
        proposed = (g for r in self.roots if r.online for g in consent.proposals(self.ledger, r).groups)
        files = self.ledger.inventory.files_by_id(
            id for g in proposed for id in (g.keeper, *(m.file for m in g.members))
        )
        now, settle = self.clock.now(), self.settings.schedule.settle_seconds
        for file in files.values():
            if file.stat.ctime_ns / 1e9 > now:  # the clock was set back since
                self.mover.quiet.watch(file.stat)
        age = now - max((f.stat.ctime_ns / 1e9 for f in files.values()), default=0.0)
        if age < settle:
            wait(settle - max(age, 0.0) + 0.05, self.clock, stop)

    def thumbnails(self, files: Sequence[int], side: Side = 512) -> dict[str, str]:
        """File id -> path of a picture of at most `side` px; made on demand, kept in the cache."""
        return _thumbnails(self.ledger, self.roots, self.vision, files, side)

    def _month_results(
        self, touched: dict[int, set[str]], chosen: Sequence[Month] | None
    ) -> Iterator[MonthResult]:
        views = {(v.root, v.month): v for v in self.reviewer.months()}
        for root in self.roots:
            months: set[str] = set(touched.get(root.id, ())) | ({str(m) for m in chosen} if chosen else set())
            for month in sorted(m for m in months if m):
                groups = tuple(self.reviewer.report(self.ledger.judgement.groups(root.id, month)))
                view = views.get((root.path, month))
                moved = view.moved if view else 0
                from_groups = len({g.id for g in groups if g.moved_to})
                parsed = Month.parse(month)
                yield MonthResult(
                    root=root.path, year=parsed.year, month=parsed.month, photos=view.photos if view else 0,
                    groups=groups, moved=moved, bytes_saved=view.bytes_saved if view else 0,
                    line=moved_line(moved, from_groups, month),
                )  # fmt: skip

    def groups(self, month: str | None = None) -> list[GroupView]:
        """Every group of the configured roots, sidecars included, newest month first."""
        ids = {r.id for r in self.roots}
        return self.reviewer.report(g for g in self.ledger.judgement.groups(None, month) if g.root in ids)

    def report(self) -> dict[str, Any]:
        """The JSON report of DESIGN section 5."""
        return build_report(self.ledger, self.disk, self.roots, self.settings.keep_policy, self.clock.now())

    def taught_by(self, act: Callable[[Library], Moved]) -> tuple[Moved, list[int]]:
        """A person's act, and the ids of the verdicts that it stored: what `forget` takes back."""
        before = {v.id for v in self.ledger.judgement.verdicts()}
        moved = act(self)
        return moved, [v.id for v in self.ledger.judgement.verdicts() if v.id not in before]

    def close(self) -> None:
        self.vision.rest()
        if self._shadow is not None:
            self._shadow.vision.rest()
        self.ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def run_deduplication_for_months(
    months: Iterable[tuple[int, int]],
    root: str | Path,
    *,
    dry_run: bool = False,
    state_dir: str | Path | None = None,
    **changes: Any,
) -> list[MonthResult]:
    """Deduplicate these (year, month) pairs of one root, unattended relations only: calling it is the yes.

    >>> from dedupd import run_deduplication_for_months
    >>> for result in run_deduplication_for_months([(2024, 6), (2024, 7)], "~/Pictures", dry_run=True):
    ...     print(result.line, len(result.groups))

    Raises UsageError for a month that is none, and what Library.open raises.
    """
    try:
        wanted = [Month(year, month) for year, month in months]
    except (TypeError, ValueError) as error:
        raise UsageError(f"months must be (year, month) pairs, such as (2024, 6): {error}") from None
    with Library.open([Path(root).expanduser()], state_dir=state_dir, **changes) as library:
        outcome = library.scan(dry_run=dry_run, yes=not dry_run, months=wanted)
        if not library.roots[0].online:
            raise RootError(next(iter(library.problems.values())))
    return list(outcome.months)


def _eyes(settings: Settings) -> tuple[object, ...]:
    """What a worker is made with."""
    return settings.embedder, settings.batch_size, settings.schedule.worker_idle_seconds


def _scope(settings: Settings) -> Scope:
    """What of a root is looked at."""
    roots = frozenset(map(str, settings.roots))
    return Scope(ignore=settings.ignore, defaults=settings.ignore_defaults, roots=roots)


def _same_model(asked: str, recorded: str) -> bool:
    """A local checkpoint is recorded with its digest behind the name, a timm model with the tag of its weights."""
    known = parse_model(asked).id or "hashes"
    return known == recorded or recorded.startswith(
        (known + "#", known + ".") if asked.startswith("timm:") else known + "#"
    )


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value).expanduser()


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be made ({error.strerror}): use another --state-dir"
        ) from None


def _thumbnails(
    ledger: Ledger, known: Sequence[RootRow], vision: Vision, files: Sequence[int], side: Side
) -> dict[str, str]:
    roots = {r.id: r.path for r in known}
    rows = [f for f in ledger.inventory.files_by_id(files).values() if f.root in roots and f.content]
    made = vision.thumbnails([(os.path.join(roots[f.root], f.path), f.content or "") for f in rows], side)
    return {str(f.id): str(made[f.content]) for f in rows if f.content in made}


class LibraryView:
    """The state as it is, read only: for status, months, groups and show, with and without a daemon. Takes no lock."""

    def __init__(self, settings: Settings, where: Places) -> None:
        """Raises StateError when there is no ledger yet or it cannot be read."""
        self.settings, self._places, self.scope = settings, where, _scope(settings)
        self._vision: VisionWorker | None = None
        if not where.ledger.exists():
            raise StateError(
                f"there is nothing in {where.state} yet: start with `dedupd scan ROOT` or `dedupd run ROOT`"
            )
        self.ledger = Ledger(where.ledger, read_only=True)
        self.disk = LocalDisk()

    @property
    def roots(self) -> list[RootRow]:
        """The configured roots; all that were ever looked at when none is configured."""
        known = self.ledger.inventory.roots()
        configured = {str(p) for p in self.settings.roots}
        return [r for r in known if r.path in configured] or known

    @property
    def reviewer(self) -> Reviewer:
        return Reviewer(self.ledger, self.disk)

    def status(self, daemon: str = "stopped", beside: Sequence[str] = ()) -> StatusView:
        """`beside`: sentences that only a running daemon knows."""
        return status_view(self.ledger, self.roots, daemon=daemon, now=time.time(), beside=beside)

    def group_rows(
        self, *, month: str | None = None, root: str | None = None, relation: str | None = None,
        state: str | None = None, offset: int = 0, limit: int | None = None,
    ) -> tuple[list[GroupRow], int]:  # fmt: skip
        """Newest month first, and how many there are in all; `relation` and `state` as the views call them."""
        ids = [r.id for r in self.roots if root in (None, r.path)]
        return self.ledger.judgement.page(ids, month, relation, state, offset, limit)

    def report(self, month: str | None = None) -> dict[str, Any]:
        """The JSON report of DESIGN section 5; its groups of one month, if asked."""
        return build_report(self.ledger, self.disk, self.roots, self.settings.keep_policy, time.time(), month)

    def resolve(self, path: str) -> Resolved:
        return resolve(self.ledger, self.roots, path)

    def thumbnails(self, files: Sequence[int], side: Side = 512) -> dict[str, str]:
        """As Library.thumbnails, by a worker of its own: for when no daemon can be asked."""
        if self._vision is None:
            self._vision = VisionWorker(self._places.index, self._places.cache, "hashes")
        return _thumbnails(self.ledger, self.roots, self._vision, files, side)

    def close(self) -> None:
        if self._vision is not None:
            self._vision.rest()
        self.ledger.close()
