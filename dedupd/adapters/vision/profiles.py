"""Colour spaces: embedded ICC profiles, Lab and CMYK, converted to sRGB (littlecms, in Pillow).

Owns the choice of the transform. Must never fail because of what a file says about its colours: a broken
profile is ignored. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Pixels = NDArray[np.uint8]

_LARGEST = 4 << 20
"""Bytes of a profile, at most: those of printing presses have about 2 MB."""
_SPACE = slice(16, 20)
"""Where an ICC header names the colour space."""
_ALIKE = 6
"""Levels: a profile that changes no colour by more counts as sRGB, whatever its name."""
_LEAVES = 10
"""Levels by which a colour outside sRGB does not come back from sRGB; rounding and compression change less.
"""
_PROBE = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).astype(np.uint8)] * 3), -1).reshape(27, 27, 3)

_Ways = tuple[ImageCms.ImageCmsTransform, ImageCms.ImageCmsTransform]


def in_srgb(pixels: Pixels, profile: bytes) -> Pixels:
    """(H, W, 3) values in `profile` converted to sRGB; `pixels` themselves when that changes nothing."""
    ways = _ways(profile)
    return pixels if ways is None else _through(ways[0], pixels)


def differs_from_srgb(profile: bytes) -> bool:
    """Whether values in `profile` are converted at all."""
    return _ways(profile) is not None


def picture_in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """The same for an RGB picture, which is not copied."""
    ways = _ways(profile)
    return image if ways is None else ways[0].apply(image)


def beyond_srgb(pixels: Pixels, profile: bytes) -> float:
    """The share of (H, W, 3) values in `profile` whose colours sRGB cannot show, because they do not come
    back from it."""
    ways = _ways(profile)
    if ways is None:
        return 0.0
    apart = np.abs(_through(ways[1], _through(ways[0], pixels)).astype(np.int16) - pixels)
    return round(float((apart.max(axis=2) > _LEAVES).mean()), 4)


def rgb_of(image: Image.Image) -> Image.Image:
    """A Lab or CMYK picture in RGB."""
    found = _to_srgb(image.mode, image.info.get("icc_profile") or b"")
    return image.convert("RGB") if found is None else found.apply(image)


def _through(way: ImageCms.ImageCmsTransform, pixels: Pixels) -> Pixels:
    return np.asarray(way.apply(Image.fromarray(pixels)), np.uint8)


@lru_cache(maxsize=16)
def _ways(profile: bytes) -> _Ways | None:
    """The transforms to sRGB and back; None for sRGB itself, for values other than RGB and for what littlecms
    cannot read."""
    if profile[_SPACE] != b"RGB ":
        return None
    try:
        there = _transform(_opened(profile), _SRGB, "RGB", "RGB")
        back = _transform(_SRGB, _opened(profile), "RGB", "RGB")
        changed = np.abs(_through(there, _PROBE).astype(np.int16) - _PROBE).max()
    except Exception:  # noqa: BLE001
        # Pillow raises many kinds of errors for a hostile profile.
        return None
    return (there, back) if changed > _ALIKE else None


@lru_cache(maxsize=4)
def _to_srgb(mode: str, profile: bytes) -> ImageCms.ImageCmsTransform | None:
    try:
        if mode == "LAB":
            return _transform(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), _SRGB, "LAB", "RGB")
        return _transform(_opened(profile), _SRGB, mode, "RGB") if profile[_SPACE] == b"CMYK" else None
    except Exception:  # noqa: BLE001
        # As above; then Pillow's own conversion is used.
        return None


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    if len(profile) > _LARGEST:
        raise ValueError("too large for a profile")
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _transform(
    source: ImageCms.ImageCmsProfile, target: ImageCms.ImageCmsProfile, mode: str, into: str
) -> ImageCms.ImageCmsTransform:
    return ImageCms.ImageCmsTransform(source, target, mode, into, ImageCms.Intent.RELATIVE_COLORIMETRIC)


_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
