"""The order of a pass: recover, reconcile, read again, ingest, rescue, group, check what is held, move, summarise.

`scan` does all steps at once. The daemon (daemon/jobs.py) does the same steps one by one, whenever one is due, and lets
people come in between. Must never move a file without a yes or the consent of the root (P12).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from dedupd.core.dominance import waived_by
from dedupd.core.month import Month, month_folder
from dedupd.core.narrowing import Narrowing
from dedupd.core.photo import FileState
from dedupd.errors import VisionError
from dedupd.library.build import Parts
from dedupd.library.models import Models
from dedupd.library.scan_outcome import ScanOutcome, month_results
from dedupd.pipeline import consent, held_better, placeholders
from dedupd.pipeline.compare import Opens
from dedupd.pipeline.foreign_folders import not_looked_at
from dedupd.pipeline.forget import forget_missing, forget_rows
from dedupd.pipeline.ingest import ingest, ingest_again, readmit_media
from dedupd.pipeline.movement import Moved
from dedupd.pipeline.narrow import Narrowed
from dedupd.pipeline.roots import quiet
from dedupd.pipeline.slices import Stop, never, wait
from dedupd.ports import Progress

log = logging.getLogger("dedupd.library")
SCAN_REREADS = 1 << 30
"""Bytes of doubtful files that one scan reads again, at most; a daemon has more time."""
SCAN_DEFERRED = 64
"""Photos of large families that a scan compares to their end; of more a daemon does in idle hours."""


class Passes:
    """The steps of a pass, in order, and those steps that need more than one part."""

    def __init__(self, parts: Parts, models: Models) -> None:
        self._parts, self._models = parts, models
        self._held_checked_for: str | None = None
        """The keep policy for which held copies were compared with their keepers since the start."""
        self._asked_for_blocks = False
        """Whether placeholders were tried out since the start: an older dedupd, or a read-only root, could not do it."""

    def scan(
        self, *, dry_run: bool = False, yes: bool = False, months: Iterable[Month] | None = None,
        narrowing: Narrowing | None = None, ask: Callable[[int, dict[str, Any]], bool] | None = None,
        on_progress: Progress = quiet, stop: Stop = never, brief: bool = False,
    ) -> ScanOutcome:  # fmt: skip
        """One whole pass; see Library.scan. `brief`: its outcome without the groups, for who reads them from the ledger."""
        parts = self._parts
        chosen = None if months is None else list(months)
        only = None if narrowing is None or narrowing.everything else parts.narrowed(narrowing)
        opens = None if only is None else only.looks_at
        if not dry_run:
            parts.recover()
        changes = parts.roots.reconcile(mark=not dry_run, on_progress=on_progress, stop=stop)
        if not dry_run:
            changes.problems += parts.rereader.read_on(stop, SCAN_REREADS).said
        self.ingest(months=chosen, opens=opens, on_progress=on_progress, stop=stop, dry_run=dry_run)
        if not dry_run:
            changes.problems += parts.movement.rescue(stop)
        touched = self.group(chosen, opens=opens, on_progress=on_progress, stop=stop)
        self.check_held(on_progress=on_progress, stop=stop)
        moved = Moved()
        proposed = 0 if stop() else self._proposed(chosen, only)
        if proposed and not dry_run and (yes or (ask is not None and ask(proposed, parts.report(only)))):
            self._wait_until_settled(only, stop)
            moved = parts.movement.move(
                yes=True, months=chosen, only=only, on_progress=on_progress, stop=stop
            )
        waiting = 0 if dry_run else self._proposed(chosen, only)
        touched = parts.movement.months_of(moved, touched)
        written = set[tuple[str, str]]()
        if not dry_run:
            for root, more in parts.grouper.worked_off().items():
                touched.setdefault(root, set()).update(more)
            parts.summaries.rewrite(touched)
            written = {
                (root.path, month)
                for root in parts.roots.all
                for month in touched.get(root.id, ())
                if parts.summaries.is_written(root.id, month)
            }
        results = month_results(
            parts.ledger, parts.reviewer, parts.roots.all, touched, chosen, written, brief=brief
        )
        return ScanOutcome(
            report={} if brief else parts.report(only), months=tuple(results), moved=moved, found=proposed,
            problems=(*parts.roots.problems.values(), *changes.problems), waiting=waiting,
            not_looked_at=not_looked_at(parts.ledger, parts.roots.all), left_to_compare=parts.grouper.left(),
        )  # fmt: skip

    def ingest(
        self, *, months: Iterable[Month] | None = None, opens: Opens | None = None,
        on_progress: Progress = quiet, stop: Stop = never, dry_run: bool = False,
    ) -> int:  # fmt: skip
        """Decode, hash and embed what is new; with `months`, skip files whose folder names another month; with
        `opens`, those that must not be opened.

        Returns how many became photos. `dry_run`: without finding out in the roots whether what looks like a
        placeholder of a cloud is one.
        """
        parts, ledger = self._parts, self._parts.ledger
        readmit_media(ledger)
        self._trust_devices(dry_run=dry_run)
        self._models.record()
        wanted = None if months is None else set(months)

        def choose(path: str, root: str) -> bool:
            folder = month_folder(path, root)
            return folder is None or folder[0] in (wanted or ())

        def ingest_new() -> int:
            return ingest(
                ledger, parts.vision, parts.clock, lambda done, total: on_progress("index", done, total), stop,
                None if wanted is None else choose, opens or (lambda file, root: True),
            )  # fmt: skip

        skipped = ledger.files.count(state=FileState.SKIPPED)
        photos = ingest_again(ledger, parts.vision, parts.clock, stop) + ingest_new()
        more = ledger.files.count(state=FileState.SKIPPED) > skipped or not self._asked_for_blocks
        if more and not dry_run and not stop():
            self._asked_for_blocks = True
            if placeholders.found_out(ledger, parts.disk, parts.roots.all):
                self._trust_devices(dry_run=False)
                photos += ingest_new()
        if not stop() and not ledger.files.any_to_read():
            forget_missing(ledger, parts.clock)
            if photos:
                forget_rows(ledger, parts.vision, parts.clock)
        return photos

    def group(
        self, months: Iterable[Month] | None = None, *, opens: Opens | None = None,
        on_progress: Progress = quiet, stop: Stop = never,
    ) -> dict[int, set[str]]:  # fmt: skip
        """Compare and group the months that changed, large families to their end where they are few. Returns root id ->
        months touched."""
        grouper = self._parts.grouper
        touched = grouper.regroup(months, opens=opens, on_progress=on_progress, stop=stop)
        # What a narrowed scan may not open would be taken for compared.
        if opens is None and grouper.left() <= SCAN_DEFERRED and grouper.compare_deferred(stop):
            for root, more in grouper.regroup(months, on_progress=on_progress, stop=stop).items():
                touched.setdefault(root, set()).update(more)
        return touched

    def check_held(self, *, on_progress: Progress = quiet, stop: Stop = never) -> int:
        """Compare what an older dedupd moved with its keepers, each pair once. Returns how many hold what their keeper lacks.

        What cannot be read is asked about again when dedupd is started anew.
        """
        parts = self._parts
        policy = parts.settings.keep_policy
        if self._held_checked_for == policy:
            return 0
        online = [r.path for r in parts.roots.all if r.online]
        try:
            found = held_better.check_held(
                parts.ledger, parts.vision, online, waived_by(policy),
                lambda done, total: on_progress("again", done, total), stop,
            )  # fmt: skip
        except VisionError as error:
            log.warning("what moved before is looked at later: %s", error)
            return 0
        self._held_checked_for = None if stop() else policy
        return found

    def catch_up(self, *, on_progress: Progress = quiet) -> None:
        """Reconcile, ingest and group with the embedder in force, if it is available; nothing moves."""
        parts = self._parts
        if not parts.ledger.get("embedder"):
            return
        parts.roots.reconcile(mark=False, on_progress=on_progress)
        try:
            self.ingest(on_progress=on_progress)
            parts.summaries.rewrite(parts.grouper.regroup(on_progress=on_progress))
        except VisionError as error:  # perhaps the very reason to choose another
            parts.roots.problems["embedder"] = str(error)

    def _trust_devices(self, *, dry_run: bool) -> None:
        parts = self._parts
        devices = placeholders.devices(parts.ledger, parts.roots.all, None if dry_run else parts.disk)
        parts.vision.trust(devices)

    def _proposed(self, months: Iterable[Month] | None, only: Narrowed | None) -> int:
        """Files that would move unattended."""
        wanted = None if months is None else {str(m) for m in months}
        online = [root for root in self._parts.roots.all if root.online]
        return sum(consent.proposals(self._parts.ledger, root, wanted, only).files for root in online)

    def _wait_until_settled(self, only: Narrowed | None, stop: Stop) -> None:
        """Wait, once, for photos that were copied seconds ago: only files unchanged for the settle time may move."""
        parts = self._parts
        online = [root for root in parts.roots.all if root.online]
        proposed = (
            group for root in online for group in consent.proposals(parts.ledger, root, only=only).groups
        )
        files = parts.ledger.files.by_ids(id for g in proposed for id in (g.keeper, *g.files))
        now, settle = parts.clock.now(), parts.settings.schedule.settle_seconds
        for file in files.values():
            if file.stat.ctime_ns / 1e9 > now:  # the clock was set back since
                parts.mover.settle_timer.watch(file.stat)
        age = now - max((f.stat.ctime_ns / 1e9 for f in files.values()), default=0.0)
        if age < settle:
            wait(settle - max(age, 0.0) + 0.05, parts.clock, stop)
