"""A group in a notebook: its pictures within the cell, every name a name."""

from __future__ import annotations

import base64
import re

import pytest

from dedupd.errors import UsageError
from dedupd.web.notebook import GroupPictures
from tests.support.shelf import Shelf

HOSTILE = "2024/06/<img src=x onerror=alert(1)>caf\udce9\u202e.jpg"


def test_a_group_is_shown_with_its_pictures_and_outlives_its_library(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair(HOSTILE, "2024/06/small.jpg")
    shelf.look()
    thumbnail = shelf.at / "thumb.webp"
    thumbnail.write_bytes(b"RIFF....WEBP")

    def thumbnails(files: list[int], side: int = 512) -> dict[str, str]:
        assert side == 256
        return {str(files[0]): str(thumbnail)}

    monkeypatch.setattr(shelf.library, "thumbnails", thumbnails)
    shown = GroupPictures(shelf.library, shelf.group().id)
    thumbnail.unlink()
    page = shown._repr_html_()
    (inline,) = re.findall(r'<img src="data:image/webp;base64,([^"]+)"', page)
    assert base64.b64decode(inline) == b"RIFF....WEBP" and page.count("no picture") == 1
    assert "<img src=x" not in page and "&lt;img src=x" in page and "\u202e" not in page
    assert "small.jpg" in page and "copy" in page and page.encode()
    assert repr(shown).isascii()
    with pytest.raises(UsageError, match="no group 999"):
        GroupPictures(shelf.library, 999)
