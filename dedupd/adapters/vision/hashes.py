"""Perceptual hashes of a small upright picture, in all eight orientations.

Owns the definition of the hashes, which recipe.py versions: they are imagehash's, to the bit. Must never open a file.
Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
from __future__ import annotations

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

RADIUS = 10
"""Perceptual hashes within this many of 64 bits, in any orientation, propose a pair."""

_THUMB = 32
"""Side in px of the grey thumbnail from which phash is computed; turning it costs nothing."""
_ORIENTATIONS = (
    None,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)


_LOWEST = 8
"""Frequencies of each direction that make up the hash."""
_WAVES = 2 * np.cos(np.outer(np.arange(_LOWEST), 2 * np.arange(_THUMB) + 1) * (np.pi / (2 * _THUMB)))
"""(8, 32) the lowest waves of a DCT, scaled as scipy does."""
_CLEAR = 1e-5
"""A gap around the median that no rounding closes: it moves frequencies, which are up to a million, by some 1e-8."""


def phashes(image: Image.Image) -> NDArray[np.uint64]:
    """(8,) perceptual hashes (DCT, imagehash.phash) of `image` in each orientation; [0] is upright."""
    grey = image.convert("L").resize((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    turned = (grey if turn is None else grey.transpose(turn) for turn in _ORIENTATIONS)
    return np.array([_phash(each) for each in turned], dtype=np.uint64)


def _phash(grey: Image.Image) -> int:
    """imagehash.phash of a thumbnail.

    That loads scipy, a fifth of a worker's start, so it is asked only where its way of rounding counts: in flat and
    symmetric pictures most frequencies are nothing else.
    """
    found = (_WAVES @ np.asarray(grey, np.float64) @ _WAVES.T).ravel()
    below, above = np.sort(found)[len(found) // 2 - 1 :][:2]
    if above - below < _CLEAR:
        return _bits(imagehash.phash(grey))
    return _packed(found > (below + above) / 2)


def dhash(image: Image.Image) -> int:
    """Difference hash (imagehash.dhash), 64 bits."""
    return _bits(imagehash.dhash(image))


def _bits(value: imagehash.ImageHash) -> int:
    return _packed(value.hash.ravel())


def _packed(bits: NDArray[np.bool_]) -> int:
    return int.from_bytes(np.packbits(bits).tobytes(), "big")
