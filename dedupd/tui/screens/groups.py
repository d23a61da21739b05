"""The groups of one month: filter, sort, decide; the pictures of the selected one beside the list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Input

from dedupd.protocol.messages import Approve, GroupView, Reject
from dedupd.tui.link.action_queue import NOBODY
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, Draft, new_key, ref
from dedupd.tui.model.state import (
    PREDECIDED,
    MonthKey,
    Wanted,
    confidence,
    listed,
    lost_kinds,
    members,
    tally,
    waits,
    waits_for,
    weight,
)
from dedupd.tui.model.words import (
    RELATION_NAMES,
    STATES,
    fit,
    group_title,
    month_name,
    number,
    percent,
    plural,
    size,
    squeeze,
)
from dedupd.tui.screens.ask import Ask
from dedupd.tui.screens.base import HelpLines, Page
from dedupd.tui.screens.compare import CompareScreen
from dedupd.tui.screens.confirm import Confirm, reject_all
from dedupd.tui.widgets.keys import Keys
from dedupd.tui.widgets.preview import Preview
from dedupd.tui.widgets.rows import Doors, Rows
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar

_PREVIEW_AFTER = 0.12
"""Seconds the cursor must rest before pictures are fetched: held keys stay quick."""
_KINDS = 4
"""Lines for what a class puts out of sight."""
_AT_ONCE = 500
"""Groups in one approving request, to stay far below the line cap."""


class GroupsScreen(Page):
    """One month. `a` settles the selected group and goes on to the next that waits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "Approve"),
        Binding("n", "different", "Not dup."),
        Binding("e", "alike", "Reason"),
        Binding("A", "approve_shown", "All shown"),
        Binding("R", "reject", "Reject…", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("s", "sort", "Sort", show=False),
        Binding("w", "settled", "Settled too", show=False),
        Binding("g", "jump", "Jump", show=False),
        Binding("1", "only('')", show=False),
        Binding("2", "only('exact')", show=False),
        Binding("3", "only('copy')", show=False),
        Binding("4", "only('burst')", show=False),
        Binding("5", "only('similar')", show=False),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("Enter", "compare: the pictures side by side"),
        ("a", "approve: its duplicates move; on to the next that waits"),
        ("n", "not duplicates: bound for ever, by content"),
        ("e", "only groups that wait for the same reason as this one; again: all"),
        ("A", "approve all groups that are listed (a class, a filter) after a look at the sum"),
        ("R", "reject the whole group, moved files come back (asks for a typed word)"),
        ("1 … 5", "all, exact, copies, bursts, similar"),
        ("/", "filter by words of the name or the reason; Esc clears it"),
        ("s", "sort by bytes, time, confidence"),
        ("w", "list the settled ones too"),
        ("g", "jump to a group by number or name"),
    ]

    WIDE = 120
    """Then the pictures get more room than the list."""

    def __init__(self, key: MonthKey) -> None:
        super().__init__()
        self.key = key
        self.wanted = Wanted()
        self._of_class: set[int] = set()
        """Groups that were listed since `e`: of those that no longer wait, only they stay."""
        self.sub_title = key[1]
        self._resting: Timer | None = None
        self._rows, self._preview = Doors[GroupView](self._draw, id="groups"), Preview(id="preview")
        self._tabs, self._empty = Words(id="tabs"), Words(id="empty")
        self._filter = Input(
            placeholder="words of the path or the reason; Enter keeps, Esc clears", id="filter"
        )

    def compose(self) -> ComposeResult:
        self.widen()
        yield TopBar()
        yield self._tabs
        yield self._filter
        yield Horizontal(Vertical(self._rows, self._empty, id="list"), self._preview, id="body")
        yield Keys()

    def on_mount(self) -> None:
        self._filter.display = False
        self.review.follower.want(self.key)

    def on_resize(self) -> None:
        self.widen()

    def where(self) -> str:
        return f"{self.key[1]} {month_name(self.key[1])}"

    def follow(self, topic: Topic) -> None:
        if topic in ("groups", "link"):
            self.review.follower.want(self.key)
            self.show_all()

    def show_all(self) -> None:
        library = self.review.library
        rows = self._rows
        here = rows.current
        month = library.of_month(self.key)
        one_class = self.wanted.reasons is not None
        sticky = library.touched & self._of_class if one_class else library.touched
        groups = listed(month, self.wanted, frozenset(sticky))
        self._of_class.update(g.id for g in groups)
        at = next((i for i, g in enumerate(groups) if here is not None and g.id == here.id), rows.cursor)
        rows.show(groups, at)
        self._show_tabs(month)
        self._empty.display = not groups
        if not groups:
            self._empty.say(*self._why_empty())
        self._preview_soon()

    def _show_tabs(self, groups: Sequence[GroupView]) -> None:
        counts = tally(groups, settled=self.wanted.settled)
        tabs = [
            ("", "all", sum(counts.values())),
            *((r, RELATION_NAMES.get(r, r), n) for r, n in counts.items()),
        ]
        spans: Spans = []
        for index, (relation, name, count) in enumerate(tabs, 1):
            tone = "accent" if relation == self.wanted.relation else "" if count else "dim"
            spans += [(f"{index} ", "dim"), (f"{name} {count}", tone), ("   ", "")]
        order = [(f"by {self.wanted.order}", "dim"), ("  settled too" if self.wanted.settled else "", "dim")]
        text = [(f"  “{self.wanted.text}”", "accent")] if self.wanted.text else []
        self._tabs.say(
            [*self._loading(len(groups)), *_why_listed(self.wanted.reasons), *spans, *order, *text]
        )

    def _loading(self, there: int) -> Spans:
        library = self.review.library
        if self.key in library.loaded or not library.online:
            return []
        month = library.months.get(self.key)
        known = month.groups if month else 0
        return [(f"loading {number(there)} of {number(known)}   ", "warn")] if there and known > there else []

    def _why_empty(self) -> list[Spans]:
        if self.key not in self.review.library.loaded:
            return [[("loading …" if self.review.library.online else "no daemon answers", "dim")]]
        if self.wanted.text or self.wanted.relation or self.wanted.reasons is not None:
            return [
                [("Nothing like that waits here.", "dim")],
                [("1 shows all relations, / changes the filter, e shows all reasons.", "dim")],
            ]
        return [
            [("Nothing waits in this month.", "good")],
            [("w shows what was settled; Esc goes back.", "dim")],
        ]

    def _draw(self, group: GroupView, width: int, chosen: bool) -> Spans:
        del chosen
        sign, tone = _sign(group, acting=group.id in self.review.library.acting)
        right: Spans = [(f"{size(weight(group)):>8}", "")]
        if width >= 52:
            right.append((f"{percent(confidence(group)):>8}", "dim"))
        if width >= 64:
            right.append((f"  {fit(STATES.get(group.state, group.state), 9)}", tone))
        room = width - 11 - sum(len(text) for text, _ in right)
        return [
            (f"{sign} ", tone),
            (fit(group.relation, 8), "dim" if group.relation in PREDECIDED else "warn"),
            (fit(squeeze(group_title(group), room), room), "" if waits(group) else "dim"),
            *right,
        ]

    # ---- the pictures beside the list ------------------------------------------------------------

    def on_rows_moved(self) -> None:
        self._preview_soon()

    def _preview_soon(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_PREVIEW_AFTER, self._show_preview)

    def _show_preview(self) -> None:
        if self.review.screen is not self:
            return
        self.run_worker(self._preview.show(self._rows.current), group="preview", exclusive=True)

    # ---- decide ----------------------------------------------------------------------------------

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        group = event.rows.current
        if group is not None:
            self.review.push_screen(CompareScreen(event.rows.items, group.id))

    def stand_on(self, id: int) -> None:
        rows = self._rows
        for index, group in enumerate(rows.items):
            if group.id == id:
                rows.go(index)

    @work(group="approve")
    async def action_approve(self) -> None:
        """As the comparison would: what is proven moves, what is only similar stays."""
        group = self._current(waiting=True)
        detail = await self.review.follower.detail(group.id) if group is not None else None
        if group is not None and detail is None:
            self.review.tell(NOBODY if not self.review.library.online else "This group is gone.", "warn")
        if group is None or detail is None or group.id in self.review.library.acting:
            return
        if detail.group.version != group.version:
            self.review.tell("This group changed just now: nothing was done. Look at it again.", "warn")
            return
        draft = Draft(detail)
        label = f"{draft.summary()}: {group_title(group)}"
        self._settle(
            Action(label=label, requests=draft.requests(), groups=(group.id,), before=(detail.group,))
        )

    def action_different(self) -> None:
        group = self._current(waiting=True)
        if group is not None:
            label = f"not duplicates: {group_title(group)}"
            self._settle(
                Action(
                    label=label, requests=(Reject(groups=[ref(group)], key=new_key()),), groups=(group.id,)
                )
            )

    @work
    async def action_reject(self) -> None:
        group = self._current(waiting=False)
        if group is None:
            return
        if await self.review.push_screen_wait(reject_all(group)):
            label = f"rejected {group_title(group)}"
            self._settle(
                Action(
                    label=label, requests=(Reject(groups=[ref(group)], key=new_key()),), groups=(group.id,)
                )
            )

    @work
    async def action_approve_shown(self) -> None:
        groups = [g for g in self._rows.items if waits(g) and g.id not in self.review.library.acting]
        if not groups:
            self.review.tell("Nothing that is listed waits.")
            return
        unproven = [g for g in groups if g.relation not in PREDECIDED]
        if await self.review.push_screen_wait(_sum_up(groups, unproven)):
            requests = tuple(
                Approve(groups=[ref(g) for g in groups[at : at + _AT_ONCE]], key=new_key())
                for at in range(0, len(groups), _AT_ONCE)
            )
            label = f"approved {plural(len(groups), 'group')} of {self.key[1]}"
            ids = tuple(g.id for g in groups)
            self.review.hands.act(Action(label=label, requests=requests, groups=ids, before=groups))

    def _current(self, *, waiting: bool) -> GroupView | None:
        group: GroupView | None = self._rows.current
        if group is None or group.id in self.review.library.acting:
            return None
        if waiting and not waits(group):
            self.review.tell("This group is settled already; Enter shows it, u undoes.")
            return None
        return group

    def _settle(self, action: Action) -> None:
        if not self.review.hands.act(action):
            return
        rows = self._rows
        following = self.review.library.next_waiting([g.id for g in rows.items], action.groups[0])
        if following is not None:
            self.stand_on(following)

    # ---- which, and how --------------------------------------------------------------------------

    def _want(self, **changes: object) -> None:
        wanted = self.wanted.but(**changes)
        if wanted != self.wanted:
            self.wanted = wanted
            self.show_all()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "sort":
            return self.review.library.online  # offline, `s` starts a daemon
        return True

    def action_only(self, relation: str) -> None:
        self._want(relation=relation)

    def action_alike(self) -> None:
        """Only what waits for the same reason as the selected group; again: whatever it waits for."""
        if self.wanted.reasons is not None:
            self._want(reasons=None)
        elif (group := self._current(waiting=True)) is not None:
            self._of_class.clear()
            self._want(reasons=waits_for(group))

    def action_sort(self) -> None:
        self._want(order=self.wanted.order.following())

    def action_settled(self) -> None:
        self._want(settled=not self.wanted.settled)

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._want(text=event.value)

    def on_input_submitted(self) -> None:
        self._filter.display = bool(self.wanted.text)
        self._rows.focus()

    def action_back(self) -> None:
        if self._filter.display:
            self._filter.value, self._filter.display = "", False
            self._want(text="")
            self._rows.focus()
        elif self.wanted.reasons is not None:
            self._want(reasons=None)
        else:
            self.dismiss()

    @work
    async def action_jump(self) -> None:
        wanted = await self.review.push_screen_wait(
            Ask("Jump to a group", "its number in the list, or a part of a name")
        )
        rows = self._rows
        if wanted and wanted.isdecimal() and 0 < int(wanted) <= len(rows.items):
            rows.go(int(wanted) - 1)
        elif wanted:
            found = listed(rows.items, Wanted(text=wanted, settled=True))
            self.stand_on(next((g.id for g in rows.items if g in found), -1))


def _sign(group: GroupView, *, acting: bool) -> tuple[str, str]:
    if acting:
        return "…", "dim"
    return {
        "proposed": ("●", "warn"),
        "review": ("?", "accent"),
        "settled": ("✓", "good"),
        "kept": ("=", "dim"),
    }.get(group.state, (" ", ""))


def _why_listed(reasons: frozenset[str] | None) -> Spans:
    """Which class is listed; first in its line, which may be cut."""
    if reasons is None:
        return []
    what = "; ".join(sorted(reasons)) or "waits for your yes alone"
    return [("only: ", "dim"), (what, "accent"), ("  e shows all   ", "dim")]


def _sum_up(groups: Sequence[GroupView], unproven: Sequence[GroupView]) -> Confirm:
    files, freed = sum(members(g) for g in groups), sum(weight(g) for g in groups)
    kinds = [
        f"{count} {RELATION_NAMES.get(relation, relation)}"
        for relation, count in tally(groups, settled=False).items()
        if count
    ]
    # On few lines: all of it, and the answer, must be seen at once.
    lines: list[Spans] = [
        [
            (plural(len(groups), "group"), "strong"),
            (": ", ""),
            (f"{plural(files, 'file')}, {size(freed)}", "strong"),
            (" move into duplicates/", ""),
        ],
        [("  " + ", ".join(kinds), "dim")],
    ]
    if unproven:
        lines.append(
            [
                (f"{len(unproven)} of them are not proven copies. ", "bad"),
                ("They look alike; only you can tell.", ""),
            ]
        )
    lines += [*_losses(groups), [], [("u takes all of it back.", "dim")]]
    return Confirm("Approve all that is listed?", *lines, yes="Move them", word="approve" if unproven else "")


def _losses(groups: Sequence[GroupView]) -> list[Spans]:
    """How many of them put out of sight what their keepers lack, and what: the most frequent first."""
    lossy, kinds = lost_kinds(groups)
    if not lossy:
        return []
    head = f"{plural(lossy, 'group')} would put out of sight what the keeper lacks:"
    lines: list[Spans] = [[(head, "warn")]]
    shown = kinds.most_common(_KINDS if len(kinds) <= _KINDS else _KINDS - 1)
    lines += [[(f"  {number(count):>5} ", "strong"), (kind, "warn")] for kind, count in shown]
    if more := len(kinds) - len(shown):
        lines.append([(f"        and {plural(more, 'other kind')}; e lists one class alone", "dim")])
    return lines
