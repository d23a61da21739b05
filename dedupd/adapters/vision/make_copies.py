"""Generates copies of a photo and measures their cosine with it: a model's thresholds are computed from
these.

Owns which copies are made; must never write a picture to disk. Worker process only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from os import fsdecode

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.decode import SHORT_SIDE, Refused, decode, opened
from dedupd.adapters.vision.embedders.base import Embedder


def copies(image: Image.Image) -> Iterator[Image.Image]:
    """Copies as messengers, galleries and owners make them, of an RGB picture. Turned ones are found by the
    hashes."""
    wide, high = image.size
    yield _recompressed(image, quality=40)
    yield _recompressed(image.resize((max(8, wide // 4), max(8, high // 4)), Image.Resampling.LANCZOS), 70)
    for share in (0.05, 0.1):
        left, top = round(wide * share), round(high * share)
        yield image.crop((left, top, wide - left, high - top))
    yield ImageEnhance.Brightness(image).enhance(1.3)
    yield ImageEnhance.Color(ImageEnhance.Contrast(image).enhance(1.3)).enhance(0.6)
    yield image.convert("L").convert("RGB")
    yield ImageOps.expand(image, border=max(wide, high) // 20, fill=(255, 255, 255))


def cosines_of_copies(file: messages.FileToRead, embedder: Embedder) -> messages.Copied:
    """The cosine of each copy with its original; empty when the file cannot be read now."""
    path = fsdecode(file.path)
    try:
        with opened(path, file.stat) as stream:
            image = decode(stream, path, short_side=max(SHORT_SIDE, embedder.side)).image
    except (Refused, OSError):
        return messages.Copied(key=file.key, cosines=[])
    vectors = embedder.embed(np.stack([embedder.prepare(each) for each in (image, *copies(image))]))
    cosines = np.clip(vectors[1:].astype(np.float64) @ vectors[0].astype(np.float64), -1.0, 1.0)
    return messages.Copied(key=file.key, cosines=[round(float(cosine), 5) for cosine in cosines])


def _recompressed(image: Image.Image, quality: int) -> Image.Image:
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(held).convert("RGB")
