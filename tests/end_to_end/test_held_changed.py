"""Two shots that an older dedupd moved though something small was changed: found by the real eyes, told, brought back on a
word."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from dedupd.bench.gallery import scene
from tests.end_to_end.house import House
from tests.support.pictures import save

WHY = "something small was changed in its place"


def shots(house: House, first: int, second: int, *pieces: int) -> None:
    """Two shots of a board, 0.6 s apart; `pieces`: on which square the last piece stands in each."""
    for number, (last, name) in enumerate(zip(pieces, (first, second), strict=True)):
        photo = scene(first, (1000, 750))
        draw = ImageDraw.Draw(photo)
        for square in range(64):
            row, column = divmod(square, 8)
            x, y = 240 + 60 * column, 120 + 60 * row
            dark = (row + column) % 2
            draw.rectangle((x, y, x + 59, y + 59), fill=((208, 172, 128), (128, 84, 52))[dark])
            if square in {3, 12, 21, 40, last}:
                draw.ellipse((x + 12, y + 12, x + 47, y + 47), fill=(245, 243, 238))
        noise = Image.effect_noise(photo.size, 6).convert("RGB")
        taken = datetime(2024, 6, 1, 12, first) + number * timedelta(seconds=0.6)
        path = house.root / f"2024/06/IMG_{name}.jpg"
        save(path, Image.blend(photo, noise, 0.03 * number), taken=taken, camera=("Maker", "One"))


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a daemon"])
def test_what_an_older_dedupd_moved_though_it_was_changed_is_told_and_brought_back(
    house: House, beside: bool
) -> None:
    shots(house, 4, 5, 50, 43)
    shots(house, 8, 9, 50, 50)
    everything = house.photos()
    house.scan("--yes")
    (asked,) = [group["id"] for group in house.cli("groups", "--json").json["groups"] if group["review"]]
    assert house.cli("approve", asked).code == 0
    moved = house.photos()
    assert sum("duplicates/" in path for path in moved) == 2
    with sqlite3.connect(house.state / "ledger.db") as ledger:  # as a dedupd left it that did not look
        ledger.execute("DELETE FROM verdicts")
        ledger.execute("UPDATE moves SET evidence=json_remove(evidence, '$.measures.extra.island')")
        ledger.execute("DROP TABLE held_changes")
        ledger.execute("DELETE FROM meta WHERE key='looked_for_changes'")
    ledger.close()
    assert house.cli("status", "--json").json["held_changed"] == 0, "a ledger without the table is read"
    if not beside:
        house.scan("--yes")
    with house.daemon() if beside else nullcontext() as daemon:
        if daemon is not None:
            daemon.settled(lambda s: s.held_changed == 1)
        assert house.photos() == moved, "nothing comes back by itself"
        (change,) = house.cli("groups", "--held-changed", "--json").json
        assert Path(change["held"]).name in {"IMG_4.jpg", "IMG_5.jpg"}
        assert change["why"] == WHY
        assert f"would stay today: {WHY}" in house.cli("show", change["group"]).out
        status = house.cli("status", "--json").json
        assert (status["held_changed"], status["held_better"]) == (1, 0)
        assert any("dedupd undo --held-changed" in sentence for sentence in status["attention"])
        listed = house.cli("groups", "--held-changed").out
        assert change["held"] in listed and WHY in listed and "dedupd undo --held-changed" in listed
        done = house.cli("undo", "--held-changed", "--json")
        assert done.code == 0, done.err
        assert done.json["restored"] == 1
    assert (house.root / change["src"]).exists()
    assert sum("duplicates/" in path for path in house.photos()) == 1, "the other one is as it was"
    assert sorted(house.photos().values()) == sorted(everything.values())
    house.scan("--yes")
    assert (house.root / change["src"]).exists(), "and stays"
    assert house.cli("status", "--json").json["held_changed"] == 0
    assert house.cli("verify").code == 0


def test_one_way_at_a_time(pair: House) -> None:
    house = pair
    house.scan("--dry-run")
    assert house.cli("undo", "--held-changed", "--last").code == 2
    assert house.cli("groups", "--held-changed", "--held-better").code == 2
    assert house.cli("groups", "--held-changed").out.startswith("no photo in duplicates/")
    assert house.cli("undo", "--held-changed").out == "Done, no file moved.\n"
    alone = house.cli("undo", "--held-changed", "--yes", "--from", house.root)
    assert alone.code == 2
    assert "receipts do not tell" in alone.err, "not everything, which the receipts alone would mean"
