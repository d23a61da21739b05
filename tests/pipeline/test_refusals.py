"""What cannot move counts once, then it waits for a person with its reason, and holds up nothing else."""

from __future__ import annotations

import os

import pytest

from dedupd.core.attention import SENTENCES
from dedupd.errors import Refusal
from dedupd.pipeline import consent
from dedupd.pipeline.review import status_view
from tests.support.shelf import Shelf

MANY = consent.BREAKER_FILES + 1


@pytest.fixture
def stuck(shelf: Shelf) -> Shelf:
    """The first moves are through but for more files than the breaker lets go, which a file in the way holds up."""
    for number in range(MANY):
        shelf.pair(f"2024/06/{number}.jpg", f"2024/06/{number}-small.jpg", f"scene {number}")
    shelf.path("2024/06/duplicates").write_text("my notes")
    shelf.pair("2024/07/b.jpg", "2024/07/b-small.jpg", "harbour")
    moved = shelf.pass_()
    assert (moved.files, len(moved.refused), moved.stayed) == (1, MANY, MANY)
    shelf.clock.advance(100)
    return shelf


def attention(shelf: Shelf) -> list[str]:
    return status_view(
        shelf.ledger, shelf.library.roots.all, daemon="running", now=shelf.clock.now()
    ).attention  # fmt: skip


def test_they_are_not_tried_again_and_hold_up_nothing_else(stuck: Shelf) -> None:
    journaled = len(stuck.ledger.journal.moves())
    stuck.pair("2024/08/c.jpg", "2024/08/c-small.jpg", "bridge")
    moved = stuck.pass_()
    assert (moved.files, moved.waiting, moved.refused) == (1, 0, [])
    assert len(stuck.ledger.journal.moves()) == journaled + 1


def test_each_is_told_with_its_reason(stuck: Shelf) -> None:
    (told,) = (sentence for sentence in attention(stuck) if "cannot move" in sentence)
    assert told.startswith(f"{MANY} file(s) in {stuck.root} cannot move, first 2024/06/0-small.jpg")
    assert "duplicates: Not a directory" in told
    refused = stuck.library.report()["refused"]
    assert len(refused) == MANY
    assert refused[0]["path"] == "2024/06/0-small.jpg"
    assert "Not a directory" in refused[0]["reason"]
    view = status_view(stuck.ledger, stuck.library.roots.all, daemon="running", now=stuck.clock.now())
    assert view.waiting_to_move == 0


def test_a_persons_yes_tries_them_all_again(stuck: Shelf) -> None:
    os.unlink(stuck.path("2024/06/duplicates"))
    assert stuck.pass_().files == 0
    assert stuck.library.verdicts.approve_all().files == MANY
    assert stuck.library.report()["refused"] == []
    assert not any("cannot move" in sentence for sentence in attention(stuck))


def test_another_file_in_its_place_is_tried_by_itself(shelf: Shelf) -> None:
    _, small = shelf.pair("2024/06/a.jpg", "2024/06/a-small.jpg")
    shelf.pair("2024/07/b.jpg", "2024/07/b-small.jpg", "harbour")
    shelf.look()
    os.link(shelf.path("2024/06/a.jpg"), shelf.at / "second")
    shelf.library.movement.consent()
    (move,) = shelf.library.movement.move().refused
    row = shelf.ledger.files.get(move.file)
    assert row is not None and (row.path, move.refusal) == ("2024/06/a-small.jpg", Refusal.HARD_LINK)
    shelf.pass_()  # sees that the keeper has a second name: another stat, so it was tried once more
    assert shelf.pass_().refused == []  # it waits
    os.unlink(shelf.at / "second")
    shelf.clock.advance(100)
    assert shelf.pass_().files == 1
    assert not small.exists()


def test_what_will_pass_by_itself_is_tried_again_and_counts(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/07/b.jpg", "2024/07/b-small.jpg", "harbour")
    shelf.pass_()
    for number in range(MANY - 1):
        shelf.pair(f"2024/06/{number}.jpg", f"2024/06/{number}-small.jpg", f"scene {number}")
    shelf.clock.advance(4000)
    monkeypatch.setattr(shelf.library.mover.settle_timer, "settled", lambda found: False)
    assert {m.refusal for m in shelf.pass_().refused} == {Refusal.NOT_QUIET}
    monkeypatch.undo()
    shelf.pair("2024/08/c.jpg", "2024/08/c-small.jpg", "bridge")
    moved = shelf.pass_()
    assert (moved.files, moved.waiting) == (0, MANY)  # together they are more than may go unasked
    assert shelf.library.verdicts.approve_all().files == MANY


def test_approved_and_not_moved_is_counted_whatever_the_reason(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/best/b.jpg")
    shelf.look()
    shelf.again(protected=(shelf.root / "2024/06/best",))
    moved = shelf.library.verdicts.approve([shelf.group().id])
    assert (moved.files, moved.stayed) == (0, 1)
    refused = [{"path": "2024/06/best/b.jpg", "reason": "it lies in a protected folder"}]
    assert shelf.library.report()["refused"] == refused


def test_the_files_that_stay_are_told_together_and_each_stands_in_the_report(shelf: Shelf) -> None:
    """3,450 sentences in one round were more than a message to a client holds."""
    for number in range(40):
        shelf.pair(f"2024/06/{number}.jpg", f"2024/06/{number}-small.jpg", f"scene {number}")
    shelf.path("2024/06/duplicates").write_text("my notes")
    moved = shelf.pass_()
    (told,) = moved.messages
    assert told.startswith("40 in 2024/06 for the same reason, first: 2024/06/0-small.jpg stays: ")
    assert len(shelf.library.report()["refused"]) == 40


def test_status_tells_the_gravest_and_counts_the_rest(shelf: Shelf) -> None:
    beside = [f"{number} is wrong" for number in range(1000)]
    view = status_view(
        shelf.ledger, shelf.library.roots.all, daemon="running", now=shelf.clock.now(), beside=beside
    )
    assert beside[0] in view.attention
    assert len(view.attention) == SENTENCES + 1
    assert view.attention[-1].startswith(f"and {1000 - SENTENCES} more")
