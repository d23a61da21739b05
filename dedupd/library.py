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
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.disk import LocalDisk
from dedupd.adapters.files import FileMover
from dedupd.adapters.ledger import Ledger
from dedupd.adapters.lock import Locks, hold
from dedupd.adapters.sidecars import SidecarFiles
from dedupd.adapters.summaries import SummaryFiles
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.models import parse as parse_model
from dedupd.config import Places, Settings, load, places
from dedupd.core.month import Month, month_folder
from dedupd.core.records import GroupRow, MonthRow, RootRow
from dedupd.core.relocation import Goal, Move, MoveOrder, MoveState
from dedupd.core.summary import MonthSummary, moved_line
from dedupd.core.thresholds import OwnThresholds, shipped
from dedupd.errors import AlreadyRunning, RootError, StateError, UsageError, VisionError
from dedupd.pipeline import consent, relocate, shadow
from dedupd.pipeline.annotate import Annotator
from dedupd.pipeline.calibrate import Calibration
from dedupd.pipeline.ingest import ingest
from dedupd.pipeline.learning import relearn
from dedupd.pipeline.orders import Companions, NotYet, orders_for
from dedupd.pipeline.placing import InStep, place
from dedupd.pipeline.recluster import Comparison, decide
from dedupd.pipeline.reconcile import Changes, identify, reconcile, reconcile_folders
from dedupd.pipeline.review import Reviewer, build_report, resolve, status_view
from dedupd.pipeline.summarise import summarise
from dedupd.ports import Clock, Vision
from dedupd.protocol.messages import GroupView, Resolved, StatusView

log = logging.getLogger("dedupd.library")
RESCUE_AGAIN_SECONDS = 600.0
"""How long a rescue that failed (a full or read-only disk) is left before it is tried again."""
Progress = Callable[[str, int, int], None]
"""progress(phase, done, total); total 0: not known."""


def _quiet(phase: str, done: int, total: int) -> None:
    pass


@dataclass(slots=True, kw_only=True)
class Moved:
    """What a round of moves did."""

    files: int = 0
    """Photos and companions that moved."""
    restored: int = 0
    waiting: int = 0
    """Files that would move after a yes."""
    messages: list[str] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    refused: list[Move] = field(default_factory=list)


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
        self.mover = FileMover(self.clock, settings.schedule.settle_seconds)
        self.vision: Vision = vision or self._worker()
        self._in_step = InStep(self.ledger, self.clock)
        self._compares: Comparison | None = None
        self._shadow: shadow.Shadow | None = None
        self._calibration: Calibration | None = None
        self._asked = ""
        """The name the embedder in preparation was asked for by."""
        self._tidied = False
        self._rescue_after: dict[int, float] = {}
        """Group -> monotonic time before which bringing its copies back is not tried again."""
        self.problems: dict[str, str] = {}
        """What a person should know, by subject; replaced when the subject is looked at again."""
        self._log = SummaryFiles(where.logs)
        self._roots = [self._root(path) for path in settings.roots]

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
        recorded, asked = self.ledger.get("embedder"), self.settings.embedder
        if recorded and not embedder and asked != "auto" and not _same_model(asked, recorded):
            raise UsageError(
                f"this library's photos were seen with {recorded}, not with {asked}: "
                f"switch with `dedupd models use {asked}`, or leave the embedder out"
            )
        setting = embedder or recorded or asked
        return VisionWorker(
            index_dir=self.places.index, cache_dir=self.places.cache, embedder=setting,
            batch_size=self.settings.batch_size, idle_seconds=self.settings.schedule.worker_idle_seconds,
        )  # fmt: skip

    def _root(self, path: Path) -> RootRow:
        with self.ledger.transaction():
            return self.ledger.inventory.add_root(str(path))

    @property
    def roots(self) -> list[RootRow]:
        """The configured roots as the ledger knows them now."""
        ids = {r.id for r in self._roots}
        return [r for r in self.ledger.inventory.roots() if r.id in ids]

    @property
    def reviewer(self) -> Reviewer:
        return Reviewer(self.ledger, self.disk)

    @property
    def model(self) -> str:
        """The embedder in force, as recorded; '' before anything was seen or with hashes alone."""
        return self.ledger.get("model")

    # ---- one pass, step by step

    def recover(self) -> list[Move]:
        """Finish or take back what a crash interrupted; before anything else moves."""
        ended = relocate.recover(self._in_step, self.mover, self.clock)
        place(
            self.ledger,
            self.ledger.journal.moves(ids=self.ledger.inventory.misplaced_moves()),
            self.clock.now(),
        )
        self.annotate(see=False)
        for move in self.ledger.journal.attention():
            self.problems[f"move {move.id}"] = f"{move.src}: {move.error}"
        return ended

    def reconcile(self, *, mark: bool = True, on_progress: Progress = _quiet) -> Changes:
        """Compare every root with the ledger. A root that is not surely itself is left alone and told of."""
        total = Changes()
        for root in self.roots:
            known = self._surely(root, mark=mark)
            if known is None:
                continue
            found = reconcile(
                known, self.ledger, self.disk, self.clock, self.settings.ignore,
                lambda done, before=total.files: on_progress("look", before + done, 0),
            )  # fmt: skip
            _add(total, found)
        return total

    def reconcile_folders(self, root: RootRow, folders: Mapping[str, bool]) -> Changes:
        """The same for what the watcher hinted at: folder -> whether everything below it may have changed."""
        known = self._surely(root, mark=True)
        if known is None:
            return Changes()
        return reconcile_folders(known, self.ledger, self.disk, self.clock, self.settings.ignore, folders)

    def _surely(self, root: RootRow, *, mark: bool) -> RootRow | None:
        """The root when it is there and itself; else None, and people are told why."""
        self.problems.pop(root.path, None)
        try:
            known = identify(root, self.ledger, self.disk, mark=mark)
            # A disk that came later, or another one at this path, is held from now on.
            if self._locks is not None:
                self._locks.add(Path(root.path))
        except (RootError, AlreadyRunning) as error:
            self.problems[root.path] = str(error)
            return None
        if mark and not known.uuid:
            self.problems[root.path] = (
                f"{root.path} is read-only: duplicates are reported, nothing moves there"
            )
        return known

    def ingest(
        self,
        *,
        months: Iterable[Month] | None = None,
        on_progress: Progress = _quiet,
        stop: Callable[[], bool] = lambda: False,
    ) -> int:
        """Look at what nobody has looked at yet; with `months`, skip files whose folder names another month."""
        self._see()
        wanted = None if months is None else set(months)

        def choose(path: str) -> bool:
            folder = month_folder(path)
            return wanted is None or folder is None or folder[0] in wanted

        return ingest(
            self.ledger,
            self.vision,
            self.clock,
            lambda done, total: on_progress("index", done, total),
            stop,
            choose,
        )

    def _see(self) -> None:
        """Find out which embedder is in force, record the choice once, and re-look at what another one saw."""
        if not self.ledger.inventory.to_look_at() and self.ledger.get("recipe"):
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
        self, months: Iterable[Month] | None = None, *, everything: bool = False, on_progress: Progress = _quiet,
        stop: Callable[[], bool] = lambda: False,
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
        self, waiting: Sequence[MonthRow], online: Mapping[int, RootRow], on_progress: Progress, stop: Callable[[], bool]
    ) -> dict[int, set[str]]:  # fmt: skip
        comparison = self._comparison()
        touched: dict[int, set[str]] = {}
        compared = 0
        for row in waiting:
            if stop():
                break
            on_progress("compare", compared, len(waiting))
            if not comparison.month(row.root, row.month, on_progress, stop):
                break
            compared += 1
        for done, row in enumerate(waiting[:compared]):
            if stop():
                break
            on_progress("group", done, len(waiting))
            changes = self.ledger.inventory.changes(row.root, row.month)
            touched.setdefault(row.root, set()).update(
                decide(
                    self.ledger, self.disk, self.settings, self.clock, online[row.root], row.month, self.model
                )
            )
            with self.ledger.transaction():
                self.ledger.inventory.clustered_month(row.root, row.month, changes, self.clock.now())
        return touched

    def move(
        self, *, yes: bool = False, months: Iterable[Month] | None = None, on_progress: Progress = _quiet
    ) -> Moved:
        """Move what may move unattended; `yes` is a person's yes for what is proposed now (of `months`), breaker included."""
        result = Moved()
        wanted = None if months is None else {str(m) for m in months}
        for root in self.roots:
            if not root.online:
                continue
            found = (
                consent.proposals(self.ledger, root, wanted)
                if yes
                else consent.allowed(self.ledger, root, self.clock.now())
            )
            if found.waits:
                result.waiting += found.files
                result.messages.append(found.waits)
                continue
            before = result.files
            self._relocate(root, [(g, g.members) for g in found.groups], result, on_progress)
            if result.files > before:
                consent.backlog_done(self.ledger, root, self.clock.now())
        self.annotate()
        return result

    def _relocate(
        self,
        root: RootRow,
        chosen: Sequence[tuple[GroupRow, Sequence[Any]]],
        result: Moved,
        on_progress: Progress = _quiet,
    ) -> None:
        if not chosen:
            return
        obstacle = self._obstacle(root)
        if obstacle:
            result.messages.append(obstacle)
            return
        self._comparison().make_whole()
        companions = Companions(self.ledger, self.disk, root, self.settings.ignore)
        orders: list[MoveOrder] = []
        for group, members in chosen:
            found, stays = orders_for(self.ledger, companions, root, group, members)
            orders += found
            with self.ledger.transaction():
                for file, why in stays.items():
                    if not isinstance(why, NotYet):
                        self.ledger.judgement.set_role(group.id, file, "review", str(why))
        again = {
            o.src for o in orders if o.primary and self.ledger.journal.moves(content=o.content, held=True)
        }
        ended = relocate.relocate(orders, self.mover, self._in_step, self.clock, on_progress)
        place(self.ledger, ended, self.clock.now())  # what was refused before anything was journaled
        if settled := sorted(m.src for m in ended if m.held and m.src in again):
            log.info(
                "%d file(s) settled before came back and were settled again, first %s",
                len(settled),
                settled[0],
            )
        result.moves += [m for m in ended if m.held]
        result.files += sum(m.held for m in ended)
        result.refused += [m for m in ended if m.state is MoveState.ABORTED]
        result.messages += [f"{m.src} stays: {m.error}" for m in ended if not m.held and m.primary]

    def _obstacle(self, root: RootRow) -> str:
        """Why nothing may move in this root; '' when it may."""
        if self._surely(root, mark=False) is None:
            return self.problems[root.path]
        if not root.uuid:
            return f"{root.path} is read-only: nothing moves there"
        if not self.settings.allow_shared_roots and self.disk.shared(root.path):
            return (
                f"{root.path} can be written by other users, so nothing moves there: "
                "set allow_shared_roots = true in config.toml if you trust them"
            )
        return ""

    def annotate(self, *, see: bool = True) -> None:
        """Sidecars beside keepers: written when copies moved, taken away when they came back. `see`: photos may be read."""
        waiting = {row.root for row in self.ledger.sidecars.unsettled()}
        annotator = Annotator(
            self.ledger, self.vision, self.disk, SidecarFiles(), self.settings.ignore,
            on=self.settings.metadata == "sidecar",
        )  # fmt: skip
        for root in self.ledger.inventory.roots():
            if root.id not in waiting or self._surely(root, mark=False) is None:
                continue
            try:
                for sentence in annotator.settle(root, see=see):
                    log.info("%s", sentence)
            except VisionError as error:
                log.warning("sidecars are written later: %s", error)

    def rescue(self) -> list[str]:
        """P8: held copies whose keeper vanished or changed come back at once. Returns sentences for people."""
        said: list[str] = []
        for root in self.roots:
            known = self._surely(root, mark=True) if self._keepers_lost(root) else None
            if known is None:
                continue
            # A keeper that was only renamed is found by a full look, and then it is not lost.
            reconcile(known, self.ledger, self.disk, self.clock, self.settings.ignore)
            for group in self._keepers_lost(known):
                said += self._bring_back(group)
            self.annotate(see=False)
        return said

    def _keepers_lost(self, root: RootRow) -> list[int]:
        """Groups with held copies whose keeper is gone; those that could not be helped wait a while."""
        now = self.clock.monotonic()
        return [
            group
            for group, path, changed in self.ledger.judgement.keepers_with_copies(root.id)
            if now >= self._rescue_after.get(group, now)
            and (changed or path is None or self.disk.gone(root.path, path))
        ]

    def _bring_back(self, group: int) -> list[str]:
        held = self.ledger.journal.moves(group=group, held=True)
        try:
            ended = relocate.undo(held, self.mover, self._in_step, self.clock, goal=Goal.RETURNED)
        except RootError as error:
            return [str(error)]
        back = [m for m in ended if m.state is MoveState.DONE and m.goal is Goal.RETURNED]
        if len(back) < len(ended):
            self._rescue_after[group] = self.clock.monotonic() + RESCUE_AGAIN_SECONDS
        said = [
            f"the keeper {m.keeper} is gone and its copy {m.dst} could not be brought back: {m.error}"
            for m in ended
            if m not in back
        ]
        if back:
            first = back[0].restored or back[0].src
            said.append(
                f"{back[0].keeper} is gone or was changed, so {len(back)} file(s) came back, first {first}"
            )
        return said

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

    def use_model(self, name: str, *, on_progress: Progress = _quiet) -> str:
        """Prepare another embedder and put it in force, without asking. Returns its id; see the two steps for the rest."""
        self.prepare_model(name, on_progress=on_progress)
        return self.switch_model(name, on_progress=on_progress)

    def catch_up(self, *, on_progress: Progress = _quiet) -> None:
        """Look, index and group with the embedder in force, if it can be had; nothing moves."""
        if not self.ledger.get("embedder"):
            return
        self.reconcile(mark=False, on_progress=on_progress)
        try:
            self.ingest(on_progress=on_progress)
            self.summarise(self.cluster(on_progress=on_progress))
        except VisionError as error:  # perhaps the very reason to choose another
            self.problems["embedder"] = str(error)

    def prepare_model(
        self, name: str, *, on_progress: Progress = _quiet, stop: Callable[[], bool] = lambda: False
    ) -> bool:
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

    def switch_model(self, name: str, *, on_progress: Progress = _quiet) -> str:
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

    def calibrate(
        self, *, on_progress: Progress = _quiet, stop: Callable[[], bool] = lambda: False
    ) -> OwnThresholds | None:
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
        ask: Callable[[int, dict[str, Any]], bool] | None = None, on_progress: Progress = _quiet,
    ) -> ScanOutcome:  # fmt: skip
        """One pass over all roots. `ask(files, report)` is called before anything moves, unless `yes`.

        Without `yes` and without `ask` nothing moves; `waiting` says how many files would. A dry run keeps
        the index and touches nothing under the roots.
        """
        chosen = None if months is None else list(months)
        if not dry_run:
            self.recover()
        changes = self.reconcile(mark=not dry_run, on_progress=on_progress)
        self.ingest(months=chosen, on_progress=on_progress)
        if not dry_run:
            for sentence in self.rescue():
                changes.problems.append(sentence)
        touched = self.cluster(chosen, on_progress=on_progress)
        moved = Moved()
        proposed = self._proposed(chosen)
        if proposed and not dry_run and (yes or (ask is not None and ask(proposed, self.report()))):
            self._wait_until_quiet()
            moved = self.move(yes=True, months=chosen, on_progress=on_progress)
        waiting = 0 if dry_run else self._proposed(chosen)
        touched = self.months_of(moved, touched)
        if not dry_run:
            self.summarise(touched)
        return ScanOutcome(
            report=self.report(), months=tuple(self._month_results(touched, chosen)), moved=moved,
            problems=(*self.problems.values(), *changes.problems), waiting=waiting,
        )  # fmt: skip

    def _proposed(self, months: Iterable[Month] | None) -> int:
        wanted = None if months is None else {str(m) for m in months}
        return sum(consent.proposals(self.ledger, r, wanted).files for r in self.roots if r.online)

    def _note_settings(self) -> None:
        """Other tiers, thresholds or policy than the groups rest on: every month waits to be grouped again (nothing is decoded)."""
        now = repr(
            (self.settings.tiers, self.settings.threshold, self.settings.keep_policy, self.settings.protected)
        )
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

    def _wait_until_quiet(self) -> None:
        """A move needs files unchanged for the settle time; photos copied seconds ago are waited for, once."""
        proposed = (g for r in self.roots if r.online for g in consent.proposals(self.ledger, r).groups)
        files = self.ledger.inventory.files_by_id(
            id for g in proposed for id in (g.keeper, *(m.file for m in g.members))
        )
        age = self.clock.now() - max((f.stat.ctime_ns / 1e9 for f in files.values()), default=0.0)
        settle = self.settings.schedule.settle_seconds
        if 0 <= age < settle:
            self.clock.sleep(settle - age + 0.05)

    def consent(self) -> None:
        """`run --yes`: the first moves of each root may go (P12); the breaker counts once they are through."""
        for root in self.roots:
            if root.consented_at is None:
                consent.say_yes(self.ledger, root, self.clock.now())

    def months_of(self, moved: Moved, touched: Mapping[int, set[str]]) -> dict[int, set[str]]:
        """Root id -> months whose summaries these moves change: each file's own and its keeper's."""
        months = {root: set(names) for root, names in touched.items()}
        ids = {r.path: r.id for r in self.roots}
        for move in [*moved.moves, *moved.refused]:
            group = self.ledger.judgement.group(move.group)
            names = {self._month_of(move), group.month if group else ""}
            if move.root in ids:  # an undo may reach into a folder that is configured no more
                months.setdefault(ids[move.root], set()).update(name for name in names if name)
        return months

    def thumbnails(self, files: Sequence[int]) -> dict[str, str]:
        """File id -> path of a JPEG of at most 512 px; made on demand, kept in the cache."""
        return _thumbnails(self.ledger, self.roots, self.vision, files)

    def forget(self, lesson: int) -> Moved:
        """Take one verdict back, as if it had never been said."""
        with self.ledger.transaction():
            verdict = self.ledger.judgement.remove_verdict(lesson)
            if verdict is not None:
                for content in (verdict.a, verdict.b):
                    for file in self.ledger.inventory.live_with_content(content) if content else ():
                        self.ledger.inventory.change_month(file.root, file.month, self.clock.now())
        self.cluster()
        return Moved(messages=[] if verdict else [f"there is no lesson {lesson}"])

    def learn(self, lessons: Iterable[tuple[str, str, str, Sequence[str]]]) -> None:
        """Take in verdicts (kind, a, b, paths) from elsewhere: by content, so they hold wherever the photos lie."""
        with self.ledger.transaction():
            for kind, a, b, paths in lessons:
                self.ledger.judgement.add_verdict(kind, a, b, paths, self.clock.now())
                for file in self.ledger.inventory.live_with_content(a):
                    self.ledger.inventory.change_month(file.root, file.month, self.clock.now())
        self.cluster()

    def _month_of(self, move: Move) -> str:
        row = self.ledger.inventory.file(move.file)
        return row.month if row else ""

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
        ids = {r.id for r in self._roots}
        return self.reviewer.report(g for g in self.ledger.judgement.groups(None, month) if g.root in ids)

    def report(self) -> dict[str, Any]:
        """The JSON report of DESIGN section 5."""
        return build_report(self.ledger, self.disk, self.roots, self.settings.keep_policy, self.clock.now())

    def approve(self, groups: Sequence[int]) -> Moved:
        """A person's yes: everything of these groups moves, review members too, and is remembered as 'same'."""
        result = Moved()
        for id in groups:
            group = self.ledger.judgement.group(id)
            if group is None:
                result.messages.append(f"there is no group {id} any more")
                continue
            members = [m for m in group.members if m.role in {"duplicate", "review"}]
            self.move_members(group, members, result)
        return result

    def move_members(self, group: GroupRow, members: Sequence[Any], result: Moved) -> None:
        """Move these members on a person's word."""
        keeper = self.ledger.inventory.file(group.keeper)
        files = self.ledger.inventory.files_by_id(m.file for m in members)
        with self.ledger.transaction():
            for file in files.values():
                if keeper and keeper.content and file.content:
                    self.ledger.judgement.drop_verdict("different", keeper.content, file.content)
                    self.ledger.judgement.drop_verdict("keep", file.content, "")
                    self.ledger.judgement.add_verdict(
                        "same", keeper.content, file.content, [keeper.path, file.path], self.clock.now()
                    )
        root = next((r for r in self.roots if r.id == group.root), None)
        if root is not None:
            self._relocate(root, [(group, members)], result)
            self.annotate()

    def approve_all(self) -> Moved:
        """The yes of P12: what is proposed now moves, and from now on the rest of those roots follows unattended.

        A root that proposes nothing yet is not meant: nobody can have looked.
        """
        asked = [r for r in self.roots if r.online and consent.proposals(self.ledger, r).files]
        for root in asked:
            consent.say_yes(self.ledger, root, self.clock.now())
        result = self.move(yes=True)
        for root in asked:
            consent.say_yes(self.ledger, root, self.clock.now())
        return result

    def reject(self, groups: Sequence[int]) -> Moved:
        """Not duplicates, for ever and by content: moved members come back, and the group splits at once."""
        result = Moved()
        for id in groups:
            group = self.ledger.judgement.group(id)
            if group is None:
                result.messages.append(f"there is no group {id} any more")
                continue
            self.tell_apart(group, [m.file for m in group.members], result)
        return result

    def tell_apart(self, group: GroupRow, files: Sequence[int], result: Moved) -> None:
        """These members are no duplicates of their keeper (nor, through it, of each other's group)."""
        # Back first: a crash must not leave a file held of which a person said that it is no duplicate.
        chosen = {str(f) for f in files}
        held = self.ledger.journal.moves(group=group.id, held=True)
        self.put_back([m for m in held if m.unit.rpartition(":")[2] in chosen], result)
        keeper = self.ledger.inventory.file(group.keeper)
        rows = self.ledger.inventory.files_by_id(files)
        with self.ledger.transaction():
            for row in rows.values():
                if keeper is None or not keeper.content or not row.content:
                    result.messages.append(
                        f"{row.path} is being looked at again: say it once more in a moment"
                    )
                    continue
                self.ledger.judgement.drop_verdict("same", keeper.content, row.content)
                # Putting it back wrote one down already, as of a file that is merely put back.
                self.ledger.judgement.drop_verdict("different", keeper.content, row.content)
                self.ledger.judgement.add_verdict(
                    "different", keeper.content, row.content, [keeper.path, row.path], self.clock.now()
                )
                self.ledger.inventory.change_month(row.root, row.month, self.clock.now())
        for month in {group.month, *(r.month for r in rows.values())}:
            root = next((r for r in self.roots if r.id == group.root), None)
            if root is not None and month:
                decide(self.ledger, self.disk, self.settings, self.clock, root, month, self.model)

    def judge(
        self,
        group: GroupRow,
        *,
        keeper: int | None,
        move: Sequence[int],
        different: Sequence[int],
        keep: Sequence[int],
    ) -> Moved:
        """A verdict picture by picture. Another keeper is possible only while nothing of the group has moved."""
        result = Moved()
        if different:
            self.tell_apart(group, different, result)
            group = self.ledger.judgement.group(group.id) or replace(group, members=())
        self.keep(keep)
        if keeper is not None and keeper != group.keeper:
            group = self._with_keeper(group, keeper)
        self.move_members(group, [m for m in group.members if m.file in move and m.role != "moved"], result)
        return result

    def _with_keeper(self, group: GroupRow, keeper: int) -> GroupRow:
        if any(m.role == "moved" for m in group.members):
            raise UsageError(f"group {group.id} has moved files, so its keeper stays: undo them first")
        chosen = next((m for m in group.members if m.file == keeper), None)
        if chosen is None:
            raise UsageError(
                f"file {keeper} is not in group {group.id}: look again with `dedupd show {group.id}`"
            )
        swapped = [replace(chosen, file=group.keeper, role="review")]
        others = [replace(m, role="review") for m in group.members if m.file != keeper]
        with self.ledger.transaction():
            self.ledger.judgement.remove_group(group.id)
            id = self.ledger.judgement.put_group(
                group.root, keeper, group.month, ["you chose it"], [*swapped, *others], self.clock.now()
            )
        found = self.ledger.judgement.group(id)
        assert found is not None
        return found

    def keep(self, files: Iterable[int]) -> None:
        """Duplicates that shall stay where they are: never moved, never asked about again."""
        with self.ledger.transaction():
            for row in self.ledger.inventory.files_by_id(files).values():
                if row.content:
                    self.ledger.judgement.add_verdict("keep", row.content, "", [row.path], self.clock.now())
                    for group in self.ledger.judgement.groups_with_file(row.id):
                        if any(m.file == row.id and m.role != "moved" for m in group.members):
                            self.ledger.judgement.set_role(group.id, row.id, "stays", "a person keeps it")
                    self.ledger.inventory.change_month(row.root, row.month, self.clock.now())

    def undo(self, moves: Sequence[Move]) -> Moved:
        """Put these files back; what a person put back never moves again (P11)."""
        result = Moved()
        self.put_back(moves, result)
        return result

    def put_back(self, moves: Sequence[Move], result: Moved) -> None:
        if not moves:
            return
        units = {(m.batch, m.unit) for m in moves}
        whole = [
            m
            for batch in {m.batch for m in moves}
            for m in self.ledger.journal.moves(batch=batch, held=True)
            if (m.batch, m.unit) in units
        ]
        ended: list[Move] = []
        for root in sorted({m.root for m in whole}):
            try:
                if self._locks is not None:
                    self._locks.add(Path(root))
                ended += relocate.undo(
                    [m for m in whole if m.root == root], self.mover, self._in_step, self.clock
                )
            except (RootError, AlreadyRunning) as error:
                result.messages.append(str(error))
        place(self.ledger, ended, self.clock.now())
        self.annotate()
        back = [m for m in ended if m.goal is Goal.UNDONE and m.state is MoveState.DONE]
        result.restored += len(back)
        result.moves += back
        result.messages += [f"{m.dst} could not be put back: {m.error}" for m in ended if m not in back]

    def held(
        self, *, month: str | None = None, last: bool = False, everything: bool = False, group: int | None = None,
        ids: Iterable[int] | None = None,
    ) -> list[Move]:  # fmt: skip
        """The moves an undo means: of a month, the last batch, a group, given ids, or all that lie in duplicates/ now."""
        journal = self.ledger.journal
        if last:
            batch = journal.last_batch()
            return journal.moves(batch=batch, held=True) if batch else []
        if ids is not None:
            return journal.moves(ids=ids, held=True)
        if group is not None:
            return journal.moves(group=group, held=True)
        moves = journal.moves(held=True)
        if month is not None:
            return [m for m in moves if self._month_of(m) == month]
        return moves if everything else []

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


def _same_model(asked: str, recorded: str) -> bool:
    """A local checkpoint is recorded with its digest behind the name."""
    known = parse_model(asked).id or "hashes"
    return known == recorded or recorded.startswith(known + "#")


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value).expanduser()


def _add(total: Changes, found: Changes) -> None:
    for name in ("new", "changed", "renamed", "absent", "files"):
        setattr(total, name, getattr(total, name) + getattr(found, name))
    total.problems += found.problems


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StateError(
            f"the state folder {folder} cannot be made ({error.strerror}): use another --state-dir"
        ) from None


def _thumbnails(
    ledger: Ledger, known: Sequence[RootRow], vision: Vision, files: Sequence[int]
) -> dict[str, str]:
    roots = {r.id: r.path for r in known}
    rows = [f for f in ledger.inventory.files_by_id(files).values() if f.root in roots and f.content]
    made = vision.thumbnails([(os.path.join(roots[f.root], f.path), f.content or "") for f in rows])
    return {str(f.id): str(made[f.content]) for f in rows if f.content in made}


class LibraryView:
    """The state as it is, read only: for status, months, groups and show, with and without a daemon. Takes no lock."""

    def __init__(self, settings: Settings, where: Places) -> None:
        """Raises StateError when there is no ledger yet or it cannot be read."""
        self.settings, self._places = settings, where
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

    def status(self, daemon: str = "stopped") -> StatusView:
        return status_view(self.ledger, self.roots, daemon=daemon, now=time.time())

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

    def thumbnails(self, files: Sequence[int]) -> dict[str, str]:
        """As Library.thumbnails, by a worker of its own: for when no daemon can be asked."""
        if self._vision is None:
            self._vision = VisionWorker(self._places.index, self._places.cache, "hashes")
        return _thumbnails(self.ledger, self.roots, self._vision, files)

    def close(self) -> None:
        if self._vision is not None:
            self._vision.rest()
        self.ledger.close()
