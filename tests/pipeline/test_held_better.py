"""What an older dedupd moved beside a lesser photo: found by one look, told, and exchanged on a person's yes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from dedupd.core.photo import Holding
from tests.fakes.vision import COPY
from tests.support.shelf import Shelf

PLAIN = Holding()


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with_shelf = Shelf(tmp_path)
    yield with_shelf
    with_shelf.close()


def content(path: Path) -> str:
    return blake3(path.read_bytes()).hexdigest()


def holds(shelf: Shelf, path: Path, other: Path, mine: Holding, its: Holding) -> None:
    """What measuring this pair finds."""
    a, b = content(path), content(other)
    one, two = (mine, its) if a < b else (its, mine)
    shelf.vision.measures[frozenset((a, b))] = replace(COPY, holds_a=one, holds_b=two)


def moved_before(shelf: Shelf, mine: Holding, its: Holding = PLAIN) -> tuple[Path, Path]:
    """The keeper and the moved copy, as a dedupd left them that knew nothing of what files hold."""
    keeper = shelf.add("2024/06/kept.jpg", camera="M|1|", captured=5.0)
    moved = shelf.add("2024/06/moved.jpg", rendering="other", jpeg_quality=88.0)
    a, b = content(keeper), content(moved)
    shelf.vision.measures[frozenset((a, b))] = replace(COPY, holds_a=None, holds_b=None)
    shelf.clock.advance(60)
    shelf.pass_()
    held = shelf.path("2024/06/duplicates/moved.jpg")
    assert held.exists()
    holds(shelf, held, keeper, mine, its)
    shelf.ledger.put("rules", "of an older dedupd")
    return keeper, held


def test_what_holds_more_is_found_and_told_and_stays_where_it_is(shelf: Shelf) -> None:
    moved_before(shelf, Holding(colour=20.0))
    assert shelf.library.passes.check_held() == 1
    (better,) = shelf.ledger.held_checks.better()
    assert (better.src, better.only_here) == ("2024/06/moved.jpg", ("has the colours",))
    assert shelf.path("2024/06/duplicates/moved.jpg").exists(), "nothing moves by itself"
    shelf.clock.advance(60)
    shelf.pass_()
    assert shelf.path("2024/06/duplicates/moved.jpg").exists()
    looked = len(shelf.vision.proved)
    shelf.again()
    assert shelf.library.passes.check_held() == 0
    assert len(shelf.vision.proved) == looked, "each pair is looked at once"


def test_on_a_yes_the_better_one_comes_back_and_the_lesser_moves_aside(shelf: Shelf) -> None:
    keeper, held = moved_before(shelf, Holding(clip="film", clip_seconds=2.4))
    before = shelf.census()
    shelf.library.passes.check_held()
    done = shelf.library.verdicts.exchange()
    assert (done.undone, done.files) == (1, 1)
    assert shelf.files() >= {"2024/06/moved.jpg", "2024/06/duplicates/kept.jpg"}
    assert not keeper.exists()
    assert not held.exists()
    assert shelf.census() == before
    assert shelf.ledger.held_checks.better() == []
    assert not shelf.ledger.verdicts.all("different"), "nobody said that they differ"


def test_where_each_holds_something_both_stay_and_wait(shelf: Shelf) -> None:
    moved_before(shelf, Holding(colour=20.0), Holding(depth=16))
    shelf.library.passes.check_held()
    shelf.library.verdicts.exchange()
    assert shelf.files() >= {"2024/06/moved.jpg", "2024/06/kept.jpg"}
    (view,) = shelf.views()
    assert view.review
    assert not view.duplicates


def test_what_is_held_better_and_comes_back_is_not_settled_again(shelf: Shelf) -> None:
    _, held = moved_before(shelf, Holding(colour=20.0))
    again = shelf.path("2024/06/again.jpg")
    again.write_bytes(held.read_bytes())  # a phone syncs it once more
    shelf.clock.advance(60)
    shelf.pass_()
    assert again.exists()
    (view,) = [v for v in shelf.views() if v.review]
    assert view.review == ["2024/06/again.jpg"]


def test_another_policy_of_the_person_looks_anew(shelf: Shelf) -> None:
    moved_before(shelf, Holding(lossless=True))
    shelf.again(keep_policy="smallest")
    assert shelf.library.passes.check_held() == 0, "a person's own policy gives up loss"
    assert shelf.ledger.held_checks.better() == []
    shelf.again(keep_policy="best")
    assert shelf.library.passes.check_held() == 1
    assert len(shelf.ledger.held_checks.better()) == 1
    shelf.again(keep_policy="smallest")
    shelf.library.passes.check_held()
    assert shelf.ledger.held_checks.better() == []


def test_a_yes_to_an_exchange_is_no_yes_to_what_came_since(shelf: Shelf) -> None:
    _, held = moved_before(shelf, Holding(colour=20.0))
    shelf.library.passes.check_held()
    later = shelf.add("2024/06/later.jpg", rendering="third", jpeg_quality=70.0, width=800, height=600)
    for other in (held, shelf.path("2024/06/kept.jpg")):
        holds(shelf, later, other, Holding(), Holding(colour=20.0 if other == held else 0.0))
    shelf.look()
    done = shelf.library.verdicts.exchange()
    assert later.exists(), "nobody was asked about this one"
    assert not shelf.path("2024/06/kept.jpg").exists()
    assert done.files == 1


def test_other_groups_are_left_alone(shelf: Shelf) -> None:
    moved_before(shelf, Holding(colour=20.0))
    shelf.library.passes.check_held()
    (better,) = shelf.ledger.held_checks.better()
    assert shelf.library.verdicts.exchange([better.group + 1]).undone == 0
    assert shelf.path("2024/06/duplicates/moved.jpg").exists()


def test_what_lost_nothing_is_not_told(shelf: Shelf) -> None:
    moved_before(shelf, Holding(), Holding(colour=20.0))
    assert shelf.library.passes.check_held() == 0
    assert shelf.ledger.held_checks.better() == []


def test_what_a_person_moved_knowingly_is_not_told(shelf: Shelf) -> None:
    keeper, held = moved_before(shelf, Holding(colour=20.0))
    with shelf.ledger.transaction():
        a, b = sorted((content(keeper), content(held)))
        shelf.ledger.verdicts.add("same", a, b, [], 1.0)
    assert shelf.library.passes.check_held() == 0
    assert shelf.ledger.held_checks.better() == []


def test_what_cannot_be_read_now_is_asked_about_again(shelf: Shelf) -> None:
    _, held = moved_before(shelf, Holding(colour=20.0))
    data = held.read_bytes()
    held.unlink()
    assert shelf.library.passes.check_held() == 0
    held.write_bytes(data)
    shelf.again()
    assert shelf.library.passes.check_held() == 1


def test_status_counts_it_and_says_what_to_do(shelf: Shelf) -> None:
    moved_before(shelf, Holding(colour=20.0))
    shelf.library.passes.check_held()
    from dedupd.pipeline.review import status_view

    view = status_view(shelf.ledger, shelf.library.roots.all, daemon="stopped", now=shelf.clock.now())
    assert view.held_better == 1
    assert any("dedupd approve --held-better" in sentence for sentence in view.attention)


def test_who_waits_for_an_exchange_does_not_wait_for_other_months(shelf: Shelf) -> None:
    moved_before(shelf, Holding(clip="film", clip_seconds=2.4))
    shelf.library.passes.check_held()
    shelf.add("2019/01/new.jpg", "town")
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    assert shelf.library.verdicts.exchange().files == 1
    assert "2019-01" in {row.month for row in shelf.ledger.months.all() if row.waiting}
