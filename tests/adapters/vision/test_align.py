"""Alignment on pictures made here: copies of every kind lie over each other, other pictures do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from dedupd.adapters.vision import align, residual
from dedupd.adapters.vision.align import CloseLook, Prepared, measure
from dedupd.adapters.vision.decode import area_resize
from dedupd.adapters.vision.messages import Proven, frame
from dedupd.core.dominance import Aspect, lost
from dedupd.core.photo import Candidate, Edge, Relation, Traits
from dedupd.core.relations import classify, thresholds_for, worth_a_closer_look
from tests.support.pictures import Screen, on_a_screen, picture

Change = Callable[[Image.Image], Image.Image]
SCENE = picture(5, (960, 720))


def pixels(image: Image.Image, side: int = 400) -> NDArray[np.uint8]:
    return area_resize(np.asarray(image.convert("RGB")), side)


def saved(image: Image.Image, quality: int) -> Image.Image:
    file = BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=quality)
    return Image.open(file)


def judged(a: Image.Image, b: Image.Image, *, text: bool = False) -> Edge | None:
    m = measure(pixels(a), pixels(b))
    if worth_a_closer_look(m):
        m = CloseLook(pixels(a, 1200), pixels(b, 1200), m).fine(m)
    assert frame(Proven(key=0, measures=m, error="")), "plain numbers, as the worker sends them"
    one = Traits(
        content="a",
        recipe="1",
        model="lite0-gem/1",
        format="JPEG",
        width=a.width,
        height=a.height,
        phash=0,
        dhash=0,
        texture=9.0,
        text_like=text,
    )
    other = replace(one, content="b", width=b.width, height=b.height, jpeg_quality=80.0)
    candidate = Candidate(a="a", b="b", cosine=0.95, hash_distance=4)
    return classify(one, other, candidate, m, thresholds_for("lite0-gem/1"), True)


def contained(edge: Edge, mover: str) -> bool:
    """Whether the other end shows all of the picture in `mover`."""
    one = Traits(content="a", recipe="1", model="", format="JPEG", width=9, height=9, phash=0, dhash=0)
    a, b = (one, replace(one, content="b")) if mover == "a" else (replace(one, content="b"), one)
    return not any(loss.aspect in {Aspect.AREA, Aspect.MARKS} for loss in lost(edge, a, b))


def crop(image: Image.Image, share: float) -> Image.Image:
    w, h = image.size
    left, top = int(w * share * 0.6), int(h * share * 0.3)
    return image.crop((left, top, left + int(w * (1 - share)), top + int(h * (1 - share))))


def captioned(image: Image.Image) -> Image.Image:
    bar = Image.new("RGB", (image.width, image.height + 90), (255, 255, 255))
    bar.paste(image, (0, 0))
    ImageDraw.Draw(bar).text(
        (20, image.height + 20), "A day by the sea", (0, 0, 0), ImageFont.load_default(40)
    )
    return bar


def bordered(image: Image.Image) -> Image.Image:
    return ImageOps.expand(image, 50, (255, 255, 255))


def watermarked(image: Image.Image) -> Image.Image:
    mark = Image.new("RGBA", image.size, (0, 0, 0, 0))
    ImageDraw.Draw(mark).text((250, 330), "FOTO STUDIO", (255, 255, 255, 120), ImageFont.load_default(70))
    return Image.alpha_composite(image.convert("RGBA"), mark).convert("RGB")


def stamped(image: Image.Image) -> Image.Image:
    marked = image.copy()
    ImageDraw.Draw(marked).text((640, 660), "'24 06 15 12:31", (255, 160, 40), ImageFont.load_default(34))
    return marked


COPIES: dict[str, Change] = {
    "saved again": lambda i: saved(i, 40),
    "half": lambda i: i.resize((480, 360), Image.Resampling.LANCZOS),
    "small": lambda i: saved(i.resize((300, 225), Image.Resampling.LANCZOS), 70),
    "quarter turn": lambda i: i.transpose(Image.Transpose.ROTATE_90),
    "half turn": lambda i: i.transpose(Image.Transpose.ROTATE_180),
    "mirror": ImageOps.mirror,
    "grey": lambda i: i.convert("L").convert("RGB"),
    "darker": lambda i: ImageEnhance.Brightness(i).enhance(0.7),
    "more contrast": lambda i: ImageEnhance.Contrast(i).enhance(1.3),
    "more colour": lambda i: ImageEnhance.Color(i).enhance(1.2),
    "crop 10 %": lambda i: crop(i, 0.1),
    "crop 40 %": lambda i: crop(i, 0.4),
    "5 degrees": lambda i: i.rotate(5, Image.Resampling.BICUBIC, expand=True),
    "25 degrees": lambda i: i.rotate(25, Image.Resampling.BICUBIC, expand=True),
    "border": bordered,
    "caption": captioned,
    "date stamp": stamped,
    "watermark": watermarked,
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_lies_over_its_original(kind: str) -> None:
    edge = judged(SCENE, COPIES[kind](SCENE))
    assert edge is not None
    assert (edge.relation, edge.unattended) == (Relation.COPY, True), edge.why


@pytest.mark.parametrize("kind", COPIES)
def test_the_order_of_the_two_changes_no_verdict(kind: str) -> None:
    changed = COPIES[kind](SCENE)
    one, other = judged(SCENE, changed), judged(changed, SCENE)
    assert one is not None and other is not None
    assert (one.relation, one.unattended) == (other.relation, other.unattended)
    assert contained(one, "a") == contained(other, "b") and contained(one, "b") == contained(other, "a")


def test_a_stamp_is_seen_among_edges_that_resampling_blurred() -> None:
    crisp = SCENE.filter(ImageFilter.UnsharpMask(2, 150, 0))
    edge = judged(crisp, saved(stamped(crisp).resize((360, 270), Image.Resampling.LANCZOS), 70))
    assert edge is not None
    assert edge.unattended, edge.why


def test_a_crop_goes_beside_the_whole_and_not_the_other_way() -> None:
    edge = judged(SCENE, crop(SCENE, 0.2))
    assert edge is not None
    assert contained(edge, "b") and not contained(edge, "a")


@pytest.mark.parametrize("framed", [bordered, captioned])
def test_a_border_or_caption_is_no_picture(framed: Change) -> None:
    edge = judged(SCENE, framed(SCENE))
    assert edge is not None
    assert contained(edge, "a") and contained(edge, "b")


def with_a_row_of_small_pictures() -> tuple[Image.Image, Image.Image]:
    page = Image.new("RGB", (960, 880), (250, 250, 250))
    page.paste(SCENE, (0, 0))
    for n in range(2):
        page.paste(picture(80 + n, (180, 120)), (20 + 220 * n, 740))
    return page, SCENE


def with_a_car_in_the_dark() -> tuple[Image.Image, Image.Image]:
    night = Image.new("RGB", (960, 720), (6, 6, 10))
    night.paste(SCENE.resize((480, 360)), (100, 60))
    night.paste(picture(90, (200, 110)), (700, 540))
    return night, night.crop((120, 80, 560, 400))


@pytest.mark.parametrize("pair", [with_a_row_of_small_pictures, with_a_car_in_the_dark])
def test_what_stands_on_a_plain_margin_is_picture(
    pair: Callable[[], tuple[Image.Image, Image.Image]],
) -> None:
    edge = judged(*pair())
    assert edge is not None
    assert contained(edge, "b") and not contained(edge, "a")


def test_two_captions_of_one_photo_are_two_pictures() -> None:
    below = captioned(SCENE)
    above = Image.new("RGB", (960, 800), (10, 10, 10))
    above.paste(SCENE, (0, 80))
    ImageDraw.Draw(above).text((30, 20), "Monday again", (255, 255, 255), ImageFont.load_default(40))
    edge = judged(below, above)
    assert edge is not None and edge.why == "each has a caption of its own" and not edge.unattended


def test_the_orientation_is_found() -> None:
    turned = measure(pixels(SCENE), pixels(SCENE.transpose(Image.Transpose.ROTATE_270)))
    assert (turned.method, turned.orientation) == ("identity", 1)
    mirrored = measure(pixels(SCENE), pixels(ImageOps.mirror(SCENE)))
    assert (mirrored.method, mirrored.orientation) == ("identity", 4)


def test_another_scene_does_not_align() -> None:
    m = measure(pixels(SCENE), pixels(picture(6, (960, 720))))
    assert m.method == "none" or m.worst > 40


def with_subject(size: int) -> Image.Image:
    scene = SCENE.copy()
    scene.paste(picture(77, (size, size)), (400, 330))
    noise = np.random.default_rng(size).normal(0, 2, (720, 960, 3))
    return Image.fromarray(np.clip(np.asarray(scene, np.float32) + noise, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("size", [40, 90, 250])
def test_a_fixed_camera_that_saw_something_else_proves_no_copy(size: int) -> None:
    edge = judged(SCENE, with_subject(size))
    assert edge is None or not edge.unattended


def receipt(total: str) -> Image.Image:
    page = Image.new("RGB", (620, 900), (247, 246, 240))
    draw = ImageDraw.Draw(page)
    for line, text in enumerate(
        ("CORNER SHOP", "bread 2.10", "milk 1.35", "tea 4.80", "rice 3.25", "salt 0.90")
    ):
        draw.text((60, 60 + 90 * line), text, (25, 25, 25), ImageFont.load_default(34))
    draw.text((60, 700), f"TOTAL {total}", (0, 0, 0), ImageFont.load_default(44))
    return page


def test_one_digit_of_a_receipt_is_seen() -> None:
    same = judged(receipt("12.40"), saved(receipt("12.40"), 60), text=True)
    other = judged(receipt("12.40"), saved(receipt("17.40"), 60), text=True)
    assert same is not None and same.unattended
    assert other is None or not other.unattended


def sky(seed: int) -> Image.Image:
    fall = np.linspace(0, 1, 600)[:, None, None] * np.array([80, 60, 20]) + np.array([100, 150, 220])
    grain = np.random.default_rng(seed).normal(0, 2, (600, 900, 3))
    return Image.fromarray(np.clip(fall + grain, 0, 255).astype(np.uint8))


def test_two_skies_prove_nothing() -> None:
    edge = judged(sky(1), sky(2))
    assert edge is None or not edge.unattended


@pytest.mark.parametrize("shape", [(1, 1), (400, 3), (20, 400), (400, 400)])
def test_blank_and_tiny_pictures_are_measured_without_an_error(shape: tuple[int, int]) -> None:
    blank = np.full((*shape, 3), 128, np.uint8)
    for m in (measure(blank, blank), measure(blank, pixels(SCENE)), measure(pixels(SCENE), blank)):
        assert m.band_std < 1
        assert 0 <= (CloseLook(blank, blank, m).fine(m).fine_worst or 0) <= 200


def test_prepared_pictures_measure_the_same() -> None:
    a, b = pixels(SCENE), pixels(crop(SCENE, 0.1))
    assert measure(Prepared(a), Prepared(b)) == measure(a, b)


@pytest.mark.parametrize("seed", [3, 8, 12, 19])
@pytest.mark.parametrize("bars", ["none", "gallery"])
def test_a_photo_is_laid_over_its_small_self_on_a_large_screen(seed: int, bars: str) -> None:
    photo = picture(seed, (960, 400)).filter(ImageFilter.GaussianBlur(2.5))
    screen = Screen(dark=True, bars=bars, size=(1080, 2600))
    shot, (left, top, right, bottom) = on_a_screen(photo, screen)
    m = measure(pixels(photo), pixels(shot))
    assert m.method == "identity" or m.inliers >= 12
    assert m.overlap_a > 0.95
    assert abs(m.overlap_b - (right - left) * (bottom - top) / (1080 * 2600)) < 0.02
    assert m.band_ncc > 0.75


@pytest.mark.parametrize("seed", [3, 8, 12, 19])
def test_another_photo_on_the_screen_is_no_copy(seed: int) -> None:
    shot, _ = on_a_screen(picture(seed + 1, (960, 400)), Screen(dark=True, size=(1080, 2600)))
    edge = judged(picture(seed, (960, 400)), shot, text=True)
    assert edge is None or edge.relation is Relation.SIMILAR


@pytest.mark.parametrize("seed", [3, 8, 12, 19])
@pytest.mark.parametrize("bars", ["none", "gallery", "film"])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (360, 640)])
def test_a_picture_never_moves_beside_a_screen_that_shows_it(
    seed: int, bars: str, size: tuple[int, int]
) -> None:
    photo = picture(seed, size)
    edge = judged(photo, on_a_screen(photo, Screen(dark=seed % 2 == 0, bars=bars))[0], text=True)
    assert edge is not None
    assert not contained(edge, "a")
    if bars == "none":
        assert contained(edge, "b")


@pytest.mark.parametrize("pixels", [1, 2, 3, 4, 5, 400])
def test_a_margin_of_few_pixels_is_measured_like_one_of_many(pixels: int) -> None:
    levels = np.random.default_rng(pixels).integers(0, 256, (pixels, 3), dtype=np.uint8)
    paint = np.median(levels, axis=0).astype(np.int16)
    assert [align._median(levels[:, channel]) for channel in range(3)] == paint.tolist()
    plainly = np.abs(levels.astype(np.int16) - paint).max(axis=1)
    assert align._off(levels, paint.tolist()).tolist() == plainly.tolist()


@given(
    values=arrays(np.float32, st.integers(1, 3000), elements=st.floats(-1, 1, width=32)),
    rank=st.integers(0, 60),
)
def test_a_low_rank_of_many_is_that_of_all_in_order(values: NDArray[np.float32], rank: int) -> None:
    rank = min(rank, values.size - 1)
    assert residual._lowest(values, rank) == np.sort(values)[rank]


@given(levels=arrays(np.uint8, st.integers(1, 300)))
def test_quantiles_that_are_counted_are_those_of_all_in_order(levels: NDArray[np.uint8]) -> None:
    assert residual.quantiles(levels).tolist() == residual.quantiles(levels.astype(np.float32)).tolist()


@pytest.mark.parametrize("seed", range(6))
def test_strokes_are_judged_by_what_is_near_them(seed: int) -> None:
    """Looked for in a part of the picture, they are what they are in the whole."""
    rng = np.random.default_rng(seed)
    plane = np.asarray(picture(seed, (640, 480)).convert("L"), np.float32)
    where = np.zeros(plane.shape, bool)
    top, left = (int(rng.integers(0, n - 60)) for n in plane.shape)
    if seed % 2:
        top, left = 0, plane.shape[1] - 60
    plane[top + 20 : top + 24, left + 5 : left + 55] = 10
    where[top : top + 60, left : left + 60] = rng.random((60, 60)) < 0.7
    part = residual._around(where, residual._REACH)
    assert plane[part].size < plane.size / 2
    share = residual._on_even_ground(plane[part], where[part])
    assert share == residual._on_even_ground(plane, where)
    assert type(share) is float, "a number of numpy goes into no message"


def test_what_lies_as_it_is_is_not_moved_and_measures_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pixels(SCENE, 960), pixels(saved(SCENE, 60), 960)
    m = measure(pixels(SCENE), pixels(saved(SCENE, 60)))
    left_alone = CloseLook(one, other, m).fine(m)
    monkeypatch.setattr(align, "_NOTHING", -1.0)
    assert CloseLook(one, other, m).fine(m) == left_alone


def test_writing_found_after_the_fine_look_is_what_it_is_alone() -> None:
    other = SCENE.copy()
    ImageDraw.Draw(other).text((300, 300), "Invoice 4711", fill=(0, 0, 0), font=ImageFont.load_default(40))
    a, b = pixels(SCENE, 960), pixels(other, 960)
    m = measure(pixels(SCENE), pixels(other))
    look = CloseLook(a, b, m)
    look.fine(m)
    assert look.writing(m) == CloseLook(a, b, m).writing(m)
    assert "written" in (look.writing(m).extra or {})
