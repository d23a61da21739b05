"""A clock that tests own: starts an hour ahead of the real one, so that every file made by a test is old already."""

from __future__ import annotations

import time

from dedupd.ports import Clock


class FakeClock(Clock):
    """Stands still until told; `jump` turns the wall clock alone."""

    def __init__(self) -> None:
        self.wall = time.time() + 3600.0
        self.elapsed = 1000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.elapsed

    def since_boot(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Time passes on both clocks."""
        self.wall += seconds
        self.elapsed += seconds

    def jump(self, seconds: float) -> None:
        """Somebody set the wall clock."""
        self.wall += seconds
