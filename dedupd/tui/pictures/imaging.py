# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Operations on pixels: load, cut, compare, draw in blocks. Imported after the first frame, as importing
Pillow is slow.

Runs in threads. Must never write a file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageChops, ImageOps, ImageStat
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from dedupd.tui.model.zoom import WHOLE, Area, Viewport

Pixels = Image.Image
_QUARTERS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
"""By mask: bit 0 upper left, 1 upper right, 2 lower left, 3 lower right."""
_BACKDROP = (34, 34, 34)
"""Colour of places that a picture does not cover."""


def load(path: str | Path, side: int) -> Pixels | None:
    """The upright picture as RGB, its long side at most `side` px; None when it cannot be decoded."""
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (side, side))
            picture.load()
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            upright.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
            return upright
    except Exception:  # noqa: BLE001 - decoders raise anything; a picture nobody can show must not stop a review
        return None


def part(picture: Pixels, view: Viewport, place: Area = WHOLE, side: int = 1024) -> Pixels:
    """The part of this picture that `view` (given for the keeper) shows. place: where this picture lies in
    the keeper. side: longest side in pixels."""
    window = view.window()
    left = (window.left - place.left) / place.width
    top = (window.top - place.top) / place.height
    right, bottom = left + window.width / place.width, top + window.height / place.height
    box = (left * picture.width, top * picture.height, right * picture.width, bottom * picture.height)
    if box == (0, 0, picture.width, picture.height) and max(picture.size) <= side:
        return picture
    scale = min(1.0, side / max(box[2] - box[0], box[3] - box[1]))
    size = (max(1, round((box[2] - box[0]) * scale)), max(1, round((box[3] - box[1]) * scale)))
    return picture.transform(
        size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR, fillcolor=_BACKDROP
    )


def blocks(picture: Pixels, columns: int, rows: int) -> list[list[Segment]]:
    """Draw the picture in coloured quarter blocks, in at most this many cells, proportions kept: one list of
    segments for each row.

    Each cell shows 2x2 pixels in two colours, split at their mean brightness: twice the detail of half blocks
    at the same cost. For terminals with neither Kitty's nor Sixel graphics (tmux, most SSH).
    """
    wide = min(columns, max(1, round(rows * 2 * picture.width / picture.height)))
    high = min(rows, max(1, round(wide * picture.height / picture.width / 2)))
    across = wide * 2
    pixels = picture.resize((across, high * 2), Image.Resampling.BOX, reducing_gap=2.0).tobytes()
    lines: list[list[Segment]] = []
    for row in range(high):
        upper, lower = row * 2 * across * 3, (row * 2 + 1) * across * 3
        line = [
            _cell(pixels[upper + at : upper + at + 6] + pixels[lower + at : lower + at + 6])
            for at in range(0, across * 3, 6)
        ]
        lines.append(list(Segment.simplify(line)))
    return lines


def _cell(pixels: bytes) -> Segment:
    """One cell of 2x2 RGB pixels."""
    light = [2 * pixels[i] + 5 * pixels[i + 1] + pixels[i + 2] for i in (0, 3, 6, 9)]
    total, mask = sum(light), 0
    if max(light) - min(light) > 16:  # 2 grey units: below that a cell is flat
        for bit, value in enumerate(light):
            if value * 4 > total:
                mask |= 1 << bit
    return Segment(_QUARTERS[mask], _style(_mean(pixels, mask), _mean(pixels, 15 ^ mask)))


def _mean(pixels: bytes, mask: int) -> int:
    """Mean colour of the pixels in `mask` as 0xRRGGBB, each channel rounded to 6 bits so that styles repeat
    and are cached."""
    chosen = [i * 3 for i in range(4) if mask >> i & 1]
    if not chosen:
        return 0
    colour = 0
    for channel in range(3):
        colour = colour << 8 | (sum(pixels[i + channel] for i in chosen) // len(chosen)) & 0xFC
    return colour


@lru_cache(65536)
def _style(front: int, back: int) -> Style:
    return Style(color=_colour(front), bgcolor=_colour(back))


@lru_cache(65536)
def _colour(colour: int) -> Color:
    return Color.from_rgb(colour >> 16, colour >> 8 & 255, colour & 255)


def difference(keeper: Pixels, other: Pixels, covered: Area = WHOLE) -> Pixels:
    """A picture of the differences: the keeper dimmed to grey, differences bright. Both inputs show the same
    place.

    covered: the part of that place that `other` has at all; the rest of the keeper stays dark.
    """
    other = other.resize(keeper.size, Image.Resampling.BILINEAR)
    wide, high = keeper.size
    area = (
        round(covered.left * wide),
        round(covered.top * high),
        round(covered.right * wide),
        round(covered.bottom * high),
    )
    if area[2] - area[0] < 2 or area[3] - area[1] < 2:
        return _dimmed(keeper, 8)
    shown = _dimmed(keeper, 8)
    shown.paste(_glowing(keeper.crop(area), other.crop(area)), area[:2])
    return shown


def _glowing(keeper: Pixels, other: Pixels) -> Pixels:
    apart = _apart(keeper, other)
    # Noise of another encoding is no difference: differences below 8 grey units stay dark.
    glow = apart.point([0 if v < 8 else min(255, (v - 8) * 5) for v in range(256)])
    heat = ImageOps.colorize(glow, (0, 0, 0), (255, 240, 120), (255, 90, 0))
    return Image.composite(heat, _dimmed(keeper, 4), glow.point([min(255, v * 2) for v in range(256)]))


def _dimmed(picture: Pixels, times: int) -> Pixels:
    dim = picture.convert("L").point([(160 + v) // times for v in range(256)])
    return Image.merge("RGB", (dim, dim, dim))


def find_place(keeper: Pixels, other: Pixels) -> Area:
    """Where `other` lies in the keeper when it is a crop of it: the best of many scales and offsets. WHOLE
    when it is no crop.

    Searched in grey pictures of 48 px, for display only: the daemon has its own proof of what may move.
    """
    coarse = _search(keeper, other, 48, WHOLE)
    return coarse if coarse == WHOLE else _refine(keeper, other, coarse)


def _search(keeper: Pixels, other: Pixels, side: int, start: Area) -> Area:
    base, patch = _grey(keeper, side), _grey(other, side)
    best, best_error = start, _error(base, patch, start) * 0.8  # a crop must be clearly better than no crop
    for percent in range(95, 45, -5):
        height = percent / 100
        width = height * (patch.width / patch.height) / (base.width / base.height)
        if not 0.3 <= width <= 1.0:
            continue
        for left in _offsets(1 - width, side):
            for top in _offsets(1 - height, side):
                box = Area(left=left, top=top, width=width, height=height)
                error = _error(base, patch, box)
                if error < best_error:
                    best, best_error = box, error
    return best


def _refine(keeper: Pixels, other: Pixels, box: Area) -> Area:
    base, patch = _grey(keeper, 160), _grey(other, 160)
    step = 0.02
    best_error = _error(base, patch, box)
    while step > 0.002:
        moves = [
            (dx, dy, ds) for dx in (-step, 0, step) for dy in (-step, 0, step) for ds in (-step, 0, step)
        ]
        tried = [box.shifted(*move) for move in moves]
        error, better = min(
            ((_error(base, patch, b), i) for i, b in enumerate(tried)), default=(best_error, 0)
        )
        if error < best_error:
            box, best_error = tried[better], error
        else:
            step /= 2
    return box


def _offsets(room: float, side: int) -> list[float]:
    steps = max(1, round(room * side / 2))
    return [room * i / steps for i in range(steps + 1)]


def _error(base: Pixels, patch: Pixels, box: Area) -> float:
    area = (box.left * base.width, box.top * base.height, box.right * base.width, box.bottom * base.height)
    size = (max(8, round(area[2] - area[0])), max(8, round(area[3] - area[1])))
    seen = base.resize(size, Image.Resampling.BILINEAR, box=tuple(max(0.0, v) for v in _inside(area, base)))  # type: ignore[arg-type]
    return ImageStat.Stat(ImageChops.difference(seen, patch.resize(size, Image.Resampling.BILINEAR))).mean[0]


def _inside(area: tuple[float, float, float, float], base: Pixels) -> tuple[float, float, float, float]:
    left, top, right, bottom = area
    return (max(0.0, left), max(0.0, top), min(base.width, right), min(base.height, bottom))


def _grey(picture: Pixels, side: int) -> Pixels:
    small = picture.convert("L")
    small.thumbnail((side, side), Image.Resampling.BOX)
    return ImageOps.autocontrast(small)


def _apart(keeper: Pixels, other: Pixels) -> Pixels:
    """Absolute grey difference, after the other has been given the keeper's brightness and contrast: an
    edited tone is no difference."""
    base, patch = keeper.convert("L"), other.convert("L")
    low, high = _quartiles(base)
    other_low, other_high = _quartiles(patch)
    gain = (high - low) / (other_high - other_low) if other_high > other_low else 1.0
    gain = max(0.5, min(2.0, gain))
    evened = patch.point([max(0, min(255, round(low + (v - other_low) * gain))) for v in range(256)])
    return ImageChops.difference(base, evened)


def _quartiles(grey: Pixels) -> tuple[int, int]:
    """Lower and upper quartile of the grey values. Unlike the extremes, they are not moved by one changed
    spot."""
    counts, seen, found = grey.histogram(), 0, []
    total = grey.width * grey.height
    for value, count in enumerate(counts):
        seen += count
        while len(found) < 2 and seen >= total * (0.25, 0.75)[len(found)]:
            found.append(value)
    return found[0], found[1]
