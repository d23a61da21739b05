"""Which bytes are to be read again: files in doubt, and the keepers of held copies, one after the other.

Owns the table `doubted`. Must never decide what is doubtful.
"""

from __future__ import annotations

from collections.abc import Iterable

from dedupd.adapters.ledger.columns import chunks
from dedupd.adapters.ledger.transactions import LedgerPart

SCHEMA = """
CREATE TABLE IF NOT EXISTS doubted(file INTEGER PRIMARY KEY, keeps INTEGER NOT NULL, at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS doubted_order ON doubted(keeps DESC, at, file);
CREATE TRIGGER IF NOT EXISTS doubted_gone AFTER DELETE ON files
BEGIN DELETE FROM doubted WHERE file=old.id; END;
"""

_HOLDS = "EXISTS (SELECT 1 FROM moves m WHERE m.grp=g.id AND m.goal='moved' AND m.state='done')"
_ONLINE = "JOIN roots r ON r.id=f.root AND r.online"


class Rereading(LedgerPart):
    """Queries and changes over doubts. Writers hold a Ledger.transaction()."""

    def doubt(self, files: Iterable[int], at: float) -> None:
        """Their bytes may be others. One that is in doubt already keeps its place."""
        for chunk, marks in chunks(files):
            self._link.execute(
                "INSERT OR IGNORE INTO doubted SELECT f.id, "
                f"EXISTS (SELECT 1 FROM groups g WHERE g.keeper=f.id AND {_HOLDS}), ? "
                f"FROM files f WHERE f.id IN ({marks})",
                (at, *chunk),
            )

    def forget(self, file: int) -> None:
        """It was read."""
        self._link.execute("DELETE FROM doubted WHERE file=?", (file,))

    def forget_all(self, root: int, at: float) -> None:
        """What one look at this root doubted."""
        self._link.execute(
            "DELETE FROM doubted WHERE at=? AND file IN (SELECT id FROM files WHERE root=?)", (at, root)
        )

    def next_doubted(self) -> int | None:
        """The file to read next, of a root that is there: keepers of held copies first, then the oldest doubt."""
        row = self._link.execute(
            f"SELECT d.file FROM doubted d CROSS JOIN files f ON f.id=d.file {_ONLINE} "
            "ORDER BY d.keeps DESC, d.at, d.file LIMIT 1"
        ).fetchone()
        return None if row is None else row[0]

    def next_keeper(self, after: int) -> tuple[int, int, int] | None:
        """(group, its keeper, how large that is) of the next group behind `after` that holds copies, of a root that is there."""
        return self._link.execute(
            f"SELECT g.id, g.keeper, f.size FROM groups g CROSS JOIN files f ON f.id=g.keeper {_ONLINE} "
            f"WHERE g.id>? AND {_HOLDS} ORDER BY g.id LIMIT 1",
            (after,),
        ).fetchone()

    def kept_bytes(self) -> int:
        """How large all keepers of held copies are together."""
        return self._link.execute(
            f"SELECT coalesce(sum(f.size), 0) FROM groups g CROSS JOIN files f ON f.id=g.keeper {_ONLINE} WHERE {_HOLDS}"
        ).fetchone()[0]
