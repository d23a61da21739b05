"""Shots that an older dedupd moved though something small was changed in them: found by one look, told, put back on a person's
word alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from dedupd.core.photo import Holding
from dedupd.pipeline.held_better import told_changed
from dedupd.pipeline.purge import Plan
from dedupd.pipeline.review import status_view
from dedupd.pipeline.undo import undo as undo_asked
from dedupd.protocol.requests import Undo
from dedupd.protocol.views import StatusView
from tests.fakes.vision import COPY
from tests.support.shelf import Shelf

KEPT, MOVED, HELD = "2024/06/kept.jpg", "2024/06/moved.jpg", "2024/06/duplicates/moved.jpg"
FRAME = replace(
    COPY, mean=4.0, worst=60.0, band_ncc=0.7, holds_a=Holding(), holds_b=Holding(),
    extra={"local": -0.4, "fine_ncc": 0.5, "tone": 0.02, "bad": 0.1, "written": 0.1},
)  # fmt: skip
PLACE, WRITING = "something small was changed in its place", "what differs may be writing"


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with_shelf = Shelf(tmp_path)
    yield with_shelf
    with_shelf.close()


def content(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest()


def seen(shelf: Shelf, one: Path, other: Path, **extra: float) -> None:
    """What measuring these two finds."""
    found = replace(FRAME, extra={**(FRAME.extra or {}), **extra})
    shelf.vision.measures[frozenset((content(one), content(other)))] = found


def forgotten(shelf: Shelf, *what: str) -> None:
    """The evidence of all moves without this, as a dedupd left it that did not know of it; nothing was compared since."""
    paths = ", ".join(f"'$.measures.{name}'" for name in what)
    for table in ("moves", "members"):
        shelf.ledger._link.execute(f"UPDATE {table} SET evidence=json_remove(evidence, {paths})")
    shelf.ledger._link.execute("DELETE FROM meta WHERE key IN ('looked_again', 'looked_for_changes')")
    shelf.ledger._link.execute("DELETE FROM pairs")
    shelf.again()


def moved_before(shelf: Shelf, **extra: float) -> tuple[Path, Path]:
    """A shot and the next one, moved by a dedupd that looked for no changes. `extra`: what is found in it today."""
    keeper = shelf.add(KEPT, exposure="1", camera="M|1|", captured=5.0)
    moved = shelf.add(MOVED, exposure="2", camera="M|1|", captured=5.6)
    seen(shelf, keeper, moved, island=0.0)
    shelf.clock.advance(60)
    shelf.pass_()
    held = shelf.path(HELD)
    assert held.exists() and keeper.exists()
    forgotten(shelf, "extra.island")
    seen(shelf, keeper, held, **extra)
    return keeper, held


def status(shelf: Shelf) -> StatusView:
    return status_view(shelf.ledger, shelf.library.roots.all, daemon="stopped", now=shelf.clock.now())


def put_back(shelf: Shelf) -> int:
    return undo_asked(Undo(held_changed=True), shelf.library.movement, shelf.library.purging).undone


@pytest.mark.parametrize(
    ("extra", "why"), [({"island": 0.3}, PLACE), ({"written": 0.6}, WRITING)], ids=["island", "writing"]
)
def test_what_was_changed_is_found_and_told_and_stays_where_it_is(
    shelf: Shelf, extra: dict[str, float], why: str
) -> None:
    moved_before(shelf, **extra)
    assert shelf.library.passes.check_held() == 1
    (change,) = shelf.ledger.held_checks.changed()
    assert (change.src, change.held, change.keeper, change.why) == (MOVED, HELD, KEPT, why)
    view = status(shelf)
    assert (view.held_changed, view.held_better) == (1, 0)
    (said,) = [sentence for sentence in view.attention if "dedupd undo --held-changed" in sentence]
    assert HELD in said and why in said
    (group,) = shelf.views()
    assert group.why[MOVED] == f"would stay today: {why}"
    shelf.clock.advance(60)
    shelf.pass_()
    assert shelf.path(HELD).exists(), "nothing comes back by itself"


def test_each_pair_is_looked_at_once(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    looked = len(shelf.vision.proved)
    for _ in range(2):
        shelf.again()
        asked: list[str] = []
        shelf.ledger._link.set_trace_callback(asked.append)
        assert shelf.library.passes.check_held() == 0
        shelf.ledger._link.set_trace_callback(None)
        assert not any("FROM moves" in sql for sql in asked), "and not asked about again"
    assert len(shelf.vision.proved) == looked
    assert status(shelf).held_changed == 1, "told until somebody does something"


def test_a_shot_in_which_nothing_was_changed_is_not_told(shelf: Shelf) -> None:
    moved_before(shelf, island=0.05)
    assert shelf.library.passes.check_held() == 0
    assert shelf.vision.proved, "it was looked at"
    assert shelf.ledger.held_checks.changed() == []
    assert status(shelf).attention == []


def test_what_would_move_today_all_the_same_is_not_told(shelf: Shelf) -> None:
    """A copy beyond doubt that its clock could call a burst: there an island speaks against nothing."""
    keeper, held = moved_before(shelf)
    sure = replace(COPY, holds_a=Holding(), holds_b=Holding(), extra={**(COPY.extra or {}), "island": 0.3})
    shelf.vision.measures[frozenset((content(keeper), content(held)))] = sure
    for path in (keeper, held):  # at one instant, and written by two programs
        shelf.ledger._link.execute(
            "UPDATE contents SET traits=json_set(traits, '$.captured', 5.0, '$.jpeg_quality', ?) WHERE content=?",
            (90.0 if path == keeper else 60.0, content(path)),
        )
    assert shelf.library.passes.check_held() == 0
    assert shelf.ledger.held_checks.change(content(held), content(keeper)) == "", "it was looked at"


def test_a_second_shot_that_moved_as_a_copy_is_looked_at_too(shelf: Shelf) -> None:
    keeper, held = moved_before(shelf, island=0.3)
    shelf.ledger._link.execute("UPDATE moves SET relation='copy'")
    assert shelf.library.passes.check_held() == 1
    assert shelf.ledger.held_checks.change(content(held), content(keeper)) == PLACE


def test_moves_of_plain_copies_are_not_compared_anew(shelf: Shelf) -> None:
    for number in range(8):  # smaller, of the same camera and instant, as a program exports them
        shelf.pair(
            f"2024/06/a{number}.jpg", f"2024/06/b{number}.jpg", f"scene {number}", camera="M|1|", captured=5.0 + 60 * number
        )  # fmt: skip
        shelf.pair(f"2024/06/c{number}.jpg", f"2024/06/d{number}.jpg", f"other {number}")  # without a clock
    for path in shelf.root.glob("2024/06/*.jpg"):
        other = path.with_name({"a": "b", "b": "a", "c": "d", "d": "c"}[path.name[0]] + path.name[1:])
        found = replace(COPY, holds_a=Holding(), holds_b=Holding())
        shelf.vision.measures[frozenset((content(path), content(other)))] = found
    shelf.clock.advance(60)
    assert shelf.pass_().files == 16
    forgotten(shelf, "extra.island")
    shelf.vision.proved.clear()
    assert shelf.library.passes.check_held() == 0
    assert shelf.vision.proved == []
    shelf.again()
    asked: list[str] = []
    shelf.ledger._link.set_trace_callback(asked.append)
    shelf.library.passes.check_held()
    assert not any("FROM moves" in sql for sql in asked), "and not asked about again"


def test_an_undo_of_it_is_an_undo_like_any(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    before = shelf.census()
    shelf.library.passes.check_held()
    assert put_back(shelf) == 1
    assert shelf.files() == {KEPT, MOVED}
    assert shelf.census() == before
    assert status(shelf).held_changed == 0
    assert shelf.ledger.verdicts.all("different") and shelf.ledger.verdicts.all("keep")
    shelf.clock.advance(60)
    assert shelf.pass_().files == 0, "what a person put back is not moved again"
    assert put_back(shelf) == 0


def test_one_by_one_works_too_and_the_others_are_told(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    (change,) = shelf.ledger.held_checks.changed()
    undo_asked(Undo(moves=[change.move]), shelf.library.movement, shelf.library.purging)
    assert shelf.ledger.held_checks.changed() == []


def test_a_yes_to_what_is_held_better_exchanges_no_changed_shot(shelf: Shelf) -> None:
    keeper, held = moved_before(shelf)
    forgotten(shelf, "extra.island", "holds_a", "holds_b")
    a = content(keeper) < content(held)
    more, less = Holding(clip="film", clip_seconds=2.4), Holding()
    shelf.vision.measures[frozenset((content(keeper), content(held)))] = replace(
        FRAME, holds_a=less if a else more, holds_b=more if a else less, extra={**(FRAME.extra or {}), "island": 0.3}
    )  # fmt: skip
    assert shelf.library.passes.check_held() == 1
    assert len([p for p in shelf.vision.proved if set(p) == {content(keeper), content(held)}]) == 2, (
        "when it moved, and once for both questions"
    )
    assert (status(shelf).held_better, status(shelf).held_changed) == (0, 1)
    done = shelf.library.verdicts.exchange()
    assert (done.undone, done.files) == (0, 0)
    assert held.exists() and keeper.exists()


def test_what_is_said_to_be_the_same_is_left_there_and_told_no_more(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    group = shelf.group()
    shelf.library.verdicts.approve([group.id])
    assert shelf.path(HELD).exists()
    assert (status(shelf).held_changed, status(shelf).attention) == (0, [])
    assert shelf.ledger.verdicts.all("same")
    assert put_back(shelf) == 0


def test_a_yes_to_others_of_its_group_is_no_yes_to_it(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    later = shelf.add("2024/06/later.jpg", exposure="1", rendering="small", width=800, height=600)
    shelf.clock.advance(60)
    shelf.look()
    group = shelf.group()
    assert {m.role for m in group.members} == {"moved", "duplicate"}
    shelf.library.verdicts.approve([group.id])
    assert not later.exists()
    assert status(shelf).held_changed == 1


def test_the_same_bytes_do_not_go_that_way_again(shelf: Shelf) -> None:
    keeper, held = moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    again = shelf.path("2024/06/again.jpg")
    again.write_bytes(held.read_bytes())  # a phone syncs it once more
    shelf.clock.advance(60)
    shelf.pass_()
    assert again.exists()
    assert shelf.path(HELD).exists() and keeper.exists()


def test_a_disk_that_is_away_is_asked_about_when_it_is_back(shelf: Shelf) -> None:
    _, held = moved_before(shelf, island=0.3)
    data = held.read_bytes()
    held.unlink()
    assert shelf.library.passes.check_held() == 0
    held.write_bytes(data)
    shelf.again()
    assert shelf.library.passes.check_held() == 1


def test_a_look_that_is_stopped_goes_on_where_it_was(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        kept, moved = (
            shelf.add(
                f"2024/06/{name}{number}.jpg", f"scene {number}", exposure, camera="M|1|", captured=60.0 * number + seconds
            )
            for name, exposure, seconds in (("a", "1", 0.0), ("b", "2", 0.6))
        )  # fmt: skip
        seen(shelf, kept, moved, island=0.0)
    shelf.clock.advance(60)
    assert shelf.pass_().files == 4
    forgotten(shelf, "extra.island")
    monkeypatch.setattr("dedupd.pipeline.held_better._AT_ONCE", 1)
    shelf.vision.proved.clear()
    shelf.library.passes.check_held(stop=lambda: len(shelf.vision.proved) >= 2)
    assert len(shelf.vision.proved) == 2
    shelf.again()
    shelf.library.passes.check_held()
    assert len(shelf.vision.proved) == len(set(shelf.vision.proved)) == 4


class TestPurge:
    """What no trash may take."""

    def why_not(self, shelf: Shelf) -> str:
        plan = Plan(shelf.ledger, shelf.library.settings, shelf.library.roots.all)
        (candidate,) = plan.candidates(before=float("inf"))
        return candidate.why_not

    def test_a_changed_shot_stays(self, shelf: Shelf) -> None:
        moved_before(shelf, island=0.3)
        assert "was not looked at yet" in self.why_not(shelf)
        shelf.library.passes.check_held()
        assert self.why_not(shelf) == PLACE

    def test_one_that_was_looked_at_or_that_a_person_saw_may_go(self, shelf: Shelf) -> None:
        moved_before(shelf, island=0.05)
        shelf.library.passes.check_held()
        assert self.why_not(shelf) == ""

    def test_a_persons_yes_counts(self, shelf: Shelf) -> None:
        moved_before(shelf, island=0.3)
        shelf.library.passes.check_held()
        shelf.library.verdicts.approve([shelf.group().id])
        assert self.why_not(shelf) == ""


def test_a_ledger_of_an_older_dedupd_is_read_all_the_same(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    shelf.ledger._link.execute("DROP TABLE held_changes")
    assert shelf.ledger.held_checks.changed() == []
    assert shelf.ledger.held_checks.better() == []
    (group,) = shelf.views()
    assert group.moved_to
    shelf.again()  # it is made when the ledger is opened to be written
    assert shelf.library.passes.check_held() == 1


def test_the_sentence_is_short_however_long_a_path_is(shelf: Shelf) -> None:
    moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    (change,) = shelf.ledger.held_checks.changed()
    long: dict[str, Any] = {"held": "x" * 4000}
    assert "dedupd undo --held-changed" in told_changed([replace(change, **long)])[:600]
    assert told_changed([]) == ""


def test_what_is_not_there_any_more_is_not_told(shelf: Shelf) -> None:
    _, held = moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    held.unlink()
    shelf.library.roots.reconcile()
    assert (status(shelf).moved, status(shelf).held_changed, status(shelf).attention) == (0, 0, [])
    assert put_back(shelf) == 0


def test_an_empty_place_where_its_disk_was_mounted_costs_no_way_back(shelf: Shelf) -> None:
    _, held = moved_before(shelf, island=0.3)
    shelf.library.passes.check_held()
    away = shelf.root.rename(shelf.at / "away")
    shelf.root.mkdir()
    assert put_back(shelf) == 0
    shelf.root.rmdir()
    away.rename(shelf.root)
    shelf.again()
    assert status(shelf).attention[0].startswith("1 photo(s) in duplicates/")
    assert put_back(shelf) == 1
    assert shelf.files() == {KEPT, MOVED} and not held.exists()
