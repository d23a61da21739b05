"""Verdicts: what people said of a content or of a pair. It binds for ever.

Owns the table `verdicts`. Must never forget one but at a person's word.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

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
        found = next((v for v in self.all() if v.id == id), None)
        self._link.execute("DELETE FROM verdicts WHERE id=?", (id,))
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

    def all(self, kind: str | None = None) -> list[VerdictRow]:
        rows = self._link.execute(
            f"SELECT {_VERDICT} FROM verdicts WHERE ? IS NULL OR kind=? ORDER BY id", (kind, kind)
        )
        return [_verdict(r) for r in rows]


def _verdict(row: tuple[Any, ...]) -> VerdictRow:
    id, kind, a, b, paths, at = row
    return VerdictRow(id=id, kind=kind, a=a, b=b, paths=tuple(json.loads(paths)), at=at)
