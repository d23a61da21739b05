"""A coarse test: whether one of two pictures may show part of the other, from 32 x 32 grey pixels, in
microseconds.

A family of look-alikes (scans, clouds, screens) gives each of its pictures thousands of candidates, and
aligning one pair takes as long as this test for a thousand pairs. A copy shows the whole of one picture
inside the other, turned or mirrored, cropped, framed or with other tones. So each picture, in eight
orientations, is correlated with windows of the other that have its shape, in many sizes and places.
Correlation does not depend on brightness and contrast.

Owns that search and its bar; must never open a file. It only rejects; when it cannot tell, the pair passes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Px of each side of a small picture, whatever its shape was."""
BAR = 0.55
"""Correlation of 12 x 12 pixels. Labelled copies have 0.86 and more; generated copies (cropped to half, other
shapes, frames, captions, stickers, tones, tilts) 0.69 and more. Unrelated pictures of clouds: 99 % are below
0.54."""

_CELLS = 12
_FLAT = 12.0
"""Standard deviation in grey levels below which the pair passes (fog, night, a blank page): there a stain
outweighs the picture."""
_SMALLER, _SHIFT, _LEAST = 0.85, 0.1, 0.2
"""Ratio of one window size to the next; step from one place to the next in shares of the picture; and the
least share of its area: a smaller part proves nothing."""
_SHAPES = float(np.log(1.06))
"""Shapes of windows are rounded to steps of 6 %."""
_WIDEST = 5.0
_NOISE = 1.0
"""Added to each spread, in grey levels of all cells together, so that a window of one colour correlates with
nothing."""
_TILE = 64

Plane = NDArray[np.float32]
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class GreyPictures:
    """Small pictures, as they are stored for this test."""

    pixels: NDArray[np.uint8]
    """(N, SIDE, SIDE) grey levels."""
    shapes: NDArray[np.float32]
    """(N,) width by height of the whole picture; 0: no small picture is stored."""

    def usable(self) -> NDArray[np.bool_]:
        """(N,) whether each one has enough structure to decide anything."""
        spread = self.pixels.reshape(len(self.pixels), -1).astype(np.float32).std(axis=1)
        return (self.shapes > 0) & (spread >= _FLAT)


def small_picture(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(SIDE, SIDE) grey levels of an upright (H, W, 3) picture."""
    import cv2

    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


def may_be_copies(ones: GreyPictures, others: GreyPictures, left: Places, right: Places) -> NDArray[np.bool_]:
    """(P,) whether the pairs ones[left], others[right] may show one picture, whole or in part."""
    passed = ~(ones.usable()[left] & others.usable()[right])
    for whole, part, at, of in ((ones, others, left, right), (others, ones, right, left)):
        wholes = part.pixels.astype(np.float32)
        for turned in (False, True):
            shapes = 1 / np.maximum(part.shapes, 1e-6) if turned else part.shapes
            asked = np.flatnonzero(~passed)
            ratio = shapes[of[asked]] / np.maximum(whole.shapes[at[asked]], 1e-6)
            fits = (ratio <= _WIDEST) & (ratio >= 1 / _WIDEST)
            asked, bins = asked[fits], np.rint(np.log(ratio[fits]) / _SHAPES).astype(int)
            for each in np.unique(bins):
                pairs = asked[bins == each]
                found = _most_alike(whole.pixels, wholes, at[pairs], of[pairs], int(each), turned=turned)
                passed[pairs] = found >= BAR
    return passed


def _most_alike(
    holding: NDArray[np.uint8], wholes: Plane, at: Places, of: Places, shape: int, *, turned: bool
) -> Plane:
    """(P,) best correlation of each wholes[of], in four orientations, with any window of holding[at]."""
    best = np.empty(len(at), np.float32)
    order = np.argsort(at, kind="stable")
    holders, starts = np.unique(at[order], return_index=True)
    ends = [*starts[1:], len(at)]
    parts, which = np.unique(of, return_inverse=True)
    views = _views(wholes[parts], turned=turned)
    for first in range(0, len(holders), _TILE):
        tile = slice(first, first + _TILE)
        windows, spreads = _windows_of(holding[holders[tile]].astype(np.float32), shape)
        for seen, spread, start, end in zip(windows, spreads, starts[tile], ends[tile], strict=True):
            pairs = order[start:end]
            alike = seen @ views[which[pairs]].reshape(-1, _CELLS * _CELLS).T
            alike *= spread[:, None]
            best[pairs] = alike.max(axis=0).reshape(-1, 4).max(axis=1)
    return best


def _views(pictures: Plane, *, turned: bool) -> Plane:
    """(N, 4, CELLS²) unit vectors: as it is, mirrored in each direction, and in both; `turned`: after a
    quarter turn."""
    cells = _areas(0.0, 1.0)
    small = np.matmul(np.matmul(cells, pictures), cells.T)
    if turned:
        small = small.transpose(0, 2, 1)
    views = np.stack([small, small[:, ::-1], small[:, :, ::-1], small[:, ::-1, ::-1]], axis=1)
    return _unit(views.reshape(len(pictures), 4, -1))


def _windows_of(pictures: Plane, shape: int) -> tuple[Plane, Plane]:
    """(N, W, CELLS²) the windows of this shape in each picture, and (N, W) one divided by the spread of each.

    They are multiplied with vectors of mean zero, so their own mean need not be subtracted.
    """
    found: list[Plane] = []
    for rows, columns in _windows(shape):
        high, wide = len(rows) // _CELLS, len(columns) // _CELLS
        seen = np.matmul(np.matmul(rows, pictures), columns.T)
        seen = seen.reshape(-1, high, _CELLS, wide, _CELLS).transpose(0, 1, 3, 2, 4)
        found.append(seen.reshape(len(pictures), high * wide, -1))
    windows = np.concatenate(found, axis=1)
    squares = np.einsum("nwc,nwc->nw", windows, windows)
    squares -= windows.shape[2] * windows.mean(axis=2) ** 2
    return windows, 1 / (np.sqrt(np.maximum(squares, 0)) + _NOISE)


@lru_cache(64)
def _windows(shape: int) -> list[tuple[Plane, Plane]]:
    """For each window size: the matrices that cut the rows and the columns of its places out of a picture."""
    ratio = float(np.exp(shape * _SHAPES))
    found: list[tuple[Plane, Plane]] = []
    size = 1.0
    while True:
        wide, high = (size, size / ratio) if ratio >= 1 else (size * ratio, size)
        if found and wide * high < _LEAST:
            return found
        found.append((_places(high), _places(wide)))
        size *= _SMALLER


def _places(length: float) -> Plane:
    count = 1 + int(np.ceil((1 - length) / _SHIFT - 1e-9))
    starts = np.linspace(0.0, 1 - length, count) if count > 1 else np.zeros(1)
    return np.concatenate([_areas(float(start), float(start) + length) for start in starts])


def _areas(start: float, end: float) -> Plane:
    """(CELLS, SIDE) matrix that averages equal parts of a line of pixels between two shares of it."""
    edges = np.linspace(start, end, _CELLS + 1) * SIDE
    pixels = np.arange(SIDE)
    parts = [
        np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
        for low, high in pairwise(edges)
    ]
    return np.array([part / part.sum() for part in parts], np.float32)


def _unit(rows: Plane) -> Plane:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return np.asarray(centred / (np.linalg.norm(centred, axis=-1, keepdims=True) + _NOISE), np.float32)
