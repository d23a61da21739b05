"""The first screen: every month, what waits in it, the bytes saved, and what the daemon does now.

Must never import a screen before it is opened: the first frame would wait for the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from dedupd.protocol.requests import Approve, Exchange, Undo
from dedupd.protocol.views import MonthView
from dedupd.reviewing.words import plural
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, new_key
from dedupd.tui.screens.full_screen import HelpLines, Page
from dedupd.tui.widgets.key_bar import KeyBar
from dedupd.tui.widgets.month_list import MonthList, column_titles
from dedupd.tui.widgets.row_list import RowList
from dedupd.tui.widgets.spans import Words
from dedupd.tui.widgets.status_lines import ActivityLine, Banner, LibraryPanel, nothing_yet
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort


class MonthsScreen(Page):
    """Enter opens a month; A approves everything that is proposed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("A", "approve_all", "Approve all proposed"),
        Binding("x", "exchange", "Exchange", show=False),
        Binding("b", "bring_back", "Bring back", show=False),
        Binding("g,slash", "jump", "Jump", show=False),
        Binding("w", "next_waiting", "Next waiting", show=False),
        Binding("q", "quit", "Quit", show=False),
        Binding("escape", "nothing", show=False),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("Enter", "open the month's groups"),
        ("A", "approve everything that is proposed, after a look at counts and bytes"),
        (
            "x",
            "exchange what was moved before though it holds more than the photo that stayed, after a question",
        ),
        (
            "b",
            "bring back what was moved before though something small was changed in it, after a question",
        ),
        ("w", "to the next month with groups that wait"),
        ("g /", "jump to a month: 2024-06, 2019, June"),
    ]

    WIDE = 104
    """Columns from which on there is room for the panel beside the months."""

    def __init__(self, port: ScreenPort) -> None:
        super().__init__(port)
        self._months = MonthList(id="months")
        self._banner, self._panel, self._activity = (
            Banner(id="banner"),
            LibraryPanel(id="library"),
            ActivityLine(id="activity"),
        )
        self._columns, self._empty = Words(id="columns"), Words(id="empty")

    def compose(self) -> ComposeResult:
        self.widen()
        yield TopBar()
        yield self._banner
        yield Horizontal(
            Vertical(self._columns, self._months, self._empty, id="list"), self._panel, id="body"
        )
        yield self._activity
        yield KeyBar()

    def on_mount(self) -> None:
        self.set_interval(15, self._show_activity)

    def on_resize(self) -> None:
        self.show_all()

    def follow(self, topic: Topic) -> None:
        if topic == "progress":
            self._show_activity()
        elif topic in ("connection", "status", "months"):
            self.show_all()

    def show_all(self) -> None:
        state, can_start = self.port.state, self.port.can_start_daemon
        self.widen()
        self._months.show_months(list(state.months.values()))
        self._columns.display = bool(state.months)
        self._columns.say(column_titles())
        self._empty.display = not state.months
        if not state.months:
            self._empty.say(*nothing_yet(state, can_start=can_start))
        self._banner.show(state, can_start=can_start)
        self._show_activity()
        if self.has_class("wide"):
            self._panel.show(state, self.port.now())

    def _show_activity(self) -> None:
        self._activity.show(self.port.state, self.port.now())

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        from dedupd.tui.screens.groups import GroupsScreen

        if isinstance(month := event.rows.current, MonthView):
            self.app.push_screen(GroupsScreen(self.port, (month.root, month.month)))

    def action_quit(self) -> None:
        self.app.exit()

    def action_nothing(self) -> None:
        """Esc on the first screen must not quit anything."""

    def action_next_waiting(self) -> None:
        self._months.move_to_next_waiting()

    @work
    async def action_jump(self) -> None:
        from dedupd.tui.screens.ask import Ask

        if text := await self.app.push_screen_wait(Ask("Jump to a month", "2024-06, 2019, June …")):
            self._months.move_to_match(text)

    @work
    async def action_approve_all(self) -> None:
        from dedupd.tui.screens import questions

        status = self.port.state.status
        if not status.waiting_to_move:
            self.port.tell("Nothing is proposed right now.")
        elif await self.app.push_screen_wait(questions.approve_all(status)):
            label = f"approved all proposed ({plural(status.waiting_to_move, 'file')})"
            self.port.action_queue.act(Action(label=label, requests=(Approve(all=True, key=new_key()),)))

    @work
    async def action_exchange(self) -> None:
        from dedupd.tui.screens import questions

        count = self.port.state.status.held_better
        if not count:
            self.port.tell("Nothing in duplicates/ holds more than the photo that stayed.")
        elif await self.app.push_screen_wait(questions.exchange(count)):
            label = f"exchanged {plural(count, 'file')} that hold more"
            self.port.action_queue.act(Action(label=label, requests=(Exchange(key=new_key()),)))

    @work
    async def action_bring_back(self) -> None:
        from dedupd.tui.screens import questions

        count = self.port.state.status.held_changed
        if not count:
            self.port.tell("Nothing in duplicates/ is known to show what the photo that stayed does not.")
        elif await self.app.push_screen_wait(questions.bring_back(count)):
            label = f"brought back {plural(count, 'photo')} in which something was changed"
            request = Undo(held_changed=True, key=new_key())
            self.port.action_queue.act(Action(label=label, requests=(request,)))
