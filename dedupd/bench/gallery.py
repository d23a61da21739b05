"""A small labelled gallery, painted from nothing: for the demo, the benchmark and the tests.

    python -m dedupd.bench.gallery FOLDER [--photos N] [--seed S] [--more]

Owns pictures that behave like photos (1/f texture, edges, objects, camera EXIF) and their truth. Must never
be imported by the daemon: it needs Pillow and numpy.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageOps

Pixels = NDArray[np.float64]
SIZE = (1024, 768)
_MARGIN = 40
CAMERAS = (("Canon", "Canon EOS 80D"), ("Apple", "iPhone 13"), ("FUJIFILM", "X-T30"))


def scene(
    seed: int,
    size: tuple[int, int] = SIZE,
    *,
    shift: tuple[int, int] = (0, 0),
    subject: int | None = 0,
    frame: int = 0,
) -> Image.Image:
    """A landscape: sky, ridges, ground, trees and houses; every seed is another place.

    `shift` moves the camera by pixels. `subject` paints one figure per value at a place of its own, None
    paints none. `frame` is another exposure of the same moment: the figure has taken a step, and the grain
    differs.
    """
    image = _landscape(seed, size).copy()
    if subject is not None:
        _figure(image, seed, subject, step=frame)
    left, top = _MARGIN + shift[0], _MARGIN + shift[1]
    seen = np.asarray(image.crop((left, top, left + size[0], top + size[1]))).astype(float)
    grain = np.random.default_rng((seed, frame)).normal(0, 2.5, (*seen.shape[:2], 1))
    return Image.fromarray(np.clip(seen + grain, 0, 255).astype(np.uint8))


@lru_cache(maxsize=8)
def _landscape(seed: int, size: tuple[int, int]) -> Image.Image:
    """The place without a figure, larger than the picture so that the camera can move. Cached, because it is
    most of the work and is asked for repeatedly."""
    rng = np.random.default_rng(seed)
    wide, high = size[0] + 2 * _MARGIN, size[1] + 2 * _MARGIN
    canvas = _sky(rng, wide, high)
    horizon = float(rng.uniform(0.35, 0.6))
    for depth in range(int(rng.integers(2, 5))):
        _ridge(rng, canvas, horizon + 0.09 * depth)
    image = Image.fromarray(np.clip(canvas, 0, 255).astype(np.uint8))
    _things(rng, image, horizon)
    return image


def noise(rng: np.random.Generator, wide: int, high: int, exponent: float) -> Pixels:
    """1/f^exponent noise, mean 0, deviation 1: the spectrum of natural pictures (Field 1987)."""
    spectrum = np.fft.rfft2(rng.standard_normal((high, wide)))
    frequency = np.hypot(np.fft.fftfreq(high)[:, None], np.fft.rfftfreq(wide)[None, :])
    frequency[0, 0] = 1.0
    field_ = np.fft.irfft2(spectrum / frequency**exponent, s=(high, wide))
    return (field_ - field_.mean()) / field_.std()


def _sky(rng: np.random.Generator, wide: int, high: int) -> Pixels:
    top, bottom = rng.uniform(40, 230, 3), rng.uniform(90, 250, 3)
    blend = np.linspace(0, 1, high)[:, None, None]
    clouds = noise(rng, wide, high, 1.5)[..., None] * rng.uniform(8, 26)
    return top * (1 - blend) + bottom * blend + clouds


def _ridge(rng: np.random.Generator, canvas: Pixels, level: float) -> None:
    high, wide = int(canvas.shape[0]), int(canvas.shape[1])
    steps: Pixels = np.cumsum(rng.standard_normal(wide)) * rng.uniform(0.5, 2.5)
    waves: Pixels = np.sin(np.arange(wide) / rng.uniform(60, 300)) * rng.uniform(10, 60)
    line: Pixels = level * high + steps - steps.mean() + waves
    below = np.arange(high)[:, None] > line[None, :]
    texture = noise(rng, wide, high, rng.uniform(0.8, 1.3))[..., None] * rng.uniform(14, 34)
    canvas[below] = (rng.uniform(20, 190, 3) + texture)[below]


def _things(rng: np.random.Generator, image: Image.Image, horizon: float) -> None:
    draw = ImageDraw.Draw(image)
    wide, high = image.size
    for _ in range(int(rng.integers(12, 30))):
        x, y = float(rng.uniform(0, wide)), float(rng.uniform(horizon, 0.95) * high)
        scale = 20 + 130 * (y / high) ** 2 * float(rng.uniform(0.5, 1.5))
        colour = tuple(int(c) for c in rng.integers(10, 245, 3))
        if rng.random() < 0.5:
            draw.rectangle((x, y - scale * 0.3, x + scale * 0.15, y), fill=(70, 50, 30))
            draw.ellipse((x - scale * 0.4, y - scale * 1.2, x + scale * 0.55, y - scale * 0.25), fill=colour)
        else:
            draw.rectangle((x, y - scale * 0.6, x + scale, y), fill=colour)
            draw.polygon(
                (x, y - scale * 0.6, x + scale / 2, y - scale, x + scale, y - scale * 0.6), fill=(120, 40, 40)
            )
            for window in range(3):
                at = x + scale * (0.12 + 0.3 * window)
                draw.rectangle(
                    (at, y - scale * 0.45, at + scale * 0.15, y - scale * 0.25), fill=(240, 230, 150)
                )


def _figure(image: Image.Image, seed: int, number: int, step: int) -> None:
    """A figure in the foreground; another number stands elsewhere in other clothes."""
    rng = np.random.default_rng((seed, number, 7))
    draw = ImageDraw.Draw(image)
    wide, high = image.size
    tall = high * float(rng.uniform(0.25, 0.4))
    x, foot = wide * float(rng.uniform(0.2, 0.8)) + 9 * step, high * 0.93
    shirt, legs = (tuple(int(c) for c in rng.integers(0, 255, 3)) for _ in range(2))
    draw.rectangle((x - tall * 0.1, foot - tall * 0.45, x + tall * 0.1, foot), fill=legs)
    draw.rounded_rectangle(
        (x - tall * 0.15, foot - tall * 0.82, x + tall * 0.15, foot - tall * 0.4), 12, fill=shirt
    )
    draw.ellipse((x - tall * 0.09, foot - tall, x + tall * 0.09, foot - tall * 0.8), fill=(226, 180, 150))


def receipt(seed: int, shop: str = "GREENGROCER 12 MILL LANE") -> Image.Image:
    """A till receipt; all of one shop look alike, and none may ever move."""
    rng = np.random.default_rng(seed)
    paper = Image.new("L", (700, 1000), 246)
    draw = ImageDraw.Draw(paper)
    draw.text((150, 40), shop, fill=30, font_size=30)
    for row in range(14):
        price = f"{rng.uniform(0.3, 30):.2f}"
        draw.text(
            (80, 140 + 46 * row),
            f"{rng.choice(['Apples', 'Bread', 'Milk', 'Tea', 'Soap', 'Rice', 'Eggs'])}",
            fill=35,
            font_size=28,
        )
        draw.text((520, 140 + 46 * row), price, fill=35, font_size=28)
    draw.text((80, 850), f"TOTAL {rng.uniform(10, 120):.2f}", fill=20, font_size=40)
    return paper.filter(ImageFilter.GaussianBlur(0.6)).convert("RGB")


@dataclass(slots=True)
class Gallery:
    """Writes pictures below a folder and records what they are."""

    folder: Path
    truth: list[dict[str, object]] = field(default_factory=list)

    def add(
        self, path: str, image: Image.Image, group: str, relation: str, *, quality: int = 92,
        taken: datetime | None = None, camera: int = 0, bytes_: bytes | None = None,
    ) -> Path:  # fmt: skip
        """Save with camera EXIF when `taken` is given; `bytes_` writes an exact copy instead."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if bytes_ is not None:
            target.write_bytes(bytes_)
        else:
            image.save(target, quality=quality, exif=camera_exif(taken, camera) if taken else b"")
        self.truth.append(
            {"path": path, "group_id": group, "scene_id": group, "relation": relation, "stratum": relation}
        )
        return target


def camera_exif(taken: datetime, camera: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = CAMERAS[camera % len(CAMERAS)]
    details = exif.get_ifd(0x8769)
    details[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    details[0x9291] = f"{taken.microsecond // 1000:03d}"
    details[0x829A] = 1 / 125
    return exif


def first_photos(gallery: Gallery, photos: int, seed: int) -> None:
    """Varied photos, copies of every third, a burst, two look-alikes, three receipts."""
    for n in range(photos):
        day = datetime(2024, 6 + n % 2, 1 + n % 28, 10, n % 60, 7)
        month, name = f"{day:%Y/%m}", f"IMG_{1000 + n}.jpg"
        image, group = scene(seed + n), f"p{n}"
        original = gallery.add(f"{month}/{name}", image, group, "original", taken=day, camera=n)
        if n % 3 == 0:
            _copies(gallery, image, original, month, group, n)
    _burst(gallery, seed + 5000)
    _look_alikes(gallery, seed + 6000)


def _copies(gallery: Gallery, image: Image.Image, original: Path, month: str, group: str, n: int) -> None:
    sent = datetime(2024, 7, 1 + n % 28)
    small = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    gallery.add(f"{month}/{original.stem} (1).jpg", image, group, "exact", bytes_=original.read_bytes())
    gallery.add(f"{month}/IMG-{sent:%Y%m%d}-WA{n:04d}.jpg", small, group, "resized", quality=72)
    extra = [
        (f"{month}/edit_{n}.jpg", ImageOps.autocontrast(image, cutoff=1), "edited"),
        (f"{month}/turned_{n}.jpg", small.transpose(Image.Transpose.ROTATE_90), "rotated"),
        (f"{month}/export_{n}.webp", image, "reencoded"),
        (f"{month}/crop_{n}.jpg", image.crop((60, 40, image.width - 30, image.height - 50)), "cropped"),
    ]
    path, changed, relation = extra[(n // 3) % len(extra)]
    gallery.add(path, changed, group, relation, quality=88)


def _burst(gallery: Gallery, seed: int) -> None:
    start = datetime(2024, 6, 20, 15, 30, 0, 120_000)
    for frame in range(4):
        image = scene(seed, shift=(2 * frame, frame), frame=frame)
        taken = start + timedelta(milliseconds=350 * frame)
        gallery.add(
            f"2024/06/DSC_20{frame:02d}.JPG",
            image,
            "burst",
            "original" if frame == 0 else "burst",
            taken=taken,
            camera=2,
        )


def _look_alikes(gallery: Gallery, seed: int) -> None:
    """One place, another person, an hour apart; and receipts of one shop. None of them is a duplicate."""
    for who in range(2):
        taken = datetime(2024, 7, 5, 11 + who, 0, 0)
        gallery.add(
            f"2024/07/DSC_30{who}0.JPG",
            scene(seed, subject=who + 1),
            f"look{who}",
            "none",
            taken=taken,
            camera=1,
        )
    for n in range(3):
        gallery.add(f"2024/07/receipt_{n}.jpg", receipt(seed + n), f"receipt{n}", "none", quality=85)


def more_photos(gallery: Gallery, seed: int) -> None:
    """The photos that arrive while the daemon watches: a photo, its copy by messenger, another photo."""
    image = scene(seed + 7000)
    gallery.add("2024/06/IMG_2000.jpg", image, "new", "original", taken=datetime(2024, 6, 28, 18, 0, 3))
    small = image.resize((1024, 768), Image.Resampling.LANCZOS)
    gallery.add("2024/06/IMG-20240629-WA0003.jpg", small, "new", "resized", quality=70)
    gallery.add(
        "2024/06/IMG_2001.jpg", scene(seed + 7001), "new2", "none", taken=datetime(2024, 6, 29, 9, 0, 0)
    )


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Paint a small labelled gallery.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=9)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--more", action="store_true", help="only what arrives later")
    parser.add_argument("--truth", type=Path, help="write the labels here")
    asked = parser.parse_args()
    gallery = Gallery(asked.folder)
    if asked.more:
        more_photos(gallery, asked.seed)
    else:
        first_photos(gallery, asked.photos, asked.seed)
    if asked.truth:
        asked.truth.write_text(json.dumps({"files": gallery.truth}, indent=1))


if __name__ == "__main__":
    main()
