"""Prepares another model "in the shadow": it reads the whole library while the model in force still decides.

Its vectors lie in a folder of their own in the index, its pairs in the ledger under its own name. Both survive a kill,
so that a later call goes on where this one was stopped. Must never change what is in force: `switch` does,
in one transaction, and moves nothing.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.records import FileRow, MonthRow, RootRow
from dedupd.core.thresholds import shipped
from dedupd.errors import NotCalibrated
from dedupd.pipeline.compare import Comparison
from dedupd.pipeline.measure_thresholds import ThresholdMeasurement, own_thresholds
from dedupd.pipeline.move_orders import Companions
from dedupd.pipeline.recluster import decide
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Disk, FileRequest, Progress, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

BATCH = 64
"""Files read in one slice."""
IN_SHADOW = "shadow"
"""The ledger's entry that names the model in preparation."""


class Shadow:
    """One model in preparation. Call `advance` until it returns True; then `switch`, now or later."""

    def __init__(self, ledger: Ledger, vision: Vision, clock: Clock, threshold: float | None) -> None:
        """Asks `vision` which model it is. Raises VisionError when it cannot be had."""
        self._ledger, self.vision, self._clock = ledger, vision, clock
        self.seeing = vision.status()
        self._compare = Comparison(ledger, vision, clock, threshold, shadow=True)
        self._waiting: list[str] = []
        self._pages: Iterator[list[str]] | None = None
        self._lacked = False
        """Whether this round through the library found anything."""
        self._seen, self._total = 0, 0
        self._given_up: set[str] = set()
        """Contents that it could not read: what the model in force measured stays until they can be read."""
        self._measurement: ThresholdMeasurement | None = None
        self._calibrated = shipped(self.model) or own_thresholds(ledger, self.model) is not None
        self._compared: dict[tuple[int, str], int] = {}
        """Month -> the change counter it was compared at."""

    @property
    def model(self) -> str:
        return self.seeing.model

    def advance(self, on_progress: Progress, stop: Stop = never) -> bool:
        """Go on. True when everything is read and compared with this model; False when it was stopped."""
        return (
            self._ingest(on_progress, stop)
            and self._calibrate(on_progress, stop)
            and self._compare_months(on_progress, stop)
        )

    # ---- ingesting

    def _ingest(self, on_progress: Progress, stop: Stop) -> bool:
        while self._waiting or self._find_lacking():
            if stop():
                return False
            chunk, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            self._ingest_some(chunk, on_progress)
        return True

    def _find_lacking(self) -> bool:
        """Some of what this model has not seen yet, as far as it lies on a disk that is here; False when a whole round
        found nothing.
        """
        if self._pages is None:
            self._pages, self._seen, self._lacked = self._ledger.contents.live_pages(), 0, False
            self._total = self._ledger.contents.count()
        for page in self._pages:
            lacking = [c for c in self.vision.missing(page) if c not in self._given_up]
            self._waiting = [c for c in lacking if self._file(c) is not None]
            self._seen += len(page) - len(self._waiting)
            if self._waiting:
                self._lacked = True
                return True
        self._pages = None
        return self._lacked and self._find_lacking()

    def _file(self, content: str) -> FileRow | None:
        online = {r.id for r in self._ledger.roots.all() if r.online}
        rows = self._ledger.files.decoded_with_content(content)
        return next((f for f in rows if f.root in online), None)

    def _ingest_some(self, contents: Sequence[str], on_progress: Progress) -> None:
        """Fill the index; the ledger's own photos stay as the model in force saw them."""
        tops = {r.id: r.path for r in self._ledger.roots.all()}
        files = {c: f for c in contents if (f := self._file(c)) is not None}
        requests = [
            FileRequest(key=f.id, path=os.path.join(tops[f.root], f.path), stat=f.stat)
            for f in files.values()
        ]
        for _ in self.vision.ingest(requests):
            self._seen += 1
            on_progress("embed", self._seen, self._total)
        self._given_up |= set(self.vision.missing(list(contents)))

    # ---- calibrating

    def _calibrate(self, on_progress: Progress, stop: Stop) -> bool:
        """Measure its thresholds, if it has none. Another model's are never used; without any it only proposes, and status says so."""
        if not self._calibrated:
            try:
                self._measurement = self._measurement or ThresholdMeasurement(
                    self._ledger, self.vision, self._clock
                )
                if self._measurement.advance(on_progress, stop) is None:
                    return False
            except NotCalibrated:
                pass
            self._calibrated = True
        return True

    # ---- comparing

    def _compare_months(self, on_progress: Progress, stop: Stop) -> bool:
        online = {r.id for r in self._ledger.roots.all() if r.online}
        months = [m for m in self._ledger.months.all() if m.root in online and not self._is_compared(m)]
        compared = 0
        for row, changes in self._compare.months(months, on_progress, stop):
            self._compared[row.root, row.month] = changes
            compared += 1
        return compared == len(months)

    def _is_compared(self, row: MonthRow) -> bool:
        return self._compared.get((row.root, row.month)) == self._ledger.months.changes(row.root, row.month)


def switch(
    ledger: Ledger, disk: Disk, settings: Settings, clock: Clock, roots: Sequence[RootRow], shadow: Shadow,
    on_progress: Progress,
) -> dict[int, set[str]]:  # fmt: skip
    """Put the prepared model in force: record, pairs, thresholds and groups change together or not at all.

    Verdicts, moves and the keepers of what has moved stay. Returns root id -> months whose groups may be others now.
    All months wait to be clustered once more: for their summaries, and for what this model could not look at yet.
    """
    touched: dict[int, set[str]] = {}
    with ledger.transaction():
        record(ledger, shadow)
        ledger.pairs.forget(but=shadow.model)
        ledger.contents.record_model(shadow.model)
        months = ledger.months.all()
        by_id = {r.id: r for r in roots}
        beside = {r.id: Companions(ledger, disk, r) for r in roots}
        for done, row in enumerate(months):
            on_progress("group", done, len(months))
            ledger.months.mark_changed(row.root, row.month, clock.now())
            root = by_id.get(row.root)
            if root is not None and root.online:
                changed = decide(
                    ledger, disk, settings, clock, root, row.month, shadow.model, beside[root.id]
                )
                touched.setdefault(root.id, set()).update(changed)
                beside[root.id].turn()
    return touched


def record(ledger: Ledger, shadow: Shadow) -> None:
    """Record the model in force, for every later start."""
    seeing = shadow.seeing
    for key, value in (
        ("embedder", seeing.model or "hashes"),
        ("model", seeing.model),
        ("model_note", seeing.note),
        ("recipe", seeing.recipe),
        (IN_SHADOW, ""),
    ):
        ledger.put(key, value)


def in_preparation(ledger: Ledger) -> str | None:
    """The id of the model in preparation; None when there is none."""
    name = ledger.get(IN_SHADOW)
    return None if not name else "" if name == "hashes" else name


def drop(ledger: Ledger) -> None:
    """Forget the model in preparation; its folder in the index goes with the next tidying."""
    with ledger.transaction():
        ledger.pairs.forget(but=ledger.get("model"))
        ledger.put(IN_SHADOW, "")
