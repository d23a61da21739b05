"""The daemon's life as its owner sees it: watch, move, stop, die, start again."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from tests.end_to_end.house import GATED, PATIENCE, Daemon, House


def test_a_photo_and_its_copy_dropped_in_are_grouped_moved_and_written_up(house: House) -> None:
    house.add("2024/06/IMG_2.jpg", 2)
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.photos == 1)
        started = time.monotonic()
        house.add("2024/06/IMG_1.jpg", 1, size=(640, 480))
        house.add("2024/06/IMG-20240615-WA0003.jpg", 1, size=(320, 240), quality=75)
        daemon.settled(lambda s: s.moved == 1)
        assert time.monotonic() - started < 30
    assert set(house.photos()) == {
        "2024/06/IMG_1.jpg", "2024/06/IMG_2.jpg", "2024/06/duplicates/IMG-20240615-WA0003.jpg",
    }  # fmt: skip
    logs = [
        house.root / "2024/duplicates_summary",
        *(f for f in (house.state / "logs").iterdir() if f.is_dir()),
    ]
    assert len(logs) == 2
    for folder in logs:
        record = json.loads((folder / "2024-06.json").read_text())
        assert record["line"] == "Moved 1 duplicate files from 1 group(s) in 2024/06."
        assert record["line"] in (folder / "2024-06.md").read_text()
        (group,) = record["groups"]
        assert group["keep"] == "2024/06/IMG_1.jpg"
        assert group["moved"][0]["moved_to"] == "2024/06/duplicates/IMG-20240615-WA0003.jpg"
        assert group["moved"][0]["relation"] == "copy"
        assert (
            record["bytes_saved"]
            == (house.root / "2024/06/duplicates/IMG-20240615-WA0003.jpg").stat().st_size
        )


def test_nothing_moves_before_the_first_yes(pair: House) -> None:
    before = pair.photos()
    with pair.daemon() as daemon:
        status = daemon.settled(lambda s: s.groups_waiting == 1)
        assert (status.waiting_to_move, status.moved) == (1, 0)
        assert any("first yes" in sentence for sentence in status.attention)
        daemon.look()
        assert pair.photos() == before
        assert daemon.approve_all().moved == 1
        pair.add("2024/07/a.jpg", 3)
        pair.add("2024/07/b.jpg", 3)
        daemon.settled(lambda s: s.moved == 2)  # the yes holds from now on
    assert set(pair.photos().values()) == set(before.values()) | {pair.photos()["2024/07/a.jpg"]}


def test_run_yes_is_the_first_yes_and_a_flood_after_it_waits_for_another(pair: House) -> None:
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        for number in range(60):
            pair.add(f"2024/08/flood {number}.jpg", 8)
        status = daemon.settled(lambda s: s.waiting_to_move == 59)
        daemon.look()
        assert daemon.status().moved == 1
        assert any("more than 50 in an hour" in sentence for sentence in status.attention), status.attention
        assert daemon.approve_all().moved == 59
        assert daemon.settled().moved == 60


def test_the_first_yes_of_a_whole_library_is_not_taken_for_a_flood(house: House) -> None:
    for number in range(60):
        house.add(f"2024/08/flood {number}.jpg", 8)
    with house.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 59)


def test_a_copy_that_another_program_writes_moves_soon_after_it_let_go(pair: House) -> None:
    with pair.daemon("--yes") as daemon, (pair.root / "2024/06/IMG_1 copy.jpg").open("r+b") as writer:
        told = daemon.settled(lambda s: any("open for writing" in sentence for sentence in s.attention))
        assert told.moved == 0
        writer.close()
        daemon.settled(lambda s: s.moved == 1)


def test_a_copy_that_is_too_fresh_moves_soon_after_it_has_settled(pair: House) -> None:
    pair.configure(schedule={"settle_seconds": 2.0, "quiet_seconds": 0.0})
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        pair.add("2024/06/IMG_2 copy.jpg", 2)
        daemon.settled(lambda s: s.moved == 2)


def test_sigterm_ends_it_cleanly(pair: House) -> None:
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        worker = children(daemon.process.pid)
        assert daemon.end(10) == 0
        assert not pair.places.socket.exists()
        assert worker and not any(alive(pid) for pid in worker)


def test_sigterm_ends_it_while_it_reads_photos(house: House) -> None:
    for number in range(40):
        house.add(f"2024/06/IMG_{number}.jpg", number, size=(960, 720))
    gate = house.folder / "gate"
    with house.daemon("--yes", first=GATED.format(gate=str(gate))) as daemon:
        daemon.until(lambda s: s.progress is not None and s.progress.phase == "index")
        daemon.process.send_signal(signal.SIGTERM)
        gate.touch()
        assert daemon.process.wait(10) == 0
    with house.daemon() as daemon:
        assert daemon.settled(lambda s: s.photos == 40).skipped == 0


DEAD_MOUNT = (
    "import os, threading, dedupd.daemon.life as m\n"
    "def identity(root): threading.Event().wait()\n"
    "m._identity, m.STOP_SECONDS = identity, 2.0\n"
)


def test_sigterm_ends_it_when_a_root_answers_nobody(pair: House) -> None:
    process = pair.start(first=DEAD_MOUNT)
    try:
        daemon = Daemon(house=pair, process=process)
        daemon.until(lambda s: s.busy)
        assert daemon.end(10) == 0
    finally:
        process.kill()
        process.wait()


def test_sigterm_ends_it_while_it_still_recovers(pair: House) -> None:
    stuck = (
        "import threading, dedupd.daemon.life as m, dedupd.pipeline.movement as p\n"
        "def recover(self): print('recovering', flush=True); threading.Event().wait()\n"
        "p.Movement.recover, m.STOP_SECONDS = recover, 0.5\n"
    )
    process = pair.start(first=stuck)
    try:
        end = time.monotonic() + PATIENCE
        while "recovering" not in pair.log():
            assert process.poll() is None and time.monotonic() < end, pair.log()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_a_folder_that_left_and_whose_name_was_used_anew_silences_nothing(pair: House) -> None:
    year, away = pair.root / "2024", pair.folder / "07"
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        (year / "07").mkdir()
        daemon.look()
        (year / "07").rename(away)
        pair.add("2024/07/IMG_8.jpg", 8)
        daemon.settled(lambda s: s.photos == 3)
        (year / "07").rename(year / "08")
        away.rmdir()
        pair.add("2024/08/IMG_9.jpg", 9)
        daemon.settled(lambda s: s.photos == 4)
        assert daemon.end(10) == 0
        assert "Traceback" not in pair.log()


def test_a_second_daemon_is_refused_on_the_same_state_and_on_the_same_root(pair: House) -> None:
    other = House(folder=pair.folder, state_name="other")
    other.configure()
    with pair.daemon() as daemon:
        for household in (pair, other):
            refused = household.cli("run")
            assert refused.code == 4
            assert len(refused.err.splitlines()) == 1, refused.err
        inner = other.cli("scan", pair.root / "2024")
        assert inner.code == 4
        assert daemon.process.poll() is None
        assert daemon.status().daemon == "running"


def test_killed_and_started_again_it_goes_on(house: House) -> None:
    for number in range(30):
        house.add(f"2024/06/IMG_{number}.jpg", number)
        house.add(f"2024/06/IMG_{number} copy.jpg", number)
    before = sorted(house.photos().values())
    with house.daemon("--yes") as daemon:
        daemon.until(lambda s: s.progress is not None)
        workers = children(daemon.process.pid)
        daemon.process.kill()
        daemon.process.wait()
    gone(workers)
    with house.daemon() as daemon:  # the yes was heard before
        status = daemon.settled(lambda s: s.moved == 30)
        assert status.photos == 30
    assert sorted(house.photos().values()) == before
    assert house.cli("verify").code == 0


def test_at_rest_it_is_small_still_and_alone(pair: House) -> None:
    pair.configure(schedule={"worker_idle_seconds": 0.1})
    with pair.daemon("--yes") as daemon:
        daemon.settled(lambda s: s.moved == 1)
        gone(children(daemon.process.pid))
        assert resident_megabytes(daemon.process.pid) < 100
        mapped = Path(f"/proc/{daemon.process.pid}/maps").read_text()
        for heavy in ("libtorch", "lance", "arrow", "/PIL/", "/cv2/", "/numpy/"):
            assert heavy not in mapped
        assert "sqlite" in mapped  # the search sees libraries
        before = cpu_seconds(daemon.process.pid)
        time.sleep(2)
        assert cpu_seconds(daemon.process.pid) - before < 0.06


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pids: list[int], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < end, f"{pids} live on"
        time.sleep(0.02)


def resident_megabytes(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1000


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
