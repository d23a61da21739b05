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

SIDE = 2400
"""px of the long side, at most: a letter eight pixels high in a photo of three megapixels is still one there."""
_FLOW_SIDE = 600
"""px. Flow as coarse as this follows a hand that shook and people who walked; it cannot bend one letter into another."""
_PATCH = 8
"""px that flow compares at a time. Pictures in which there is no room for that are compared as they lie."""
_FINE, _COARSE, _BOX, _FLOOR = 0.7, 3.0, 7, 6.0
"""The band that is compared, in px; the boxes in which it is; grey levels that noise and compression may make."""
_UNLIKE = 0.75
_AROUND, _STILL = 0.985, 1.0
"""Correlation that four fifths of the surroundings reach, and px that flow moves them. Of 39 labelled bursts and 95 more
no island is in better surroundings, or it is a car, a fingertip, a glint."""
_WITHIN, _RING, _SPARED = 5, 25, 7
"""px: what lies around an island, without its rim; and the rim of the overlap."""
_REACH = 12
"""px: found again within these, it only moved."""
_MOVED_LEAVES, _BETTER = 0.2, 0.4
"""What moved is found again this well, and this much better than at rest: a light on a dark wall, three pixels on."""
_MOST_SIDE, _MOST = 300, 1000
"""px of an island, and how many are looked at."""
_ROWS, _MARGIN = 512, 16
"""Rows that are compared at a time: the planes of a whole picture would take ten times its bytes."""
_LEVELS = 250
"""Correlations are kept as whole numbers up to this."""


def island(x: Pixels, y: Pixels, inside: Mask) -> float:
    """How little the least alike island of two (H, W) grey pictures, laid over each other, is found again near its place in
    the other: 0 (it is, or there is none) to 1 and more. Only where `inside` is true."""
    flow = _flow(x, y)
    alike = _alike(x, y, flow)
    inner = cv2.erode(
        inside.view(np.uint8), _square(2 * _SPARED + 1), borderType=cv2.BORDER_CONSTANT, borderValue=0
    )
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
    """Local correlation, 0 to `_LEVELS`, as they lie or after the flow: whichever is higher."""
    height, width = x.shape
    alike = np.empty_like(x)
    columns = np.arange(width, dtype=np.float32)[None]
    for top in range(0, height, _ROWS):
        first, last = max(0, top - _MARGIN), min(height, top + _ROWS + _MARGIN)
        part = slice(first, last)
        moved = _rows(flow, (height, width), first, last)
        rows = np.arange(first, last, dtype=np.float32)[:, None]
        followed = cv2.remap(
            x, columns + moved[..., 0], rows + moved[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        target = _band(y[part])
        best = cv2.max(_correlation(_band(x[part]), target), _correlation(_band(followed), target))
        kept = slice(top - first, min(top + _ROWS, height) - first)
        alike[top : top + _ROWS] = cv2.convertScaleAbs(np.maximum(best[kept], 0), alpha=_LEVELS)
    return alike


def _rows(flow: Plane, size: tuple[int, int], first: int, last: int) -> Plane:
    """These rows of the flow, enlarged to (H, W)."""
    height, width = size
    way = np.array(
        [[flow.shape[1] / width, 0, 0], [0, flow.shape[0] / height, first * flow.shape[0] / height]]
    )
    way[:, 2] += (way[0, 0] - 1) / 2, (way[1, 1] - 1) / 2
    return cv2.warpAffine(
        flow,
        way,
        (width, last - first),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _band(picture: Pixels) -> Plane:
    level = picture.astype(np.float32)
    return cv2.GaussianBlur(level, (0, 0), _FINE) - cv2.GaussianBlur(level, (0, 0), _COARSE)


def _correlation(one: Plane, other: Plane) -> Plane:
    box = (_BOX, _BOX)
    both, of_one, of_other = (
        cv2.blur(cv2.multiply(p, q), box) + _FLOOR**2 for p, q in ((one, other), (one, one), (other, other))
    )
    return both / np.sqrt(of_one * of_other)


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
        if around.size < _RING or np.quantile(around, 0.2) < _AROUND * _LEVELS:
            continue
        coarse = tuple(
            slice(at.start * of // whole, max(at.start * of // whole + 1, at.stop * of // whole))
            for at, of, whole in zip(near, flow.shape, alike.shape, strict=False)
        )
        if np.median(np.hypot(flow[coarse][..., 0], flow[coarse][..., 1])) <= _STILL:
            yield _grown(top, h, 3, height), _grown(left, w, 3, width)


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
