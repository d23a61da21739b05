"""What is gone leaves ledger and index; what a file, a verdict or a move names never does."""

from __future__ import annotations

from blake3 import blake3

from dedupd.core.relocation import MoveState
from dedupd.pipeline.forget import ADOPTED_AT
from tests.support.shelf import Shelf

DAY = 86_400.0


def contents(shelf: Shelf) -> set[str]:
    return {row[0] for row in shelf.ledger._link.execute("SELECT content FROM contents")}


def gone(shelf: Shelf, *names: str) -> None:
    """Its owner removed them, and that was believed; then a day goes by."""
    for name in names:
        shelf.path(name).unlink()
    shelf.look()
    shelf.clock.advance(DAY)
    shelf.look()


def content(shelf: Shelf, name: str) -> str:
    return blake3(shelf.path(name).read_bytes()).hexdigest()


def test_a_photo_that_its_owner_removed_is_forgotten_with_its_pairs_and_its_row(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.add("2024/06/c.jpg", "pier")
    shelf.look()
    b, c = content(shelf, "2024/06/b.jpg"), content(shelf, "2024/06/c.jpg")
    gone(shelf, "2024/06/b.jpg")
    assert contents(shelf) == {content(shelf, "2024/06/a.jpg"), c}
    for table in ("pairs", "compared"):
        column = "content" if table == "compared" else "b||a"
        rows = shelf.ledger._link.execute(f"SELECT {column} FROM {table}").fetchall()
        assert not [row for row in rows if b in row[0]]
    assert b in shelf.vision.index, "nothing was to be seen: the worker was not started for it"
    shelf.add("2024/06/d.jpg", "tower")
    shelf.look()
    assert b not in shelf.vision.index
    assert c in shelf.vision.index
    shelf.small("2024/06/b.jpg")
    shelf.look()
    assert shelf.proposals() == {"2024/06/b.jpg": "2024/06/a.jpg"}, "it came again and is found as ever"


def test_what_a_verdict_or_a_move_names_is_remembered(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.pass_()
    shelf.pair("2024/07/c.jpg", "2024/07/d.jpg", "pier")
    shelf.look()
    shelf.library.verdicts.reject([g.id for g in shelf.ledger.groups.all(None, "2024-07")])
    before = contents(shelf)
    assert len(before) == 4
    gone(shelf, "2024/07/c.jpg", "2024/07/d.jpg", "2024/06/a.jpg", "2024/06/duplicates/b.jpg")
    assert contents(shelf) == before


def test_a_move_that_came_to_nothing_long_ago_is_forgotten_and_one_that_was_made_is_not(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.pass_()
    done = shelf.ledger.journal.moves()
    with shelf.ledger.transaction():
        for file, state, at in (
            (99, "aborted", 0.0),
            (99, "aborted", 80 * DAY),
            (99, "attention", 0.0),
            (done[0].file, "aborted", 0.0),  # the last word on a file that has moved
        ):
            shelf.ledger._link.execute(
                "INSERT INTO moves(batch, grp, unit, file, root, root_id, src, dst, restored, size, mtime_ns, dev, ino, "
                "content, keeper, keeper_content, relation, evidence, is_primary, goal, state, at) VALUES('x', 9, '9', ?, "
                "x'2f', '', x'61', x'62', x'', 1, 1, 1, 1, 'c', x'63', 'k', 'copy', '{}', 1, 'moved', ?, ?)",
                (file, state, shelf.clock.now() + at),
            )
    shelf.clock.advance(100 * DAY)
    shelf.look()
    left = shelf.ledger.journal.moves()
    assert left[: len(done)] == done
    assert [(m.file, m.state) for m in left[len(done) :]] == [
        (99, MoveState.ABORTED),
        (99, MoveState.ATTENTION),
        (done[0].file, MoveState.ABORTED),
    ]


def test_beside_a_new_ledger_the_index_is_not_emptied_before_all_was_looked_at(shelf: Shelf) -> None:
    names = [f"2024/06/{name}.jpg" for name in "abc"]
    for name in names:
        shelf.add(name, name)
    shelf.look()
    before = dict(shelf.vision.index)
    shelf.vision.index["f" * 64] = {}
    shelf.close()
    shelf.library.places.ledger.unlink()
    shelf.open()
    shelf.look()
    assert set(shelf.vision.index) == contents(shelf) == set(before)
    assert all(shelf.vision.index[c] is before[c] for c in before), "none was decoded again"


def test_adopted_rows_wait_for_their_photos_and_are_forgotten_when_none_came(shelf: Shelf) -> None:
    shelf.add("2024/06/a.jpg", "lake")
    shelf.look()
    shelf.vision.index["f" * 64] = {"scene": "pier", "exposure": "1", "rendering": "original", "traits": {}}
    shelf.ledger.put(ADOPTED_AT, str(shelf.clock.now()))
    for days, held in ((2, True), (27, True), (2, False)):
        shelf.clock.advance(days * DAY)
        shelf.add(f"2024/06/after {days} {held}.jpg", f"{days} {held}")
        shelf.look()
        assert ("f" * 64 in shelf.vision.index) == held
