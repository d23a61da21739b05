"""What is measured at every second pixel, or of halved pictures, says what all pixels say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ImageDraw

from dedupd.adapters.vision import residual
from dedupd.adapters.vision.residual import Residual, View
from dedupd.core import bars
from tests.support.pictures import picture

SIZES = ((900, 1200), (901, 1200), (900, 1201), (675, 1011))


def plane(shape: tuple[int, int], seed: int = 1) -> NDArray[np.float32]:
    noise = np.random.default_rng(seed).normal(128, 60, shape).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 1.0), np.float32)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("sigma", [4.0, 5.0])
def test_a_wide_blur_of_half_the_pixels_is_that_of_all(shape: tuple[int, int], sigma: float) -> None:
    sharp = plane(shape)
    wide = residual._wide_blur(sharp, sigma)
    assert wide.shape == sharp.shape
    off = (wide - cv2.GaussianBlur(sharp, (0, 0), sigma))[16:-16, 16:-16]
    assert off.std() < 0.05 * wide.std()


@pytest.mark.parametrize("shape", SIZES)
def test_the_low_passed_plane_has_every_second_pixel(shape: tuple[int, int]) -> None:
    sharp = plane(shape)
    low = residual._low(sharp)
    assert low.shape == sharp[::2, ::2].shape
    # It lies half a pixel further, as both pictures of a comparison do.
    between = cv2.GaussianBlur(sharp, (0, 0), 2.0)
    between = (between[:-1, :-1] + between[1:, 1:] + between[:-1, 1:] + between[1:, :-1])[::2, ::2] / 4
    off = low[: between.shape[0], : between.shape[1]] - between
    assert off[8:-8, 8:-8].std() < 0.05 * low.std()


@pytest.mark.parametrize("box", [11, 13])
def test_the_box_of_halved_pixels_weighs_as_that_of_all(box: int) -> None:
    taps = residual._box_of_halves(box).astype(np.float64)
    at = np.arange(len(taps)) - len(taps) // 2
    assert taps.sum() == pytest.approx(1, abs=1e-6)
    assert 4 * (taps * at * at).sum() + 0.25 == pytest.approx((box * box - 1) / 12, rel=1e-4)
    assert taps.min() > 0


@pytest.mark.parametrize("size", [10, 14, 20])
def test_a_number_in_a_large_picture_is_seen_at_every_second_pixel(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a few per cent of what all pixels show."""
    photo = picture(5, (1200, 900))
    views: list[View] = []
    for number in ("4173", "8625"):
        plate = photo.copy()
        draw = ImageDraw.Draw(plate)
        draw.rectangle((495, 395, 500 + 3 * size, 402 + 1.4 * size), fill=(225, 225, 215))
        draw.text((500, 398), number, (30, 30, 40), font_size=size)
        rgb = np.asarray(plate)
        views.append(View(rgb, np.asarray(plate.convert("L"))))

    def lowest() -> float:
        both = Residual(views[0], views[1], np.ones((900, 1200), np.bool_))
        return both.local(both.quick, floor=8.0, box=13, spared=40).lowest

    halved = lowest()
    monkeypatch.setattr(residual, "LARGE", 9999)
    assert 1 - halved == pytest.approx(1 - lowest(), rel=0.06)


@pytest.mark.parametrize(("size", "x", "y"), [(8, 301, 217), (9, 702, 611)])
def test_another_number_is_described_in_a_large_picture_too(
    size: int, x: int, y: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every second pixel alone it was a hair too faint, and what `through` says of strokes was not known: photos with another
    plate moved."""
    photo, views = picture(5, (1200, 900)), list[View]()
    for number in ("4173", "8625"):
        plate = photo.copy()
        draw = ImageDraw.Draw(plate)
        draw.rectangle((x - 3, y - 2, x + 3 * size, y + 1.4 * size), fill=(225, 225, 215))
        draw.text((x, y), number, (30, 30, 40), font_size=size)
        views.append(View(np.asarray(plate), np.asarray(plate.convert("L"))))

    def overlay() -> dict[str, float]:
        both = Residual(views[0], views[1], np.ones((900, 1200), np.bool_))
        return both.overlay(both.quick, both.local(both.quick, floor=8.0, box=13, spared=40), 3.0)

    halved = overlay()
    monkeypatch.setattr(residual, "LARGE", 9999)
    every = overlay()
    assert max(each["through"] for each in (halved, every)) < bars.SAME_STROKES / 2


def test_colours_that_become_greys_are_mapped_in_a_large_picture() -> None:
    """Through an orange filter: no curve of greys makes one of the other, and the map of colours does."""
    photo = np.asarray(picture(9, (1200, 900)))
    filtered = np.asarray(photo @ np.array([0.5, 0.45, 0.05])).clip(0, 255).astype(np.uint8)
    a = View(photo, np.asarray(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), np.uint8))
    b = View(np.dstack([filtered] * 3), filtered)
    both = Residual(a, b, np.ones((900, 1200), np.bool_))
    assert both.quick.worst > 4
    assert both.thorough().worst < 4
    assert both.thorough().planes[0].shape == (900, 1200)
