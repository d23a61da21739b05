"""The hashes are imagehash's to the bit, and ordinary photos do without what it loads."""

from __future__ import annotations

import subprocess
import sys

import imagehash
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision import hashes

TURNS = (None, *(Image.Transpose(n) for n in (2, 3, 4, 0, 1, 5, 6)))
"""The orientations, in the order of the hashes."""


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (32, 32), dtype=np.uint8)


def mirrored(half: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.hstack([half[:, :16], half[:, 15::-1]])


def one_spot(grey: int) -> NDArray[np.uint8]:
    found = np.full((32, 32), grey, np.uint8)
    found[grey % 32, 5] = 255
    return found


PIXELS = [
    *(noise(seed) for seed in range(40)),
    *(noise(seed) // 128 * 255 for seed in range(10)),
    *(np.full((32, 32), grey, np.uint8) for grey in (0, 1, 7, 100, 127, 128, 255)),
    *(np.tile(noise(seed)[0], (32, 1)) for seed in range(20)),
    *(mirrored(noise(seed)) for seed in range(20)),
    *(one_spot(grey) for grey in range(0, 255, 17)),
]


def expected(image: Image.Image) -> list[int]:
    turned = (image if turn is None else image.transpose(turn) for turn in TURNS)
    return [int(str(imagehash.phash(each)), 16) for each in turned]


def test_noise_flat_striped_and_symmetric_pictures_have_the_hashes_of_imagehash() -> None:
    """Where frequencies are 0 but for rounding, it must be rounded in the same way."""
    for pixels in PIXELS:
        image = Image.fromarray(pixels)
        assert hashes.phashes(image).tolist() == expected(image)


def test_imagehash_is_asked_only_where_rounding_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    real = imagehash.phash
    monkeypatch.setattr(imagehash, "phash", lambda image: asked.append(image) or real(image))
    hashes.phashes(Image.fromarray(noise(1)))
    assert not asked
    hashes.phashes(Image.new("L", (32, 32), 90))
    assert len(asked) == 8


def test_an_ordinary_photo_does_without_scipy() -> None:
    program = (
        "import sys, numpy as np; from PIL import Image; from dedupd.adapters.vision.hashes import dhash, phashes\n"
        "image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8))\n"
        "print(len(phashes(image)), dhash(image) > 0, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["8", "True", "False"]
