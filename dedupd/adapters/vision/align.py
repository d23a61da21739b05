"""Aligns two pictures and measures what differs between them (ORB: Rublee 2011; RANSAC: Fischler and Bolles
1981).

Owns the alignment and its measures; must never judge them: core/relations.py does. Takes pixels, opens no
file. Runs in one thread. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false, reportMissingImports=false
# pyright: reportAttributeAccessIssue=false, reportUnnecessaryComparison=false
from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision import detail, islands
from dedupd.adapters.vision.inside import Box, inside
from dedupd.adapters.vision.masked import Mask, Masked
from dedupd.adapters.vision.residual import LARGE, Pixels, Plane, Residual, Rest, View, quantiles
from dedupd.core.bars import KEPT_FAINT
from dedupd.core.photo import Holding, Measures

Affine = NDArray[np.float64]
"""2x3 matrix: maps a pixel of picture a to a pixel of picture b, both counted from pixel centres."""

cv2.setNumThreads(1)

_ORB = cv2.ORB_create(500, 1.2, 8, fastThreshold=7)
_ASPECT = 0.03
_SURE, _FEW = 12, 250
"""Matched features that are enough; and number of features below which a picture has few (a balloon in the
sky)."""
_LEAST = 8
"""Of such features that make an alignment. Fewer hint at one."""
_ALIKE = 0.75
"""Correlation of the fine structure below which other alignments are tried."""
_BETWEEN_BARS, _IN_A_BORDER = 0.9, 0.75
"""Share that a photo fills at most, of a screen, or of what surrounds it on all sides or on one side. A
larger share means a border of a few per cent, or a caption."""
_AS_IT_LIES, _NOTHING = np.eye(2, 3), 1e-9
"""The transform that moves no pixel, and what of it is rounding."""
_GAPS = np.ones((7, 7), np.uint8)
_FIVE = np.ones((5, 5), np.uint8)
_ONE_COLOUR = 0.9
"""Share of a plain margin, without what is drawn on it, that must be within 8 grey levels of its median
colour."""
_FILL_ALIKE = 0.7
"""Correlation of a blurred fill with the enlarged picture, from which on it counts as that fill."""


class Prepared:
    """One picture with everything that several alignments of it share; computed once, when first asked for."""

    def __init__(
        self,
        rgb: Pixels,
        holding: Holding | None = None,
        *,
        several: bool = False,
        grey: Pixels | None = None,
    ) -> None:
        """`holding`: what its file holds besides; `several`: the file has more frames or pages; `grey`: its grey levels,
        where they are at hand."""
        self._grey = grey
        self.rgb = np.ascontiguousarray(rgb)
        self.height, self.width = rgb.shape[:2]
        self.holding = holding or Holding()
        self.several = several
        self.whole: Pixels | None = None
        """(H, W) grey levels in all the pixels of its file, where those are at hand."""
        self.large: Pixels | None = None
        """(H, W) grey levels that are enough to look for islands, where those are at hand."""

    @cached_property
    def grey(self) -> Pixels:
        return grey_of(self.rgb) if self._grey is None else self._grey

    @cached_property
    def view(self) -> View:
        """The picture in its own frame, for comparisons."""
        return View(self.rgb, self.grey)

    @cached_property
    def thumb(self) -> Plane:
        """32x32 grey levels, zero mean, unit length."""
        small = cv2.resize(self.grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
        small -= small.mean()
        return np.asarray(small / (np.linalg.norm(small) + 1e-6), np.float32)

    @cached_property
    def features(self) -> tuple[Plane, Pixels | None]:
        points, descriptors = _ORB.detectAndCompute(self.grey, None)
        return np.array([p.pt for p in points], np.float32).reshape(-1, 2), descriptors

    @cached_property
    def fine(self) -> Pixels:
        """How much each grey level differs from those around it."""
        return cv2.absdiff(self.grey, cv2.GaussianBlur(self.grey, (0, 0), 1.5))

    @cached_property
    def everywhere(self) -> Pixels:
        """255 in each pixel; it is warped to know which pixels this picture covers."""
        return np.full((self.height, self.width), 255, np.uint8)

    @cached_property
    def inside(self) -> Box | None:
        """The part of the picture inside plain margins."""
        return inside(self.rgb)

    @cached_property
    def within(self) -> tuple[Prepared, Affine] | None:
        """The same, enlarged to the size of the whole, and its place in the whole; None without margins."""
        if self.inside is None:
            return None
        left, top, right, bottom = self.inside
        k = max(self.width, self.height) / max(right - left, bottom - top)
        size = (round((right - left) * k), round((bottom - top) * k))
        cut = cv2.resize(self.rgb[top:bottom, left:right], size, interpolation=cv2.INTER_LINEAR)
        sx, sy = (right - left) / size[0], (bottom - top) / size[1]
        place = np.array([[sx, 0, left + (sx - 1) / 2], [0, sy, top + (sy - 1) / 2]], np.float64)
        return Prepared(np.asarray(cut, np.uint8)), place

    @cached_property
    def mirrored_features(self) -> tuple[Plane, Pixels | None]:
        """Features of the mirrored picture, with coordinates in the mirrored picture."""
        points, descriptors = _ORB.detectAndCompute(cv2.flip(self.grey, 1), None)
        return np.array([p.pt for p in points], np.float32).reshape(-1, 2), descriptors


def grey_of(rgb: Pixels) -> Pixels:
    """(H, W) grey levels of (H, W, 3) RGB."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)


@dataclass(frozen=True, slots=True)
class _Fit:
    """One alignment of a and b."""

    method: str
    orientation: int
    inliers: int
    transform: Affine


def measure(a: Pixels | Prepared, b: Pixels | Prepared) -> Measures:
    """Align two upright (H, W, 3) uint8 RGB pictures with a long side of at most 400 px, and measure what
    differs.

    Lengths in px of the smaller scale; residuals in grey levels, as if the picture had a standard deviation
    of 50.
    """
    a = a if isinstance(a, Prepared) else Prepared(a)
    b = b if isinstance(b, Prepared) else Prepared(b)
    found = Measures() if min(a.width, a.height, b.width, b.height) < 24 else _best(a, b)[1]
    if found.holds_a is None:
        found = replace(found, holds_a=a.holding, holds_b=b.holding)
    return found


def _best(a: Prepared, b: Prepared) -> tuple[_Fit | None, Measures]:
    """The alignment that leaves the least difference: the identity when it is exact to the pixel, else
    refined, else found by features."""
    found, hints = list[_AlignedPair](), [0]
    identity = _identity(a, b)
    if identity is not None:
        laid = _AlignedPair(a, b, identity)
        found.append(laid)
        if laid.residual.ncc > 0.985 and laid.quick.worst < 8:
            return identity, _measures(laid)
        if laid.residual.ncc > 0.7:
            found.append(laid.refined())
            if found[-1].locked:
                return found[-1].fit, _measures(found[-1])
    for laid in _laid(a, b, (_orb(a, b, mirror=mirror) for mirror in (False, True)), hints):
        found.append(laid)
        if laid.fit.inliers >= 40:
            break
    if not any(laid.convincing for laid in found):
        found += _laid(a, b, _other_fits(a, b), hints)
    found = [laid for laid in found if laid.comparable]
    hint = {"faint": float(max(hints))} if max(hints) else {}
    if not found:
        return None, Measures(extra=hint or None)
    best = min(found, key=lambda laid: laid.misfit)
    measures = _measures(best)
    return best.fit, replace(measures, extra={**(measures.extra or {}), **hint})


def _laid(a: Prepared, b: Prepared, fits: Iterable[_Fit | None], hints: list[int]) -> Iterator[_AlignedPair]:
    """Laid by each of these; of those that too few features agree on, only how many is noted."""
    for fit in fits:
        if fit is not None and fit.method == "orb" and fit.inliers < _LEAST:
            hints.append(fit.inliers)
        elif fit is not None:
            yield _AlignedPair(a, b, fit).refined()


def _orientation_affine(width: int, height: int, orientation: int) -> tuple[Affine, int, int]:
    """(transform, turned size) of an orientation: 0 to 3 are clockwise quarter turns, 4 to 7 the same after
    mirroring."""
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
    """The whole of a on the whole of b, in the one of 8 orientations in which they are most alike."""
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


def _other_fits(a: Prepared, b: Prepared) -> Iterator[_Fit]:
    """More alignments: of the parts inside margins, because in a screenshot or a frame the picture is too
    small for its features; and from b to a, which matches other features and uses the other scale (3 px
    there) for inliers."""
    if min(len(a.features[0]), len(b.features[0])) < _FEW:
        back = _orb(b, a, mirror=False)
        if back is not None:
            yield replace(back, orientation=-back.orientation % 4, transform=_inverse(back.transform))
    whole = np.eye(2, 3)
    sides = [[(picture, whole), *([picture.within] if picture.within else [])] for picture in (a, b)]
    for (one, of_a), (other, of_b) in list(product(*sides))[1:]:
        for fit in (_identity(one, other), _orb(one, other, mirror=False)):
            if fit is not None:
                yield replace(fit, transform=_compose(of_b, _compose(fit.transform, _inverse(of_a))))


def _orb(a: Prepared, b: Prepared, *, mirror: bool) -> _Fit | None:
    """A similarity transform (turn, scale, shift) from matched features; of the mirrored a when asked."""
    pa, da = a.mirrored_features if mirror else a.features
    pb, db = b.features
    if da is None or db is None or min(len(pa), len(pb)) < KEPT_FAINT:
        return None
    far, nearest = cv2.batchDistance(da, db, cv2.CV_32S, normType=cv2.NORM_HAMMING, K=2)
    clear = np.flatnonzero(far[:, 0] < 0.8 * far[:, 1])
    if len(clear) < KEPT_FAINT:
        return None
    src, dst = pa[clear], pb[nearest[clear, 0]]
    cv2.setRNGSeed(0)
    found, mask = cv2.estimateAffinePartial2D(
        src, dst, method=cv2.RANSAC, ransacReprojThreshold=3, maxIters=2000, confidence=0.999
    )
    if found is None or int(mask.sum()) < KEPT_FAINT:
        return None
    if not 0.1 < np.sqrt(abs(np.linalg.det(found[:, :2]))) < 10:
        return None
    turn = round(float(np.degrees(np.arctan2(found[1, 0], found[0, 0]))) / 90) % 4
    if mirror:
        found = _compose(found, np.array([[-1, 0, a.width - 1], [0, 1, 0]], np.float64))
        turn = (-turn) % 4  # the value counts turns before the mirror
    return _Fit("orb", turn + 4 * mirror, int(mask.sum()), np.asarray(found, np.float64))


class _AlignedPair:
    """Both pictures in one frame: that of the picture which shows the scene smaller, so that nothing is
    enlarged."""

    def __init__(self, a: Prepared, b: Prepared, fit: _Fit, flow: dict[str, float] | None = None) -> None:
        self.a, self.b, self.fit, self.flow = a, b, fit, flow or {}
        scale = _scale(fit.transform)
        self.a_moves = scale <= 1
        moving, still = (a, b) if self.a_moves else (b, a)
        way = fit.transform if self.a_moves else _inverse(fit.transform)
        shrink = min(scale, 1 / scale)
        size = (still.width, still.height)
        if size == (moving.width, moving.height) and np.abs(way - _AS_IT_LIES).max() < _NOTHING:
            # Not the view that the picture keeps: what is made of it would stay in memory with the picture.
            view, seen = View(moving.rgb, moving.grey), moving.everywhere
        else:

            def brought(pixels: Pixels) -> Pixels:
                if shrink < 0.9:
                    sigma = 0.5 * float(np.sqrt(1 / shrink**2 - 1))
                    pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma), np.uint8)
                how = cv2.INTER_LINEAR
                warped = cv2.warpAffine(pixels, way, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
                return np.asarray(warped, np.uint8)

            view, seen = View(moving.rgb, moving.grey, brought), _footprint(moving, way, size)
        # borderValue 0: the last row of the frame can be half picture, half the caption that begins there.
        self.mask: Mask = cv2.erode(seen, _FIVE, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        share_still = cv2.countNonZero(seen) / seen.size
        area = share_still * still.width * still.height / (moving.width * moving.height * shrink**2)
        self.overlap_a, self.overlap_b = (
            (min(1.0, area), share_still) if self.a_moves else (share_still, min(1.0, area))
        )
        self.view_a, self.view_b = (view, still.view) if self.a_moves else (still.view, view)

    @property
    def comparable(self) -> bool:
        return np.count_nonzero(self.mask) >= 2000

    @cached_property
    def residual(self) -> Residual:
        return Residual(self.view_a, self.view_b, self.mask)

    @cached_property
    def quick(self) -> Rest:
        return self.residual.quick

    def fine(self) -> tuple[float, float, dict[str, float]]:
        """100 * (1 - lowest local correlation): everywhere, and outside a small overlay; and the description
        of that overlay ({} when there is none)."""
        rest = self.residual.thorough()
        local = self.residual.local(rest, floor=8.0, box=13, spared=40)
        overlay = self.residual.overlay(rest, local, max(1.0, max(self.mask.shape) / 400))
        around = overlay.get("around", local.lowest)
        return 100 * (1 - local.lowest), 100 * (1 - around), overlay

    @property
    def convincing(self) -> bool:
        """Whether it is the right alignment, beyond doubt."""
        found = self.fit.method == "identity" or self.fit.inliers >= _SURE
        return found and self.comparable and self.residual.bands[0] >= _ALIKE

    @property
    def misfit(self) -> float:
        return self.quick.mean / max(0.1, self.residual.ncc) / max(0.1, self.overlap_a, self.overlap_b)

    @property
    def locked(self) -> bool:
        """Whether nearly every corner of one is within a fraction of a pixel in the other: no better
        alignment exists."""
        return self.flow.get("flow_share", 0.0) > 0.75 and self.flow.get("flow50", 9.0) < 0.25

    def refined(self) -> _AlignedPair:
        """The alignment refined to fractions of a pixel; itself when there is nothing to follow."""
        best = self
        for _ in range(2):
            step = best._drift() if best.comparable else None
            if step is None:
                break
            best = _AlignedPair(self.a, self.b, replace(self.fit, transform=step[0]), step[1])
            if best.flow["off"] < 0.1:
                break
        return best

    def _drift(self) -> tuple[Affine, dict[str, float]] | None:
        """A better transform: the remaining shift of the moving picture, from the optical flow of corners
        (Lucas-Kanade)."""
        views = (self.view_b, self.view_a) if self.a_moves else (self.view_a, self.view_b)
        still, moving = (view.grey for view in views)
        moving = _match_tone(moving, still, self.mask)
        points = _corners(still, self.mask)
        if points is None or len(points) < 12:
            return None
        moved, ok, _ = cv2.calcOpticalFlowPyrLK(still, moving, points, None, winSize=(13, 13), maxLevel=2)
        good = ok.ravel() == 1
        if good.sum() < 12:
            return None
        p, q = points[good].reshape(-1, 2), moved[good].reshape(-1, 2)
        cv2.setRNGSeed(0)
        step, mask = cv2.estimateAffine2D(p, q, method=cv2.RANSAC, ransacReprojThreshold=1.0, maxIters=500)
        if step is None or mask.sum() < 12 or not 0.9 < _scale(step) < 1.1:
            return None
        off = np.linalg.norm(p @ step[:, :2].T + step[:, 2] - q, axis=1)
        flow = {
            "flow_share": float((off < 1).sum() / len(points)),
            "flow50": float(np.median(off)),
            "flow90": float(np.quantile(off, 0.9)),
            "off": float(np.median(np.linalg.norm(p - q, axis=1))),
        }
        way = self.fit.transform if self.a_moves else _inverse(self.fit.transform)
        way = _compose(_inverse(np.asarray(step, np.float64)), way)
        return (way if self.a_moves else _inverse(way)), flow


def _corners(grey: Pixels, mask: Mask) -> Plane | None:
    """Of a large picture they are looked for at half its size, in a quarter of the time."""
    if max(grey.shape) <= LARGE:
        return cv2.goodFeaturesToTrack(grey, 200, 0.01, 7, mask=mask.view(np.uint8))
    small = cv2.resize(grey, (grey.shape[1] // 2, grey.shape[0] // 2), interpolation=cv2.INTER_AREA)
    inside = np.ascontiguousarray(mask[::2, ::2][: small.shape[0], : small.shape[1]]).view(np.uint8)
    points = cv2.goodFeaturesToTrack(small, 200, 0.01, 4, mask=inside)
    return points if points is None else 2 * points + np.float32(0.5)


def _scale(transform: Affine) -> float:
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def _footprint(moving: Prepared, way: Affine, size: tuple[int, int]) -> Pixels:
    return np.asarray(cv2.warpAffine(moving.everywhere, way, size, flags=cv2.INTER_NEAREST), np.uint8)


def _match_tone(x: Pixels, y: Pixels, mask: Mask) -> Pixels:
    """x with the grey levels of y, because optical flow assumes equal brightness."""
    some = Masked(mask)
    qx, qy = quantiles(some.of(x, 7)), quantiles(some.of(y, 7))
    table = np.interp(np.arange(256), qx + np.arange(len(qx)) * 1e-3, qy)
    return np.asarray(cv2.LUT(x, np.clip(np.rint(table), 0, 255).astype(np.uint8)), np.uint8)


@dataclass(frozen=True, slots=True)
class _Beyond:
    """What one picture shows outside of what the other shows too, in shares of the picture."""

    more: float = 0.0
    """More of the scene: not a plain or blurred frame, nor a caption."""
    margin: float = 0.0
    """What is drawn on plain margins, a caption too."""
    frame: float = 0.0
    """Plain and blurred frames."""


def _beyond(picture: Prepared, other: Prepared, other_to_picture: Affine) -> _Beyond:
    """What `picture` shows that the other does not.

    On a plain margin, what is drawn on it counts, together with the gaps between its letters: a house under a
    dark sky, or a row of small pictures, is larger than a caption.
    """
    seen = _footprint(other, other_to_picture, (picture.width, picture.height))
    unseen = seen.size - cv2.countNonZero(seen)
    if unseen < 0.01 * seen.size:
        return _Beyond()
    outside = cv2.erode(255 - seen, _FIVE, borderType=cv2.BORDER_CONSTANT, borderValue=255)
    count, labels = cv2.connectedComponents(outside)
    rounding = unseen / seen.size - cv2.countNonZero(outside) / seen.size
    beyond, margin, frame = rounding, 0.0, 0.0
    filled = _filled(picture, seen) if count > 1 else None
    for label in range(1, count):
        part = labels == label
        share = float(part.mean())
        if filled is not None and np.count_nonzero(filled & part) > 0.5 * share * seen.size:
            frame += share
            continue
        drawn = _drawn_on_a_margin(picture, part, seen)
        if drawn is None:
            beyond += share
        else:
            beyond += drawn
            margin += drawn
            frame += share - drawn
    if beyond < 0.02 + rounding and count > 1:
        beyond = 0.0
    return _Beyond(beyond, margin, frame)


def _drawn_on_a_margin(picture: Prepared, part: Mask, seen: Pixels) -> float | None:
    """The share of the picture that the drawing on this part of it fills; None when the part is no plain
    margin."""
    levels = picture.rgb.reshape(-1, 3).take(np.flatnonzero(part), axis=0)
    paint = [_median(levels[::3, channel]) for channel in range(3)]
    ground = _off(levels, paint)
    ground = ground[ground < 24]
    # A frame has one colour; a sky or a wall has shades.
    if ground.size <= 0.6 * len(levels) or np.count_nonzero(ground < 8) <= _ONE_COLOUR * ground.size:
        return None
    off = _off(picture.rgb, paint)
    rim = (seen > 0) & (
        cv2.erode(seen, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=255) == 0
    )
    near = cv2.dilate(part.astype(np.uint8), np.ones((19, 19), np.uint8)) > 0
    edge = off[rim & near]
    if np.count_nonzero(edge > 20) <= 0.5 * edge.size:
        return None
    drawn = cv2.morphologyEx(((off >= 24) & part).astype(np.uint8), cv2.MORPH_CLOSE, _GAPS)
    return cv2.countNonZero(drawn) / drawn.size


def _median(levels: Pixels) -> int:
    """Median of (N,) grey levels, rounded down: by counting, without sorting."""
    upto = np.cumsum(np.bincount(levels, minlength=256))
    low, high = np.searchsorted(upto, [(len(levels) - 1) // 2 + 1, len(levels) // 2 + 1])
    return int(low + high) // 2


def _off(levels: Pixels, paint: list[int]) -> NDArray[np.int16]:
    """Distance of (..., 3) levels from a colour, in the channel where it is largest."""
    # Not OpenCV's absdiff: it takes an array of a few pixels for one colour.
    red, green, blue = (np.abs(levels[..., at].astype(np.int16) - level) for at, level in enumerate(paint))
    return np.maximum(np.maximum(red, green), blue)


def _filled(picture: Prepared, seen: Pixels) -> Mask | None:
    """Where the surroundings are the picture itself, enlarged and blurred, as phones and galleries fill the
    rest of a screen."""
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    if (bottom - top) * (right - left) > 0.9 * seen.size or min(bottom - top, right - left) < 24:
        return None
    outside = cv2.erode((seen == 0).astype(np.uint8), _FIVE) > 0
    if np.count_nonzero(outside) < 500:
        return None
    fine = picture.fine
    if float(fine[outside].mean()) >= 0.35 * float(fine[seen > 0].mean()):
        return None  # not smooth
    inner = picture.grey[top:bottom, left:right]
    cover = max(picture.width / inner.shape[1], picture.height / inner.shape[0])
    large = cv2.resize(inner, None, fx=cover, fy=cover, interpolation=cv2.INTER_LINEAR)
    y, x = (large.shape[0] - picture.height) // 2, (large.shape[1] - picture.width) // 2
    large = large[max(0, y) : max(0, y) + picture.height, max(0, x) : max(0, x) + picture.width]
    if large.shape != seen.shape:
        large = cv2.resize(large, seen.shape[1::-1])
    sigma = max(picture.width, picture.height) / 40
    one, two = (cv2.GaussianBlur(p, (0, 0), sigma)[outside].astype(np.float32) for p in (picture.grey, large))
    alike = np.corrcoef(one, two)[0, 1] if min(one.std(), two.std()) > 1 else 0.0
    return outside if alike > _FILL_ALIKE else None


def _shown_inside(picture: Prepared, other: Prepared, other_to_picture: Affine) -> float:
    """The share of what lies inside wide plain margins of `picture` that `other` shows too; 0 without such
    margins."""
    if picture.inside is None:
        return 0.0
    seen = _footprint(other, other_to_picture, (picture.width, picture.height)) > 0
    left, top, right, bottom = picture.inside
    bars = min(top, picture.height - bottom) > 0 or min(left, picture.width - right) > 0
    border = min(top, picture.height - bottom, left, picture.width - right) > 0
    most = _IN_A_BORDER if border or not bars else _BETWEEN_BARS
    return float(seen[top:bottom, left:right].mean()) if seen.mean() < most else 0.0


def _measures(laid: _AlignedPair) -> Measures:
    residual = laid.residual
    rest = residual.thorough()
    band_ncc, band_std, fine_ncc = residual.bands
    local = residual.quick_local if rest is residual.quick else residual.local(rest)
    t = laid.fit.transform
    beyond_a, beyond_b = _beyond(laid.a, laid.b, _inverse(t)), _beyond(laid.b, laid.a, t)
    colours, (alone_a, alone_b) = residual.colours(), residual.colour_alone()
    extra = {
        "fine_ncc": fine_ncc,
        "tone": rest.tone,
        "local": local.lowest,
        "unlike": local.unlike,
        "hues_most": colours.hues_most,
        "colour_alone_a": alone_a,
        "colour_alone_b": alone_b,
        "beyond_a": beyond_a.more,
        "beyond_b": beyond_b.more,
        "margin_a": beyond_a.margin,
        "margin_b": beyond_b.margin,
        "inside_a": _shown_inside(laid.a, laid.b, _inverse(t)),
        "inside_b": _shown_inside(laid.b, laid.a, t),
        **laid.flow,
        "bad": residual.bad(rest),
        **(residual.overlay(rest, local) if local.unlike > 0 and rest.mean < 5 else {}),
        **{f"t{i}": float(value) for i, value in enumerate(t.ravel())},
    }
    return Measures(
        method=laid.fit.method,
        orientation=laid.fit.orientation,
        inliers=laid.fit.inliers,
        overlap_a=laid.overlap_a,
        overlap_b=laid.overlap_b,
        ncc=residual.ncc,
        mean=rest.mean,
        worst=rest.worst,
        band_ncc=band_ncc,
        band_std=band_std,
        hues=colours.hues,
        holds_a=replace(laid.a.holding, colour=colours.own_a, tint=colours.tint_a, framed=beyond_a.frame),
        holds_b=replace(laid.b.holding, colour=colours.own_b, tint=colours.tint_b, framed=beyond_b.frame),
        extra=extra,
    )


class CloseLook:
    """Two larger pictures, laid as `measures` found at 400 px. What is measured of them shares one alignment."""

    def __init__(self, a: Pixels | Prepared, b: Pixels | Prepared, measures: Measures) -> None:
        self._a, self._b = (
            picture if isinstance(picture, Prepared) else Prepared(picture) for picture in (a, b)
        )
        self._found = measures

    @property
    def _lies(self) -> bool:
        return self._found.method != "none" and "t0" in (self._found.extra or {})

    @cached_property
    def _laid(self) -> _AlignedPair:
        m = self._found
        way = _scaled(m.extra or {}, max(self._a.width, self._a.height), max(self._b.width, self._b.height))
        return _AlignedPair(self._a, self._b, _Fit(m.method, m.orientation, m.inliers, way))

    def fine(
        self, measures: Measures, whole_a: Pixels | None = None, whole_b: Pixels | None = None
    ) -> Measures:
        """`measures` with `fine_worst` and more, from the larger pictures, and from (H, W) grey levels of the wholes.

        The transform is refined. `tones_alone_a`, `tones_level_a`: see residual.Tones. `rest`: root mean square
        difference of grey levels without any tone map; `rest_worst`: the same of the worst 16-px block;
        `fine_around`: `fine_worst` outside an overlay, which is described when it was too faint at 400 px. 99 without
        a transform. `colour_spot`: see residual.colour_spot.
        """
        if not self._lies:
            return replace(measures, fine_worst=99.0)
        laid, known = self._laid, measures.extra or {}
        one = self._a.grey if whole_a is None else whole_a
        two = self._b.grey if whole_b is None else whole_b
        measures = _with_detail(measures, self._a, self._b, (one, two))
        # What was laid by more than its size is off by a fraction of a pixel there, which is three times as much here.
        if measures.method != "identity" or "off" in known or laid.quick.worst >= 4:
            laid = min((laid, laid.refined()), key=lambda x: x.quick.worst)
        rest, rest_worst = laid.residual.rest()
        worst, around, overlay = laid.fine()
        extra = {
            **overlay,
            **known,
            "rest": rest,
            "rest_worst": rest_worst,
            "fine_around": around,
            **_tones(laid.residual),
            "colour_spot": laid.residual.colour_spot(),
        }
        return replace(measures, fine_worst=worst, extra=extra)

    def writing(self, measures: Measures) -> Measures:
        """`measures` with `written`: the share of strokes in what differs that stand on even ground, from the
        larger pictures.

        Unchanged without a transform.
        """
        if not self._lies:
            return measures
        # Not refined further: nothing is off by as much as a letter, and it would double the cost.
        return replace(measures, extra={**(measures.extra or {}), "written": self._laid.residual.written()})

    def islands(self, measures: Measures, large_a: Pixels, large_b: Pixels) -> Measures:
        """`measures` with `island`: how little the least alike island is found again, in (H, W) grey levels of both, large.

        Unchanged without a transform.
        """
        if not self._lies:
            return measures
        one, two = (_at_most(large, islands.SIDE) for large in (large_a, large_b))
        way = _scaled(self._found.extra or {}, max(one.shape), max(two.shape))
        x, y, inside = _laid_grey(one, two, way)
        return replace(measures, extra={**(measures.extra or {}), "island": islands.island(x, y, inside)})


def _at_most(grey: Pixels, side: int) -> Pixels:
    shrink = side / max(grey.shape)
    if shrink >= 1:
        return grey
    return np.asarray(cv2.resize(grey, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)


def _laid_grey(a: Pixels, b: Pixels, way: Affine) -> tuple[Pixels, Pixels, Mask]:
    """Both in the frame of the one that shows the scene smaller, in its tones, and where both show it."""
    scale = _scale(way)
    moving, still, way = (a, b, way) if scale <= 1 else (b, a, _inverse(way))
    shrink, size = min(scale, 1 / scale), (still.shape[1], still.shape[0])
    if shrink < 0.9:
        moving = cv2.GaussianBlur(moving, (0, 0), 0.5 * np.sqrt(1 / shrink**2 - 1))
    laid = cv2.warpAffine(moving, way, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(np.full(moving.shape, 255, np.uint8), way, size, flags=cv2.INTER_NEAREST)
    return _match_tone(laid, still, seen > 0), still, seen > 0


def _tones(residual: Residual) -> dict[str, float]:
    of_a, of_b = residual.tones_alone()
    return {
        "tones_alone_a": of_a.alone, "tones_level_a": of_a.level,
        "tones_alone_b": of_b.alone, "tones_level_b": of_b.level,
    }  # fmt: skip


def _scaled(known: dict[str, float], side_a: int, side_b: int) -> Affine:
    """The transform found at 400 px, for pictures with these long sides."""
    up, down = max(1.0, side_b / 400), max(1.0, side_a / 400)
    t = np.array([known[f"t{i}"] for i in range(6)]).reshape(2, 3)
    linear = up * t[:, :2] / down
    # Scale about the corner of the picture, not about the centre of its first pixel.
    shift = up * (t[:, 2] + 0.5) - 0.5 + linear @ np.full(2, 0.5) - up * (t[:, :2] @ np.full(2, 0.5))
    return np.hstack([linear, shift[:, None]])


def _with_detail(measures: Measures, a: Prepared, b: Prepared, wholes: tuple[Pixels, Pixels]) -> Measures:
    one, two = wholes
    found_a, found_b = detail.compare(one, two, _scaled(measures.extra or {}, max(one.shape), max(two.shape)))
    return replace(
        measures,
        holds_a=_with(measures.holds_a or a.holding, found_a, one),
        holds_b=_with(measures.holds_b or b.holding, found_b, two),
    )


def _with(holding: Holding, found: detail.Detail, whole: Pixels) -> Holding:
    blocks = holding.lossless and detail.was_jpeg(whole)
    return replace(holding, enlarged=found.enlarged, blurred=found.blurred, was_jpeg=blocks)
