"""The daemon's life as its owner sees it: watch, move, stop, die, start again."""

from __future__ import annotations

import json
import time

from tests.end_to_end.house import House


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
    logs = [house.root / "2024/duplicates_summary", *(f for f in (house.state / "logs").iterdir() if f.is_dir())]
    assert len(logs) == 2
    for folder in logs:
        record = json.loads((folder / "2024-06.json").read_text())
        assert record["line"] == "Moved 1 duplicate files from 1 group(s) in 2024/06."
        assert record["line"] in (folder / "2024-06.md").read_text()
        (group,) = record["groups"]
        assert group["keep"] == "2024/06/IMG_1.jpg"
        assert group["moved"][0]["moved_to"] == "2024/06/duplicates/IMG-20240615-WA0003.jpg"
        assert group["moved"][0]["relation"] == "copy"
        assert record["bytes_saved"] == (house.root / "2024/06/duplicates/IMG-20240615-WA0003.jpg").stat().st_size


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
