"""How the parts without a screen speak to the person and to the screens."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Literal, Protocol

Topic = Literal["link", "status", "progress", "months", "groups", "log"]
"""What of the library changed."""


class Voice(Protocol):
    """The app, as its parts see it."""

    def publish(self, topic: Topic) -> None:
        """Tell the screens that something of the library changed."""
        ...

    def note(self, text: str, kind: str = "") -> None:
        """A line into the log. kind: '' | 'good' | 'warn' | 'bad'."""
        ...

    def tell(self, text: str, kind: str = "") -> None:
        """Into the log and before the person's eyes."""
        ...

    def beside(self, what: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        """Run `what` beside the rest; one more of the same group replaces it."""
        ...
