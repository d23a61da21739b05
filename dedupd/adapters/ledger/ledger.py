"""The ledger: one connection and its parts.

    transactions.py  what every part shares: transactions, sqlite's errors as ours
    schema.py        the tables, and the one way to open them
    columns.py       values as columns hold them: JSON, numbers, sentences
    *_rows.py        what is on the disks: roots, files, contents, months;
                     what was proven and decided: pairs, deferred, groups, verdicts, lessons
    journal.py       the move journal
    sidecar_rows.py  the sidecars beside keepers, written or still to be written
    held_checks.py   held copies of older moves, compared once more
    purge_rows.py    files that a person put into the trash
    refusals.py      files that should move and could not
    rereading.py     files to be read again
    forgetting.py    removes rows that nothing refers to

Owns durability; must never decide anything.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from dedupd.adapters.ledger.content_rows import ContentRows
from dedupd.adapters.ledger.deferred_rows import DeferredRows
from dedupd.adapters.ledger.file_rows import FileRows
from dedupd.adapters.ledger.forgetting import Forgetting
from dedupd.adapters.ledger.group_rows import GroupRows
from dedupd.adapters.ledger.held_checks import HeldChecks
from dedupd.adapters.ledger.journal import Journal
from dedupd.adapters.ledger.lesson_rows import LessonRows
from dedupd.adapters.ledger.month_rows import MonthRows
from dedupd.adapters.ledger.pair_rows import PairRows
from dedupd.adapters.ledger.purge_rows import Purges
from dedupd.adapters.ledger.refusals import Refusals
from dedupd.adapters.ledger.rereading import Rereading
from dedupd.adapters.ledger.root_rows import RootRows
from dedupd.adapters.ledger.schema import connect
from dedupd.adapters.ledger.sidecar_rows import Sidecars
from dedupd.adapters.ledger.transactions import transaction, translating
from dedupd.adapters.ledger.verdict_rows import VerdictRows
from dedupd.closing import Closing


class Ledger(Closing):
    """One connection and its parts. Use one per thread; only the pipeline's may write."""

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """Raises LedgerDamaged or StateError, one sentence each."""
        self.path = path
        self._link = connect(path, read_only=read_only)
        self.roots = RootRows(self._link)
        self.files = FileRows(self._link)
        self.contents = ContentRows(self._link)
        self.months = MonthRows(self._link)
        self.pairs = PairRows(self._link)
        self.deferred = DeferredRows(self._link)
        self.groups = GroupRows(self._link)
        self.verdicts = VerdictRows(self._link)
        self.lessons = LessonRows(self._link)
        self.journal = Journal(self._link)
        self.sidecars = Sidecars(self._link)
        self.held_checks = HeldChecks(self._link)
        self.purges = Purges(self._link)
        self.refusals = Refusals(self._link)
        self.rereading = Rereading(self._link)
        self.forgetting = Forgetting(self._link)

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing; nested use joins the outer transaction. StateError, LedgerDamaged."""
        return transaction(self._link)

    @property
    def changes(self) -> int:
        """A number that stays the same until something is written."""
        return self._link.total_changes

    def get(self, key: str, default: str = "") -> str:
        """A recorded choice or counter."""
        row = self._link.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return default if row is None else row[0]

    def put(self, key: str, value: str) -> None:
        with translating(self._link):
            self._link.execute(
                "INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                (key, value),
            )

    def close(self) -> None:
        self._link.close()
