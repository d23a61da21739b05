"""The move journal: one row for each file that moved, is moving, or should have moved.

Owns the table `moves` and the durability of intents: a committed intent is on disk before its rename
begins. Must never touch a user's file, and never forgets a row (but for what came to nothing long ago: forgetting.py).
`goal` (what the move shall come to) and `state` (how far it is) are separate columns.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from dedupd.adapters.ledger.columns import chunks, sentence, signed, unsigned
from dedupd.adapters.ledger.transactions import LedgerPart, transaction, translating
from dedupd.core.relocation import Goal, Move, MoveOrder, MoveState
from dedupd.errors import LedgerDamaged, Refusal, StateError

SCHEMA = """
CREATE TABLE IF NOT EXISTS moves(
    id INTEGER PRIMARY KEY AUTOINCREMENT, batch TEXT NOT NULL, grp INTEGER NOT NULL, unit TEXT NOT NULL,
    file INTEGER NOT NULL, root BLOB NOT NULL, root_id TEXT NOT NULL, src BLOB NOT NULL, dst BLOB NOT NULL,
    restored BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, dev INTEGER NOT NULL,
    ino INTEGER NOT NULL, content TEXT NOT NULL CHECK(content != ''), keeper BLOB NOT NULL,
    keeper_content TEXT NOT NULL CHECK(keeper_content != ''), relation TEXT NOT NULL, evidence TEXT NOT NULL,
    is_primary INTEGER NOT NULL, goal TEXT NOT NULL CHECK(goal IN ('moved', 'undone', 'returned')),
    state TEXT NOT NULL CHECK(state IN ('intent', 'done', 'aborted', 'attention')),
    error TEXT NOT NULL DEFAULT '', at REAL NOT NULL, refusal TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS moves_open ON moves(state) WHERE state IN ('intent', 'attention');
CREATE INDEX IF NOT EXISTS moves_batch ON moves(batch);
CREATE INDEX IF NOT EXISTS moves_group ON moves(grp);
CREATE INDEX IF NOT EXISTS moves_keeper ON moves(root, keeper);
CREATE INDEX IF NOT EXISTS moves_content ON moves(content);
CREATE INDEX IF NOT EXISTS moves_at ON moves(at);
"""

_COLUMNS = (
    "id, batch, grp, unit, file, root, root_id, src, dst, restored, size, mtime_ns, dev, ino, content,"
    " keeper, keeper_content, relation, evidence, is_primary, goal, state, error, at, refusal"
)
_HELD = "goal='moved' AND state IN ('intent', 'done')"
_NO_MOVE = (1 << 63) - 1
"""No move has so high a number."""
_OPEN = "state IN ('intent', 'attention')"
"""In the words of the index moves_open: without them SQLite reads every row."""


class Journal(LedgerPart):
    """The journal in an open ledger connection (autocommit mode, WAL, synchronous=FULL, SCHEMA applied)."""

    def __init__(self, link: sqlite3.Connection) -> None:
        """Raises LedgerDamaged when the connection would not survive a power cut."""
        mode = str(link.execute("PRAGMA journal_mode").fetchone()[0]).lower()
        level = int(link.execute("PRAGMA synchronous").fetchone()[0])
        if mode != "wal" or level < 2:
            raise LedgerDamaged(
                f"the ledger runs with journal_mode={mode}, synchronous={level} instead of wal and FULL: "
                "nothing moves until it is opened by dedupd itself"
            )
        super().__init__(link)

    def intend(self, orders: Sequence[MoveOrder], batch: str, at: float) -> list[Move]:
        """Record what is about to move, in one transaction; rows in state INTENT, durable on return.

        `at` is the wall clock. Raises StateError inside an open transaction (the intent would not be
        durable before the rename) and when the disk is full.
        """
        self._refuse_open_transaction()
        with transaction(self._link):
            return [self._insert(order, batch, at) for order in orders]

    def reopen(self, moves: Sequence[Move]) -> None:
        """Record where done rows are about to go next (goal, undone_to), state INTENT, durable on return.

        Raises StateError inside an open transaction, as `intend` does.
        """
        self._refuse_open_transaction()
        self.finish(moves)

    def finish(self, moves: Sequence[Move]) -> None:
        """Write goal, state, undone_to, error and refusal of these rows in one transaction; joins an open one."""
        with transaction(self._link):
            self._link.executemany(
                "UPDATE moves SET goal=?, state=?, restored=?, error=?, refusal=? WHERE id=?",
                [
                    (m.goal, m.state, os.fsencode(m.undone_to), sentence(m.error), m.refusal or "", m.id)
                    for m in moves
                ],
            )

    def follow(self, moves: Sequence[Move]) -> None:
        """Write src and dst of held rows whose folder a person moved or renamed; joins an open transaction."""
        with transaction(self._link):
            self._link.executemany(
                "UPDATE moves SET src=?, dst=? WHERE id=?",
                [(os.fsencode(m.src), os.fsencode(m.dst), m.id) for m in moves],
            )

    def keeper_renamed(self, root: str, old: str, new: str, content: str) -> None:
        """A person renamed the keeper of held copies; joins an open transaction."""
        with transaction(self._link):
            self._link.execute(
                f"UPDATE moves SET keeper=? WHERE root=? AND keeper=? AND keeper_content=? AND {_HELD}",
                (os.fsencode(new), os.fsencode(root), os.fsencode(old), content),
            )

    def open_moves(self) -> list[Move]:
        """Moves that were begun and not ended, which recovery ends; in the order they were begun."""
        return self._select(f"{_OPEN} AND state='intent'", ())

    def attention(self) -> Iterator[Move]:
        """Moves that the disk contradicts, one by one: a person has to look."""
        ids = self._link.execute(f"SELECT id FROM moves WHERE {_OPEN} AND state='attention' ORDER BY id")
        found = self.each([row[0] for row in ids])
        yield from (move for move in found if move.state is MoveState.ATTENTION)

    def moves(
        self,
        *,
        ids: Iterable[int] | None = None,
        batch: str | None = None,
        group: int | None = None,
        file: int | None = None,
        root: str | None = None,
        content: str | None = None,
        held: bool = False,
    ) -> list[Move]:
        """Rows that match every given condition, oldest first; `held`: only what lies in duplicates/ now."""
        where: list[str] = ["1"]
        values: list[str | int | bytes] = []
        for column, value in (("batch", batch), ("grp", group), ("file", file), ("content", content)):
            if value is not None:
                where.append(f"{column}=?")
                values.append(value)
        if root is not None:
            where.append("root=?")
            values.append(os.fsencode(root))
        if held:
            where.append("goal='moved' AND state='done'")
        if ids is None:
            return self._select(" AND ".join(where), values)
        found = (self._select(" AND ".join([*where, "id=?"]), [*values, id]) for id in sorted(set(ids)))
        return [move for rows in found for move in rows]

    def held_ids(
        self, *, ids: Iterable[int] | None = None, batch: str | None = None, group: int | None = None,
        root: str | None = None, month: str | None = None,
    ) -> list[int]:  # fmt: skip
        """Ids of what lies in duplicates/ now and matches every given condition, oldest first: all of a large library is
        hundreds of megabytes as rows.

        `month`: of its file, as that is recorded now.
        """
        where, values = ["goal='moved' AND state='done'"], list[str | int | bytes]()
        for column, value in (("batch", batch), ("grp", group), ("root", root and os.fsencode(root))):
            if value is not None:
                where.append(f"{column}=?")
                values.append(value)
        if month is not None:
            where.append("EXISTS (SELECT 1 FROM files f WHERE f.id=moves.file AND f.month=?)")
            values.append(sentence(month))
        asked = f"SELECT id FROM moves WHERE {' AND '.join(where)}"
        with translating(self._link):
            if ids is None:
                return [row[0] for row in self._link.execute(f"{asked} ORDER BY id", values)]
            return [
                row[0]
                for chunk, marks in chunks(sorted(set(ids)))
                for row in self._link.execute(f"{asked} AND id IN ({marks}) ORDER BY id", (*values, *chunk))
            ]

    def aborted_ids(self, root: str) -> list[int]:
        """Ids of moves of this root that came to nothing, oldest first."""
        rows = self._link.execute(
            "SELECT id FROM moves WHERE root=? AND state='aborted' ORDER BY id", (os.fsencode(root),)
        )
        return [row[0] for row in rows]

    def each(self, ids: Iterable[int]) -> Iterator[Move]:
        """The moves with these ids, each read when its turn comes."""
        for id in ids:
            yield from self._select("id=?", (id,))

    def held_units(self, ids: Iterable[int]) -> list[tuple[int, ...]]:
        """What is held of each unit that one of these moves belongs to, batch by batch."""
        wanted, batches = set(ids), set[str]()
        for chunk, marks in chunks(wanted):
            rows = self._link.execute(f"SELECT DISTINCT batch FROM moves WHERE id IN ({marks})", chunk)
            batches.update(row[0] for row in rows)
        found: list[tuple[int, ...]] = []
        for batch in sorted(batches):
            rows = self._link.execute(
                "SELECT root, unit, id FROM moves WHERE batch=? AND goal='moved' AND state='done' ORDER BY root, unit, id",
                (batch,),
            )
            for _, unit in groupby(rows, key=lambda row: row[:2]):
                whole = tuple(row[2] for row in unit)
                if not wanted.isdisjoint(whole):
                    found.append(whole)
        return found

    def held_beside(self, move: Move) -> set[int]:
        """Ids of what is held of the unit of this move, itself too."""
        rows = self._link.execute(
            "SELECT id FROM moves WHERE grp=? AND batch=? AND unit=? AND goal='moved' AND state='done'",
            (move.group, move.batch, sentence(move.unit)),
        )
        return {row[0] for row in rows}

    def held_with(self, group: int, files: Iterable[int]) -> list[int]:
        """Ids of what is held of the units of these members of a group."""
        found: list[int] = []
        for chunk, marks in chunks(f"{group}:{file}" for file in files):
            rows = self._link.execute(
                f"SELECT id FROM moves WHERE grp=? AND unit IN ({marks}) AND goal='moved' AND state='done'",
                (group, *chunk),
            )
            found += (row[0] for row in rows)
        return sorted(found)

    def files_of(self, ids: Iterable[int]) -> set[int]:
        """The files that these moves moved."""
        found: set[int] = set()
        for chunk, marks in chunks(ids):
            rows = self._link.execute(f"SELECT file FROM moves WHERE id IN ({marks})", chunk)
            found.update(row[0] for row in rows)
        return found

    def held_pairs(self, contents: Iterable[str]) -> set[tuple[str, str]]:
        """(content, content of its keeper) of each of these that lies in duplicates/."""
        found: set[tuple[str, str]] = set()
        for chunk, marks in chunks(contents):
            found.update(
                self._link.execute(
                    f"SELECT content, keeper_content FROM moves WHERE content IN ({marks}) AND goal='moved' AND state='done'",
                    chunk,
                )
            )
        return found

    def held_at(self, root: str, path: str) -> list[Move]:
        """Rows whose file lies in duplicates/ and was or is at this path."""
        where = "root=? AND goal='moved' AND state='done' AND (src=? OR dst=?)"
        return self._select(where, (os.fsencode(root), os.fsencode(path), os.fsencode(path)))

    def moved_since(self, root: str, at: float, *, after: int = 0, or_after: int | None = None) -> int:
        """Number of photos of this root that moved since `at` and are still held.

        `after`: count only moves with a higher id; `or_after`: count moves with a higher id whatever their time.
        """
        row = self._link.execute(
            "SELECT count(*) FROM moves WHERE (at>=? OR id>?) AND +id>? AND +root=? AND goal='moved' AND state='done' "
            "AND is_primary",
            (at, _NO_MOVE if or_after is None else or_after, after, os.fsencode(root)),
        ).fetchone()
        return int(row[0])

    def newest(self) -> int:
        """The id of the newest move; 0 before the first."""
        return int(self._link.execute("SELECT coalesce(max(id), 0) FROM moves").fetchone()[0])

    def last_batch(self) -> str:
        """The batch of the newest move that still holds a file; '' when none does."""
        row = self._link.execute(
            "SELECT batch FROM moves WHERE goal='moved' AND state='done' ORDER BY id DESC LIMIT 1"
        ).fetchone()
        return "" if row is None else str(row[0])

    def keeps(self, root: str, path: str, file: int) -> list[Move]:
        """The held or moving copies whose keeper is this file: while there is one, it must not move (P7).

        By its path as journaled, or by the group it keeps: whatever its name is now.
        """
        return self._select(
            f"id IN (SELECT id FROM moves WHERE root=:root AND keeper=:path UNION SELECT m.id FROM groups g "
            f"JOIN moves m ON m.grp=g.id WHERE g.keeper=:file AND +m.root=:root) AND {_HELD}",
            {"root": os.fsencode(root), "path": os.fsencode(path), "file": file},
        )

    def _refuse_open_transaction(self) -> None:
        if self._link.in_transaction:
            raise StateError("an intent is committed before its rename: close the open transaction first")

    def _insert(self, order: MoveOrder, batch: str, at: float) -> Move:
        move = order.as_move(batch, at)
        columns = _COLUMNS.removeprefix("id, ")
        marks = ", ".join("?" * (columns.count(",") + 1))
        done = self._link.execute(f"INSERT INTO moves({columns}) VALUES({marks})", _to_row(move)[1:])
        return replace(move, id=int(done.lastrowid or 0))

    def page(self, group: int | None, month: str | None, offset: int, limit: int) -> tuple[list[Move], int]:
        """(moves of one page, newest first; number of all), of a group or a month if given."""
        found = (
            "FROM moves m LEFT JOIN files f ON f.id=m.file WHERE (? IS NULL OR m.grp=?) "
            "AND (? IS NULL OR coalesce(f.month, '')=?)"
        )
        asked = (group, group, month, month)
        total = self._link.execute(f"SELECT count(*) {found}", asked).fetchone()[0]
        rows = self._link.execute(
            f"SELECT m.id {found} ORDER BY m.id DESC LIMIT ? OFFSET ?", (*asked, limit, max(0, offset))
        )
        return self.moves(ids=[r[0] for r in rows])[::-1], total

    def _select(self, where: str, values: Sequence[Any] | dict[str, Any]) -> list[Move]:
        with translating(self._link):
            rows = self._link.execute(
                f"SELECT {_COLUMNS} FROM moves WHERE {where} ORDER BY id", values
            ).fetchall()
        return [_from_row(row) for row in rows]


def _to_row(m: Move) -> tuple[Any, ...]:
    return (
        m.id, m.batch, m.group, sentence(m.unit), m.file, os.fsencode(m.root), m.root_id, os.fsencode(m.src),
        os.fsencode(m.dst), os.fsencode(m.undone_to), m.size, m.mtime_ns, signed(m.dev), signed(m.ino),
        m.content, os.fsencode(m.keeper), m.keeper_content, m.relation, sentence(m.evidence), m.primary, m.goal,
        m.state, sentence(m.error), m.at, m.refusal or "",
    )  # fmt: skip


def _from_row(row: Sequence[Any]) -> Move:
    (id_, batch, group, unit, file, root, root_id, src, dst, restored, size, mtime_ns, dev, ino, content,
     keeper, keeper_content, relation, evidence, primary, goal, state, error, at, refusal) = row  # fmt: skip
    return Move(
        id=id_, batch=batch, group=group, unit=unit, file=file, root=os.fsdecode(root), root_id=root_id,
        src=os.fsdecode(src), dst=os.fsdecode(dst), undone_to=os.fsdecode(restored), size=size,
        mtime_ns=mtime_ns, dev=unsigned(dev), ino=unsigned(ino),
        content=content, keeper=os.fsdecode(keeper),
        keeper_content=keeper_content, relation=relation, evidence=evidence, primary=bool(primary),
        goal=Goal(goal), state=MoveState(state), error=error, at=at, refusal=_kind(refusal),
    )  # fmt: skip


def _kind(text: str) -> Refusal | None:
    """The kind of refusal; one that this dedupd does not know counts as FAILED."""
    if not text:
        return None
    return Refusal(text) if text in tuple(Refusal) else Refusal.FAILED
