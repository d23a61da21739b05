"""What is found at least, for a person to decide: screenshots, crops, thumbnails and filters, in another month too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.house import House
from tests.support.pictures import Screen, on_a_screen, picture, save

Made = Callable[[Image.Image, int], Image.Image]


def screenshot(photo: Image.Image, number: int) -> Image.Image:
    bars = ("none", "gallery", "other", "gallery")[number]
    return on_a_screen(photo, Screen(dark=number % 2 == 0, bars=bars))[0]


def cropped(photo: Image.Image, number: int) -> Image.Image:
    left, top = 0.1 + 0.03 * number, 0.2 - 0.03 * number
    wide, high = photo.size
    return photo.crop((int(wide * left), int(high * top), int(wide * (left + 0.7)), int(high * (top + 0.7))))


def square(photo: Image.Image, number: int) -> Image.Image:
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    small = photo.crop((left, top, left + side, top + side))
    return small.resize((180, 180), Image.Resampling.LANCZOS)


def darkened_to_the_edge(photo: Image.Image, number: int) -> Image.Image:
    y, x = np.mgrid[-1 : 1 : photo.height * 1j, -1 : 1 : photo.width * 1j]
    light = 1 - (0.7 + 0.08 * number) * np.clip((np.hypot(x, y) / 1.42 - 0.25) / 0.75, 0, 1) ** 1.5
    return Image.fromarray((np.asarray(photo) * light[..., None]).astype(np.uint8))


@pytest.mark.parametrize("made", [screenshot, cropped, square, darkened_to_the_edge])
def test_it_comes_up_also_from_another_month(converted: House, made: Made) -> None:
    house = converted
    house.configure(embedder="lite0")
    wanted: list[set[str]] = []
    for number in range(4):
        photo = picture(40 + number, (960, 720) if number < 2 else (720, 960))
        # A month for each: generated scenes resemble each other more than photos do.
        here = f"2019/0{number + 1}"
        there = (here, f"2023/0{number + 5}")[number % 2]
        names = f"{here}/IMG_{number}.jpg", f"{there}/made_{number}.jpg"
        save(house.root / names[0], photo, quality=92)
        save(house.root / names[1], made(photo, number), quality=85)
        wanted.append(set(names))
    report = house.scan("--dry-run")
    groups = [{group["keep"], *group["duplicates"], *group["review"]} for group in report["groups"]]
    assert all(any(pair <= group for group in groups) for pair in wanted), report["groups"]
    assert not [path for group in report["groups"] for path in group["duplicates"] if "IMG" in path]
