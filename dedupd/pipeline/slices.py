"""Long work in slices: people, sweeps and the end come in between, and nothing done is lost.

Owns how large a slice is. Must never hold work back: it only says where one slice ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from dedupd.ports import Clock

SLICE_SECONDS = 2.0
"""Somebody who waits for an answer waits about this long, whatever the daemon is busy with."""

T = TypeVar("T")


Stop = Callable[[], bool]
"""Asked at safe points of long work, where the ledger says all that was done: who waits may be let in there, and may move
files. True: end here."""


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
    """Sleep, and let who waits come in meanwhile; shorter when `stop` says so."""
    end = clock.monotonic() + seconds
    while not stop() and (left := end - clock.monotonic()) > 0:
        clock.sleep(min(left, SLICE_SECONDS / 8))
