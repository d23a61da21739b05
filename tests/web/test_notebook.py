"""A group in a notebook: its pictures within the cell, every name a name."""

from __future__ import annotations

import base64
import re
import sys

import pytest

import dedupd
from dedupd import web
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


def test_it_is_a_public_name_that_says_which_extra_it_needs(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.pair("2024/06/a.jpg", "2024/06/small.jpg")
    shelf.look()
    monkeypatch.setattr(shelf.library, "thumbnails", lambda files, side: {})
    (group,) = shelf.library.groups()
    assert dedupd.GroupPictures(shelf.library, group)._repr_html_().count("no picture") == 2
    monkeypatch.setitem(sys.modules, "dedupd.web.notebook", None)
    monkeypatch.delattr(web, "notebook")
    with pytest.raises(ImportError, match=r"dedupd\[web\]"):
        dedupd.GroupPictures  # noqa: B018
