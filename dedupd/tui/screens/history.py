"""Every move with its state, and every lesson: undo one move, the marked ones, a batch or a month; forget a
lesson.

Must never undo several moves without asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from dedupd.protocol.requests import ForgetLessons, GetLessons, GetMoves, Undo
from dedupd.protocol.results import LessonsPage, MovesPage
from dedupd.protocol.views import LessonView, MoveView
from dedupd.reviewing.words import fit, local_time, name_of, plain, plural, size, squeeze
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, batched, new_key
from dedupd.tui.screens import questions
from dedupd.tui.screens.full_screen import HelpLines, Page
from dedupd.tui.widgets.key_bar import KeyBar
from dedupd.tui.widgets.row_list import RowList
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort

_STATES = {
    "moved": ("→ moved", "good"),
    "undone": ("← came back", "dim"),
    "aborted": ("– stayed", "dim"),
    "purged": ("– in trash", "dim"),
    "attention": ("! look", "bad"),
    "unfinished": ("… under way", "warn"),
}
_KINDS = {
    "different": ("≠ never duplicates", "bad"),
    "same": ("= duplicates", "good"),
    "keep": ("⌂ never moves", "accent"),
}


class HistoryScreen(Page):
    """`v` changes between moves and lessons; `u` undoes the marked moves or the selected one."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "undo", "Undo this"),
        Binding("space", "mark", "Mark"),
        Binding("B", "batch", "Undo batch", show=False),
        Binding("M", "month", "Undo month"),
        Binding("v", "lessons", "Moves/verdicts"),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("u", "put back the selected file, or all marked ones; forget a verdict"),
        ("space", "mark, for undoing many"),
        ("B", "undo everything of the same batch"),
        ("M", "undo everything of the same month"),
        ("v", "moves or verdicts"),
    ]

    def __init__(self, port: ScreenPort) -> None:
        super().__init__(port)
        self._moves: list[MoveView] = []
        self._lessons: list[LessonView] = []
        self._marked: set[int] = set()
        self._shows_lessons = False
        self._rows = RowList[MoveView | LessonView](self._draw, id="history")
        self._tabs, self._empty, self._detail = Words(id="tabs"), Words(id="empty"), Words(id="detail")

    def compose(self) -> ComposeResult:
        yield TopBar()
        yield self._tabs
        yield Vertical(self._rows, self._empty, id="list")
        yield self._detail
        yield KeyBar()

    def where(self) -> str:
        return "history"

    def follow(self, topic: Topic) -> None:
        if topic in ("months", "link"):
            self.reload()

    def show_all(self) -> None:
        self.reload()

    @work(exclusive=True, group="history")
    async def reload(self) -> None:
        """Ask for all lessons and moves, newest first; the first page is shown while the rest arrives."""
        fetch = self.port.follower.fetch
        lessons: list[LessonView] = []
        offset: int | None = 0
        while offset is not None and (said := await fetch(GetLessons(offset=offset), LessonsPage)):
            lessons += said.lessons
            offset = said.next_offset
        if offset is None:
            self._lessons = sorted(lessons, key=lambda lesson: -lesson.at)
        moves: list[MoveView] = []
        offset = 0
        while offset is not None:
            page = await fetch(GetMoves(offset=offset), MovesPage)
            if page is None:
                return
            moves += page.moves
            if offset == 0 and len(self._moves) <= len(moves):
                self._moves = moves
                self._show_rows()
            offset = page.next_offset
        self._moves = moves
        self._show_rows()

    def _show_rows(self) -> None:
        rows = self._rows
        items = self._lessons if self._shows_lessons else self._moves
        rows.show(items, min(rows.cursor, max(0, len(items) - 1)))
        self._empty.display = not items
        self._empty.say(
            [("Nothing was judged yet." if self._shows_lessons else "Nothing was moved yet.", "dim")]
        )
        moved = sum(1 for m in self._moves if m.state == "moved")
        marked = [(f"   {len(self._marked)} marked", "accent")] if self._marked else []
        self._tabs.say(
            [
                (f"moves {len(self._moves)}", "" if self._shows_lessons else "accent"),
                ("   ", ""),
                (f"verdicts {len(self._lessons)}", "accent" if self._shows_lessons else ""),
                (f"   {moved} lie in duplicates/ now", "dim"),
                *marked,
            ]
        )
        self._show_detail()

    def _draw(self, row: MoveView | LessonView, width: int, chosen: bool) -> Spans:
        del chosen
        if isinstance(row, LessonView):
            kind, tone = _KINDS.get(row.kind, (row.kind, ""))
            names = ", ".join(name_of(path) for path in row.paths) or f"{row.a[:12]}… {row.b[:12]}"
            return [
                (f"{local_time(row.at)}  ", "dim"),
                (fit(kind, 20), tone),
                (squeeze(names, max(5, width - 38)), ""),
            ]
        state, tone = _STATES.get(row.state, (row.state, ""))
        return [
            ("◆ " if row.id in self._marked else "  ", "accent"),
            (f"{local_time(row.at)}  ", "dim"),
            (fit(state, 13), tone),
            (fit(row.relation, 8), "dim"),
            (fit(squeeze(plain(row.src), max(5, width - 53)), max(5, width - 53)), ""),
            (f"{size(row.size):>9}", "dim"),
        ]

    def on_row_list_cursor_moved(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        row = self._rows.current
        lines: list[Spans] = []
        if isinstance(row, MoveView):
            lines = [
                [("was ", "dim"), (plain(row.src), "")],
                [("now ", "dim"), (plain(row.dst if row.state == "moved" else row.src), "")],
                [("of  ", "dim"), (plain(row.keeper), "")],
            ]
            if row.error:
                lines.append([(row.error, "bad")])
        elif isinstance(row, LessonView):
            lines = [[("  ", ""), (plain(path), "")] for path in row.paths[:3]]
            if row.told:
                told = f"it took {plural(row.told, 'more pair')} like this one out of the way; u forgets it"
                lines.append([("  " + told, "accent")])
        self._detail.say(*lines)

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        self.action_mark()

    def action_lessons(self) -> None:
        self._shows_lessons = not self._shows_lessons
        self._marked.clear()
        self._show_rows()

    def action_mark(self) -> None:
        rows = self._rows
        if isinstance(row := rows.current, MoveView) and row.state == "moved":
            self._marked ^= {row.id}
            self._show_rows()
            rows.action_move(1)

    def action_undo(self) -> None:
        row = self._rows.current
        if isinstance(row, LessonView):
            self.port.action_queue.act(
                Action(label="forgot a verdict", requests=(ForgetLessons(lesson=row.id, key=new_key()),))
            )
        elif self._marked:
            self._undo([m for m in self._moves if m.id in self._marked], "the marked files")
        elif isinstance(row, MoveView) and row.state == "moved":
            self._queue_undo([row])
        else:
            self.port.tell("Only what was moved can be put back.")

    def action_batch(self) -> None:
        row = self._rows.current
        if isinstance(row, MoveView):
            self._undo([m for m in self._moves if m.batch == row.batch and m.state == "moved"], "this batch")

    def action_month(self) -> None:
        row = self._rows.current
        if isinstance(row, MoveView):
            of_month = [
                m for m in self._moves if m.month == row.month and m.root == row.root and m.state == "moved"
            ]
            self._undo(of_month, f"all of {row.month}")

    @work
    async def _undo(self, moves: Sequence[MoveView], what: str) -> None:
        """Undo these moves; several only after a question. what: which moves, in words for the question."""
        if not moves:
            self.port.tell("Nothing of it lies in duplicates/ any more.")
        elif len(moves) == 1 or await self.app.push_screen_wait(questions.undo_moves(moves, what)):
            self._queue_undo(moves)

    def _queue_undo(self, moves: Sequence[MoveView]) -> None:
        files = name_of(moves[0].src) if len(moves) == 1 else plural(len(moves), "file")
        groups = tuple(sorted({m.group for m in moves}))
        requests = [Undo(moves=ids, key=new_key()) for ids in batched([m.id for m in moves])]
        self.port.action_queue.act(Action(label=f"put back {files}", requests=requests, groups=groups))
        self._marked.clear()
