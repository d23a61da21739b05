"""`dedupd report`: months as pages, with and without a daemon; what it writes, and what it leaves alone."""

from __future__ import annotations

import base64
import io
import os
import re

from PIL import Image

from tests.end_to_end.house import House


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_month_as_a_page_is_the_same_with_and_without_a_daemon(pair: House) -> None:
    pair.scan("--yes")
    before = pair.tree()
    page = pair.folder / "june.html"
    ask = ("report", "--html", "--month", "2024-06", "--output", page)
    done = pair.cli(*ask)
    assert (done.code, done.out) == (0, f"{page}\n")
    alone = page.read_text()
    assert [p.size for p in pictures(alone)] == [(480, 360)] * 2, "keeper and copy, never the third photo"
    for words in ("2024/06/IMG_1.jpg", "moved to 2024/06/duplicates/IMG_1 copy.jpg", "exact"):
        assert words in alone, words
    assert not re.search(r"<script|https?:|url\(|@import", alone)
    with pair.daemon() as daemon:
        daemon.settled()
        assert pair.cli(*ask).code == 0, "its own page may be written anew"
        beside = page.read_text()
    written = re.compile(r"written [0-9T:+-]+")
    assert written.sub("", beside) == written.sub("", alone)
    (facts,) = pair.cli("report", "--month", "2024-06", "--json").json
    assert facts["groups"][0]["moved"][0]["moved_to"] == "2024/06/duplicates/IMG_1 copy.jpg"
    assert "# Duplicates in 2024/06" in pair.cli("report").out
    assert pair.tree() == before, "nothing is written under a root that was not named"


def test_without_a_name_each_month_has_its_page_beside_its_summary(pair: House) -> None:
    pair.add("2024/07/x.jpg", 5)
    pair.add("2024/07/x copy.jpg", 5)
    pair.add("2024/08/alone.jpg", 6)
    pair.scan("--yes")
    pages = pair.cli("report", "--html").out.splitlines()
    assert [os.path.basename(p) for p in pages] == ["2024-07.html", "2024-06.html"]
    assert all(p.startswith(str(pair.state)) and os.path.exists(p[:-4] + "md") for p in pages)
    both = pair.folder / "both.html"
    assert pair.cli("report", "--html", "--output", both).code == 0
    assert len(pictures(both.read_text())) == 4


def test_what_is_no_report_is_not_replaced(pair: House) -> None:
    pair.scan("--yes")
    other, link, folder = (pair.folder / name for name in ("other.html", "link.html", "folder.html"))
    other.write_text("my own page")
    link.symlink_to(pair.root / "2024/06/IMG_2.jpg")
    folder.mkdir()
    before = pair.photos()
    for target in (other, link, folder, pair.folder / "none/page.html"):
        done = pair.cli("report", "--html", "--output", target)
        assert done.code in (1, 2), target
        assert len(done.err.splitlines()) == 1, done.err
    assert other.read_text() == "my own page"
    assert pair.photos() == before
    assert not list(pair.folder.glob(".*.tmp"))


def test_names_of_any_bytes_are_shown_and_harmless(house: House) -> None:
    name = b'2024/06/<img src=x onerror="a">\n\x1b[31m\xff&.jpg'
    house.add(name, 1)
    house.add(name[:-4] + b" copy.jpg", 1)
    house.scan("--yes")
    page = house.folder / "page.html"
    assert house.cli("report", "--html", "--output", page).code == 0
    text = page.read_text("utf-8")
    assert len(pictures(text)) == 2
    assert "&lt;img src=x onerror=&quot;a&quot;&gt;\\n\\x1b[31m\\udcff&amp;.jpg" in text
    assert "\x1b" not in text
