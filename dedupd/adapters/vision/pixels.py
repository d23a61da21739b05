"""From a Pillow picture to an array of its pixels, without the copies that cost as much as decoding it.

Pillow's own way packs a picture into hundreds of strings and joins them: for 12 Mpixel as much time as the decoder took.
Read in place through its Arrow interface, one copy is left, which drops the unused fourth byte of each pixel; grey levels need
none.

Owns that way; must never open a file. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

_LARGE = 1_000_000
"""Pixels below which Pillow's own way costs next to nothing."""

# A picture in one piece of memory: in several it cannot be read in place.
Image.core.set_use_block_allocator(1)


def pixels_of(image: Image.Image) -> NDArray[np.uint8]:
    """(H, W, 3) levels of an RGB picture, (H, W) of a grey one (L): those may be read-only."""
    if image.width * image.height < _LARGE:
        return np.asarray(image)
    import pyarrow as pa

    image.load()
    levels = pa.array(image)
    if image.mode == "L":
        return levels.to_numpy(zero_copy_only=True).reshape(image.height, image.width)
    levels = levels.flatten().to_numpy(zero_copy_only=True)
    return np.asarray(
        cv2.cvtColor(levels.reshape(image.height, image.width, 4), cv2.COLOR_RGBA2RGB), np.uint8
    )
