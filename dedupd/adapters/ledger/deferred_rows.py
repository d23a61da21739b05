"""Photos of families so large that only their nearest relatives were compared yet: what is left, for idle hours.

Owns the table `deferred`: one row a photo and place, never one a pair. Must never decide how large is too large.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import islice

from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import DeferredRow

SCHEMA = """
CREATE TABLE IF NOT EXISTS deferred(
    content TEXT NOT NULL, month TEXT NOT NULL, model TEXT NOT NULL, rules TEXT NOT NULL,
    PRIMARY KEY(content, month, model)) WITHOUT ROWID;
"""


class DeferredRows(LedgerPart):
    """Queries and changes over what is left to compare."""

    def add(self, contents: Iterable[str], month: str, model: str, rules: str) -> None:
        """Of these only the nearest were compared with this month ('' = the whole library)."""
        self._link.executemany(
            "INSERT OR REPLACE INTO deferred VALUES(?,?,?,?)", [(c, month, model, rules) for c in contents]
        )

    def next(self, model: str, most: int = 1, but: Container[tuple[str, str]] = ()) -> list[DeferredRow]:
        """The first of them in order, and some of those after it with the same place and rules. `but`: (content, place) of
        those to pass over."""
        rows = self._link.execute(
            "SELECT content, month, rules FROM deferred WHERE model=? ORDER BY content, month", (model,)
        )
        found = list(islice((row for row in rows if row[:2] not in but), 8 * most))
        alike = [row for row in found if row[1:] == found[0][1:]]
        return [DeferredRow(content=row[0], place=row[1], rules=row[2]) for row in alike[:most]]

    def remove(self, contents: Iterable[str], month: str, model: str) -> None:
        """These were compared with all of their family."""
        self._link.executemany(
            "DELETE FROM deferred WHERE content=? AND month=? AND model=?",
            [(content, month, model) for content in contents],
        )

    def count(self, model: str, root: int | None = None, month: str | None = None) -> int:
        """Photos of which something is left to compare under this model; of this month alone, when named.

        None in a ledger of an older dedupd that is only read.
        """
        if not self._link.execute("SELECT 1 FROM sqlite_master WHERE name='deferred'").fetchone():
            return 0
        if month is None:
            found = self._link.execute("SELECT count(DISTINCT content) FROM deferred WHERE model=?", (model,))
        else:
            found = self._link.execute(
                "SELECT count(DISTINCT content) FROM files WHERE root=? AND month=? AND EXISTS "
                "(SELECT 1 FROM deferred d WHERE d.content=files.content AND d.model=?)",
                (root, month, model),
            )
        return int(found.fetchone()[0])
