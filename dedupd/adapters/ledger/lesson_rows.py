"""The pairs that lessons dismissed, month by month: nobody judged them, and they are not proposed any more.

Owns the table `taught`. Must never decide what is dismissed: core/lessons.py does.
"""

from __future__ import annotations

from collections.abc import Iterable

from dedupd.adapters.ledger.transactions import LedgerPart


class LessonRows(LedgerPart):
    """Queries and changes over the pairs that lessons dismissed."""

    def put_dismissed(self, root: int, month: str, pairs: Iterable[tuple[str, str]]) -> None:
        """Record the pairs of this month that lessons dismissed; they replace those recorded before."""
        self._link.execute("DELETE FROM taught WHERE root=? AND month=?", (root, month))
        self._link.executemany("INSERT INTO taught VALUES(?,?,?,?)", [(root, month, a, b) for a, b in pairs])

    def dismissed(self, root: int | None = None, month: str | None = None) -> list[tuple[str, str]]:
        """The dismissed pairs, of a root and month if given: each once, in order."""
        return self._link.execute(
            "SELECT DISTINCT a, b FROM taught WHERE (? IS NULL OR root=?) AND (? IS NULL OR month=?) ORDER BY a, b",
            (root, root, month, month),
        ).fetchall()

    def months_that_may_change(self) -> list[tuple[int, str]]:
        """(root, month) with something that waits to move or for a person, or that lessons dismissed."""
        return self._link.execute(
            "SELECT root, month FROM groups WHERE id IN (SELECT grp FROM members WHERE role IN ('duplicate', 'review')) "
            "UNION SELECT root, month FROM taught"
        ).fetchall()
