"""Many small photos, painted from nothing in some milliseconds each: for an import as large as a library.

    python -m dedupd.bench.many_files FOLDER --photos N [--first N] [--seed S]

Of every hundred files 78 are different, 320 to 800 px wide, in twelve of them the next frame of a burst is added, in ten a
copy: of the same bytes, or saved again smaller. Two have no clock. Each hundred lies in one of 240 months. Must never
be imported by the daemon: it needs Pillow and numpy.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dedupd.bench.gallery import CAMERAS, camera_exif, noise

_HUNDRED, _DIFFERENT = 100, 78
_IN_BURSTS, _COPIED, _UNDATED = range(12), range(12, 22), range(22, 24)
"""Of the different ones of a hundred."""
_MONTHS = 240
_SIDE, _PATTERNS = 832, 45
_WIDTHS = range(320, 801, 32)

Pattern = NDArray[np.float32]


def paint(folder: Path, photos: int, first: int = 0, seed: int = 1) -> None:
    """Files number `first` to `first + photos` of an endless library, both multiples of a hundred; on all cores."""
    hundreds = range(first // _HUNDRED, (first + photos) // _HUNDRED)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(_paint_hundred, repeat(folder), hundreds, repeat(seed)):
            pass


def _paint_hundred(folder: Path, hundred: int, seed: int) -> None:
    month = hundred % _MONTHS
    place = folder / f"{2005 + month // 12}" / f"{1 + month % 12:02d}"
    place.mkdir(parents=True, exist_ok=True)
    for nth in range(_DIFFERENT):
        number = hundred * _HUNDRED + nth
        rng = np.random.default_rng((seed, number))
        wide = int(rng.choice(_WIDTHS))
        size = wide, wide * 3 // 4
        scene = _scene(rng, size)
        taken = datetime(2005 + month // 12, 1 + month % 12, 1 + nth // 3, 8) + timedelta(
            seconds=int(rng.integers(36_000))
        )
        exif = Image.Exif() if nth in _UNDATED else camera_exif(taken, number % len(CAMERAS))
        target = place / f"IMG_{number:07d}.jpg"
        _seen(scene, rng).save(target, quality=88, exif=exif)
        if nth in _IN_BURSTS:
            later = camera_exif(taken + timedelta(milliseconds=400), number % len(CAMERAS))
            _seen(scene, rng, 3).save(target.with_stem(f"{target.stem}_2"), quality=88, exif=later)
        elif nth in _COPIED and nth % 2:
            target.with_stem(f"{target.stem} (1)").write_bytes(target.read_bytes())
        elif nth in _COPIED:
            small = scene.resize((size[0] * 3 // 4, size[1] * 3 // 4), Image.Resampling.LANCZOS)
            small.save(target.with_stem(f"{target.stem}-small"), quality=75, exif=exif)


def _scene(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Up to four grounds, each with a pattern and a grain of its own, and things of many forms before them."""
    wide, high = size
    level = _cut_out(_noises()[int(rng.integers(3, len(_noises())))], rng, size) * rng.uniform(0, 1)
    level += np.linspace(-0.5, 0.5, wide) * rng.uniform(-3, 3)
    level += np.linspace(-0.5, 0.5, high)[:, None] * rng.uniform(-3, 3)
    grounds = np.digitize(level, np.sort(rng.normal(0, 0.8, int(rng.integers(0, 4)))))
    canvas, grey = np.empty((high, wide, 3), np.int16), rng.random() < 0.15
    for ground in range(int(grounds.max()) + 1):
        here = grounds == ground
        pattern = _cut_out(_patterns()[int(rng.integers(len(_patterns())))], rng, size)[here]
        grain = _cut_out(_noises()[int(rng.integers(len(_noises())))], rng, size)[here]
        shade = pattern * np.float32(rng.uniform(5, 70)) + grain * np.float32(rng.uniform(2, 45))
        colour = np.full(3, rng.uniform(20, 235)) if grey else rng.uniform(20, 235, 3)
        tint = rng.uniform(-1, 1, 3) if rng.random() < 0.4 and not grey else np.ones(3)
        canvas[here] = np.float32(colour) + shade[:, None] * np.float32(tint)
    scene = Image.fromarray(canvas.clip(0, 255).astype(np.uint8))
    _things(rng, scene)
    return scene


def _things(rng: np.random.Generator, scene: Image.Image) -> None:
    draw = ImageDraw.Draw(scene)
    for _ in range(int(rng.integers(0, 25))):
        x, y = (float(rng.uniform(-0.1, 1.0)) * side for side in scene.size)
        w, h = (float(rng.uniform(0.02, 0.3)) * side for side in scene.size)
        colour = tuple(int(c) for c in rng.integers(0, 256, 3))
        kind = int(rng.integers(4))
        if kind == 0:
            draw.rectangle((x, y, x + w, y + h), fill=colour)
        elif kind == 1:
            draw.ellipse((x, y, x + w, y + h), fill=colour)
        elif kind == 2:
            draw.polygon([(x, y), (x + w, y + h / 2), (x + w / 3, y + h)], fill=colour)
        else:
            words = "".join(chr(int(letter)) for letter in rng.integers(65, 91, int(rng.integers(2, 9))))
            draw.text((x, y), words, fill=colour, font_size=float(rng.uniform(10, 90)))


def _cut_out(pattern: Pattern, rng: np.random.Generator, size: tuple[int, int]) -> Pattern:
    """Some part of it, this large, turned or mirrored."""
    left, top = (int(rng.integers(_SIDE - side + 1)) for side in size)
    if rng.random() < 0.5:
        pattern = pattern.T
    part = pattern[top : top + size[1], left : left + size[0]]
    return part[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]


def _seen(scene: Image.Image, rng: np.random.Generator, moved: int = 0) -> Image.Image:
    """By a camera that moved by some pixels, with a grain of its own."""
    pixels = (
        np.roll(np.asarray(scene), (moved, moved), (0, 1)) + _cut_out(_grain(), rng, scene.size)[..., None]
    )
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@lru_cache(1)
def _noises() -> list[Pattern]:
    """From fine to coarse; mean 0, deviation 1."""
    rng = np.random.default_rng(5)
    return [
        noise(rng, _SIDE, _SIDE, exponent).astype(np.float32) for exponent in (0.2, 0.6, 1.0, 1.4, 1.8, 2.4)
    ]


@lru_cache(1)
def _patterns() -> list[Pattern]:
    """Waves, checks, stripes, dots and rings of many sizes, and noise; made once in a process."""
    rng = np.random.default_rng(6)
    across = np.arange(_SIDE, dtype=np.float32)
    down, found = across[:, None], list[Pattern]()
    for number in range(_PATTERNS):
        turned, wave = rng.uniform(0, np.pi), 2 * np.pi / float(np.exp(rng.uniform(1.4, 4.8)))
        one = np.sin(wave * (np.cos(turned) * across + np.sin(turned) * down))
        other = np.sin(wave * (np.cos(turned) * down - np.sin(turned) * across))
        x, y = (float(rng.uniform(0, _SIDE)) for _ in range(2))
        rings = np.sin(wave * np.sqrt((across - x) ** 2 + (down - y) ** 2))
        dots = 2 * ((one + other) > rng.uniform(0.2, 1.2)) - 1.0
        kinds = (one, np.sign(one * other), np.sign(one + rng.uniform(-0.9, 0.9)), dots, rings)
        found.append(kinds[number % len(kinds)].astype(np.float32))
    return found + _noises()


@lru_cache(1)
def _grain() -> Pattern:
    return np.random.default_rng(7).normal(0, 2.5, (_SIDE, _SIDE)).astype(np.float32)


def main() -> None:
    """As the module's docstring says."""
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="python -m dedupd.bench.many_files")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paint(arguments.folder, arguments.photos, arguments.first, arguments.seed)


if __name__ == "__main__":
    main()
