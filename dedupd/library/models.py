"""Which embedder is in force: recorded once, measured against the library, and switched for another one.

Another embedder is prepared "in the shadow": the one in force still decides meanwhile. Must never change the embedder in
force except by `switch`, and never a verdict, a move or the keeper of a moved file.
"""

from __future__ import annotations

from dedupd.core.thresholds import OwnThresholds, shipped
from dedupd.errors import UsageError, VisionError
from dedupd.library.build import Parts
from dedupd.pipeline import shadow
from dedupd.pipeline.measure_thresholds import ThresholdMeasurement
from dedupd.pipeline.roots import quiet
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Progress


class Models:
    """The embedder of one library, and the one in preparation."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._shadow: shadow.Shadow | None = None
        self._prepared_for: tuple[str, float | None] = ("", None)
        """The name that the embedder in preparation was asked for by, and the threshold it compares with."""
        self._measurement: ThresholdMeasurement | None = None
        self._tidied = False

    @property
    def in_force(self) -> str:
        """The recorded id of the embedder; '' before the first photo was read, or with hashes alone."""
        return self._parts.ledger.get("model")

    def record(self) -> None:
        """Ask the worker which embedder it has, and record the choice at its first use. Call it before photos are read."""
        ledger = self._parts.ledger
        if not ledger.files.any_to_read() and ledger.get("recipe"):
            return
        seeing = self._parts.vision.status()
        if seeing.note:
            ledger.put("model_note", seeing.note)
        if not ledger.get("embedder"):
            ledger.put("embedder", seeing.model or "hashes")
        ledger.put("model", seeing.model)
        ledger.put("recipe", seeing.recipe)
        self.tidy()

    def tidy(self) -> None:
        """Remove index tables of former models and recipes; once, while the worker runs anyway."""
        if not self._tidied:
            prepared = self._parts.ledger.get(shadow.IN_SHADOW)
            self._parts.vision.tidy(["" if prepared == "hashes" else prepared] if prepared else [])
            self._tidied = True

    # ---- another one

    def prepare(self, name: str, *, on_progress: Progress = quiet, stop: Stop = never) -> bool:
        """Read and compare every photo with another embedder; nothing changes yet.

        False when it was stopped: call it again to go on, after a restart too. `pipeline.tune` says what the switch
        would change. Raises VisionError when the embedder cannot be had.
        """
        wanted = name, self._parts.settings.threshold
        if self._shadow is None or self._prepared_for != wanted:
            self._shadow, self._prepared_for = self._start(name), wanted
        return self._shadow is None or self._shadow.advance(on_progress, stop)

    def _start(self, name: str) -> shadow.Shadow | None:
        """The preparation; None when that embedder is in force already: then an older preparation is dropped."""
        parts = self._parts
        if self._shadow is not None:
            self._shadow.vision.rest()
        vision = parts.vision_worker(name)
        try:
            prepared = shadow.Shadow(parts.ledger, vision, parts.clock, parts.settings.threshold)
            vision.load()  # status only chooses: a model that cannot be loaded must not be prepared
        except VisionError:
            vision.rest()
            raise
        if (prepared.model or "hashes") == parts.ledger.get("embedder"):
            vision.rest()
            self._shadow = None
            self.drop()
            return None
        if parts.ledger.get(shadow.IN_SHADOW) not in ("", prepared.model or "hashes"):
            shadow.drop(parts.ledger)
        parts.ledger.put(shadow.IN_SHADOW, prepared.model or "hashes")
        return prepared

    def switch(self, name: str, *, on_progress: Progress = quiet) -> str:
        """Put the prepared embedder in force, at once or not at all; verdicts, moves and their keepers stay. Returns its id."""
        self.prepare(name, on_progress=on_progress)
        chosen, self._shadow = self._shadow, None
        if chosen is None:
            return self.in_force
        parts = self._parts
        touched = shadow.switch(
            parts.ledger, parts.disk, parts.settings, parts.clock, parts.roots.all, chosen, on_progress
        )
        parts.change_vision(chosen.vision)
        self._tidied = False
        self.tidy()
        for root, months in parts.grouper.regroup(on_progress=on_progress).items():
            touched.setdefault(root, set()).update(months)
        parts.summaries.rewrite(touched)
        return chosen.model

    def use(self, name: str, *, on_progress: Progress = quiet) -> str:
        """Prepare another embedder and put it in force, without asking. Returns its id; see the two steps for the rest."""
        self.prepare(name, on_progress=on_progress)
        return self.switch(name, on_progress=on_progress)

    def drop(self) -> str:
        """Forget the embedder in preparation. Returns its id, '' when there was none."""
        dropped = self._parts.ledger.get(shadow.IN_SHADOW)
        if self._shadow is not None:
            self._shadow.vision.rest()
            self._shadow = None
        if dropped:
            shadow.drop(self._parts.ledger)
            self._tidied = False
        return dropped

    # ---- its thresholds

    def calibrate(self, *, on_progress: Progress = quiet, stop: Stop = never) -> OwnThresholds | None:
        """Measure the thresholds of the embedder in force on these photos; all months wait to be grouped by them.

        Shipped ones stay in force: then this only measures. None when it was stopped: call it again to go on.
        Raises UsageError for hashes alone, NotCalibrated, VisionError.
        """
        parts = self._parts
        if not self.in_force:
            raise UsageError(
                "hashes alone have no thresholds to measure: choose a model with `dedupd models use`"
            )
        if self._measurement is None or self._measurement.model != self.in_force:
            self._measurement = ThresholdMeasurement(parts.ledger, parts.vision, parts.clock)
        found = self._measurement.advance(on_progress, stop)
        if found is not None:
            self._measurement = None
            with parts.ledger.transaction():
                for row in () if shipped(found.model) else parts.ledger.months.all():
                    parts.ledger.months.mark_changed(row.root, row.month, parts.clock.now())
        return found

    def close(self) -> None:
        """Let the worker of the embedder in preparation go; what it did is kept."""
        if self._shadow is not None:
            self._shadow.vision.rest()
