"""Verdicts: what people said of a content or of a pair. It binds for ever.

Owns the table `verdicts`. Must never forget one but at a person's word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from dedupd.adapters.ledger.columns import chunks
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import VerdictRow

_VERDICT = "id, kind, a, b, paths, at"


class VerdictRows(LedgerPart):
    """Queries and changes over verdicts."""

    def add(self, kind: str, a: str, b: str, paths: Sequence[str], at: float) -> int:
        """By content, a <= b; saying it twice changes nothing. Returns its id."""
        a, b = (a, b) if not b or a <= b else (b, a)
        self._link.execute(
            "INSERT OR IGNORE INTO verdicts(kind, a, b, paths, at) VALUES(?,?,?,?,?)",
            (kind, a, b, json.dumps(list(paths)), at),
        )
        row = self._link.execute(
            "SELECT id FROM verdicts WHERE kind=? AND a=? AND b=?", (kind, a, b)
        ).fetchone()
        return int(row[0])

    def has(self, kind: str, a: str, b: str = "") -> bool:
        """Whether a person said so of this content or pair."""
        a, b = (a, b) if not b or a <= b else (b, a)
        found = self._link.execute("SELECT 1 FROM verdicts WHERE kind=? AND a=? AND b=?", (kind, a, b))
        return found.fetchone() is not None

    def drop(self, kind: str, a: str, b: str) -> None:
        """The latest verdict wins: 'same' removes an older 'different' of the pair, and the reverse."""
        a, b = (a, b) if not b or a <= b else (b, a)
        self._link.execute("DELETE FROM verdicts WHERE kind=? AND a=? AND b=?", (kind, a, b))

    def remove(self, id: int) -> VerdictRow | None:
        found = self._link.execute(f"SELECT {_VERDICT} FROM verdicts WHERE id=?", (id,)).fetchone()
        self._link.execute("DELETE FROM verdicts WHERE id=?", (id,))
        return None if found is None else _verdict(found)

    def newest(self) -> int:
        """The id of the newest verdict; 0 before the first. An id is never given again."""
        row = self._link.execute("SELECT seq FROM sqlite_sequence WHERE name='verdicts'").fetchone()
        return 0 if row is None else int(row[0])

    def since(self, id: int) -> list[int]:
        """Ids of the verdicts that came after this one."""
        return [r[0] for r in self._link.execute("SELECT id FROM verdicts WHERE id>? ORDER BY id", (id,))]

    def pairs(self, kind: str, contents: Iterable[str]) -> set[tuple[str, str]]:
        """The pairs of which a person said so, and whose first content is one of these."""
        found: set[tuple[str, str]] = set()
        for chunk, marks in chunks(contents):
            rows = self._link.execute(
                f"SELECT a, b FROM verdicts WHERE kind=? AND a IN ({marks})", (kind, *chunk)
            )
            found.update((r[0], r[1]) for r in rows)
        return found

    def for_lessons(self, kind: str, at_most: int) -> list[VerdictRow]:
        """The newest 'different' or 'same' verdicts on two contents, at most so many; not those that an undo recorded.

        An undo records 'different' and, at the same time, 'keep'.
        """
        rows = self._link.execute(
            f"SELECT {_VERDICT} FROM verdicts v WHERE kind=? AND b!='' AND a!=b AND NOT EXISTS "
            "(SELECT 1 FROM verdicts k WHERE k.kind='keep' AND k.a IN (v.a, v.b) AND k.at=v.at AND k.id>v.id) "
            "ORDER BY id DESC LIMIT ?",
            (kind, at_most),
        )
        return [_verdict(r) for r in rows]

    def version(self) -> str:
        """Differs whenever a verdict came or went."""
        row = self._link.execute("SELECT count(*), coalesce(max(id), 0), coalesce(sum(id), 0) FROM verdicts")
        return ":".join(map(str, row.fetchone()))

    def page(self, offset: int, limit: int) -> list[VerdictRow]:
        """So many from `offset` on, newest last."""
        rows = self._link.execute(
            f"SELECT {_VERDICT} FROM verdicts ORDER BY id LIMIT ? OFFSET ?", (limit, max(0, offset))
        )
        return [_verdict(r) for r in rows]

    def said_at(self, kind: str, a: str, b: str = "") -> float | None:
        """When a person said so of this content or pair; None: nobody did."""
        a, b = (a, b) if not b or a <= b else (b, a)
        row = self._link.execute(
            "SELECT at FROM verdicts WHERE kind=? AND a=? AND b=?", (kind, a, b)
        ).fetchone()
        return None if row is None else row[0]

    def all(self, kind: str | None = None) -> list[VerdictRow]:
        rows = self._link.execute(
            f"SELECT {_VERDICT} FROM verdicts WHERE ? IS NULL OR kind=? ORDER BY id", (kind, kind)
        )
        return [_verdict(r) for r in rows]


def _verdict(row: tuple[Any, ...]) -> VerdictRow:
    id, kind, a, b, paths, at = row
    return VerdictRow(id=id, kind=kind, a=a, b=b, paths=tuple(json.loads(paths)), at=at)
