"""Something that comes in at a safe point of long work."""

from __future__ import annotations

from collections.abc import Callable

from dedupd.pipeline.slices import Stop


def at(number: int, act: Callable[[], object]) -> Stop:
    """A safe point each time it is asked; at the `number`-th of them something comes in."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        if asked == number:
            act()
        return False

    return stop
