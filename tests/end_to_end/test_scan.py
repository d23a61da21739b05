"""`dedupd scan`: one pass, its consent, its report, alone and beside a daemon."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import Any

import pytest

from dedupd.protocol.requests import Pause, Resume
from dedupd.protocol.results import Confirmed
from tests.end_to_end.house import House

REPORT = {
    "generated_at", "root", "total_images", "duplicate_groups", "total_duplicates", "bytes_saved", "keep_policy", "model",
    "skipped", "refused", "groups",
}  # fmt: skip
GROUP = {
    "id", "root", "month", "relation", "state", "keep", "duplicates", "review", "moved_to", "evidence",
}  # fmt: skip
EVIDENCE = {
    "relation", "cosine", "hash_distance", "overlap", "residual", "seconds_apart", "confidence", "why",
}  # fmt: skip
STATUS = {
    "daemon", "busy", "roots", "photos", "months_waiting", "groups_waiting", "moved", "bytes_saved", "model", "attention",
}  # fmt: skip


def test_a_dry_run_touches_nothing_under_the_root(pair: House) -> None:
    (pair.root / "2024/06/notes.txt").write_text("no photo")
    before = pair.tree()
    report = pair.scan("--dry-run")
    assert pair.tree() == before
    assert (report["total_duplicates"], report["groups"][0]["moved_to"]) == (1, {})
    assert pair.scan("--dry-run", "--yes") | {"generated_at": ""} == report | {"generated_at": ""}
    assert pair.tree() == before
    assert pair.scan("--yes")["groups"][0]["moved_to"]  # the same photos would have moved


def test_without_a_yes_it_asks_by_its_exit_code_and_a_yes_is_for_this_scan_alone(pair: House) -> None:
    before = pair.photos()
    refused = pair.cli("scan", pair.root)
    assert refused.code == 3
    assert "--yes" in refused.err
    assert pair.photos() == before
    assert "Moved 1 duplicate files from 1 group(s) in 2024/06." in pair.cli("scan", pair.root, "--yes").out
    pair.add("2024/06/IMG_2 copy.jpg", 2)
    assert pair.cli("scan", pair.root).code == 3
    with pair.daemon() as daemon:
        status = daemon.settled(lambda s: s.waiting_to_move == 1)
        assert (status.moved, status.root_details[0].consented) == (1, False)


def test_a_yes_moves_more_than_the_breaker_allows_an_hour(house: House) -> None:
    for number in range(60):
        house.add(f"2024/06/IMG {number}.jpg", 1)
    assert house.scan("--yes")["total_duplicates"] == 59
    assert len(list((house.root / "2024/06/duplicates").glob("*.jpg"))) == 59


def test_the_report_is_what_scripts_were_promised(house: House) -> None:
    house.add("2024/06/a.jpg", 1, size=(640, 480))
    house.add("2024/06/a copy.jpg", 1, size=(640, 480))
    house.add("2024/06/trip/a small.jpg", 1, size=(320, 240), quality=75)
    house.add("2024/2024-07-02/b.jpg", 2)
    house.add("2024/2024-07-02/b copy.jpg", 2)
    house.add("elsewhere/IMG_20240802_101112.jpg", 3)
    house.add("elsewhere/IMG_20240802_101112 (1).jpg", 3)
    (house.root / "2024/06/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    sizes = {path: (house.root / path).stat().st_size for path in house.photos()}
    proposed = house.scan("--dry-run")
    _has_the_contract_shape(proposed)
    assert {g["state"] for g in proposed["groups"]} == {"proposed"}

    report = house.scan("--yes")
    _has_the_contract_shape(report)
    groups = {g["keep"]: g for g in report["groups"]}
    assert groups["2024/06/a.jpg"]["moved_to"] == {
        "2024/06/a copy.jpg": "2024/06/duplicates/a copy.jpg",
        "2024/06/trip/a small.jpg": "2024/06/duplicates/trip/a small.jpg",
    }
    assert groups["2024/2024-07-02/b.jpg"]["moved_to"] == {
        "2024/2024-07-02/b copy.jpg": "2024/2024-07-02/duplicates/b copy.jpg"
    }
    assert groups["elsewhere/IMG_20240802_101112.jpg"]["moved_to"] == {
        "elsewhere/IMG_20240802_101112 (1).jpg": "duplicates/elsewhere/IMG_20240802_101112 (1).jpg"
    }
    assert groups["2024/06/a.jpg"]["month"] == "2024-06"
    assert groups["elsewhere/IMG_20240802_101112.jpg"]["month"] == "2024-08"
    assert [entry["path"] for entry in report["skipped"]] == ["2024/06/broken.jpg"]
    _agrees_with_the_disk(house, report, sizes)
    assert house.scan() | {"generated_at": ""} == report | {"generated_at": ""}


def _has_the_contract_shape(report: dict[str, Any]) -> None:
    assert set(report) == REPORT
    assert datetime.fromisoformat(report["generated_at"]).tzinfo is not None
    for group in report["groups"]:
        assert set(group) == GROUP
        assert set(group["evidence"]) == {*group["duplicates"], *group["review"]}
        assert all(set(proof) == EVIDENCE for proof in group["evidence"].values())
        assert set(group["moved_to"]) <= set(group["duplicates"])


def _agrees_with_the_disk(house: House, report: dict[str, Any], sizes: dict[str, int]) -> None:
    """P15: every number is what a fresh look finds."""
    now = house.photos()
    assert len(now) == len(sizes)
    pictures = set(sizes) - {entry["path"] for entry in report["skipped"]}
    assert report["total_images"] == len(pictures)
    moved = {path: to for g in report["groups"] for path, to in g["moved_to"].items()}
    assert set(moved.values()) == {path for path in now if "duplicates/" in path}
    assert not set(moved) & set(now)
    assert {g["keep"] for g in report["groups"]} <= set(now)
    assert report["duplicate_groups"] == len(report["groups"])
    assert report["total_duplicates"] == len(moved)
    assert report["bytes_saved"] == sum(sizes[path] for path in moved)


def test_a_month_asked_for_is_the_only_one_that_changes(house: House) -> None:
    for month in ("06", "07"):
        house.add(f"2024/{month}/a.jpg", int(month))
        house.add(f"2024/{month}/a copy.jpg", int(month))
    done = house.cli("scan", house.root, "--yes", "--month", "2024-07")
    assert done.code == 0, done.err
    assert (house.root / "2024/06/a copy.jpg").exists()
    assert not (house.root / "2024/07/a copy.jpg").exists()
    assert house.cli("scan", house.root, "--month", "July").code == 2


def test_beside_a_daemon_it_is_the_daemon_that_scans(pair: House) -> None:
    stranger = pair.folder / "Stranger"
    stranger.mkdir()
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.waiting_to_move == 1)
        before = pair.tree()
        assert pair.cli("scan", pair.root, "--dry-run").code == 0
        assert pair.tree() == before
        assert pair.cli("scan", pair.root).code == 3
        for refused in (
            ["scan", pair.root / "2024", "--yes"],
            ["scan", pair.root, stranger, "--yes"],
            ["scan", pair.root, "--yes", "--keep-policy", "oldest"],
            ["scan", pair.root, "--yes", "--threshold", "0.9"],
        ):
            done = pair.cli(*refused)
            assert (done.code, done.err.count("dedupd: ")) == (4, 1), done
        assert daemon.status().moved == 0
        report = pair.folder / "beside.json"
        done = pair.cli("scan", pair.root, "--yes", "--report", report)
        assert done.code == 0, done.err
        assert "Moved 1 duplicate files from 1 group(s) in 2024/06." in done.out
        assert set(json.loads(report.read_text())) == REPORT
        assert daemon.status().moved == 1
        assert not daemon.status().root_details[0].consented  # a scan's yes is for that scan
        assert daemon.process.poll() is None


def test_paused_it_leaves_everything_alone_until_resumed(pair: House) -> None:
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        assert daemon.ask(Pause(), Confirmed).message
        pair.add("2024/06/IMG_2 copy.jpg", 2)
        assert pair.cli("scan-now").code == 1
        assert pair.cli("scan", pair.root, "--yes").code == 4
        assert daemon.status().paused
        assert (daemon.status().photos, daemon.status().moved) == (2, 1)
        daemon.end()
    with pair.daemon("--yes") as daemon:  # it stays paused over a restart
        assert daemon.settled().paused
        assert daemon.status().photos == 2
        daemon.ask(Resume(), Confirmed)
        daemon.settled(lambda s: s.moved == 2)


def test_it_says_what_heavy_work_waits_for_and_until_when_it_is_paused(pair: House) -> None:
    later = datetime.now() + timedelta(hours=6)
    pair.configure(speed={"hours": f"{later:%H:%M}-{later + timedelta(hours=1):%H:%M}"})
    with pair.daemon("--yes") as daemon:
        status = daemon.settled(lambda s: bool(s.waits))
        assert (status.photos, status.moved) == (0, 0)
        assert f"waits      {status.waits}" in pair.cli("status").out
        assert pair.cli("pause", "soon").code == 2
        assert "until" in pair.cli("pause", "2h").out
        daemon.end()
    stopped = pair.cli("status", "--json").json
    assert stopped["paused"] and stopped["paused_until"]
    with pair.daemon("--yes") as daemon:  # for the rest of the two hours
        status = daemon.settled(lambda s: s.paused)
        assert status.paused_until == stopped["paused_until"]
        assert "paused until" in pair.cli("status").out
        daemon.ask(Resume(), Confirmed)
        assert pair.cli("scan-now").code == 0  # what a person asks for does not wait
        daemon.settled(lambda s: s.moved == 1)


def test_questions_are_answered_with_and_without_a_daemon(pair: House) -> None:
    empty = pair.cli("status", "--json")
    assert (empty.code, empty.json["daemon"]) == (5, "stopped")
    pair.scan("--yes")
    questions = (["groups", "--json"], ["months", "--json"], ["show", "1", "--json"])
    alone = [pair.cli(*question) for question in questions]
    assert [done.code for done in alone] == [0, 0, 0]
    stopped = pair.cli("status", "--json")
    assert stopped.code == 5
    assert set(stopped.json) >= STATUS
    with pair.daemon() as daemon:
        daemon.settled(lambda s: s.moved == 1)
        beside = [pair.cli(*question) for question in questions]
        running = pair.cli("status", "--json")
    assert (running.code, running.json["daemon"]) == (0, "running")
    for key in STATUS - {"daemon", "attention"}:
        assert running.json[key] == stopped.json[key], key
    assert [without_times(done.json) for done in beside] == [without_times(done.json) for done in alone]
    assert set(beside[0].json) == REPORT
    (month,) = beside[1].json
    assert (month["month"], month["photos"], month["moved"]) == ("2024-06", 2, 1)
    assert [photo["role"] for photo in beside[2].json["photos"]] == ["keeper", "moved"]
    assert pair.cli("show", "99", "--json").code == 1
    for command in ("pause", "resume", "scan-now"):
        assert pair.cli(command).code == 5


def without_times(answer: Any) -> Any:
    return answer | {"generated_at": ""} if isinstance(answer, dict) else answer


def test_names_of_any_bytes_come_through_report_summary_and_undo(house: House) -> None:
    names = [b"line\nbreak", b"esc\x1b[31mred", b"latin \xe9t\xe9", b"tab\tquote\"'", " -rf ünïcode".encode()]
    for number, name in enumerate(names):
        house.add(b"2024/06/" + name + b".jpg", number)
        house.add(b"2024/06/" + name + b" copy.jpg", number)
    before = house.photos()
    report = house.scan("--yes")
    moved = {path: to for g in report["groups"] for path, to in g["moved_to"].items()}
    assert set(moved) == {os.fsdecode(b"2024/06/" + name + b" copy.jpg") for name in names}
    assert all((house.root / to).exists() for to in moved.values())
    page = (house.root / "2024/duplicates_summary/2024-06.md").read_bytes()
    assert b"\x1b" not in page
    assert b"line\nbreak" not in page
    printed = house.cli("groups")
    assert "\x1b" not in printed.out
    assert "line\nbreak" not in printed.out
    record = json.loads((house.root / "2024/duplicates_summary/2024-06.json").read_text())
    assert {f["path"] for g in record["groups"] for f in g["moved"]} == set(moved)
    latin = next(path for path in moved if "\udce9" in path)
    assert house.cli("undo", house.root / latin).code == 0
    assert (house.root / latin).exists()
    with house.daemon() as daemon:
        daemon.settled(lambda s: s.moved == len(names) - 1)
        assert house.cli("undo", house.root / os.fsdecode(b"2024/06/line\nbreak copy.jpg")).code == 0
        assert house.cli("undo", "--all", "--yes").code == 0
    assert house.photos() == before


@pytest.mark.slow
def test_an_index_that_is_deleted_or_damaged_costs_time_only(pair: House) -> None:
    first = pair.scan("--yes")
    shutil.rmtree(pair.state / "index")
    pair.add("2024/06/IMG_2 small.jpg", 2, size=(320, 240))
    second = pair.scan("--yes")
    assert second["total_duplicates"] == first["total_duplicates"] + 1
    for file in (pair.state / "index").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    pair.add("2024/06/IMG_2 tiny.jpg", 2, size=(280, 210))
    assert pair.scan("--yes")["total_duplicates"] == second["total_duplicates"] + 1


def test_approved_and_refused_is_exit_1_with_the_reason_in_the_report(pair: House) -> None:
    at, report = pair.add("2024/06/duplicates", 3), pair.folder / "report.json"
    at.write_text("my notes")
    before = pair.photos()
    scan = ("scan", pair.root, "--report", report)
    assert pair.cli(*scan, "--dry-run").code == 0
    assert json.loads(report.read_text())["refused"] == []
    for command in ((*scan, "--yes"), ("approve", "--all"), ("approve", "1")):
        done = pair.cli(*command)
        assert done.code == 1, command
        assert "IMG_1 copy.jpg stays: " in done.err
        assert pair.photos() == before
    (refused,) = json.loads(report.read_text())["refused"]
    assert refused["path"] == "2024/06/IMG_1 copy.jpg"
    assert "2024/06/duplicates: Not a directory" in refused["reason"]
    with pair.daemon() as daemon:
        daemon.settled()
        assert pair.cli(*scan, "--yes").code == 1
        assert pair.cli("approve", "--all").code == 1
        at.unlink()
        assert pair.cli("approve", "--all").code == 0
        assert pair.cli(*scan, "--yes").code == 0
    assert json.loads(report.read_text())["refused"] == []


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a daemon"])
def test_what_an_older_dedupd_moved_beside_a_lesser_photo_is_exchanged_on_a_yes(
    house: House, beside: bool
) -> None:
    house.add("2024/06/large.jpg", 1, size=(960, 720))
    house.add("2024/06/small.jpg", 1, size=(320, 240), quality=75)
    house.configure(keep_policy="smallest")
    house.scan("--yes")
    assert (house.root / "2024/06/duplicates/large.jpg").exists(), "a person's own policy gives up resolution"
    assert house.cli("status", "--json").json["held_better"] == 0
    with sqlite3.connect(house.state / "ledger.db") as ledger:  # as a dedupd left it that did not look
        ledger.execute(
            "UPDATE moves SET evidence=json_remove(evidence, '$.measures.holds_a', '$.measures.holds_b')"
        )
        ledger.execute("DELETE FROM held_checks")
        ledger.execute("DELETE FROM meta WHERE key='looked_again'")
        ledger.execute("UPDATE meta SET value='older' WHERE key='rules'")
    ledger.close()
    house.configure(
        keep_policy="best", schedule={"settle_seconds": 2.0}
    )  # longer than it takes to group them anew
    before = house.photos()
    house.scan("--yes")
    assert house.photos() == before, "nothing is exchanged by itself"
    status = house.cli("status", "--json").json
    assert status["held_better"] == 1
    assert any("dedupd approve --held-better" in sentence for sentence in status["attention"])
    (better,) = house.cli("groups", "--held-better", "--json").json
    assert (better["src"], better["keeper"]) == ("2024/06/large.jpg", "2024/06/small.jpg")
    assert better["only_here"] == ["is 3.0 times as large"]
    with house.daemon() if beside else nullcontext() as daemon:
        if daemon is not None:
            daemon.settled(lambda s: s.held_better == 1)
        done = house.cli("approve", "--held-better")
    assert done.code == 0, done.err
    assert (house.root / "2024/06/large.jpg").exists()
    assert (house.root / "2024/06/duplicates/small.jpg").exists()
    assert house.cli("status", "--json").json["held_better"] == 0
    assert house.cli("verify").code == 0
