"""The journal: durable intents, honest queries, and a connection that survives a power cut."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.ledger import Ledger, schema
from dedupd.adapters.ledger.journal import SCHEMA, Journal
from dedupd.core.photo import FileStat
from dedupd.core.relocation import Goal, MoveOrder, MoveState
from dedupd.errors import LedgerDamaged, StateError


def open_link(path: Path, mode: str = "WAL", level: str = "FULL") -> sqlite3.Connection:
    link = sqlite3.connect(path, isolation_level=None)
    link.execute(f"PRAGMA journal_mode={mode}")
    link.execute(f"PRAGMA synchronous={level}")
    link.executescript(SCHEMA)
    return link


@pytest.fixture
def link(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    link = open_link(tmp_path / "ledger.db")
    link.executescript(schema.SCHEMA)
    yield link
    link.close()


def order(src: str = "a.jpg", **changes: object) -> MoveOrder:
    stat = FileStat(size=1, mtime_ns=2, ctime_ns=3, dev=4, ino=5)
    first = MoveOrder(
        group=1, unit=src, file=9, root="/r", src=src, dst=f"duplicates/{src}", stat=stat, content="aa",
        keeper="k.jpg", keeper_stat=stat, keeper_content="bb", relation="copy", evidence="{}",
    )  # fmt: skip
    return replace(first, **changes)


@pytest.mark.parametrize(("mode", "level"), [("WAL", "NORMAL"), ("WAL", "OFF"), ("DELETE", "FULL")])
def test_a_connection_that_may_forget_is_refused(tmp_path: Path, mode: str, level: str) -> None:
    link = open_link(tmp_path / "x.db", mode, level)
    with pytest.raises(LedgerDamaged, match="nothing moves"):
        Journal(link)
    link.close()


def test_extra_is_as_good_as_full(tmp_path: Path) -> None:
    link = open_link(tmp_path / "x.db", level="EXTRA")
    assert Journal(link).open_moves() == []
    link.close()


def test_an_intent_is_committed_when_it_returns(link: sqlite3.Connection, tmp_path: Path) -> None:
    journal = Journal(link)
    rows = journal.intend([order("a.jpg"), order("b.jpg")], "batch", 7.0)
    other = open_link(tmp_path / "ledger.db")
    assert Journal(other).open_moves() == rows
    assert [m.id for m in rows] == [1, 2] and {m.at for m in rows} == {7.0}
    other.close()


def test_an_intent_that_could_be_rolled_back_is_refused(link: sqlite3.Connection) -> None:
    journal = Journal(link)
    rows = journal.intend([order()], "b", 0.0)
    link.execute("BEGIN")
    with pytest.raises(StateError, match="committed before its rename"):
        journal.intend([order("b.jpg")], "b", 0.0)
    with pytest.raises(StateError, match="committed before its rename"):
        journal.reopen(rows)


def test_all_intents_or_none(link: sqlite3.Connection) -> None:
    journal = Journal(link)
    with pytest.raises((StateError, LedgerDamaged)):
        journal.intend([order("a.jpg"), order("b.jpg", content="")], "b", 0.0)
    assert journal.moves() == [] and not link.in_transaction


def test_an_end_joins_a_transaction(link: sqlite3.Connection) -> None:
    journal = Journal(link)
    rows = journal.intend([order()], "b", 0.0)
    link.execute("BEGIN")
    journal.finish([replace(rows[0], state=MoveState.DONE)])
    link.execute("ROLLBACK")
    assert journal.open_moves() == rows


def test_every_field_comes_back(link: sqlite3.Connection) -> None:
    journal = Journal(link)
    odd = os.fsdecode(b"caf\xe9\n.jpg")
    stat = FileStat(size=2**40, mtime_ns=-5, ctime_ns=0, dev=2**64 - 1, ino=2**63 + 7)
    (row,) = journal.intend(
        [order(odd, stat=stat, dst=odd, keeper=odd, primary=False, root_id="u")], "b", 1.5
    )
    end = replace(row, goal=Goal.UNDONE, state=MoveState.ATTENTION, undone_to=odd, error=f"no {odd}")
    journal.finish([end])
    (read,) = journal.moves()
    assert replace(read, error="", unit="") == replace(end, error="", unit="")
    assert read.error.startswith("no caf")


def test_queries(link: sqlite3.Connection) -> None:
    journal = Journal(link)
    a, b = journal.intend([order("a.jpg"), order("b.jpg", group=2, content="cc")], "one", 0.0)
    (c,) = journal.intend([order("c.jpg", root="/other")], "two", 0.0)
    a = replace(a, state=MoveState.DONE)
    c = replace(c, state=MoveState.DONE)
    b = replace(b, state=MoveState.ATTENTION)
    journal.finish([a, b, c])
    assert journal.open_moves() == [] and [*journal.attention()] == [b]
    assert journal.moves(held=True) == [a, c]
    assert journal.moves(batch="one") == [a, b]
    assert journal.moves(group=2) == [b]
    assert journal.moves(root="/other") == [c]
    assert journal.moves(content="cc") == [b]
    assert journal.moves(ids=[c.id, a.id, 99]) == [a, c]
    assert journal.moves(ids=[]) == []
    assert journal.last_batch() == "two"
    journal.finish([replace(c, goal=Goal.UNDONE)])
    assert journal.last_batch() == "one"
    assert journal.keeps("/r", "k.jpg", 0) == [a]
    assert journal.keeps("/other", "k.jpg", 0) == []


def test_a_keeper_is_known_whatever_its_name_is_now(link: sqlite3.Connection) -> None:
    journal = Journal(link)
    (a,) = journal.intend([order("a.jpg", group=3)], "one", 0.0)
    journal.finish([replace(a, state=MoveState.DONE)])
    link.execute(
        "INSERT INTO groups(id, root, keeper, month, reasons, updated) VALUES(3, 1, 77, '', '[]', 0)"
    )
    assert [move.id for move in journal.keeps("/r", "renamed.jpg", 77)] == [a.id]
    assert journal.keeps("/r", "renamed.jpg", 78) == []


def test_a_full_disk_is_told_in_one_sentence(tmp_path: Path) -> None:
    link = open_link(tmp_path / "x.db")
    journal = Journal(link)
    link.execute(f"PRAGMA max_page_count={link.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StateError, match="make room"):
        journal.intend([order(f"{n}.jpg", evidence="x" * 1000) for n in range(1000)], "b", 0.0)
    assert journal.moves() == []
    assert not link.in_transaction
    link.close()


def test_a_full_disk_is_not_taken_for_a_damaged_ledger(tmp_path: Path) -> None:
    """sqlite rolls back by itself then, and a second rollback is an error of its own."""
    with Ledger(tmp_path / "ledger.db") as ledger:
        link = ledger.journal._link
        link.execute(f"PRAGMA max_page_count={link.execute('PRAGMA page_count').fetchone()[0]}")

        def fill() -> None:
            with ledger.transaction():
                for n in range(1000):
                    ledger.put(f"key {n}", "x" * 1000)

        with pytest.raises(StateError, match="make room") as told:
            fill()
        assert not isinstance(told.value, LedgerDamaged)
        assert str(tmp_path / "ledger.db") in str(told.value)
        assert not link.in_transaction and ledger.get("key 0") == ""


def test_a_damaged_ledger_is_told_in_one_sentence(tmp_path: Path) -> None:
    link = open_link(tmp_path / "x.db")
    journal = Journal(link)
    journal.intend([order(f"{n}.jpg") for n in range(200)], "b", 0.0)
    link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    link.close()
    raw = bytearray((tmp_path / "x.db").read_bytes())
    raw[4096:] = os.urandom(len(raw) - 4096)
    (tmp_path / "x.db").write_bytes(raw)
    link = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    link.execute("PRAGMA synchronous=FULL")
    with pytest.raises(LedgerDamaged, match="undo --from"):
        Journal(link).moves()
    link.close()
