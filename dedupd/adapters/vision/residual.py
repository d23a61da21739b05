"""Measures what differs between two pictures that are aligned pixel by pixel.

Owns the measures of difference: after a tone map, per block, in the fine bands, under an overlay. Must never
align and never judge. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportReturnType=false, reportCallIssue=false, reportMissingImports=false
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.masked import Mask, Masked, at

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]

NORMAL_STD = 50.0
"""Residuals are scaled as if the picture's grey levels had this standard deviation."""
BAD_BLOCK = 10.0
"""A block with a larger residual counts as different when overlays are searched."""
_UNLIKE = 0.5
_FAINTLY_UNLIKE = 0.75
"""For writing in dim light, on one of the two."""
_CHANGED = 24.0
"""Grey levels by which a pixel must differ to count as painted over."""
_FEWEST_INNER = 500
"""Pixels: of fewer, nothing is known."""
_FEWEST_CHANGED = 12
"""Pixels, at least."""
_DRAWN, _DRAWN_LARGE, _MAYBE_DRAWN = 0.9, 0.91, 0.95
"""Correlation of structure below which something is drawn there; in a large picture, of which the band is made of halved
planes; and the same at every second pixel, where it may be."""
_LOW_SIGMA = 2.0
_PART = 64
_STEP = 2
"""The low-passed planes hold nothing finer than every second pixel."""
_SOME, _SOME_OF_MANY, _FEW = 5, 23, 3
"""One in so many pixels of the low-passed planes makes the tone maps (where they are many, one in a prime number, so that
they stand in no columns), and the maps of colours."""
_MANY = 100_000
"""Pixels: of as many the tones are known well enough by fewer than one in five."""
_QUANTILES = np.linspace(0, 1, 33)
_STROKE, _EVEN = 16, 12
"""Grey levels: how much a stroke must stand out, and how much its ground may vary."""
_FEWEST_STROKES = 50
"""Pixels of strokes, at least: two small letters."""
_INKS = ((cv2.MORPH_BLACKHAT, cv2.MORPH_CLOSE), (cv2.MORPH_TOPHAT, cv2.MORPH_OPEN))
"""What shows dark strokes and what takes them away; the same for light ones."""
_REACH = 32
"""px from which on nothing around a stroke says anything of its ground: more than half of all the squares together."""
_FITTING, _LEFT = 0.8, 0.4
_COLOURED = 20.0
"""Chroma from which on a hue tells two things apart."""
_SPOT, _AROUND, _SPREAD = 3, 9, 1.5
"""px of the low-passed planes: the side of a place that tells of its colour, and of what is around it; and how much more of a
place than of its surroundings may be gone."""
_WHITE, _PALE, _BLACK = 245, 170, 8
"""Levels: of the highest channel, of the lowest where it is white, and of the highest where it is black."""
_CLIPPED = 0.5
"""How much a hue counts where a channel is as high as it can be."""
_FIVE, _NINE = np.ones((5, 5), np.uint8), np.ones((9, 9), np.uint8)
_EVENLY, _GRAIN = 0.3, 4.0
"""Tones are compared in this share of the picture, its most even part, and wherever the spread is below so
many grey levels: elsewhere texture hides steps, from the eye too."""
_FEWEST = 2000
"""Pixels, at least."""
_RIM = np.ones((7, 7), np.uint8)
LARGE = 1000
"""px of the long side from which on fine structure is compared, and corners are found, at every second pixel."""
_GREYISH = 2.0
"""Chroma of its own below this comes from rounding and compression."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What one tone map leaves."""

    planes: tuple[Plane, Plane]
    """The mapped plane and the one it was mapped to; equal outside the overlap."""
    target: View
    """The view to which the second plane belongs."""
    mean: float
    worst: float
    blocks: Plane
    """Mean residual of the box around every second pixel; 0 outside the overlap."""
    tone: float
    """Strength of the map: the largest |log2| of its gain in spread and in level."""


@dataclass(frozen=True, slots=True)
class Local:
    """How the fine structure agrees, place by place."""

    lowest: float
    """The lowest local correlation, -1 to 1, after a few pixels are spared."""
    unlike: float
    """Share of the overlap where it is below 0.5."""
    correlation: Plane
    """Of every second pixel where the pictures are large."""
    inner: Mask
    """The overlap without its rim, where the correlation is meaningful."""
    floor: float
    box: int
    """How it was measured: see Residual.local."""


@dataclass(frozen=True, slots=True)
class Colours:
    """How colourful the two are, independent of their tones and white balance. Grey units at standard
    deviation 50."""

    own_a: float
    """Root mean square of the chroma that a smooth curve over the picture's own brightness does not explain.
    """
    own_b: float
    tint_a: float
    """Root mean square of all chroma: sepia has some, and none of its own."""
    tint_b: float
    hues: float
    """Correlation of the two own chromas, -1 to 1; 1 when one has almost none."""
    hues_most: float
    """The same without the tenth of the picture that differs most, for example a coloured stamp."""


@dataclass(frozen=True, slots=True)
class Tones:
    """Tones that one picture separates and the other shows as one level."""

    alone: float = 0.0
    """Spread of its levels at one level of the other, minus the same in the other direction; grey units at
    standard deviation 50."""
    level: float = 0.0
    """At which level of the other picture, 0 (black) to 255."""


class View:
    """One picture in the frame of a comparison, with what several comparisons of it share."""

    def __init__(self, rgb: Pixels, grey: Pixels, brought: Callable[[Pixels], Pixels] | None = None) -> None:
        """`brought`: what brings the picture into that frame, where it does not lie there as it is. Its colours are brought
        when they are asked for, which most comparisons never do."""
        self._rgb, self._brought = rgb, brought
        self.grey = grey if brought is None else brought(grey)

    @cached_property
    def rgb(self) -> Pixels:
        return self._rgb if self._brought is None else self._brought(self._rgb)

    @cached_property
    def green(self) -> Pixels:
        """Of every second pixel."""
        green = self._rgb[..., 1]
        if self._brought is not None:
            green = self._brought(np.ascontiguousarray(green))
        return np.ascontiguousarray(green[::_STEP, ::_STEP])

    @cached_property
    def level(self) -> Plane:
        return self.grey.astype(np.float32)

    @cached_property
    def halved(self) -> Plane:
        return _halved(self.level)

    @cached_property
    def _halved_rgb(self) -> Pixels:
        return _halved(self.rgb)

    def pixels(self, *, halved: bool) -> Pixels:
        """(H, W, 3) RGB, of all pixels or halved."""
        return self._halved_rgb if halved else self.rgb

    @cached_property
    def low(self) -> Plane:
        return _low_of_halved(self.halved)

    @cached_property
    def colours(self) -> Plane:
        return _low_of_halved(self._halved_rgb)

    @cached_property
    def bands(self) -> tuple[Plane, Plane]:
        return _bands(self.level)

    @cached_property
    def structure(self) -> Plane:
        """The band that is compared place by place."""
        return _structure(self.level)


@dataclass(frozen=True, slots=True)
class _Levels:
    """How (N,) grey levels are distributed."""

    quantiles: NDArray[np.float64]
    std: float
    mean: float


class Residual:
    """Two pictures of one size, compared where `mask` is true."""

    def __init__(self, a: View, b: View, mask: Mask) -> None:
        self.view_a, self.view_b, self.mask = a, b, mask
        self.small = np.ascontiguousarray(mask[::_STEP, ::_STEP])
        self.box = max(4, min(mask.shape) // 24 // _STEP)
        self.trusted = Masked(self.small)
        """The pixels of the low-passed planes from which a tone map is made."""
        self._channels: dict[View, list[_Levels]] = {}
        self._deviations: dict[View, float] = {}
        self._known_moments: dict[tuple[int, int], tuple[Rest, tuple[Plane, Plane, Plane]]] = {}

    @cached_property
    def ncc(self) -> float:
        """Correlation of the low-passed grey levels."""
        return _ncc(*(self.trusted.of(view.low) for view in (self.view_a, self.view_b)))

    @cached_property
    def count(self) -> Plane:
        """Share of the box around every second pixel that is inside the overlap."""
        return cv2.blur(self.small.astype(np.float32), (self.box, self.box))

    @cached_property
    def _divisor(self) -> Plane:
        return np.maximum(self.count, 1e-3)

    @cached_property
    def _whole(self) -> Masked:
        """Where that share is large enough."""
        return Masked(self.count > 0.6)

    @cached_property
    def _rim(self) -> Mask:
        return self.count <= 0.6

    @cached_property
    def _outside(self) -> tuple[Mask, Mask]:
        return ~self.mask, ~self.small

    @cached_property
    def _inside(self) -> Masked:
        return Masked(self.mask)

    @cached_property
    def quick(self) -> Rest:
        """The rest after one monotone curve of grey levels from a to b."""
        return self._until_it_agrees(self._grey_curve)

    def thorough(self) -> Rest:
        """The smallest rest of several maps: a curve per channel in each direction, and a smooth colour map
        in each direction."""
        best = self.quick
        if best.worst <= 4 or best.mean > 15:
            return best
        mid, _, fine = self.bands
        if mid < 0.7 or fine < 0.4:
            return best
        # Tones agree already, and something is drawn that no tone map removes.
        if best.mean < 2 and self.quick_local.lowest < 0.2:
            return best
        a, b = self.view_a, self.view_b
        ways = _Curves(self, a, b), _Curves(self, b, a), _Colours(self, a, b), _Colours(self, b, a)
        # Tried on halved pictures, which say as much of colours: only the best map is made of all pixels.
        chosen, least = None, _size(best)
        for way in ways:
            size = _size(self._until_it_agrees(partial(way.rest, halved=True)))
            if size < least:
                chosen, least = way, size
            if least[0] <= 4:
                break
        return best if chosen is None else min(best, self._until_it_agrees(chosen.rest), key=_size)

    @cached_property
    def bands(self) -> tuple[float, float, float]:
        """(correlation, amplitude) of the 1.2-5 px band, and the correlation of the band finer than 1.5 px."""
        mid_a, fine_a, mid_b, fine_b = (
            self._inside.of(plane) for planes in self._band_planes for plane in planes
        )
        return _ncc(mid_a, mid_b), float(min(mid_a.std(), mid_b.std())), _ncc(fine_a, fine_b)

    @cached_property
    def _band_planes(self) -> list[tuple[Plane, Plane]]:
        return [_bands(self.quick.planes[0]), self.view_b.bands]

    def local(self, rest: Rest, floor: float = 3.0, box: int = 11, spared: int = 30) -> Local:
        """Local correlation of the 1-4 px band in boxes of `box` px.

        `floor` (grey levels): the change that noise and compression may make. An object or a letter that only
        one picture shows makes it low, whatever its contrast; resizing, recompression and tone edits leave it
        near 1.
        """
        inner, places = self._inner
        correlation = self._correlation(rest, floor, box)
        if places.size < _FEWEST_INNER:
            return Local(0.0, 1.0, correlation, inner, floor, box)
        found = self._compared.of(correlation)
        rank = min(spared // self._every**2, found.size // 1000)
        unlike = int(np.count_nonzero(found < _UNLIKE)) / found.size
        return Local(_lowest(found, rank), unlike, correlation, inner, floor, box)

    def _correlation(self, rest: Rest, floor: float, box: int) -> Plane:
        if self._inner[1].size < _FEWEST_INNER:
            return np.zeros_like(rest.planes[0])[:: self._every, :: self._every]
        return _correlated(self._moments(rest, box), floor)

    def _moments(self, rest: Rest, box: int) -> tuple[Plane, Plane, Plane]:
        """Means in boxes of `box` px of x * y, x * x and y * y, of the band that is compared place by place."""
        known = self._known_moments.get((id(rest), box))
        if known is not None:
            return known[1]
        x, y = _structure(rest.planes[0]), rest.target.structure
        x_y, x_x, y_y = (self._thinned(cv2.multiply(one, two)) for one, two in ((x, y), (x, x), (y, y)))
        of_x, of_y = (float(self._compared.of(plane).mean()) + 1e-3 for plane in (x_x, y_y))
        # The stronger one is made as weak as the other.
        weaker = min(of_y / of_x, of_x / of_y)
        (x_x if of_x > of_y else y_y)[...] *= weaker
        x_y *= float(np.sqrt(weaker))
        x_y, x_x, y_y = (self._boxed(plane, box) for plane in (x_y, x_x, y_y))
        # With the rest itself: as long as it is kept, no other has its id.
        self._known_moments[id(rest), box] = rest, (x_y, x_x, y_y)
        return x_y, x_x, y_y

    def _evened(self, rest: Rest) -> tuple[Plane, Plane]:
        """The band of both, the stronger one as strong as the other."""
        x, y = _structure(rest.planes[0]), rest.target.structure
        of_x, of_y = ((self._inner[1].of(plane) ** 2).mean() + 1e-3 for plane in (x, y))
        gain = float(np.sqrt(of_y / of_x))
        return (x * gain, y) if gain < 1 else (x, y * (1 / gain))

    def _drawn(self, rest: Rest, local: Local, changed: Mask, scale: float) -> Mask:
        """Those of the changed pixels near which the structure differs. At every second pixel it says so of few letters less
        often: where it hints at it, all pixels are asked."""
        near = _square(7 * scale)
        if self._every == 1:
            return changed & (cv2.dilate((local.correlation < _DRAWN).astype(np.uint8), near) > 0)
        hint = (local.correlation < _MAYBE_DRAWN).astype(np.uint8)
        maybe = changed & (self._at_each(cv2.dilate(hint, _square(7 * scale / self._every + 2))) > 0)
        drawn = np.zeros_like(changed)
        if maybe.any():
            part = _around(maybe, local.box + round(7 * scale))
            x, y = (plane[part] for plane in self._evened(rest))
            means = [
                cv2.blur(cv2.multiply(one, two), (local.box, local.box))
                for one, two in ((x, y), (x, x), (y, y))
            ]
            low = _correlated((means[0], means[1], means[2]), local.floor) < _DRAWN_LARGE
            drawn[part] = maybe[part] & (cv2.dilate(low.astype(np.uint8), near) > 0)
        return drawn

    @cached_property
    def _every(self) -> int:
        """One in so many pixels, in both directions, at which fine structure is compared."""
        return _STEP if max(self.mask.shape) > LARGE else 1

    def _thinned(self, plane: Plane) -> Plane:
        return _halved(plane) if self._every == _STEP else plane

    def _boxed(self, thinned: Plane, box: int) -> Plane:
        """Means in boxes of an odd number of px."""
        if self._every == 1:
            return cv2.blur(thinned, (box, box))
        taps = _box_of_halves(box)
        return cv2.sepFilter2D(thinned, cv2.CV_32F, taps, taps)

    def _at_each(self, correlation: Plane) -> Plane:
        """A correlation at every pixel."""
        return _doubled(correlation, self.mask.shape) if self._every == _STEP else correlation

    @cached_property
    def _compared(self) -> Masked:
        """The overlap without its rim, at these pixels."""
        inner, places = self._inner
        return Masked(np.ascontiguousarray(inner[::_STEP, ::_STEP])) if self._every == _STEP else places

    @cached_property
    def _inner(self) -> tuple[Mask, Masked]:
        """The overlap without its rim."""
        inner = cv2.erode(self.mask.astype(np.uint8), _RIM, borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        return inner, Masked(inner)

    @cached_property
    def quick_local(self) -> Local:
        """`local` after the quick map."""
        return self.local(self.quick)

    def _grey_curve(self, trusted: Masked) -> Rest:
        a, b, some = self.view_a, self.view_b, _some(trusted)
        table, tone = _curve(_levels(trusted.of(a.low, some)), _levels(trusted.of(b.low, some)))
        return self.rest_of(cv2.LUT(a.grey, table), b, trusted, tone)

    def rest_of(self, mapped: Plane, target: View, trusted: Masked, tone: float) -> Rest:
        """The rest between `mapped`, whole or halved, which is changed outside of the overlap, and the grey levels of
        `target`."""
        outside, small_outside = self._outside
        # Filters reach beyond the overlap: nothing may differ there.
        if mapped.shape == self.mask.shape:
            np.copyto(mapped, target.level, where=outside)
            mapped_low = _low(mapped)
        else:
            np.copyto(mapped, target.halved, where=small_outside)
            mapped_low = _low_of_halved(mapped)
        r = cv2.absdiff(mapped_low, target.low)
        r *= NORMAL_STD / max(1.0, self._deviation(target, trusted))
        np.copyto(r, 0, where=small_outside)
        blocks = cv2.blur(r, (self.box, self.box))
        blocks /= self._divisor
        np.copyto(blocks, 0, where=self._rim)
        inside = self._whole.of(blocks)
        worst = _highest(inside, inside.size // 1000) if inside.size >= 50 else 99.0
        mean = float(self.trusted.of(r).mean())
        return Rest((mapped, target.level), target, mean, worst, blocks, tone)

    def _deviation(self, view: View, trusted: Masked) -> float:
        if trusted is not self.trusted:
            return float(trusted.of(view.low).std())
        if view not in self._deviations:
            self._deviations[view] = float(trusted.of(view.low).std())
        return self._deviations[view]

    def channels(self, view: View, trusted: Masked) -> list[_Levels]:
        """The three colours of `view` at these pixels; those of all pixels are shared by the curves of both
        directions."""
        if trusted is self.trusted and view in self._channels:
            return self._channels[view]
        colours = trusted.of(view.colours, _some(trusted))
        found = [_levels(colours[:, channel]) for channel in range(3)]
        if trusted is self.trusted:
            self._channels[view] = found
        return found

    def _until_it_agrees(self, attempt: Callable[[Masked], Rest]) -> Rest:
        """Map once with everything, and again without what differs: an opaque overlay distorts the map of
        everything else."""
        first = attempt(self.trusted)
        bad = (first.blocks > BAD_BLOCK) & self.small
        share = np.count_nonzero(bad) / max(1, self.trusted.size)
        return attempt(Masked(self.small & ~bad)) if 0 < share < 0.4 else first

    def rest(self, block: int = 16) -> tuple[float, float]:
        """Root mean square difference of the unmapped grey levels, and that of the worst block."""
        squares = cv2.subtract(self.view_a.level, self.view_b.level)
        np.copyto(squares, 0, where=self._outside[0])
        cv2.multiply(squares, squares, squares)
        mean = cv2.sumElems(squares)[0] / max(1, self._inside.size)
        blocks = cv2.blur(_halved(squares), (block // 2, block // 2))[:: block // 4, :: block // 4]
        return float(np.sqrt(mean)), float(np.sqrt(max(0.0, blocks.max())))

    def written(self) -> float:
        """Of the strokes in what differs at 1200 px, the share that stands on even ground, of the picture
        with the larger share.

        Photographed pages, cards, boards and screens with another text: 0.5 and more, nine of ten above 0.8.
        People and things that moved, labelled bursts: at most 0.43.
        """
        inner, _ = self._inner
        unlike = (self._at_each(self._correlation(self.quick, floor=5.0, box=13)) < _FAINTLY_UNLIKE) & inner
        differs = (cv2.dilate(unlike.astype(np.uint8), _square(9)) > 0) & inner
        if np.count_nonzero(differs) < _FEWEST_STROKES:
            return 0.0
        part = _around(differs, _REACH)
        return max(_on_even_ground(plane[part], differs[part]) for plane in self.quick.planes)

    def colours(self) -> Colours:
        """The colours of both. White balance, exposure and contrast change the chroma along the picture's own
        brightness, or all of it by one factor; what remains after both is missing in a black-and-white,
        sepia, one-channel or recoloured version."""
        some = self.trusted
        (own_a, tint_a), (own_b, tint_b) = (
            _chroma(some.of(view.colours, _FEW), some.of(view.low, _FEW))
            for view in (self.view_a, self.view_b)
        )
        size_a, size_b = (float(np.sqrt(_squared(own).mean())) for own in (own_a, own_b))
        if min(size_a, size_b) < _GREYISH:
            return Colours(size_a, size_b, tint_a, tint_b, 1.0, 1.0)
        apart = _squared(own_a - own_b)
        most = apart <= np.partition(apart, int(0.9 * (len(apart) - 1)))[int(0.9 * (len(apart) - 1))]
        return Colours(
            size_a, size_b, tint_a, tint_b, _in_step(own_a, own_b), _in_step(own_a[most], own_b[most])
        )

    def colour_alone(self) -> tuple[float, float]:
        """For a, and for b: the chroma in its worst block that a smooth map from the other does not explain,
        grey units at standard deviation 50. An object that lost its colour, or has another one, shows here,
        however small it is."""
        rank = self._whole.size // 500
        of_a, of_b = (_strongest(left, rank) for _, (left,) in self._gone(self._whole, self._in_blocks))
        return of_a, of_b

    def colour_spot(self) -> float:
        """The chroma in its worst place of a few pixels that neither gives the other by a smooth map, grey units at standard
        deviation 50. A red eye that was mended, another jersey, a marked line: too small for a block.

        Where either is black or white it had no choice of colour. 0 of small pictures, whose blocks are hardly larger.
        """
        if self.box < 3 * _SPOT:
            return 0.0
        inner = cv2.erode(self.small.view(np.uint8), _FIVE, borderType=cv2.BORDER_CONSTANT, borderValue=0)
        (none_a, little_a), (none_b, little_b) = (
            _clipped(view.colours) for view in (self.view_a, self.view_b)
        )
        places, little = Masked(inner > np.bitwise_or(none_a, none_b)), np.bitwise_or(little_a, little_b)
        strongest = 0.0
        for gone, (here, around) in self._gone(places, _mean_of(_SPOT), _mean_of(_AROUND), apart=True):
            # A smaller copy spreads the colour of a flower over its surroundings, which have as much of it as before.
            left = np.minimum(here, _SPREAD * around)
            left[little.ravel()[gone] > 0] *= _CLIPPED
            strongest = max(strongest, _strongest(left, _SPOT**2 - 1))
        return strongest

    def _gone(
        self, where: Masked, *in_places: Callable[[Plane], Plane], apart: bool = False
    ) -> Iterator[tuple[NDArray[np.intp], list[Plane]]]:
        """For a, and for b: the (N,) places in which most of its own colour is not in the other, and how much (N,) chroma a
        smooth map from the other leaves there, as means of each kind. The first kind says where. `apart`: see `_colour_map`."""
        (chroma_a, luma_a), (chroma_b, luma_b) = self._chroma_planes
        means_a, means_b = ([mean(chroma) for mean in in_places] for chroma in (chroma_a, chroma_b))
        both = _dot(means_a[0], means_b[0])  # (H, W): what both show there
        for wanted, given, luma, own, others in (
            (chroma_a, chroma_b, luma_b, means_a, means_b),
            (chroma_b, chroma_a, luma_a, means_b, means_a),
        ):
            weights, scale = self._colour_map(wanted, given, luma, apart=apart)
            # A strong edit clips bright colours, and leaves most of them. A colour counts as gone or changed when
            # its hue differs.
            gone = where.flat[where.of(both < _LEFT * scale * _squared(own[0]))]
            # The map of means is the mean of the map.
            lumas, one = cv2.merge([luma, luma * luma]), np.ones(len(gone), np.float32)
            lefts = list[Plane]()
            for mean, mine, other in zip(in_places, own, others, strict=True):
                terms = np.column_stack([one, at(mean(lumas), gone), at(other, gone)])
                lefts.append(np.sqrt(_squared(at(mine, gone) - terms @ weights)))
            yield gone, lefts

    @cached_property
    def _chroma_planes(self) -> list[tuple[Plane, Plane]]:
        return [_chroma_plane(view.colours, view.low, self.trusted) for view in (self.view_a, self.view_b)]

    def _colour_map(self, wanted: Plane, given: Plane, luma: Plane, *, apart: bool) -> tuple[Plane, float]:
        """The (5, 2) weights of a smooth map from the other's 1, luma, luma squared and chroma to the wanted chroma, and how
        strong its colours are beside those.

        `apart`: colours that differ in hue make no map where they are few. In a grey picture the one coloured thing made it
        alone, and every other hue of it was explained.
        """
        few = _FEW if self.trusted.size < _MANY else _SOME_OF_MANY
        level, chroma, target = (self.trusted.of(plane, few) for plane in (luma, given, wanted))
        scale = float(np.sqrt((chroma**2).sum() / ((target**2).sum() + 1e-6)))
        sample = np.column_stack([np.ones_like(level), level, level * level, chroma])
        if apart:
            own = _squared(target)
            alike = (_dot(chroma, target) >= _LEFT * scale * own) | (own <= _COLOURED**2)
            if _FITTING * alike.size <= np.count_nonzero(alike) < alike.size:
                sample, target = sample[alike], target[alike]
        # Once more without what fits worst: an object that lost its colour must not distort the map of
        # everything else.
        off = _squared(target - sample @ _ridge(sample, target))
        kept = np.flatnonzero(off <= np.quantile(off, _FITTING))
        return _ridge(sample.take(kept, axis=0), target.take(kept, axis=0)), scale

    def tones_alone(self) -> tuple[Tones, Tones]:
        """For a, and for b. Noise, compression, resizing and any curve that keeps levels apart spread both
        directions alike; with clipped shadows or highlights, or steps instead of a gradient, many levels of
        one match one level of the other. Measured in green, because luma mixes the channels and so fills
        their steps."""
        a, b = self.view_a.green, self.view_b.green
        spread = np.minimum(_spread(a), _spread(b))
        inside = self.trusted.of(spread)
        if inside.size < _FEWEST:
            return Tones(), Tones()
        some = np.sort(inside[:: _some(self.trusted)])
        even = Masked(self.small & (spread <= max(float(some[int(_EVENLY * some.size)]), _GRAIN)))
        even_a, even_b = even.of(a), even.of(b)
        std_a, std_b = (float(self.trusted.of(plane, _FEW).std()) for plane in (a, b))
        x, y = even_a / max(0.2, std_a / NORMAL_STD), even_b / max(0.2, std_b / NORMAL_STD)
        (of_a, in_b), (of_b, in_a) = _told_apart(x, even_b), _told_apart(y, even_a)
        return Tones(max(0.0, of_a - of_b), in_b), Tones(max(0.0, of_b - of_a), in_a)

    def _in_blocks(self, plane: Plane) -> Plane:
        """(H, W, 2): the mean around every second pixel, inside the overlap."""
        means = cv2.blur(cv2.copyTo(plane, self.small.view(np.uint8)), (self.box, self.box))
        return cv2.divide(means, cv2.merge([self._divisor] * 2), dst=means)

    def bad(self, rest: Rest) -> float:
        """Share of the overlap whose blocks differ."""
        return float(((rest.blocks > BAD_BLOCK) & self.small).sum() / self.small.sum())

    def overlay(self, rest: Rest, local: Local, scale: float = 1.0) -> dict[str, float]:
        """Describes the changed pixels when they are few: are they one line of thin strokes, on one of the
        two?

        `scale`: long side / 400 px, the unit of strokes and gradients.

        `sign`: share of them that changed in one direction, brighter or darker (one text in place of another
        changes in both); `thick`: share that is no thin stroke; `strokes_a`, `strokes_b`: amplitude of the
        fine band in them; `x0` `x1` `y0` `y1`: where they are, in shares of the frame; `around`: lowest local
        correlation elsewhere; `through`: correlation of the two inside them, high when the picture shows
        through an overlay; `ground`: how uneven the plainer of the two is there, grey levels per pixel (0.3
        quantile of the gradient); `ink`: share of strokes within 50 px that are nearly as strong. Empty
        without such pixels.
        """
        x, y = rest.planes
        # Resampling shifts strong edges by many grey levels too, but keeps their structure.
        changed = (cv2.absdiff(x, y) > _CHANGED) & local.inner
        if np.count_nonzero(changed) < _FEWEST_CHANGED:
            return {}
        every = self._every
        changed = self._drawn(rest, local, changed, scale)
        count = int(np.count_nonzero(changed))  # a number of numpy would make numbers that no message takes
        if not _FEWEST_CHANGED <= count <= 0.05 * changed.size:
            return {}
        spots = changed.astype(np.uint8)
        far = local.inner & (cv2.dilate(spots, _square(23 * scale)) == 0)
        elsewhere = local.correlation[far[::every, ::every]]
        if elsewhere.size < 5000 // every**2:
            return {}
        height, width = changed.shape
        rows, columns = (np.quantile(at, (0.03, 0.97)) for at in np.nonzero(changed))
        thick = cv2.morphologyEx(spots, cv2.MORPH_OPEN, _square(6 * scale))
        brighter = float((y > x)[changed].mean())
        (_, fine_a), (_, fine_b) = self._band_planes
        return {
            "sign": max(brighter, 1 - brighter),
            "thick": float(thick.sum()) / count,
            "strokes_a": float(np.abs(fine_a[changed]).mean()),
            "strokes_b": float(np.abs(fine_b[changed]).mean()),
            "x0": float(columns[0]) / width,
            "x1": float(columns[1]) / width,
            "y0": float(rows[0]) / height,
            "y1": float(rows[1]) / height,
            "around": _lowest(elsewhere, 30 // every**2),
            "ground": min(_unevenness(plane, changed, scale) for plane in rest.planes),
            "ink": _ink(x, spots, 0.3 * float(np.abs(x - y)[changed].mean()), scale),
            "through": _ncc(x[changed], y[changed]) if min(x[changed].std(), y[changed].std()) > 5 else 0.0,
        }


class _Curves:
    """A curve for each channel: exact for brightness, contrast, curves, white balance, and clipping."""

    def __init__(self, residual: Residual, source: View, target: View) -> None:
        self._residual, self._source, self._target = residual, source, target

    def rest(self, trusted: Masked, *, halved: bool = False) -> Rest:
        x, z = (self._residual.channels(view, trusted) for view in (self._source, self._target))
        curves = [_curve(one, other) for one, other in zip(x, z, strict=True)]
        table = np.stack([curve[0] for curve in curves], -1)[:, None, :]
        mapped = cv2.cvtColor(cv2.LUT(self._source.pixels(halved=halved), table), cv2.COLOR_RGB2GRAY)
        return self._residual.rest_of(mapped, self._target, trusted, max(tone for _, tone in curves))


class _Colours:
    """A map from all colours of one to the grey of the other: desaturation, a filter, more saturation."""

    def __init__(self, residual: Residual, source: View, target: View) -> None:
        self._residual, self._source, self._target = residual, source, target

    def rest(self, trusted: Masked, *, halved: bool = False) -> Rest:
        step = _some(trusted)
        # In doubles: neighbouring cubes of colours are so much alike that in floats the rounding decides.
        sample = _terms(trusted.of(self._source.colours, step).astype(np.float64))
        ridge = np.eye(sample.shape[1]) * (1e-4 * len(sample))
        weights = np.linalg.solve(sample.T @ sample + ridge, sample.T @ trusted.of(self._target.low, step))
        mapped = _mapped(self._source.pixels(halved=halved), weights)
        return self._residual.rest_of(mapped, self._target, trusted, self._residual.quick.tone)


def _lowest(values: Plane, rank: int) -> float:
    """The value of this small rank, counted from 0, of many. What is above the same rank of a part of them cannot be it."""
    most = np.partition(values[::_PART], rank)[rank] if values.size > _PART * (rank + 1) else values.max()
    return float(np.partition(values[values <= most], rank)[rank])


def _highest(values: Plane, rank: int) -> float:
    """The value of this small rank, counted from 0 for the largest, of many."""
    return -_lowest(-values, rank)


def _dot(x: Plane, y: Plane) -> Plane:
    """Dot products of vectors of two: numpy's own sum over so short an axis costs ten times as much."""
    return x[..., 0] * y[..., 0] + x[..., 1] * y[..., 1]


def _strongest(left: Plane, rank: int) -> float:
    """The value of this rank, counted from 0 for the largest, of (N,) of many; the others are 0."""
    # Without those: many equal numbers take the partition most of its time.
    return float(np.partition(left, -1 - rank)[-1 - rank]) if len(left) > rank else 0.0


def _mean_of(side: int) -> Callable[[Plane], Plane]:
    """Means of squares of so many px around each pixel."""
    return lambda plane: cv2.blur(plane, (side, side))


def _clipped(colours: Plane) -> tuple[Pixels, Pixels]:
    """(H, W) where there is nearly black or white, which has no hue, and next to it; and where one channel is as high as it
    can be, and next to it: a brighter copy clips it first, and the hue moves."""
    red, green, blue = cv2.split(colours)  # numpy's own maximum over so short an axis takes 35 ms
    most, least = cv2.max(cv2.max(red, green), blue), cv2.min(cv2.min(red, green), blue)
    bright = (most >= _WHITE).view(np.uint8)
    white, black = bright & (least >= _PALE).view(np.uint8), (most <= _BLACK).view(np.uint8)
    return cv2.dilate(white | black, _FIVE), cv2.dilate(bright, _NINE)


def _squared(x: Plane) -> Plane:
    return _dot(x, x)


def _in_step(x: Plane, y: Plane) -> float:
    return float((x * y).sum() / (np.sqrt((x**2).sum() * (y**2).sum()) + 1e-6))


def _spread(plane: Pixels) -> Plane:
    """Standard deviation of the 3x3 pixels around each pixel."""
    levels = plane.astype(np.float32)
    mean = cv2.blur(levels, (3, 3))
    return np.sqrt(np.maximum(cv2.blur(levels * levels, (3, 3)) - mean * mean, 0))


def _told_apart(x: Plane, levels: Pixels) -> tuple[float, float]:
    """Root mean square spread of (N,) x among pixels of one of the (N,) `levels`, and the level where most of
    it is."""
    count, total, squares = (np.bincount(levels, weights, 256) for weights in (None, x, x * x))
    variance = np.maximum(0, squares - total * total / np.maximum(count, 1))
    where = float((variance * np.arange(256)).sum() / (variance.sum() + 1e-6))
    return float(np.sqrt(variance.sum() / len(x))), where


def _chroma_plane(colours: Plane, luma: Plane, where: Masked) -> tuple[Plane, Plane]:
    """(H, W, 2) red-luma and blue-luma, and (H, W) luma, both divided by the spread of the luma inside."""
    inside = where.of(luma)
    mean, spread = float(inside.mean()), max(10.0, float(inside.std()))
    red, _, blue = cv2.split(colours)
    chroma = cv2.merge([cv2.subtract(red, luma), cv2.subtract(blue, luma)])
    chroma *= NORMAL_STD / spread
    return chroma, np.asarray((luma - mean) / spread, np.float32)


def _ridge(x: Plane, y: Plane) -> Plane:
    gram = x.T @ x + np.eye(x.shape[1], dtype=np.float32) * (1e-3 * len(x))
    return np.asarray(np.linalg.solve(gram, x.T @ y), np.float32)


def _chroma(colours: Plane, luma: Plane) -> tuple[Plane, float]:
    """(N, 2) red-luma and blue-luma that a cubic over the (N,) luma leaves; and the root mean square of both
    without that."""
    chroma = (colours[:, ::2] - luma[:, None]) * (NORMAL_STD / max(10.0, float(luma.std())))
    x = (luma - luma.mean()) / max(1.0, float(luma.std()))
    terms = np.stack([np.ones_like(x), x, x * x, x * x * x], -1)
    # Four equations instead of one a pixel; in doubles, because that squares what rounding does.
    exact = terms.astype(np.float64)
    weights, *_ = np.linalg.lstsq(exact.T @ exact, exact.T @ chroma, rcond=None)
    return chroma - terms @ weights.astype(np.float32), float(np.sqrt(_squared(chroma).mean()))


def _some(where: Masked) -> int:
    """One in so many of these pixels makes a tone map."""
    return _SOME if where.size < _MANY else _SOME_OF_MANY


def _size(rest: Rest) -> tuple[float, float]:
    return (rest.worst, rest.mean)


def _curve(x: _Levels, y: _Levels) -> tuple[Plane, float]:
    """The monotone curve, as a table of 256 levels, that gives x the quantiles of y; and its distance from
    the identity."""
    qx = np.maximum.accumulate(x.quantiles + np.arange(len(x.quantiles)) * 1e-3)
    spread = abs(float(np.log2((y.std + 2) / (x.std + 2))))
    level = abs(float(np.log2((y.mean + 8) / (x.mean + 8))))
    return _extended(qx, y.quantiles), max(spread, level)


def _levels(x: Plane) -> _Levels:
    return _Levels(quantiles(x), x.std(), x.mean())


def quantiles(x: Plane | Pixels) -> NDArray[np.float64]:
    """33 quantiles, minimum and maximum included. Much faster than numpy's, without interpolation, which
    thousands of values do not need."""
    ranks = np.rint(_QUANTILES * (len(x) - 1)).astype(np.intp)
    if x.dtype == np.uint8:  # counted, not sorted
        upto = np.cumsum(np.bincount(x, minlength=256))
        return np.searchsorted(upto, ranks, side="right").astype(np.float64)
    return np.sort(x)[ranks].astype(np.float64)


def _extended(qx: NDArray[np.float64], qy: NDArray[np.float64]) -> Plane:
    """The curve on all levels. Beyond the quantiles (the low-pass hides extremes) it continues with its mean
    slope."""
    levels = np.arange(256, dtype=np.float64)
    slope = min(4.0, (qy[-1] - qy[0] + 1) / (qx[-1] - qx[0] + 1))
    table = np.interp(levels, qx, qy)
    table = np.where(levels < qx[0], qy[0] - (qx[0] - levels) * slope, table)
    table = np.where(levels > qx[-1], qy[-1] + (levels - qx[-1]) * slope, table)
    return np.clip(table, 0, 255).astype(np.float32)


def _terms(c: Plane) -> Plane:
    """Colours (..., 3) in 0-255 to the terms of a smooth colour map."""
    r, g, b = (c[..., channel] / 255 for channel in range(3))
    return np.stack(
        [np.ones_like(r), r, g, b, r * r, g * g, b * b, r * g, g * b, r * b, r**3, g**3, b**3], -1
    )


def _mapped(rgb: Pixels, weights: Plane) -> Plane:
    """`_terms` of all pixels times `weights`, 0-255. What depends on one channel only comes from a table."""
    planes = cv2.split(rgb)
    level = np.arange(256, dtype=np.float32) / 255
    w0, wr, wg, wb, wrr, wgg, wbb, wrg, wgb, wrb, wrrr, wggg, wbbb = (float(w) for w in weights)
    tables = [
        level * (wr + level * (wrr + level * wrrr)) + w0,
        level * (wg + level * (wgg + level * wggg)),
        level * (wb + level * (wbb + level * wbbb)),
    ]
    total, *others = (
        cv2.LUT(plane, table.astype(np.float32)) for plane, table in zip(planes, tables, strict=True)
    )
    for other in others:
        total += other
    r, g, b = (cv2.multiply(plane, 1.0, scale=1 / 255, dtype=cv2.CV_32F) for plane in planes)
    total += r * (wrg * g + wrb * b) + wgb * (g * b)
    return np.clip(total, 0, 255, out=total)


def _low(plane: Plane | Pixels) -> Plane:
    """Blurred, and of every second pixel: halved first, which blurs by half a pixel and leaves a quarter of the work."""
    return _low_of_halved(_halved(plane))


def _low_of_halved(plane: Plane | Pixels) -> Plane:
    return _blur(plane.astype(np.float32, copy=False), float(np.sqrt(_LOW_SIGMA**2 - 0.25)) / _STEP)


def _halved(plane: Plane | Pixels) -> Plane | Pixels:
    """The mean of each two by two pixels; at an odd rim, of the last ones twice."""
    height, width = plane.shape[:2]
    even = (
        cv2.copyMakeBorder(plane, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
        if height % 2 or width % 2
        else plane
    )
    return cv2.resize(even, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)


def _box_of_halves(box: int) -> Plane:
    """What weighs halved pixels as a box of an odd number of px weighs whole ones: of those at its ends only a part lies in
    it, so much that the spread of both is the same, with that of halving itself."""
    spread = ((box * box - 1) / 12 - 0.25) / _STEP**2
    reach = (box - _STEP) // (2 * _STEP)
    inner = np.arange(-reach, reach + 1)
    ends = (spread * inner.size - (inner * inner).sum()) / (2 * ((reach + 1) ** 2 - spread))
    taps = np.array([ends, *np.ones(inner.size), ends])
    return (taps / taps.sum()).astype(np.float32)


def _doubled(plane: Plane, shape: tuple[int, ...]) -> Plane:
    """A plane of `_halved` at its first size again."""
    height, width = plane.shape
    large = cv2.resize(plane, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    return large[: shape[0], : shape[1]]


def _correlated(moments: tuple[Plane, Plane, Plane], floor: float) -> Plane:
    """The correlation of two planes, of the means of x * y, x * x and y * y."""
    both, of_x, of_y = moments
    noise = floor * floor
    each = of_x + noise
    each *= of_y + noise
    correlation = both + noise
    correlation /= np.sqrt(each, out=each)
    return correlation


def _structure(plane: Plane) -> Plane:
    return _band(plane, 1.0, 4)


def _bands(plane: Plane) -> tuple[Plane, Plane]:
    return _band(plane, 1.2, 5), _band(plane, 0.5, 1.5)


def _band(plane: Plane, fine: float, coarse: float) -> Plane:
    return cv2.subtract(_blur(plane, fine), _wide_blur(plane, coarse) if coarse > 2 else _blur(plane, coarse))


def _wide_blur(plane: Plane, sigma: float) -> Plane:
    """The same as `_blur` for less than half the time: what halving and doubling blur themselves is one pixel together."""
    return _doubled(_blur(_halved(plane), float(np.sqrt(sigma**2 - 1)) / _STEP), plane.shape)


def _blur(plane: Plane | Pixels, sigma: float) -> Plane:
    """Gaussian blur, cut at three sigma: OpenCV's own cut at four costs a third more and changes nothing."""
    side = 2 * round(3 * sigma) + 1
    return cv2.GaussianBlur(plane, (side, side), sigma)


def _square(side: float) -> Pixels:
    return np.ones((round(side), round(side)), np.uint8)


def _ink(plane: Plane, spots: Pixels, contrast: float, scale: float) -> float:
    pixels, thin = np.clip(plane, 0, 255).astype(np.uint8), _square(7 * scale)
    strokes = np.maximum(
        cv2.morphologyEx(pixels, cv2.MORPH_BLACKHAT, thin), cv2.morphologyEx(pixels, cv2.MORPH_TOPHAT, thin)
    )
    near = (cv2.dilate(spots, _square(101 * scale)) > 0) & (cv2.dilate(spots, thin) == 0)
    return float((strokes[near] > max(10.0, contrast)).mean())


def _around(where: Mask, reach: int) -> tuple[slice, slice]:
    """The smallest part of (H, W) that holds all of `where`, and `reach` px around it."""
    top, bottom = np.flatnonzero(where.any(axis=1))[[0, -1]]
    left, right = np.flatnonzero(where.any(axis=0))[[0, -1]]
    return slice(max(0, top - reach), bottom + 1 + reach), slice(max(0, left - reach), right + 1 + reach)


def _on_even_ground(plane: Plane, where: Mask) -> float:
    """Share of the strokes in `where`, dark or light, around which nothing but strokes changes the grey
    level."""
    grey, found = np.clip(plane, 0, 255).astype(np.uint8), (0, 0.0)
    for standing_out, without in _INKS:
        height = cv2.morphologyEx(grey, standing_out, _square(9))
        strokes = np.flatnonzero((height > _STROKE) & where)
        if strokes.size < _FEWEST_STROKES:
            continue
        ground = cv2.morphologyEx(grey, without, _square(13))
        relief = cv2.morphologyEx(ground, cv2.MORPH_GRADIENT, _square(31))
        # As it is needed, at strokes alone: they are a hundredth of the pixels.
        near = at(cv2.dilate(height, _square(9)), strokes)
        count = int(np.count_nonzero(at(relief, strokes) < np.maximum(_EVEN, 0.35 * near)))
        if count > found[0]:
            found = count, count / strokes.size
    return found[1] if found[0] >= _FEWEST_STROKES else 0.0


def _unevenness(plane: Plane, where: Mask, scale: float) -> float:
    smooth = _blur(plane, scale)
    gradient = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) * (
        scale / 8
    )
    return float(np.quantile(gradient[where], 0.3))


def _ncc(x: Plane, y: Plane) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float((x @ y) / (np.sqrt((x @ x) * (y @ y)) + 1e-3))
