"""Small pictures reject look-alikes, and nothing that may be a copy: turned, cut, framed, toned."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageOps

from dedupd.adapters.vision.coarse import GreyPictures, may_be_copies, small_picture
from tests.support.pictures import picture

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
}


def seen(*images: Image.Image) -> GreyPictures:
    return GreyPictures(
        pixels=np.stack([small_picture(np.asarray(image)) for image in images]),
        shapes=np.array([image.width / image.height for image in images], np.float32),
    )


def scene(seed: int) -> Image.Image:
    return picture(seed, (320, 240))


@pytest.mark.parametrize("kind", COPIES)
def test_no_copy_is_rejected_from_either_side(kind: str) -> None:
    scenes = [scene(seed) for seed in range(6)]
    whole, copies = seen(*scenes), seen(*(COPIES[kind](each) for each in scenes))
    places = np.arange(6)
    assert may_be_copies(whole, copies, places, places).all()
    assert may_be_copies(copies, whole, places, places).all()


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


def test_what_is_not_remembered_or_shows_nothing_passes() -> None:
    one, fog = scene(1), Image.new("RGB", (320, 240), (90, 90, 90))
    small = seen(one, fog)
    unknown = GreyPictures(pixels=small.pixels, shapes=np.zeros(2, np.float32))
    assert may_be_copies(small, unknown, np.array([0]), np.array([1])).all()
    assert may_be_copies(small, small, np.array([0]), np.array([1])).all()
