"""Groups: the star of each keeper, its members, and which copies it holds.

Owns the tables `groups` and `members`. Must never decide; the pipeline gives finished stars.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from dedupd.adapters.ledger.columns import chunks, evidence_from_json, evidence_to_json, months_in, sentence
from dedupd.adapters.ledger.transactions import LedgerPart
from dedupd.core.photo import Relation
from dedupd.core.records import GroupOutline, GroupRow, HeldGroupRow, MemberRow, ProposedRow, RootRow

_MOVED = "m.goal='moved' AND m.state='done'"
_GROUP = "id, root, keeper, month, reasons, version, updated"

_WEAKEST = "CASE WHEN max(m.relation='similar') THEN 'similar' WHEN max(m.relation='burst') THEN 'burst' WHEN max(m.relation='copy') THEN 'copy' ELSE 'exact' END"
_STATE = "CASE WHEN max(m.role='duplicate') THEN 'proposed' WHEN max(m.role='review') THEN 'review' WHEN max(m.role='moved') THEN 'settled' ELSE 'kept' END"


class GroupRows(LedgerPart):
    """Queries and changes over groups."""

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

    def all(self, root: int | None = None, month: str | None = None) -> list[GroupRow]:
        """Groups, of a root and month if given; newest month first, then id."""
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
        return self.by_ids(chosen), len(ids)

    def outlines(self, root: int, month: str) -> list[GroupOutline]:
        """The groups of a month with anything beside their keeper, by id: one question, however many they are."""
        rows = self._link.execute(
            f"SELECT g.id, g.root, k.path, g.month, g.version, {_WEAKEST}, {_STATE}, "
            "sum((m.role!='review') * f.size), sum((m.role='review') * f.size) "
            "FROM groups g JOIN files k ON k.id=g.keeper JOIN members m ON m.grp=g.id JOIN files f ON f.id=m.file "
            "WHERE g.root=? AND g.month=? AND m.role!='stays' GROUP BY g.id",
            (root, month),
        )
        return [
            GroupOutline(
                id=r[0], root=r[1], keeper=os.fsdecode(r[2]), month=r[3], version=r[4], relation=r[5], state=r[6],
                bytes=r[7], review_bytes=r[8],
            )
            for r in rows
        ]  # fmt: skip

    def by_ids(self, ids: Iterable[int]) -> list[GroupRow]:
        """The groups with these ids that still exist, in the order given."""
        wanted = list(ids)
        rows = {
            g.id: g for part, marks in chunks(wanted) for g in self._groups(f"WHERE id IN ({marks})", part)
        }
        return [rows[id] for id in wanted if id in rows]

    def proposed(self, root: int) -> list[ProposedRow]:
        """What would move of this root unattended; newest month first, then by group."""
        rows = self._link.execute(
            "SELECT g.id, g.keeper, m.file FROM members m JOIN groups g ON g.id=m.grp "
            "WHERE m.role='duplicate' AND +g.root=? ORDER BY g.month DESC, g.id, m.file",
            (root,),
        )
        return [
            ProposedRow(group, keeper, tuple(row[2] for row in members))
            for (group, keeper), members in groupby(rows, key=lambda row: (row[0], row[1]))
        ]

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

    def months_of(self, groups: Iterable[int]) -> set[str]:
        """The months of these groups."""
        return months_in(self._link, "groups", groups)

    def get(self, id: int) -> GroupRow | None:
        found = self._groups("WHERE id=?", (id,))
        return found[0] if found else None

    def of_keeper(self, root: int, keeper: int) -> GroupRow | None:
        found = self._groups("WHERE root=? AND keeper=?", (root, keeper))
        return found[0] if found else None

    def with_file(self, file: int) -> list[GroupRow]:
        """Groups that have this file as keeper or member."""
        return self._groups("WHERE keeper=? OR id IN (SELECT grp FROM members WHERE file=?)", (file, file))

    def with_files(self, files: Iterable[int]) -> list[GroupRow]:
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

    def of_keepers(self, root: int, keepers: Iterable[int]) -> dict[int, GroupRow]:
        """Keeper -> its group, of those that have one in this root."""
        return {
            g.keeper: g
            for part, marks in chunks(keepers)
            for g in self._groups(f"WHERE root=? AND keeper IN ({marks})", (root, *part))
        }

    def put(
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
        old = self.of_keeper(root, keeper) if known is None else known.get(keeper)
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
        """Record that a member moved or came back; the group's version grows."""
        self._link.execute(
            "UPDATE members SET role=?, why=coalesce(?, why) WHERE grp=? AND file=?",
            (role, None if why is None else sentence(why), group, file),
        )
        self._link.execute("UPDATE groups SET version=version+1 WHERE id=?", (group,))

    def remove_member(self, group: int, file: int) -> None:
        """Remove a member: it is a photo of its own again. A group without members is removed too."""
        self._link.execute("DELETE FROM members WHERE grp=? AND file=?", (group, file))
        self._link.execute("UPDATE groups SET version=version+1 WHERE id=?", (group,))
        self._link.execute(
            "DELETE FROM groups WHERE id=? AND NOT EXISTS (SELECT 1 FROM members WHERE grp=groups.id)",
            (group,),
        )

    def void(self, file: int) -> None:
        """Remove what was proposed of a file that changed or is gone. Members that moved stay beside their keeper."""
        self._link.execute(
            "DELETE FROM members WHERE role!='moved' AND (file=? OR grp IN (SELECT id FROM groups WHERE keeper=?))",
            (file, file),
        )
        self._link.execute("UPDATE groups SET version=version+1 WHERE keeper=?", (file,))
        self._link.execute(
            "DELETE FROM groups WHERE keeper=? AND id NOT IN (SELECT grp FROM members)", (file,)
        )

    def affected_months(self, root: int, file: int, content: str | None) -> list[str]:
        """Months of this root whose groups may change when this file does: of its group, of its twins, of its measured pairs."""
        rows = self._link.execute(
            "SELECT month FROM groups WHERE keeper=:file OR id IN (SELECT grp FROM members WHERE file=:file) "
            "UNION SELECT month FROM files WHERE +root=:root AND +state IN ('indexed', 'undecoded') AND content IN "
            "(SELECT b FROM pairs WHERE a=:content UNION SELECT a FROM pairs WHERE b=:content UNION SELECT :content)",
            {"root": root, "file": file, "content": content},
        )
        return [r[0] for r in rows]

    def with_held(
        self, root: RootRow, *, groups: Iterable[int] | None = None, after: int = 0, limit: int = -1
    ) -> list[HeldGroupRow]:
        """Groups of this root that hold copies, in the order of their ids: these, or the first so many behind `after`.

        From the moves, so that no held file is ever forgotten.
        """
        if groups is not None:
            return [
                row
                for part, marks in chunks(sorted(groups))
                for row in self._held_groups(
                    f"+m.root=? AND m.grp IN ({marks})", (os.fsencode(root.path), *part)
                )
            ]
        # The + leads a part of them along the index of groups; all of them lie in the index of what is held.
        by_group = "+" if after or limit >= 0 else ""
        return self._held_groups(f"{by_group}m.root=? AND m.grp>?", (os.fsencode(root.path), after), limit)

    def _held_groups(self, where: str, values: Sequence[Any], limit: int = -1) -> list[HeldGroupRow]:
        rows = self._link.execute(
            "SELECT m.grp, f.path, max(coalesce(f.content != m.keeper_content, 0)), "
            "max(coalesce(f.content IS NULL AND f.reason='', 0)) FROM moves m "
            "LEFT JOIN groups g ON g.id=m.grp LEFT JOIN files f ON f.id=g.keeper "
            f"WHERE {where} AND {_MOVED} GROUP BY m.grp ORDER BY m.grp LIMIT ?",
            (*values, limit),
        )
        return [
            HeldGroupRow(
                group=r[0], path=None if r[1] is None else os.fsdecode(r[1]), changed=bool(r[2]), unread=bool(r[3])
            )
            for r in rows
        ]  # fmt: skip

    def with_keeper_in(self, root: RootRow, folder: str, *, whole: bool) -> set[int]:
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

    def remove(self, id: int) -> None:
        self._link.execute("DELETE FROM members WHERE grp=?", (id,))
        self._link.execute("DELETE FROM groups WHERE id=?", (id,))
