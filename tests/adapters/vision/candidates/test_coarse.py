"""Small pictures reject look-alikes, and nothing that may be a copy: turned, cut, framed, toned, with a sticker."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from dedupd.adapters.vision.candidates import coarse, overlay
from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures, may_be_copies, small_picture
from dedupd.adapters.vision.candidates.overlay import may_lie_over
from tests.support.pictures import picture


def with_sticker(image: Image.Image) -> Image.Image:
    """On a twentieth of it."""
    found = image.copy()
    ImageDraw.Draw(found).ellipse((190, 130, 270, 190), fill=(250, 220, 0))
    return found


def captioned(image: Image.Image) -> Image.Image:
    found = ImageOps.expand(image, border=(0, 0, 0, 60), fill=(250, 250, 250))
    ImageDraw.Draw(found).rectangle((40, 262, 270, 274), fill=(0, 0, 0))
    return found


def on_a_blurred_fill(image: Image.Image) -> Image.Image:
    found = image.resize((270, 480)).filter(ImageFilter.GaussianBlur(14))
    found.paste(image.resize((270, 202)), (0, 139))
    return found


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "smaller": lambda image: image.resize((160, 120)),
    "cut": lambda image: image.crop((40, 30, 260, 200)),
    "square": lambda image: image.crop((50, 0, 290, 240)),
    "turned": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "mirrored and cut": lambda image: ImageOps.mirror(image).crop((30, 20, 320, 240)),
    "turned and cut": lambda image: image.transpose(Image.Transpose.ROTATE_270).crop((0, 40, 240, 320)),
    "framed": lambda image: ImageOps.expand(image, border=30, fill=(0, 0, 0)),
    "darker": lambda image: image.point([v // 2 for v in range(256)] * 3),
    "contrasts": lambda image: image.point([min(255, v * v // 160) for v in range(256)] * 3),
    "a corner": lambda image: image.crop((118, 88, 320, 240)),
    "tilted": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(3)),
    "with a sticker": with_sticker,
    "captioned": captioned,
    "on a blurred fill": on_a_blurred_fill,
}


def seen(*images: Image.Image) -> GreyPictures:
    return GreyPictures(
        pixels=np.stack([small_picture(np.asarray(image)) for image in images]),
        shapes=np.array([image.width / image.height for image in images], np.float32),
    )


def scene(seed: int) -> Image.Image:
    return picture(seed, (320, 240))


def against_the_sky(seed: int) -> Image.Image:
    """A few large things before one colour."""
    rng = np.random.default_rng(seed)
    found = Image.new("RGB", (320, 240), (150, 180, 220))
    for _ in range(4):
        x, y, w, h = (int(v) for v in rng.integers((10, 10, 40, 40), (220, 150, 110, 90)))
        found.paste(scene(int(rng.integers(1000))).resize((w, h)), (x, y))
    return found


def in_fog(seed: int, size: int) -> Image.Image:
    """One small thing before one colour."""
    found, rng = Image.new("RGB", (320, 240), (200, 205, 210)), np.random.default_rng(seed)
    found.paste(
        scene(seed).resize((size + 20, size)), (int(rng.integers(60, 200)), int(rng.integers(45, 130)))
    )
    return found


def with_a_large_sticker(image: Image.Image, radius: int) -> Image.Image:
    found = image.resize((320, 240))
    ImageDraw.Draw(found).ellipse((310 - 2 * radius, 230 - 1.5 * radius, 310, 230), fill=(250, 220, 0))
    return found


def music(seed: int) -> Image.Image:
    """A page of what is smaller than a pixel of the small picture."""
    found, rng = Image.new("RGB", (320, 240), (245, 245, 245)), np.random.default_rng(seed)
    draw = ImageDraw.Draw(found)
    for top in range(10, 230, 26):
        for y in range(top, top + 15, 3):
            draw.line((12, y, 308, y), fill=(40, 40, 40))
        for x in range(16, 300, 9):
            y = top + int(rng.integers(-2, 13))
            draw.ellipse((x, y, x + 4, y + 3), fill=(0, 0, 0))
    return found


def note_on_a_table(seed: int) -> Image.Image:
    found, rng = Image.new("RGB", (320, 240), (245, 245, 245)), np.random.default_rng(seed)
    draw = ImageDraw.Draw(found)
    draw.rectangle((0, 0, 320, 30), fill=(40, 60, 90))
    for y in range(42, 236, 9):
        x = 20
        while x < rng.integers(120, 300):
            end = x + int(rng.integers(8, 40))
            draw.line((x, y, end, y), fill=(60, 60, 60), width=3)
            x = end + 6
    turn = float(rng.uniform(-4, 4))
    found = found.rotate(turn, Image.Resampling.BICUBIC, expand=True, fillcolor=(90, 60, 40))
    light = Image.linear_gradient("L").point([v // 2 + 100 for v in range(256)]).convert("RGB")
    return ImageChops.multiply(found.resize((320, 240)), light.resize((320, 240)))


def on_a_wall(image: Image.Image) -> Image.Image:
    """In the middle of twice the area."""
    found = ImageOps.colorize(Image.linear_gradient("L"), (40, 32, 24), (220, 176, 132)).resize((453, 339))
    found.paste(image, ((453 - 320) // 2, (339 - 240) // 2))
    return found


@pytest.mark.parametrize("kind", COPIES)
@pytest.mark.parametrize("painted", [scene, against_the_sky])
def test_no_copy_is_rejected_from_either_side(painted: Callable[[int], Image.Image], kind: str) -> None:
    scenes = [painted(seed) for seed in range(6)]
    whole, copies = seen(*scenes), seen(*(COPIES[kind](each) for each in scenes))
    places = np.arange(6)
    for may in (may_be_copies, may_lie_over):
        assert may(whole, copies, places, places).all()
        assert may(copies, whole, places, places).all()


def test_clouds_of_one_kind_are_rejected() -> None:
    rng = np.random.default_rng(1)
    clouds = [
        Image.fromarray(rng.integers(0, 255, (9, 12, 3), dtype=np.uint8)).resize(
            (320, 240), Image.Resampling.BICUBIC
        )
        for _ in range(24)
    ]
    small = seen(*clouds)
    left, right = np.triu_indices(24, 1)
    assert may_be_copies(small, small, left, right).mean() < 0.05


def test_what_is_told_of_all_four_orientations_at_once_is_what_each_of_them_tells() -> None:
    rng = np.random.default_rng(3)
    small = GreyPictures(
        pixels=rng.integers(0, 256, (9, 4, 4), np.uint8).repeat(8, axis=1).repeat(8, axis=2),
        shapes=rng.choice(np.array([4 / 3, 3 / 4, 1, 2.3], np.float32), 9),
    )
    left, right = (side.ravel() for side in np.indices((9, 9)))
    for way in coarse._ways(small, small, left, right):
        for pairs, shape in way.by_shape(np.arange(81)):
            each = dict[int, float]()
            for some, alike in coarse._alike(way, pairs, shape):
                each |= zip(some.tolist(), alike.max(axis=(0, 2)).tolist(), strict=True)
            for some, highest in coarse._highest(way, pairs, shape):
                assert highest == pytest.approx([each.pop(pair) for pair in some.tolist()], abs=1e-5)
            assert not each


def test_what_is_not_remembered_or_shows_nothing_passes() -> None:
    one, fog = scene(1), Image.new("RGB", (320, 240), (90, 90, 90))
    small = seen(one, fog)
    unknown = GreyPictures(pixels=small.pixels, shapes=np.zeros(2, np.float32))
    for may in (may_be_copies, may_lie_over):
        assert may(small, unknown, np.array([0]), np.array([1])).all()
        assert may(small, small, np.array([0]), np.array([1])).all()


def test_scenes_with_one_sky_and_one_ground_are_rejected_by_their_detail_alone() -> None:
    """The outlines are those of all: what differs is what stands before them."""
    light = Image.linear_gradient("L").resize((320, 240)).convert("RGB")
    scenes = [Image.blend(light, scene(seed), 0.6) for seed in range(16)]
    small = seen(*scenes)
    left, right = np.triu_indices(16, 1)
    assert may_be_copies(small, small, left, right).all()
    assert may_lie_over(small, small, left, right).mean() < 0.05
    same = np.arange(16)
    assert may_lie_over(small, seen(*(with_sticker(each) for each in scenes)), same, same).all()


def test_little_needs_to_agree_of_what_shows_little_because_a_sticker_shows_more() -> None:
    fog, cut_fog = in_fog(4, 60), in_fog(7, 50)
    small = seen(fog, cut_fog)
    stickers = seen(with_a_large_sticker(fog, 75), with_a_large_sticker(cut_fog.crop((50, 40, 270, 205)), 90))
    same = np.arange(2)
    assert may_lie_over(small, stickers, same, same).all()
    assert may_lie_over(stickers, small, same, same).all()


def test_a_page_passes_because_what_is_written_on_it_is_smaller_than_a_pixel() -> None:
    pages, same = [music(seed) for seed in range(6)], np.arange(6)
    small = seen(*pages)
    for copied in COPIES.values():
        assert may_lie_over(small, seen(*(copied(each) for each in pages)), same, same).all()
    assert may_lie_over(small, small, *np.triu_indices(6, 1)).all()


def test_a_large_ground_of_one_colour_is_no_page() -> None:
    small = seen(*(against_the_sky(seed) for seed in range(16)))
    commonest = [np.bincount(pixels.ravel()).max() / pixels.size for pixels in small.pixels]
    assert min(commonest) > 0.45
    left, right = np.triu_indices(16, 1)
    assert may_lie_over(small, small, left, right).mean() < 0.5


def test_a_picture_whose_window_is_found_passes_although_it_is_too_far_off_for_a_fit() -> None:
    note = note_on_a_table(72)
    small, there = seen(note, on_a_wall(note)), (np.array([0]), np.array([1]))
    assert may_lie_over(small, small, *there).all()


def test_a_darkened_cut_passes_although_most_of_it_is_black() -> None:
    def darkened(image: Image.Image) -> Image.Image:
        return image.crop((20, 80, 180, 200)).point([int(255 * (v / 255) ** 4) for v in range(256)] * 3)

    scenes, same = [scene(seed) for seed in range(16)], np.arange(16)
    whole, cuts = seen(*scenes), seen(*(darkened(each) for each in scenes))
    assert may_lie_over(whole, cuts, same, same).all()
    assert may_lie_over(cuts, whole, same, same).all()


def test_a_picture_laid_on_a_black_bar_stays_where_it_is() -> None:
    """Nothing changes there with any move: no equation is to be solved for it."""
    black = np.zeros((1, SIDE, SIDE), np.float32)
    part = np.random.default_rng(0).uniform(0, 255, (1, SIDE, SIDE)).astype(np.float32)
    bar, square = np.array([[0, 0.5, 0, 1]], np.float32), np.ones((1, 1), np.float32)
    laid = overlay._Laid(wholes=black, parts=part, boxes=bar, shapes=square)
    fit = overlay._Fit(laid, overlay._FINE, np.zeros((1, 5), np.float32))
    fit.step()
    assert not fit.moves.any()
    assert fit.agreement() == 0
