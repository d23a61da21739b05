"""Long series of one camera (a time lapse, minutes of continuous shooting): which of their pairs are worth aligning.

Every frame of such a series looks like every other, so that all pairs grow by the square of its length, only to show
that they resemble each other. In a series of more than SERIES shots each is compared with its neighbours in time, and with
what was taken whole quarters of an hour from it: a copy whose clock was put into another time zone.
Must depend on the photos as a set, never on the order in which they came, and must never leave out a pair that could
be a copy or, by the shipped bars, a burst that moves: those are taken within moments.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from dedupd.core.photo import Traits

SERIES = 24
"""Shots up to which a series is compared in all its pairs."""
_PAUSE_SECONDS = 120.0
"""A longer pause ends a series."""
_NEIGHBOURS = 12
"""As many on either side at least, where the shots are evenly spaced: what one group of look-alikes shows."""
_MOMENT_SECONDS = 2.0
"""What was taken this soon after is always compared: a burst that moves."""
_ZONE_SECONDS, _ZONES_SECONDS = 900.0, 26 * 3600.0
"""Time zones lie quarters of an hour apart (Nepal 5:45), and up to 26 hours (UTC-12 to UTC+14)."""

Shot = tuple[str, float | None, str]
"""Content, seconds on the camera's clock, camera."""


class Series:
    """The long series among some photos."""

    def __init__(self, shots: Iterable[Shot]) -> None:
        self._in: dict[str, tuple[str, float, float]] = {}
        """Content -> camera, when, and how many seconds its series reaches."""
        by_camera: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for content, captured, camera in set(shots):
            if captured is not None and camera:
                by_camera[camera].append((captured, content))
        for camera, taken in by_camera.items():
            for run in _runs(sorted(taken)):
                if len(run) > SERIES:
                    reach = _reach((run[-1][0] - run[0][0]) / (len(run) - 1))
                    self._in |= {content: (camera, captured, reach) for captured, content in run}

    def reach(self, content: str) -> float | None:
        """Seconds within which this photo is compared with others of long series; None: it is in none."""
        found = self._in.get(content)
        return None if found is None else found[2]

    def too_far(self, a: str, b: str) -> bool:
        """Whether one camera took both in long series, and too far apart to be compared.

        In one series or in two: which it is may change when a shot between them goes, and what was compared would not.
        """
        one, other = self._in.get(a), self._in.get(b)
        if one is None or other is None or one[0] != other[0]:
            return False
        apart = abs(one[1] - other[1])
        return apart > max(one[2], other[2]) and not _other_zone(apart)


def _other_zone(apart: float) -> bool:
    """Whether two clocks of the world may show one moment so many seconds apart."""
    return (
        apart <= _ZONES_SECONDS
        and abs(apart - round(apart / _ZONE_SECONDS) * _ZONE_SECONDS) <= _MOMENT_SECONDS
    )


def may_be_too_far(a: Traits, b: Traits) -> bool:
    """Whether a series could part the two, however long: a cheap question before the other photos are asked for."""
    if a.captured is None or b.captured is None or not a.camera or a.camera != b.camera:
        return False
    return abs(a.captured - b.captured) > _MOMENT_SECONDS


def _runs(taken: list[tuple[float, str]]) -> list[list[tuple[float, str]]]:
    """Shots in the order of time, parted where a pause is too long."""
    runs: list[list[tuple[float, str]]] = []
    for shot in taken:
        if runs and shot[0] - runs[-1][-1][0] <= _PAUSE_SECONDS:
            runs[-1].append(shot)
        else:
            runs.append([shot])
    return runs


def _reach(step: float) -> float:
    """By powers of two: one shot more or less hardly ever changes it, and with it what is to be compared."""
    return _MOMENT_SECONDS * 2 ** max(
        0, math.ceil(math.log2(max(step, 1e-9) * _NEIGHBOURS / _MOMENT_SECONDS))
    )
