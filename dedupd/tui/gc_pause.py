"""Keeps garbage out of the way of keys: what closed is let go, and the long look for the rest waits for a quiet moment.

Must never let memory grow without end: a look that no quiet moment came for happens all the same, only much later.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import lru_cache, partial

from textual._styles_cache import StylesCache
from textual.timer import Timer

QUIET = 0.3
"""Seconds without a key or a click after which the collector looks."""
_LATER = 100
"""Young collections after which it looks although it was never quiet; ten by default, which is every other key."""

# Textual 8.2 caches this by the widget (its issue 6665): the last thousand closed ones would stay, with all they drew.
by_colours = getattr(getattr(StylesCache, "get_inner_outer", None), "__wrapped__", None)
if by_colours is not None:
    setattr(StylesCache, "get_inner_outer", staticmethod(lru_cache(1024)(partial(by_colours, StylesCache))))  # noqa: B010 - its type says otherwise


class Garbage:
    """`after` starts a timer; `at_home` says whether only the first screen is open. All on the event loop."""

    def __init__(
        self, after: Callable[[float, Callable[[], None]], Timer], at_home: Callable[[], bool]
    ) -> None:
        self._after, self._at_home = after, at_home
        self._timer: Timer | None = None
        self._away = False
        self._thresholds = gc.get_threshold()

    def begin(self) -> None:
        """The first frame is there: what was needed for it stays, and is not walked again."""
        gc.freeze()
        gc.set_threshold(*self._thresholds[:2], _LATER)
        gc.enable()

    def end(self) -> None:
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()

    def put_off(self) -> None:
        """Somebody does something."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._after(QUIET, self.look)

    def look(self) -> None:
        """Back home, once, also at what was kept from the collector when a large month came."""
        home = self._at_home()
        thorough, self._away = home and self._away, not home
        if thorough:
            gc.unfreeze()
        gc.collect()
        if thorough:
            gc.freeze()
