"""`dedupd report`: months as pages, with and without a daemon; what it writes, and what it leaves alone."""

from __future__ import annotations

import base64
import io
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image

from tests.end_to_end.house import House

STRANGE = b'2023/01/<img src=x onerror="a">\n\x1b[31m\xff&.jpg'


@pytest.fixture(scope="module")
def scanned() -> Iterator[House]:
    """Three months of which each holds a pair, moved, and one of a single photo; only read from then on."""
    with tempfile.TemporaryDirectory(prefix="house-", ignore_cleanup_errors=True) as folder:
        house = House(folder=Path(folder).resolve())
        house.root.mkdir()
        house.configure()
        for seed, name in enumerate((b"2024/06/IMG_1.jpg", b"2024/07/x.jpg", STRANGE)):
            house.add(name, seed)
            house.add(name[:-4] + b" copy.jpg", seed)
        house.add("2024/06/IMG_2.jpg", 8)
        house.add("2024/08/alone.jpg", 9)
        house.scan("--yes")
        yield house


def pictures(page: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/webp;base64,([^"]+)"', page)
    return [Image.open(io.BytesIO(base64.b64decode(data))) for data in found]


def test_a_month_as_a_page_is_the_same_with_and_without_a_daemon(scanned: House, tmp_path: Path) -> None:
    before, page = scanned.tree(), tmp_path / "june.html"
    ask = ("report", "--html", "--month", "2024-06", "--output", page)
    done = scanned.cli(*ask)
    assert (done.code, done.out) == (0, f"{page}\n")
    alone = page.read_text()
    assert [p.size for p in pictures(alone)] == [(256, 192)] * 2, "keeper and copy, never the third photo"
    for words in ("2024/06/IMG_1.jpg", "moved to 2024/06/duplicates/IMG_1 copy.jpg", "exact"):
        assert words in alone, words
    assert not re.search(r"<script|https?:|url\(|@import", alone)
    with scanned.daemon() as daemon:
        daemon.settled()
        assert scanned.cli(*ask).code == 0, "its own page may be written anew"
        beside = page.read_text()
    written = re.compile(r"written [0-9T:+-]+")
    assert written.sub("", beside) == written.sub("", alone)
    (facts,) = scanned.cli("report", "--month", "2024-06", "--json").json
    assert facts["groups"][0]["moved"][0]["moved_to"] == "2024/06/duplicates/IMG_1 copy.jpg"
    assert "# Duplicates in 2024/06" in scanned.cli("report").out
    assert scanned.tree() == before, "nothing is written under a root that was not named"


def test_without_a_name_each_month_has_its_page_beside_its_summary(scanned: House) -> None:
    pages = scanned.cli("report", "--html").out.splitlines()
    assert [os.path.basename(p) for p in pages] == ["2024-07.html", "2024-06.html", "2023-01.html"]
    assert all(p.startswith(str(scanned.state)) and os.path.exists(p[:-4] + "md") for p in pages)
    strange = Path(pages[2]).read_text("utf-8")
    assert len(pictures(strange)) == 2
    links = re.findall(r'href="file://([^"]+)"', strange)
    assert len(links) == 2
    assert all(os.path.isfile(unquote_to_bytes(link)) for link in links), "whatever the name holds"
    assert "&lt;img src=x onerror=&quot;a&quot;&gt;\\n\\x1b[31m\\udcff&amp;.jpg" in strange
    assert "\x1b" not in strange


def test_what_is_no_report_is_not_replaced(scanned: House, tmp_path: Path) -> None:
    other, link, folder = (tmp_path / name for name in ("other.html", "link.html", "folder.html"))
    other.write_text("my own page")
    link.symlink_to(scanned.root / "2024/06/IMG_2.jpg")
    folder.mkdir()
    before = scanned.photos()
    for target in (other, link, folder, tmp_path / "none/page.html"):
        done = scanned.cli("report", "--html", "--month", "2024-08", "--output", target)
        assert done.code in (1, 2), target
        assert len(done.err.splitlines()) == 1, done.err
    assert other.read_text() == "my own page"
    assert scanned.photos() == before
    assert not list(tmp_path.glob(".*.tmp"))
