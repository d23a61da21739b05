"""The settings that decide what moves: try other values, see what they would change, write them to
config.toml.

Must never write a value that was not tried and confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from dedupd.errors import DedupdError
from dedupd.protocol.requests import GetSettings, Tune
from dedupd.protocol.results import Tuned
from dedupd.protocol.views import SettingsView
from dedupd.reviewing.words import MEANING, RELATIONS, duration, fit, number, plain
from dedupd.tui.link.app_port import Topic
from dedupd.tui.screens.confirm import Confirm
from dedupd.tui.screens.full_screen import HelpLines, Page
from dedupd.tui.widgets.key_bar import KeyBar
from dedupd.tui.widgets.row_list import RowList
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort

_STEP = 0.005
_COUNT_AFTER = 0.25
"""Seconds without another change before the daemon is asked to count: a held key stays fast."""
_POLICIES = ("best", "oldest", "newest", "largest", "smallest", "lexi")
SettingValue = str | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A key of config.toml, one line of the list."""

    key: str
    meaning: str
    choices: tuple[str, ...] = ()
    """Empty: a number from 0 to 1."""


SETTINGS = (
    *(
        Setting(
            key=f"tiers.{relation}",
            meaning=MEANING[relation],
            choices=("review", "off") if relation == "similar" else ("move", "review", "off"),
        )
        for relation in RELATIONS
    ),
    Setting(
        key="threshold", meaning="cosine above which pairs are shown for review; it never widens what moves"
    ),
    Setting(key="keep_policy", meaning="which photo of a group stays", choices=_POLICIES),
)


class SettingsScreen(Page):
    """Trying changes nothing; `W` writes what was tried, after a question."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "try(-1)", "Other"),
        Binding("right", "try(1)", "Other", show=False),
        Binding("0", "forget", "As it is"),
        Binding("W", "write", "Write to config.toml"),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("← →", "try another value; what it would change is counted at once"),
        ("0", "everything as it is in force"),
        ("W", "write what was tried into config.toml; its comments stay"),
    ]

    def __init__(self, port: ScreenPort) -> None:
        super().__init__(port)
        self._settings: SettingsView | None = None
        self._tried: dict[str, SettingValue] = {}
        self._effect: list[Spans] = []
        self._rows = RowList[Setting](self._draw, id="options")
        self._words, self._others = Words(id="effect"), Words(id="others")

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield Static(classes="gap")
        yield self._rows
        with VerticalScroll():
            yield self._words
            yield self._others
        yield KeyBar()

    def where(self) -> str:
        return "settings"

    def on_mount(self) -> None:
        self._rows.show(SETTINGS)
        self.load()

    @work(exclusive=True, group="settings")
    async def load(self) -> None:
        found = await self.port.follower.fetch(GetSettings(), SettingsView)
        if found is None or found == self._settings:
            return
        self._settings = found
        self._tried = {key: value for key, value in self._tried.items() if value != _now(found, key)}
        self._count()

    def follow(self, topic: Topic) -> None:
        if topic == "status":
            self.load()

    def show_all(self) -> None:
        self._rows.refresh()
        settings = self._settings
        if settings is None:
            self._words.say([("This daemon does not tell its settings; they lie in config.toml.", "dim")])
            return
        self._words.say(*self._effect)
        self._others.say(
            [],
            [("← → tries another value of the selected setting, W writes what was tried.", "dim")],
            [],
            [("model     ", "dim"), (plain(settings.model) or "hashes alone", "")],
            [("schedule  ", "dim"), (_schedule(settings), "")],
            [("file      ", "dim"), (plain(settings.source) or "config.toml", "")],
        )

    def _draw(self, setting: Setting, width: int, chosen: bool) -> Spans:
        del chosen
        now = _now(self._settings, setting.key)
        tried = self._tried.get(setting.key)
        shown = _shown(now) + (f" → {_shown(tried)}" if tried is not None else "")
        tone = "warn" if tried is not None else "good" if now == "move" else "accent"
        return [
            (f" {setting.key:<14}", "strong"), (fit(shown, 24), tone), (fit(setting.meaning, width - 39), "dim"),
        ]  # fmt: skip

    # ---- trying ----------------------------------------------------------------------------------

    def action_try(self, steps: int) -> None:
        setting = self._rows.current
        if setting is None or self._settings is None:
            return
        now = _now(self._settings, setting.key)
        value = _beside(setting, self._tried.get(setting.key, now), steps)
        if value == now:
            self._tried.pop(setting.key, None)
        else:
            self._tried[setting.key] = value
        self._rows.refresh()
        self._count()

    def action_forget(self) -> None:
        self._tried.clear()
        self._count()

    @work(exclusive=True, group="count")
    async def _count(self) -> None:
        """Ask the daemon what the tried values would change."""
        if not self._tried:
            self._effect = []
            self.show_all()
            return
        self._effect = [[("counting …", "dim")]]
        self.show_all()
        await asyncio.sleep(_COUNT_AFTER)
        found = await self.port.follower.fetch(_question(self._tried), Tuned, timeout=None)
        self._effect = (
            _effect(found) if found else [[("The daemon could not count that: see the log (l).", "warn")]]
        )
        self.show_all()

    @work
    async def action_write(self) -> None:
        settings = self._settings
        if settings is None or not self._tried:
            self.port.tell("Nothing else was tried: ← → changes a value.")
            return
        lines: list[Spans] = [
            [(f"{key} = {_shown(value)}", "strong"), (f"   was {_shown(_now(settings, key))}", "dim")]
            for key, value in self._tried.items()
        ]
        lines += [[], *self._effect, [], [("into ", "dim"), (plain(settings.source), "")]]
        # Imported here: it takes 15 ms, and the first frame need not wait for it.
        from dedupd.config.change import change

        if await self.app.push_screen_wait(Confirm("Write these settings?", *lines, yes="Write")):
            try:
                change(Path(settings.source), self._tried)
            except DedupdError as error:
                self.port.tell(str(error), "bad")
                return
            self.port.tell("Written. The running daemon follows it within seconds.", "good")


def _now(settings: SettingsView | None, key: str) -> SettingValue | None:
    if settings is None:
        return None
    table, _, name = key.rpartition(".")
    return settings.tiers.get(name, "review") if table else getattr(settings, key)


def _shown(value: SettingValue | None) -> str:
    return "the model's own" if value is None else plain(value) if isinstance(value, str) else f"{value:.3f}"


def _beside(setting: Setting, value: SettingValue | None, steps: int) -> SettingValue:
    if setting.choices:
        at = setting.choices.index(value) if value in setting.choices else 0
        return setting.choices[(at + steps) % len(setting.choices)]
    start = value if isinstance(value, float) else 0.9
    return round(max(_STEP, min(1.0, start + steps * _STEP)), 3)


def _question(tried: Mapping[str, SettingValue]) -> Tune:
    tiers = {key.removeprefix("tiers."): value for key, value in tried.items() if key.startswith("tiers.")}
    return Tune(tiers=tiers, threshold=tried.get("threshold"), keep_policy=tried.get("keep_policy"))  # type: ignore[arg-type]  # by choice


def _effect(found: Tuned) -> list[Spans]:
    lines: list[Spans] = [
        _change("move by themselves ", found.moves_now, found.moves_then),
        _change("wait for you       ", found.review_now, found.review_then),
    ]
    for count, words in (
        (found.more_moves, "would move too"),
        (found.fewer_moves, "would not move any more"),
        (found.other_keepers, "would move beside another keeper"),
        (found.contradicts, "would stay although you called them duplicates"),
    ):
        if count:
            lines.append([(f"  {number(count):>7} ", "warn"), (words, "")])
    return lines


def _change(what: str, now: int, then: int) -> Spans:
    return [(what, "dim"), (f"{number(now):>7}", ""), (" → ", "dim"), (f"{number(then)}", "warn" if now != then else ""), (" files", "dim")]  # fmt: skip


def _schedule(settings: SettingsView) -> str:
    parts = [f"{duration(settings.quiet_seconds)} after a month went quiet"] if settings.quiet_seconds else []
    if settings.interval_minutes:
        parts.append(f"every {duration(settings.interval_minutes * 60)}")
    if settings.nightly:
        parts.append(f"nightly at {plain(settings.nightly)}")
    return ", ".join(parts) or "–"
