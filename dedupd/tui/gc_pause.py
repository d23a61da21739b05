"""Keeps garbage collection away from key presses: closed widgets are freed, and full collections wait for a pause.

Must never let memory grow without end: a full collection for which no pause came happens all the same, much later.
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
"""Young collections after which a full one runs without a pause. Python's default of ten means every other key."""

# Textual 8.2 caches this by widget (its issue 6665): the last thousand closed widgets would stay, with all they drew.
by_colours = getattr(getattr(StylesCache, "get_inner_outer", None), "__wrapped__", None)
if by_colours is not None:
    setattr(StylesCache, "get_inner_outer", staticmethod(lru_cache(1024)(partial(by_colours, StylesCache))))  # noqa: B010 - its type says otherwise


class GcPause:
    """set_timer: as an app's. at_first_screen: whether no other screen is open. Everything runs on the event loop."""

    def __init__(
        self, set_timer: Callable[[float, Callable[[], None]], Timer], at_first_screen: Callable[[], bool]
    ) -> None:
        self._set_timer, self._at_first_screen = set_timer, at_first_screen
        self._timer: Timer | None = None
        self._was_deeper = False
        self._thresholds = gc.get_threshold()

    def start(self) -> None:
        """Call this after the first frame: what was needed for it stays, and the collector skips it from now on."""
        gc.freeze()
        gc.set_threshold(*self._thresholds[:2], _LATER)
        gc.enable()

    def stop(self) -> None:
        """The interpreter's own settings again."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def postpone(self) -> None:
        """The person does something: collect later."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._set_timer(QUIET, self.collect)

    def collect(self) -> None:
        """Collect everything. Back at the first screen also what the collector was told to skip for a large month."""
        first = self._at_first_screen()
        thorough, self._was_deeper = first and self._was_deeper, not first
        if thorough:
            gc.unfreeze()
        gc.collect()
        if thorough:
            gc.freeze()
