"""What is measured of one picture: hashes, capture facts, quality, text."""

from __future__ import annotations

import io
import os
from pathlib import Path

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from PIL.ExifTags import GPS, IFD, Base

from dedupd.adapters.vision.candidates.hash_join import hash_distances
from dedupd.adapters.vision.decode import decode, opened
from dedupd.adapters.vision.exif import read_facts
from dedupd.adapters.vision.hashes import dhash, phashes
from dedupd.adapters.vision.traits import jpeg_quality, measure
from dedupd.core.photo import Traits
from dedupd.core.relations import relatable, twins
from tests.support.pictures import picture


def photo(seed: int = 0, size: tuple[int, int] = (640, 480)) -> Image.Image:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC)


def page(lines: int = 30) -> Image.Image:
    image = Image.new("L", (600, 800), 250)
    draw = ImageDraw.Draw(image)
    for line in range(lines):
        draw.text((40, 20 + 25 * line), f"{line}: total 12.50 thank you for your visit, come again", fill=20)
    return image.convert("RGB")


def traits_of(image: Image.Image, path: Path, **options: object) -> Traits:
    image.save(path, **options)
    return measured(path)[0]


def measured(path: Path) -> tuple[Traits, NDArray[np.uint64]]:
    with opened(os.fspath(path)) as file:
        return measure(decode(file, os.fspath(path), short_side=320), "c" * 64, "m")


def exif_of(**tags: object) -> Image.Exif:
    """As read back from a file: details in their own directory."""
    exif = Image.Exif()
    details = exif.get_ifd(IFD.Exif)
    for name, value in tags.items():
        tag = Base[name]
        (exif if name in ("Make", "Model", "Software") else details)[tag] = value
    whole = io.BytesIO()
    Image.new("RGB", (8, 8)).save(whole, "JPEG", exif=exif)
    return Image.open(whole).getexif()


def test_hashes_are_those_of_imagehash() -> None:
    image = photo()
    assert f"{int(phashes(image)[0]):016x}" == str(imagehash.phash(image))
    assert f"{dhash(image):016x}" == str(imagehash.dhash(image))


@pytest.mark.parametrize("turn", list(Image.Transpose))
def test_a_turned_picture_is_close_in_one_orientation(turn: Image.Transpose) -> None:
    image = photo(1)
    turned = phashes(image.transpose(turn))[0]
    assert np.bitwise_count(phashes(image) ^ turned).min() <= 2


def test_capture_time_counts_fractions_of_a_second() -> None:
    facts = read_facts(exif_of(DateTimeOriginal="2024:06:01 12:00:00", SubsecTimeOriginal="07"))
    assert facts.captured == pytest.approx(1717243200.07)


@pytest.mark.parametrize(
    "stamp",
    [
        "0000:00:00 00:00:00",
        "2024:02:30 10:00:00",
        "yesterday",
        "",
        "    :  :     :  :  ",
        "1800:01:01 00:00:00",
    ],
)
def test_a_date_that_makes_no_sense_is_no_date(stamp: str) -> None:
    assert read_facts(exif_of(DateTimeOriginal=stamp)).captured is None


def test_camera_and_software_are_told_apart() -> None:
    facts = read_facts(
        exif_of(Make="Canon\0", Model="EOS R5 ", BodySerialNumber="0123", Software="Snapseed 2")
    )
    assert (facts.camera, facts.software) == ("Canon|EOS R5|0123", "Snapseed 2")
    assert facts.metadata_fields >= 4
    assert read_facts(Image.Exif()).camera == ""


def test_the_exposure_is_told_in_stops() -> None:
    facts = read_facts(exif_of(ExposureTime=1 / 64, ISOSpeedRatings=200, FNumber=2.0))
    assert facts.exposure == pytest.approx(-7.0)
    assert read_facts(exif_of(ExposureTime=1 / 64, ISOSpeedRatings=200)).exposure == pytest.approx(-5.0)


@pytest.mark.parametrize(
    "broken", [{"ExposureTime": 0.0}, {"ISOSpeedRatings": 0}, {"ExposureTime": "soon"}], ids=str
)
def test_an_exposure_that_makes_no_sense_is_none(broken: dict[str, object]) -> None:
    told = {"ExposureTime": 0.01, "ISOSpeedRatings": 100, "FNumber": 4.0} | broken
    assert read_facts(exif_of(**told)).exposure is None


def test_control_characters_of_a_camera_name_do_not_reach_anyone() -> None:
    assert "\x1b" not in read_facts(exif_of(Make="Evil\x1b[2J")).camera


def test_a_position_needs_latitude_and_longitude() -> None:
    exif = Image.Exif()
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (47.0, 0.0, 0.0)
    assert not read_facts(exif).has_gps
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLongitude] = (8.0, 0.0, 0.0)
    assert read_facts(exif).has_gps


@pytest.mark.parametrize("quality", [25, 50, 75, 90, 97])
def test_jpeg_quality_is_read_off_the_tables(tmp_path: Path, quality: int) -> None:
    traits = traits_of(photo(), tmp_path / "a.jpg", quality=quality)
    assert traits.jpeg_quality == pytest.approx(quality, abs=2)


def test_quality_is_a_matter_of_jpegs_alone(tmp_path: Path) -> None:
    assert traits_of(photo(), tmp_path / "a.png").jpeg_quality is None
    assert jpeg_quality({}) is None
    assert jpeg_quality({0: [1, 2]}) is None


@pytest.mark.parametrize(("option", "name"), [(0, "4:4:4"), (1, "4:2:2"), (2, "4:2:0")])
def test_subsampling_is_named(tmp_path: Path, option: int, name: str) -> None:
    assert traits_of(photo(), tmp_path / "a.jpg", subsampling=option).subsampling == name


def test_blur_lowers_sharpness_and_texture(tmp_path: Path) -> None:
    sharp = traits_of(photo(size=(400, 300)), tmp_path / "a.png")
    soft = traits_of(photo(size=(400, 300)).filter(ImageFilter.GaussianBlur(6)), tmp_path / "b.png")
    assert soft.sharpness < sharp.sharpness / 2
    assert soft.texture < sharp.texture / 2


def test_a_flat_frame_has_no_texture(tmp_path: Path) -> None:
    flat = traits_of(Image.new("RGB", (640, 480), (90, 90, 90)), tmp_path / "a.png")
    assert flat.texture < 1
    assert not flat.text_like


def test_text_is_told_from_pictures(tmp_path: Path) -> None:
    assert traits_of(page(), tmp_path / "page.png").text_like
    assert traits_of(page(), tmp_path / "page.jpg", quality=60).text_like
    assert not traits_of(photo(), tmp_path / "photo.jpg").text_like


def test_a_photographed_page_counts_as_text(tmp_path: Path) -> None:
    paper = np.asarray(page(), np.float32)
    light = np.linspace(0.6, 1.0, paper.shape[1])[None, :, None]
    noise = np.random.default_rng(0).normal(0, 4, paper.shape)
    shot = Image.fromarray(np.clip(paper * light + noise, 0, 255).astype(np.uint8))
    assert traits_of(shot, tmp_path / "a.jpg", quality=85).text_like


def test_resolution_hardly_matters_to_hashes(tmp_path: Path) -> None:
    large = traits_of(photo(5, (2400, 1800)), tmp_path / "a.jpg", quality=90)
    small = traits_of(photo(5, (700, 525)), tmp_path / "b.jpg", quality=60)
    assert (large.phash ^ small.phash).bit_count() <= 4
    assert (large.dhash ^ small.dhash).bit_count() <= 6


@pytest.mark.parametrize("turn", [None, *Image.Transpose], ids=str)
def test_one_picture_saved_twice_by_one_pipeline_is_found_across_months(
    tmp_path: Path, turn: Image.Transpose | None
) -> None:
    """Twins by size and compression are aligned only when their hashes hardly differ: these must."""
    first, again = tmp_path / "first.jpg", tmp_path / "again.jpg"
    for seed, quality in enumerate((75, 92)):
        picture(seed).save(first, quality=quality)
        with Image.open(first) as saved:
            (saved.transpose(turn) if turn is not None else saved.copy()).save(again, quality=quality)
        (a, ha), (b, hb) = (measured(path) for path in (first, again))
        assert twins(a, b)
        assert relatable(a, b, int(hash_distances(ha[None], hb[None])[0, 0]), same_month=False)
