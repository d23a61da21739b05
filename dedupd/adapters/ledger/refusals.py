"""Which files were to move and could not, and why: one row a file, gone as soon as it or its keeper is another.

Owns the table `refused`. Must never decide what follows from a refusal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from dedupd.adapters.ledger.columns import sentence
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import RefusedRow
from dedupd.errors import Refusal

SCHEMA = """
CREATE TABLE IF NOT EXISTS refused(
    file INTEGER PRIMARY KEY, keeper INTEGER NOT NULL, kind TEXT NOT NULL, lasting INTEGER NOT NULL,
    reason TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS refused_keeper ON refused(keeper);
CREATE TRIGGER IF NOT EXISTS refused_changed
AFTER UPDATE OF path, size, mtime_ns, ctime_ns, dev, ino, nlink ON files
WHEN (old.path, old.size, old.mtime_ns, old.ctime_ns, old.dev, old.ino, old.nlink)
    IS NOT (new.path, new.size, new.mtime_ns, new.ctime_ns, new.dev, new.ino, new.nlink)
BEGIN DELETE FROM refused WHERE file=new.id OR keeper=new.id; END;
CREATE TRIGGER IF NOT EXISTS refused_gone AFTER DELETE ON files
BEGIN DELETE FROM refused WHERE file=old.id OR keeper=old.id; END;
"""
"""The stat that a refusal was about is the one in `files`: when that changes, the reason may have gone with it."""


class Refusals(LedgerPart):
    """Queries and changes over refusals. Writers hold a Ledger.transaction()."""

    def put(self, file: int, keeper: int, kind: Refusal, reason: str, at: float) -> None:
        """This file could not move beside this keeper."""
        self._link.execute(
            "INSERT OR REPLACE INTO refused VALUES(?,?,?,?,?,?)",
            (file, keeper, kind, kind.lasting, sentence(reason), at),
        )

    def forget(self, file: int) -> None:
        """It moved."""
        self._link.execute("DELETE FROM refused WHERE file=?", (file,))

    def standing(self, root: int) -> Iterator[RefusedRow]:
        """What of this root was to move, could not, and still is to move; in the order of paths, one by one."""
        rows = self._link.execute(
            "SELECT DISTINCT r.file, r.keeper, f.path, r.kind, r.lasting, r.reason FROM refused r "
            "JOIN files f ON f.id=r.file JOIN members m ON m.file=r.file AND m.role IN ('duplicate', 'review') "
            "JOIN groups g ON g.id=m.grp AND g.keeper=r.keeper WHERE g.root=? ORDER BY f.path",
            (root,),
        )
        for r in rows:
            yield RefusedRow(
                file=r[0], keeper=r[1], path=os.fsdecode(r[2]), kind=r[3], lasting=bool(r[4]), reason=r[5]
            )
