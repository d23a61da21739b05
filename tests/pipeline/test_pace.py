"""Where a sync client watches, files move a few a minute; a person's yes and what comes back do not wait."""

from __future__ import annotations

import pytest

from dedupd.pipeline.pace import BUSY_SECONDS, SyncPace
from tests.support.shelf import Shelf


@pytest.fixture
def synced(shelf: Shelf) -> Shelf:
    """Five pairs that may move, in a root where a client allows two files a minute."""
    for number in range(5):
        shelf.pair(f"2024/06/a{number}.jpg", f"2024/06/a{number}-small.jpg", f"scene {number}")
    shelf.library.movement.consent()
    shelf.library.movement._pace = SyncPace(
        2, shelf.clock, lambda root: "OneDrive", lambda root, folders: False
    )
    shelf.look()
    return shelf


def moves_of(shelf: Shelf, *waits: float) -> list[int]:
    """How many files each round moves, after so many seconds each."""
    found: list[int] = []
    for seconds in waits:
        shelf.clock.advance(seconds)
        found.append(shelf.library.movement.move().files)
    return found


def test_two_files_a_minute_and_then_the_next_two(synced: Shelf) -> None:
    assert moves_of(synced, 0, 1, 58, 2, 61, 61) == [2, 0, 0, 2, 1, 0]
    assert synced.row.backlog_done_at is not None, "the first moves are through"


def test_what_is_left_is_told_and_asked_for_again(synced: Shelf) -> None:
    first = synced.library.movement.move()
    assert 59 <= first.again_in <= 60
    assert "3 file(s)" in first.messages[0] and "OneDrive" in first.messages[0]
    assert synced.row.backlog_done_at is None
    moves_of(synced, 61)
    last = moves_of(synced, 61), synced.library.movement.move()
    assert (last[0], last[1].again_in, last[1].messages) == ([1], 0.0, [])


def test_a_persons_yes_moves_all_at_once(synced: Shelf) -> None:
    assert synced.library.movement.move(yes=True).files == 5


def test_what_comes_back_does_not_wait(synced: Shelf) -> None:
    synced.library.movement.move(yes=True)
    assert synced.library.movement.undo(synced.library.movement.held(everything=True)).undone == 5


def test_a_group_of_more_than_a_minute_goes_by_itself(shelf: Shelf) -> None:
    shelf.add("2024/06/a.jpg")
    for number in range(4):
        shelf.small(f"2024/06/a{number}-small.jpg", rendering=f"small {number}")
    shelf.library.movement.consent()
    shelf.library.movement._pace = SyncPace(
        2, shelf.clock, lambda root: "OneDrive", lambda root, folders: False
    )
    shelf.look()
    assert moves_of(shelf, 0, 1) == [4, 0]


def test_nothing_moves_while_the_client_is_at_work_there(synced: Shelf) -> None:
    asked: list[str] = []

    def at_work(root: str, folders: object) -> bool:
        asked.extend(folders)  # type: ignore[arg-type]
        return len(asked) < 2

    synced.library.movement._pace = SyncPace(5, synced.clock, lambda root: "OneDrive", at_work)
    first = synced.library.movement.move()
    assert (first.files, first.again_in) == (0, BUSY_SECONDS)
    assert asked == ["2024/06"]
    assert moves_of(synced, BUSY_SECONDS) == [5]


@pytest.mark.parametrize(("per_minute", "client"), [(0, "OneDrive"), (2, "")])
def test_elsewhere_and_without_a_limit_all_go(synced: Shelf, per_minute: int, client: str) -> None:
    synced.library.movement._pace = SyncPace(
        per_minute, synced.clock, lambda root: client, lambda root, folders: True
    )
    assert moves_of(synced, 0) == [5]
