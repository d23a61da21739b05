"""ledger.db: what cannot be computed again (SQLite, WAL, synchronous=FULL)."""

from __future__ import annotations

from dedupd.adapters.ledger.ledger import Ledger

__all__ = ["Ledger"]
