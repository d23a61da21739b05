"""The first screen: every month, what waits in it, what was saved, what the daemon does now."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from dedupd.protocol.messages import Approve, Exchange, MonthView
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, new_key
from dedupd.tui.model.state import Library, Year, by_year
from dedupd.tui.model.words import bar, month_name, name_of, number, plain, plural, progress, size, when
from dedupd.tui.screens.base import HelpLines, Page
from dedupd.tui.widgets.keys import Keys
from dedupd.tui.widgets.rows import Doors, Rows, columns
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar


class MonthsScreen(Page):
    """Enter opens a month; A says yes to everything proposed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("A", "approve_all", "Approve all proposed"),
        Binding("x", "exchange", "Exchange", show=False),
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
        ("w", "to the next month with groups that wait"),
        ("g /", "jump to a month: 2024-06, 2019, June"),
    ]

    WIDE = 104
    """Then there is room for the library beside the months."""

    def __init__(self) -> None:
        super().__init__()
        self._rows = Doors[Year | MonthView](
            self._draw, heading=lambda row: isinstance(row, Year), id="months"
        )
        self._banner, self._columns, self._empty = Words(id="banner"), Words(id="columns"), Words(id="empty")
        self._library, self._activity = Words(id="library"), Words(id="activity")

    def compose(self) -> ComposeResult:
        self.widen()
        yield TopBar()
        yield self._banner
        yield Horizontal(
            Vertical(self._columns, self._rows, self._empty, id="list"), self._library, id="body"
        )
        yield self._activity
        yield Keys()

    def on_mount(self) -> None:
        self.set_interval(15, self._show_activity)

    def where(self) -> str:
        return ""

    def on_resize(self) -> None:
        self.show_all()

    def follow(self, topic: Topic) -> None:
        if topic == "progress":
            self._show_activity()
        elif topic in ("link", "status", "months"):
            self.show_all()

    def show_all(self) -> None:
        library = self.review.library
        self.widen()
        self._show_months(library)
        self._show_banner(library)
        self._show_activity()
        if self.has_class("wide"):
            self._library.say(*_library_lines(library, self.review.now()))

    def _show_months(self, library: Library) -> None:
        rows = self._rows
        items = by_year(list(library.months.values()))
        here = rows.current
        key = (here.root, here.month) if isinstance(here, MonthView) else None
        at = next(
            (i for i, m in enumerate(items) if isinstance(m, MonthView) and (m.root, m.month) == key), 0
        )
        rows.show(items, at)
        self._columns.display = bool(items)
        self._columns.say(
            [
                (text, "dim")
                for text, _ in self._cells(("month", "photos", "groups", "waiting", "done", "saved"))
            ]
        )
        self._empty.display = not items
        if not items:
            self._empty.say(*_nothing_yet(library, can_start=bool(self.review.starter.command)))

    def _draw(self, row: Year | MonthView, width: int, chosen: bool) -> Spans:
        del width, chosen
        if isinstance(row, Year):
            waiting = f"{number(row.waiting)}" if row.waiting else ""
            return self._cells(
                (
                    row.year,
                    number(row.photos),
                    "",
                    waiting,
                    "",
                    size(row.bytes_saved) if row.bytes_saved else "",
                ),
                tone="title",
            )
        settled = (row.groups - row.waiting) / row.groups if row.groups else 0.0
        cells = self._cells(
            (
                f" {row.month} {month_name(row.month)}",
                number(row.photos),
                number(row.groups) if row.groups else "",
                number(row.waiting) if row.waiting else "",
                bar(settled, 8) if row.groups else "",
                size(row.bytes_saved) if row.bytes_saved else "",
            )
        )
        if len({m.root for m in self.review.library.months.values()}) > 1:
            cells += [("  ", ""), (name_of(row.root), "dim")]
        if row.changed:
            cells += [(" ↻", "dim")]
        return cells

    @staticmethod
    def _cells(texts: tuple[str, str, str, str, str, str], tone: str = "") -> Spans:
        month, photos, groups, waiting, done, saved = texts
        return columns(
            (f" {month}", 20, tone),
            (photos, -9, tone or "dim"),
            (groups, -7, tone),
            (waiting, -8, tone or "warn"),
            (done, 8, tone or "good"),
            (saved, -9, tone or "good"),
        )

    def _show_banner(self, library: Library) -> None:
        lines = _banner(library, can_start=bool(self.review.starter.command))
        self._banner.display = bool(lines)
        self._banner.set_class(not library.online, "offline")
        self._banner.say(*lines)

    def _show_activity(self) -> None:
        library, now = self.review.library, self.review.now()
        line, status = self._activity, library.status
        plan = f"last run {when(status.last_run, now)} · next run {when(status.next_run, now)}"
        if not library.online:
            line.say([("reconnecting by itself", "dim")])
        elif library.under_way:
            line.say([("on its way: ", "accent"), (library.under_way, "")])
        elif (doing := library.progress) is not None:
            share = doing.done / doing.total if doing.total else 0.0
            wide = max(10, self.size.width - 60)
            line.say([(bar(share, min(wide, 40)), "accent"), (" ", ""), (progress(doing), "")])
        else:
            line.say([("idle · " if not status.paused else "paused · ", "dim"), (plan, "dim")])

    def on_rows_chosen(self, event: Rows.Chosen) -> None:
        from dedupd.tui.screens.groups import GroupsScreen

        if isinstance(month := event.rows.current, MonthView):
            self.review.push_screen(GroupsScreen((month.root, month.month)))

    def action_quit(self) -> None:
        self.review.exit()

    def action_nothing(self) -> None:
        """Esc on the first screen must not end anything."""

    def action_next_waiting(self) -> None:
        rows = self._rows
        order = [*range(rows.cursor + 1, len(rows.items)), *range(rows.cursor)]
        for index in order:
            if isinstance(row := rows.items[index], MonthView) and row.waiting:
                rows.go(index)
                return

    @work
    async def action_jump(self) -> None:
        from dedupd.tui.screens.ask import Ask

        wanted = await self.review.push_screen_wait(Ask("Jump to a month", "2024-06, 2019, June …"))
        rows = self._rows
        text = (wanted or "").casefold().replace("/", "-")
        for index, row in enumerate(rows.items):
            if (
                text
                and isinstance(row, MonthView)
                and text in f"{row.month} {month_name(row.month)}".casefold()
            ):
                rows.go(index)
                return

    @work
    async def action_approve_all(self) -> None:
        from dedupd.tui.screens.confirm import Confirm

        status = self.review.library.status
        if not status.waiting_to_move:
            self.review.tell("Nothing is proposed right now.")
            return
        roots = [root for root in status.root_details if not root.consented]
        lines: list[Spans] = [
            [
                (plural(status.waiting_to_move, "file"), "strong"),
                (" move into duplicates/ folders beside their months", ""),
            ],
            [
                (size(status.bytes_to_move), "strong"),
                (" are freed there once you empty those folders yourself", ""),
            ],
            [],
            [("Each has a keeper that stays, read and compared again at the move.", "")],
            [("Nothing is deleted. u takes all of it back.", "")],
        ]
        if roots:
            lines.append([("From then on dedupd moves proven duplicates by itself in:", "dim")])
            lines += [[("  " + root.path, "dim")] for root in roots[:4]]
        if await self.review.push_screen_wait(
            Confirm("Approve all that is proposed?", *lines, yes="Move them")
        ):
            label = f"approved all proposed ({plural(status.waiting_to_move, 'file')})"
            self.review.hands.act(Action(label=label, requests=(Approve(all=True, key=new_key()),)))

    @work
    async def action_exchange(self) -> None:
        from dedupd.tui.screens.confirm import Confirm

        count = self.review.library.status.held_better
        if not count:
            self.review.tell("Nothing in duplicates/ holds more than the photo that stayed.")
            return
        lines: list[Spans] = [
            [
                (plural(count, "file"), "strong"),
                (" in duplicates/ hold more than the photo that stayed: ", ""),
            ],
            [("colours, pixels, a film … An older dedupd moved them.", "")],
            [],
            [("They come back, and what holds less moves aside instead.", "")],
            [("Where each of two holds something, both stay and wait for you. Nothing is deleted.", "dim")],
        ]
        if await self.review.push_screen_wait(Confirm("Exchange them?", *lines, yes="Exchange")):
            label = f"exchanged {plural(count, 'file')} that hold more"
            self.review.hands.act(Action(label=label, requests=(Exchange(key=new_key()),)))


def _banner(library: Library, *, can_start: bool) -> list[Spans]:
    status = library.status
    if not library.online:
        if not library.months:
            return []
        start: Spans = [("  Press ", ""), ("s", "key"), (" to start one.", "")] if can_start else []
        return [[("No daemon answers. ", "badge-bad"), (" This is what was last known.", ""), *start]]
    lines: list[Spans] = []
    if status.waiting_to_move:
        files = plural(status.waiting_to_move, "file")
        first = not library.consented
        why = "nothing moves before your yes" if first else "more at once than usual, so dedupd asks"
        is_are = "is" if status.waiting_to_move == 1 else "are"
        lines.append(
            [
                (f" {files} {is_are} ready to move ", "badge-warn"),
                (f" {why}: press ", ""),
                ("A", "key"),
                (" to approve all proposed", ""),
            ]
        )
    if status.held_better:
        moved = plural(status.held_better, "moved file")
        lines.append(
            [
                (f" {moved} hold more than the photo that stayed ", "badge-warn"),
                (" press ", ""),
                ("x", "key"),
                (" to exchange them", ""),
            ]
        )
    # Who is here need not be sent here.
    attention = [sentence for sentence in status.attention if "dedupd review" not in sentence]
    lines += [[(" ! ", "badge-bad"), (f" {sentence}", "")] for sentence in attention[:3]]
    if len(attention) > 3:
        lines.append([(f"   and {len(attention) - 3} more in the log (l)", "dim")])
    return lines


def _nothing_yet(library: Library, *, can_start: bool) -> list[Spans]:
    if not library.online:
        start: Spans = [("Press ", ""), ("s", "key"), (" to start one; ", ""), ("q", "key"), (" quits.", "")]
        return [
            [("No daemon runs", "title")],
            [],
            [(library.why_offline or "connecting …", "dim")],
            [],
            start if can_start else [("Start one with: dedupd run", "")],
            [("This window connects by itself as soon as one answers.", "dim")],
        ]
    if not library.status.roots:
        return [[("No folder is watched yet", "title")], [], [("Name one: dedupd run ~/Pictures", "")]]
    return [
        [("No photos are known yet", "title")],
        [],
        [("The months appear here as they are indexed.", "dim")],
    ]


def _library_lines(library: Library, now: float) -> list[Spans]:
    status = library.status
    lines: list[Spans] = [
        [("Library", "title")],
        [(number(status.photos), "strong"), (" photos", "dim")],
        [(number(status.groups_waiting), "warn"), (" groups wait", "dim")],
        [(number(status.moved), "strong"), (" files moved", "dim")],
        [(size(status.bytes_saved), "good"), (" saved", "dim")],
        [],
    ]
    if status.skipped:
        lines.insert(2, [(number(status.skipped), ""), (" files left alone", "dim")])
    for root in status.root_details:
        sign = ("● ", "good") if root.online else ("○ ", "bad")
        lines.append([sign, (plain(root.path), "")])
        state = "moves by itself" if root.consented else "waits for your first yes"
        lines.append([("  ", ""), (root.note or (state if root.online else "not there right now"), "dim")])
    lines += [
        [],
        [("Model ", "dim"), (status.model or "hashes alone", "")],
        [("Last run ", "dim"), (when(status.last_run, now), "")],
        [("Next run ", "dim"), (when(status.next_run, now), "")],
    ]
    return lines
