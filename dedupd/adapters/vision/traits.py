"""From one decoded picture to its Traits: hashes, capture facts and measures of quality.

Owns how sharpness, texture, text and JPEG quality are measured; must never open a file. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.decode import Picture, area_resize
from dedupd.adapters.vision.exif import read_facts
from dedupd.adapters.vision.hashes import dhash, phashes
from dedupd.adapters.vision.inside import inside
from dedupd.adapters.vision.kept_looks import SIDE
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.core.photo import Traits

_STANDARD_LUMINANCE_SUM = 3688
"""Sum of the 64 entries of the luminance table in JPEG (ITU-T T.81) annex K.1, which is quality 50."""


def measure(
    picture: Picture, content: str, model: str, small: NDArray[np.uint8] | None = None
) -> tuple[Traits, NDArray[np.uint64]]:
    """The Traits of `picture` and its (8,) perceptual hashes by orientation. `small`: its pixels with a long side of SIDE, at
    which all measures are taken so that resolutions are comparable, where they are at hand."""
    whole = picture.image.convert("L")
    turned = phashes(whole)
    facts = read_facts(picture.exif)
    if small is None:
        small = area_resize(np.asarray(picture.image), SIDE)
    grey = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)
    traits = Traits(
        content=content,
        recipe=RECIPE,
        model=model,
        format=picture.format,
        width=picture.width,
        height=picture.height,
        phash=int(turned[0]),
        dhash=dhash(whole),
        captured=facts.captured,
        camera=facts.camera,
        exposure=facts.exposure,
        software=facts.software,
        metadata_fields=facts.metadata_fields,
        has_gps=facts.has_gps,
        jpeg_quality=jpeg_quality(picture.quantization),
        subsampling=picture.subsampling,
        sharpness=float(cv2.Laplacian(grey, cv2.CV_32F).var()),
        texture=texture(grey),
        text_like=text_like(grey),
    )
    return traits, turned


def phashes_inside(picture: Picture) -> NDArray[np.uint64] | None:
    """(8,) perceptual hashes of the part inside plain margins; None without margins."""
    box = inside(np.asarray(picture.image))
    return None if box is None else phashes(picture.image.crop(box))


def jpeg_quality(tables: dict[int, list[int]] | None) -> float | None:
    """IJG quality, 1-100, whose scaled standard luminance table has the sum of the file's own table."""
    if not tables or len(tables.get(0, ())) != 64:
        return None
    scale = 100.0 * sum(tables[0]) / _STANDARD_LUMINANCE_SUM
    quality = (200.0 - scale) / 2.0 if scale <= 100.0 else 5000.0 / scale
    return round(min(100.0, max(1.0, quality)), 1)


def texture(grey: NDArray[np.uint8]) -> float:
    """Standard deviation, grey units, of the band between Gaussians of 1.2 and 5 px."""
    pixels = grey.astype(np.float32)
    band = cv2.GaussianBlur(pixels, (0, 0), 1.2) - cv2.GaussianBlur(pixels, (0, 0), 5.0)
    return float(band.std())


def text_like(grey: NDArray[np.uint8]) -> bool:
    """Whether strokes stand on few tones (screens, scans) or on even paper (photographed documents).

    When in doubt it says True: that only asks for a comparison at higher resolution.
    """
    tones = np.sort(np.bincount((grey // 8).ravel(), minlength=32))[-3:].sum() / grey.size
    kernel = np.ones((7, 7), np.uint8)
    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
    light = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel)
    strokes = float((np.maximum(dark, light) > 40).mean())
    if strokes < 0.005:
        return False
    if tones > 0.5:
        return True
    page = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
    lit = cv2.blur(page, (25, 25)).astype(np.float32) + 1.0
    even = float((grey / lit > 0.9).mean())
    return even > 0.65 and float(grey.mean()) > 100.0
