"""When the garbage collector runs in the reviewer: young objects always, a full collection only in a pause
between key presses.

Must never let memory grow without end: after enough young collections a full one runs even without a pause.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import lru_cache, partial

from textual._styles_cache import StylesCache
from textual.timer import Timer

QUIET = 0.3
"""Seconds without a key or a click after which a full collection runs."""
_LATER = 100
"""Young collections after which a full one runs without a pause. Python's default of 10 would run one at
every second key press."""

# Textual 8.2 caches this by widget (its issue 6665): the last thousand closed widgets would stay, with all they drew.
by_colours = getattr(getattr(StylesCache, "get_inner_outer", None), "__wrapped__", None)
if by_colours is not None:
    setattr(StylesCache, "get_inner_outer", staticmethod(lru_cache(1024)(partial(by_colours, StylesCache))))  # noqa: B010 - its type says otherwise


class GcPause:
    """Schedules full collections. set_timer: as `App.set_timer`. at_first_screen: whether no other screen is
    open. Runs on the event loop only."""

    def __init__(
        self, set_timer: Callable[[float, Callable[[], None]], Timer], at_first_screen: Callable[[], bool]
    ) -> None:
        self._set_timer, self._at_first_screen = set_timer, at_first_screen
        self._timer: Timer | None = None
        self._was_deeper = False
        self._thresholds = gc.get_threshold()

    def start(self) -> None:
        """Call this after the first frame: all objects made so far are kept, and the collector skips them
        from now on."""
        gc.freeze()
        gc.set_threshold(*self._thresholds[:2], _LATER)
        gc.enable()

    def stop(self) -> None:
        """Restore the interpreter's own settings."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def postpone(self) -> None:
        """A key was pressed or the mouse clicked: postpone the full collection."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._set_timer(QUIET, self.collect)

    def collect(self) -> None:
        """Run a full collection. On the first screen it includes the objects that the collector was told to
        skip for a large month."""
        first = self._at_first_screen()
        thorough, self._was_deeper = first and self._was_deeper, not first
        if thorough:
            gc.unfreeze()
        gc.collect()
        if thorough:
            gc.freeze()
