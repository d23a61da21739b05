"""What comes in between two slices changes what the rest of the work must go by; no pair and no word is lost by it."""

from __future__ import annotations

import os
from collections.abc import Callable

from dedupd.pipeline.slices import Stop
from tests.support.shelf import Shelf


def at(number: int, act: Callable[[], object]) -> Stop:
    """A safe point each time; at the `number`-th of them something comes in."""
    asked = 0

    def stop(*, photos: bool = True) -> bool:
        nonlocal asked
        asked += 1
        if asked == number:
            act()
        return False

    return stop


def test_sidecars_that_an_act_in_between_wrote_stay_known_as_ours(shelf: Shelf) -> None:
    for number in range(3):
        shelf.add(f"2024/06/a{number}.jpg", f"{number}")
        shelf.small(f"2024/06/b{number}.jpg", f"{number}", said={"rating": 4})
    before = shelf.census()
    shelf.look()
    shelf.library.consent()
    assert shelf.library.move(stop=at(2, shelf.library.annotate)).files == 3
    assert sum(name.endswith(".xmp") for name in shelf.files()) == 3
    shelf.library.undo(shelf.library.held(everything=True))
    assert shelf.census() == before


def test_another_keeper_chosen_while_the_index_is_made_whole_is_heard(shelf: Shelf) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/b.jpg")
    shelf.look()
    shelf.library.consent()
    shelf.vision.index.clear()
    shelf.again()

    def choose() -> None:
        group = shelf.group()
        shelf.library.judge(group, keeper=group.members[0].file, move=[], different=[], keep=[])

    assert shelf.library.move(stop=at(2, choose)).files == 0
    assert shelf.files() == {"2024/06/a.jpg", "2024/06/b.jpg"}


def test_an_undo_follows_a_folder_that_was_renamed_in_between(shelf: Shelf) -> None:
    for number in range(20):
        shelf.pair(f"2024/06/a{number}.jpg", f"2024/06/b{number}.jpg", f"{number}")
    before = shelf.census()
    shelf.look()
    shelf.library.approve_all()

    def rename() -> None:
        os.rename(shelf.path("2024/06"), shelf.path("2024/07"))
        shelf.library.reconcile()

    back = shelf.library.undo(shelf.library.held(everything=True), stop=at(2, rename))
    assert back.restored == 20 and shelf.census() == before
    assert not any("duplicates/" in name for name in shelf.files())
