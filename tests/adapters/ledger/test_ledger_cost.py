"""The cost of a query follows what it asks for, not how large the library is: counted in SQLite's own steps."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.adapters.ledger import Ledger, schema
from dedupd.core.photo import Evidence, FileStat, FileState, Relation
from dedupd.core.records import MemberRow, RootRow
from dedupd.core.relocation import MoveOrder, MoveState
from dedupd.pipeline.review import status_view

SMALL, LARGE = 6, 96
"""Months of ten photos each; of each month one is held."""
ROOT = RootRow(id=1, path="/r")


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Ledger]:
    return [_filled(tmp_path_factory.mktemp("ledger") / "ledger.db", months) for months in (SMALL, LARGE)]


def _filled(path: Path, months: int) -> Ledger:
    ledger = Ledger(path)
    with ledger.transaction():
        root = ledger.roots.add("/r").id
        orders = [_month(ledger, root, f"{2000 + n // 12}-{n % 12 + 1:02}", n) for n in range(months)]
    moves = ledger.journal.intend(orders, "batch", 0.0)
    ledger.journal.finish([replace(move, state=MoveState.DONE) for move in moves])
    return ledger


def _month(ledger: Ledger, root: int, month: str, number: int) -> MoveOrder:
    stats = [
        FileStat(size=1, mtime_ns=2, ctime_ns=3, dev=4, ino=i) for i in range(number * 10, number * 10 + 10)
    ]
    ids = [ledger.files.add(root, f"{month}/{n}.jpg", stat, FileState.SEEN) for n, stat in enumerate(stats)]
    for id in ids:
        ledger.files.read(id, FileState.INDEXED, f"content {id}", month, "folder")
    ledger.files.placed(ids[1], f"{month}/duplicates/1.jpg", FileState.HELD)
    ledger.months.mark_changed(root, month, 0.0)
    ledger.deferred.add([f"content {ids[0]}"], f"{root}:{month}", "m", "r")
    member = MemberRow(file=ids[1], role="moved", relation=Relation.COPY, evidence=Evidence(), why="")
    group = ledger.groups.put(root, ids[0], month, [], [member], 0.0)
    return MoveOrder(
        group=group, unit=str(number), file=ids[1], root="/r", src=f"{month}/1.jpg",
        dst=f"{month}/duplicates/1.jpg", stat=stats[1], content=f"content {ids[1]}", keeper=f"{month}/0.jpg",
        keeper_stat=stats[0], keeper_content=f"content {ids[0]}", relation="copy",
    )  # fmt: skip


def steps(ledger: Ledger, act: Callable[[Ledger], object]) -> int:
    """How many instructions of its machine SQLite ran."""
    count = 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    link: sqlite3.Connection = ledger._link
    link.set_progress_handler(counted, 1)
    try:
        assert act(ledger) is not None
    finally:
        link.set_progress_handler(None, 1)
    return count


@pytest.mark.parametrize(
    "act",
    [
        lambda ledger: ledger.files.live_in_month(1, "2000-03"),
        lambda ledger: ledger.files.of_month(1, "2000-03", FileState.HELD),
        lambda ledger: ledger.months.count(1, "2000-03"),
        lambda ledger: ledger.files.folders(1, "2000-03"),
        lambda ledger: ledger.files.in_folder(1, "2000-03"),
        lambda ledger: ledger.files.live_with_content("content 5"),
        lambda ledger: ledger.files.held_and_missing(1),
        lambda ledger: ledger.files.to_read(1),
        lambda ledger: ledger.files.any_to_read(),
        lambda ledger: ledger.contents.live("content 5", 3),
        lambda ledger: ledger.files.live_with_contents(["content 5", "content 7"]),
        lambda ledger: ledger.files.decoded_with_contents(["content 5", "content 7"]),
        lambda ledger: ledger.files.companions_with_contents(1, ["content 5"]),
        lambda ledger: ledger.files.months_of_contents(1, ["content 5", "content 7"]),
        lambda ledger: ledger.pairs.among(["content 5"], "m"),
        lambda ledger: ledger.pairs.known([("content 5", "content 7")], "m"),
        lambda ledger: ledger.pairs.measures_of([("content 5", "content 7")]),
        lambda ledger: ledger.pairs.not_compared(["content 5"], "1:2000-03", "m", "r"),
        lambda ledger: ledger.deferred.count("m", 1, "2000-03"),
        lambda ledger: ledger.groups.with_files([1, 2]),
        lambda ledger: ledger.groups.of_keepers(1, [1, 2]),
        lambda ledger: ledger.journal.held_pairs(["content 2"]),
        lambda ledger: ledger.groups.affected_months(1, 5, "content 5"),
        lambda ledger: ledger.groups.all(1, "2000-03"),
        lambda ledger: ledger.groups.page([1], "2000-03", None, None, 0, 9),
        lambda ledger: ledger.groups.with_file(1),
        lambda ledger: ledger.groups.proposed(1),
        lambda ledger: ledger.groups.with_held(ROOT, groups=[3, 4]),
        lambda ledger: ledger.groups.with_held(ROOT, after=2, limit=3),
        lambda ledger: ledger.groups.with_keeper_in(ROOT, "2000-03", whole=True),
        lambda ledger: ledger.groups.with_keeper_in(ROOT, "2000-03", whole=False),
        lambda ledger: ledger.rereading.next_keeper(2),
        lambda ledger: ledger.journal.open_moves(),
        lambda ledger: ledger.journal.attention(),
        lambda ledger: ledger.journal.keeps("/r", "2000-03/0.jpg", 21),
        lambda ledger: ledger.journal.moves(content="content 2", held=True),
        lambda ledger: ledger.journal.moves(group=1, held=True),
        lambda ledger: ledger.journal.moved_since("/r", 1.0),
    ],
)  # fmt: skip
def test_a_question_about_a_few_rows_reads_a_few(
    ledgers: list[Ledger], act: Callable[[Ledger], object]
) -> None:
    small, large = (steps(ledger, act) for ledger in ledgers)
    assert large < 1.5 * small + 40, "sixteen times the library, and the same answer"


def test_status_counts_the_photos_once(ledgers: list[Ledger]) -> None:
    """It is asked for twice a second by whoever watches an import."""
    small, large = (
        steps(ledger, lambda ledger: status_view(ledger, [ROOT], daemon="running", now=0.0))
        for ledger in ledgers
    )
    assert (large - small) / (LARGE - SMALL) < 200, "for a month of nine photos, a group and a move"


def test_the_history_is_paged_newest_first_of_all_or_of_a_month(ledgers: list[Ledger]) -> None:
    journal = ledgers[0].journal
    every = journal.moves()[::-1]
    assert journal.page(None, None, 1, 3) == (every[1:4], SMALL)
    assert journal.page(None, "2000-03", 0, 9) == ([m for m in every if m.src.startswith("2000-03")], 1)
    assert journal.page(every[0].group, None, 0, 9) == (every[:1], 1)


def commits(ledger: Path) -> int:
    """How often its write-ahead log was committed, which waits for the disk each time. By SQLite's own format."""
    log = ledger.with_name(ledger.name + "-wal").read_bytes()
    (page,) = struct.unpack_from(">I", log, 8)
    sizes = [struct.unpack_from(">I", log, at + 4)[0] for at in range(32, len(log), 24 + page)]
    return sum(size > 0 for size in sizes)


def test_a_new_ledger_waits_for_the_disk_once(tmp_path: Path) -> None:
    link = schema.connect(tmp_path / "ledger.db")
    assert commits(tmp_path / "ledger.db") == 1
    link.close()
    again = schema.connect(tmp_path / "ledger.db")
    assert not (tmp_path / "ledger.db-wal").read_bytes(), "and not at all when it is there"
    again.close()
