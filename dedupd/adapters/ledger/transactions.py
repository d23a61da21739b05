"""What every part of the ledger shares: the connection, its transactions, and sqlite's errors as dedupd's own.

Must never know a table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from dedupd.errors import LedgerDamaged, StateError


class LedgerPart:
    """One part of the ledger: queries and changes over its own tables. Writers hold a Ledger.transaction()."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self._link = link


@contextmanager
def transaction(link: sqlite3.Connection) -> Generator[None]:
    """All or nothing; nested use joins the outer transaction. StateError, LedgerDamaged."""
    if link.in_transaction:
        yield
        return
    with translating(link):
        link.execute("BEGIN IMMEDIATE")
        try:
            yield
            link.execute("COMMIT")
        except BaseException:
            if link.in_transaction:  # a full disk makes sqlite roll back by itself
                link.execute("ROLLBACK")
            raise


@contextmanager
def translating(ledger: sqlite3.Connection | Path | str) -> Generator[None]:
    """Turns sqlite's errors into StateError and LedgerDamaged, one sentence each."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        path = _path_of(ledger) if isinstance(ledger, sqlite3.Connection) else ledger
        raise _translated(error, path) from error


def _path_of(link: sqlite3.Connection) -> str:
    with suppress(sqlite3.Error):
        return str(link.execute("PRAGMA database_list").fetchone()[2])
    return "ledger.db"


def _translated(error: sqlite3.DatabaseError, path: Path | str) -> StateError:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StateError(
            f"the disk that holds {path} is full or failing ({error}): make room, then try again"
        )
    if code.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM")):
        return StateError(f"cannot write {path} ({error}): check its permissions, or use another --state-dir")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StateError(f"{path} is in use by another program ({error}): close it, then try again")
    return LedgerDamaged(
        f"the ledger {path} is damaged ({error}): nothing will move; "
        "put files back with `dedupd undo --from ROOT --all`, then move the file aside to start a new ledger"
    )
