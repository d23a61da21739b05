"""Does what a person decided, one action after the other, and takes it back. Must never repeat a request by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from dedupd.client.connection import Refused
from dedupd.errors import DedupdError
from dedupd.protocol.messages import NOT_FOUND, STALE, Acted, Forget, GetStatus, StatusView
from dedupd.tui.link.app_port import Voice
from dedupd.tui.link.daemon_line import Link
from dedupd.tui.link.follower import Follower
from dedupd.tui.model.decisions import Action, by_message, new_key
from dedupd.tui.model.state import Library
from dedupd.tui.model.words import plural

NOBODY = "No daemon answers: nothing was done."
_ONE_BY_ONE = 4
"""So many groups are asked for again at once; of more, the whole month is."""


class Hands:
    """A queue of actions; the reviewer goes on while they are done."""

    def __init__(self, link: Link, library: Library, follower: Follower, voice: Voice) -> None:
        self._link, self._library, self._follower, self._voice = link, library, follower, voice
        self._queue: asyncio.Queue[Action] = asyncio.Queue()
        self.done: list[Action] = []
        """Asked for in this session, oldest first; undo takes from the end."""

    async def run(self) -> None:
        """Forever, one at a time: an undo always finds its action done."""
        while True:
            action = await self._queue.get()
            self._say(action.label)
            try:
                await self._perform(action)
            finally:
                self._say("")
                self._library.acting.difference_update(action.groups)
                self._queue.task_done()
            await self._look_again(action.groups)

    async def idle(self) -> None:
        """Returns once everything asked for is done."""
        await self._queue.join()

    def act(self, action: Action) -> bool:
        """False, with words, when there is nobody to do it."""
        if not self._library.online:
            self._voice.tell(NOBODY, "warn")
            return False
        self.done.append(action)
        self._enqueue(action)
        return True

    def undo(self) -> Action | None:
        """Take the last action back; the action, or None when there is none left."""
        if not self._library.online or not self.done:
            return None
        action = self.done.pop()
        self._enqueue(Action(label=f"undid: {action.label}", groups=action.groups, takes_back=action))
        return action

    def _enqueue(self, action: Action) -> None:
        self._library.acting.update(action.groups)
        self._library.touched.update(action.groups)
        self._queue.put_nowait(action)
        self._voice.publish("groups")

    def _say(self, label: str) -> None:
        self._library.under_way = label
        self._voice.publish("progress")

    async def _perform(self, action: Action) -> None:
        try:
            asked = action.asks()
            for request in asked:
                action.add(await self._link.ask(request, Acted, timeout=None))
            if action.takes_back is not None and action.acted.lessons:
                await self._reopen(action, action.takes_back)
            action.done = True
            self._report(action, asked=bool(asked))
        except Refused as refused:
            self._settle_failed(action)
            self._voice.tell(_words_for(refused), "warn")
        except DedupdError as error:
            self._settle_failed(action)
            self._voice.tell(f"{error}. Whether it was done shows once the daemon is back.", "bad")

    async def _reopen(self, undo: Action, undone: Action) -> None:
        """An undo itself teaches "never moves again" (P11). Where a person is asked anyway that would only hide the
        group: it is forgotten, and the group is as it was.
        """
        # Asked at this moment: a yes that another window gave must not move what this one takes back.
        status = await self._link.ask(GetStatus(), StatusView)
        if undone.would_wait({root.path for root in status.root_details if root.consented}):
            for ids in by_message(undo.acted.lessons):
                await self._link.ask(Forget(lessons=ids, key=new_key()), Acted, timeout=None)
        elif any(group.state == "proposed" for group in undone.before):
            self._voice.tell("What came back stays from now on: else it would move again by itself.")

    def _settle_failed(self, action: Action) -> None:
        """It did not happen, so undo must not find it; unless a part of it did."""
        action.done = bool(action.acted.moves or action.acted.batches or action.acted.lessons)
        if action in self.done and not action.done:
            self.done.remove(action)

    def _report(self, action: Action, *, asked: bool) -> None:
        if not asked:
            self._voice.tell("There was nothing to take back.")
            return
        acted, parts = action.acted, [action.label]
        if acted.moved:
            parts.append(f"{plural(acted.moved, 'file')} moved")
        if acted.restored:
            parts.append(f"{plural(acted.restored, 'file')} came back")
        self._voice.note(" · ".join(parts), "good")
        for message in acted.messages:
            self._voice.tell(message, "warn")

    async def _look_again(self, groups: Sequence[int]) -> None:
        if len(groups) > _ONE_BY_ONE:
            months = {(g.root, g.month) for i in groups if (g := self._library.groups.get(i))}
            for key in months:
                await self._follower.load(key)
            return
        for group in groups:
            if self._library.online and await self._follower.detail(group) is None:
                self._library.groups.pop(group, None)
        self._voice.publish("groups")


def _words_for(refused: Refused) -> str:
    if refused.code == STALE:
        return "This group changed since you saw it: nothing was done. Look at it again."
    if refused.code == NOT_FOUND:
        return "This group is gone, its files changed meanwhile: nothing was done."
    return str(refused)
