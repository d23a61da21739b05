# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Pictures as pixels: load, look at a part, compare. The only home of Pillow here; loaded after the first frame.

Runs off the event loop. Must never write a file.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageChops, ImageOps, ImageStat
from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from dedupd.tui.model.zoom import WHOLE, Box, View

Picture = Image.Image
_QUARTERS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"
"""By mask: bit 0 upper left, 1 upper right, 2 lower left, 3 lower right."""
_BACKDROP = (34, 34, 34)
"""Shown where a picture has nothing at the place that is looked at."""


def load(path: str | Path, side: int) -> Picture | None:
    """The upright picture, its long side at most `side` px; None when it cannot be shown, whatever the reason."""
    try:
        with Image.open(path) as picture:
            picture.draft("RGB", (side, side))
            picture.load()
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            upright.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
            return upright
    except Exception:  # noqa: BLE001 - decoders raise anything; a picture nobody can show must not stop a review
        return None


def part(picture: Picture, view: View, place: Box = WHOLE, side: int = 1024) -> Picture:
    """What `view` (of the keeper) shows, in this picture, which lies at `place` of the keeper. Long side at most `side` px."""
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


def blocks(picture: Picture, columns: int, rows: int) -> list[list[Segment]]:
    """The picture in coloured quarter blocks, at most so large, its proportions kept: one list of segments a row.

    Each cell shows 2x2 pixels in two colours, split at their mean brightness: twice the detail of half blocks
    at the same cost. Terminals with neither Kitty's nor Sixel graphics (tmux, most SSH) show this.
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
    """Mean colour of the pixels in `mask` as 0xRRGGBB, each channel rounded to 6 bits so that styles repeat."""
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


def difference(keeper: Picture, other: Picture, covered: Box = WHOLE) -> Picture:
    """Where the two differ: the keeper dimmed to grey, differences glowing. Both show the same place.

    covered: the part of it that `other` has at all; the rest of the keeper stays dark.
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


def _glowing(keeper: Picture, other: Picture) -> Picture:
    apart = _apart(keeper, other)
    # Re-encoding noise is not a difference: nothing below 8 grey units glows.
    glow = apart.point([0 if v < 8 else min(255, (v - 8) * 5) for v in range(256)])
    heat = ImageOps.colorize(glow, (0, 0, 0), (255, 240, 120), (255, 90, 0))
    return Image.composite(heat, _dimmed(keeper, 4), glow.point([min(255, v * 2) for v in range(256)]))


def _dimmed(picture: Picture, times: int) -> Picture:
    dim = picture.convert("L").point([(160 + v) // times for v in range(256)])
    return Image.merge("RGB", (dim, dim, dim))


def find_place(keeper: Picture, other: Picture) -> Box:
    """Where `other` lies in the keeper when it is a crop of it (or the keeper of it): the best of scales and offsets.

    A look for the eye on 48-px greys; what may move was proven elsewhere. WHOLE when nothing fits better.
    """
    coarse = _search(keeper, other, 48, WHOLE)
    return coarse if coarse == WHOLE else _refine(keeper, other, coarse)


def _search(keeper: Picture, other: Picture, side: int, start: Box) -> Box:
    base, patch = _grey(keeper, side), _grey(other, side)
    best, best_error = start, _error(base, patch, start) * 0.8  # a crop must be clearly better than no crop
    for percent in range(95, 45, -5):
        height = percent / 100
        width = height * (patch.width / patch.height) / (base.width / base.height)
        if not 0.3 <= width <= 1.0:
            continue
        for left in _offsets(1 - width, side):
            for top in _offsets(1 - height, side):
                box = Box(left=left, top=top, width=width, height=height)
                error = _error(base, patch, box)
                if error < best_error:
                    best, best_error = box, error
    return best


def _refine(keeper: Picture, other: Picture, box: Box) -> Box:
    base, patch = _grey(keeper, 160), _grey(other, 160)
    step = 0.02
    best_error = _error(base, patch, box)
    while step > 0.002:
        moves = [
            (dx, dy, ds) for dx in (-step, 0, step) for dy in (-step, 0, step) for ds in (-step, 0, step)
        ]
        tried = [box.moved(*move) for move in moves]
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


def _error(base: Picture, patch: Picture, box: Box) -> float:
    area = (box.left * base.width, box.top * base.height, box.right * base.width, box.bottom * base.height)
    size = (max(8, round(area[2] - area[0])), max(8, round(area[3] - area[1])))
    seen = base.resize(size, Image.Resampling.BILINEAR, box=tuple(max(0.0, v) for v in _inside(area, base)))  # type: ignore[arg-type]
    return ImageStat.Stat(ImageChops.difference(seen, patch.resize(size, Image.Resampling.BILINEAR))).mean[0]


def _inside(area: tuple[float, float, float, float], base: Picture) -> tuple[float, float, float, float]:
    left, top, right, bottom = area
    return (max(0.0, left), max(0.0, top), min(base.width, right), min(base.height, bottom))


def _grey(picture: Picture, side: int) -> Picture:
    small = picture.convert("L")
    small.thumbnail((side, side), Image.Resampling.BOX)
    return ImageOps.autocontrast(small)


def _apart(keeper: Picture, other: Picture) -> Picture:
    """Grey difference once the other's brightness and contrast are the keeper's: an edited tone is no difference."""
    base, patch = keeper.convert("L"), other.convert("L")
    low, high = _quartiles(base)
    other_low, other_high = _quartiles(patch)
    gain = (high - low) / (other_high - other_low) if other_high > other_low else 1.0
    gain = max(0.5, min(2.0, gain))
    evened = patch.point([max(0, min(255, round(low + (v - other_low) * gain))) for v in range(256)])
    return ImageChops.difference(base, evened)


def _quartiles(grey: Picture) -> tuple[int, int]:
    """Unlike extremes, they do not follow a changed spot."""
    counts, seen, found = grey.histogram(), 0, []
    total = grey.width * grey.height
    for value, count in enumerate(counts):
        seen += count
        while len(found) < 2 and seen >= total * (0.25, 0.75)[len(found)]:
            found.append(value)
    return found[0], found[1]
