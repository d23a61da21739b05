"""Pairs belong to one model, what was measured of them to all; an older ledger is brought up to date."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.ledger import Ledger
from dedupd.core.photo import Measures
from dedupd.core.records import PairRow
from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.errors import Refusal, StateError

A, B, C = "a" * 64, "b" * 64, "c" * 64
FIRST = """
ALTER TABLE moves DROP COLUMN refusal;
ALTER TABLE pairs RENAME TO p; ALTER TABLE compared RENAME TO c; DROP TABLE p; DROP TABLE c;
CREATE TABLE pairs(
    a TEXT NOT NULL, b TEXT NOT NULL, cosine REAL, hash_distance INTEGER NOT NULL, measures TEXT,
    PRIMARY KEY(a, b)) WITHOUT ROWID;
CREATE INDEX pairs_b ON pairs(b);
CREATE TABLE compared(
    content TEXT NOT NULL, month TEXT NOT NULL, rules TEXT NOT NULL, PRIMARY KEY(content, month)) WITHOUT ROWID;
INSERT OR REPLACE INTO meta VALUES('version','1'),('model','lite0-gem/1'),('recipe','1'),('rules','1|lite0-gem/1');
"""


def pair(a: str, b: str, model: str, cosine: float, measures: Measures | None = None) -> PairRow:
    return PairRow(a=a, b=b, model=model, cosine=cosine, hash_distance=3, measures=measures)


def test_each_model_has_its_own_cosine_of_a_pair_and_shares_what_was_measured(tmp_path: Path) -> None:
    measured = Measures(method="identity", ncc=0.9)
    with Ledger(tmp_path / "ledger.db") as ledger, ledger.transaction():
        pairs = ledger.pairs
        pairs.put([pair(A, B, "one", 0.8, measured)])
        assert pairs.measures(A, B) == measured
        assert not pairs.has(A, B, "two")
        pairs.put([pair(A, B, "two", 0.6, measured)])
        pairs.put([pair(B, C, "two", 0.7)])
        pairs.compared([A], "1:2024-06", "one", "rules")
        pairs.compared([A], "1:2024-06", "two", "rules")
        assert [p.cosine for p in pairs.among([B], "one")] == [0.8]
        assert sorted(p.cosine or 0 for p in pairs.among([B], "two")) == [0.6, 0.7]
        pairs.forget(but="two")
        assert pairs.among([B], "one") == []
        assert len(pairs.among([B], "two")) == 2
        assert pairs.not_compared([A], "1:2024-06", "one", "rules") == [A]
        assert pairs.not_compared([A], "1:2024-06", "two", "rules") == []


def test_an_older_ledger_keeps_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as link:
        link.executescript(FIRST)
        link.execute("INSERT INTO pairs VALUES(?,?,0.9,2,'{\"ncc\":0.5}')", (A, B))
        link.execute("INSERT INTO compared VALUES(?,'1:2024-06','1|lite0-gem/1|None')", (A,))
        link.commit()
    with pytest.raises(StateError, match="older dedupd"):
        Ledger(path, read_only=True)
    for _ in range(2):  # once is enough, and again changes nothing
        with Ledger(path) as ledger:
            (found,) = ledger.pairs.among([B], "lite0-gem/1")
            assert found.cosine == 0.9
            assert found.measures == Measures(ncc=0.5)
            assert ledger.pairs.not_compared([A], "1:2024-06", "lite0-gem/1", "1|lite0-gem/1|None") == []
            assert ledger.get("rules") == "1"
    Ledger(path, read_only=True).close()


def test_a_ledger_of_sentences_alone_keeps_its_moves_and_takes_kinds(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    move = Move(
        id=0, batch="b", group=1, unit="1:2", file=2, root="/p", src="a.jpg", dst="duplicates/a.jpg", size=1,
        mtime_ns=1, dev=1, ino=1, content=A, keeper="k.jpg", keeper_content=A, relation="exact",
        goal=Goal.MOVED, state=MoveState.ABORTED, error="it is busy",
    )  # fmt: skip
    Ledger(path).close()
    with closing(sqlite3.connect(path)) as link:
        link.executescript(
            "ALTER TABLE moves DROP COLUMN refusal; UPDATE meta SET value='2' WHERE key='version'"
        )
        link.execute(
            "INSERT INTO moves VALUES(1,'b',1,'1:2',2,?,'',?,?,'',1,1,1,1,?,?,?,'exact','',1,'moved','aborted','it is busy',0)",
            (b"/p", b"a.jpg", b"duplicates/a.jpg", A, b"k.jpg", A),
        )
        link.execute("INSERT INTO roots(path, uuid) VALUES(?, '0A1B')", (b"/p",))
        link.commit()
    with Ledger(path) as ledger:
        assert [root.uuid for root in ledger.roots.all()] == ["0a1b"]  # as the marker is read now
        assert ledger.journal.moves() == [replace(move, id=1)]
        ledger.journal.finish([replace(move, id=1, refusal=Refusal.BUSY)])
    with Ledger(path, read_only=True) as ledger:
        assert [m.refusal for m in ledger.journal.moves()] == [Refusal.BUSY]


def test_a_newer_ledger_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        ledger.put("version", "99")
    for read_only in (False, True):
        with pytest.raises(StateError, match="newer dedupd"):
            Ledger(path, read_only=read_only)


def test_a_new_ledger_is_for_its_owner_alone(tmp_path: Path) -> None:
    """It names photos, and its folder may be one that others can read."""
    before = os.umask(0o022)
    try:
        with Ledger(tmp_path / "ledger.db") as ledger:
            ledger.put("model", "m")
            assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
                "ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600,
            }  # fmt: skip
    finally:
        os.umask(before)
