"""The first moves of a root are one whole: what was not quiet yet belongs to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dedupd.errors import Refusal
from dedupd.pipeline import consent
from tests.support.shelf import Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """More duplicates than the breaker lets go in an hour."""
    shelf = Shelf(tmp_path)
    for number in range(consent.BREAKER_FILES + 30):
        shelf.pair(f"2024/06/{number}.jpg", f"2024/06/{number}-small.jpg", f"scene {number}")
    yield shelf
    shelf.close()


def test_first_moves_that_were_not_quiet_go_with_the_next_round(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = {shelf.path(f"2024/06/{n}-small.jpg").stat().st_ino for n in range(consent.BREAKER_FILES + 20)}
    quiet = shelf.library.mover.settle_timer
    real = quiet.settled

    def settled(found: Any) -> bool:
        return found.st_ino not in waiting and real(found)

    monkeypatch.setattr(quiet, "settled", settled)
    assert shelf.pass_().files == 10
    assert shelf.row.backlog_done_at is None
    waiting.clear()
    assert shelf.library.movement.move().files == consent.BREAKER_FILES + 20
    assert shelf.row.backlog_done_at is not None


def test_once_they_are_through_the_breaker_counts(shelf: Shelf) -> None:
    assert shelf.pass_().files == consent.BREAKER_FILES + 30
    for number in range(consent.BREAKER_FILES + 1):
        shelf.pair(f"2024/07/{number}.jpg", f"2024/07/{number}-small.jpg", f"other {number}")
    shelf.clock.advance(100)
    moved = shelf.pass_(yes=False)
    assert (moved.files, moved.waiting) == (0, consent.BREAKER_FILES + 1)


@pytest.mark.parametrize("name", ["06 quiet lake", "06 open for writing", "06 loud lake"])
def test_what_a_folder_is_called_decides_nothing(tmp_path: Path, name: str) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair(f"2024/{name}/a.jpg", f"2024/{name}/a-small.jpg")
    shelf.path(f"2024/{name}/duplicates").write_text("my notes")
    shelf.pair("2024/07/b.jpg", "2024/07/b-small.jpg", "harbour")
    moved = shelf.pass_()
    assert [m.refusal for m in moved.refused] == [Refusal.IN_THE_WAY]
    assert (
        shelf.row.backlog_done_at is not None
    )  # nothing of the first moves is waited for: the breaker counts
    for number in range(consent.BREAKER_FILES + 1):
        shelf.pair(f"2024/08/{number}.jpg", f"2024/08/{number}-small.jpg", f"other {number}")
    shelf.clock.advance(100)
    assert shelf.pass_(yes=False).files == 0
    shelf.close()
