"""Perceptual hashes of a small upright picture, in all eight orientations.

Owns the definition of the hashes, which recipe.py versions; must never open a file. Worker process only.
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


def phashes(image: Image.Image) -> NDArray[np.uint64]:
    """(8,) perceptual hashes (DCT, imagehash.phash) of `image` in each orientation; [0] is upright."""
    grey = image.convert("L").resize((_THUMB, _THUMB), Image.Resampling.LANCZOS)
    turned = (grey if turn is None else grey.transpose(turn) for turn in _ORIENTATIONS)
    return np.array([_bits(imagehash.phash(each)) for each in turned], dtype=np.uint64)


def dhash(image: Image.Image) -> int:
    """Difference hash (imagehash.dhash), 64 bits."""
    return _bits(imagehash.dhash(image))


def _bits(value: imagehash.ImageHash) -> int:
    return int.from_bytes(np.packbits(value.hash.ravel()).tobytes(), "big")
