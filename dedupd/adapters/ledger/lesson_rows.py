"""What lessons changed: the pairs that they took out of the groups of each month.

Owns the table `taught`. Must never learn anything itself (core/lessons.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from dedupd.adapters.ledger.transactions import LedgerPart


class LessonRows(LedgerPart):
    """Queries and changes over what lessons changed."""

    def put_taught(self, root: int, month: str, pairs: Iterable[tuple[str, str]]) -> None:
        """The pairs of this month that lessons took out of the way; replaces those of before."""
        self._link.execute("DELETE FROM taught WHERE root=? AND month=?", (root, month))
        self._link.executemany("INSERT INTO taught VALUES(?,?,?,?)", [(root, month, a, b) for a, b in pairs])

    def taught(self, root: int | None = None, month: str | None = None) -> list[tuple[str, str]]:
        """Each pair once, in order."""
        return self._link.execute(
            "SELECT DISTINCT a, b FROM taught WHERE (? IS NULL OR root=?) AND (? IS NULL OR month=?) ORDER BY a, b",
            (root, root, month, month),
        ).fetchall()

    def months_that_lessons_may_change(self) -> list[tuple[int, str]]:
        """(root, month) with something that waits to move or for a person, or that lessons took away."""
        return self._link.execute(
            "SELECT root, month FROM groups WHERE id IN (SELECT grp FROM members WHERE role IN ('duplicate', 'review')) "
            "UNION SELECT root, month FROM taught"
        ).fetchall()
