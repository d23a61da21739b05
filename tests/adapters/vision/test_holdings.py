"""What files hold, measured from real files: colours, depth, true size, frames, further pictures, films."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from dedupd.adapters.vision.align import CloseLook, measure
from dedupd.adapters.vision.container import holding
from dedupd.adapters.vision.decode import Refused, decode, opened
from dedupd.adapters.vision.refused import NobodyReads
from dedupd.core.bars import COLOUR_SPOT
from dedupd.core.formats import is_named_for, why_undecoded
from dedupd.core.media import perhaps
from dedupd.core.photo import Holding, Relation
from tests.support.compare import compare
from tests.support.media import heic_sequence
from tests.support.pictures import picture, wide_profile

SCENES = (5, 42)
pillow_heif.register_heif_opener(thumbnails=False)


def held_by(path: Path) -> Holding:
    with opened(str(path)) as file:
        return decode(file, str(path), holds=True).holding


def saved(at: Path, image: Image.Image, **how: Any) -> Path:
    if at.suffix == ".heic":
        how.setdefault("enc_params", {"preset": "ultrafast"})
    if at.suffix == ".png":
        how.setdefault("compress_level", 1)
    at.parent.mkdir(parents=True, exist_ok=True)
    image.save(at, **how)
    return at


@cache
def _scene(number: int) -> Image.Image:
    grain = np.random.default_rng(number).normal(0, 6, (720, 960, 1))
    return Image.fromarray(
        np.clip(np.asarray(picture(number, (960, 720)), np.float32) + grain, 0, 255).astype(np.uint8)
    )


def scene(number: int = 5) -> Image.Image:
    """960x720, with detail down to the pixel."""
    return _scene(number).copy()


def small(number: int = 5) -> Image.Image:
    """240x180: where only the container is asked about."""
    return _scene(number).resize((240, 180))


# -- colour


def test_of_a_file_no_more_is_asked_for_than_it_has(tmp_path: Path) -> None:
    """Python makes room for as much as it is asked for, half a gigabyte of it."""
    path = saved(tmp_path / "a.jpg", small())
    asked: list[int] = []

    class Told(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    with Image.open(path) as image:
        holding(Told(path.read_bytes()), image)
    assert 0 < max(asked) <= path.stat().st_size


def other_hues(image: Image.Image) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point(lambda x: (x + 90) % 256), saturation, value)).convert("RGB")


def one_channel_gone(image: Image.Image) -> Image.Image:
    red, _, blue = image.split()
    return Image.merge("RGB", (red, Image.new("L", image.size, 0), blue))


def sepia(image: Image.Image) -> Image.Image:
    return ImageOps.colorize(image.convert("L"), "#241204", "#fff2d8")


@pytest.mark.parametrize("number", SCENES)
@pytest.mark.parametrize("lesser", [lambda image: image.convert("L"), sepia], ids=["grey", "sepia"])
def test_a_picture_without_its_colours_never_keeps(
    tmp_path: Path, number: int, lesser: Callable[[Image.Image], Image.Image]
) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(number), quality=90)
    found = compare(photo, saved(tmp_path / "lesser.jpg", lesser(scene(number)), quality=96))
    assert found.first_holds_all, (found.holding, found.other)


@pytest.mark.parametrize("number", SCENES)
@pytest.mark.parametrize("changed", [other_hues, one_channel_gone])
def test_of_other_colours_a_person_decides(
    tmp_path: Path, number: int, changed: Callable[[Image.Image], Image.Image]
) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(number), quality=90)
    found = compare(photo, saved(tmp_path / "other.jpg", changed(scene(number)), quality=96))
    assert "colour" in found.lost()


def warmer(image: Image.Image) -> Image.Image:
    red, green, blue = image.split()
    return Image.merge(
        "RGB", (red.point(lambda x: min(255, int(x * 1.15))), green, blue.point(lambda x: int(x * 0.85)))
    )


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "warm": warmer,
    "saturated": lambda image: ImageEnhance.Color(image).enhance(1.3),
    "pale": lambda image: ImageEnhance.Color(image).enhance(0.7),
    "bright": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "contrast": lambda image: ImageEnhance.Contrast(image).enhance(1.25),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("number", SCENES)
def test_light_edits_lose_no_colour(tmp_path: Path, number: int, edit: str) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(number), quality=90)
    found = compare(photo, saved(tmp_path / "edit.jpg", EDITS[edit](scene(number)), quality=88))
    assert "colour" not in found.lost() | found.lost_of_second(), (
        found.holding,
        found.other,
        found.edge.evidence,
    )


@pytest.mark.parametrize("number", SCENES)
@pytest.mark.parametrize("side", [130, 260])
def test_a_thing_that_lost_its_colour_is_seen_however_small(tmp_path: Path, number: int, side: int) -> None:
    bright = scene(number)
    ImageDraw.Draw(bright).ellipse((300, 200, 300 + side, 200 + side), fill=(200, 30, 40))
    place = (300, 200, 300 + side, 200 + side)
    faded = bright.copy()
    faded.paste(bright.crop(place).convert("L").convert("RGB"), place)
    photo = saved(tmp_path / "photo.jpg", bright, quality=90)
    found = compare(photo, saved(tmp_path / "faded.jpg", faded, quality=95))
    assert "colour" in found.lost()


def eyes(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """A face with eyes of 11 px."""
    draw = ImageDraw.Draw(image)
    draw.ellipse((380, 240, 560, 400), fill=(150, 120, 100))
    for left in (430, 490):
        draw.ellipse((left, 300, left + 11, 311), fill=colour)
    return image


@pytest.mark.parametrize("number", SCENES)
@pytest.mark.parametrize(("side", "quality"), [(960, 90), (720, 75)])
def test_whether_red_eyes_were_mended_or_made_a_person_decides(
    tmp_path: Path, number: int, side: int, quality: int
) -> None:
    mended = eyes(scene(number), (34, 28, 30)).resize((side, side * 3 // 4), Image.Resampling.LANCZOS)
    found = compare(
        saved(tmp_path / "red.jpg", eyes(scene(number), (190, 45, 50)), quality=90),
        saved(tmp_path / "mended.jpg", mended, quality=quality),
    )
    assert "colour" in found.lost() & found.lost_of_second()


@pytest.mark.parametrize(("number", "width", "height"), [(5, 14, 18), (42, 20, 26)])
def test_another_hue_of_the_one_coloured_thing_in_a_grey_picture_is_seen(
    tmp_path: Path, number: int, width: int, height: int
) -> None:
    """No colour of the rest says how the two go together, and the thing itself must not say it."""

    def jersey(colour: tuple[int, int, int]) -> Image.Image:
        grey = scene(number).convert("L").convert("RGB")
        ImageDraw.Draw(grey).ellipse((430, 300, 430 + width, 300 + height), fill=colour)
        return grey

    found = compare(
        saved(tmp_path / "red.jpg", jersey((215, 40, 45)), quality=92),
        saved(tmp_path / "blue.jpg", jersey((40, 85, 225)), quality=88),
    )
    assert "colour" in found.lost() & found.lost_of_second()


@pytest.mark.parametrize("around", [(150, 120, 100), (253, 253, 253)], ids=["on grey", "on white"])
def test_another_hue_is_seen_where_one_channel_is_as_high_as_it_can_be(
    tmp_path: Path, around: tuple[int, int, int]
) -> None:
    """A lamp, a balloon before a white sky."""

    def balloon(colour: tuple[int, int, int]) -> Image.Image:
        photo = scene(42)
        draw = ImageDraw.Draw(photo)
        draw.ellipse((400, 260, 500, 360), fill=around)
        draw.ellipse((437, 297, 461, 321), fill=colour)
        return photo

    found = compare(
        saved(tmp_path / "red.jpg", balloon((255, 140, 150)), quality=92),
        saved(tmp_path / "blue.jpg", balloon((140, 190, 255)), quality=88),
    )
    assert "colour" in found.lost() & found.lost_of_second()


@pytest.mark.parametrize(("side", "quality"), [(1000, 82), (667, 75)])
def test_a_smaller_copy_of_a_meadow_has_no_other_colours(tmp_path: Path, side: int, quality: int) -> None:
    """The colour of a flower of some pixels is spread over the green around it."""
    random = np.random.default_rng(3)
    grass = cv2.GaussianBlur(random.normal(0, 1, (1500, 2000)), (0, 0), 1.3)[..., None]
    meadow = np.clip(np.array([70, 110, 50]) + np.array([60, 80, 40]) * grass, 0, 255).astype(np.uint8)
    for _ in range(700):
        x, y, colour, radius = (int(n) for n in random.integers(0, (2000, 1500, 3, 7)))
        cv2.circle(
            meadow,
            (x, y),
            2 + radius,
            [(220, 30, 40), (250, 220, 40), (150, 60, 200)][colour],
            -1,
            cv2.LINE_AA,
        )
    photo = Image.fromarray(meadow)
    found = compare(
        saved(tmp_path / "photo.jpg", photo, quality=93, subsampling=0),
        saved(tmp_path / "smaller.jpg", photo.resize((side, side * 3 // 4)), quality=quality),
    )
    measures = found.edge.evidence.measures
    assert measures and measures.extra and 0 < measures.extra["colour_spot"] < COLOUR_SPOT


@pytest.mark.parametrize(("side", "seen"), [(480, False), (960, True)])
def test_small_pictures_are_compared_in_blocks_alone(side: int, seen: bool) -> None:
    """A few pixels are much of them, and compression moves their colours."""
    red, dark = (
        np.asarray(eyes(scene(), colour).resize((side, side * 3 // 4)))
        for colour in ((190, 45, 50), (34, 28, 30))
    )
    found = CloseLook(red, dark, measure(red, dark)).fine(measure(red, dark))
    assert found.extra and (found.extra["colour_spot"] > 0) == seen


def test_where_a_lighter_copy_is_white_it_has_no_other_colours(tmp_path: Path) -> None:
    """A lamp that was nearly white before: the copy lacks its colour, and has none of its own."""
    photo = eyes(scene(42), (235, 215, 110))
    lighter = photo.point(lambda x: min(255, int(x * 1.4)))
    found = compare(
        saved(tmp_path / "photo.jpg", photo, quality=90), saved(tmp_path / "lighter.jpg", lighter, quality=92)
    )
    assert "colour" not in found.lost_of_second()


@pytest.mark.parametrize("number", SCENES)
def test_one_coloured_thing_in_a_grey_picture_is_a_colour(tmp_path: Path, number: int) -> None:
    grey = scene(number).convert("L").convert("RGB")
    chosen = grey.copy()
    ImageDraw.Draw(chosen).ellipse((300, 200, 430, 330), fill=(200, 30, 40))
    mono = chosen.convert("L")
    found = compare(
        saved(tmp_path / "chosen.jpg", chosen, quality=90), saved(tmp_path / "mono.jpg", mono, quality=96)
    )
    assert found.first_holds_all, (found.lost(), found.lost_of_second())


# -- profiles and spaces


def shown_in(profile: bytes, image: Image.Image) -> Image.Image:
    """The sRGB picture of numbers that stand for the colours of `profile`."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    found = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)), srgb)
    assert found is not None
    return found


def pale(image: Image.Image) -> Image.Image:
    return ImageEnhance.Color(ImageEnhance.Contrast(image).enhance(0.6)).enhance(0.5)


@pytest.mark.parametrize("kind", ["jpg", "png", "heic"])
def test_a_wide_picture_whose_colours_srgb_holds_is_equal_to_its_srgb_copy(tmp_path: Path, kind: str) -> None:
    wide = saved(tmp_path / f"wide.{kind}", pale(scene()), quality=90, icc_profile=wide_profile())
    copy = saved(tmp_path / "srgb.jpg", shown_in(wide_profile(), pale(scene())), quality=84)
    found = compare(wide, copy)
    assert found.edge.unattended, found.edge.why
    assert found.edge.evidence.measures is not None
    assert found.edge.evidence.measures.mean < 0.6, "compared in one space"
    assert "colour" not in found.lost() | found.lost_of_second()
    assert found.holding.colour == pytest.approx(found.other.colour, rel=0.05)


def test_a_wide_picture_with_colours_beyond_srgb_never_moves_for_its_srgb_copy(tmp_path: Path) -> None:
    vivid = ImageEnhance.Color(scene()).enhance(1.8)
    wide = saved(tmp_path / "wide.jpg", vivid, quality=85, icc_profile=wide_profile())
    found = compare(wide, saved(tmp_path / "srgb.jpg", shown_in(wide_profile(), vivid), quality=97))
    assert found.edge.unattended, found.edge.why
    assert "has colours beyond sRGB" in found.clauses()
    assert "colour" not in found.lost_of_second()


@pytest.mark.parametrize(
    "profile", [b"", b"no profile", wide_profile()[:200], wide_profile()[:128] + bytes(216)]
)
def test_a_broken_profile_is_none(tmp_path: Path, profile: bytes) -> None:
    odd = saved(tmp_path / "odd.jpg", scene(), quality=90, icc_profile=profile)
    found = compare(odd, saved(tmp_path / "photo.jpg", scene(), quality=85))
    assert found.holding.beyond_srgb == 0
    assert found.lost() == found.lost_of_second() == set()


def in_lab(image: Image.Image) -> Image.Image:
    srgb = ImageCms.createProfile("sRGB")
    found = ImageCms.profileToProfile(image, srgb, ImageCms.createProfile("LAB"), outputMode="LAB")
    assert found is not None
    return found


@pytest.mark.parametrize("space", [in_lab, lambda image: image.convert("CMYK")], ids=["Lab", "CMYK"])
def test_a_master_in_another_space_has_its_colours_and_never_moves_for_a_jpeg(
    tmp_path: Path, space: Callable[[Image.Image], Image.Image]
) -> None:
    master = saved(tmp_path / "master.tif", space(scene()))
    web = saved(tmp_path / "web.jpg", scene().resize((480, 360)), quality=60)
    assert compare(master, web).first_holds_all
    found = compare(master, saved(tmp_path / "same.jpg", scene(), quality=97))
    assert found.edge.unattended, found.edge.why
    assert "loss" in found.lost()
    assert "colour" not in found.lost() | found.lost_of_second()
    assert found.holding.colour == pytest.approx(found.other.colour, rel=0.1)


# -- tones


def levels(low: int, high: int) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.point(lambda x: max(0, min(255, round((x - low) * 255 / (high - low)))))


def shaded(number: int = 5) -> Image.Image:
    """960x720: smooth from dark to light across, as a sky or a wall, with things in it."""
    ramp = np.linspace(4, 251, 960, dtype=np.float32)[None, :, None]
    things = np.asarray(scene(number), np.float32) - 128
    there = np.zeros((720, 960, 1), np.float32)
    there[200:520, 160:800] = 0.8
    return Image.fromarray(np.clip(ramp + things * there, 0, 255).astype(np.uint8))


CUT: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
    "four bits": (lambda image: ImageOps.posterize(image, 4), "has finer steps of tone"),
    "crushed": (levels(50, 255), "has detail in the shadows"),
    "blown": (levels(0, 200), "has detail in the highlights"),
}


@pytest.mark.parametrize("cut", CUT)
def test_the_photo_never_moves_for_a_copy_with_fewer_tones(tmp_path: Path, cut: str) -> None:
    fewer, clause = CUT[cut]
    photo = saved(tmp_path / "photo.jpg", shaded(), quality=88)
    larger = fewer(shaded()).resize((1200, 900), Image.Resampling.BICUBIC)
    for copy in (fewer(shaded()), larger):
        found = compare(photo, saved(tmp_path / "copy.jpg", copy, quality=97))
        assert found.edge.unattended, found.edge.why
        assert clause in found.clauses()
        assert "tones" not in found.lost_of_second()


@pytest.mark.parametrize("edit", [*EDITS, "smaller", "coarse"])
def test_light_edits_lose_no_tones_to_the_photo(tmp_path: Path, edit: str) -> None:
    change = {
        **EDITS,
        "smaller": lambda image: image.resize((500, 375), Image.Resampling.LANCZOS),
        "coarse": lambda image: image,
    }[edit]
    flat = ImageEnhance.Contrast(shaded(11)).enhance(0.6)
    photo = saved(tmp_path / "photo.jpg", flat, quality=90)
    copy = saved(tmp_path / "copy.jpg", change(flat), quality=45 if edit == "coarse" else 90)
    found = compare(photo, copy)
    assert "tones" not in found.lost() | found.lost_of_second(), found.edge.evidence.measures


# -- true size


@pytest.mark.parametrize(
    "how", [Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BILINEAR]
)
@pytest.mark.parametrize("times", [1.5, 2.0, 3.0, 4.5])
def test_an_enlarged_copy_never_keeps(tmp_path: Path, how: Image.Resampling, times: float) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(), quality=90)
    large = Image.open(photo).resize((round(960 * times), round(720 * times)), how)
    found = compare(photo, saved(tmp_path / "large.jpg", large, quality=92))
    assert found.holding.enlarged == 0.0
    assert "resolution" in found.lost(), found.other
    assert not found.lost_of_second() - {"resolution"}


@pytest.mark.parametrize("number", SCENES)
@pytest.mark.parametrize("sharpened", [False, True])
def test_grain_on_an_enlarged_copy_is_no_detail(tmp_path: Path, number: int, sharpened: bool) -> None:
    photo = saved(
        tmp_path / "photo.jpg", scene(number).resize((640, 480), Image.Resampling.LANCZOS), quality=90
    )
    large = Image.open(photo).resize((1280, 960), Image.Resampling.BICUBIC)
    large = large.filter(ImageFilter.UnsharpMask(1.2, 100, 2)) if sharpened else large
    grain = np.random.default_rng(number).normal(0, 5, (960, 1280, 1))
    grainy = Image.fromarray(np.clip(np.asarray(large, np.float32) + grain, 0, 255).astype(np.uint8))
    found = compare(photo, saved(tmp_path / "grainy.jpg", grainy, quality=92))
    assert "resolution" in found.lost(), found.other


@pytest.mark.parametrize("times", [0.3, 0.5, 0.65])
@pytest.mark.parametrize("number", SCENES)
def test_a_real_photo_is_never_taken_for_an_enlargement(tmp_path: Path, number: int, times: float) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(number), quality=88)
    small = Image.open(photo).resize((round(960 * times), round(720 * times)), Image.Resampling.LANCZOS)
    found = compare(photo, saved(tmp_path / "small.jpg", small, quality=75))
    assert found.first_holds_all, (found.holding, found.lost(), found.lost_of_second())


def test_a_copy_made_small_and_large_again_holds_less_at_the_same_size(tmp_path: Path) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(), quality=90)
    again = scene().resize((320, 240), Image.Resampling.LANCZOS).resize((960, 720), Image.Resampling.BICUBIC)
    found = compare(photo, saved(tmp_path / "again.jpg", again, quality=95))
    assert found.first_holds_all, (found.holding, found.other)


@pytest.mark.parametrize("edit", [lambda i: ImageEnhance.Sharpness(i).enhance(2.0), lambda i: i.filter(ImageFilter.UnsharpMask(2, 120, 2))])  # fmt: skip
def test_a_sharpened_copy_holds_no_more(tmp_path: Path, edit: Callable[[Image.Image], Image.Image]) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(), quality=92)
    found = compare(photo, saved(tmp_path / "sharp.jpg", edit(scene()), quality=92))
    assert found.lost_of_second() == set()


# -- frames


def blurred_fill(image: Image.Image) -> Image.Image:
    ground = ImageOps.fit(image, (1280, 1280)).filter(ImageFilter.GaussianBlur(30))
    inner = image.resize((1280, 960))
    ground.paste(inner, (0, 160))
    return ground


FRAMES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "white": lambda image: ImageOps.expand(image, 40, "white"),
    "black bar": lambda image: ImageOps.expand(image, (0, 0, 0, 90), "black"),
    "letterbox": lambda image: ImageOps.expand(image, (0, 120), "black"),
    "square": lambda image: ImageOps.pad(image, (1000, 1000), color="white"),
}


@pytest.mark.parametrize("frame", FRAMES)
def test_a_frame_is_no_picture(tmp_path: Path, frame: str) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(), quality=85)
    found = compare(photo, saved(tmp_path / "framed.jpg", FRAMES[frame](scene()), quality=85))
    assert "area" not in found.lost_of_second()
    assert found.lost_of_second() - {"resolution"} == set()
    assert found.other.framed > found.holding.framed


@pytest.mark.parametrize("number", SCENES)
def test_a_blurred_fill_is_no_picture(tmp_path: Path, number: int) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(number), quality=85)
    found = compare(photo, saved(tmp_path / "filled.jpg", blurred_fill(scene(number)), quality=85))
    assert "area" not in found.lost_of_second()


# -- the container


def box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + kind + body


def film(seconds: float = 2.4) -> bytes:
    header = bytes(12) + struct.pack(">II", 1000, round(seconds * 1000)) + bytes(80)
    return (
        box(b"ftyp", b"mp42\0\0\0\0isommp42")
        + box(b"mdat", bytes(range(256)) * 20)
        + box(b"moov", box(b"mvhd", header))
    )


@pytest.mark.parametrize(
    "trailer", [b"", b"MotionPhoto_Data" + bytes(40) + b"SEFT"], ids=["google", "samsung"]
)
def test_a_film_behind_the_picture_is_found_by_its_bytes(tmp_path: Path, trailer: bytes) -> None:
    photo = saved(tmp_path / "photo.jpg", scene(), quality=95)
    moving = tmp_path / "moving.jpg"
    moving.write_bytes(saved(tmp_path / "still.jpg", scene(), quality=90).read_bytes() + film() + trailer)
    found = compare(moving, photo)
    assert found.holding.clip_seconds == 2.4
    assert found.first_holds_all
    assert found.lost() == {"clip"}


@pytest.mark.parametrize("brand", [b"avc3", b"dash", b"MSNV", b"hvc1", b"qt  "])
def test_a_film_of_any_brand_is_a_film(tmp_path: Path, brand: bytes) -> None:
    moving = tmp_path / "moving.jpg"
    moving.write_bytes(saved(moving, small(), quality=90).read_bytes() + film().replace(b"mp42", brand, 1))
    assert held_by(moving).clip_seconds == 2.4


def test_a_broken_index_hides_neither_the_film_nor_itself(tmp_path: Path) -> None:
    moving = tmp_path / "moving.jpg"
    data = saved(moving, small(), quality=90).read_bytes()
    broken = b"\xff\xe2\0\x0eMPF\0XX\0*\0\0\0\x08"
    moving.write_bytes(data[:2] + broken + data[2:] + film())
    found = held_by(moving)
    assert found.clip_seconds == 2.4
    assert found.further == ("a part that cannot be read",)


def test_what_nobody_knows_behind_a_picture_is_told(tmp_path: Path) -> None:
    photo = saved(tmp_path / "photo.jpg", small(), quality=90)
    for name, behind, told in (
        ("sound.jpg", b"RIFF" + bytes(range(256)) * 80, ("20 kB of something",)),
        ("padded.jpg", bytes(20_000), ()),
        ("few.jpg", b"camera's own words" * 20, ()),
    ):
        file = tmp_path / name
        file.write_bytes(photo.read_bytes() + behind)
        assert held_by(file).further == told, name


def test_two_stereo_pictures_with_other_halves_are_two(tmp_path: Path) -> None:
    paths = []
    for n in (1, 2):
        half = scene().transform(scene().size, Image.Transform.AFFINE, (1, 0, 6 * n, 0, 1, 0))
        paths.append(
            saved(
                tmp_path / f"{n}.MPO", scene(), format="MPO", save_all=True, append_images=[half], quality=90
            )
        )
    found = compare(*paths)
    assert "further" in found.lost() & found.lost_of_second()


def test_a_hostile_index_names_no_more_than_some_dozens(tmp_path: Path) -> None:
    image = saved(tmp_path / "x.jpg", small().resize((96, 72)), quality=80).read_bytes()
    entries = b"".join(struct.pack("<IIIHH", 0x020003, len(image), 1 + n, 0, 0) for n in range(4000))
    tags = struct.pack("<H", 1) + struct.pack("<HHII", 0xB002, 7, len(entries), 26) + struct.pack("<I", 0)
    body = b"MPF\0II*\0\x08\0\0\0" + tags + entries
    file = tmp_path / "hostile.jpg"
    file.write_bytes(image[:2] + b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body + image[2:])
    assert len(held_by(file).further_ids) <= 64


def test_a_promise_of_a_film_is_none(tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="9000"/></x:xmpmeta>'
    promised = saved(tmp_path / "promised.jpg", scene(), quality=95, xmp=xmp)
    found = compare(promised, saved(tmp_path / "photo.jpg", scene(), quality=90))
    assert found.holding.clip == ""


def test_a_stereo_half_is_a_further_picture_and_a_preview_is_none(tmp_path: Path) -> None:
    half = scene().transform(scene().size, Image.Transform.AFFINE, (1, 0, 6, 0, 1, 0))
    flat = saved(tmp_path / "left.jpg", scene(), quality=95)
    stereo = saved(
        tmp_path / "DSCF0001.MPO", scene(), format="MPO", save_all=True, append_images=[half], quality=90
    )
    found = compare(stereo, flat)
    assert found.holding.further
    assert found.first_holds_all
    previewed = tmp_path / "previewed.jpg"
    data = bytearray(stereo.read_bytes())
    at = data.find(b"MPF\0")
    # The second entry's attribute becomes 'large thumbnail (VGA)'.
    entries = data.find(struct.pack("<H", 0xB002), at)
    offset = at + 4 + struct.unpack_from("<I", data, entries + 8)[0]
    struct.pack_into("<I", data, offset + 16, 0x010001)
    previewed.write_bytes(data)
    assert compare(previewed, flat).holding.further == ()


def test_a_gain_map_is_named(tmp_path: Path) -> None:
    base, gain = io.BytesIO(), io.BytesIO()
    scene().save(
        base, "MPO", save_all=True, append_images=[scene().convert("L").resize((240, 180))], quality=90
    )
    data = base.getvalue()
    second = data.rfind(b"\xff\xd8\xff")
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"/>'
    segment = b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp
    gain.write(data[: second + 2] + segment + data[second + 2 :])
    hdr = tmp_path / "hdr.jpg"
    hdr.write_bytes(gain.getvalue())
    found = compare(hdr, saved(tmp_path / "flat.jpg", scene(), quality=95))
    assert found.holding.further == ("gain map",)
    assert found.first_holds_all


@pytest.mark.parametrize(("kind", "options"), [("tif", {"compression": "tiff_lzw"}), ("png", {}), ("webp", {"lossless": True})])  # fmt: skip
def test_a_lossless_master_is_never_moved_for_a_small_jpeg(
    tmp_path: Path, kind: str, options: dict[str, Any]
) -> None:
    master = saved(tmp_path / f"master.{kind}", scene(), **options)
    found = compare(master, saved(tmp_path / "web.jpg", scene().resize((480, 360)), quality=60))
    assert found.holding.lossless
    assert found.first_holds_all


@pytest.mark.parametrize("number", SCENES)
def test_a_png_made_of_a_jpeg_is_no_better_than_it(tmp_path: Path, number: int) -> None:
    lossy = Image.open(saved(tmp_path / "was.jpg", scene(number), quality=70)).crop((3, 5, 950, 710))
    png = saved(tmp_path / "was.png", lossy)
    found = compare(png, saved(tmp_path / "photo.jpg", scene(number).crop((3, 5, 950, 710)), quality=90))
    assert found.holding.was_jpeg
    assert "loss" not in found.lost() | found.lost_of_second()
    assert not compare(saved(tmp_path / "master.png", scene(number)), tmp_path / "photo.jpg").holding.was_jpeg


def test_a_lossy_webp_is_not_lossless(tmp_path: Path) -> None:
    found = compare(
        saved(tmp_path / "a.webp", scene(), quality=80), saved(tmp_path / "b.jpg", scene(), quality=88)
    )
    assert not found.holding.lossless
    assert found.lost() == found.lost_of_second() == set()


def test_sixteen_bits_do_not_give_way_to_eight(tmp_path: Path) -> None:
    deep = np.asarray(scene().convert("L"), np.uint16) * 257 + 31
    found = compare(
        saved(tmp_path / "deep.png", Image.fromarray(deep)),
        saved(tmp_path / "flat.jpg", scene().convert("L"), quality=97),
    )
    assert found.holding.depth == 16
    assert "depth" in found.lost()


def test_a_palette_is_less_than_a_photograph(tmp_path: Path) -> None:
    found = compare(
        saved(tmp_path / "photo.jpg", scene(), quality=88),
        saved(tmp_path / "photo.png", scene().quantize(64)),
    )
    assert found.other.palette == 64
    assert found.first_holds_all


def test_transparency_is_held_only_where_something_shows_through(tmp_path: Path) -> None:
    clear, solid = scene().convert("RGBA"), scene().convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 200, 100))
    flat = saved(tmp_path / "flat.jpg", scene(), quality=95)
    assert compare(saved(tmp_path / "clear.png", clear), flat).holding.transparent
    assert not compare(saved(tmp_path / "solid.png", solid), flat).holding.transparent


def test_a_heic_tells_its_depth_and_its_auxiliary_pictures(tmp_path: Path) -> None:
    plain = saved(tmp_path / "plain.heic", small(), quality=80)
    assert replace(held_by(plain), bits=0.0) == Holding()
    two = pillow_heif.from_pillow(small())
    two.add_from_pillow(small(11))
    two.save(tmp_path / "two.heic", quality=80)
    assert held_by(tmp_path / "two.heic").further == ("2 pictures",)
    saved(tmp_path / "clear.heic", small().convert("RGBA"), quality=80)
    assert held_by(tmp_path / "clear.heic").further == (), "transparency is no further picture"


@pytest.mark.parametrize(
    ("urn", "kind"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", "gain map"),
        (b"urn:mpeg:hevc:2015:auxid:2", "depth map"),
        (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", "portrait matte"),
        (b"urn:someone:else:1", "auxiliary picture"),
    ],
)
def test_an_auxiliary_picture_of_a_heic_is_named(tmp_path: Path, urn: bytes, kind: str) -> None:
    photo = saved(tmp_path / "photo.heic", small(), quality=80)
    more = box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", box(b"auxC", bytes(4) + urn + b"\0"))))
    with Image.open(photo) as image:
        assert holding(io.BytesIO(photo.read_bytes() + more), image).further == (kind,)


def test_a_film_in_a_heic_is_found(tmp_path: Path) -> None:
    for name, behind in (("google.heic", box(b"mpvd", film())), ("samsung.heic", film())):
        file = tmp_path / name
        file.write_bytes(saved(file, small(), quality=80).read_bytes() + behind)
        assert held_by(file).clip_seconds == 2.4, name
        assert held_by(file).further == (), "an appended film is no sequence of frames"


def test_a_heic_sequence_is_no_copy_of_one_with_the_same_first_frame(tmp_path: Path) -> None:
    first, *others = (small(n) for n in (5, 11, 42))
    paths = [tmp_path / f"{n}.heic" for n in range(2)]
    for path, other in zip(paths, others, strict=True):
        path.write_bytes(heic_sequence(first, other))
    found = compare(*paths)
    assert found.holding.further == found.other.further == ("sequence of frames",)
    assert found.edge.relation is Relation.SIMILAR, "the first frame proves nothing about the rest"
    still = saved(tmp_path / "still.jpg", first, quality=95)
    assert compare(paths[0], still).edge.relation is Relation.SIMILAR


def test_a_heic_sequence_without_a_still_picture_is_known_by_its_bytes(tmp_path: Path) -> None:
    alone = tmp_path / "alone.heics"
    alone.write_bytes(heic_sequence(small(), small(11), still=False))
    with pytest.raises(NobodyReads, match="HEIC file of a kind that dedupd does not decode") as told:
        held_by(alone)
    assert is_named_for(told.value.kind, "heics")
    assert "compared by its bytes alone" in why_undecoded(told.value.kind)
    assert not perhaps("a.heic"), "a picture, that is to be decoded"
    broken = (
        heic_sequence(small(), small(11)).replace(b"ftypheic", b"ftypmsf1", 1).replace(b"pitm", b"free", 1)
    )
    for data in (alone.read_bytes()[:300], broken):
        alone.write_bytes(data)
        with pytest.raises(Refused, match="not a picture"):
            held_by(alone)


def test_ten_bits_of_a_heic_are_known(tmp_path: Path) -> None:
    deep = np.asarray(small(), np.uint16) * 256
    file = tmp_path / "deep.heic"
    pillow_heif.from_bytes("RGB;16", (240, 180), deep.tobytes()).save(file, quality=80)
    assert held_by(file).depth in {10, 12}


def test_ten_bits_of_an_avif_are_known_and_seen(tmp_path: Path) -> None:
    colours = np.asarray(small())[..., ::-1]
    for depth in (8, 10):
        levels = colours if depth == 8 else colours.astype(np.uint16) * 4
        how = [cv2.IMWRITE_AVIF_DEPTH, depth, cv2.IMWRITE_AVIF_SPEED, 10, cv2.IMWRITE_AVIF_QUALITY, 95]
        file = tmp_path / f"{depth}.avif"
        file.write_bytes(cv2.imencode(".avif", levels, how)[1].tobytes())
        assert held_by(file).depth == depth
        with opened(str(file)) as stream:
            seen = np.asarray(decode(stream, str(file)).image, np.int16)
        assert np.abs(seen - np.asarray(small(), np.int16)).mean() < 4


@pytest.mark.parametrize("count", [1, 3])
def test_pages_and_frames_are_counted(tmp_path: Path, count: int) -> None:
    pages = [small(n).resize((96, 72)) for n in range(count)]
    for name, word in (("a.tif", "pages"), ("a.gif", "frames"), ("a.png", "frames"), ("a.webp", "frames")):
        file = saved(tmp_path / name, pages[0], save_all=count > 1, append_images=pages[1:])
        assert held_by(file).further == ((f"{count} {word}",) if count > 1 else ()), name


@pytest.mark.parametrize("seed", range(20))
def test_a_broken_container_raises_nothing_but_a_refusal(tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for kind in ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "GIF", "JPEG2000"):
        whole = io.BytesIO()
        image = small().resize((96, 72))
        image.save(whole, kind, **({"save_all": True, "append_images": [image]} if kind == "MPO" else {}))
        data = bytearray(whole.getvalue() + film())
        for at in random.integers(12, min(len(data), 2000), 30):
            data[at] = random.integers(0, 256)
        file = tmp_path / f"broken.{kind.lower()}"
        file.write_bytes(bytes(data[: int(random.integers(60, len(data)))]))
        with contextlib.suppress(Refused):
            held_by(file)


def test_what_a_photo_says_is_known(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:06:15 12:00:00"
    exif[0x4746] = 4
    found = compare(
        saved(tmp_path / "dated.jpg", scene(), quality=90, exif=exif),
        saved(tmp_path / "b.jpg", scene(), quality=80),
    )
    assert found.holding.says == ("date", "rating")
    assert found.other.says == ()
