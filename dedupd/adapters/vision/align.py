"""Lays one picture over another and measures what is left between them (research: ORB, Rublee 2011; RANSAC).

Owns the alignment and its measures; must never judge them: that is core/relations.py. Pixels only, no files.
One thread. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.core.photo import Measures

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]
Affine = NDArray[np.float64]
"""2x3: a pixel of picture a to a pixel of picture b, both counted from pixel centres."""

cv2.setNumThreads(1)

_ORB = cv2.ORB_create(900, 1.2, 8, fastThreshold=7)
_MATCHER = cv2.BFMatcher(cv2.NORM_HAMMING)
_ASPECT = 0.03
_NORMAL_STD = 50.0


class Prepared:
    """One picture with what several alignments of it share."""

    def __init__(self, rgb: Pixels) -> None:
        self.rgb = np.ascontiguousarray(rgb)
        self.height, self.width = rgb.shape[:2]

    @cached_property
    def grey(self) -> Pixels:
        return np.asarray(cv2.cvtColor(self.rgb, cv2.COLOR_RGB2GRAY), np.uint8)

    @cached_property
    def thumb(self) -> Plane:
        """32x32, zero mean, unit length."""
        small = cv2.resize(self.grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        return np.asarray(small / (np.linalg.norm(small) + 1e-6), np.float32)

    @cached_property
    def features(self) -> tuple[Plane, Pixels | None]:
        points, descriptors = _ORB.detectAndCompute(self.grey, None)
        return np.array([p.pt for p in points], np.float32).reshape(-1, 2), descriptors

    @cached_property
    def mirrored_features(self) -> tuple[Plane, Pixels | None]:
        """As seen in a mirror, at the coordinates of the unmirrored picture."""
        points, descriptors = _ORB.detectAndCompute(cv2.flip(self.grey, 1), None)
        at = np.array([p.pt for p in points], np.float32).reshape(-1, 2)
        at[:, 0] = self.width - 1 - at[:, 0]
        return at, descriptors


@dataclass(frozen=True, slots=True)
class _Fit:
    """One way to lay a over b."""

    method: str
    orientation: int
    inliers: int
    transform: Affine


def measure(a: Pixels | Prepared, b: Pixels | Prepared) -> Measures:
    """Align two upright (H, W, 3) uint8 RGB pictures with long side <= 400 px and measure the rest.

    Lengths in px of the smaller scale, residuals in grey levels of a picture with standard deviation 50.
    """
    a = a if isinstance(a, Prepared) else Prepared(a)
    b = b if isinstance(b, Prepared) else Prepared(b)
    if min(a.width, a.height, b.width, b.height) < 24:
        return Measures()
    return _best(a, b)[1]


def _best(a: Prepared, b: Prepared) -> tuple[_Fit | None, Measures]:
    found: list[tuple[_Fit, Measures]] = []
    identity = _identity(a, b)
    if identity is not None:
        found.append((identity, _compare(a, b, identity)))
        if found[0][1].ncc > 0.985 and found[0][1].worst < 8:
            return found[0]
        found.append(_refined(a, b, identity))
    for mirror in (False, True):
        fit = _orb(a, b, mirror=mirror)
        if fit is not None:
            found.append(_refined(a, b, fit))
            if fit.inliers >= 40:
                break
    if not found:
        return None, Measures()
    return min(found, key=lambda pair: _misfit(pair[1]))


def _misfit(m: Measures) -> tuple[float, ...]:
    return (m.mean / max(0.1, m.ncc) / max(0.1, max(m.overlap_a, m.overlap_b)),)


def _orientation_affine(width: int, height: int, orientation: int) -> tuple[Affine, int, int]:
    """Clockwise quarter turns, then a mirror from 4 on: the transform, and the turned size."""
    quarter, mirror = orientation % 4, orientation >= 4
    w, h = (height, width) if quarter % 2 else (width, height)
    turns: dict[int, list[list[float]]] = {
        0: [[1, 0, 0], [0, 1, 0]],
        1: [[0, -1, height - 1], [1, 0, 0]],
        2: [[-1, 0, width - 1], [0, -1, height - 1]],
        3: [[0, 1, 0], [-1, 0, width - 1]],
    }
    turn = np.array(turns[quarter], np.float64)
    if mirror:
        turn = _compose(np.array([[-1, 0, w - 1], [0, 1, 0]], np.float64), turn)
    return turn, w, h


def _compose(second: Affine, first: Affine) -> Affine:
    linear = second[:, :2] @ first[:, :2]
    return np.hstack([linear, (second[:, :2] @ first[:, 2:] + second[:, 2:])])


def _inverse(transform: Affine) -> Affine:
    return np.asarray(cv2.invertAffineTransform(transform), np.float64)


def _identity(a: Prepared, b: Prepared) -> _Fit | None:
    """The whole of a on the whole of b, in whichever of 8 orientations looks most alike."""
    views = [np.rot90(a.thumb, -turn) for turn in range(4)]
    views += [view[:, ::-1] for view in views]
    alike = [float((view * b.thumb).sum()) for view in views]
    orientation = int(np.argmax(alike))
    turn, w, h = _orientation_affine(a.width, a.height, orientation)
    if alike[orientation] < 0.3 or abs(w * b.height / (h * b.width) - 1) > _ASPECT:
        return None
    sx, sy = b.width / w, b.height / h
    scale = np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2]], np.float64)
    return _Fit("identity", orientation, 0, _compose(scale, turn))


def _orb(a: Prepared, b: Prepared, *, mirror: bool) -> _Fit | None:
    """A similarity (turn, scale, shift) from matched features; the mirrored a when asked."""
    pa, da = a.mirrored_features if mirror else a.features
    pb, db = b.features
    if da is None or db is None or len(pa) < 8 or len(pb) < 8:
        return None
    pairs = [m[0] for m in _MATCHER.knnMatch(da, db, k=2) if len(m) == 2 and m[0].distance < 0.8 * m[1].distance]
    if len(pairs) < 8:
        return None
    src = pa[[m.queryIdx for m in pairs]]
    dst = pb[[m.trainIdx for m in pairs]]
    if mirror:
        src = src * np.float32([-1, 1]) + np.float32([a.width - 1, 0])
    cv2.setRNGSeed(0)
    found, mask = cv2.estimateAffinePartial2D(
        src, dst, method=cv2.RANSAC, ransacReprojThreshold=3, maxIters=2000, confidence=0.999
    )
    if found is None or int(mask.sum()) < 8:
        return None
    if mirror:
        found = _compose(found, np.array([[-1, 0, a.width - 1], [0, 1, 0]], np.float64))
    scale = np.sqrt(abs(np.linalg.det(found[:, :2])))
    if not 0.1 < scale < 10:
        return None
    turn = int(round(np.degrees(np.arctan2(found[1, 0], found[1, 1])) / 90)) % 4
    return _Fit("orb", turn + 4 * mirror, int(mask.sum()), found)
