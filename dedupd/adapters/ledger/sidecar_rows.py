"""The sidecars dedupd wrote beside keepers, and what is owed: one row a group, kept in step with its moves.

Owns the table `sidecars`; a row is on disk before its file is made or taken away. Must never touch a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

from dedupd.adapters.ledger.columns import sentence
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import SidecarRow

SCHEMA = """
CREATE TABLE IF NOT EXISTS sidecars(
    grp INTEGER PRIMARY KEY, root INTEGER NOT NULL,
    state TEXT NOT NULL CHECK(state IN ('owed', 'writing', 'removing', 'settled')),
    path BLOB NOT NULL DEFAULT x'', text TEXT NOT NULL DEFAULT '', told TEXT NOT NULL DEFAULT '[]',
    conflicts TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS sidecars_open ON sidecars(state) WHERE state != 'settled';
CREATE INDEX IF NOT EXISTS sidecars_path ON sidecars(root, path);
"""

_COLUMNS = "grp, root, state, path, text, told, conflicts"


class Sidecars(LedgerPart):
    """Queries and changes over sidecars. Writers hold a Ledger.transaction()."""

    def owe(self, root: int, group: int) -> None:
        """Its held copies are others now: what stands beside its keeper is to be worked out again."""
        self._link.execute(
            "INSERT INTO sidecars(grp, root, state) VALUES(?,?,'owed') "
            "ON CONFLICT(grp) DO UPDATE SET state='owed' WHERE state='settled'",
            (group, root),
        )

    def put(self, row: SidecarRow) -> None:
        self._link.execute(
            f"INSERT OR REPLACE INTO sidecars({_COLUMNS}) VALUES(?,?,?,?,?,?,?)",
            (
                row.group, row.root, row.state, os.fsencode(row.path), row.text,
                _list(row.told), _list(row.conflicts),
            ),
        )  # fmt: skip

    def forget(self, group: int) -> None:
        """There is none, or it is its owner's from now on."""
        self._link.execute("DELETE FROM sidecars WHERE grp=?", (group,))

    def of(self, group: int) -> SidecarRow | None:
        found = self._select("grp=?", (group,))
        return found[0] if found else None

    def unsettled(self) -> list[SidecarRow]:
        """Rows that wait for something to be done."""
        return self._select("state != 'settled'", ())

    def unsettled_of(self, root: int) -> list[int]:
        """The groups of this root whose rows wait for something to be done."""
        rows = self._link.execute(
            "SELECT grp FROM sidecars WHERE state != 'settled' AND +root=? ORDER BY grp", (root,)
        )
        return [r[0] for r in rows]

    def follow(self, root: int, old: str, new: str) -> None:
        """A person renamed a sidecar of ours."""
        self._link.execute(
            "UPDATE sidecars SET path=? WHERE root=? AND path=?", (os.fsencode(new), root, os.fsencode(old))
        )

    def _select(self, where: str, values: Sequence[Any]) -> list[SidecarRow]:
        rows = self._link.execute(f"SELECT {_COLUMNS} FROM sidecars WHERE {where} ORDER BY grp", values)
        return [
            SidecarRow(
                group=r[0], root=r[1], state=r[2], path=os.fsdecode(r[3]), text=r[4],
                told=tuple(json.loads(r[5])), conflicts=tuple(json.loads(r[6])),
            )
            for r in rows
        ]  # fmt: skip


def _list(sentences: Sequence[str]) -> str:
    return json.dumps([sentence(text) for text in sentences])
