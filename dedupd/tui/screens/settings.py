"""The settings that decide what moves, and what others would change. Shows; config.toml is where they are set."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from dedupd.protocol.messages import GetGroups, GetSettings, GroupsPage, GroupView, SettingsView
from dedupd.tui import whatif
from dedupd.tui.screens.base import HelpLines, Page
from dedupd.tui.widgets.keys import Keys
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar
from dedupd.tui.words import MEANING, RELATIONS, duration, plain, plural, size

_ACTIONS = ("move", "review", "off")
_STEP = 0.005


class SettingsScreen(Page):
    """← → moves the threshold that is tried; nothing is changed by looking."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "try(-1)", "Lower"),
        Binding("right", "try(1)", "Higher"),
        Binding("0", "forget", "As it is"),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("← →", "try another threshold; the counts follow at once"),
        ("0", "back to the one in force"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._settings: SettingsView | None = None
        self._groups: list[GroupView] = []
        self._complete = False
        self._tried: float | None = None
        self._words = Words(id="settings")

    def compose(self) -> ComposeResult:
        yield TopBar()
        with VerticalScroll():
            yield self._words
        yield Keys()

    def where(self) -> str:
        return "settings"

    def on_mount(self) -> None:
        self.load()

    def show_all(self) -> None:
        self._words.say(*self._lines())

    @work(exclusive=True, group="settings")
    async def load(self) -> None:
        """Settings, then the evidence of everything that waits."""
        fetch = self.review.follower.fetch
        self._settings = await fetch(GetSettings(), SettingsView)
        self.show_all()
        offset: int | None = 0
        while offset is not None:
            page = await fetch(GetGroups(offset=offset), GroupsPage)
            if page is None:
                return
            self._groups += page.groups
            offset = page.next_offset
            self.show_all()
        self._complete = True
        self.show_all()

    def action_try(self, steps: int) -> None:
        known = self._settings.threshold if self._settings else None
        start = self._tried if self._tried is not None else known if known is not None else 0.9
        self._tried = round(max(0.0, min(1.0, start + steps * _STEP)), 3)
        self.show_all()

    def action_forget(self) -> None:
        self._tried = None
        self.show_all()

    def _lines(self) -> list[Spans]:
        settings = self._settings
        if settings is None:
            return [[("This daemon does not tell its settings; they lie in config.toml.", "dim")]]
        counted = plural(len(self._groups), "group")
        head: list[Spans] = [
            [("What happens with each relation", "title"), (f"   counted from {counted}", "dim")],
            [] if self._complete else [("counting …", "dim")],
        ]
        return [
            *head,
            *(line for relation in RELATIONS for line in self._tier(settings, relation)),
            [],
            *self._threshold(settings),
            [],
            [("Others", "title")],
            [("keeper    ", "dim"), (plain(settings.keep_policy), "")],
            [("model     ", "dim"), (plain(settings.model) or "hashes alone", "")],
            [("schedule  ", "dim"), (_schedule(settings), "")],
            [],
            [
                ("Set them in ", "dim"),
                (plain(settings.source) or "config.toml", ""),
                (", then restart the daemon.", "dim"),
            ],
        ]

    def _tier(self, settings: SettingsView, relation: str) -> list[Spans]:
        now = settings.tiers.get(relation, "review")
        lines: list[Spans] = [
            [
                (f"{relation:<9}", "strong"),
                (f"{now:<8}", "good" if now == "move" else "accent"),
                (MEANING[relation], "dim"),
            ]
        ]
        for action in _ACTIONS:
            if action == now or (relation == "similar" and action == "move"):
                continue
            change = whatif.tier(self._groups, relation, action)
            if change:
                lines.append([(f"           {action:<7}", "key"), (_tier_words(action, change), "")])
        return lines

    def _threshold(self, settings: SettingsView) -> list[Spans]:
        now = f"{settings.threshold:.3f}" if settings.threshold is not None else "the model's own"
        lines: list[Spans] = [
            [
                ("Threshold ", "title"),
                (now, "strong"),
                ("  cosine above which pairs are shown for review", "dim"),
            ]
        ]
        if self._tried is None:
            return [*lines, [("           ← → tries another", "dim")]]
        change = whatif.threshold(self._groups, self._tried)
        effect = f"{plural(change.files, 'picture')} in {plural(change.groups, 'group')} would not be shown any more"
        lines.append(
            [
                (f"           {self._tried:.3f} ", "key"),
                (effect if change else "would hide nothing that waits now", ""),
            ]
        )
        lines.append([("           Lower than now may show more: known after the next clustering.", "dim")])
        return lines


def _tier_words(action: str, change: whatif.Change) -> str:
    what = f"{plural(change.files, 'file')} in {plural(change.groups, 'group')} ({size(change.bytes)})"
    return {
        "move": f"up to {what} would move by themselves, where the proof is strict enough",
        "review": f"{what} would wait for you instead of moving",
        "off": f"{what} would not be shown",
    }[action]


def _schedule(settings: SettingsView) -> str:
    parts = [f"{duration(settings.quiet_seconds)} after a month went quiet"] if settings.quiet_seconds else []
    if settings.interval_minutes:
        parts.append(f"every {duration(settings.interval_minutes * 60)}")
    if settings.nightly:
        parts.append(f"nightly at {plain(settings.nightly)}")
    return ", ".join(parts) or "–"
