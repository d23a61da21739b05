"""The cost of a change follows the change: one new photo reads its month and its relations, not the library."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from dedupd.adapters.ledger import Ledger
from dedupd.adapters.ledger.file_rows import FileRows
from dedupd.core.photo import FileStat, FileState
from dedupd.pipeline.compare import Comparison
from dedupd.pipeline.ingest import ingest
from dedupd.pipeline.move_orders import Companions
from dedupd.ports import FileRequest, Ingested
from tests.fakes.clock import FakeClock
from tests.fakes.vision import FakeVision
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
    shelf.library.summaries.rewrite({shelf.row.id: {"2000-01"}})
    shelf.small("2000/01/d.jpg", "scene 0", rendering="again")
    shelf.clock.advance(60)
    count = 0

    def counted() -> int:
        nonlocal count
        count += 1
        return 0

    shelf.ledger._link.set_progress_handler(counted, 1)
    library = shelf.library
    assert library.roots.reconcile_folders(library.roots.all[0], {"2000/01": False}).new == 1
    library.passes.ingest()
    touched = library.grouper.regroup()
    moved = library.movement.move()
    assert moved.files == 1
    library.summaries.rewrite(library.movement.months_of(moved, touched))
    shelf.ledger._link.set_progress_handler(None, 1)
    shelf.close()
    return count


def test_one_more_photo_in_a_library_ten_times_as_large(tmp_path: Path) -> None:
    small, large = (steps_of_one_more(tmp_path / str(months), months) for months in (SMALL, LARGE))
    per_month = (large - small) / (LARGE - SMALL)
    assert per_month < 75, "a month more costs a look at its line of the list of months, not at its photos"


def statements_of_one_more(at: Path, photos: int) -> int:
    """Statements for all the grouping of one photo that was dropped into a month."""
    shelf = Shelf(at)
    for number in range(photos):
        shelf.pair(f"2000/01/a{number}.jpg", f"2000/01/b{number}.jpg", f"scene {number}")
    shelf.pass_(yes=False)
    shelf.small("2000/01/c.jpg", "scene 0", rendering="again")
    shelf.library.roots.reconcile_folders(shelf.library.roots.all[0], {"2000/01": False})
    shelf.library.passes.ingest()
    asked: list[str] = []
    shelf.ledger._link.set_trace_callback(asked.append)
    shelf.library.grouper.regroup()
    shelf.ledger._link.set_trace_callback(None)
    assert len(shelf.proposals()) == photos + 1
    shelf.close()
    return len(asked)


def test_one_more_photo_in_a_month_of_many_asks_no_more_questions(tmp_path: Path) -> None:
    few, many = (statements_of_one_more(tmp_path / str(photos), photos) for photos in (2, 62))
    assert many - few < 10, "what is asked of each photo of the month is asked of all at once"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Folders whose names were read from the ledger."""
    folders: list[str] = []
    real = FileRows.paths_in
    monkeypatch.setattr(
        FileRows, "paths_in", lambda rows, root, at: folders.append(at) or real(rows, root, at)
    )
    return folders


def test_one_folder_of_many_months_is_read_once_for_all(tmp_path: Path, read: list[str]) -> None:
    """A flat export: each month read the whole of it, twice."""
    shelf, month = Shelf(tmp_path), 32 * 86400.0
    for number in range(4):
        shelf.pair(f"a{number}.jpg", f"b{number}.jpg", f"scene {number}", captured=1e9 + number * month)
    shelf.look()
    assert read == [""] and len(shelf.ledger.months.all()) == len(shelf.proposals()) == 4

    read.clear()
    grouped: list[int] = []
    stat = FileStat(size=1, mtime_ns=1, ctime_ns=1, dev=1, ino=1)

    def others_work() -> bool:
        if len(grouped) == 1:  # between the first month and the second
            with shelf.ledger.transaction():
                shelf.ledger.files.add(shelf.row.id, "a1.xmp", stat, FileState.COMPANION)
            grouped.append(-1)
        return False

    library = shelf.library
    library.grouper.regroup(
        everything=True, stop=others_work,
        on_progress=lambda phase, done, total: grouped.append(done) if phase == "group" else None,
    )  # fmt: skip
    assert len(grouped) == 5 and read == ["", ""], "what came in between is not overlooked"
    shelf.close()


def test_folders_of_other_months_are_not_kept(tmp_path: Path, read: list[str]) -> None:
    shelf = Shelf(tmp_path)
    shelf.pair("2000/01/a.jpg", "2000/01/b.jpg")
    shelf.look()
    read.clear()
    companions = Companions(shelf.ledger, shelf.library.roots._disk, shelf.row)
    for turns in (0, 1, 2):
        for _ in range(turns):
            companions.turn()
        companions.unit("2000/01/a.jpg")
    assert read == ["2000/01"] * 2
    shelf.close()


class Blind(FakeVision):
    """Sees nothing, and holds everything."""

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        self.looked += [request.key for request in requests]
        return iter(())

    def missing(self, contents: Sequence[str]) -> list[str]:
        return []


def peak(act: Callable[[], object]) -> float:
    """Megabytes that it needed at most."""
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_what_waits_nor_with_the_library(tmp_path: Path) -> None:
    photos, eyes, clock = 20_000, Blind(), FakeClock()
    with Ledger(tmp_path / "ledger.db") as ledger:
        root = ledger.roots.add(str(tmp_path)).id
        with ledger.transaction():
            ledger._link.executemany(
                "INSERT INTO files(root, path, folder, size, mtime_ns, ctime_ns, dev, ino, nlink, content, month, state) "
                "VALUES(?, ?, x'', 1, 1, 1, 1, 1, 1, ?, '2000-01', ?)",
                [
                    (root, f"{state}{n}".encode(), f"{n:064x}", state)
                    for n in range(photos)
                    for state in ("seen", "indexed")
                ],
            )
        assert peak(lambda: ingest(ledger, eyes, clock)) < 3
        assert len(set(eyes.looked)) == len(eyes.looked) == photos
        assert peak(lambda: Comparison(ledger, eyes, clock).ensure_complete()) < 1.5


def test_a_look_at_one_large_folder_needs_little_for_each_file(tmp_path: Path) -> None:
    """A flat export, or twenty thousand files dropped at once: the daemon holds 100 MB at most."""
    shelf, files = Shelf(tmp_path), 1000
    for number in range(files):
        shelf.path(f"{number}.jpg").touch()
    assert shelf.library.roots.reconcile().new == files
    assert peak(shelf.library.roots.reconcile) * 1e6 / files < 1900
    shelf.close()
