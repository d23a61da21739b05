"""Families of pictures that look alike and are no duplicates, painted from nothing: n tells the members apart."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from dedupd.bench.gallery import receipt, scene

Linear = NDArray[np.float32]
WORDS = [
    "milk",
    "bread",
    "butter",
    "apples",
    "tea",
    "coffee",
    "rice",
    "eggs",
    "cheese",
    "ham",
    "soap",
    "paper",
    "juice",
    "water",
    "beans",
    "flour",
    "sugar",
]
NAMES = ("Anna", "Tom", "Maria", "Peter", "Julia", "Mum", "Dad", "Lena", "Max", "Otto", "Ida", "Paul")
SIZE = (800, 600)
PLACE = (1024, 768)


def _text(draw: ImageDraw.ImageDraw, at: tuple[int, int], line: str, ink: object, size: int) -> None:
    draw.text(at, line, ink, ImageFont.load_default(size))  # type: ignore[arg-type]


def _words(rng: np.random.Generator, count: int) -> str:
    return " ".join(WORDS[int(i)] for i in rng.integers(0, len(WORDS), count))


def till_receipt(n: int) -> Image.Image:
    return receipt(n)


def one_digit(n: int) -> Image.Image:
    """One receipt; only the total differs."""
    paper = receipt(1)
    draw = ImageDraw.Draw(paper)
    draw.rectangle((70, 845, 500, 905), fill=(246, 246, 246))
    _text(draw, (80, 850), f"TOTAL 47.{n % 100:02d}{'' if n < 100 else n}", (20, 20, 20), 40)
    return paper


def card(n: int) -> Image.Image:
    """One greeting card, another name."""
    picture = scene(31, SIZE, subject=None)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((180, 200, 620, 380), fill=(250, 240, 230))
    _text(draw, (220, 220), "Happy Birthday", (160, 30, 60), 46)
    _text(draw, (300, 310), f"{NAMES[n % len(NAMES)]} {n}", (60, 30, 60), 36)
    return picture


def chat(n: int) -> Image.Image:
    rng = np.random.default_rng(n)
    screen = Image.new("RGB", (540, 960), (236, 229, 221))
    draw = ImageDraw.Draw(screen)
    draw.rectangle((0, 0, 540, 84), fill=(18, 140, 126))
    _text(draw, (90, 24), "Grandma", (255, 255, 255), 28)
    for row in range(8):
        x = 40 if rng.random() < 0.5 else 150
        draw.rounded_rectangle((x, 110 + 100 * row, x + 350, 190 + 100 * row), 12, fill=(255, 255, 255))
        _text(draw, (x + 16, 120 + 100 * row), _words(rng, int(rng.integers(2, 5))), (0, 0, 0), 20)
        _text(
            draw,
            (x + 290, 166 + 100 * row),
            f"{rng.integers(24):02d}:{rng.integers(60):02d}",
            (120, 120, 120),
            14,
        )
    return screen


def page(n: int) -> Image.Image:
    rng = np.random.default_rng(n)
    paper = Image.new("RGB", (840, 1188), (255, 255, 255))
    draw = ImageDraw.Draw(paper)
    _text(draw, (80, 40), f"Annual report, page {n}", (0, 0, 0), 24)
    for row in range(38):
        _text(draw, (80, 100 + 27 * row), _words(rng, 11)[:72], (20, 20, 20), 18)
    return paper


def on_a_table(paper: Image.Image, n: int, share: float = 0.75) -> Image.Image:
    """A hand-held photo of `paper`, which fills `share` of the height; everything but the grain is one for all n."""
    width, height = 1200, 1600
    wood = np.random.default_rng(5).normal(0, 9, (height // 8, width // 60)).astype(np.float32)
    wide = np.asarray(Image.fromarray(wood).resize((width, height), Image.Resampling.BICUBIC))
    table = np.asarray([150, 112, 78], np.float32) + wide[..., None]
    scale = share * height / paper.height
    small = paper.convert("RGBA").resize((round(paper.width * scale), round(paper.height * scale)))
    turned = small.rotate(5, Image.Resampling.BICUBIC, expand=True)
    photo = Image.fromarray(np.clip(table, 0, 255).astype(np.uint8))
    photo.paste(turned, ((width - turned.width) // 2, (height - turned.height) // 2), turned)
    light = (np.asarray(photo, np.float32) / 255) ** 2.2 * np.linspace(0.8, 0.55, width)[None, :, None]
    return _sensed(np.asarray(light, np.float32), n)


def _sensed(light: Linear, n: int, gain: float = 1.0, grain: float = 1.5) -> Image.Image:
    """What a sensor makes of linear light 0-1: another exposure for every n (shot and read noise), sRGB-like curve."""
    rng = np.random.default_rng((n, 99))
    seen = light * gain
    noise = rng.normal(0, 1, light.shape).astype(np.float32)
    seen = seen + noise * (np.sqrt(np.clip(seen, 0, None)) * grain + 0.3) / 255
    return Image.fromarray(np.rint(np.clip(seen, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def _light(picture: Image.Image) -> Linear:
    """The scene without the grain of the camera that painted it."""
    small = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
    return np.asarray((np.asarray(small, np.float32) / 255) ** 2.2, np.float32)


@cache
def _place(seed: int) -> Linear:
    return _light(scene(seed, PLACE, subject=None))


def night(n: int) -> Image.Image:
    rng = np.random.default_rng(n)
    sky = Image.new("RGB", (SIZE[0] * 2, SIZE[1] * 2), (8, 9, 20))
    draw = ImageDraw.Draw(sky)
    for _ in range(60):
        x, y = int(rng.integers(SIZE[0] * 2)), int(rng.integers(SIZE[1] * 2))
        draw.ellipse((x, y, x + 3, y + 3), fill=(210, 210, 200))
    return _sensed(_light(sky), n, grain=3)


def sky(n: int) -> Image.Image:
    rows = np.linspace(0, 1, SIZE[1], dtype=np.float32)[:, None, None]
    fall = rows * np.array([80, 60, 20], np.float32) + np.array([100, 150 + n % 9, 220], np.float32)
    light = (np.clip(np.broadcast_to(fall, (SIZE[1], SIZE[0], 3)), 0, 255) / 255) ** 2.2
    return _sensed(np.asarray(light, np.float32), n)


def somebody_else(n: int) -> Image.Image:
    """A fixed camera, another person in every frame."""
    return _sensed(_light(scene(52, PLACE, subject=n + 1)), n)


def nobody(n: int) -> Image.Image:
    """A fixed camera that sees no change at all: only the grain is another."""
    return _sensed(_place(53), n)


def bracket(n: int) -> Image.Image:
    """One scene from a tripod, 2/3 of a stop darker and brighter; its EXIF is gone."""
    return _sensed(_place(54), n, gain=(1.0, 0.63, 1.6)[n % 3])


FAMILIES: dict[str, Callable[[int], Image.Image]] = {
    "receipts": till_receipt,
    "one digit": one_digit,
    "cards": card,
    "chats": chat,
    "pages": page,
    "night": night,
    "sky": sky,
    "somebody else": somebody_else,
    "nobody": nobody,
    "brackets": bracket,
}
