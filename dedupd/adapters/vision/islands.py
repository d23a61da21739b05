"""Finds islands: small places where two shots show something else while all around them lies exactly.

Owns that one measure. A digit of a number plate, a hand of a clock, a piece on a board, closed eyes: there the place
holds still and only what it shows differs. What moves by itself takes its surroundings along, or is found again a few
pixels on. Must never align and never judge. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportOperatorIssue=false, reportAssignmentType=false
from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.masked import Mask

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Band = NDArray[np.int16]

SIDE = 2000
"""px of the long side, at most: a letter eight pixels high in a photo of three megapixels is still one there, and a JPEG of
twelve is decoded to half its size for the closer look already."""
_FLOW_SIDE = 600
"""px. Flow as coarse as this follows a hand that shook and people who walked; it cannot bend one letter into another."""
_PATCH = 8
"""px that flow compares at a time. Pictures in which there is no room for that are compared as they lie."""
_FINE, _COARSE, _PARTS = 0.7, 3.0, 64
"""The band that is compared, in px; in so many parts of a grey level."""
_BOX, _FLOOR = 3, 6.0
"""The boxes in which it is compared, in px at half the size; grey levels that noise and compression may make."""
_UNLIKE = 0.75
_AROUND, _STILL = 0.985, 1.0
"""Correlation that four fifths of the surroundings reach, and px that flow moves them. Of 39 labelled bursts and 95 more
no island is in better surroundings, or it is a car, a fingertip, a glint."""
_WITHIN, _RING, _SPARED = 3, 13, 7
"""px at half the size: what lies around an island, without its rim; and the rim of the overlap."""
_REACH = 12
"""px: found again within these, it only moved."""
_MOVED_LEAVES, _BETTER = 0.2, 0.4
"""What moved is found again this well, and this much better than at rest: a light on a dark wall, three pixels on."""
_MOST_SIDE, _MOST = 150, 1000
"""px of an island, at half the size, and how many are looked at."""
_ROWS, _MARGIN = 512, 16
"""Rows that are compared at a time: the planes of a whole picture would take ten times its bytes."""
_LEVELS = 250
"""Correlations are kept as whole numbers up to this."""


def island(x: Pixels, y: Pixels, inside: Mask) -> float:
    """How little the least alike island of two (H, W) grey pictures, laid over each other, is found again near its place in
    the other: 0 (it is, or there is none) to 1 and more. Only where `inside` is true."""
    height, width = (side - side % 2 for side in x.shape)
    x, y, inside = x[:height, :width], y[:height, :width], inside[:height, :width]
    if min(x.shape) < 2:  # a line of pixels has no place with something around it
        return 0.0
    flow = _flow(x, y)
    alike = _alike(x, y, flow)
    inner = np.ascontiguousarray(inside[::2, ::2]).view(np.uint8)
    inner = cv2.erode(inner, _square(_SPARED), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    unlike = cv2.dilate((alike < _UNLIKE * _LEVELS).view(np.uint8) & inner, _square(_WITHIN)) & inner
    x, y = (cv2.GaussianBlur(picture, (0, 0), 0.8) for picture in (x, y))
    return max((_another(x, y, *place) for place in _islands(alike, unlike, inner, flow)), default=0.0)


def _flow(x: Pixels, y: Pixels) -> Plane:
    """(h, w, 2): px by which each place of y lies elsewhere in x; coarse, in pixels of the whole."""
    shrink = min(1.0, _FLOW_SIDE / max(x.shape))
    finest = 2 if shrink < 1 else 3
    # OpenCV reads beyond pictures that hold less than one of its patches at that scale, and the process ends.
    if min(x.shape) * shrink < _PATCH << finest:
        return np.zeros((*x.shape, 2), np.float32)
    small = [cv2.resize(p, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA) for p in (x, y)]
    follow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    follow.setFinestScale(finest)
    return np.asarray(follow.calc(small[1], small[0], None) / shrink, np.float32)


def _alike(x: Pixels, y: Pixels, flow: Plane) -> Pixels:
    """Local correlation of every second pixel, 0 to `_LEVELS`, as they lie or after the flow: whichever is higher."""
    height, width = x.shape
    alike = np.empty((height // 2, width // 2), np.uint8)
    way = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    way[..., 0] += np.arange(width, dtype=np.float32)
    way[..., 1] += np.arange(height, dtype=np.float32)[:, None]
    for top in range(0, height, _ROWS):
        first, last = max(0, top - _MARGIN), min(height, top + _ROWS + _MARGIN)
        part = slice(first, last)
        followed = cv2.remap(x, way[part], None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        target = _band(y[part])
        of_target = _nearby(target, target)
        best = cv2.max(*(_correlation(_band(each), target, of_target) for each in (x[part], followed)))
        kept = slice((top - first) // 2, (min(top + _ROWS, height) - first) // 2)
        alike[top // 2 : (top + _ROWS) // 2] = cv2.convertScaleAbs(np.maximum(best[kept], 0), alpha=_LEVELS)
    return alike


def _band(picture: Pixels) -> Band:
    level = cv2.multiply(picture, _PARTS, dtype=cv2.CV_16S)
    fine, coarse = (cv2.GaussianBlur(level, (0, 0), sigma) for sigma in (_FINE, _COARSE))
    return cv2.subtract(fine, coarse)


def _correlation(one: Band, other: Band, of_other: Plane) -> Plane:
    both, of_one = _nearby(one, other), _nearby(one, one)
    cv2.multiply(of_one, of_other, of_one)
    return cv2.divide(both, cv2.sqrt(of_one, of_one), both)


def _nearby(one: Band, other: Band) -> Plane:
    """The mean product around every second pixel."""
    product = cv2.multiply(one, other, scale=1 / _PARTS**2, dtype=cv2.CV_32F)
    height, width = product.shape
    halved = cv2.resize(product, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.add(cv2.blur(halved, (_BOX, _BOX)), _FLOOR**2)


def _islands(alike: Pixels, unlike: Pixels, inner: Pixels, flow: Plane) -> Iterator[tuple[slice, slice]]:
    """The rows and columns of what differs where all around it is alike and holds still."""
    height, width = alike.shape
    _, labels, found, _ = cv2.connectedComponentsWithStats(unlike, connectivity=8)
    found = found[1:]
    for label in np.argsort(-found[:, cv2.CC_STAT_AREA], kind="stable")[:_MOST]:
        left, top, w, h = (int(value) for value in found[label, :4])
        if max(w, h) > _MOST_SIDE:
            continue
        near = _grown(top, h, _RING // 2 + 1, height), _grown(left, w, _RING // 2 + 1, width)
        here = (labels[near] == label + 1).view(np.uint8)
        ring = cv2.dilate(here, _square(_RING)) & ~cv2.dilate(here, _square(_WITHIN)) & inner[near]
        around = alike[near][ring > 0]
        if around.size < _RING or np.count_nonzero(around < _AROUND * _LEVELS) > around.size / 5:
            continue
        coarse = tuple(
            slice(at.start * of // whole, max(at.start * of // whole + 1, at.stop * of // whole))
            for at, of, whole in zip(near, flow.shape, alike.shape, strict=False)
        )
        if np.median(np.hypot(flow[coarse][..., 0], flow[coarse][..., 1])) <= _STILL:
            yield _grown(2 * top, 2 * h, 3, 2 * height), _grown(2 * left, 2 * w, 3, 2 * width)


def _another(x: Pixels, y: Pixels, rows: slice, columns: slice) -> float:
    """How little this place of the one is found near there in the other, the worse of both ways."""
    near = (
        _grown(rows.start, rows.stop - rows.start, _REACH, x.shape[0]),
        _grown(columns.start, columns.stop - columns.start, _REACH, x.shape[1]),
    )
    at_rest = rows.start - near[0].start, columns.start - near[1].start
    return max(
        _missing(cv2.matchTemplate(there[near], here[rows, columns], cv2.TM_CCOEFF_NORMED), at_rest)
        for here, there in ((x, y), (y, x))
    )


def _missing(found: Plane, at_rest: tuple[int, int]) -> float:
    """How little it is found where it is found best; 0 when that is elsewhere, and much better than at rest."""
    best, there = 1 - float(found.max()), 1 - float(found[at_rest])
    return 0.0 if best <= _MOVED_LEAVES and best <= _BETTER * there else best


def _grown(start: int, length: int, by: int, most: int) -> slice:
    return slice(max(0, start - by), min(most, start + length + by))


def _square(side: int) -> Pixels:
    return np.ones((side, side), np.uint8)
