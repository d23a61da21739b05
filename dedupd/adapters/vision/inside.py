"""The part of a picture inside plain margins: of a phone's screenshot, a letterbox or a frame.

Owns where the margins end; must never open a file. Worker process only.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportArgumentType=false, reportCallIssue=false
from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""

INSIDE = "1"
"""Version of the search for margins: parts cut out by another version are never mixed in."""

_SAME = 8
"""Grey levels within which a pixel has the colour of its margin."""
_PLAIN = 0.9
"""Share of such pixels in a row of a margin; a clock, a title or a row of buttons may stand on it."""
_SHARP = 0.5
"""A share below this means picture from end to end. A sky has a higher one: it ends where the first tower
begins."""
_MARGINS = 4
"""Margins on one side, at most: a status bar, a bar of another colour, a letterbox, and one more."""
_ENOUGH = 400
"""Px of the long side: of a larger picture every second or third row and column is enough."""
_LEAST_SIDE = 24
_LEAST, _MOST = 0.06, 0.93
"""Least and largest share of the whole picture that the part may be."""


def inside(picture: Pixels) -> Box | None:
    """Where the part is in `picture` (H, W, 3); None when there is no margin, or nothing inside it."""
    step = 1 + max(picture.shape) // _ENOUGH
    small = picture[::step, ::step]
    height, width = small.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    for margin in range(_MARGINS):
        before = (left, top, right, bottom)
        first, end = _longest_run(small[top:bottom, left:right], sharp=margin > 0)
        top, bottom = top + first, top + end
        if bottom - top < _LEAST_SIDE:
            return None
        columns = small[top:bottom, left:right].transpose(1, 0, 2)
        start, stop = _longest_run(columns, sharp=margin > 0)
        left, right = left + start, left + stop
        if right - left < _LEAST_SIDE:
            return None
        if (left, top, right, bottom) == before:
            break
    share = (bottom - top) * (right - left) / (height * width)
    return (left * step, top * step, right * step, bottom * step) if _LEAST <= share <= _MOST else None


def _longest_run(pixels: Pixels, *, sharp: bool) -> tuple[int, int]:
    """First row and end of the longest run that is no margin in the colour of the first or the last row.

    `sharp`: an end counts only where the margin stops at once.
    """
    count = len(pixels)
    share = np.zeros(count)
    for edge in (pixels[0], pixels[-1]):
        colour = np.median(edge, axis=0)
        if (np.abs(edge - colour).max(axis=1) <= _SAME).mean() >= _PLAIN:
            like = cv2.inRange(np.ascontiguousarray(pixels), tuple(colour - _SAME), tuple(colour + _SAME))
            share = np.maximum(share, like.mean(axis=1) / 255)
    plain = share >= _PLAIN
    if not plain.any() or plain.all():
        return (0, 0) if plain.all() else (0, count)
    turns = np.flatnonzero(np.diff(np.concatenate(([1], plain, [1]))))
    starts, ends = turns[::2], turns[1::2]
    longest = int(np.argmax(ends - starts))
    start, end = int(starts[longest]), int(ends[longest])
    if sharp and share[start : start + 2].min() > _SHARP:
        start = 0
    if sharp and share[max(0, end - 2) : end].min() > _SHARP:
        end = count
    return start, end
