"""Large pictures: strip by strip the same pixels as at once, and never more memory than there is room for."""

from __future__ import annotations

import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, WebPImagePlugin

from dedupd.adapters.vision import small
from dedupd.adapters.vision.decode import Picture, Refused, decode, opened
from dedupd.adapters.vision.recognise import open_picture
from dedupd.adapters.vision.room import ROOM, Room, need_of, need_of_coefficients
from tests.support.pictures import picture

SIZE = (323, 241)
"""No multiple of any factor."""


def seen(path: Path, **sides: int) -> Picture:
    with opened(os.fspath(path)) as file:
        return decode(file, os.fspath(path), **sides)


def in_mode(mode: str) -> Image.Image:
    photo = picture(3, SIZE)
    if mode in ("I;16", "I", "F"):
        grey = np.asarray(photo.convert("L"))
        levels = {"I;16": grey.astype(np.uint16) * 257, "I": grey.astype(np.int32) * 5000 - 9}
        return Image.fromarray(levels.get(mode, grey.astype(np.float32) / 255))
    if mode == "RGBA":
        photo.putalpha(photo.convert("L"))
    return photo if mode in ("RGB", "RGBA") else photo.convert(mode)


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGB", "a.png"), ("RGBA", "a.png"), ("P", "a.gif"), ("L", "a.tif"), ("1", "a.png"), ("I;16", "a.png"),
        ("I", "a.tif"), ("F", "a.tif"), ("CMYK", "a.tif"), ("RGB", "a.webp"), ("RGBA", "a.webp"), ("RGB", "a.jpg"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sides", [{"short_side": 60}, {}])
def test_a_large_picture_has_the_same_pixels_strip_by_strip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, name: str, sides: dict[str, int]
) -> None:
    in_mode(mode).save(tmp_path / name)
    at_once = seen(tmp_path / name, **sides)
    monkeypatch.setattr(small, "LARGE_PIXELS", 0)
    monkeypatch.setattr(small, "_STRIP_PIXELS", 323 * 50)
    in_strips = seen(tmp_path / name, **sides)
    assert np.array_equal(np.asarray(in_strips.image), np.asarray(at_once.image))
    assert in_strips.holding.transparent == at_once.holding.transparent == (mode == "RGBA")


def test_a_large_webp_is_not_read_as_a_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(1, SIZE).save(tmp_path / "a.webp")
    (tmp_path / "broken.webp").write_bytes((tmp_path / "a.webp").read_bytes()[:-900])
    monkeypatch.setattr(small, "LARGE_PIXELS", 0)
    monkeypatch.setattr(
        WebPImagePlugin.WebPImageFile, "load", lambda self: pytest.fail("three pictures at once")
    )
    assert seen(tmp_path / "a.webp").width == SIZE[0]
    with pytest.raises(Refused):
        seen(tmp_path / "broken.webp")


def megabytes(path: Path, pixels: float) -> float:
    """What a picture made like this one would take at so many Mpixel."""
    with opened(os.fspath(path)) as file, open_picture(file, os.fspath(path)) as image:
        return (need_of(image) + need_of_coefficients(image)) / (image.width * image.height) * pixels


@pytest.mark.parametrize(
    ("name", "how", "pixels", "fits"),
    [
        ("a.heic", {}, 201, True),  # the largest sensor of a telephone
        ("a.heic", {}, 250, False),
        ("a.png", {}, 250, True),
        ("a.webp", {}, 131, True),
        ("a.webp", {"save_all": True}, 131, False),
        ("a.jp2", {}, 100, False),
        ("a.jp2", {"tile_size": (64, 64)}, 200, True),
        ("a.avif", {}, 131, False),
        ("a.jpg", {"progressive": True}, 131, True),
        ("a.jpg", {"progressive": True}, 201, False),
        ("a.tif", {}, 250, False),
        ("a.tif", {"tiffinfo": {278: 8}}, 250, True),
    ],
)
def test_what_is_decoded_fits_in_the_room(
    tmp_path: Path, name: str, how: dict[str, object], pixels: float, fits: bool
) -> None:
    frames = [picture(2, SIZE)] if "save_all" in how else []
    picture(1, SIZE).save(tmp_path / name, append_images=frames, **how)
    assert (megabytes(tmp_path / name, pixels) * 1e6 <= ROOM) is fits


def test_what_never_fits_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(1, SIZE).save(tmp_path / "a.png")
    monkeypatch.setattr(small, "_room", Room(4 * SIZE[0] * SIZE[1] - 1))
    with pytest.raises(Refused, match="too large: it does not fit"):
        seen(tmp_path / "a.png")


def test_a_progressive_jpeg_takes_its_room_however_small_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(1, SIZE).save(tmp_path / "a.jpg")
    picture(1, SIZE).save(tmp_path / "progressive.jpg", progressive=True)
    monkeypatch.setattr(small, "_room", Room(4 * SIZE[0] * SIZE[1]))
    seen(tmp_path / "a.jpg", short_side=60)
    with pytest.raises(Refused, match="too large"):
        seen(tmp_path / "progressive.jpg", short_side=60)


def test_what_does_not_fit_now_waits_and_goes_before_what_came_later() -> None:
    room, order = Room(10), list[str]()

    def take(name: str, need: int) -> None:
        with room.taken(need):
            order.append(name)

    with room.taken(6):
        waiting = [threading.Thread(target=take, args=args) for args in (("large", 8), ("small", 1))]
        waiting[0].start()
        while not room._turn.locked():
            pass
        waiting[1].start()
        assert order == []
    for thread in waiting:
        thread.join(5)
    assert order == ["large", "small"]


def test_a_header_that_lies_about_its_tiles_is_believed_for_no_more_than_the_picture(tmp_path: Path) -> None:
    picture(1, SIZE).save(tmp_path / "a.jp2")
    data = bytearray((tmp_path / "a.jp2").read_bytes())
    at = data.find(b"\xff\x4f\xff\x51") + 24
    data[at : at + 8] = struct.pack(">II", 1 << 31, 1 << 31)
    (tmp_path / "a.jp2").write_bytes(data)
    assert megabytes(tmp_path / "a.jp2", 1) == pytest.approx(4 + 4.7 * 3)
