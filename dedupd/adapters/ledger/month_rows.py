"""Months: which have changed since they were clustered, and how many photos each has.

Owns the table `months`. Must never decide when a month is clustered.
"""

from __future__ import annotations

from dedupd.adapters.ledger.file_rows import LIVE
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import MonthRow


class MonthRows(LedgerPart):
    """Queries and changes over months."""

    def mark_changed(self, root: int, month: str, at: float) -> None:
        """This month differs from what was clustered last."""
        if month:
            self._link.execute(
                "INSERT INTO months(root, month, changes, changed_at) VALUES(?,?,1,?) "
                "ON CONFLICT(root, month) DO UPDATE SET changes=changes+1, changed_at=excluded.changed_at",
                (root, month, at),
            )

    def all(self, root: int | None = None) -> list[MonthRow]:
        rows = self._link.execute(
            "SELECT root, month, changes>clustered, clustered_at FROM months "
            "WHERE ? IS NULL OR root=? ORDER BY month, root",
            (root, root),
        )
        return [MonthRow(root=r[0], month=r[1], waiting=bool(r[2]), clustered_at=r[3]) for r in rows]

    def changes(self, root: int, month: str) -> int:
        """The change counter, read before clustering and handed to clustered_month after."""
        row = self._link.execute(
            "SELECT changes FROM months WHERE root=? AND month=?", (root, month)
        ).fetchone()
        return 0 if row is None else row[0]

    def clustered(self, root: int, month: str, changes: int, at: float) -> None:
        """Clustered as of that counter; a change that came meanwhile keeps the month waiting."""
        self._link.execute(
            "UPDATE months SET clustered=?, clustered_at=? WHERE root=? AND month=?",
            (changes, at, root, month),
        )

    def count(self, root: int, month: str) -> tuple[int, int]:
        """Live photos of one month, and how many of them have it by guess."""
        row = self._link.execute(
            f"SELECT count(*), coalesce(sum(month_source='mtime'), 0) FROM files WHERE root=? AND month=? AND {LIVE}",
            (root, month),
        ).fetchone()
        return row[0], row[1]

    def counts(self) -> dict[tuple[int, str], tuple[int, int]]:
        """(root, month) -> (live photos, of them with a guessed month)."""
        rows = self._link.execute(
            f"SELECT root, month, count(*), sum(month_source='mtime') FROM files WHERE {LIVE} GROUP BY root, month"
        )
        return {(r[0], r[1]): (r[2], r[3] or 0) for r in rows}
