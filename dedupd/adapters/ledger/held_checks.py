"""Results of comparing held copies once more with their keepers, for moves of an older dedupd.

Owns the tables `held_checks` (what each holds, P16) and `held_changes` (what was changed between two shots); a row can be
made again by comparing again. Must never touch a file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence

from dedupd.adapters.ledger.columns import chunks, evidence_from_json
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.records import HeldBetter, HeldChange, HeldPair

SCHEMA = """
CREATE TABLE IF NOT EXISTS held_checks(
    content TEXT NOT NULL, keeper_content TEXT NOT NULL, rules TEXT NOT NULL, only_here TEXT NOT NULL,
    only_in_keeper TEXT NOT NULL, PRIMARY KEY(content, keeper_content)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held_changes(
    content TEXT NOT NULL, keeper_content TEXT NOT NULL, rules TEXT NOT NULL, why TEXT NOT NULL,
    PRIMARY KEY(content, keeper_content)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held_changes_told ON held_changes(content) WHERE why!='';
"""

_HELD = "m.goal='moved' AND m.state='done' AND m.is_primary=1 AND m.content!=m.keeper_content"
# A move of today carries what both hold, and a person who said "the same" saw what would be lost.
_KNEW_LESS = "json_extract(m.evidence, '$.measures.holds_a') IS NULL"
# Two shots that move today were looked at for islands. A copy of one camera may be a second shot: what was seen in both tells.
_UNSEEN = (
    "json_extract(m.evidence, '$.measures.extra.island') IS NULL "
    "AND (m.relation='burst' OR json_extract(m.evidence, '$.same_camera'))"
)
_THERE = "f.state='held' AND f.absent_since IS NULL"
_NOBODY_SAID = (
    "NOT EXISTS (SELECT 1 FROM verdicts v WHERE v.kind='same' AND v.a=min(m.content, m.keeper_content) "
    "AND v.b=max(m.content, m.keeper_content))"
)


class HeldChecks(LedgerPart):
    """Queries and changes over checks. Writers hold a Ledger.transaction()."""

    def unchecked(self, rules: str) -> list[int]:
        """Moves of held copies that knew nothing of what files hold, and were not yet compared with their keeper under these
        rules, oldest first; one of each pair."""
        return self._waiting("held_checks", _KNEW_LESS, rules)

    def unseen(self, rules: str) -> list[int]:
        """The same of moves, perhaps of two shots, of which nobody knew whether something small was changed between them."""
        return self._waiting("held_changes", _UNSEEN, rules)

    def _waiting(self, table: str, asked: str, rules: str) -> list[int]:
        rows = self._link.execute(
            "SELECT min(m.id) FROM moves m "
            f"LEFT JOIN {table} c ON c.content=m.content AND c.keeper_content=m.keeper_content AND c.rules=? "
            f"WHERE {_HELD} AND c.content IS NULL AND {asked} AND {_NOBODY_SAID} "
            "GROUP BY m.content, m.keeper_content ORDER BY min(m.id)",
            (rules,),
        )
        return [r[0] for r in rows]

    def pairs(self, moves: Iterable[int]) -> list[HeldPair]:
        """The copies of these moves that are still held, and their keepers, oldest moves first."""
        found: list[HeldPair] = []
        for chunk, marks in chunks(moves):
            rows = self._link.execute(
                "SELECT id, root, dst, content, keeper, keeper_content, relation, evidence FROM moves m "
                f"WHERE {_HELD} AND id IN ({marks}) ORDER BY id",
                chunk,
            )
            found += (
                HeldPair(
                    move=r[0], root=os.fsdecode(r[1]), held=os.fsdecode(r[2]), content=r[3], keeper=os.fsdecode(r[4]),
                    keeper_content=r[5], relation=r[6], evidence=evidence_from_json(r[7]),
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

    def put_change(self, pair: HeldPair, rules: str, why: str) -> None:
        """`why`: '' where nothing was changed, or the pair would move today all the same."""
        self._link.execute(
            "INSERT OR REPLACE INTO held_changes VALUES(?,?,?,?)",
            (pair.content, pair.keeper_content, rules, why),
        )

    def changed(self) -> list[HeldChange]:
        """Shots in duplicates/ between which and their keeper something was changed, by group; none in a ledger of an older
        dedupd."""
        if not self._has("held_changes"):
            return []
        # CROSS: from the few that were changed to their moves, as each month that is written asks for them.
        rows = self._link.execute(
            "SELECT m.id, m.grp, m.root, m.file, m.src, m.dst, m.keeper, c.why FROM held_changes c "
            "CROSS JOIN moves m ON m.content=c.content AND m.keeper_content=c.keeper_content "
            "CROSS JOIN files f ON f.id=m.file "
            f"WHERE c.why!='' AND {_HELD} AND {_THERE} AND {_NOBODY_SAID} ORDER BY m.grp, m.id"
        )
        return [
            HeldChange(
                move=r[0], group=r[1], root=os.fsdecode(r[2]), file=r[3], src=os.fsdecode(r[4]), held=os.fsdecode(r[5]),
                keeper=os.fsdecode(r[6]), why=r[7],
            )
            for r in rows
        ]  # fmt: skip

    def change(self, content: str, keeper_content: str) -> str | None:
        """What was changed between these two, one clause; '' when nothing was; None when nobody looked since they moved."""
        found = self._link.execute(
            "SELECT why FROM held_changes WHERE content=? AND keeper_content=?", (content, keeper_content)
        ).fetchone()
        return None if found is None else found[0]

    def _has(self, table: str) -> bool:
        return bool(self._link.execute("SELECT 1 FROM sqlite_master WHERE name=?", (table,)).fetchone())

    def better(self) -> list[HeldBetter]:
        """Files in duplicates/ that hold what their keeper lacks, by group, as the rules in force have it; none in a ledger
        of an older dedupd. A changed shot is none: each of the two shows something, so there is nothing to exchange.
        """
        if not self._has("held_checks"):
            return []
        changed = {change.move for change in self.changed()}
        rows = self._link.execute(
            "SELECT m.grp, m.root, m.file, m.src, m.dst, m.keeper, c.only_here, c.only_in_keeper, m.id FROM held_checks c "
            "JOIN moves m ON m.content=c.content AND m.keeper_content=c.keeper_content JOIN files f ON f.id=m.file "
            f"WHERE c.only_here!='[]' AND c.rules=(SELECT value FROM meta WHERE key='held_rules') "
            f"AND {_HELD} AND {_THERE} AND {_NOBODY_SAID} ORDER BY m.grp, m.id"
        )
        return [
            HeldBetter(
                group=r[0], root=os.fsdecode(r[1]), file=r[2], src=os.fsdecode(r[3]), held=os.fsdecode(r[4]),
                keeper=os.fsdecode(r[5]), only_here=tuple(json.loads(r[6])), only_in_keeper=tuple(json.loads(r[7])),
            )
            for r in rows
            if r[8] not in changed
        ]  # fmt: skip
