"""The reviewer's app: puts line, library, hands and pictures together; the keys that work everywhere.

Must never import what the daemon's work needs (torch, lancedb, pyarrow, numpy), and nothing of Pillow
before the first frame. Screens are imported where they are opened.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.signal import Signal

from dedupd.protocol.messages import Done, Pause, Request, Resume, ScanNow
from dedupd.tui.gc_pause import Garbage
from dedupd.tui.link.action_queue import Hands
from dedupd.tui.link.app_port import Topic
from dedupd.tui.link.daemon_launcher import Starter
from dedupd.tui.link.daemon_line import Link, LinkDown, LinkUp, Noticed
from dedupd.tui.link.follower import Follower
from dedupd.tui.model.state import Library
from dedupd.tui.model.words import plain
from dedupd.tui.pictures.picture_cache import Gallery
from dedupd.tui.pictures.terminal import ImageMode
from dedupd.tui.screens.months import MonthsScreen
from dedupd.tui.themes import DARK, DEFAULTS, LIGHT


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
        """socket: the daemon's. start_command: what starts one, () when nothing can. now: wall clock, seconds."""
        super().__init__()
        self.now = now
        self.library = Library()
        self.link = Link(socket, self.post_message)
        self.follower = Follower(self.link, self.library, self)
        self.hands = Hands(self.link, self.library, self.follower, self)
        self.gallery = Gallery(self.link, images)
        self.starter = Starter(start_command)
        self.starting = False
        self.garbage = Garbage(self.set_timer, lambda: len(self.screen_stack) == 1)
        self.changed: Signal[Topic] = Signal(self, "changed")
        for theme in (DARK, LIGHT):
            self.register_theme(theme)
        # Before anything is styled: a change of theme styles everything again.
        self.set_reactive(App.theme, DARK.name)
        self.stylesheet.set_variables(self.get_css_variables())

    # ---- life ------------------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[None]:
        return MonthsScreen()

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return DEFAULTS

    def on_mount(self) -> None:
        self.call_after_refresh(self._begin)

    def _begin(self) -> None:
        """The first frame is there."""
        self.garbage.begin()
        self.run_worker(self.link.run(), group="link")
        self.run_worker(self.hands.run(), group="hands")
        self.run_worker(_load_ahead, group="ahead", thread=True)

    async def on_event(self, event: events.Event) -> None:
        if isinstance(event, events.InputEvent):
            self.garbage.put_off()
        await super().on_event(event)

    def on_unmount(self) -> None:
        self.gallery.close()
        self.garbage.end()

    @on(LinkUp)
    def connected(self, message: LinkUp) -> None:
        self.gallery.forget()
        self.follower.up(message.hello)
        self._refresh_keys()

    @on(LinkDown)
    def disconnected(self, message: LinkDown) -> None:
        self.follower.down(message.why)
        self._refresh_keys()

    def _refresh_keys(self) -> None:
        if self.screen_stack:  # the line may break while the app is closing
            self.refresh_bindings()

    @on(Noticed)
    def noticed(self, message: Noticed) -> None:
        self.follower.noticed(message.notice)

    # ---- the voice of the parts without a screen -------------------------------------------------

    def publish(self, topic: Topic) -> None:
        if self.screen_stack:
            self.changed.publish(topic)

    def note(self, text: str, kind: str = "") -> None:
        self.library.note(self.now(), text, kind)
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

    def beside(self, what: Callable[[], Coroutine[Any, Any, None]], group: str) -> None:
        self.run_worker(what(), group=group, exclusive=True)

    # ---- keys ------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "start_daemon":
            return not self.library.online and bool(self.starter.command) and not self.starting
        if action in ("undo", "history"):
            return self.library.online
        return True

    def action_undo(self) -> None:
        """The last action of this session; before it, the history of all moves."""
        if action := self.hands.undo():
            self.tell(f"Undoing: {action.label}")
            return
        self.action_history()
        self.tell("Nothing of this session is left to undo. Here is every move ever made: u puts one back.")

    def action_history(self) -> None:
        from dedupd.tui.screens.history import History

        self._open(History)

    def action_log(self) -> None:
        from dedupd.tui.screens.log import Log

        self._open(Log)

    def action_settings(self) -> None:
        from dedupd.tui.screens.settings import SettingsScreen

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
        self.refresh_bindings()
        self.tell("Starting a daemon; it goes on when this window closes.")
        self.link.hurry()
        why = await self.starter.start()
        self.starting = False
        self.refresh_bindings()
        if why and not self.library.online:
            self.tell(why, "bad")

    @work(group="control")
    async def _control(self, request: Request, words: str) -> None:
        if await self.follower.fetch(request, Done):
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

    def _open(self, kind: type[Screen[None]]) -> None:
        if not isinstance(self.screen, kind):
            self.push_screen(kind())


def _load_ahead() -> None:
    """What the next key most likely opens, while nobody waits for it."""
    importlib.import_module("dedupd.tui.screens.groups")
