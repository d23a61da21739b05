"""Results of comparing held copies once more with their keepers, for moves of an older dedupd (P16).

Owns the table `held_checks`; a row can be made again by comparing again. Must never touch a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

from dedupd.adapters.ledger.columns import chunks
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import HeldBetter, HeldPair

SCHEMA = """
CREATE TABLE IF NOT EXISTS held_checks(
    content TEXT NOT NULL, keeper_content TEXT NOT NULL, rules TEXT NOT NULL, only_here TEXT NOT NULL,
    only_in_keeper TEXT NOT NULL, PRIMARY KEY(content, keeper_content)) WITHOUT ROWID;
"""

_HELD = "m.goal='moved' AND m.state='done' AND m.is_primary=1 AND m.content!=m.keeper_content"
# A move of today carries what both hold, and a person who said "the same" saw what would be lost.
_KNEW_LESS = "json_extract(m.evidence, '$.measures.holds_a') IS NULL"
_NOBODY_SAID = (
    "NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.kind='same' AND v.a=min(m.content, m.keeper_content) "
    "AND v.b=max(m.content, m.keeper_content))"
)


class HeldChecks(LedgerPart):
    """Queries and changes over checks. Writers hold a Ledger.transaction()."""

    def unchecked(self, rules: str, limit: int = -1) -> list[int]:
        """Moves of held copies that were not yet compared with their keeper under these rules, oldest first; one of each
        pair."""
        rows = self._link.execute(
            "SELECT min(m.id) FROM moves m "
            "LEFT JOIN held_checks c ON c.content=m.content AND c.keeper_content=m.keeper_content AND c.rules=? "
            f"WHERE {_HELD} AND c.content IS NULL AND {_KNEW_LESS} AND {_NOBODY_SAID} "
            "GROUP BY m.content, m.keeper_content ORDER BY min(m.id) LIMIT ?",
            (rules, limit),
        )
        return [r[0] for r in rows]

    def pairs(self, moves: Iterable[int]) -> list[HeldPair]:
        """The copies of these moves that are still held, and their keepers, oldest moves first."""
        found: list[HeldPair] = []
        for chunk, marks in chunks(moves):
            rows = self._link.execute(
                "SELECT root, dst, content, keeper, keeper_content, relation FROM moves m "
                f"WHERE {_HELD} AND id IN ({marks}) ORDER BY id",
                chunk,
            )
            found += (
                HeldPair(
                    root=os.fsdecode(r[0]), held=os.fsdecode(r[1]), content=r[2], keeper=os.fsdecode(r[3]),
                    keeper_content=r[4], relation=r[5],
                )
                for r in rows
            )  # fmt: skip
        return found

    def put(
        self, pair: HeldPair, rules: str, only_here: Sequence[str], only_in_keeper: Sequence[str]
    ) -> None:
        self._link.execute(
            "INSERT OR REPLACE INTO held_checks VALUES(?,?,?,?,?)",
            (
                pair.content, pair.keeper_content, rules, json.dumps(list(only_here)),
                json.dumps(list(only_in_keeper)),
            ),
        )  # fmt: skip

    def better(self) -> list[HeldBetter]:
        """Files in duplicates/ that hold what their keeper lacks, by group, as the rules in force have it; none in a ledger
        of an older dedupd.
        """
        if not self._link.execute("SELECT 1 FROM sqlite_master WHERE name='held_checks'").fetchone():
            return []
        rows = self._link.execute(
            "SELECT m.grp, m.root, m.file, m.src, m.dst, m.keeper, c.only_here, c.only_in_keeper FROM held_checks c "
            "JOIN moves m ON m.content=c.content AND m.keeper_content=c.keeper_content "
            f"WHERE c.only_here!='[]' AND c.rules=(SELECT value FROM meta WHERE key='held_rules') "
            f"AND {_HELD} AND {_NOBODY_SAID} ORDER BY m.grp, m.id"
        )
        return [
            HeldBetter(
                group=r[0], root=os.fsdecode(r[1]), file=r[2], src=os.fsdecode(r[3]), held=os.fsdecode(r[4]),
                keeper=os.fsdecode(r[5]), only_here=tuple(json.loads(r[6])), only_in_keeper=tuple(json.loads(r[7])),
            )
            for r in rows
        ]  # fmt: skip
