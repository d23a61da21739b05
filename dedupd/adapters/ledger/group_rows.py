"""Measured pairs, groups and verdicts: what was proven, what was decided, what people said.

Must never decide; the pipeline hands finished stars over.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dedupd.adapters.ledger.columns import (
    chunks,
    evidence_from_json,
    evidence_to_json,
    listed,
    measures_from_json,
    pair_from_row,
    pair_to_row,
    sentence,
)
from dedupd.core.photo import Measures, Relation
from dedupd.core.records import GroupRow, KeptRow, MemberRow, PairRow, RootRow, VerdictRow

_PAIR = "a, b, model, cosine, hash_distance, measures"
_VERDICT = "id, kind, a, b, paths, at"
_MOVED = "m.goal='moved' AND m.state='done'"
_GROUP = "id, root, keeper, month, reasons, version, updated"

_WEAKEST = "CASE WHEN max(m.relation='similar') THEN 'similar' WHEN max(m.relation='burst') THEN 'burst' WHEN max(m.relation='copy') THEN 'copy' ELSE 'exact' END"
_STATE = "CASE WHEN max(m.role='duplicate') THEN 'proposed' WHEN max(m.role='review') THEN 'review' WHEN max(m.role='moved') THEN 'settled' ELSE 'kept' END"


class Judgement:
    """Queries and changes over pairs, groups, verdicts. Writers hold a Ledger.transaction()."""

    def __init__(self, link: sqlite3.Connection) -> None:
        self._link = link

    # ---- measured pairs

    def pair(self, a: str, b: str, model: str) -> PairRow | None:
        """What was measured of these two under this model, whichever way round they are named."""
        found = self._link.execute(
            f"SELECT {_PAIR} FROM pairs WHERE a=? AND b=? AND model=?", (min(a, b), max(a, b), model)
        ).fetchone()
        return None if found is None else pair_from_row(found)

    def pairs_among(self, contents: Iterable[str], model: str) -> list[PairRow]:
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

    def known_pairs(self, pairs: Iterable[tuple[str, str]], model: str) -> set[tuple[str, str]]:
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

    def put_pairs(self, pairs: Iterable[PairRow]) -> None:
        self._link.executemany("INSERT OR REPLACE INTO pairs VALUES(?,?,?,?,?,?)", map(pair_to_row, pairs))

    def put_pair(self, pair: PairRow) -> None:
        self._link.execute("INSERT OR REPLACE INTO pairs VALUES(?,?,?,?,?,?)", pair_to_row(pair))

    def forget_compared(self, contents: Iterable[str]) -> None:
        """They cannot be compared while they are away: all that came meanwhile is compared with them when they are back."""
        self._link.executemany("DELETE FROM compared WHERE content=?", [(c,) for c in contents])

    def has_pair(self, a: str, b: str, model: str | None = None) -> bool:
        """Whether the two were measured, whichever model proposed them (or this one)."""
        found = self._link.execute(
            "SELECT 1 FROM pairs WHERE a=? AND b=? AND model=coalesce(?, model)", (a, b, model)
        )
        return found.fetchone() is not None

    def measures(self, a: str, b: str) -> Measures | None:
        """What was measured of the two, whichever model proposed them."""
        row = self._link.execute(
            "SELECT measures FROM pairs WHERE a=? AND b=? AND measures IS NOT NULL", (a, b)
        ).fetchone()
        return None if row is None else measures_from_json(row[0])

    def forget_pairs(self, but: str | None = None) -> None:
        """Everything is compared again, except under the model `but`."""
        for table in ("pairs", "compared"):
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

    # ---- groups

    def _groups(self, where: str, arguments: Sequence[Any] | dict[str, Any]) -> list[GroupRow]:
        rows = self._link.execute(f"SELECT {_GROUP} FROM groups {where}", arguments).fetchall()
        members = self._members(r[0] for r in rows)
        return [
            GroupRow(
                id=r[0], root=r[1], keeper=r[2], month=r[3], reasons=tuple(json.loads(r[4])), version=r[5],
                updated=r[6], members=tuple(members.get(r[0], ())),
            )
            for r in rows
        ]  # fmt: skip

    def _members(self, groups: Iterable[int]) -> dict[int, list[MemberRow]]:
        found: dict[int, list[MemberRow]] = {}
        for chunk, marks in chunks(groups):
            rows = self._link.execute(
                f"SELECT grp, file, role, relation, evidence, why FROM members WHERE grp IN ({marks}) ORDER BY file",
                chunk,
            )
            for r in rows:
                member = MemberRow(
                    file=r[1], role=r[2], relation=Relation(r[3]), evidence=evidence_from_json(r[4]), why=r[5]
                )
                found.setdefault(r[0], []).append(member)
        return found

    def groups(self, root: int | None = None, month: str | None = None) -> list[GroupRow]:
        """Newest month first, then id."""
        wanted = {"root": root, "month": month}
        terms = [f"{name}=:{name}" for name, value in wanted.items() if value is not None]
        return self._groups(f"WHERE {' AND '.join(terms) or 1} ORDER BY month DESC, id", wanted)

    def page(
        self, roots: Iterable[int], month: str | None, relation: str | None, state: str | None,
        offset: int, limit: int | None,
    ) -> tuple[list[GroupRow], int]:  # fmt: skip
        """Groups with anything beside their keeper, newest month first, then id; and how many there are in all.

        `relation` and `state` as pipeline/review calls them: the weakest relation, what the most urgent member waits for.
        """
        which = list(roots)
        of_month = ("AND g.month=? ", (month,)) if month is not None else ("", ())
        ids = self._link.execute(
            "SELECT g.id FROM groups g JOIN members m ON m.grp=g.id "
            f"WHERE g.root IN ({','.join('?' * len(which))}) {of_month[0]}AND m.role!='stays' GROUP BY g.id "
            f"HAVING (? IS NULL OR ?={_WEAKEST}) AND (? IS NULL OR ?={_STATE}) ORDER BY g.month DESC, g.id",
            (*which, *of_month[1], relation, relation, state, state),
        ).fetchall()
        start = max(0, offset)
        chosen = [r[0] for r in ids[start : None if limit is None else start + limit]]
        rows = {
            g.id: g for part, marks in chunks(chosen) for g in self._groups(f"WHERE id IN ({marks})", part)
        }
        return [rows[id] for id in chosen], len(ids)

    def proposed(self, root: int) -> list[GroupRow]:
        """Groups of this root with members that would move unattended; newest month first, then id."""
        return self._groups(
            "WHERE +root=? AND id IN (SELECT grp FROM members WHERE role='duplicate') ORDER BY month DESC, id",
            (root,),
        )

    def waiting_by_month(self) -> dict[tuple[int, str], tuple[int, int]]:
        """(root, month) -> (groups with something beside their keeper, those of them that wait for something)."""
        rows = self._link.execute(
            "SELECT root, month, sum(id IN (SELECT grp FROM members WHERE role IN ('duplicate', 'review', 'moved'))),"
            " sum(id IN (SELECT grp FROM members WHERE role IN ('duplicate', 'review'))) FROM groups GROUP BY root, month"
        )
        return {(r[0], r[1]): (r[2], r[3]) for r in rows}

    def proposed_totals(self, root: int) -> tuple[int, int]:
        """Files of this root that would move unattended, and their bytes; not what cannot move and waits for a person."""
        row = self._link.execute(
            "SELECT count(*), coalesce(sum(f.size), 0) FROM members m JOIN groups g ON g.id=m.grp "
            "JOIN files f ON f.id=m.file WHERE m.role='duplicate' AND g.root=? "
            "AND NOT EXISTS (SELECT 1 FROM refused r WHERE r.file=m.file AND r.keeper=g.keeper AND r.lasting)",
            (root,),
        ).fetchone()
        return row[0], row[1]

    def group(self, id: int) -> GroupRow | None:
        found = self._groups("WHERE id=?", (id,))
        return found[0] if found else None

    def group_of_keeper(self, root: int, keeper: int) -> GroupRow | None:
        found = self._groups("WHERE root=? AND keeper=?", (root, keeper))
        return found[0] if found else None

    def groups_with_file(self, file: int) -> list[GroupRow]:
        """As keeper or as member."""
        return self._groups("WHERE keeper=? OR id IN (SELECT grp FROM members WHERE file=?)", (file, file))

    def groups_with_files(self, files: Iterable[int]) -> list[GroupRow]:
        """Groups that any of these files keeps or is a member of, each once; newest month first, then id."""
        ids: set[int] = set()
        for chunk, marks in chunks(files):
            rows = self._link.execute(
                f"SELECT id FROM groups WHERE keeper IN ({marks}) UNION SELECT grp FROM members WHERE file IN ({marks})",
                (*chunk, *chunk),
            )
            ids.update(r[0] for r in rows)
        found = [
            g for part, marks in chunks(sorted(ids)) for g in self._groups(f"WHERE id IN ({marks})", part)
        ]
        return sorted(found, key=lambda g: (g.month, -g.id), reverse=True)

    def groups_of_keepers(self, root: int, keepers: Iterable[int]) -> dict[int, GroupRow]:
        """Keeper -> its group, of those that have one in this root."""
        return {
            g.keeper: g
            for part, marks in chunks(keepers)
            for g in self._groups(f"WHERE root=? AND keeper IN ({marks})", (root, *part))
        }

    def put_group(
        self,
        root: int,
        keeper: int,
        month: str,
        reasons: Sequence[str],
        members: Sequence[MemberRow],
        at: float,
        known: Mapping[int, GroupRow] | None = None,
    ) -> int:
        """Insert or update the star of this keeper; the version grows only when something changed.

        `known`: keeper -> its group as it is now, from a caller who read many at once.
        """
        old = self.group_of_keeper(root, keeper) if known is None else known.get(keeper)
        new = (month, tuple(reasons), tuple(sorted(members, key=lambda m: m.file)))
        if old is not None and (old.month, old.reasons, old.members) == new:
            return old.id
        row = self._link.execute(
            "INSERT INTO groups(root, keeper, month, reasons, updated) VALUES(?,?,?,?,?) "
            "ON CONFLICT(root, keeper) DO UPDATE SET month=excluded.month, reasons=excluded.reasons, "
            "updated=excluded.updated, version=version+1 RETURNING id",
            (root, keeper, month, json.dumps(list(reasons)), at),
        ).fetchone()
        self._link.execute("DELETE FROM members WHERE grp=?", (row[0],))
        self._link.executemany(
            "INSERT INTO members VALUES(?,?,?,?,?,?)",
            [
                (row[0], m.file, m.role, m.relation, evidence_to_json(m.evidence), sentence(m.why))
                for m in members
            ],
        )
        return int(row[0])

    def set_role(self, group: int, file: int, role: str, why: str | None = None) -> None:
        """A member moved or came back; the group's version grows."""
        self._link.execute(
            "UPDATE members SET role=?, why=coalesce(?, why) WHERE grp=? AND file=?",
            (role, None if why is None else sentence(why), group, file),
        )
        self._link.execute("UPDATE groups SET version=version+1 WHERE id=?", (group,))

    def remove_member(self, group: int, file: int) -> None:
        """Its keeper is gone: it is a photo of its own again. A group without members is none."""
        self._link.execute("DELETE FROM members WHERE grp=? AND file=?", (group, file))
        self._link.execute("UPDATE groups SET version=version+1 WHERE id=?", (group,))
        self._link.execute(
            "DELETE FROM groups WHERE id=? AND NOT EXISTS (SELECT 1 FROM members WHERE grp=groups.id)",
            (group,),
        )

    def void(self, file: int) -> None:
        """Its bytes are others now, or it is gone: what was proposed of it rests on nothing. What moved stays beside its keeper."""
        self._link.execute(
            "DELETE FROM members WHERE role!='moved' AND (file=? OR grp IN (SELECT id FROM groups WHERE keeper=?))",
            (file, file),
        )
        self._link.execute("UPDATE groups SET version=version+1 WHERE keeper=?", (file,))
        self._link.execute(
            "DELETE FROM groups WHERE keeper=? AND id NOT IN (SELECT grp FROM members)", (file,)
        )

    def months_beside(self, root: int, file: int, content: str | None) -> list[str]:
        """Months of this root whose groups may change when this file does: of its group, of its twins, of its measured pairs."""
        rows = self._link.execute(
            "SELECT month FROM groups WHERE keeper=:file OR id IN (SELECT grp FROM members WHERE file=:file) "
            "UNION SELECT month FROM files WHERE +root=:root AND +state IN ('indexed', 'undecoded') AND content IN "
            "(SELECT b FROM pairs WHERE a=:content UNION SELECT a FROM pairs WHERE b=:content UNION SELECT :content)",
            {"root": root, "file": file, "content": content},
        )
        return [r[0] for r in rows]

    def kept(
        self, root: RootRow, *, groups: Iterable[int] | None = None, after: int = 0, limit: int = -1
    ) -> list[KeptRow]:
        """Groups of this root that hold copies, in the order of their ids: these, or the first so many behind `after`.

        From the moves, so that no held file is ever forgotten.
        """
        if groups is not None:
            return [
                row
                for part, marks in chunks(sorted(groups))
                for row in self._kept(f"+m.root=? AND m.grp IN ({marks})", (os.fsencode(root.path), *part))
            ]
        # The + leads a part of them along the index of groups; all of them lie in the index of what is held.
        by_group = "+" if after or limit >= 0 else ""
        return self._kept(f"{by_group}m.root=? AND m.grp>?", (os.fsencode(root.path), after), limit)

    def _kept(self, where: str, values: Sequence[Any], limit: int = -1) -> list[KeptRow]:
        rows = self._link.execute(
            "SELECT m.grp, f.path, max(coalesce(f.content != m.keeper_content, 0)), "
            "max(coalesce(f.content IS NULL AND f.reason='', 0)) FROM moves m "
            "LEFT JOIN groups g ON g.id=m.grp LEFT JOIN files f ON f.id=g.keeper "
            f"WHERE {where} AND {_MOVED} GROUP BY m.grp ORDER BY m.grp LIMIT ?",
            (*values, limit),
        )
        return [
            KeptRow(
                group=r[0], path=None if r[1] is None else os.fsdecode(r[1]), changed=bool(r[2]), unread=bool(r[3])
            )
            for r in rows
        ]  # fmt: skip

    def groups_kept_in(self, root: RootRow, folder: str, *, whole: bool) -> set[int]:
        """Groups whose held copies have their keeper in this folder ('' = the root); `whole`: or anywhere below it.

        By the name it has in the journal and by the one it has now: they differ while its new bytes are not known.
        """
        at = os.fsencode(folder)
        inside = at + b"/" if folder else b""
        values = {
            "root": root.id, "at": at, "path": os.fsencode(root.path), "from": inside, "length": len(inside) + 1,
            "end": at + b"0" if folder else b"\xff" * 256,
        }  # fmt: skip
        below = (
            "f.folder=:at"
            if not whole
            else "f.folder>=:at AND f.folder<:end AND (f.folder=:at OR f.folder>=:from)"
        )
        direct = "" if whole else "AND instr(substr(m.keeper, :length), x'2f')=0 "
        rows = self._link.execute(
            f"SELECT m.grp FROM moves m WHERE m.root=:path AND m.keeper>=:from AND m.keeper<:end {direct}AND {_MOVED} "
            "UNION SELECT m.grp FROM files f CROSS JOIN groups g ON g.keeper=f.id "
            f"CROSS JOIN moves m ON m.grp=g.id AND {_MOVED} WHERE f.root=:root AND {below}",
            values,
        )
        return {r[0] for r in rows}

    def remove_group(self, id: int) -> None:
        self._link.execute("DELETE FROM members WHERE grp=?", (id,))
        self._link.execute("DELETE FROM groups WHERE id=?", (id,))

    # ---- what lessons changed

    def put_taught(self, root: int, month: str, pairs: Iterable[tuple[str, str]]) -> None:
        """The pairs of this month that lessons took out of the way; replaces those of before."""
        self._link.execute("DELETE FROM taught WHERE root=? AND month=?", (root, month))
        self._link.executemany("INSERT INTO taught VALUES(?,?,?,?)", [(root, month, a, b) for a, b in pairs])

    def taught(self, root: int | None = None, month: str | None = None) -> list[tuple[str, str]]:
        """Each pair once, in order."""
        return self._link.execute(
            "SELECT DISTINCT a, b FROM taught WHERE (? IS NULL OR root=?) AND (? IS NULL OR month=?) ORDER BY a, b",
            (root, root, month, month),
        ).fetchall()

    def months_that_lessons_may_change(self) -> list[tuple[int, str]]:
        """(root, month) with something that waits to move or for a person, or that lessons took away."""
        return self._link.execute(
            "SELECT root, month FROM groups WHERE id IN (SELECT grp FROM members WHERE role IN ('duplicate', 'review')) "
            "UNION SELECT root, month FROM taught"
        ).fetchall()

    # ---- verdicts

    def add_verdict(self, kind: str, a: str, b: str, paths: Sequence[str], at: float) -> int:
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

    def said(self, kind: str, a: str, b: str = "") -> bool:
        """Whether a person said so of this content or pair."""
        a, b = (a, b) if not b or a <= b else (b, a)
        found = self._link.execute("SELECT 1 FROM verdicts WHERE kind=? AND a=? AND b=?", (kind, a, b))
        return found.fetchone() is not None

    def drop_verdict(self, kind: str, a: str, b: str) -> None:
        """The latest word wins: 'same' takes an older 'different' of the pair back, and the reverse."""
        a, b = (a, b) if not b or a <= b else (b, a)
        self._link.execute("DELETE FROM verdicts WHERE kind=? AND a=? AND b=?", (kind, a, b))

    def remove_verdict(self, id: int) -> VerdictRow | None:
        found = next((v for v in self.verdicts() if v.id == id), None)
        self._link.execute("DELETE FROM verdicts WHERE id=?", (id,))
        return found

    def teaching(self, kind: str, at_most: int) -> list[VerdictRow]:
        """The newest 'different' or 'same' verdicts on two contents, but for pairs that were merely put back.

        Of such a pair the 'keep' was written down in the same moment, after the 'different'.
        """
        rows = self._link.execute(
            f"SELECT {_VERDICT} FROM verdicts v WHERE kind=? AND b!='' AND a!=b AND NOT EXISTS "
            "(SELECT 1 FROM verdicts k WHERE k.kind='keep' AND k.a IN (v.a, v.b) AND k.at=v.at AND k.id>v.id) "
            "ORDER BY id DESC LIMIT ?",
            (kind, at_most),
        )
        return [_verdict(r) for r in rows]

    def said_so_far(self) -> str:
        """Differs whenever a verdict came or went."""
        row = self._link.execute("SELECT count(*), coalesce(max(id), 0), coalesce(sum(id), 0) FROM verdicts")
        return ":".join(map(str, row.fetchone()))

    def verdicts(self, kind: str | None = None) -> list[VerdictRow]:
        rows = self._link.execute(
            f"SELECT {_VERDICT} FROM verdicts WHERE ? IS NULL OR kind=? ORDER BY id", (kind, kind)
        )
        return [_verdict(r) for r in rows]


def _verdict(row: tuple[Any, ...]) -> VerdictRow:
    id, kind, a, b, paths, at = row
    return VerdictRow(id=id, kind=kind, a=a, b=b, paths=tuple(json.loads(paths)), at=at)
