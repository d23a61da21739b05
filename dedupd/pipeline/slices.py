"""Long work in slices. Between two slices requests of people, sweeps and the end of the process come in; nothing is lost.

Owns how large a slice is. Must never delay work: it only says where one slice ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from dedupd.ports import Clock

SLICE_SECONDS = 2.0
"""Seconds of one slice: about how long a request waits, whatever the daemon is doing."""

T = TypeVar("T")


Stop = Callable[[], bool]
"""Called at safe points of long work, where the ledger is up to date. Others may do their work during the call, and move
files. Returns True when the work shall end here."""


def never() -> bool:
    return False


def slices(items: Iterable[T], clock: Clock, fewest: int, most: int) -> Iterator[list[T]]:
    """`items` in order, in parts of `fewest` to `most` that take about SLICE_SECONDS each, whatever one of them costs.

    Measured from part to part: each is at most twice as long as the one before.
    """
    size, left = fewest, iter(items)
    begun = clock.monotonic()
    while part := list(islice(left, size)):
        yield part
        now = clock.monotonic()
        took, begun = now - begun, now
        wanted = 2 * size if took <= 0 else int(size * SLICE_SECONDS / took)
        size = max(fewest, min(most, 2 * size, wanted))


def wait(seconds: float, clock: Clock, stop: Stop) -> None:
    """Sleep, calling `stop` in between; returns early when `stop` says so."""
    end = clock.monotonic() + seconds
    while not stop() and (left := end - clock.monotonic()) > 0:
        clock.sleep(min(left, SLICE_SECONDS / 8))
