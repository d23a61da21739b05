"""Photoshop files: seen by the picture of the whole in them, known apart by their layers, and never taken for a copy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import IFD, Base

from dedupd.adapters.vision.decode import Picture, Refused, decode, opened
from dedupd.adapters.vision.exif import read_facts
from dedupd.adapters.vision.refused import NobodyReads
from tests.support.media import psd
from tests.support.pictures import picture

SIZE = (320, 240)
UNKNOWN = "Photoshop file of a kind that dedupd does not decode"


@pytest.fixture(scope="module")
def scene() -> Image.Image:
    return picture(1, SIZE)


def read(folder: Path, data: bytes, name: str = "a.psd") -> Picture:
    (file := folder / name).write_bytes(data)
    with opened(os.fspath(file)) as stream:
        return decode(stream, os.fspath(file), holds=True)


def test_the_picture_of_the_whole_is_what_is_seen(tmp_path: Path, scene: Image.Image) -> None:
    for image in (scene, scene.convert("L")):
        shown = read(tmp_path, psd(image))
        assert (shown.format, shown.width, shown.height, shown.several) == ("Photoshop", *SIZE, False)
        assert np.array_equal(np.asarray(shown.image), np.asarray(image.convert("RGB")))
        assert shown.holding.lossless and shown.holding.further == ()


def test_colours_to_print_are_not_their_negative(tmp_path: Path, scene: Image.Image) -> None:
    shown = read(tmp_path, psd(scene.convert("CMYK")))
    apart = np.asarray(shown.image, np.float32) - np.asarray(scene, np.float32)
    assert np.abs(apart).mean() < 60  # a negative is 128 away


def test_files_of_one_picture_differ_by_their_layers(tmp_path: Path, scene: Image.Image) -> None:
    flat, one, other, again = (
        read(tmp_path, psd(scene, layers=layers)).holding for layers in (b"", b"text", b"mask", b"text")
    )
    assert (flat.further, flat.further_ids) == ((), ())
    assert one.further == other.further == ("layers",)
    assert one.further_ids == again.further_ids != other.further_ids


def test_a_fourth_channel_is_transparency_only_when_the_layers_say_so(
    tmp_path: Path, scene: Image.Image
) -> None:
    seen_through = scene.copy()
    seen_through.putalpha(Image.linear_gradient("L").resize(SIZE))
    selection = read(tmp_path, psd(seen_through))
    assert not selection.holding.transparent
    assert np.array_equal(np.asarray(selection.image), np.asarray(scene))
    assert read(tmp_path, psd(seen_through, transparent=True)).holding.transparent


def test_what_the_camera_wrote_is_read(tmp_path: Path, scene: Image.Image) -> None:
    exif = Image.Exif()
    exif[Base.Make], exif[Base.Model] = "Maker", "One"
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2024:06:15 12:00:00"
    shown = read(tmp_path, psd(scene, resources=((1058, exif.tobytes()), (1039, b"a profile"))))
    facts = read_facts(shown.exif)
    assert facts.camera == "Maker|One|" and facts.captured is not None
    assert shown.profile == b"a profile"


@pytest.mark.parametrize(
    "how", [{"bits": 16}, {"version": 2}, {"mode": 9}, {"mode": 7}, {"mode": 0}, {"whole": False}]
)
def test_what_would_be_shown_wrong_is_known_by_its_bytes(
    tmp_path: Path, scene: Image.Image, how: dict[str, int]
) -> None:
    """16 bits, PSB, Lab, multichannel, bitmaps; and one saved without its picture, which would show the same blank as others."""
    for name in ("a.psd", "a.psb"):
        with pytest.raises(NobodyReads) as caught:
            read(tmp_path, psd(scene, **how), name)  # type: ignore[arg-type]
        assert caught.value.kind == UNKNOWN


def test_one_that_was_cut_short_is_refused(tmp_path: Path, scene: Image.Image) -> None:
    whole = psd(scene, layers=b"text")
    for length in (5, 25, 60, 120, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Refused):
            read(tmp_path, whole[:length])
