"""Whether the finer of two pictures of one exposure really shows finer detail, or was only enlarged.

Owns the measures of true resolution, taken from the pixels of both where they are aligned. Must never judge
by the number of pixels, and never open a file. Worker process only.

Idea: the smaller picture cannot hold anything above its Nyquist frequency. In a real photo there is detail
above it. In an enlargement there is only what interpolation left, which can be made again from the smaller
picture, and noise.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false, reportAttributeAccessIssue=false
from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.core import bars

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Affine = NDArray[np.float64]
Shift = NDArray[np.float64]

_WINDOW, _WHOLE = 160, 320
"""px of the smaller picture: side of each place that is compared, and size up to which the picture is
compared as a whole."""
_INTERPOLATIONS = (cv2.INTER_CUBIC, cv2.INTER_LINEAR, cv2.INTER_NEAREST)
_EDGE = 8
_LEAST_BLOCKS, _BLOCKED = 128, 1.07
"""px; and the ratio from which on there are JPEG blocks. 150 photos made smaller: at most 1.054. The same
saved at JPEG quality 75: 95 % above 1.13, at 85 95 % above 1.06, at 90 most."""
_IN_STEP, _WEAKER = 0.55, 0.5
"""Correlation and ratio of strength that mean sharpening or compression. Saved at JPEG quality 60, sharpened,
darkened: nine of ten correlate above 0.6, and the weaker one has more than 0.8 of the other's strength.
Enlarged from half the size, or blurred by 1.5 px: nine of ten below 0.4, with less than half the strength."""
_STEPS, _FARTHEST = 4, 4.0
_SOME = 7
"""One in so many pixels tells how local energy is spread: it is the mean of 9x9."""
_LEAST = 48
"""px; a smaller place says nothing."""

_WEIGHTS = (-1.15, -8.41, -3.36, -4.19, 8.22, -4.26, 5.19, 8.06, -6.23, -1.59)
"""Weights of a logistic regression on `features`, bias first: the log odds that the finer picture's detail is
real. Fitted on 448 pairs made of 32 photos: enlarged by 1.12 to 3, plainly, sharpened, with added grain; and
real ones sharp, soft, noisy, strongly compressed. On photos left out of the fit, 3 % of the enlargements by
1.5 and more pass for real (with grain it was every second one before the features of edges were added). Real
detail of 66 camera files called an enlargement with more than 90 %: 1 of 264 pairs. The bias was -1.53 with Lanczos in
place of `_sharper`, which makes more of an enlargement again; with this one real detail is as probable as before."""


@dataclass(frozen=True, slots=True)
class Detail:
    """The result of comparing the fine detail, for one picture."""

    enlarged: float = 0.0
    """Probability that it is an enlargement of the other; 0 when it is not the larger one."""
    blurred: bool = False
    """At the scale that both have, it lacks fine detail that the other shows."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One place of both pictures on one grid: that of the finer one, reduced to at most twice the other's
    pixels per length."""

    finer: Plane
    coarser: tuple[Plane, ...]
    """The coarser picture resampled to that grid, once for each kind of interpolation that was asked for."""
    step: float
    """Pixels of the grid for one pixel of the coarser picture."""


def was_jpeg(grey: Pixels) -> bool:
    """Whether the 8x8 blocks of a JPEG show in (H, W) grey levels at their own size, wherever the blocks
    begin."""
    if min(grey.shape) < _LEAST_BLOCKS:
        return False
    return min(_stands_out(grey), _stands_out(grey.T)) > _BLOCKED


def _stands_out(grey: Pixels) -> float:
    """How much larger the steps across every eighth column are than those across the median column."""
    x = grey[:, : (grey.shape[1] - 3) // 8 * 8 + 3].astype(np.float32)
    steps = np.minimum(np.abs(x[:, :-3] - 3 * x[:, 1:-2] + 3 * x[:, 2:-1] - x[:, 3:]), 40).mean(axis=0)
    columns = steps.reshape(-1, 8).mean(axis=0)
    return float(columns.max() / (np.median(columns) + 1e-3))


def compare(a: Pixels, b: Pixels, transform: Affine) -> tuple[Detail, Detail]:
    """The detail of two (H, W) grey pictures at full size; `transform` maps a pixel of a to one of b."""
    scale = math.sqrt(abs(float(np.linalg.det(transform[:, :2]))))
    if scale > 1:
        found = _compare(b, a, cv2.invertAffineTransform(transform), scale)
        return found[1], found[0]
    return _compare(a, b, transform, 1 / scale)


def _compare(finer: Pixels, coarser: Pixels, transform: Affine, ratio: float) -> tuple[Detail, Detail]:
    """`ratio`: pixels of the finer picture for one of the coarser, at least 1."""
    off = dict[int, Shift]()
    level = list(_places(finer, coarser, transform, ratio, off, most=1.0, ways=_INTERPOLATIONS[:1]))
    blurred = _blurred(level)
    if ratio <= bars.ENLARGED_FROM:
        return Detail(blurred=blurred[0]), Detail(blurred=blurred[1])
    places = list(_places(finer, coarser, transform, ratio, off, most=2.0))
    return Detail(enlarged=_enlarged(places), blurred=blurred[0]), Detail(blurred=blurred[1])


def _places(
    finer: Pixels,
    coarser: Pixels,
    transform: Affine,
    ratio: float,
    off: dict[int, Shift],
    most: float,
    ways: tuple[int, ...] = _INTERPOLATIONS,
) -> Iterator[_Place]:
    """`off`: how far each window is off in the coarser picture, where that is known; the coarser picture tells no more of it
    on a finer grid."""
    back = cv2.invertAffineTransform(transform)
    step = min(ratio, most)
    for number, (x, y, width, height) in enumerate(_windows(coarser.shape[1], coarser.shape[0])):
        corners = np.array([[x, y], [x + width, y], [x, y + height], [x + width, y + height]], np.float64)
        there = corners @ back[:, :2].T + back[:, 2]
        left, top = np.maximum(0, np.ceil(there.min(axis=0))).astype(int)
        right, bottom = np.minimum(finer.shape[1::-1], np.floor(there.max(axis=0))).astype(int)
        wide, high = round((right - left) * step / ratio), round((bottom - top) * step / ratio)
        if min(wide, high) < _LEAST:
            continue
        part = finer[top:bottom, left:right]
        grid = cv2.resize(part, (wide, high), interpolation=cv2.INTER_AREA).astype(np.float32)
        # From the grid to the coarser picture: the centre of the grid's pixel in the finer picture, then
        # across.
        sx, sy = (right - left) / wide, (bottom - top) / high
        to_finer = np.array([[sx, 0, left + (sx - 1) / 2], [0, sy, top + (sy - 1) / 2]], np.float64)
        way = _compose(transform, to_finer)
        if number not in off:
            off[number] = _off(grid, coarser, way)
        way = _moved(way, off[number])
        planes = tuple(_brought(coarser, way, (wide, high), each) for each in ways)
        yield _Place(grid, planes, step)


def _windows(width: int, height: int) -> list[tuple[int, int, int, int]]:
    if max(width, height) <= _WHOLE:
        return [(0, 0, width, height)]
    found: list[tuple[int, int, int, int]] = []
    w, h = min(_WINDOW, width), min(_WINDOW, height)
    for row in range(2):
        for column in range(2):
            x = round((column + 0.5) * width / 2 - w / 2)
            y = round((row + 0.5) * height / 2 - h / 2)
            found.append((min(max(0, x), width - w), min(max(0, y), height - h), w, h))
    return found


def _compose(second: Affine, first: Affine) -> Affine:
    return np.hstack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2:] + second[:, 2:]])


def _off(grid: Plane, coarser: Pixels, way: Affine) -> Shift:
    """The remaining shift of `way` (Lucas and Kanade 1981): an alignment found at 400 px is exact to a pixel or two here."""
    wanted, best = _band(grid), way
    for _ in range(_STEPS):
        found = _band(_brought(coarser, best, grid.shape[1::-1], cv2.INTER_LINEAR))
        down, across = np.gradient(found)
        slopes = np.stack([across.ravel(), down.ravel()], -1)
        gram = slopes.T @ slopes
        if np.linalg.det(gram) < 1e-3:
            return np.zeros(2)
        shift = np.linalg.solve(gram, slopes.T @ (wanted - found).ravel())
        best = _moved(best, best[:, :2] @ shift)
        if math.hypot(*shift) < 0.02:
            break
    off = best[:, 2] - way[:, 2]
    return off if np.abs(off).max() < _FARTHEST else np.zeros(2)


def _moved(way: Affine, off: Shift) -> Affine:
    return np.hstack([way[:, :2], way[:, 2:] + off[:, None]])


def _brought(picture: Pixels, way: Affine, size: tuple[int, int], how: int) -> Plane:
    """`picture` resampled to a grid of `size`; `way` maps a pixel of the grid to one of the picture."""
    flags = how | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(picture, way, size, flags=flags, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)


def _band(plane: Plane) -> Plane:
    return cv2.GaussianBlur(plane, (0, 0), 1.0) - cv2.GaussianBlur(plane, (0, 0), 4.0)


def _above(plane: Plane, step: float) -> Plane:
    """The part of `plane` that a picture with `step` times fewer pixels per length cannot hold; without the
    rim."""
    size = (max(1, round(plane.shape[1] / step)), max(1, round(plane.shape[0] / step)))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return (plane - cv2.resize(small, plane.shape[1::-1], interpolation=cv2.INTER_CUBIC))[
        _EDGE:-_EDGE, _EDGE:-_EDGE
    ]


def features(places: list[_Place]) -> tuple[float, ...] | None:
    """Features of what is above the coarser picture's Nyquist frequency: log of its strength beside the
    octave below; the same of the part that cannot be made from the coarser picture; the share that can; log
    of the strength of the rest in grey levels; and, to tell detail from grain, which is everywhere:
    `_at_edges`."""
    if not places:
        return None
    step = places[0].step
    above = [_above(p.finer, step) for p in places]
    under = [_octave_below(p.coarser[0], step) for p in places]
    y, below = _joined(above), _joined(under)
    ways = [[place.coarser[n] for place in places] for n in range(len(_INTERPOLATIONS))]
    ways.append([_sharper(place.coarser[0]) for place in places])
    made = np.stack([_joined([_above(plane, step) for plane in planes]) for planes in ways])
    gram = made @ made.T + np.eye(len(made), dtype=np.float32) * 1e-3 * len(y)
    rest = y - np.linalg.solve(gram, made @ y) @ made
    strength, left = float(y.std()) + 1e-3, float(rest.std()) + 1e-3
    octave = float(below.std()) + 0.5
    made_again = 1 - min(1.0, (left / strength) ** 2)
    overall = math.log(strength / octave), math.log(left / octave), made_again, math.log(left), math.log(step)
    parts = np.split(rest, np.cumsum([plane.size for plane in above])[:-1])
    rests = [part.reshape(plane.shape) for part, plane in zip(parts, above, strict=True)]
    return *overall, *_at_edges(_energy(rests), _energy(above), _energy(under))


def _sharper(plane: Plane) -> Plane:
    """With what a longer kernel leaves beyond edges: the three interpolations and this make any Lanczos, which itself would
    take as long as all of them."""
    return cv2.add(plane, cv2.Laplacian(cv2.Laplacian(plane, cv2.CV_32F), cv2.CV_32F))


def _at_edges(rest: Plane, above: Plane, under: Plane) -> tuple[float, ...]:
    """How much more local energy there is at edges (by the octave below) than on even ground: log of the rest
    beside that octave; the share of it in all; how strongly the rest follows that octave; and log of the rest
    on even ground."""
    flat, edged = np.quantile(under[::_SOME], (0.3, 0.9))
    low, high = np.flatnonzero(under <= flat), np.flatnonzero(under >= edged)
    (rest_low, rest_high), (low_energy, high_energy), (under_low, under_high) = (
        (float(energy.take(low).mean()), float(energy.take(high).mean())) for energy in (rest, above, under)
    )
    more_rest, more = max(0.0, rest_high - rest_low), max(0.0, high_energy - low_energy)
    more_under = max(0.0, under_high - under_low)
    return (
        0.5 * math.log((more_rest + 0.01) / (more_under + 0.25)),
        more_rest / (more + 0.05) if more > 0 else 1.0,
        _in_step(np.log(rest[::_SOME] + 0.05), np.log(under[::_SOME] + 0.05)),
        0.5 * math.log(rest_low + 0.01),
    )


def _in_step(x: Plane, y: Plane) -> float:
    """Correlation of (N,) x and y; 0 when one is the same everywhere."""
    x, y = x - float(x.mean(dtype=np.float64)), y - float(y.mean(dtype=np.float64))
    size = math.sqrt(float(x @ x) * float(y @ y))
    return float(x @ y) / size if size > 0 else 0.0


def _joined(planes: list[Plane]) -> Plane:
    return np.concatenate([plane.ravel() for plane in planes])


def _energy(planes: list[Plane]) -> Plane:
    return _joined([cv2.blur(np.square(plane), (9, 9)) for plane in planes])


def _octave_below(plane: Plane, step: float) -> Plane:
    band = cv2.GaussianBlur(plane, (0, 0), 0.8 * step) - cv2.GaussianBlur(plane, (0, 0), 1.6 * step)
    return band[_EDGE:-_EDGE, _EDGE:-_EDGE]


def _enlarged(places: list[_Place]) -> float:
    found = features(places)
    if found is None:
        return 0.0
    bias, *weights = _WEIGHTS
    z = bias + sum(w * value for w, value in zip(weights, found, strict=True))
    return round(1 / (1 + math.exp(min(50.0, max(-50.0, z)))), 3)


def sharpness(places: list[_Place]) -> tuple[float, float]:
    """Of the finest octave that both can hold: the strength of the finer picture's beside the coarser one's,
    relative to the octave below (a tone edit changes both), and their correlation."""
    one = np.concatenate([_above(place.finer, 2.0).ravel() for place in places])
    other = np.concatenate([_above(place.coarser[0], 2.0).ravel() for place in places])
    one_below = np.concatenate([_octave_below(place.finer, 2.0).ravel() for place in places])
    other_below = np.concatenate([_octave_below(place.coarser[0], 2.0).ravel() for place in places])
    x, y = float(one.std()) + 0.1, float(other.std()) + 0.1
    alike = float((one * other).mean()) / (x * y)
    return x / y * (float(other_below.std()) + 0.1) / (float(one_below.std()) + 0.1), alike


def _blurred(places: list[_Place]) -> tuple[bool, bool]:
    """Whether detail is gone: sharpening and compression keep its correlation; blur and enlarging remove it."""
    if not places:
        return False, False
    ratio, alike = sharpness(places)
    lost = alike < _IN_STEP
    return lost and ratio < _WEAKER, lost and ratio > 1 / _WEAKER
