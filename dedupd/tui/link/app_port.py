"""What the parts without a screen may call on the app (a port). Must never name the app's class, a screen or
a widget."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

Topic = Literal["connection", "status", "progress", "months", "groups", "log"]
"""A part of the review state that changed."""


class AppPort(Protocol):
    """The app, as the follower and the action queue use it."""

    def publish(self, topic: Topic) -> None:
        """Tell the screens that this part of the review state changed."""
        ...

    def note(self, text: str, kind: str = "") -> None:
        """Add a line to the log. kind: '' | 'good' | 'warn' | 'bad'."""
        ...

    def tell(self, text: str, kind: str = "") -> None:
        """Add a line to the log and show it to the person. kind: as in `note`."""
        ...

    def run_in_background(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        """Start `work`; it replaces running work of the same group."""
        ...
