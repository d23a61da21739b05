"""ledger.db: what cannot be computed again (SQLite, WAL, synchronous=FULL).

    schema.py     the tables, the one way to connect, sqlite's errors as ours
    rows.py       JSON inside columns
    inventory.py  roots, files, months, contents
    judgement.py  measured pairs, groups, verdicts
    journal.py    the move journal
    sidecars.py   what stands beside keepers, and what is owed
    held_checks.py  what older moves put aside, looked at once more
    refusals.py   what was to move and could not
    rereading.py  whose bytes are to be read again
    forgetting.py what is gone and named nowhere

Owns durability; must never decide anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from dedupd.adapters.ledger.forgetting import Forgetting
from dedupd.adapters.ledger.held_checks import HeldChecks
from dedupd.adapters.ledger.inventory import Inventory
from dedupd.adapters.ledger.journal import Journal
from dedupd.adapters.ledger.judgement import Judgement
from dedupd.adapters.ledger.refusals import Refusals
from dedupd.adapters.ledger.rereading import Rereading
from dedupd.adapters.ledger.schema import connect, translated
from dedupd.adapters.ledger.sidecar_rows import Sidecars

__all__ = ["Ledger"]


class Ledger:
    """One connection and its parts. Use one per thread; only the pipeline's may write."""

    def __init__(self, path: Path | str, *, read_only: bool = False) -> None:
        """Raises LedgerDamaged or StateError, one sentence each."""
        self.path = path
        self._link = connect(path, read_only=read_only)
        self.inventory = Inventory(self._link)
        self.judgement = Judgement(self._link)
        self.journal = Journal(self._link)
        self.sidecars = Sidecars(self._link)
        self.held_checks = HeldChecks(self._link)
        self.refusals = Refusals(self._link)
        self.rereading = Rereading(self._link)
        self.forgetting = Forgetting(self._link)

    @contextmanager
    def transaction(self) -> Generator[None]:
        """All or nothing; nested use joins the outer transaction."""
        if self._link.in_transaction:
            yield
            return
        with self.translating():
            self._link.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._link.execute("ROLLBACK")
                raise
            self._link.execute("COMMIT")

    @contextmanager
    def translating(self) -> Generator[None]:
        """Turns sqlite's errors into StateError / LedgerDamaged."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise translated(error, self.path) from error

    def get(self, key: str, default: str = "") -> str:
        """A recorded choice or counter."""
        row = self._link.execute("SELECT value FROM meta WHERE key=?", (key,)).fetchone()
        return default if row is None else row[0]

    def put(self, key: str, value: str) -> None:
        with self.translating():
            self._link.execute(
                "INSERT INTO meta VALUES(?,?) ON CONFLICT(key) DO UPDATE SET value=excluded.value",
                (key, value),
            )

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
