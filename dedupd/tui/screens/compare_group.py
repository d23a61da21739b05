"""The screen of one group: keeper and candidates side by side, decided picture by picture or with one key.

Must never act on a group that is not on the screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dedupd.protocol.requests import Reject
from dedupd.protocol.views import GroupDetail, GroupView, PhotoView
from dedupd.reviewing.words import STATES, group_title
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, DecisionDraft, Mark, new_key, ref
from dedupd.tui.model.group_order import GroupOrder
from dedupd.tui.model.zoom import UNZOOMED
from dedupd.tui.screens import questions
from dedupd.tui.screens.full_screen import HelpLines
from dedupd.tui.screens.picture import PictureScreen
from dedupd.tui.screens.zoomable import ZoomablePage
from dedupd.tui.widgets.decision_lines import GONE, is_settled, loss_line, reason_lines, summary_line
from dedupd.tui.widgets.key_bar import KeyBar
from dedupd.tui.widgets.pane import Pane
from dedupd.tui.widgets.side_by_side import MOST, SideBySide
from dedupd.tui.widgets.spans import Words
from dedupd.tui.widgets.topbar import TopBar

if TYPE_CHECKING:
    from dedupd.tui.screens.screen_port import ScreenPort

_ROOMY = 120
"""Columns from which on evidence is written in whole words."""
_TALL = 36
"""Lines from which on there is one more line for reasons, and one more for losses."""
_AHEAD = 3
"""Following groups that are fetched before they are shown."""


class CompareScreen(ZoomablePage):
    """Goes through the groups of a list; `a` settles one and shows the next that waits."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "approve", "Approve"),
        Binding("space", "move_or_stay", "Move/stay"),
        Binding("k", "keeper", "Keeper"),
        Binding("n", "different", "Not dup."),
        Binding("R", "reject", "Reject…", show=False),
        Binding("d", "difference", "Diff", show=True),
        Binding("b", "blink", "Blink", show=False),
        Binding("f,enter", "full", "Full screen", show=False),
        Binding("j", "step(1)", "Next", show=False),
        Binding("J", "step(-1)", show=False),
        Binding("tab", "focus_picture(1)", show=False),
        Binding("shift+tab", "focus_picture(-1)", show=False),
        Binding("u", "undo", "Undo"),
    ]
    HELP_LINES: ClassVar[HelpLines] = [
        ("a", "do what the badges say, on to the next that waits"),
        ("← → tab", "look at another picture of the group"),
        ("space", "this one moves / stays"),
        ("k", "this one is the keeper"),
        ("n", "this one is no duplicate (a pair is settled at once)"),
        ("R", "none of the group are duplicates (asks for a typed word)"),
        ("j ↓  J ↑", "next, previous group"),
        ("+ - 0", "zoom at the same place in all; arrows pan then"),
        ("d", "difference to the keeper: what glows is not the same"),
        ("b", "blink between keeper and this one"),
        ("f Enter", "full screen"),
        ("o  y", "open in the desktop's viewer; copy the path"),
        ("u", "take the last mark back, then the last action"),
    ]

    def __init__(self, port: ScreenPort, groups: Sequence[GroupView], id_now: int) -> None:
        super().__init__(port)
        self.order, self.id_now = GroupOrder(groups), id_now
        self.draft: DecisionDraft | None = None
        self.looked_at = 0
        """File id of the picture in focus."""
        self.side_by_side = SideBySide(port.picture_cache)
        self._why, self._lost, self._sum_line = Words(id="why"), Words(id="lost"), Words(id="sum")
        self._drafts: dict[int, DecisionDraft] = {}

    def compose(self) -> ComposeResult:
        self._set_tall()
        yield TopBar()
        yield self.side_by_side
        yield self._why
        yield self._lost
        yield self._sum_line
        yield KeyBar()

    def on_mount(self) -> None:
        self.go(self.id_now)

    # ---- which group -----------------------------------------------------------------------------

    def where(self) -> str:
        group = self.port.state.groups.get(self.id_now)
        if group is None:
            return "group"
        at, state = self.order.place(self.id_now), STATES.get(group.state, group.state)
        return f"{at} of {len(self.order)} · {group.relation} · {state} · {group.month}"

    def follow(self, topic: Topic) -> None:
        if topic == "groups":
            self._follow_groups()
        elif topic == "connection" and self.port.state.online and self.draft is None:
            self.go(self.id_now)

    def _follow_groups(self) -> None:
        state = self.port.state
        if (renumbered := self.order.follow_renumbered(state.groups).get(self.id_now)) is not None:
            self.go(renumbered)
        if self.draft is None:
            return
        group, shown = state.groups.get(self.id_now), self.draft.group
        if group is None and (shown.root, shown.month) in state.loaded:
            self._show_gone()
        elif group is not None and group.version != shown.version:
            self._drafts.pop(self.id_now, None)
            self.go(self.id_now)
        else:
            self._show_words()

    def show_all(self) -> None:
        self.redraw()

    def on_resize(self) -> None:
        self._set_tall()
        self.call_after_refresh(self.redraw)

    def _set_tall(self) -> None:
        self.set_class(self.app.size.height >= _TALL, "tall")

    def go(self, id: int) -> None:
        """Show another group, with the marks it had when it was last shown."""
        if id != self.id_now:
            self.view = UNZOOMED
            self.side_by_side.reset_view()
        self.id_now = id
        if (detail := self.port.follower.known_detail(id)) is not None:
            self._present(detail)
        else:
            # No draft until the group has arrived: no key may decide about a group that is not on the screen.
            self.draft = None
            self.run_worker(self._load(id), group="load", exclusive=True)

    async def _load(self, id: int) -> None:
        detail = await self.port.follower.detail(id)
        if detail is not None:
            self._present(detail)
        else:
            self._show_gone()

    def _show_gone(self) -> None:
        """The group is gone or no daemon answers: no key may decide about the pictures that are still on the
        screen."""
        self.draft = None
        self._why.say([(GONE if self.port.state.online else "No daemon answers.", "warn")])
        self._lost.say()
        self._sum_line.say([(" gone ", "badge-warn")])

    def _present(self, detail: GroupDetail) -> None:
        id = detail.group.id
        draft = self._drafts.get(id)
        if draft is None or draft.group.version != detail.group.version:
            draft = self._drafts[id] = DecisionDraft(detail)
        self.draft = draft
        others = [f for f in draft.photos if f != draft.keeper]
        if self.looked_at not in others:
            self.looked_at = others[0] if others else draft.keeper
        self._show_top()
        self.redraw()
        self.run_worker(self._prefetch(id), group="prefetch", exclusive=True)

    async def _prefetch(self, id: int) -> None:
        """Fetch the groups that the next keys will show."""
        follower = self.port.follower
        for _ in range(_AHEAD):
            following = self.port.state.next_waiting(self.order.ids, id)
            if following is None:
                return
            detail = follower.known_detail(following) or await follower.detail(following)
            if detail is None:
                return
            await self.port.picture_cache.thumbnails([photo.file for photo in detail.photos[:MOST]])
            id = following

    # ---- what is shown ---------------------------------------------------------------------------

    def redraw(self) -> None:
        """Show the pictures and lines of the draft again."""
        if self.draft is None or not self.is_mounted:
            return
        self.side_by_side.view = self.view
        self.side_by_side.show(self.draft, self.looked_at)
        self._show_words()

    def _show_words(self) -> None:
        if self.draft is None:
            return
        draft, width, acting = self.draft, self.app.size.width, self.draft.group.id in self.port.state.acting
        known = self.port.state.groups.get(draft.group.id, draft.group)
        self._why.say(*reason_lines(draft, self.looked_at, brief=width < _ROOMY))
        self._lost.say(loss_line(draft, known, acting=acting, width=width))
        badges = [] if acting or is_settled(draft, known) else self.side_by_side.badges()
        self._sum_line.say([*summary_line(draft, known, acting=acting), *badges])

    # ---- looking ---------------------------------------------------------------------------------

    def photo(self) -> PhotoView | None:
        return None if self.draft is None else self.draft.photos[self.looked_at]

    def step(self, dx: int, dy: int) -> None:
        if dx:
            self.action_focus_picture(dx)
        else:
            self.action_step(dy)

    def action_focus_picture(self, by: int) -> None:
        if self.draft is None:
            return
        files = [self.draft.keeper, *(f for f in self.draft.photos if f != self.draft.keeper)]
        self.looked_at = files[(files.index(self.looked_at) + by) % len(files)]
        self.redraw()

    def action_difference(self) -> None:
        self.side_by_side.differs = not self.side_by_side.differs
        self.redraw()

    def action_blink(self) -> None:
        self.side_by_side.toggle_blink()
        self.redraw()

    def on_side_by_side_blinked(self) -> None:
        self._show_words()

    def action_full(self) -> None:
        if self.draft is not None:
            photos = list(self.draft.photos.values())
            at = next(i for i, photo in enumerate(photos) if photo.file == self.looked_at)
            self.app.push_screen(PictureScreen(self.port, photos, at))

    def action_step(self, by: int) -> None:
        if (id := self.order.neighbour(self.id_now, by)) is not None:
            self.go(id)

    def on_pane_clicked(self, event: Pane.Clicked) -> None:
        if self.draft is None:
            return
        photo = self.side_by_side.in_sight()[self.side_by_side.panes.index(event.pane)]
        self.looked_at = photo.file
        if event.badge:
            self.action_move_or_stay()
        elif event.twice:
            self.action_full()
        else:
            self.redraw()

    # ---- deciding --------------------------------------------------------------------------------

    def action_move_or_stay(self) -> None:
        if self.draft is not None and not self.draft.toggle(self.looked_at):
            self.port.tell("The keeper stays. To let it go, make another picture the keeper first (k).")
        self.redraw()

    def action_keeper(self) -> None:
        if self.draft is None or self.looked_at == self.draft.keeper:
            return
        if not self.draft.make_keeper(self.looked_at):
            self.port.tell(
                "Some of this group moved already, so its keeper stays. Undo the moves first.", "warn"
            )
        self.redraw()

    def action_different(self) -> None:
        """In a group of two this decides at once; in a larger group it is a mark like the others."""
        if self.draft is None or not self.draft.toggle_different(self.looked_at):
            self.port.tell(
                "This is the keeper: go to the picture that is no duplicate of it (→), or R for all."
            )
            return
        if len(self.draft.photos) == 2 and self.draft.mark(self.looked_at) is Mark.DIFFERENT:
            self._send(f"not duplicates: {group_title(self.draft.group)}")
        else:
            self.redraw()

    def action_approve(self) -> None:
        if self.draft is None:
            return
        if is_settled(self.draft, self.port.state.groups.get(self.id_now, self.draft.group)):
            self._advance()
        else:
            self._send(f"{self.draft.summary()}: {group_title(self.draft.group)}")

    @work
    async def action_reject(self) -> None:
        if self.draft is None:
            return
        group = self.draft.group
        if await self.app.push_screen_wait(questions.reject_group(group)):
            request = Reject(groups=[ref(group)], key=new_key())
            self._act(Action(label=f"rejected {group_title(group)}", requests=(request,), groups=(group.id,)))

    def _send(self, label: str) -> None:
        assert self.draft is not None
        requests = self.draft.requests()
        if not requests:
            self._advance()
            return
        before = (self.draft.group,)
        self._act(Action(label=label, requests=requests, groups=(self.id_now,), before=before))

    def _act(self, action: Action) -> None:
        if self.id_now in self.port.state.acting:
            return
        if self.port.action_queue.act(action):
            self._drafts.pop(self.id_now, None)
            self._advance()

    def _advance(self) -> None:
        following = self.port.state.next_waiting(self.order.ids, self.id_now)
        if following is None:
            self.port.tell("Nothing more waits here.")
            self.dismiss()
        else:
            self.go(following)

    def action_undo(self) -> None:
        if self.draft is not None and self.draft.undo():
            self.redraw()
            return
        undone = self.port.undo()
        if undone is not None and undone.groups and undone.groups[0] in self.order.ids:
            self.go(undone.groups[0])
