"""The groups of one month: filter, sort, decide; beside the list, the pictures of the selected group.

Must never act on a group whose version is not the one that is listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Input

from dedupd.protocol.requests import Approve, Reject
from dedupd.protocol.views import GroupView
from dedupd.reviewing.listing import GroupFilter, listed, tally, waits, waits_for
from dedupd.reviewing.words import group_title, month_name, plural
from dedupd.tui.link.action_queue import NOBODY
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, DecisionDraft, new_key, ref
from dedupd.tui.model.review_state import MonthKey
from dedupd.tui.screens import questions
from dedupd.tui.screens.ask import Ask
from dedupd.tui.screens.compare_group import CompareScreen
from dedupd.tui.screens.full_screen import HelpLines, Page
from dedupd.tui.widgets.filter_bar import FilterBar
from dedupd.tui.widgets.group_list import GroupList
from dedupd.tui.widgets.group_preview import GroupPreview
from dedupd.tui.widgets.key_bar import KeyBar
from dedupd.tui.widgets.row_list import RowList
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort

_PREVIEW_AFTER = 0.12
"""Seconds for which the cursor must rest before pictures are fetched: a held key stays fast."""
_AT_ONCE = 500
"""Groups in one approving request, far below the longest line of the protocol."""


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
    """Columns from which on the pictures get more space than the list."""

    def __init__(self, port: ScreenPort, key: MonthKey) -> None:
        super().__init__(port)
        self.key = key
        self.group_filter = GroupFilter()
        self._of_class: set[int] = set()
        """Groups that were listed since `e` was pressed: of the groups that no longer wait, only these stay
        listed."""
        self.sub_title = key[1]
        self._resting: Timer | None = None
        self._list = GroupList(port.state, id="groups")
        self._preview = GroupPreview(port.picture_cache, id="preview")
        self._filter_bar, self._empty = FilterBar(id="tabs"), Words(id="empty")
        self._filter = Input(
            placeholder="words of the path or the reason; Enter keeps, Esc clears", id="filter"
        )

    def compose(self) -> ComposeResult:
        self.widen()
        yield TopBar()
        yield self._filter_bar
        yield self._filter
        yield Horizontal(Vertical(self._list, self._empty, id="list"), self._preview, id="body")
        yield KeyBar()

    def on_mount(self) -> None:
        self._filter.display = False
        self.port.follower.want_groups(self.key)

    def on_resize(self) -> None:
        self.widen()

    def where(self) -> str:
        return f"{self.key[1]} {month_name(self.key[1])}"

    def follow(self, topic: Topic) -> None:
        if topic in ("groups", "connection"):
            self.port.follower.want_groups(self.key)
            self.show_all()

    def show_all(self) -> None:
        state, rows, here = self.port.state, self._list, self._list.current
        month = state.groups_of(self.key)
        one_class = self.group_filter.reasons is not None
        sticky = state.touched & self._of_class if one_class else state.touched
        groups = listed(month, self.group_filter, frozenset(sticky))
        self._of_class.update(g.id for g in groups)
        at = next((i for i, g in enumerate(groups) if here is not None and g.id == here.id), rows.cursor)
        rows.show(groups, at)
        counts = tally(month, settled=self.group_filter.settled)
        self._filter_bar.show(self.group_filter, counts, loading=(len(month), self._expected(len(month))))
        self._empty.display = not groups
        if not groups:
            self._empty.say(*self._why_empty())
        self._preview_soon()

    def _expected(self, there: int) -> int:
        """How many groups the month has; while they are loaded, as the daemon counted them."""
        state = self.port.state
        if self.key in state.loaded or not state.online or self.key not in state.months:
            return there
        return state.months[self.key].groups

    def _why_empty(self) -> list[Spans]:
        if self.key not in self.port.state.loaded:
            return [[("loading …" if self.port.state.online else "no daemon answers", "dim")]]
        if self.group_filter.text or self.group_filter.relation or self.group_filter.reasons is not None:
            return [
                [("Nothing like that waits here.", "dim")],
                [("1 shows all relations, / changes the filter, e shows all reasons.", "dim")],
            ]
        return [
            [("Nothing waits in this month.", "good")],
            [("w shows what was settled; Esc goes back.", "dim")],
        ]

    # ---- the pictures beside the list ------------------------------------------------------------

    def on_row_list_cursor_moved(self) -> None:
        self._preview_soon()

    def _preview_soon(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_PREVIEW_AFTER, self._start_preview)

    def _start_preview(self) -> None:
        if self.app.screen is self:
            self.run_worker(self._show_preview(self._list.current), group="preview", exclusive=True)

    async def _show_preview(self, group: GroupView | None) -> None:
        if group is None:
            self._preview.clear()
        elif (detail := await self.port.follower.detail(group.id)) is not None:
            await self._preview.show(detail)

    # ---- decide ----------------------------------------------------------------------------------

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        group = event.rows.current
        if group is not None:
            self.app.push_screen(CompareScreen(self.port, event.rows.items, group.id))

    @work(group="approve")
    async def action_approve(self) -> None:
        """As in the comparison: proven members move, members that are only similar stay."""
        group = self._current(waiting=True)
        detail = await self.port.follower.detail(group.id) if group is not None else None
        if group is not None and detail is None:
            self.port.tell(NOBODY if not self.port.state.online else "This group is gone.", "warn")
        if group is None or detail is None or group.id in self.port.state.acting:
            return
        if detail.group.version != group.version:
            self.port.tell("This group changed just now: nothing was done. Look at it again.", "warn")
            return
        draft = DecisionDraft(detail)
        label = f"{draft.summary()}: {group_title(group)}"
        self._settle(
            Action(label=label, requests=draft.requests(), groups=(group.id,), before=(detail.group,))
        )

    def action_different(self) -> None:
        group = self._current(waiting=True)
        if group is not None:
            self._reject(group, f"not duplicates: {group_title(group)}")

    @work
    async def action_reject(self) -> None:
        group = self._current(waiting=False)
        if group is not None and await self.app.push_screen_wait(questions.reject_group(group)):
            self._reject(group, f"rejected {group_title(group)}")

    @work
    async def action_approve_shown(self) -> None:
        groups = [g for g in self._list.items if waits(g) and g.id not in self.port.state.acting]
        if not groups:
            self.port.tell("Nothing that is listed waits.")
            return
        if await self.app.push_screen_wait(questions.approve_listed(groups)):
            requests = tuple(
                Approve(groups=[ref(g) for g in groups[at : at + _AT_ONCE]], key=new_key())
                for at in range(0, len(groups), _AT_ONCE)
            )
            label = f"approved {plural(len(groups), 'group')} of {self.key[1]}"
            ids = tuple(g.id for g in groups)
            self.port.action_queue.act(Action(label=label, requests=requests, groups=ids, before=groups))

    def _current(self, *, waiting: bool) -> GroupView | None:
        group: GroupView | None = self._list.current
        if group is None or group.id in self.port.state.acting:
            return None
        if waiting and not waits(group):
            self.port.tell("This group is settled already; Enter shows it, u undoes.")
            return None
        return group

    def _reject(self, group: GroupView, label: str) -> None:
        request = Reject(groups=[ref(group)], key=new_key())
        self._settle(Action(label=label, requests=(request,), groups=(group.id,)))

    def _settle(self, action: Action) -> None:
        if not self.port.action_queue.act(action):
            return
        following = self.port.state.next_waiting([g.id for g in self._list.items], action.groups[0])
        if following is not None:
            self._list.move_to_group(following)

    # ---- which, and how --------------------------------------------------------------------------

    def _filter_by(self, **changes: object) -> None:
        changed = self.group_filter.changed(**changes)
        if changed != self.group_filter:
            self.group_filter = changed
            self.show_all()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "sort":
            return self.port.state.online  # offline, `s` starts a daemon
        return True

    def action_only(self, relation: str) -> None:
        self._filter_by(relation=relation)

    def action_alike(self) -> None:
        """List only groups that wait for the same reasons as the selected one; a second time: list all."""
        if self.group_filter.reasons is not None:
            self._filter_by(reasons=None)
        elif (group := self._current(waiting=True)) is not None:
            self._of_class.clear()
            self._filter_by(reasons=waits_for(group))

    def action_sort(self) -> None:
        self._filter_by(order=self.group_filter.order.following())

    def action_settled(self) -> None:
        self._filter_by(settled=not self.group_filter.settled)

    def action_filter(self) -> None:
        self._filter.display = True
        self._filter.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        self._filter_by(text=event.value)

    def on_input_submitted(self) -> None:
        self._filter.display = bool(self.group_filter.text)
        self._list.focus()

    def action_back(self) -> None:
        if self._filter.display:
            self._filter.value, self._filter.display = "", False
            self._filter_by(text="")
            self._list.focus()
        elif self.group_filter.reasons is not None:
            self._filter_by(reasons=None)
        else:
            self.dismiss()

    @work
    async def action_jump(self) -> None:
        wanted = await self.app.push_screen_wait(
            Ask("Jump to a group", "its number in the list, or a part of a name")
        )
        rows = self._list
        if wanted and wanted.isdecimal() and 0 < int(wanted) <= len(rows.items):
            rows.move_to(int(wanted) - 1)
        elif wanted:
            found = listed(rows.items, GroupFilter(text=wanted, settled=True))
            rows.move_to_group(next((g.id for g in rows.items if g in found), -1))
