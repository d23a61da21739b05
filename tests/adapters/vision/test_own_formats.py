"""Camera RAW and JPEG XL: read by extras, whole or not at all; and that a format is one row."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
import pytest
from PIL import AvifImagePlugin, Image

from dedupd.adapters.fs.walk import file_stat
from dedupd.adapters.vision import extras, messages, recognise
from dedupd.adapters.vision.decode import Picture, Refused, decode, opened
from dedupd.adapters.vision.exif import read_facts
from dedupd.adapters.vision.file_reading import read_file
from dedupd.adapters.vision.jpeg_xl import read_header
from dedupd.adapters.vision.metadata import says
from dedupd.adapters.vision.refused import NobodyReads
from dedupd.core import formats
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
    assert [each.partition("/")[0] for each in extras.installed_extras().split()] == ["imagecodecs", "rawpy"]


def test_an_extra_that_comes_or_goes_is_told_in_the_process_that_ran_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as without:
        without.setattr(extras, "find_spec", lambda name: None)
        assert extras.installed_extras() == ""
    assert len(extras.installed_extras().split()) == 2
    with monkeypatch.context() as newer:
        newer.setattr("importlib.metadata.version", lambda name: "99")
        assert extras.installed_extras() == "imagecodecs/99 rawpy/99"


# -- TIFF ----------------------------------------------------------------------------------------


def tiff(pixels: np.ndarray[tuple[int, ...], np.dtype[Any]], **tags: int) -> bytes:
    """A TIFF of one strip, uncompressed: what other programs write and Pillow does not."""
    bits, samples = pixels.dtype.itemsize * 8, tags.pop("samples", 1 if pixels.ndim == 2 else 3)
    height, width = pixels.shape[-2:] if tags.get("planes") else pixels.shape[:2]
    kind = {"f": 3, "u": 1, "i": 2}[pixels.dtype.kind]
    strips = samples if tags.get("planes") else 1
    body, each = pixels.tobytes(), pixels.nbytes // strips
    entries: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [1]),
        (262, 3, [tags.get("photometric", 2 if samples > 2 else 1)]), (273, 4, [8 + each * n for n in range(strips)]),
        (277, 3, [samples]), (278, 4, [height]), (279, 4, [each] * strips),
        (284, 3, [2 if tags.get("planes") else 1]), (339, 3, [kind] * samples),
    ]  # fmt: skip
    at = 8 + len(body)
    behind = at + 2 + 12 * len(entries) + 4
    directory, extra = struct.pack("<H", len(entries)), b""
    for tag, type_, values in entries:
        packed = struct.pack("<" + {3: "H", 4: "I"}[type_] * len(values), *values)
        if len(packed) > 4:
            extra, packed = extra + packed, struct.pack("<I", behind + len(extra))
        directory += struct.pack("<HHI", tag, type_, len(values)) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<I", at) + body + directory + bytes(4) + extra


def of_float(image: Image.Image) -> bytes:
    return tiff((np.asarray(image) / 255).astype(np.float32))


def in_planes(image: Image.Image) -> bytes:
    return tiff(
        np.ascontiguousarray(np.moveaxis(np.asarray(image).astype(np.uint16) * 257, 2, 0)),
        planes=1,
        samples=3,
    )


def of_32_bits(image: Image.Image) -> bytes:
    return tiff(np.asarray(image).astype(np.uint32) * 16843009)


def white_is_0(image: Image.Image) -> bytes:
    return tiff(65535 - np.asarray(image.convert("L")).astype(np.uint16) * 257, photometric=0)


@pytest.mark.parametrize(
    ("made", "depth"), [(of_float, 32), (in_planes, 16), (of_32_bits, 32), (white_is_0, 16)]
)
def test_a_tiff_that_pillow_misreads_is_seen_as_it_is(
    tmp_path: Path, scene: Image.Image, made: Callable[[Image.Image], bytes], depth: int
) -> None:
    shown = read(put(tmp_path / "a.tif", made(scene)))
    wanted = scene.convert("L").convert("RGB") if made is white_is_0 else scene
    assert np.array_equal(np.asarray(shown.image), np.asarray(wanted))
    assert (shown.format, shown.width, shown.holding.depth, shown.holding.lossless) == (
        "deep TIFF",
        640,
        depth,
        True,
    )


def test_levels_beyond_1_of_a_float_tiff_are_its_brightest(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 8, 256, dtype=np.float32), (16, 1))
    ramp[0, 0] = np.nan
    data = tiff(np.dstack([ramp] * 3))
    assert np.asarray(read(put(tmp_path / "a.tif", data)).image)[5, ::51, 0].tolist() == [
        0,
        51,
        102,
        153,
        204,
        255,
    ]


def test_a_deep_tiff_that_was_cut_short_is_refused(tmp_path: Path, scene: Image.Image) -> None:
    whole = of_float(scene)
    with pytest.raises(Refused):
        read(put(tmp_path / "a.tif", whole[: len(whole) // 2]))
    # The directory is whole; the numbers go on behind the end of the file.
    strip = struct.pack("<HHI", 273, 4, 1)
    late = whole.replace(strip + struct.pack("<I", 8), strip + struct.pack("<I", 640 * 480 * 6))
    with pytest.raises(Refused):
        read(put(tmp_path / "b.tif", late))


@pytest.mark.parametrize(
    "head", [b"II*\0", b"II+\0\x08\0", b"MM\0+\0\x08\0\0\xff\xff\xff\xff", b"MM\0*\xff\xff\xff\xff"]
)
def test_a_tiff_without_a_directory_is_no_picture(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(Refused, match="not a picture dedupd reads"):
        read(put(tmp_path / "a.tif", head))


def test_a_tiff_that_pillow_reads_right_is_left_to_it(tmp_path: Path, scene: Image.Image) -> None:
    for name, image in (("a", scene), ("b", scene.convert("L").convert("F"))):
        image.save(tmp_path / f"{name}.tif", compression="tiff_lzw")
        assert read(tmp_path / f"{name}.tif").format == "TIFF"


def test_without_its_extra_a_deep_tiff_is_known_by_its_bytes_and_says_what_would_read_it(
    tmp_path: Path, scene: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognise, "installed", lambda library: "")
    with pytest.raises(NobodyReads) as caught:
        read(put(tmp_path / "a.tif", of_float(scene)))
    assert "pip install 'dedupd[tiff]'" in caught.value.reason
    assert "dedupd[tiff]" in formats.why_undecoded(caught.value.kind)
    put(tmp_path / "a.jpg", of_float(scene))
    seen = {
        name: read_file(
            messages.FileToRead(
                key=1, path=os.fsencode(tmp_path / name), stat=file_stat((tmp_path / name).lstat())
            ),
            lambda content: False, lambda: None, "", lambda: None,
        )
        for name in ("a.tif", "a.jpg")
    }  # fmt: skip
    assert seen["a.tif"].traits is not None and seen["a.tif"].traits.format == caught.value.kind
    assert seen["a.jpg"].traits is None and seen["a.jpg"].unreadable is not None


def test_heif_and_avif_are_decoded_by_one_thread() -> None:
    assert (AvifImagePlugin.DEFAULT_MAX_THREADS, pillow_heif.options.DECODE_THREADS) == (1, 1)
