"""Sends what a person decided to the daemon, one action after the other, and undoes actions.

Must never repeat a request by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dedupd.client.connection import DaemonRefused
from dedupd.errors import DedupdError
from dedupd.protocol.failure import NOT_FOUND, STALE
from dedupd.protocol.requests import ForgetLessons, GetStatus
from dedupd.protocol.results import Acted
from dedupd.protocol.views import StatusView
from dedupd.reviewing.words import plural
from dedupd.tui.link.app_port import AppPort
from dedupd.tui.link.daemon_link import DaemonLink
from dedupd.tui.link.follower import Follower
from dedupd.tui.model.decisions import Action, batched, new_key
from dedupd.tui.model.review_state import ReviewState

NOBODY = "No daemon answers: nothing was done."
_ONE_BY_ONE = 4
"""After an action, up to this many groups are requested one by one; when there are more, the whole month is
loaded."""


class ActionQueue:
    """A queue of actions. The person can continue while they are carried out."""

    def __init__(self, line: DaemonLink, state: ReviewState, follower: Follower, app: AppPort) -> None:
        self._line, self._state, self._follower, self._app = line, state, follower, app
        self._queue: asyncio.Queue[Action] = asyncio.Queue()
        self.done: list[Action] = []
        """Actions of this session that undo can still find, oldest first."""

    async def run(self) -> None:
        """Do the actions in order, one at a time, until cancelled: an undo always finds its action done."""
        while True:
            action = await self._queue.get()
            self._show_under_way(action.label)
            try:
                await self._perform(action)
            finally:
                self._show_under_way("")
                self._state.acting.difference_update(action.groups)
                self._queue.task_done()
            await self._refresh_groups(action.groups)

    async def idle(self) -> None:
        """Return when every action in the queue is done."""
        await self._queue.join()

    def act(self, action: Action) -> bool:
        """Queue an action. False, and a message to the person, when no daemon is connected."""
        if not self._state.online:
            self._app.tell(NOBODY, "warn")
            return False
        self.done.append(action)
        self._enqueue(action)
        return True

    def undo(self) -> Action | None:
        """Queue the undo of the last action. Returns that action; None when there is none or no daemon is connected."""
        if not self._state.online or not self.done:
            return None
        action = self.done.pop()
        self._enqueue(Action(label=f"undid: {action.label}", groups=action.groups, undoes=action))
        return action

    def _enqueue(self, action: Action) -> None:
        self._state.acting.update(action.groups)
        self._state.touched.update(action.groups)
        self._queue.put_nowait(action)
        self._app.publish("groups")

    def _show_under_way(self, label: str) -> None:
        self._state.under_way = label
        self._app.publish("progress")

    async def _perform(self, action: Action) -> None:
        try:
            asked = action.requests_now()
            for request in asked:
                action.add(await self._line.act(request, Acted))
            if action.undoes is not None and action.acted.lessons:
                await self._forget_undo_lessons(action, action.undoes)
            action.done = True
            self._report(action, asked=bool(asked))
        except DaemonRefused as refused:
            self._record_failure(action)
            self._app.tell(_sentence_for(refused), "warn")
        except DedupdError as error:
            self._record_failure(action)
            self._app.tell(f"{error}. Whether it was done shows once the daemon is back.", "bad")

    async def _forget_undo_lessons(self, undo: Action, undone: Action) -> None:
        """An undo also teaches the daemon that these files must never move again (P11).

        Where dedupd asks a person before it moves, that lesson would only hide the group from review. So the
        lesson is forgotten, and the group waits again as before.
        """
        # Read at this moment: an approval from another window must not move the files that this action
        # undoes.
        status = await self._line.ask(GetStatus(), StatusView)
        if undone.would_wait({root.path for root in status.root_details if root.consented}):
            for ids in batched(undo.acted.lessons):
                await self._line.act(ForgetLessons(lessons=ids, key=new_key()), Acted)
        elif any(group.state == "proposed" for group in undone.before):
            self._app.tell("What came back stays from now on: else it would move again by itself.")

    def _record_failure(self, action: Action) -> None:
        """Record that the action failed: undo must not find it, unless a part of it was done."""
        action.done = bool(action.acted.moves or action.acted.batches or action.acted.lessons)
        if action in self.done and not action.done:
            self.done.remove(action)

    def _report(self, action: Action, *, asked: bool) -> None:
        if not asked:
            self._app.tell("There was nothing to take back.")
            return
        acted, parts = action.acted, [action.label]
        if acted.moved:
            parts.append(f"{plural(acted.moved, 'file')} moved")
        if acted.restored:
            parts.append(f"{plural(acted.restored, 'file')} came back")
        self._app.note(" · ".join(parts), "good")
        for message in acted.messages:
            self._app.tell(message, "warn")

    async def _refresh_groups(self, groups: Sequence[int]) -> None:
        if len(groups) > _ONE_BY_ONE:
            months = {(g.root, g.month) for i in groups if (g := self._state.groups.get(i))}
            for key in months:
                await self._follower.load_groups(key)
            return
        for group in groups:
            if self._state.online and await self._follower.detail(group) is None:
                self._state.groups.pop(group, None)
        self._app.publish("groups")


def _sentence_for(refused: DaemonRefused) -> str:
    if refused.code == STALE:
        return "This group changed since you saw it: nothing was done. Look at it again."
    if refused.code == NOT_FOUND:
        return "This group is gone, its files changed meanwhile: nothing was done."
    return str(refused)
