"""What was proven and decided: pairs, groups, verdicts and lessons, each in a module of its own."""

from __future__ import annotations

from dedupd.adapters.ledger.deferred_rows import DeferredRows
from dedupd.adapters.ledger.group_rows import GroupRows
from dedupd.adapters.ledger.lesson_rows import LessonRows
from dedupd.adapters.ledger.pair_rows import PairRows
from dedupd.adapters.ledger.verdict_rows import VerdictRows


class Judgement(PairRows, DeferredRows, GroupRows, LessonRows, VerdictRows):
    """Queries and changes over what was proven, decided and said. Writers hold a Ledger.transaction()."""
