"""Long series of one camera (a time lapse, minutes of continuous shooting): which of their pairs are worth aligning.

All frames of such a series look alike, so the number of pairs grows with the square of its length, and aligning them
shows nothing new. In a series of more than bars.SERIES_SHOTS shots each is compared only with its neighbours in time, and
with shots taken whole quarters of an hour from it: that may be a copy whose clock was set to another time zone.
Must depend on the photos as a set, never on the order in which they came, and must never leave out a pair that could
be a copy or, by the shipped bars, a burst that moves: those are taken within moments.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from dedupd.core import bars
from dedupd.core.photo import Traits

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
                if len(run) > bars.SERIES_SHOTS:
                    reach = _reach((run[-1][0] - run[0][0]) / (len(run) - 1))
                    self._in |= {content: (camera, captured, reach) for captured, content in run}

    def reach(self, content: str) -> float | None:
        """Seconds within which this photo is compared with other photos of long series; None: it is in no long series."""
        found = self._in.get(content)
        return None if found is None else found[2]

    def too_far(self, a: str, b: str) -> bool:
        """Whether one camera took both in long series, and too far apart to be compared.

        The answer is the same for one series and for two: when a shot between them goes, one series may become two.
        """
        one, other = self._in.get(a), self._in.get(b)
        if one is None or other is None or one[0] != other[0]:
            return False
        apart = abs(one[1] - other[1])
        return apart > max(one[2], other[2]) and not _other_zone(apart)


def _other_zone(apart: float) -> bool:
    """Whether two time zones may show one moment so many seconds apart."""
    return (
        apart <= bars.ZONES_SECONDS
        and abs(apart - round(apart / bars.ZONE_SECONDS) * bars.ZONE_SECONDS) <= bars.MOMENT_SECONDS
    )


def may_be_too_far(a: Traits, b: Traits) -> bool:
    """Whether a long series could make the two too far apart: a cheap question, asked before the series is loaded."""
    if a.captured is None or b.captured is None or not a.camera or a.camera != b.camera:
        return False
    return abs(a.captured - b.captured) > bars.MOMENT_SECONDS


def _runs(taken: list[tuple[float, str]]) -> list[list[tuple[float, str]]]:
    """The shots in order of time, split where a pause is too long."""
    runs: list[list[tuple[float, str]]] = []
    for shot in taken:
        if runs and shot[0] - runs[-1][-1][0] <= bars.SERIES_PAUSE_SECONDS:
            runs[-1].append(shot)
        else:
            runs.append([shot])
    return runs


def _reach(step: float) -> float:
    """Seconds, rounded up to a power of two: one shot more or less hardly ever changes what is to be compared."""
    return bars.MOMENT_SECONDS * 2 ** max(
        0, math.ceil(math.log2(max(step, 1e-9) * bars.SERIES_NEIGHBOURS / bars.MOMENT_SECONDS))
    )
