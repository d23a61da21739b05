"""The picture inside plain margins: found to the pixel on every kind of screen, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.inside import inside
from tests.support.pictures import Screen, on_a_screen, picture

SCREENS = [Screen(dark=dark, bars=bars) for dark in (True, False) for bars in ("none", "gallery", "other")]


def seen(image: Image.Image) -> NDArray[np.uint8]:
    """As the small decode shows it."""
    return np.asarray(image.resize((270, 270 * image.height // image.width), Image.Resampling.LANCZOS))


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (640, 360)])
def test_a_photo_on_a_screen(screen: Screen, size: tuple[int, int]) -> None:
    shot, place = on_a_screen(picture(7, size), screen)
    box = inside(seen(shot))
    assert box is not None
    assert np.abs(np.array(box) - np.array(place) / 4).max() <= 3


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 190, 170)])
def test_a_frame_and_a_letterbox(colour: tuple[int, int, int]) -> None:
    for wide, high, at in ((600, 600, (60, 135)), (480, 600, (0, 135)), (700, 330, (110, 0))):
        framed = Image.new("RGB", (wide, high), colour)
        framed.paste(picture(3, (480, 330)), at)
        box = inside(np.asarray(framed))
        assert box is not None
        wanted = (at[0], at[1], at[0] + 480, at[1] + 330)
        assert np.abs(np.array(box) - wanted).max() <= 3


@pytest.mark.parametrize("seed", range(4))
def test_a_photo_without_margins_has_nothing_inside(seed: int) -> None:
    assert inside(np.asarray(picture(seed))) is None


def test_a_plain_sky_of_the_photo_stays_with_it() -> None:
    photo = picture(5, (640, 480))
    sky = Image.new("RGB", (640, 200), (120, 150, 190))
    photo.paste(sky, (0, 0))
    photo.paste(picture(6, (90, 140)), (400, 60))  # a tower in it
    shot, place = on_a_screen(photo, Screen(dark=True))
    box = inside(seen(shot))
    assert box is not None
    assert abs(box[1] - place[1] / 4) <= 3


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_nothing_on_a_plain_ground_is_no_picture(grey: int) -> None:
    plain = np.full((300, 400, 3), grey, np.uint8)
    assert inside(plain) is None
    plain[100:110, 100:110] = 255 - grey if grey != 128 else 0
    assert inside(plain) is None
