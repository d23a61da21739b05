"""The cost of a change follows the change: one new photo reads its month and its relations, not the library."""

from __future__ import annotations

from pathlib import Path

from tests.support.shelf import Shelf

SMALL, LARGE = 3, 30


def steps_of_one_more(at: Path, months: int) -> int:
    """SQLite's instructions for all the daemon does about one photo that was dropped in."""
    shelf = Shelf(at)
    for number in range(months):
        folder = f"{2000 + number // 12}/{number % 12 + 1:02}"
        shelf.pair(f"{folder}/a.jpg", f"{folder}/b.jpg", f"scene {number}")
        shelf.add(f"{folder}/c.jpg", f"other {number}")
    assert shelf.pass_().files == months
    shelf.library.summarise({shelf.row.id: {"2000-01"}})
    shelf.small("2000/01/d.jpg", "scene 0", rendering="again")
    shelf.clock.advance(60)
    count = 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    shelf.ledger._link.set_progress_handler(counted, 1)
    library = shelf.library
    assert library.reconcile_folders(library.roots[0], {"2000/01": False}).new == 1
    library.ingest()
    touched = library.cluster()
    moved = library.move()
    assert moved.files == 1
    library.summarise(library.months_of(moved, touched))
    shelf.ledger._link.set_progress_handler(None, 1)
    shelf.close()
    return count


def test_one_more_photo_in_a_library_ten_times_as_large(tmp_path: Path) -> None:
    small, large = (steps_of_one_more(tmp_path / str(months), months) for months in (SMALL, LARGE))
    per_month = (large - small) / (LARGE - SMALL)
    assert per_month < 75, "a month more costs a look at its line of the list of months, not at its photos"
