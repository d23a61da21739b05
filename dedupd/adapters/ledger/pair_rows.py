"""Measured pairs: what the alignment of two contents gave, and which contents were compared with what.

Owns the tables `pairs` and `compared`. Must never decide what a measure means (core/relations.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from weakref import WeakValueDictionary

from dedupd.adapters.ledger.columns import chunks, listed, measures_from_json, pair_from_row, pair_to_row
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.photo import Measures
from dedupd.core.records import PairRow

_PAIR = "a, b, model, cosine, hash_distance, measures"


class Sought(set[str]):
    """Contents of a search that is under way, without those that `forget_compared` named since it began."""


class PairRows(LedgerPart):
    """Queries and changes over pairs."""

    def __init__(self, link: sqlite3.Connection) -> None:
        super().__init__(link)
        self._sought: WeakValueDictionary[int, Sought] = WeakValueDictionary()

    def searched(self, contents: Iterable[str]) -> Sought:
        """These are searched for from now on. Hours may lie between that and `compared`: who is forgotten meanwhile was away
        when something came, which this search has passed by.
        """
        searched = Sought(contents)
        self._sought[id(searched)] = searched
        return searched

    def get(self, a: str, b: str, model: str) -> PairRow | None:
        """What was measured of these two under this model, whichever way round they are named."""
        found = self._link.execute(
            f"SELECT {_PAIR} FROM pairs WHERE a=? AND b=? AND model=?", (min(a, b), max(a, b), model)
        ).fetchone()
        return None if found is None else pair_from_row(found)

    def among(self, contents: Iterable[str], model: str) -> list[PairRow]:
        """Every measured pair of this model that one of these contents is in, each once; what it means is for core/relations
        to say.
        """
        found: dict[tuple[str, str], PairRow] = {}
        for chunk, marks in chunks(contents):
            for end in ("a", "b"):
                rows = self._link.execute(
                    f"SELECT {_PAIR} FROM pairs WHERE {end} IN ({marks}) AND model=?", (*chunk, model)
                )
                found |= {(r[0], r[1]): pair_from_row(r) for r in rows if (r[0], r[1]) not in found}
        return list(found.values())

    def known(self, pairs: Iterable[tuple[str, str]], model: str) -> set[tuple[str, str]]:
        """Those of the pairs (a < b) that this model proposed and that were measured."""
        found: set[tuple[str, str]] = set()
        for chunk, marks in listed(pairs, 2):
            rows = self._link.execute(
                f"WITH asked(a, b) AS (VALUES {marks}) SELECT p.a, p.b FROM asked CROSS JOIN pairs p "
                "ON p.a=asked.a AND p.b=asked.b AND p.model=?",
                (*chunk, model),
            )
            found.update((r[0], r[1]) for r in rows)
        return found

    def measures_of(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Measures]:
        """What was measured of each of the pairs (a < b), whichever model proposed it."""
        found: dict[tuple[str, str], Measures] = {}
        for chunk, marks in listed(pairs, 2):
            rows = self._link.execute(
                f"WITH asked(a, b) AS (VALUES {marks}) SELECT p.a, p.b, p.measures FROM asked CROSS JOIN pairs p "
                "ON p.a=asked.a AND p.b=asked.b AND p.measures IS NOT NULL",
                chunk,
            )
            found |= {(r[0], r[1]): measures_from_json(r[2]) for r in rows if (r[0], r[1]) not in found}
        return found

    def put(self, pairs: Iterable[PairRow]) -> None:
        self._link.executemany("INSERT OR REPLACE INTO pairs VALUES(?,?,?,?,?,?)", map(pair_to_row, pairs))

    def forget_compared(self, contents: Iterable[str]) -> None:
        """They cannot be compared while they are away: all that came meanwhile is compared with them when they are back."""
        gone = list(contents)
        for table in ("compared", "deferred"):
            self._link.executemany(f"DELETE FROM {table} WHERE content=?", [(c,) for c in gone])
        for searched in self._sought.values():
            searched.difference_update(gone)

    def has(self, a: str, b: str, model: str | None = None) -> bool:
        """Whether the two were measured, whichever model proposed them (or this one). Look-alikes that were never aligned
        were not."""
        found = self._link.execute(
            "SELECT 1 FROM pairs WHERE a=? AND b=? AND model=coalesce(?, model) AND measures IS NOT NULL",
            (a, b, model),
        )
        return found.fetchone() is not None

    def measures(self, a: str, b: str) -> Measures | None:
        """What was measured of the two, whichever model proposed them."""
        row = self._link.execute(
            "SELECT measures FROM pairs WHERE a=? AND b=? AND measures IS NOT NULL", (a, b)
        ).fetchone()
        return None if row is None else measures_from_json(row[0])

    def forget(self, but: str | None = None) -> None:
        """Everything is compared again, except under the model `but`."""
        for table in ("pairs", "compared", "deferred"):
            self._link.execute(f"DELETE FROM {table} WHERE model IS NOT ?", (but,))

    def not_compared(self, contents: Sequence[str], month: str, model: str, rules: str) -> list[str]:
        """Those contents that were not compared with this month ('' = the whole library) under these rules."""
        known: set[str] = set()
        for chunk, marks in chunks(contents):
            rows = self._link.execute(
                f"SELECT content FROM compared WHERE content IN ({marks}) AND month=? AND model=? AND rules=?",
                (*chunk, month, model, rules),
            )
            known.update(r[0] for r in rows)
        return [c for c in contents if c not in known]

    def compared(self, contents: Iterable[str], month: str, model: str, rules: str) -> None:
        self._link.executemany(
            "INSERT OR REPLACE INTO compared VALUES(?,?,?,?)", [(c, month, model, rules) for c in contents]
        )
