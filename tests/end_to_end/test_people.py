"""People win: undo, verdicts, and what their own hands do to the files."""

from __future__ import annotations

import json
import os

import pytest

from tests.end_to_end.house import Daemon, House

JUNE = ("2024/06/a.jpg", "2024/06/a copy.jpg", "2024/06/a again.jpg")
JULY = ("2024/07/trip/b.jpg", "2024/07/trip/b copy.jpg")


@pytest.fixture
def settled(house: House) -> dict[str, str]:
    """Two months with copies, as they were before dedupd came."""
    for path in JUNE:
        house.add(path, 1)
    for path in JULY:
        house.add(path, 2)
    return house.photos()


def test_undo_beside_a_daemon_by_path_month_batch_and_all_binds_for_ever(
    house: House, settled: dict[str, str]
) -> None:
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 3)
        house.add("2024/06/c.jpg", 3)
        house.add("2024/06/c copy.jpg", 3)
        daemon.settled(lambda s: s.moved == 4)
        assert house.cli("undo", "--last").out == "Put 1 file(s) back.\n"
        assert (house.root / "2024/06/c copy.jpg").exists()
        assert house.cli("undo", house.root / "2024/06/a again.jpg").code == 0
        assert (house.root / "2024/06/a again.jpg").exists()
        assert house.cli("undo", house.root / "2024/06/duplicates/a copy.jpg").code == 0
        done = house.cli("undo", "--month", "2024-07", "--json")
        assert done.json["restored"] == 1
        everything = settled | {k: v for k, v in house.photos().items() if "/c" in k}
        assert house.photos() == everything
        assert daemon.settled().moved == 0
        daemon.look()
        assert house.photos() == everything  # restored files are not moved again
        assert house.cli("undo", "--all").code == 3  # everything at once: nobody here to ask
        assert house.cli("undo", house.root / "2024/06/never moved.jpg").code == 2
    house.scan("--yes")
    assert house.photos() == everything


def test_undo_without_a_daemon_all_and_by_a_relative_path(house: House, settled: dict[str, str]) -> None:
    house.scan("--yes")
    done = house.cli("undo", "2024/06/a again.jpg", "--json").json
    assert done["restored"] == 1
    assert done["lessons"]
    link = house.folder / "link"
    link.symlink_to(house.root / "2024")
    assert house.cli("undo", link / "06/a copy.jpg").out == "Put 1 file(s) back.\n"
    assert house.cli("undo", "--all", "--yes").out == "Put 1 file(s) back.\n"
    assert house.photos() == settled
    report = house.scan("--yes")
    assert (house.photos(), report["total_duplicates"]) == (settled, 0)
    summary = json.loads((house.root / "2024/duplicates_summary/2024-06.json").read_text())
    assert summary["line"] == "Moved 0 duplicate files from 0 group(s) in 2024/06."


def test_undo_of_a_folder_that_is_no_longer_watched(house: House, settled: dict[str, str]) -> None:
    house.scan("--yes")
    other = house.folder / "Other"
    other.mkdir()
    house.configure(roots=[str(other)])
    done = house.cli("undo", "--all", "--yes")
    assert (done.code, done.out) == (0, "Put 3 file(s) back.\n")
    assert house.photos() == settled


def test_undo_from_the_receipts_alone(house: House, settled: dict[str, str]) -> None:
    house.scan("--yes")
    house.state.rename(house.folder / "lost")
    assert house.cli("undo", "--from", house.root, "--yes").out == "Put 3 file(s) back.\n"
    assert house.photos() == settled


def test_a_held_file_moved_back_or_deleted_by_hand(house: House, settled: dict[str, str]) -> None:
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 3)
        (house.root / "2024/06/duplicates/a copy.jpg").rename(house.root / "2024/06/mine.jpg")
        daemon.settled(lambda s: s.moved == 2 and s.photos == 3)
        daemon.look()
        assert (house.root / "2024/06/mine.jpg").exists()
        (house.root / "2024/06/duplicates/a again.jpg").unlink()
        daemon.look()
        assert daemon.settled().moved == 1
    report = house.scan("--yes")
    assert (house.root / "2024/06/mine.jpg").exists()
    assert report["total_images"] == 4
    assert house.cli("verify").code == 0


@pytest.mark.parametrize("how", ["deleted", "overwritten", "in place"])
def test_when_the_keeper_is_lost_the_best_held_copy_comes_back(house: House, how: str) -> None:
    house.add("2024/06/a.jpg", 1, size=(640, 480))
    house.add("2024/06/a small.jpg", 1, size=(320, 240))
    house.add("2024/06/a middle.jpg", 1, size=(560, 420))
    best = house.photos()["2024/06/a middle.jpg"]
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 2)
        keeper = house.root / "2024/06/a.jpg"
        if how == "deleted":
            keeper.unlink()
        elif how == "in place":  # size and mtime stay
            before = keeper.stat()
            with keeper.open("r+b") as file:
                file.write(bytes(before.st_size))
            os.utime(keeper, ns=(before.st_atime_ns, before.st_mtime_ns))
        else:
            house.add("2024/06/a.jpg", 7)
        daemon.until(lambda s: any("came back" in sentence for sentence in s.attention))
        status = daemon.settled()
        assert any("came back" in sentence for sentence in status.attention), status.attention
        assert house.photos()["2024/06/a middle.jpg"] == best
        assert set(house.photos()) - {"2024/06/a.jpg"} <= {
            "2024/06/a middle.jpg", "2024/06/a small.jpg", "2024/06/duplicates/a small.jpg",
        }  # fmt: skip


def test_a_keeper_lost_while_nobody_watched_is_made_good_at_the_next_start(house: House) -> None:
    house.add("2024/06/a.jpg", 1)
    house.add("2024/06/a copy.jpg", 1)
    house.scan("--yes")
    (house.root / "2024/06/a.jpg").unlink()
    with house.daemon() as daemon:
        daemon.settled(lambda s: s.moved == 0)
        assert (house.root / "2024/06/a copy.jpg").exists()


def test_a_better_original_that_comes_later_is_for_a_person_to_judge(house: House) -> None:
    house.add("2024/06/a small.jpg", 1, size=(320, 240), quality=70)
    house.add("2024/06/a tiny.jpg", 1, size=(240, 180), quality=70)
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        before = house.photos()
        house.add("2024/06/IMG_0001.jpg", 1, size=(960, 720), quality=95)
        daemon.settled(lambda s: s.photos == 2 and s.groups_waiting == 1)
        assert {k: v for k, v in house.photos().items() if "IMG" not in k} == before
        review = [path for group in daemon.groups() for path in group.review]
        assert review == ["2024/06/IMG_0001.jpg"]


def test_not_duplicates_binds_across_renames(house: House, settled: dict[str, str]) -> None:
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 3)
        june = next(g for g in daemon.groups() if g.month == "2024-06")
        assert house.cli("reject", june.id).code == 0
        status = daemon.settled(lambda s: s.moved == 1)
        assert set(house.photos()) >= set(JUNE)
        (house.root / "2024/06/a again.jpg").rename(house.root / "2024/07/renamed.jpg")
        (house.root / "2024/06").rename(house.root / "2024/08")
        daemon.settled(lambda s: s.photos == status.photos and _months(daemon) == {"2024-07", "2024-08"})
        daemon.look()
        assert daemon.settled().moved == 1
        assert daemon.status().groups_waiting == 0
    assert house.scan("--yes")["total_duplicates"] == 1


def _months(daemon: Daemon) -> set[str]:
    from dedupd.protocol.requests import GetMonths
    from dedupd.protocol.results import MonthsPage

    return {month.month for month in daemon.ask(GetMonths(), MonthsPage).months if month.photos}


def test_approve_and_reject_without_a_daemon(house: House, settled: dict[str, str]) -> None:
    assert house.cli("scan", house.root).code == 3
    june, july = sorted(house.cli("groups", "--json").json["groups"], key=lambda g: g["month"])
    assert house.cli("reject", july["id"]).code == 0
    assert house.cli("approve", june["id"]).out == "Moved 2 file(s).\n"
    assert set(JULY) <= set(house.photos())
    assert house.cli("approve", 999).code == 1
    assert house.cli("approve").code == 2
    assert house.cli("approve", 1, "--all").code == 2
    assert house.scan("--yes")["total_duplicates"] == 2


def test_a_damaged_ledger_moves_nothing_and_says_the_way_back(house: House, settled: dict[str, str]) -> None:
    house.scan("--yes")
    ledger = house.state / "ledger.db"
    for beside in house.state.glob("ledger.db-*"):
        beside.unlink()
    raw = bytearray(ledger.read_bytes())
    raw[2048:] = os.urandom(len(raw) - 2048)
    ledger.write_bytes(raw)
    house.add("2024/06/a third.jpg", 1)
    before = house.photos()
    for command in (
        ("scan", "--yes", house.root),
        ("run", house.root),
        ("undo", "--all", "--yes"),
        ("verify",),
    ):
        done = house.cli(*command)
        assert done.code == 1
        assert "dedupd undo --from" in done.err and "Traceback" not in done.err
    assert house.photos() == before
    assert house.cli("undo", "--from", house.root, "--yes").out == "Put 3 file(s) back.\n"
    (house.root / "2024/06/a third.jpg").unlink()
    assert house.photos() == settled
    ledger.rename(house.folder / "damaged.db")
    assert house.cli("scan", "--dry-run", house.root).code == 0, "a new ledger starts afresh"


def lost(house: House) -> None:
    house.state.rename(house.folder / "lost")


def test_the_last_resort_keeps_to_what_was_asked(house: House, settled: dict[str, str]) -> None:
    house.add("2024/08/x.jpg", 9)
    house.add("2024/08/x copy.jpg", 9)
    everything = house.photos()
    house.scan("--yes")
    lost(house)
    done = house.cli("undo", "--from", house.root, "--month", "2024-08", "--yes")
    assert (done.code, done.out) == (0, "Put 1 file(s) back.\n")
    named = house.root / "2024/06/a copy.jpg"
    for path in (named, named.relative_to(house.root)):
        done = house.cli("undo", "--from", house.root, "--yes", path)
        assert done.code == (0 if path is named else 2)  # the second time nothing is told of it any more
    assert (house.root / "2024/06/a copy.jpg").exists()
    assert house.cli("undo", "--from", house.root, "--last", "--month", "2024-06", "--yes").code == 2
    assert house.cli("undo", "--from", house.root, "--last", "--yes", "--json").json["restored"] == 2
    assert house.photos() == everything


def test_the_last_resort_waits_for_whoever_looks_after_the_root(
    house: House, settled: dict[str, str]
) -> None:
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 3)
        moved = house.photos()
        done = house.cli("undo", "--from", house.root, "--yes")
        assert (done.code, done.out) == (4, "")
        assert "another dedupd already looks after" in done.err
        assert house.photos() == moved


@pytest.mark.parametrize("marker", ["none", "another", "nonsense"])
def test_the_last_resort_asks_the_marker_and_goes_by_the_bytes(
    house: House, settled: dict[str, str], marker: str
) -> None:
    house.scan("--yes")
    lost(house)
    at = house.root / ".dedupd-root.json"
    at.unlink()
    if marker != "none":
        at.write_text('{"uuid": "holiday"}' if marker == "another" else "[" * 9000)
    link = house.folder / "link"
    link.symlink_to(house.root)
    assert house.cli("undo", "--from", link).code == 3, "nobody can be asked"
    done = house.cli("undo", "--from", link, "--yes")
    assert (done.code, done.out) == (0, "Put 3 file(s) back.\n")
    assert "3 file(s) were moved in another folder, or under another marker" in done.err
    assert house.photos() == settled
