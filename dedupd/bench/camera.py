"""Photos as large as a camera's, painted from nothing, for timing.

    python -m dedupd.bench.camera FOLDER [--photos N] [--megapixels M] [--seed S]

Of every ten photos eight are different: three of each place and month, the camera moved a little between them; at every
tenth place within a second. One is a byte copy of another, one the same picture saved again at 2000 px (half the size, where
photos are smaller). Detail and grain at full size, so that a file takes as many bytes and as long to decode as a
photo. Must never be imported by the daemon: it needs Pillow and numpy.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import repeat
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.bench.gallery import CAMERAS, camera_exif, noise, scene

Pixels = NDArray[np.uint8]
_PLACE = (1600, 1200)
"""Each place is painted once in this size, and every shot of it is enlarged."""
_SHOTS = 3
_FIRST_YEAR = 1990
"""From here on each place has a month of its own: to an embedder painted places are more alike (cosine 0.8) than photos of
two places are (0.35), and a month of several would have each pair of its photos looked at."""
_SAVED_AGAIN = 2000
"""Pixels of the long side."""
_QUALITY, _AGAIN = 90, 80
_DETAIL, _GRAIN = 9.0, 3.0
"""Standard deviations in grey levels: of the detail that enlarging left out, and of the sensor's grain. A
file of 12 Mpixel then has about 3.5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaintedShot:
    """One of the different photos."""

    number: int
    place: int
    taken: datetime

    @property
    def path(self) -> str:
        return f"{self.taken:%Y/%m}/IMG_{self.number:05d}.jpg"


def shots(photos: int) -> Iterator[PaintedShot]:
    """The different photos among `photos`."""
    for number in range(photos - 2 * (photos // 10)):
        place, nth = divmod(number, _SHOTS)
        apart = timedelta(milliseconds=400) if place % 10 == 9 else timedelta(minutes=2)
        month, minutes = _FIRST_YEAR * 12 + place, 17 * (place % 30)
        first = datetime(month // 12, 1 + month % 12, 1 + place % 28, 8) + timedelta(minutes=minutes)
        yield PaintedShot(number=number, place=place, taken=first + nth * apart)


def paint(folder: Path, photos: int, megapixels: float, seed: int = 1) -> None:
    """Fill `folder`, using all cores."""
    size = _size(megapixels)
    different = list(shots(photos))
    of_places = [different[at : at + _SHOTS] for at in range(0, len(different), _SHOTS)]
    copies = {shot.number for shot in different if shot.number % 4 == 0 and shot.number // 8 < photos // 10}
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(
            _paint_place, repeat(folder), of_places, repeat(copies), repeat(size), repeat(seed)
        ):
            pass


def _size(megapixels: float) -> tuple[int, int]:
    """Width and height: 4:3, in whole blocks of JPEG."""
    wide = 16 * max(8, round(sqrt(megapixels * 1e6 * 4 / 3) / 16))
    return wide, 12 * wide // 16


def _paint_place(
    folder: Path, of_place: list[PaintedShot], copied: set[int], size: tuple[int, int], seed: int
) -> None:
    place = scene(seed + 7919 * of_place[0].place, _PLACE)
    for shot in of_place:
        image = _shown(place, shot, size, seed)
        target = folder / shot.path
        target.parent.mkdir(parents=True, exist_ok=True)
        exif = camera_exif(shot.taken, shot.place % len(CAMERAS))
        image.save(target, quality=_QUALITY, exif=exif)
        # Alternately a byte copy, and the picture saved again.
        if shot.number in copied and shot.number % 8 == 0:
            target.with_stem(f"{target.stem} (1)").write_bytes(target.read_bytes())
        elif shot.number in copied:
            k = min(0.5, _SAVED_AGAIN / size[0])
            small = image.resize((round(size[0] * k), round(size[1] * k)), Image.Resampling.LANCZOS)
            small.save(target.with_stem(f"{target.stem}-small"), quality=_AGAIN, exif=exif)


def _shown(place: Image.Image, shot: PaintedShot, size: tuple[int, int], seed: int) -> Image.Image:
    """What this shot shows of the place, with detail and grain at its own size."""
    rng = np.random.default_rng((seed, shot.number))
    share = float(rng.uniform(0.84, 0.96))
    wide, high = place.width * share, place.height * share
    left, top = float(rng.uniform(0, place.width - wide)), float(rng.uniform(0, place.height - high))
    view = place.resize(size, Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high))
    pixels = np.asarray(view).astype(np.int16)
    # The same detail at the same place of the scene: it belongs to the place, not to the lens.
    detail, grain = _textures(size)
    moved = (
        -round(top / high * size[1]) - 641 * shot.place,
        -round(left / wide * size[0]) - 907 * shot.place,
    )
    pixels += np.roll(detail, moved, (0, 1))[..., None]
    pixels += np.roll(grain, tuple(int(n) for n in rng.integers(0, size[1], 2)), (0, 1))[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


@lru_cache(maxsize=1)
def _textures(size: tuple[int, int]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Detail (1/f) and grain of a whole picture; made once, and shifted for each shot."""
    rng = np.random.default_rng(11)
    detail, grain = noise(rng, *size, 1.0) * _DETAIL, rng.normal(0, _GRAIN, size[::-1])
    return np.clip(detail, -120, 120).astype(np.int8), np.clip(grain, -120, 120).astype(np.int8)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(allow_abbrev=False, prog="python -m dedupd.bench.camera")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--megapixels", type=float, default=12.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paint(arguments.folder, arguments.photos, arguments.megapixels, arguments.seed)


if __name__ == "__main__":
    main()
