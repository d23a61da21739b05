"""The verdicts in the ledger become lessons: what they say of pairs that nobody judged.

Must never change a verdict. The pairs that lessons dismissed are written down month by month, so that they come back
with a verdict that is forgotten, and `dedupd feedback list` can say what each verdict changed.
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
"""Verdicts of each kind that lessons are made of. Each is compared with every pair of a month; all bind for ever all the same."""


def lessons_of(ledger: Ledger, thresholds: Thresholds) -> Lessons:
    """The newest verdicts on measured pairs. What was merely undone says nothing of how alike it is."""
    shipped = calibration_for(thresholds.model)
    return Lessons(shipped=shipped, lessons=tuple(_lessons(ledger, thresholds)))


def _lessons(ledger: Ledger, thresholds: Thresholds) -> Iterator[Lesson]:
    shipped = calibration_for(thresholds.model)
    for kind in ("different", "same"):
        for verdict in ledger.judgement.teaching(kind, _AT_MOST):
            known = measured(ledger, verdict.a, verdict.b, thresholds)
            if known is not None:
                yield lesson(verdict.id, *known, shipped, duplicates=kind == "same")


def measured(ledger: Ledger, a: str, b: str, thresholds: Thresholds) -> tuple[Traits, Traits, Edge] | None:
    """A pair as it was measured and as the bars alone type it; None when that is not known or it is nothing."""
    row = ledger.judgement.pair(a, b, thresholds.model)
    traits = ledger.inventory.traits([a, b])
    if row is None or len(traits) < 2:
        return None
    edge = typed(row, traits[row.a], traits[row.b], thresholds, same_month=True)
    return None if edge is None else (traits[row.a], traits[row.b], edge)


def typed(row: PairRow, a: Traits, b: Traits, thresholds: Thresholds, *, same_month: bool) -> Edge | None:
    """The relation of a stored pair by the bars alone."""
    proposed = Candidate(a=row.a, b=row.b, cosine=row.cosine, hash_distance=row.hash_distance)
    return classify(a, b, proposed, row.measures, thresholds, same_month=same_month)


def change_months_of_new_verdicts(ledger: Ledger, now: float) -> None:
    """When verdicts came or went: months with what waits for a person, or what lessons dismissed, are grouped again."""
    said = ledger.judgement.said_so_far()
    if ledger.get("lessons") == said:
        return
    with ledger.transaction():
        for root, month in ledger.judgement.months_that_lessons_may_change():
            ledger.inventory.change_month(root, month, now)
        ledger.put("lessons", said)


def dismissed_by(ledger: Ledger, thresholds: Thresholds) -> Counter[int]:
    """Verdict id -> how many pairs that nobody judged it helped to dismiss."""
    lessons = lessons_of(ledger, thresholds)
    counted: Counter[int] = Counter()
    for a, b in ledger.judgement.taught():
        known = measured(ledger, a, b, thresholds)
        if known is not None:
            parts = lessons.about(pair_of(*known))
            counted.update(x.verdict for x, _ in parts if not x.duplicates)
    return counted
