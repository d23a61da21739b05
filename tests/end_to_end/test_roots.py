"""Roots that come and go, files that are renamed or still being written: absence is never taken for deletion."""

from __future__ import annotations

import shutil

import pytest

from dedupd.config import load, places
from dedupd.library import Library
from dedupd.ports import FileRequest
from tests.end_to_end.house import House


def test_a_root_that_goes_and_comes_back_loses_nothing(pair: House) -> None:
    away = pair.folder / "elsewhere"
    with pair.daemon("--yes") as daemon:
        before = daemon.settled(lambda s: s.moved == 1)
        held = pair.photos()
        pair.root.rename(away)
        status = daemon.until(lambda s: not s.root_details[0].online)
        assert any("does not exist" in sentence for sentence in status.attention), status.attention

        pair.root.mkdir()  # an empty mount point
        status = daemon.until(lambda s: any("not the folder dedupd knows" in a for a in s.attention))
        daemon.look()
        assert list(pair.root.iterdir()) == []
        assert (daemon.status().photos, daemon.status().moved) == (before.photos, before.moved)

        pair.add("2024/06/stranger.jpg", 5)  # another disk: looked at by nobody
        daemon.look()
        assert daemon.status().photos == before.photos
        shutil.rmtree(pair.root)
        away.rename(pair.root)
        status = daemon.settled(lambda s: s.root_details[0].online)
        assert (status.photos, status.moved, status.skipped) == (before.photos, before.moved, before.skipped)
        assert not any(str(pair.root) in sentence for sentence in status.attention), status.attention
        assert pair.photos() == held

        pair.add("2024/06/IMG_2 copy.jpg", 2)  # and it is watched again
        daemon.settled(lambda s: s.moved == 2)


def test_a_daemon_started_before_its_disk_is_there_waits_for_it(pair: House) -> None:
    away = pair.folder / "elsewhere"
    pair.root.rename(away)
    with pair.daemon("--yes") as daemon:
        status = daemon.settled()
        assert (status.photos, status.root_details[0].online) == (0, False)
        away.rename(pair.root)
        daemon.settled(lambda s: s.moved == 1)
        other = House(folder=pair.folder, state_name="other")
        other.configure()
        assert other.cli("scan", pair.root, "--yes").code == 4  # the root is held since it is there


class _Counted:
    """Every file that the worker was asked to read."""

    def __init__(self, library: Library) -> None:
        self.paths: list[str] = []
        ingest = library.vision.ingest

        def counting(requests: list[FileRequest]) -> object:
            self.paths += [r.path for r in requests]
            return ingest(requests)

        library.vision.ingest = counting  # type: ignore[method-assign]


def test_a_rename_costs_nothing(pair: House) -> None:
    where = places(pair.state, pair.config)
    with Library(load(pair.config, where), where) as library:
        library.scan(yes=True)
        seen = _Counted(library)
        (pair.root / "2024/06/IMG_1.jpg").rename(pair.root / "2024/06/renamed.jpg")
        (pair.root / "2024/07").mkdir()
        (pair.root / "2024/06/IMG_2.jpg").rename(pair.root / "2024/07/holiday.jpg")
        outcome = library.scan(yes=True)
        assert seen.paths == []
        assert library.groups()[0].keep == "2024/06/renamed.jpg"
        assert outcome.report["total_images"] == 3
        assert {(m.year, m.month, m.photos) for m in outcome.months} == {(2024, 6, 1), (2024, 7, 1)}
        pair.add("2024/07/new.jpg", 3)
        library.scan(yes=True)
        assert seen.paths == [str(pair.root / "2024/07/new.jpg")]  # the count counts


def test_a_half_written_file_waits_for_its_name(house: House) -> None:
    house.add("2024/06/IMG_1.jpg", 1)
    half = house.add("2024/06/IMG_2.jpg", 2).rename(house.root / "2024/06/IMG_2.jpg.part")
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.photos == 1)
        daemon.look()
        assert daemon.status().photos == 1
        half.rename(half.with_suffix(""))
        daemon.settled(lambda s: s.photos == 2)


def test_what_a_watched_folder_cannot_give_is_told_and_the_rest_goes_on(pair: House) -> None:
    (pair.root / "2024/06/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture follows")
    (pair.root / "2024/06/cut.jpg").write_bytes((pair.root / "2024/06/IMG_2.jpg").read_bytes()[:9000])
    (pair.root / "2024/06/notes.txt").write_text("not a photo")
    with pair.daemon("--yes") as daemon:
        status = daemon.settled(lambda s: s.moved == 1)
        assert status.photos == 2
    report = pair.cli("groups", "--json").json
    skipped = {entry["path"]: entry["reason"] for entry in report["skipped"]}
    assert {"2024/06/broken.jpg", "2024/06/cut.jpg"} <= set(skipped)
    assert all(skipped.values())


@pytest.fixture
def ordinary(pair: House) -> House:
    """The household of a user whom closed doors stop, whoever runs the tests."""
    pair.ordinary = True
    return pair


def test_an_unreadable_folder_is_told_and_nothing_in_it_is_forgotten(ordinary: House) -> None:
    (ordinary.root / "2024/06/IMG_2.jpg").rename(ordinary.root / "IMG_2.jpg")
    assert ordinary.scan("--dry-run")["total_images"] == 3
    (ordinary.root / "2024/06").chmod(0)
    for _ in range(2):
        done = ordinary.cli("scan", ordinary.root, "--yes")
        assert done.code == 1  # what was approved lies behind that door
        assert f"{ordinary.root / '2024/06'} cannot be read" in done.err
    (ordinary.root / "2024/06").chmod(0o755)
    report = ordinary.scan("--yes")
    assert (report["total_images"], len(report["groups"][0]["moved_to"])) == (3, 1)


def test_a_root_that_cannot_be_written_is_reported_on_only(ordinary: House) -> None:
    folders = [ordinary.root, ordinary.root / "2024", ordinary.root / "2024/06"]
    for folder in folders:
        folder.chmod(0o555)
    before = ordinary.tree()
    done = ordinary.cli("scan", ordinary.root, "--yes")
    assert f"{ordinary.root} cannot be written (Permission denied)" in done.err, done
    assert ordinary.tree() == before
    for folder in folders:
        folder.chmod(0o755)


def test_a_state_folder_that_cannot_be_written_is_one_sentence(ordinary: House) -> None:
    ordinary.folder.chmod(0o555)
    done = ordinary.cli("scan", ordinary.root, "--yes")
    ordinary.folder.chmod(0o755)
    assert (done.code, done.err.count("\n")) == (1, 1), done
    assert str(ordinary.state) in done.err


def test_a_month_folder_renamed_takes_its_held_copies_and_their_way_back_along(pair: House) -> None:
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        (pair.root / "2024/06").rename(pair.root / "2024/06 Italy")
        daemon.look()
        daemon.settled(lambda s: s.moved == 1 and s.photos == 2)
        assert pair.cli("undo", "--all", "--yes").out == "Put 1 file(s) back.\n"
    assert (pair.root / "2024/06 Italy/IMG_1 copy.jpg").exists()
    assert pair.cli("verify").code == 0
