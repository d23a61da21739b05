"""Roots: one row for each folder that was ever watched, with the consent its owner gave.

Owns the table `roots`. Must never look at a disk itself.
"""

from __future__ import annotations

import os
from typing import Any

from dedupd.adapters.ledger.columns import sentence, signed, unsigned
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import RootRow


class RootRows(LedgerPart):
    """Queries and changes over roots."""

    def all(self) -> list[RootRow]:
        rows = self._link.execute(
            "SELECT id, path, uuid, dev, online, note, consented_at, backlog_done_at, breaker_ok_at FROM roots ORDER BY id"
        )
        return [
            RootRow(
                id=r[0], path=os.fsdecode(r[1]), uuid=r[2], dev=None if r[3] is None else unsigned(r[3]), online=bool(r[4]), note=r[5],
                consented_at=r[6], backlog_done_at=r[7], breaker_ok_at=r[8],
            )
            for r in rows
        ]  # fmt: skip

    def add(self, path: str) -> RootRow:
        """The row of this root, made when it is new."""
        self._link.execute("INSERT OR IGNORE INTO roots(path) VALUES(?)", (os.fsencode(path),))
        return next(r for r in self.all() if r.path == path)

    def update(self, root: int, **changes: Any) -> None:
        """Columns by name: uuid, dev, online, note, consented_at, backlog_done_at, breaker_ok_at."""
        if "dev" in changes:
            changes["dev"] = signed(changes["dev"])
        if "note" in changes:
            changes["note"] = sentence(changes["note"])
        sets = ", ".join(f"{name}=?" for name in changes)
        self._link.execute(f"UPDATE roots SET {sets} WHERE id=?", (*changes.values(), root))
