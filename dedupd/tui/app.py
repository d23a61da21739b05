"""The reviewer's app: builds the parts and connects them; handles the keys that work on every screen.

Must never import what the daemon's work needs (torch, lancedb, pyarrow, numpy), nor Pillow before the first frame.
Screens are imported where they are opened.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.signal import Signal

from dedupd.client.daemon_launcher import DaemonLauncher
from dedupd.errors import ExitCode
from dedupd.protocol.requests import Pause, Request, Resume, ScanNow
from dedupd.protocol.results import Confirmed
from dedupd.reviewing.words import plain
from dedupd.tui.gc_pause import GcPause
from dedupd.tui.link.action_queue import ActionQueue
from dedupd.tui.link.app_port import Topic
from dedupd.tui.link.daemon_link import Connected, DaemonLink, Disconnected, NoticeReceived
from dedupd.tui.link.follower import Follower
from dedupd.tui.model.decisions import Action
from dedupd.tui.model.review_state import ReviewState
from dedupd.tui.pictures.picture_cache import PictureCache
from dedupd.tui.pictures.terminal import ImageMode
from dedupd.tui.screens.full_screen import Page
from dedupd.tui.screens.months import MonthsScreen
from dedupd.tui.themes import DARK, DEFAULTS, LIGHT

TERMINAL_SECONDS = 2.0
"""Seconds between two checks that the terminal is still there."""


class ReviewApp(App[None]):
    """`dedupd review`."""

    TITLE = "dedupd"
    CSS_PATH = "dedupd.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start_daemon", "Start daemon"),
        Binding("u", "undo", "Undo"),
        Binding("h", "history", "History"),
        Binding("l", "log", "Log", show=False),
        Binding("comma", "settings", "Settings", show=False),
        Binding("T", "light", "Light/dark", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
    ]

    def __init__(
        self,
        socket: Path,
        *,
        images: ImageMode = "half",
        start_command: Sequence[str] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        """socket: path of the daemon's socket. start_command: starts a daemon; () when nothing can start one.
        now: wall clock, seconds."""
        super().__init__()
        self.now = now
        self.state = ReviewState()
        self.daemon_link = DaemonLink(socket, self.post_message)
        self.follower = Follower(self.daemon_link, self.state, self)
        self.action_queue = ActionQueue(self.daemon_link, self.state, self.follower, self)
        self.picture_cache = PictureCache(self.daemon_link.find_thumbnails, images)
        self.daemon_launcher = DaemonLauncher(start_command)
        self.starting = False
        self._on_terminal = _has_terminal()
        self.gc_pause = GcPause(self.set_timer, lambda: len(self.screen_stack) == 1)
        self.changed: Signal[Topic] = Signal(self, "changed")
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        # Before anything is styled: a change of theme styles everything again.
        self.set_reactive(App.theme, DARK.name)
        self.stylesheet.set_variables(self.get_css_variables())

    # ---- life ------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        return MonthsScreen(self)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """Start what the first frame did not wait for."""
        self.gc_pause.start()
        if self._on_terminal:
            self.set_interval(TERMINAL_SECONDS, self._end_without_terminal)
        self.run_worker(self.daemon_link.run(), group="daemon line")
        self.run_worker(self.action_queue.run(), group="action queue")
        self.run_worker(_load_ahead, group="ahead", thread=True)

    def _end_without_terminal(self) -> None:
        """End the app when its terminal is gone without a signal (its program was killed): Textual would read
        from it for ever and use a whole core."""
        if not _has_terminal():
            os._exit(
                ExitCode.FAILED
            )  # nothing of ours is half done here, and an orderly end waits for the terminal

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent):
            self.gc_pause.postpone()
        await super().on_event(event)

    def on_unmount(self) -> None:
        self.picture_cache.close()
        self.gc_pause.stop()

    @on(Connected)
    def take_connected(self, message: Connected) -> None:
        self.picture_cache.clear()
        self.follower.connected(message.hello)
        self._refresh_keys()

    @on(Disconnected)
    def take_disconnected(self, message: Disconnected) -> None:
        self.follower.disconnected(message.why)
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        if self.screen_stack:  # the connection may be lost while the app is closing
            self.refresh_bindings()

    @on(NoticeReceived)
    def take_notice(self, message: NoticeReceived) -> None:
        self.follower.take_notice(message.notice)

    # ---- AppPort and ScreenPort: what the parts and the screens may ask --------------------------

    def publish(self, topic: Topic) -> None:
        if self.screen_stack:
            self.changed.publish(topic)

    def note(self, text: str, kind: str = "") -> None:
        self.state.add_log(self.now(), text, kind)
        self.publish("log")

    def tell(self, text: str, kind: str = "") -> None:
        self.note(text, kind)
        shown = plain(text)
        if kind == "bad":
            self.notify(shown, severity="error", timeout=12, markup=False)
        elif kind == "warn":
            self.notify(shown, severity="warning", timeout=8, markup=False)
        else:
            self.notify(shown, timeout=4, markup=False)

    def run_in_background(self, work: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        self.run_worker(work(), group=group, exclusive=True)

    @property
    def can_start_daemon(self) -> bool:
        return bool(self.daemon_launcher.command)

    def undo(self) -> Action | None:
        undone = self.action_queue.undo()
        if undone is not None:
            self.tell(f"Undoing: {undone.label}")
        else:
            self.action_history()
            self.tell(
                "Nothing of this session is left to undo. Here is every move ever made: u puts one back."
            )
        return undone

    # ---- keys ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "start_daemon":
            return not self.state.online and self.can_start_daemon and not self.starting
        if action in ("undo", "history"):
            return self.state.online
        return True

    def action_undo(self) -> None:
        self.undo()

    def action_history(self) -> None:
        from dedupd.tui.screens.history import HistoryScreen

        self._open(HistoryScreen)

    def action_log(self) -> None:
        from dedupd.tui.screens.log import LogScreen

        self._open(LogScreen)

    def action_settings(self) -> None:
        from dedupd.tui.screens.try_settings import SettingsScreen

        self._open(SettingsScreen)

    def action_help(self) -> None:
        from dedupd.tui.screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.screen))

    def action_light(self) -> None:
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    @work(group="start")
    async def action_start_daemon(self) -> None:
        self.starting = True
        self._show_not_started("")
        self.tell("Starting a daemon; it goes on when this window closes.")
        self.daemon_link.retry_now()
        why = await self.daemon_launcher.start()
        self.starting = False
        if why and not self.state.online:
            self.tell(why, "bad")
        self._show_not_started("" if self.state.online else plain(why))

    def _show_not_started(self, why: str) -> None:
        """A reason stays to be read: a notification vanishes."""
        self.state.not_started = why
        self.publish("connection")
        self.refresh_bindings()

    @work(group="control")
    async def _control(self, request: Request, words: str) -> None:
        if await self.follower.fetch(request, Confirmed):
            self.tell(words)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)  # pyright: ignore[reportUnknownMemberType]
        yield SystemCommand("History", "Every move, and undo for each", self.action_history)
        yield SystemCommand("Log", "What happened in this session", self.action_log)
        yield SystemCommand(
            "Settings", "Tiers and thresholds, and what they would change", self.action_settings
        )
        yield SystemCommand("Undo", "Take the last action back", self.action_undo)
        yield SystemCommand("Light or dark", "The other of the two themes", self.action_light)
        yield SystemCommand(
            "Pause", "The daemon watches, but moves nothing", lambda: self._control(Pause(), "Paused.")
        )
        yield SystemCommand("Resume", "The daemon works again", lambda: self._control(Resume(), "Resumed."))
        yield SystemCommand(
            "Scan now",
            "Compare disk and ledger now",
            lambda: self._control(ScanNow(), "The daemon looks now."),
        )

    def _open(self, kind: type[Page]) -> None:
        if not isinstance(self.screen, kind):
            self.push_screen(kind(self))


def _has_terminal() -> bool:
    return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())


def _load_ahead() -> None:
    """Import the screens that the next key most likely opens, while the app is idle."""
    importlib.import_module("dedupd.tui.screens.groups")
