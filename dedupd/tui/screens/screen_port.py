"""What a screen may ask of the app. Used as the type instead of the app's class: the app imports screens, no
screen imports the app.

Must never repeat Textual's own part of the app (push a screen, size, clipboard): every screen has that as
`self.app`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from textual.signal import Signal

    from dedupd.tui.link.action_queue import ActionQueue
    from dedupd.tui.link.app_port import Topic
    from dedupd.tui.link.follower import Follower
    from dedupd.tui.model.decisions import Action
    from dedupd.tui.model.review_state import ReviewState
    from dedupd.tui.pictures.picture_cache import PictureCache


class ScreenPort(Protocol):
    """The app, as screens use it. They read the state; only the follower and the action queue change it."""

    state: ReviewState
    follower: Follower
    action_queue: ActionQueue
    picture_cache: PictureCache
    changed: Signal[Topic]
    """Published when a part of the state changed."""
    now: Callable[[], float]
    """Wall clock, seconds."""

    @property
    def can_start_daemon(self) -> bool:
        """There is a command that starts a daemon."""
        ...

    def tell(self, text: str, kind: str = "") -> None:
        """Add a line to the log and show it to the person. kind: '' | 'good' | 'warn' | 'bad'."""
        ...

    def undo(self) -> Action | None:
        """Undo the last action of this session and return it; when there is none, open the history of all moves."""
        ...
