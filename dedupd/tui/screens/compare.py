"""One group: keeper and candidates side by side, decided picture by picture or with one key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from dedupd.protocol.messages import GroupDetail, GroupView, PhotoView, Reject
from dedupd.tui.link.app_port import Topic
from dedupd.tui.model.decisions import Action, Draft, Mark, new_key, ref
from dedupd.tui.model.facts import out_of_sight, would_change
from dedupd.tui.model.state import waits
from dedupd.tui.model.words import STATES, evidence, group_title, name_of, size
from dedupd.tui.model.zoom import FULL
from dedupd.tui.screens.base import HelpLines
from dedupd.tui.screens.confirm import reject_all
from dedupd.tui.screens.looking import Looking
from dedupd.tui.screens.picture import PictureScreen
from dedupd.tui.widgets.keys import Keys
from dedupd.tui.widgets.pane import Pane
from dedupd.tui.widgets.spans import Spans, Words
from dedupd.tui.widgets.stage import MOST, Stage
from dedupd.tui.widgets.topbar import TopBar

_ROOMY = 120
"""Columns from which on evidence is told in whole words."""
_TALL = 36
"""Lines from which on there is one more for reasons, and for what would go out of sight."""
_AHEAD = 3
"""Groups fetched before they are asked for."""


class CompareScreen(Looking):
    """Goes through `ids` in their order; `a` settles one and shows the next that waits."""

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

    def __init__(self, groups: Sequence[GroupView], id_now: int) -> None:
        super().__init__()
        self.ids, self.id_now = [group.id for group in groups], id_now
        self._listed = list(groups)
        """Beside `ids`, as they were: their keepers stay the same when a group gets another id."""
        self.draft: Draft | None = None
        self.looked_at = 0
        """File id of the picture in focus."""
        self.stage = Stage()
        self._why, self._lost, self._sum_line = Words(id="why"), Words(id="lost"), Words(id="sum")
        self._drafts: dict[int, Draft] = {}

    def compose(self) -> ComposeResult:
        self._stretch()
        yield TopBar()
        yield self.stage
        yield self._why
        yield self._lost
        yield self._sum_line
        yield Keys()

    def on_mount(self) -> None:
        self.go(self.id_now)

    # ---- which group -----------------------------------------------------------------------------

    def where(self) -> str:
        group = self.review.library.groups.get(self.id_now)
        at = self.ids.index(self.id_now) + 1 if self.id_now in self.ids else 0
        if group is None:
            return "group"
        return f"{at} of {len(self.ids)} · {group.relation} · {STATES.get(group.state, group.state)} · {group.month}"

    def follow(self, topic: Topic) -> None:
        if topic == "groups":
            self._follow_renumbered()
            if self.draft is None:
                return
            group = self.review.library.groups.get(self.id_now)
            if (
                group is None
                and (self.draft.group.root, self.draft.group.month) in self.review.library.loaded
            ):
                self._show_gone()
            elif group is not None and group.version != self.draft.group.version:
                self._drafts.pop(self.id_now, None)
                self.go(self.id_now)
            else:
                self._show_words()
        elif topic == "link" and self.review.library.online and self.draft is None:
            self.go(self.id_now)

    def _follow_renumbered(self) -> None:
        """A verdict regroups its month: the same keeper may come back under another id, at the same place here."""
        groups = self.review.library.groups
        gone = {(g.root, g.month, g.keep): at for at, g in enumerate(self._listed) if g.id not in groups}
        for group in groups.values() if gone else ():
            at = gone.get((group.root, group.month, group.keep))
            if at is None or group.id in self.ids:
                continue
            old, self.ids[at], self._listed[at] = self.ids[at], group.id, group
            if self.id_now == old:
                self.go(group.id)

    def show_all(self) -> None:
        self.redraw()

    def on_resize(self) -> None:
        self._stretch()
        self.call_after_refresh(self.redraw)

    def _stretch(self) -> None:
        self.set_class(self.review.size.height >= _TALL, "tall")

    def go(self, id: int) -> None:
        """Show another group; its marks, when there were any, are still there."""
        if id != self.id_now:
            self.view = FULL
            self.stage.forget_view()
        self.id_now = id
        if (detail := self.review.follower.known(id)) is not None:
            self._present(detail)
        else:
            # No draft until it has arrived: a key must never judge a group that is not on the screen.
            self.draft = None
            self.run_worker(self._load(id), group="load", exclusive=True)

    async def _load(self, id: int) -> None:
        detail = await self.review.follower.detail(id)
        if detail is not None:
            self._present(detail)
        else:
            self._show_gone()

    def _show_gone(self) -> None:
        """Its pictures were grouped otherwise, or nobody answers: no key may judge what is still on the screen."""
        self.draft = None
        gone = "This group is gone: its pictures were grouped otherwise. j shows the next, Esc the list."
        self._why.say([(gone if self.review.library.online else "No daemon answers.", "warn")])
        self._lost.say()
        self._sum_line.say([(" gone ", "badge-warn")])

    def _present(self, detail: GroupDetail) -> None:
        id = detail.group.id
        draft = self._drafts.get(id)
        if draft is None or draft.group.version != detail.group.version:
            draft = self._drafts[id] = Draft(detail)
        self.draft = draft
        others = [f for f in draft.photos if f != draft.keeper]
        if self.looked_at not in others:
            self.looked_at = others[0] if others else draft.keeper
        self._show_top()
        self.redraw()
        self.run_worker(self._prefetch(id), group="prefetch", exclusive=True)

    async def _prefetch(self, id: int) -> None:
        """The groups that the next keys will show, so that they are there at once."""
        follower = self.review.follower
        for _ in range(_AHEAD):
            following = self.review.library.next_waiting(self.ids, id)
            if following is None:
                return
            detail = follower.known(following) or await follower.detail(following)
            if detail is None:
                return
            await self.review.gallery.thumbnails([photo.file for photo in detail.photos[:MOST]])
            id = following

    # ---- what is shown ---------------------------------------------------------------------------

    def redraw(self) -> None:
        """Panes, words and pictures of the present draft."""
        if self.draft is None or not self.is_mounted:
            return
        self.stage.view = self.view
        self.stage.show(self.draft, self.looked_at)
        self._show_words()

    def _show_words(self) -> None:
        if self.draft is None:
            return
        draft, group = self.draft, self.draft.group
        photo, keeper = draft.photos[self.looked_at], draft.photos[draft.keeper]
        lines: list[Spans] = []
        reasons = group.reasons if keeper.path == group.keep else ["you chose it"]
        if reasons:
            lines.append([("Keeper because: ", "good"), ("; ".join(reasons), "")])
        if photo.file != draft.keeper:
            # What was said beside the proposed keeper does not hold beside another.
            said = group.why.get(photo.path, "") if keeper.path == group.keep else ""
            why = [said, would_change(group, photo, draft.lost(photo.file))]
            lines.append(
                [
                    (f"{name_of(photo.path)}: ", "strong"),
                    (" — ".join(w for w in why if w), "accent"),
                ]
            )
            # Last, as what has no room is cut: a reason is worth more than its figures.
            proof = evidence(group.evidence.get(photo.path), brief=self.review.size.width < _ROOMY)
            lines.append([(" · ".join(proof) or "no evidence is recorded", "dim")])
        self._why.say(*lines)
        self._lost.say([(self._out_of_sight(draft), "warn")])
        self._sum_line.say(self._sum(draft, group))

    def _out_of_sight(self, draft: Draft) -> str:
        """What `a` would put out of sight that no keeper has; '' where `a` moves nothing."""
        library = self.review.library
        if draft.group.id in library.acting:
            return ""
        idle = draft.untouched and not waits(library.groups.get(draft.group.id, draft.group))
        return "" if idle else out_of_sight(draft.losses(), self.review.size.width)

    def _sum(self, draft: Draft, group: GroupView) -> Spans:
        library = self.review.library
        if group.id in library.acting:
            return [(" … ", "badge-warn"), (" on its way", "dim")]
        live = library.groups.get(group.id, group)
        if not waits(live) and draft.untouched:
            done = f" {STATES.get(live.state, live.state)} "
            return [(done, "badge-good"), (" settled; j shows the next, u undoes", "dim")]
        moving = sum(p.size for f, p in draft.photos.items() if draft.mark(f) is Mark.MOVE)
        spans: Spans = [
            (" a ", "badge-good"),
            (f" {draft.summary()}", ""),
            (f" · frees {size(moving)}", "good"),
        ]
        return [*spans, *self.stage.badges()]

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
        self.stage.differs = not self.stage.differs
        self.redraw()

    def action_blink(self) -> None:
        self.stage.toggle_blink()
        self.redraw()

    def on_stage_blinked(self) -> None:
        self._show_words()

    def action_full(self) -> None:
        if self.draft is not None:
            photos = list(self.draft.photos.values())
            at = next(i for i, photo in enumerate(photos) if photo.file == self.looked_at)
            self.review.push_screen(PictureScreen(photos, at))

    def action_step(self, by: int) -> None:
        if self.id_now in self.ids:
            at = self.ids.index(self.id_now) + by
            if 0 <= at < len(self.ids):
                self.go(self.ids[at])

    def on_pane_pointed(self, event: Pane.Pointed) -> None:
        if self.draft is None:
            return
        photo = self.stage.in_sight()[self.stage.panes.index(event.pane)]
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
            self.review.tell("The keeper stays. To let it go, make another picture the keeper first (k).")
        self.redraw()

    def action_keeper(self) -> None:
        if self.draft is None or self.looked_at == self.draft.keeper:
            return
        if not self.draft.make_keeper(self.looked_at):
            self.review.tell(
                "Some of this group moved already, so its keeper stays. Undo the moves first.", "warn"
            )
        self.redraw()

    def action_different(self) -> None:
        """A pair is settled at once; in a larger group it is a mark like the others."""
        if self.draft is None or not self.draft.toggle_different(self.looked_at):
            self.review.tell(
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
        live = self.review.library.groups.get(self.id_now, self.draft.group)
        if not waits(live) and self.draft.untouched:
            self._advance()
        else:
            self._send(f"{self.draft.summary()}: {group_title(self.draft.group)}")

    @work
    async def action_reject(self) -> None:
        if self.draft is None:
            return
        group = self.draft.group
        if await self.review.push_screen_wait(reject_all(group)):
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
        if self.id_now in self.review.library.acting:
            return
        if self.review.hands.act(action):
            self._drafts.pop(self.id_now, None)
            self._advance()

    def _advance(self) -> None:
        following = self.review.library.next_waiting(self.ids, self.id_now)
        if following is None:
            self.review.tell("Nothing more waits here.")
            self.dismiss()
        else:
            self.go(following)

    def action_undo(self) -> None:
        if self.draft is not None and self.draft.undo():
            self.redraw()
            return
        done = self.review.hands.undo()
        if done is None:
            self.review.action_undo()
        else:
            self.review.tell(f"Undoing: {done.label}")
            if done.groups and done.groups[0] in self.ids:
                self.go(done.groups[0])
