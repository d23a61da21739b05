"""What comes in between two slices changes what the rest of the work must go by; no pair and no word is lost by it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from blake3 import blake3

from dedupd.core.photo import FileState
from dedupd.pipeline import compare
from dedupd.ports import Proof, ProofRequest
from tests.fakes.vision import pseudo_photo
from tests.support.safe_points import at
from tests.support.shelf import Shelf


def leave(shelf: Shelf, name: str) -> None:
    """Its owner takes it out of the library, and a sweep notices."""
    os.rename(shelf.path(name), shelf.at / "elsewhere")
    shelf.library.roots.reconcile()


def come_back(shelf: Shelf, name: str) -> None:
    os.rename(shelf.at / "elsewhere", shelf.path(name))


def test_sidecars_that_an_act_in_between_wrote_stay_known_as_ours(shelf: Shelf) -> None:
    for number in range(3):
        shelf.add(f"2024/06/a{number}.jpg", f"{number}")
        shelf.small(f"2024/06/b{number}.jpg", f"{number}", said={"rating": 4})
    before = shelf.census()
    shelf.look()
    shelf.library.movement.consent()
    assert shelf.library.movement.move(stop=at(2, shelf.library.annotator.settle)).files == 3
    assert sum(name.endswith(".xmp") for name in shelf.files()) == 3
    shelf.library.movement.undo(shelf.library.movement.held(everything=True))
    assert shelf.census() == before


def test_a_month_that_changed_after_it_was_compared_is_compared_again(shelf: Shelf) -> None:
    shelf.add("2024/05/a.jpg", "lake", "1")
    shelf.add("2024/06/b.jpg", "lake", "2")
    shelf.look()
    assert shelf.stars() == set()
    shelf.add("2024/06/c.jpg", "town")
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()

    def sort_in() -> None:
        os.rename(shelf.path("2024/05/a.jpg"), shelf.path("2024/06/a.jpg"))
        shelf.library.roots.reconcile()

    shelf.library.grouper.regroup(stop=at(2, sort_in))
    shelf.library.grouper.regroup()
    assert shelf.stars(), "what came between its comparison and its grouping waits for the next pass"


def test_what_left_while_its_month_was_compared_is_compared_when_it_is_back(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "FRESH", 16)
    monkeypatch.setattr(compare, "ASKED", 16)
    shelf.add("2024/05/a.jpg", "lake")
    shelf.look()
    for number in range(20):
        shelf.add(f"2024/06/{number}.jpg", f"{number}")
    late = next(r for r in map(str, range(500)) if _small_content(r).startswith("ff"))
    shelf.small("2024/06/b.jpg", "lake", late)
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    shelf.library.grouper.regroup(stop=at(2, lambda: leave(shelf, "2024/06/b.jpg")))
    assert shelf.proposals() == {}
    come_back(shelf, "2024/06/b.jpg")
    shelf.look()
    assert shelf.proposals() == {"2024/06/b.jpg": "2024/05/a.jpg"}


def _small_content(rendering: str) -> str:
    return blake3(pseudo_photo("lake", "1", rendering, width=800, height=600)).hexdigest()


def test_what_was_away_is_compared_with_what_came_meanwhile(shelf: Shelf) -> None:
    """Only within a month do the two resemble each other enough; a search across the library would not name them."""
    shelf.add("2024/06/a.jpg", "lake", "1")
    shelf.look()
    leave(shelf, "2024/06/a.jpg")
    shelf.add("2024/06/b.jpg", "lake", "2")
    shelf.look()
    come_back(shelf, "2024/06/a.jpg")
    shelf.look()
    assert shelf.stars()


def test_what_was_put_back_is_compared_with_what_came_meanwhile(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    assert shelf.pass_().files == 1
    os.rename(shelf.path("2024/06/a.jpg"), shelf.at / "gone")
    shelf.add("2024/06/c.jpg", "lake", "2")
    shelf.vision.index.clear()
    shelf.again()
    shelf.look()
    shelf.library.movement.rescue()
    assert "2024/06/b.jpg" in shelf.files()
    shelf.look()
    assert shelf.stars()


def test_what_the_index_lacked_is_compared_when_it_can_be_read_again(shelf: Shelf) -> None:
    """The index was lost while a disk was away: what was new then met nothing of that disk."""
    shelf.close()
    two = Shelf(shelf.at / "two", ("Here", "There"))
    two.add("2024/06/a.jpg", "lake", root=1)
    two.look()
    two.vision.index.clear()
    os.rename(two.roots[1], two.at / "pulled out")
    two.again()
    two.small("2024/06/b.jpg", "lake", root=0)
    two.look()
    os.rename(two.at / "pulled out", two.roots[1])
    two.look()
    contents = sorted(
        f.content or "" for root in two.library.roots.all for f in two.ledger.files.of_root(root.id)
    )
    assert two.ledger.pairs.has(*contents)
    two.close()
    shelf.open()


def test_another_keeper_chosen_while_the_index_is_made_whole_is_heard(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.library.movement.consent()
    shelf.vision.index.clear()
    shelf.again()

    def choose() -> None:
        group = shelf.group()
        shelf.library.verdicts.judge(group, keeper=group.members[0].file, move=[], different=[], keep=[])

    assert shelf.library.movement.move(stop=at(2, choose)).files == 0
    assert shelf.files() == {"2024/06/a.jpg", "2024/06/b.jpg"}


def test_a_pair_that_could_not_be_read_is_compared_in_the_next_pass(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")

    def unreadable(requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        for request in requests:
            yield Proof(a=request.a, b=request.b, measures=None, error="changed since it was looked at")

    with monkeypatch.context() as patch:
        patch.setattr(shelf.vision, "prove", unreadable)
        shelf.look()
    assert shelf.proposals() == {}
    (told,) = shelf.library.roots.problems.values()
    assert told.startswith("1 pair(s) of photos could not be compared, first ")
    assert {"2024/06/a.jpg", "2024/06/b.jpg"} <= {word.rpartition("Pictures/")[2] for word in told.split()}
    assert "(changed since it was looked at): neither moves for the other" in told
    shelf.add("2024/06/c.jpg", "town")
    shelf.look()
    assert shelf.proposals() == {"2024/06/b.jpg": "2024/06/a.jpg"}
    assert not shelf.library.roots.problems, "it was measured since"


def test_what_is_told_of_a_pair_is_one_line_and_says_when_there_are_more(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of OpenCV has three lines."""
    for number in range(3):
        shelf.pair(f"2024/06/{number}.jpg", f"2024/06/{number}-small.jpg", f"scene {number}")

    def odd(requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        for request in requests:
            yield Proof(
                a=request.a, b=request.b, measures=None, error="(OpenCV) error:\n> Overload\n>  failed "
            )

    monkeypatch.setattr(shelf.vision, "prove", odd)
    monkeypatch.setattr(compare, "UNMEASURED", 2)
    shelf.look()
    (told,) = shelf.library.roots.problems.values()
    assert told.startswith("at least 2 pair(s) of photos could not be compared, first ")
    assert "((OpenCV) error: > Overload > failed): neither moves" in told


def test_a_pair_that_could_not_be_read_is_told_of_no_more_once_a_photo_is_gone(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    shelf.vision.unreadable |= set(shelf.vision.index)
    shelf.library.grouper.regroup()
    assert len(shelf.library.roots.problems) == 1
    shelf.path("2024/06/b.jpg").unlink()
    for _ in range(2):
        shelf.clock.advance(100)
        shelf.look()
    assert not shelf.library.roots.problems


def test_what_the_index_lacked_is_compared_when_it_is_there(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.library.roots.reconcile()
    shelf.library.passes.ingest()
    with monkeypatch.context() as patch:
        patch.setattr(shelf.vision, "missing", list)
        patch.setattr(shelf.vision, "propose", lambda *asked: [])
        shelf.library.grouper.regroup()
    assert shelf.proposals() == {}
    shelf.add("2024/06/c.jpg", "town")
    shelf.look()
    assert shelf.proposals() == {"2024/06/b.jpg": "2024/06/a.jpg"}


def test_an_undo_follows_a_folder_that_was_renamed_in_between(shelf: Shelf) -> None:
    for number in range(20):
        shelf.pair(f"2024/06/a{number}.jpg", f"2024/06/b{number}.jpg", f"{number}")
    before = shelf.census()
    shelf.look()
    shelf.library.verdicts.approve_all()

    def rename() -> None:
        os.rename(shelf.path("2024/06"), shelf.path("2024/07"))
        shelf.library.roots.reconcile()

    back = shelf.library.movement.undo(shelf.library.movement.held(everything=True), stop=at(2, rename))
    assert back.undone == 20 and shelf.census() == before
    assert not any("duplicates/" in name for name in shelf.files())


def test_what_became_part_of_a_live_photo_in_between_is_no_film_of_its_own(shelf: Shelf) -> None:
    for number in range(20):
        shelf.add(f"2024/06/a{number}.jpg", f"{number}")
    shelf.path("2024/06/z.mov").write_bytes(b"\0\0\0\x14ftypqt  \0\0\0\0qt  " + b"\0" * 64)
    shelf.library.roots.reconcile()

    def its_photo_arrives() -> None:
        shelf.add("2024/06/z.heic", "town")
        shelf.library.roots.reconcile()

    shelf.library.passes.ingest(stop=at(2, its_photo_arrives))
    film = shelf.ledger.files.at(shelf.row.id, "2024/06/z.mov")
    assert film is not None and film.state == FileState.COMPANION


def test_who_waits_for_an_act_does_not_wait_for_the_sidecars_of_a_pass(shelf: Shelf) -> None:
    for number in range(3):
        shelf.add(f"2024/06/a{number}.jpg", f"{number}")
        shelf.small(f"2024/06/b{number}.jpg", f"{number}", said={"rating": 4})
    shelf.look()
    first, *others = [group.id for group in shelf.ledger.groups.all()]
    asked = 0

    def stopped_before_sidecars() -> bool:
        nonlocal asked
        asked += 1
        return asked > 1

    shelf.library.verdicts.approve(others, stop=stopped_before_sidecars)
    assert len(shelf.ledger.sidecars.unsettled()) == 2
    shelf.library.verdicts.approve([first])
    shelf.library.movement.undo(shelf.library.movement.held(group=first))
    assert {row.group for row in shelf.ledger.sidecars.unsettled()} == set(others)
    shelf.library.movement.move()
    assert shelf.ledger.sidecars.unsettled() == []


def test_nothing_waits_once_a_first_pass_is_through(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    assert not any(row.waiting for row in shelf.ledger.months.all())
