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

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

SIDE = 32
"""Px of each side of a small picture, whatever its shape was."""
BAR = 0.55
"""Correlation of 12 x 12 pixels. Labelled copies have 0.86 and more; generated copies (cropped to half, other
shapes, frames, captions, stickers, tones, tilts) 0.69 and more. Unrelated pictures of clouds: 99 % are below
0.54."""

CELLS = 12
_FLAT = 12.0
"""Standard deviation in grey levels below which the pair passes (fog, night, a blank page): there a stain
outweighs the picture."""
_SMALLER, _SHIFT, _LEAST = 0.85, 0.1, 0.2
"""Ratio of one window size to the next; step from one place to the next in shares of the picture; and the
least share of its area: a smaller part proves nothing."""
_SHAPES = float(np.log(1.06))
"""Shapes of windows are rounded to steps of 6 %."""
_LONG = 6
"""Steps of shape from which on a window that is to be followed up is looked for at twice as many places: it may be half
as high as the picture, and a tenth of the picture is then much of it."""
_WIDEST = 5.0
_NOISE = 1.0
"""Added to each spread, in grey levels of all cells together, so that a window of one colour correlates with
nothing."""
_TILE = 64
"""Pictures of which the windows are in memory at a time."""
_AT_ONCE = 1024
"""Pictures that are looked at with four bytes a pixel at a time."""

Plane = NDArray[np.float32]
Band = Callable[[Plane], Plane]
"""Of (N, CELLS, CELLS) windows a part of what they show."""
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
    return _found_in(_ways(ones, others, left, right), ones, others, left, right)


def may_hold(ones: GreyPictures, others: GreyPictures, left: Places, right: Places) -> NDArray[np.bool_]:
    """(P,) the same from one side: whether others[right] may be the whole or a part of ones[left]."""
    return _found_in(islice(_ways(ones, others, left, right), 2), ones, others, left, right)


def _found_in(
    ways: Iterable[_Way], ones: GreyPictures, others: GreyPictures, left: Places, right: Places
) -> NDArray[np.bool_]:
    passed = ~(_usable(ones)[left] & _usable(others)[right])
    for way in ways:
        asked = np.flatnonzero(~passed)
        for pairs, shape in way.by_shape(asked):
            for some, highest in _highest(way, pairs, shape):
                passed[some] = highest >= BAR
    return passed


def _usable(pictures: GreyPictures) -> NDArray[np.bool_]:
    parts = (slice(at, at + _AT_ONCE) for at in range(0, len(pictures.shapes), _AT_ONCE))
    found = [GreyPictures(pixels=pictures.pixels[p], shapes=pictures.shapes[p]).usable() for p in parts]
    return np.concatenate(found) if found else np.empty(0, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Of each pair the windows that are most alike, for each of 16 ways in which one picture can lie in the other: the
    best of the largest windows, and of the smaller ones."""

    alike: Plane
    """(P, 2, 16) sums of both correlations; -2: such pictures cannot lie so."""
    boxes: Plane
    """(P, 2, 16, 4) top, bottom, left and right of the window, in shares of the whole. Ways 0 to 7: the second picture
    lies in the first; 8 to 15: the first in the second. Of each eight the orientations: as it is, mirrored top to bottom,
    left to right, both; and the same after its rows and columns were exchanged."""


def most_alike_windows(
    ones: GreyPictures, others: GreyPictures, left: Places, right: Places, band: Band
) -> Windows:
    """Where the pairs ones[left], others[right] are most alike, in their cells and in what `band` lets through of these.

    Neither finds all: a sticker disturbs the one, a sky that fades evenly the other.
    """
    alike = np.full((len(left), 2, 16), -2, np.float32)
    boxes = np.zeros((*alike.shape, 4), np.float32)
    for first, way in zip(range(0, 16, 4), _ways(ones, others, left, right), strict=True):
        four = slice(first, first + 4)
        for pairs, shape in way.by_shape(np.arange(len(left))):
            found = _boxes(shape, _shift(shape, band))
            largest = np.count_nonzero(
                (found[:, 1:2] - found[:, :1]).ravel() >= found[0, 1] - found[0, 0] - 1e-4
            )
            for some, each in _alike(way, pairs, shape, band):
                for size, windows in enumerate((slice(largest), slice(largest, None))):
                    if each[windows].size:
                        best = each[windows].argmax(axis=0)
                        alike[some, size, four] = np.take_along_axis(each[windows], best[None], axis=0)[0]
                        boxes[some, size, four] = found[windows][best]
    return Windows(alike=alike, boxes=boxes)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """The second of each pair in the first, or the first in the second; as it lies, or after a quarter turn."""

    whole: GreyPictures
    part: GreyPictures
    at: Places
    of: Places
    turned: bool

    def by_shape(self, pairs: Places) -> Iterator[tuple[Places, int]]:
        """These pairs by the shape of the window that one can fill of the other."""
        shapes = self.part.shapes[self.of[pairs]]
        ratio = 1 / np.maximum(shapes, 1e-6) if self.turned else shapes
        ratio = ratio / np.maximum(self.whole.shapes[self.at[pairs]], 1e-6)
        fits = (ratio <= _WIDEST) & (ratio >= 1 / _WIDEST)
        pairs, shape = pairs[fits], np.rint(np.log(ratio[fits]) / _SHAPES).astype(int)
        for each in np.unique(shape):
            yield pairs[shape == each], int(each)


def _ways(ones: GreyPictures, others: GreyPictures, left: Places, right: Places) -> Iterator[_Way]:
    for whole, part, at, of in ((ones, others, left, right), (others, ones, right, left)):
        for turned in (False, True):
            yield _Way(whole=whole, part=part, at=at, of=of, turned=turned)


def _alike(way: _Way, pairs: Places, shape: int, band: Band | None = None) -> Iterator[tuple[Places, Plane]]:
    """Some of the pairs, all with one whole, and (W, S, 4) correlations of its windows with the part in four
    orientations; added to those of what `band` lets through."""
    order, holders, starts, ends, parts, which = _held(way, pairs)
    small = way.part.pixels[parts].astype(np.float32)
    views = [_views(small, each, turned=way.turned) for each in ((None, band) if band else (None,))]
    for first in range(0, len(holders), _TILE):
        tile = slice(first, first + _TILE)
        windows, spreads = _windows_of(
            way.whole.pixels[holders[tile]].astype(np.float32), shape, _shift(shape, band)
        )
        bands = _unit(band(windows.reshape(-1, CELLS, CELLS)).reshape(windows.shape)) if band else windows
        for seen, fine, spread, start, end in zip(
            windows, bands, spreads, starts[tile], ends[tile], strict=True
        ):
            some = order[start:end]
            alike = seen @ views[0][which[some]].reshape(-1, CELLS * CELLS).T
            alike *= spread[:, None]
            if band:
                alike += fine @ views[1][which[some]].reshape(-1, CELLS * CELLS).T
            yield pairs[some], alike.reshape(len(seen), -1, 4)


def _held(way: _Way, pairs: Places) -> tuple[Places, Places, Places, Places, Places, Places]:
    """The pairs in the order of their wholes; the wholes, and where the pairs of each begin and end; the parts, and which
    of them belongs to each pair."""
    at, of = way.at[pairs], way.of[pairs]
    order = np.argsort(at, kind="stable")
    holders, starts = np.unique(at[order], return_index=True)
    parts, which = np.unique(of, return_inverse=True)
    return order, holders, starts, np.append(starts[1:], len(at)), parts, which


def _highest(way: _Way, pairs: Places, shape: int) -> Iterator[tuple[Places, Plane]]:
    """Some of the pairs, all with one whole, and (S,) the highest of the correlations that `_alike` finds.

    A picture is the sum of four: even or odd from top to bottom, and from left to right. Mirrored, some of them change
    their sign. So a fourth of the products tells all four orientations.
    """
    order, holders, starts, ends, parts, which = _held(way, pairs)
    slices = (parts[at : at + _AT_ONCE] for at in range(0, len(parts), _AT_ONCE))
    each = [_four_of(way.part.pixels[some], turned=way.turned) for some in slices]
    views = np.concatenate(each, axis=1)
    for first in range(0, len(holders), _TILE):
        tile = slice(first, first + _TILE)
        windows = _folded_windows_of(way.whole.pixels[holders[tile]].astype(np.float32), shape)
        for seen, start, end in zip(windows, starts[tile], ends[tile], strict=True):
            some = order[start:end]
            even, across, down, odd = np.matmul(seen, views[:, which[some]].transpose(0, 2, 1))
            yield pairs[some], _of_four(even, across, down, odd).max(axis=0)


def _of_four(even: Plane, across: Plane, down: Plane, odd: Plane) -> Plane:
    """The highest of even ± across ± down ± odd, where the last sign is the product of the others. Overwrites them."""
    one = np.abs(across + down)
    one += even
    one += odd
    across -= down
    np.abs(across, out=across)
    across += even
    across -= odd
    return np.maximum(one, across, out=one)


def _four_of(pixels: NDArray[np.uint8], *, turned: bool) -> Plane:
    """(4, N, CELLS² / 4) of each picture, as a unit vector, how much is even, odd from left to right, odd from top to bottom,
    odd in both ways; `turned`: after a quarter turn."""
    cells, half = _areas(0.0, 1.0), CELLS // 2
    small = np.matmul(np.matmul(cells, pixels.astype(np.float32)), cells.T)
    if turned:
        small = small.transpose(0, 2, 1)
    unit = _unit(small.reshape(len(pixels), -1)).reshape(-1, CELLS, CELLS)
    four = np.matmul(np.matmul(_FOLD, unit), _FOLD.T).reshape(-1, 2, half, 2, half)
    return four.transpose(1, 3, 0, 2, 4).reshape(4, len(pixels), half * half)


def _shift(shape: int, band: Band | None) -> float:
    return _SHIFT / 2 if band and abs(shape) >= _LONG else _SHIFT


def _views(pictures: Plane, band: Band | None, *, turned: bool) -> Plane:
    """(N, 4, CELLS²) unit vectors: as it is, mirrored in each direction, and in both; `turned`: after a
    quarter turn."""
    cells = _areas(0.0, 1.0)
    small = np.matmul(np.matmul(cells, pictures), cells.T)
    if band:
        small = band(small)
    if turned:
        small = small.transpose(0, 2, 1)
    views = np.stack([small, small[:, ::-1], small[:, :, ::-1], small[:, ::-1, ::-1]], axis=1)
    return _unit(views.reshape(len(pictures), 4, -1))


def _windows_of(pictures: Plane, shape: int, shift: float) -> tuple[Plane, Plane]:
    """(N, W, CELLS²) the windows of this shape in each picture, and (N, W) one divided by the spread of each.

    They are multiplied with vectors of mean zero, so their own mean need not be subtracted.
    """
    found: list[Plane] = []
    for rows, columns in _windows(shape, shift):
        high, wide = len(rows) // CELLS, len(columns) // CELLS
        seen = np.matmul(np.matmul(rows, pictures), columns.T)
        seen = seen.reshape(-1, high, CELLS, wide, CELLS).transpose(0, 1, 3, 2, 4)
        found.append(seen.reshape(len(pictures), high * wide, -1))
    windows = np.concatenate(found, axis=1)
    squares = np.einsum("nwc,nwc->nw", windows, windows)
    squares -= windows.shape[2] * windows.mean(axis=2) ** 2
    return windows, 1 / (np.sqrt(np.maximum(squares, 0)) + _NOISE)


def _folded_windows_of(pictures: Plane, shape: int) -> Plane:
    """(N, 4, W, CELLS² / 4) the same windows as `_four_of` divides a picture, each with a spread of one."""
    half, sizes = CELLS // 2, _folded_windows(shape)
    counts = [(len(rows) // CELLS) * (len(columns) // CELLS) for rows, columns in sizes]
    windows = np.empty((len(pictures), 2, 2, sum(counts), half, half), np.float32)
    start = 0
    for (rows, columns), count in zip(sizes, counts, strict=True):
        high, wide = len(rows) // CELLS, len(columns) // CELLS
        seen = np.matmul(rows, np.matmul(pictures, columns.T)).reshape(-1, high, 2, half, wide, 2, half)
        into = windows[:, :, :, start : start + count].reshape(-1, 2, 2, high, wide, half, half)
        into[...] = seen.transpose(0, 2, 5, 1, 4, 3, 6)
        start += count
    found = windows.reshape(len(pictures), 4, -1, half * half)
    squares = np.einsum("npwc,npwc->nw", found, found)
    # Their mean is what is even alone: each of these cells stands for four, and is twice as large as their mean.
    squares -= (found[:, 0] @ np.full(half * half, 2 / CELLS, np.float32)) ** 2
    found /= (np.sqrt(np.maximum(squares, 0)) + _NOISE)[:, None, :, None]
    return found


@lru_cache(64)
def _folded_windows(shape: int) -> list[tuple[Plane, Plane]]:
    """The matrices of `_windows`, which then divide what they cut out as `_four_of` does."""

    def folded(cells: Plane) -> Plane:
        return np.matmul(_FOLD, cells.reshape(-1, CELLS, SIDE)).reshape(-1, SIDE)

    return [(folded(rows), folded(columns)) for rows, columns in _windows(shape, _SHIFT)]


@lru_cache(64)
def _windows(shape: int, shift: float) -> list[tuple[Plane, Plane]]:
    """For each window size: the matrices that cut the rows and the columns of its places out of a picture."""
    return [(_places(high, shift), _places(wide, shift)) for high, wide in _sizes(shape)]


@lru_cache(64)
def _boxes(shape: int, shift: float) -> Plane:
    """(W, 4) the same windows: top, bottom, left, right, in shares of the picture."""
    boxes = [
        (top, top + high, left, left + wide)
        for high, wide in _sizes(shape)
        for top in _starts(high, shift)
        for left in _starts(wide, shift)
    ]
    return np.array(boxes, np.float32)


def _sizes(shape: int) -> list[tuple[float, float]]:
    """Heights and widths of the windows, the largest first."""
    ratio = float(np.exp(shape * _SHAPES))
    found: list[tuple[float, float]] = []
    size = 1.0
    while True:
        wide, high = (size, size / ratio) if ratio >= 1 else (size * ratio, size)
        if found and wide * high < _LEAST:
            return found
        found.append((high, wide))
        size *= _SMALLER


def _places(length: float, shift: float) -> Plane:
    return np.concatenate([_areas(start, start + length) for start in _starts(length, shift)])


def _starts(length: float, shift: float) -> list[float]:
    count = 1 + int(np.ceil((1 - length) / shift - 1e-9))
    return [float(start) for start in np.linspace(0.0, 1 - length, count)] if count > 1 else [0.0]


def _areas(start: float, end: float) -> Plane:
    """(CELLS, SIDE) matrix that averages equal parts of a line of pixels between two shares of it."""
    edges = np.linspace(start, end, CELLS + 1) * SIDE
    pixels = np.arange(SIDE)
    parts = [
        np.clip(np.minimum(high, pixels + 1) - np.maximum(low, pixels), 0, None)
        for low, high in pairwise(edges)
    ]
    return np.array([part / part.sum() for part in parts], np.float32)


def _unit(rows: Plane) -> Plane:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    return np.asarray(centred / (np.linalg.norm(centred, axis=-1, keepdims=True) + _NOISE), np.float32)


def _fold() -> Plane:
    """(CELLS, CELLS) what is even in a line of cells, then what is odd."""
    half = np.eye(CELLS // 2, dtype=np.float32)
    even = np.hstack([half, half[:, ::-1]])
    odd = np.hstack([half, -half[:, ::-1]])
    return np.asarray(np.vstack([even, odd]) / np.sqrt(2), np.float32)


_FOLD = _fold()
