"""A picture's pixels are those that Pillow gives, however many there are and however it was made."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from dedupd.adapters.vision.pixels import pixels_of

SIZES = [(1, 1), (37, 11), (1000, 999), (1000, 1000), (3001, 2003), (200_000, 6), (5, 250_001)]
"""The last ones take more than one piece of memory where a picture may lie in several."""


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_90])
def test_they_are_pillows(size: tuple[int, int], turn: Image.Transpose | None) -> None:
    levels = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0], 3), np.uint8)
    image = Image.fromarray(levels)
    if turn is not None:
        image, levels = image.transpose(turn), np.rot90(levels)
    assert np.array_equal(pixels_of(image), levels)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("turn", [None, Image.Transpose.ROTATE_90])
def test_of_grey_levels_too_and_they_outlive_the_picture(
    size: tuple[int, int], turn: Image.Transpose | None
) -> None:
    levels = np.random.default_rng(size[0]).integers(0, 256, (size[1], size[0]), np.uint8)
    image = Image.fromarray(levels)
    if turn is not None:
        image, levels = image.transpose(turn), np.rot90(levels)
    found = pixels_of(image)
    del image
    assert np.array_equal(found, levels)


def test_of_a_decoded_jpeg_too_and_they_outlive_the_picture() -> None:
    file = io.BytesIO()
    Image.effect_noise((2400, 1800), 60).convert("RGB").save(file, "JPEG")
    image = Image.open(file)
    usual, found = np.asarray(image), pixels_of(image)
    image.close()
    del image
    assert np.array_equal(found, usual)
    assert found.flags.c_contiguous and found.flags.writeable
