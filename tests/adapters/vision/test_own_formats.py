"""Camera RAW and JPEG XL: read by extras, whole or not at all; and that a format is one row."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from dedupd.adapters.vision import recognise
from dedupd.adapters.vision.decode import Picture, Refused, decode, opened
from dedupd.adapters.vision.exif import read_facts
from dedupd.adapters.vision.jpeg_xl import read_header
from dedupd.adapters.vision.metadata import says
from dedupd.adapters.vision.refused import NobodyReads
from tests.support.media import dng
from tests.support.pictures import picture

NOON = datetime(2024, 6, 15, 12, 0, 0, tzinfo=UTC)
SIZE = (640, 480)


def read(path: Path, **sides: int) -> Picture:
    with opened(os.fspath(path)) as file:
        return decode(file, os.fspath(path), holds=True, **sides)


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def difference(image: Image.Image, other: Image.Image) -> float:
    one, two = (np.asarray(each.resize((32, 24)), np.float32) for each in (image, other))
    return float(np.abs(one - two).mean())


def jxl(image: Image.Image, **how: object) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(np.asarray(image), **how))


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return picture(1, SIZE)


@pytest.fixture(scope="module")
def raw(scene: Image.Image) -> bytes:
    return dng(scene, taken=NOON)


def test_a_raw_is_developed_at_half_its_size(tmp_path: Path, scene: Image.Image, raw: bytes) -> None:
    shown = read(put(tmp_path / "a.dng", raw), short_side=200)
    assert (shown.format, shown.width, shown.height, shown.image.size) == ("RAW", 640, 480, (320, 240))
    assert difference(shown.image, scene) < 25
    assert (shown.holding.depth, shown.holding.lossless, shown.several) == (12, True, False)


def test_a_preview_that_is_large_enough_is_shown_and_a_smaller_one_is_not(
    tmp_path: Path, scene: Image.Image
) -> None:
    other = picture(2, SIZE)
    file = put(tmp_path / "a.dng", dng(scene, preview=other))
    assert difference(read(file, short_side=320).image, other) < 3
    small = put(tmp_path / "b.dng", dng(scene, preview=other.resize((160, 120))))
    assert difference(read(small, short_side=200).image, scene) < 25
    barred = put(tmp_path / "c.dng", dng(scene, preview=other.crop((0, 0, 640, 400))))
    assert difference(read(barred, short_side=200).image, scene) < 25


@pytest.mark.parametrize(
    ("orientation", "turn"), [(3, Image.Transpose.ROTATE_180), (6, Image.Transpose.ROTATE_270)]
)
def test_a_raw_comes_upright(
    tmp_path: Path, scene: Image.Image, orientation: int, turn: Image.Transpose
) -> None:  # fmt: skip
    for name, preview in (("a.dng", None), ("b.dng", scene)):
        file = put(tmp_path / name, dng(scene, preview=preview, orientation=orientation))
        shown, upright = read(file, short_side=200), scene.transpose(turn)
        assert (shown.width, shown.height) == upright.size
        assert difference(shown.image, upright) < 25


def test_when_and_with_what_a_raw_was_taken(tmp_path: Path, raw: bytes) -> None:
    for name in ("a.dng", "a.tif"):
        file = put(tmp_path / name, raw)
        facts = read_facts(read(file, short_side=200).exif)
        assert (facts.captured, facts.camera) == (NOON.timestamp(), "Maker|Model 1|")
        with file.open("rb") as stream:
            assert says(stream) == ("date",)


def test_a_raw_that_was_cut_short_is_none_even_with_its_preview_whole(
    tmp_path: Path, scene: Image.Image
) -> None:
    for data in (dng(scene), dng(scene, preview=scene)):
        for left in (len(data) - 1, len(data) - 5000, len(data) // 2):
            with pytest.raises(Refused, match="damaged or cut short"):
                read(put(tmp_path / "a.dng", data[:left]), short_side=200)


@pytest.mark.parametrize(
    "how", [{"lossless": True}, {"distance": 1.0}, {"lossless": True, "usecontainer": True}]
)
def test_a_jpeg_xl_is_read_and_none_that_was_cut_short(
    tmp_path: Path, scene: Image.Image, how: dict[str, object]
) -> None:
    data = jxl(scene, **how)
    shown = read(put(tmp_path / "a.jxl", data), short_side=200)
    assert (shown.format, shown.width, shown.height, shown.image.size) == ("JPEG XL", 640, 480, (320, 240))
    assert difference(shown.image, scene) < 3
    assert shown.holding.lossless is ("lossless" in how)
    for left in (len(data) - 1, len(data) * 3 // 4, len(data) // 2):
        with pytest.raises(Refused, match="damaged or cut short"):
            read(put(tmp_path / "a.jxl", data[:left]))


def test_depth_and_transparency_of_a_jpeg_xl(tmp_path: Path, scene: Image.Image) -> None:
    levels = np.asarray(scene, np.uint16) * 4
    deep = read(
        put(tmp_path / "a.jxl", bytes(imagecodecs.jpegxl_encode(levels, lossless=True, bitspersample=10)))
    )
    assert deep.holding.depth == 10
    assert difference(deep.image, scene) < 2
    clear = scene.copy()
    clear.putalpha(100)
    assert read(put(tmp_path / "b.jxl", jxl(clear, lossless=True))).holding.transparent
    moving = np.stack([np.asarray(scene), np.asarray(scene)])
    film = read(put(tmp_path / "c.jxl", bytes(imagecodecs.jpegxl_encode(moving, lossless=True))))
    assert film.several and film.holding.further == ("further frames",)


def test_a_jpeg_xl_tells_what_its_exif_box_tells(tmp_path: Path, scene: Image.Image) -> None:
    exif = Image.Exif()
    exif[271], exif[274] = "Maker", 6
    box = bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")
    data = jxl(scene, lossless=True, usecontainer=True) + (8 + len(box)).to_bytes(4, "big") + b"Exif" + box
    shown = read(put(tmp_path / "a.jxl", data))
    assert (shown.exif.get(271), shown.width) == ("Maker", 640)


def test_noise_for_a_header_raises_no_other_error() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        try:
            read_header(b"\xff\x0a" + rng.bytes(30))
        except SyntaxError:
            continue


@pytest.mark.parametrize(("name", "extra"), [("a.dng", "raw"), ("a.tif", "raw"), ("a.jxl", "jxl")])
def test_without_its_extra_a_photo_is_not_decoded_and_says_which_extra_reads_it(
    tmp_path: Path, scene: Image.Image, raw: bytes, monkeypatch: pytest.MonkeyPatch, name: str, extra: str
) -> None:
    monkeypatch.setattr(recognise, "installed", lambda library: "")
    file = put(tmp_path / name, jxl(scene) if extra == "jxl" else raw)
    with pytest.raises(NobodyReads, match=rf"pip install 'dedupd\[{extra}\]'"):
        read(file)


def test_a_raw_of_a_kind_that_nobody_decodes_says_so(tmp_path: Path) -> None:
    data = b"II*\0\x08\0\0\0" + bytes(400)
    with pytest.raises(NobodyReads) as caught:
        read(put(tmp_path / "a.nef", data))
    assert caught.value.kind == "raw photo of a kind that rawpy does not decode"


_A_NEW_ROW = """
import io, sys
from dedupd.core import formats
formats.FORMATS += (formats.Format(name="TGA", suffixes=("tga",), rank=1, lossless=True),)
from PIL import Image
from dedupd.adapters.vision.decode import decode
from dedupd.core.keeper import rank_of
from dedupd.core.units import is_photo
held = io.BytesIO()
Image.new("RGB", (40, 30), "red").save(held, "TGA")
shown = decode(held, "a.tga", holds=True)
print(shown.format, shown.width, shown.holding.lossless, is_photo("a.tga"), rank_of("TGA"))
"""


def test_a_new_format_is_one_row_and_nothing_else() -> None:
    ran = subprocess.run([sys.executable, "-c", _A_NEW_ROW], capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ["TGA", "40", "True", "True", "1"], ran.stderr


def test_the_libraries_of_extras_are_named_with_their_versions() -> None:
    assert [each.partition("/")[0] for each in recognise.reads().split()] == ["imagecodecs", "rawpy"]
