"""How a model's small picture is made from a photo, without the model: a resize that Pillow does.

Owns the search for it: a model's own preprocessing is compared with each known way, and only one that gives
exactly the same numbers counts. Must never guess.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.embedders.base import FITS, RESAMPLES, Embedder, Shape

_PROBES = ((640, 480), (301, 517), (224, 224), (1021, 337))
"""Sizes (px); random pixels tell any two ways apart."""


def picture(image: Image.Image, shape: Shape) -> NDArray[np.uint8]:
    """(side, side, 3): the whole photo squashed, or its middle cropped."""
    image = image.convert("RGB")
    way = Image.Resampling[shape.resample.upper()]
    side, (width, height) = shape.side, image.size
    if shape.fit == "squash":
        return np.asarray(image.resize((side, side), way), dtype=np.uint8)
    short = min(width, height)
    width, height = (side * width // short, side * height // short)
    left, top = round((width - side) / 2.0), round((height - side) / 2.0)
    return np.asarray(
        image.resize((width, height), way).crop((left, top, left + side, top + side)), dtype=np.uint8
    )


class ShapedPictures:
    """Resizes pictures for an embedder that is elsewhere, or not loaded yet."""

    def __init__(self, shape: Shape, side: int) -> None:
        self._shape, self.side = shape, side

    def prepare(self, image: Image.Image) -> NDArray[np.uint8]:
        return picture(image, self._shape)


def shape_of(embedder: Embedder) -> Shape | None:
    """How its pictures are made; None: in a way of its own, so that it can only run where the photos are."""
    random = np.random.default_rng(0)
    probes = [
        Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        for width, height in _PROBES
    ]
    ways = (
        Shape(side=embedder.side, fit=fit, resample=resample, dimensions=embedder.dimensions)
        for fit in FITS
        for resample in RESAMPLES
    )
    return next((way for way in ways if all(_same(embedder, probe, way) for probe in probes)), None)


def _same(embedder: Embedder, image: Image.Image, way: Shape) -> bool:
    return np.array_equal(embedder.prepare(image), embedder.prepare(Image.fromarray(picture(image, way))))
