"""The system's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """ports.Clock on the machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
