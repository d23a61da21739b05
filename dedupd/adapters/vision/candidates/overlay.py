"""A finer test of two small grey pictures: they are laid over each other as the coarse test found them most alike, moved
until they fit best, and their fine structure is compared cell by cell.

Owns that fit (Gauss and Newton's, as Lucas and Kanade 1981 use it) and its bars; must never open a file. Like the coarse
test it only rejects. Of a sticker or a caption only the cells below it disagree, so what counts is the share that agrees.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures, Places, Plane, most_alike_windows

BAR, _FAINT_BAR = 0.25, 0.15
"""Share of the fine structure that agrees; and the same when one of the pictures is faint."""
_SURE = 1.54
"""Sum of both correlations of the most alike windows from which on a pair passes however they fit: a picture laid on
planks or on a pattern, whose window is found but too far off for a fit. Of unrelated pairs up to 2 % are so alike."""
_CELL_AGREES = 0.7
"""Correlation of what surrounds a cell from which on the cell agrees."""
_AROUND = 2.0
_WAYS = 2
"""Windows of either picture that are followed up, the most alike ones; and how the wholes lie on each other."""
_FOLLOWED, _STEPS = 2, 2
"""Of these, those that fit best are followed further; and the steps of each fit."""
_WORTH_FOLLOWING = 0.25
"""Correlation of the fine structure then, below which none fits: copies have 0.3 and more."""
_DETAIL, _DETAILED, _FAINT = 3.0, 0.1, 0.3
"""Spread of the fine structure in grey levels around a cell that shows something; the share of such cells below which a
picture shows too little (fog), and the pair passes; and that below which it is faint."""
_SMALLER, _PRINT = 1.6, 0.35
"""How many times stronger than the fine structure is what is finer still, where what is seen is smaller than a pixel:
print, the lines of a table. From one copy to the next it falls on the pixels in other ways. And the share of the fine
structure that is such print from which on the pair passes. A sky or a wall around large things is none."""
_DARK = 24
"""Grey levels: a picture of which half is darker than that may be a darkened cut, whose fine structure is lost in the black, and
the pair passes."""
_NOISE = 1.5
"""Grey levels of fine structure that may be noise."""
_SHARP = 0.6
"""Px: a picture is read through a Gaussian so wide, so that what lies between two pixels is known."""
_SPREAD = np.array([0.05, 0.05, 0.08, 0.02, 0.04], np.float32)
"""How much is expected of each: shift down and right, in shares of the window, size, shape (logarithms), turn (radians)."""
_LIMIT = np.array([0.12, 0.12, 0.2, 0.05, 0.12], np.float32)
"""The most of each."""
_NOTHING = 1e-9
"""Structure of a window in which nothing changes, a black bar: no move is better than another."""
_INSIDE = 0.8
"""Share of the window that must lie within the picture."""
_AT_ONCE = 12
"""Pairs that are laid at a time: their arrays fit into a processor's cache."""
_FOUND_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """How fine a structure is compared."""

    side: int
    """Cells of each side of a window."""
    fine: Plane
    rough: Plane
    """(side, side) Gaussian blurs: what the second one takes away from the first is no fine structure."""
    around: Plane
    """The blur in which the strength of the structure is measured, which is divided by it: so that a tone curve changes
    little, and the edge of a sticker counts no more than grass."""
    across: Plane
    down: Plane
    """(side²,) where each cell is, in shares of the window from its middle."""

    def structure(self, seen: Plane) -> Plane:
        """(H, side, side) the fine structure of windows, everywhere of one strength."""
        band = self.band(seen)
        return np.asarray(band / np.sqrt(self.strength(band) + _NOISE**2), np.float32)

    def band(self, seen: Plane) -> Plane:
        """The same as strong as it is."""
        return np.asarray(_both_ways(self.fine, seen) - _both_ways(self.rough, seen), np.float32)

    def strength(self, band: Plane) -> Plane:
        """Its mean square around each cell."""
        return _both_ways(self.around, np.asarray(band * band, np.float32))


def _level(side: int, fine: float, rough: float, around: float) -> _Level:
    at = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    down, across = np.meshgrid(at, at, indexing="ij")
    return _Level(
        side=side, fine=_blur(side, fine), rough=_blur(side, rough), around=_blur(side, around),
        across=across.ravel(), down=down.ravel(),
    )  # fmt: skip


def _blur(side: int, sigma: float) -> Plane:
    apart = np.subtract.outer(np.arange(side), np.arange(side))
    weights = np.exp(-0.5 * (apart / sigma) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def _both_ways(blur: Plane, planes: Plane) -> Plane:
    rows = (planes.reshape(-1, planes.shape[-1]) @ blur.T).reshape(planes.shape)
    return np.matmul(blur, rows)


_COARSE = _level(12, 1.0, 3.0, 3.5)
_ROUGH = _level(16, 1.4, 3.5, 4.0)
_FINE = _level(32, 0.8, 1.8, 3.0)
_NEAR = _blur(_FINE.side, _AROUND)


def may_lie_over(ones: GreyPictures, others: GreyPictures, left: Places, right: Places) -> NDArray[np.bool_]:
    """(P,) whether the pairs ones[left], others[right] may show one picture, whole or in part."""
    shown = np.minimum(_shown(ones)[left], _shown(others)[right])
    passed = shown < _DETAILED
    asked = np.flatnonzero(~passed)
    bars = np.where(shown < _FAINT, _FAINT_BAR, BAR)
    for start in range(0, len(asked), _FOUND_AT_ONCE):
        some = asked[start : start + _FOUND_AT_ONCE]
        passed[some] = _agreement(ones, others, left[some], right[some]) >= bars[some]
    return passed


def _shown(pictures: GreyPictures) -> Plane:
    """(N,) the share of each picture that shows something by which another one can be told from it; 0: a page of print, a
    picture that is mostly black, or no small picture is stored."""
    seen = pictures.pixels.astype(np.float32)
    strength = _FINE.strength(_FINE.band(seen))
    finer = _FINE.strength(seen - _both_ways(_FINE.fine, seen))
    # As much as it counts for the agreement.
    weight = strength / (strength + _NOISE**2)
    printed = (weight * (finer > _SMALLER**2 * (strength + 0.5))).sum(axis=(1, 2))
    few = printed < _PRINT * (weight.sum(axis=(1, 2)) + 1e-3)
    shown = (strength >= _DETAIL**2).mean(axis=(1, 2), dtype=np.float32)
    light = (pictures.pixels > _DARK).mean(axis=(1, 2)) > 0.5
    return np.where(few & light & (pictures.shapes > 0), shown, np.float32(0))


def _agreement(ones: GreyPictures, others: GreyPictures, left: Places, right: Places) -> Plane:
    """(P,) the share of the fine structure of each pair that agrees, laid as they fit best; 1: no fit is asked for."""
    windows = most_alike_windows(ones, others, left, right, _COARSE.structure)
    alike, boxes = windows.alike.reshape(len(left), -1), windows.boxes.reshape(len(left), -1, 4)
    # One whole on the other is the same from both.
    alike[(boxes == (0, 1, 0, 1)).all(axis=2) & (np.arange(alike.shape[1]) % 16 >= 8)] = -2
    lies_in_first = np.arange(alike.shape[1]) % 16 < 8
    ways = np.concatenate(
        [
            np.argsort(np.where(some, -alike, 4), axis=1)[:, :_WAYS]
            for some in (lies_in_first, ~lies_in_first)
        ],
        axis=1,
    )
    found = np.ones(len(left), np.float32)
    unsure = np.flatnonzero(alike.max(axis=1) < _SURE)
    for start in range(0, len(unsure), _AT_ONCE):
        part = unsure[start : start + _AT_ONCE]
        found[part] = _best_agreement(ones, others, left[part], right[part], ways[part], boxes[part])
    return found


def _best_agreement(
    ones: GreyPictures, others: GreyPictures, left: Places, right: Places, ways: Places, boxes: Plane
) -> Plane:
    pairs = np.arange(len(left))
    way = np.concatenate([ways % 16, _wholly(ones, others, left, right)[:, None]], axis=1)
    box = np.empty((*way.shape, 4), np.float32)
    box[:, :-1] = np.take_along_axis(boxes, ways[:, :, None], axis=1)
    box[:, -1] = 0, 1, 0, 1
    pair = np.repeat(pairs, way.shape[1])
    laid = _Laid.of(ones, others, left[pair], right[pair], way.ravel(), box.reshape(-1, 4))
    moves = _roughly(laid)
    # A sticker misleads a rough fit.
    moves[way.shape[1] - 1 :: way.shape[1]] = 0
    fit = _Fit(laid, _FINE, moves)
    alike = fit.alike.reshape(way.shape)
    worth = np.flatnonzero(alike.max(axis=1) >= _WORTH_FOLLOWING)
    found = np.zeros(len(pairs), np.float32)
    if len(worth):
        best = np.argsort(-alike[worth], axis=1)[:, :_FOLLOWED]
        fit.keep((worth[:, None] * way.shape[1] + best).ravel())
        for _ in range(_STEPS):
            fit.step()
        found[worth] = fit.agreement().reshape(-1, _FOLLOWED).max(axis=1)
    return found


def _roughly(laid: _Laid) -> Plane:
    """(H, 5) moves that make the rough structure fit."""
    fit = _Fit(laid, _ROUGH, np.zeros((len(laid.wholes), 5), np.float32))
    for _ in range(_STEPS):
        fit.step()
    return fit.moves


def _wholly(ones: GreyPictures, others: GreyPictures, left: Places, right: Places) -> Places:
    """(P,) the way in which the whole of one is most alike to the whole of the other."""
    one, other = (_outlines(pictures, places) for pictures, places in ((ones, left), (others, right)))
    alike = [(one * turned).sum(axis=(1, 2)) for turned in _orientations(other)]
    return np.argmax(alike, axis=0)


def _outlines(pictures: GreyPictures, places: Places) -> Plane:
    some, which = np.unique(places, return_inverse=True)
    return _FINE.structure(pictures.pixels[some].astype(np.float32))[which]


def _orientations(pictures: Plane) -> list[Plane]:
    """The eight in the order of the ways."""
    turned = pictures.transpose(0, 2, 1)
    return [each for p in (pictures, turned) for each in (p, p[:, ::-1], p[:, :, ::-1], p[:, ::-1, ::-1])]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """Parts laid on windows of wholes."""

    wholes: Plane
    """(H, SIDE, SIDE)"""
    parts: Plane
    """The same, turned as they lie."""
    boxes: Plane
    """(H, 4) top, bottom, left, right of the windows, in shares of the whole."""
    shapes: Plane
    """(H, 1) width by height of the windows."""

    @classmethod
    def of(
        cls, ones: GreyPictures, others: GreyPictures, left: Places, right: Places, ways: Places, boxes: Plane
    ) -> _Laid:
        first = ways < 8
        one, other = ones.pixels[left].astype(np.float32), others.pixels[right].astype(np.float32)
        parts = np.where(first[:, None, None], other, one)
        for way in range(1, 8):
            some = np.flatnonzero(ways % 8 == way)
            parts[some] = _orientations(parts[some])[way]
        high, wide = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
        whole = np.where(first, ones.shapes[left], others.shapes[right])
        return cls(
            wholes=_both_ways(_blur(SIDE, _SHARP), np.where(first[:, None, None], one, other)),
            parts=parts,
            boxes=boxes,
            shapes=(whole * wide / np.maximum(high, 1e-3))[:, None].astype(np.float32),
        )

    def where(self, chosen: Places) -> _Laid:
        return _Laid(
            wholes=self.wholes[chosen], parts=self.parts[chosen], boxes=self.boxes[chosen], shapes=self.shapes[chosen]
        )  # fmt: skip

    def read_parts(self, level: _Level) -> Plane:
        """(H, side, side) the parts, as sharp as the wholes are in the windows."""
        high, wide = self.boxes[:, 1] - self.boxes[:, 0], self.boxes[:, 3] - self.boxes[:, 2]
        rows, columns = _reading(level.side, high), _reading(level.side, wide)
        return np.matmul(np.matmul(rows, self.parts), columns.transpose(0, 2, 1))

    def read_wholes(self, level: _Level, moves: Plane) -> tuple[Plane, Plane]:
        """(H, side, side) the windows after these moves, and (H, side²) 1 where the whole has pixels, else 0."""
        down, right, size, shape, turn = (moves[:, n : n + 1] for n in range(5))
        top, bottom, left, end = (self.boxes[:, n : n + 1] * SIDE for n in range(4))
        y = down + level.down * (1 + size + shape) + (turn * self.shapes) * level.across
        x = right + level.across * (1 + size - shape) - (turn / self.shapes) * level.down
        y = (top + bottom) / 2 - 0.5 + y * (bottom - top)
        x = (left + end) / 2 - 0.5 + x * (end - left)
        last = SIDE - 1
        seen = ((y >= -0.6) & (y <= last + 0.6) & (x >= -0.6) & (x <= last + 0.6)).astype(np.float32)
        y, x = np.clip(y, 0, last - 1e-3), np.clip(x, 0, last - 1e-3)
        row, column = y.astype(np.intp), x.astype(np.intp)
        y -= row
        x -= column
        at = row * SIDE + column + (np.arange(len(y)) * SIDE * SIDE)[:, None]
        pixels = self.wholes.ravel()
        upper, lower = pixels.take(at), pixels.take(at + SIDE)
        upper += (pixels.take(at + 1) - upper) * x
        lower += (pixels.take(at + SIDE + 1) - lower) * x
        upper += (lower - upper) * y
        return upper.reshape(-1, level.side, level.side), seen


def _reading(side: int, scale: Plane) -> Plane:
    """(H, side, SIDE) matrices that read a line of pixels, blurred as one of `scale` of its pixels would be."""
    scale = np.minimum(scale, 1)
    variance = (_SHARP**2 + (1 - scale**2) / 12) / scale**2
    at = (np.arange(side) + 0.5) / side * SIDE - 0.5
    apart = np.subtract.outer(at, np.arange(SIDE)).astype(np.float32)
    weights = np.exp(-0.5 * apart**2 / variance[:, None, None])
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


class _Fit:
    """How parts and windows fit, and how to move the windows so that they fit better; the best moves are kept."""

    def __init__(self, laid: _Laid, level: _Level, moves: Plane) -> None:
        count = len(moves)
        self._laid, self._level = laid, level
        self._part = level.structure(laid.read_parts(level)).reshape(count, -1)
        self._window, self._seen = np.zeros_like(self._part), np.zeros_like(self._part)
        self.moves, self.alike = np.zeros((count, 5), np.float32), np.full(count, -2, np.float32)
        self.try_(moves)

    def keep(self, chosen: Places) -> None:
        """Only those chosen, as they fit now."""
        self._laid = self._laid.where(chosen)
        self._part, self._window, self._seen = self._part[chosen], self._window[chosen], self._seen[chosen]
        self.moves, self.alike = self.moves[chosen], self.alike[chosen]

    def try_(self, moves: Plane) -> None:
        """Keep these where they fit better than all before."""
        window, seen = self._laid.read_wholes(self._level, moves)
        window = self._level.structure(window).reshape(len(moves), -1)
        part, shown = self._part * seen, window * seen
        both = np.einsum("hc,hc->h", part, shown)
        strength = np.einsum("hc,hc->h", part, part) * np.einsum("hc,hc->h", shown, shown)
        alike = both / np.sqrt(strength + 1e-3)
        alike[(seen.mean(axis=1) < _INSIDE) | (np.abs(moves) > _LIMIT).any(axis=1)] = -1
        better = np.flatnonzero(alike > self.alike)
        self.moves[better], self.alike[better] = moves[better], alike[better]
        self._window[better], self._seen[better] = window[better], seen[better]

    def step(self) -> None:
        """Try what would fit best if the structure changed evenly with each move."""
        side, level, window = self._level.side, self._level, self._window
        planes = window.reshape(-1, side, side)
        across, down = np.zeros_like(planes), np.zeros_like(planes)
        down[:, 1:-1] = (planes[:, 2:] - planes[:, :-2]) * (side / 2)
        across[:, :, 1:-1] = (planes[:, :, 2:] - planes[:, :, :-2]) * (side / 2)
        down, across = down.reshape(window.shape), across.reshape(window.shape)
        # A cell that differs much is not part of the picture: a sticker.
        weight = self._seen / (1 + 4 * (window - self._part) ** 2)
        columns = np.empty((len(window), 6, window.shape[1]), np.float32)
        columns[:, 0] = self._part
        columns[:, 1], columns[:, 2] = -down, -across
        along, beside = down * level.down, across * level.across
        columns[:, 3], columns[:, 4] = -(along + beside), beside - along
        columns[:, 5] = across * level.down / self._laid.shapes - down * level.across * self._laid.shapes
        weighted = columns * weight[:, None]
        products = np.matmul(weighted, columns.transpose(0, 2, 1))
        wanted = np.matmul(weighted, window[:, :, None])[:, :, 0]
        # Little is known of a move by which little changes: it stays near what is expected.
        doubt = (0.5 * (weight * window**2).mean(axis=1)[:, None] + _NOTHING) / _SPREAD**2
        moves = np.arange(1, 6)
        products[:, moves, moves] += doubt
        products[:, 0, 0] += 1e-3
        wanted[:, 1:] -= doubt * self.moves
        found = np.asarray(np.linalg.solve(products, wanted[:, :, None]), np.float32)
        self.try_(self.moves + found[:, 1:, 0])

    def agreement(self) -> Plane:
        """(H,) share of the structure around which both agree."""
        side = self._level.side
        seen = self._seen.reshape(-1, side, side)
        part, window = self._part.reshape(seen.shape), self._window.reshape(seen.shape)
        one, other = _both_ways(_NEAR, part * part * seen), _both_ways(_NEAR, window * window * seen)
        both = _both_ways(_NEAR, part * window * seen)
        agrees = both > _CELL_AGREES * np.sqrt((one + 0.05) * (other + 0.05))
        weight = np.maximum(one, other) * seen
        share = (weight * agrees).sum(axis=(1, 2)) / (weight.sum(axis=(1, 2)) + 1e-6)
        return np.asarray(np.where(self.alike > -1, share, 0), np.float32)
