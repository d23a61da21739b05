"""Makes lessons (core/lessons.py) from the verdicts in the ledger, and says what each lesson changed.

Must never change a verdict. The pairs that lessons dismissed are recorded month by month, so that they come back when a
verdict is forgotten, and `dedupd feedback list` can count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dedupd.core.confidence import calibration_for
from dedupd.core.lessons import Lesson, Lessons, lesson, pair_of
from dedupd.core.photo import Candidate, Edge, Traits
from dedupd.core.records import PairRow
from dedupd.core.relations import Thresholds, classify

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


_AT_MOST = 600
"""Verdicts of each kind that become lessons, newest first: each lesson is compared with every pair of a month. The older
verdicts still bind their own pairs."""


def lessons_of(ledger: Ledger, thresholds: Thresholds) -> Lessons:
    """The lessons of the newest verdicts on measured pairs. A verdict that an undo recorded is no lesson."""
    shipped = calibration_for(thresholds.model)
    return Lessons(shipped=shipped, lessons=tuple(_lessons(ledger, thresholds)))


def _lessons(ledger: Ledger, thresholds: Thresholds) -> Iterator[Lesson]:
    shipped = calibration_for(thresholds.model)
    for kind in ("different", "same"):
        for verdict in ledger.verdicts.for_lessons(kind, _AT_MOST):
            known = measured(ledger, verdict.a, verdict.b, thresholds)
            if known is not None:
                yield lesson(verdict.id, *known, shipped, duplicates=kind == "same")


def measured(ledger: Ledger, a: str, b: str, thresholds: Thresholds) -> tuple[Traits, Traits, Edge] | None:
    """Traits and edge of a measured pair, typed by the bars alone; None when it was not measured or has no relation."""
    row = ledger.pairs.get(a, b, thresholds.model)
    traits = ledger.contents.traits([a, b])
    if row is None or len(traits) < 2:
        return None
    edge = typed(row, traits[row.a], traits[row.b], thresholds, same_month=True)
    return None if edge is None else (traits[row.a], traits[row.b], edge)


def typed(row: PairRow, a: Traits, b: Traits, thresholds: Thresholds, *, same_month: bool) -> Edge | None:
    """The relation of a stored pair by the bars alone."""
    proposed = Candidate(a=row.a, b=row.b, cosine=row.cosine, hash_distance=row.hash_distance)
    return classify(a, b, proposed, row.measures, thresholds, same_month=same_month)


def change_months_of_new_verdicts(ledger: Ledger, now: float) -> None:
    """When verdicts came or went, mark the months to be grouped again that lessons may change."""
    said = ledger.verdicts.version()
    if ledger.get("lessons") == said:
        return
    with ledger.transaction():
        for root, month in ledger.lessons.months_that_may_change():
            ledger.months.mark_changed(root, month, now)
        ledger.put("lessons", said)


def dismissed_by(ledger: Ledger, thresholds: Thresholds) -> Counter[int]:
    """Verdict id -> how many pairs that nobody judged it helped to dismiss."""
    lessons = lessons_of(ledger, thresholds)
    counted: Counter[int] = Counter()
    for a, b in ledger.lessons.dismissed():
        known = measured(ledger, a, b, thresholds)
        if known is not None:
            parts = lessons.about(pair_of(*known))
            counted.update(x.verdict for x, _ in parts if not x.duplicates)
    return counted
