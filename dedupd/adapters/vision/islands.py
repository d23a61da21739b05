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
Counts = NDArray[np.int32]

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
_NEAR = _RING // 2 + 1
"""px at half the size, on each side: an island with all that lies around it."""
_REACH = 12
"""px: found again within these, it only moved."""
_MOVED_LEAVES, _BETTER = 0.2, 0.4
"""What moved is found again this well, and this much better than at rest: a light on a dark wall, three pixels on."""
_MOST_SIDE, _MOST = 150, 1000
"""px of an island, at half the size, and how many are looked at, of those that hold still: the largest."""
_ROWS, _STRIP, _MARGIN = 512, 96, 16
"""Rows that are compared at a time: the planes of a whole picture would take ten times its bytes. Fewer after the flow, so
that what need not be compared is left out. And what blurs reach beyond them, in px. All even."""
_LEVELS = 250
"""Correlations are kept as whole numbers up to this."""


def island(x: Pixels, y: Pixels, inside: Mask) -> float:
    """How little the least alike island of two (H, W) grey pictures, laid over each other, is found again near its place in
    the other: 0 (it is, or there is none) to 1 and more. Only where `inside` is true."""
    height, width = (side - side % 2 for side in x.shape)
    x, y, inside = x[:height, :width], y[:height, :width], inside[:height, :width]
    if min(x.shape) < 2:  # a line of pixels has no place with something around it
        return 0.0
    inner = np.ascontiguousarray(inside[::2, ::2]).view(np.uint8)
    inner = cv2.erode(inner, _square(_SPARED), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    still = _Still(y)
    alike = still.alike_at_rest(x)
    unlike = _unlike(alike, inner)
    if not unlike.any():
        return 0.0
    flow = _flow(x, y)
    unmoved = cv2.magnitude(flow[..., 0], flow[..., 1]) <= _STILL
    _follow(x, still, flow, _around(_Places(unlike), unmoved), alike)
    found = list(_islands(alike, inner, _Places(_unlike(alike, inner)), unmoved))
    if not found:
        return 0.0
    x, y = (cv2.GaussianBlur(picture, (0, 0), 0.8) for picture in (x, y))
    return max(_another(x, y, *place) for place in found)


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


class _Still:
    """The picture that lies still, as it is compared: with another as that lies over it, and as flow brings it there."""

    def __init__(self, picture: Pixels) -> None:
        height, width = picture.shape
        self._columns = slice(0, width)
        self._rows = [slice(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS)]
        self._band = np.empty((height, width), np.int16)
        self._energy = np.empty((height // 2, width // 2), np.float32)
        for rows in self._rows:
            part, kept = _with_margin(rows, height)
            band = _band(picture[part])
            self._band[rows], self._energy[_half(rows)] = band[kept], _nearby(band, band)[_half(kept)]

    def alike_at_rest(self, other: Pixels) -> Pixels:
        """Local correlation of every second pixel, 0 to `_LEVELS`, as they lie."""
        alike = np.empty(self._energy.shape, np.uint8)
        for rows in self._rows:
            part, kept = _with_margin(rows, len(other))
            alike[_half(rows)] = self.alike(other[part], part, self._columns)[_half(kept)]
        return alike

    def alike(self, other: Pixels, rows: slice, columns: slice) -> Pixels:
        """The same of a picture that lies over these rows and columns."""
        band = _band(other)
        both, energy = _nearby(band, self._band[rows, columns]), _nearby(band, band)
        cv2.multiply(energy, self._energy[_half(rows), _half(columns)], energy)
        alike = cv2.divide(both, cv2.sqrt(energy, energy), both)
        return cv2.convertScaleAbs(np.maximum(alike, 0), alpha=_LEVELS)


def _around(places: _Places, unmoved: Mask) -> Mask:
    """Where it matters whether flow finds what differs: a place that moves as a whole holds no island."""
    may = np.concatenate(([False], places.around(unmoved)[0] > 0))[places.labels]
    return cv2.dilate(may.view(np.uint8), _square(_RING)).view(bool)


def _follow(x: Pixels, still: _Still, flow: Plane, wanted: Mask, alike: Pixels) -> None:
    """Raise `alike`, where `wanted`, to the correlation after the flow, if that is higher."""
    height, width = x.shape
    way = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
    for top in range(0, height, _STRIP):
        rows = slice(top, min(top + _STRIP, height))
        down, kept_down = _with_margin(rows, height)
        for columns in _runs(wanted[_half(rows)].any(axis=0)):
            across, kept_across = _with_margin(columns, width)
            there = way[down, across].copy()
            there[..., 0] += np.arange(across.start, across.stop, dtype=np.float32)
            there[..., 1] += np.arange(down.start, down.stop, dtype=np.float32)[:, None]
            followed = cv2.remap(x, there, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
            found = still.alike(followed, down, across)[_half(kept_down), _half(kept_across)]
            here = alike[_half(rows), _half(columns)]
            np.maximum(here, found, out=here)


def _runs(wanted: Mask) -> Iterator[slice]:
    """Columns of the whole that hold these of half the size: one run where the gap costs less than two margins."""
    columns = np.flatnonzero(wanted)
    for run in np.split(columns, np.flatnonzero(np.diff(columns) > _MARGIN) + 1):
        if run.size:
            yield slice(2 * int(run[0]), 2 * int(run[-1]) + 2)


def _with_margin(part: slice, most: int) -> tuple[slice, slice]:
    """The part with all that its blurs reach, and its place in that."""
    grown = _grown(part.start, part.stop - part.start, _MARGIN, most)
    return grown, slice(part.start - grown.start, part.stop - grown.start)


def _half(part: slice) -> slice:
    return slice(part.start // 2, part.stop // 2)


def _band(picture: Pixels) -> Band:
    level = np.multiply(picture, _PARTS, dtype=np.int16)
    fine, coarse = (cv2.GaussianBlur(level, (0, 0), sigma) for sigma in (_FINE, _COARSE))
    return cv2.subtract(fine, coarse)


def _nearby(one: Band, other: Band) -> Plane:
    """The mean product around every second pixel."""
    product = cv2.multiply(one, other, scale=1 / _PARTS**2, dtype=cv2.CV_32F)
    height, width = product.shape
    halved = cv2.resize(product, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.add(cv2.blur(halved, (_BOX, _BOX)), _FLOOR**2)


def _unlike(alike: Pixels, inner: Pixels) -> Pixels:
    return cv2.dilate((alike < _UNLIKE * _LEVELS).view(np.uint8) & inner, _square(_WITHIN)) & inner


class _Places:
    """What differs, place by place: that at index 0 has label 1."""

    def __init__(self, unlike: Pixels) -> None:
        # The default way takes nearly twice as long.
        found = cv2.connectedComponentsWithStatsWithAlgorithm(unlike, 8, cv2.CV_32S, cv2.CCL_BBDT)
        self.labels: Counts = found[1]
        self.boxes: Counts = found[2][1:, :4]
        """Left, top, width and height of each."""
        self.areas: Counts = found[2][1:, cv2.CC_STAT_AREA]

    def around(self, where: Mask) -> tuple[Counts, Counts]:
        """In how many pixels of each place and its surroundings this is so, and of how many; `where` may be coarser."""
        upto = cv2.integral(where.view(np.uint8))
        (left, right), (top, bottom) = (self._edges(axis, where.shape[1 - axis]) for axis in (0, 1))
        count = upto[bottom, right] - upto[top, right] - upto[bottom, left] + upto[top, left]
        return count, (right - left) * (bottom - top)

    def _edges(self, axis: int, of: int) -> tuple[Counts, Counts]:
        """Where each with its surroundings begins and ends, across or down a plane of so many pixels."""
        first, length, whole = self.boxes[:, axis], self.boxes[:, 2 + axis], self.labels.shape[1 - axis]
        start = np.maximum(first - _NEAR, 0) * of // whole
        return start, np.maximum(start + 1, np.minimum(first + length + _NEAR, whole) * of // whole)


def _islands(alike: Pixels, inner: Pixels, places: _Places, unmoved: Mask) -> Iterator[tuple[slice, slice]]:
    """The rows and columns of what differs where all around it is alike and holds still."""
    height, width = alike.shape
    far, close, apart = _square(_RING), _square(_WITHIN), alike < _AROUND * _LEVELS
    holds_still, of = places.around(unmoved)
    # No ring is large enough with less that is alike: of thousands of places, in leaves, hundreds need no closer look.
    enough = places.around(~apart)[0] >= _RING * 4 / 5
    may = np.flatnonzero(enough & (holds_still >= of / 2) & (places.boxes[:, 2:].max(axis=1) <= _MOST_SIDE))
    for place in may[np.argsort(-places.areas[may], kind="stable")[:_MOST]].tolist():
        left, top, w, h = places.boxes[place].tolist()
        near = _grown(top, h, _NEAR, height), _grown(left, w, _NEAR, width)
        here = (places.labels[near] == place + 1).view(np.uint8)
        ring = cv2.dilate(here, far) & ~cv2.dilate(here, close) & inner[near]
        around = cv2.countNonZero(ring)
        if around >= _RING and cv2.countNonZero(ring & apart[near].view(np.uint8)) <= around / 5:
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
