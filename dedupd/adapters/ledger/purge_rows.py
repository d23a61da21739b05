"""What its owner had put into the trash: one row a move, with its place there, on disk before the file goes.

Owns the table `purges`. Must never touch a file, and never forgets a row: it says where a photo lies.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from dedupd.adapters.ledger.columns import chunks, sentence
from dedupd.adapters.ledger.transactions import LedgerPart, transaction
from dedupd.core.purging import Purge, PurgeState
from dedupd.errors import StateError

SCHEMA = """
CREATE TABLE IF NOT EXISTS purges(
    move INTEGER PRIMARY KEY, batch TEXT NOT NULL,
    state TEXT NOT NULL CHECK(state IN ('intent', 'done', 'returning', 'returned', 'aborted')),
    trash BLOB NOT NULL, at REAL NOT NULL, error TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS purges_state ON purges(state) WHERE state IN ('intent', 'done', 'returning');
"""


class Purges(LedgerPart):
    """Queries and changes over purges."""

    def intend(self, rows: Sequence[Purge]) -> None:
        """Durable on return, before a file goes. Raises StateError inside an open transaction."""
        if self._link.in_transaction:
            raise StateError("an intent is committed before its file goes: close the open transaction first")
        self.put(rows)

    def put(self, rows: Sequence[Purge]) -> None:
        """Joins an open transaction."""
        with transaction(self._link):
            self._link.executemany(
                "INSERT OR REPLACE INTO purges VALUES(?,?,?,?,?,?)",
                [(p.move, p.batch, p.state, os.fsencode(p.trash), p.at, sentence(p.error)) for p in rows],
            )

    def in_state(self, *states: PurgeState) -> list[Purge]:
        """In the order of their moves; none in a ledger of an older dedupd that is only read."""
        if not self._link.execute("SELECT 1 FROM sqlite_master WHERE name='purges'").fetchone():
            return []
        marks = ", ".join(f"'{state}'" for state in states)
        rows = self._link.execute(
            "SELECT move, batch, state, trash, at, error FROM purges "
            f"WHERE state IN ({marks}) AND state IN ('intent', 'done', 'returning') ORDER BY move"
        )
        return [_purge(*row) for row in rows]

    def all_done(self) -> Iterator[Purge]:
        """What went into the trash and did not come back, a few rows at a time: each year of purges adds to it."""
        after = 0
        while rows := self._link.execute(
            "SELECT move, batch, state, trash, at, error FROM purges WHERE state='done' "
            "AND state IN ('intent', 'done', 'returning') AND move>? ORDER BY move LIMIT 256",
            (after,),
        ).fetchall():
            yield from (_purge(*row) for row in rows)
            after = rows[-1][0]

    def in_trash(self) -> tuple[int, str]:
        """How many files went into the trash and did not come back, and where the last of them lies."""
        # Of the row with the highest move: SQLite takes columns beside max() from there.
        count, trash, _ = self._link.execute(
            "SELECT count(*), trash, max(move) FROM purges WHERE state='done' AND state IN ('intent', 'done', 'returning')"
        ).fetchone()
        return count, os.fsdecode(trash or b"")

    def of(self, moves: Sequence[int]) -> dict[int, Purge]:
        """Move -> its purge."""
        found: dict[int, Purge] = {}
        for chunk, marks in chunks(moves):
            rows = self._link.execute(
                f"SELECT move, batch, state, trash, at, error FROM purges WHERE move IN ({marks})", chunk
            )
            found |= {row[0]: _purge(*row) for row in rows}
        return found

    def purged_at(self, root: str, path: str) -> list[int]:
        """Moves whose file lies in the trash and was at this path, before it moved or in duplicates/."""
        if not self._link.execute("SELECT 1 FROM sqlite_master WHERE name='purges'").fetchone():
            return []
        rows = self._link.execute(
            "SELECT p.move FROM purges p JOIN moves m ON m.id=p.move WHERE p.state='done' AND m.root=? "
            "AND (m.src=? OR m.dst=?) ORDER BY p.move",
            (os.fsencode(root), os.fsencode(path), os.fsencode(path)),
        )
        return [row[0] for row in rows]


def _purge(move: int, batch: str, state: str, trash: bytes, at: float, error: str) -> Purge:
    return Purge(
        move=move, batch=batch, state=PurgeState(state), trash=os.fsdecode(trash), at=at, error=error
    )
