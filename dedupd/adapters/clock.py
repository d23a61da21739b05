"""The system's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """ports.Clock on the machine's own clocks."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def since_boot(self) -> float:
        # macOS has no CLOCK_BOOTTIME: its CLOCK_MONOTONIC, unlike time.monotonic(), continues during sleep.
        return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
