"""Keeps the library in step with the daemon: asks when connected, again when something changed. Never acts."""

from __future__ import annotations

import asyncio
import gc
from collections import OrderedDict
from typing import TypeVar

import msgspec

from dedupd.errors import DedupdError, NoDaemon
from dedupd.protocol.messages import (
    Attention,
    GetGroup,
    GetGroups,
    GetMonths,
    GetStatus,
    GroupDetail,
    GroupsPage,
    GroupView,
    Hello,
    MonthChanged,
    Months,
    MonthView,
    Moved,
    Notice,
    Progressed,
    Request,
    Resync,
    StatusChanged,
    StatusView,
)
from dedupd.tui.link.app_port import Voice
from dedupd.tui.link.daemon_line import Link
from dedupd.tui.model.state import Library, MonthKey
from dedupd.tui.model.words import plural

R = TypeVar("R", bound=msgspec.Struct)
_SHOWN_EVERY = 5
"""Pages after which what has arrived is shown: keys stay quick while thousands of groups do."""
_MANY = 1000
"""Groups of a month from which on the collector is told to leave them alone: walking 10,000 costs it 80 ms, in the
middle of a key. They hold no cycles, so they go all the same when their month does."""
_DETAILS = 64
"""Groups whose pictures and evidence are remembered."""
_GATHER = 0.15
"""Seconds that notices of changed months are gathered before one question answers them all."""


class Follower:
    """One library, one link. All methods run on the event loop."""

    def __init__(self, link: Link, library: Library, voice: Voice) -> None:
        self._link, self._library, self._voice = link, library, voice
        self._changed: set[MonthKey] = set()
        self._gathering = False
        self._loading: set[MonthKey] = set()
        self._details: OrderedDict[int, GroupDetail] = OrderedDict()

    def up(self, hello: Hello) -> None:
        """A daemon answers; what was known of another one's groups is forgotten."""
        self._library.online, self._library.why_offline = True, ""
        self._forget()
        self._voice.note(f"connected to dedupd {hello.version} (process {hello.pid})")
        self._voice.publish("link")
        self._voice.beside(self._catch_up, "overview")

    def down(self, why: str) -> None:
        if self._library.online:
            self._voice.note(why, "warn")
        self._library.online, self._library.why_offline = False, why
        self._library.progress = None
        self._voice.publish("link")

    def noticed(self, notice: Notice) -> None:
        match notice:
            case Progressed(progress=progress):
                self._library.progress = progress
                self._voice.publish("progress")
            case StatusChanged(status=status):
                self._take(status)
            case MonthChanged(root=root, month=month):
                self._changed.add((root, month))
                if not self._gathering:
                    self._gathering = True
                    self._voice.beside(self._refresh_changed, "changed months")
            case Moved():
                back = f", {plural(notice.restored, 'file')} came back" if notice.restored else ""
                self._voice.note(
                    notice.message or f"{notice.month}: {plural(notice.moved, 'file')} moved{back}", "good"
                )
            case Attention(message=message):
                self._voice.tell(message, "warn")
            case Resync():
                self._voice.note(
                    "this window was too slow and missed something: everything is asked again", "warn"
                )
                self._forget()
                self._voice.publish("groups")
                self._voice.beside(self._catch_up, "overview")
            case _:
                pass

    async def fetch(self, request: Request, result: type[R], timeout: float | None = 30.0) -> R | None:  # noqa: ASYNC109 - passed on
        """An answer, or None with a word in the log: what only looks may fail quietly."""
        try:
            return await self._link.ask(request, result, timeout)
        except NoDaemon:
            return None
        except DedupdError as error:
            self._voice.note(str(error), "warn")
            return None

    async def detail(self, group: int) -> GroupDetail | None:
        detail = await self.fetch(GetGroup(id=group), GroupDetail)
        if detail is not None:
            self._library.groups[group] = detail.group
            self._details[group] = detail
            self._details.move_to_end(group)
            while len(self._details) > _DETAILS:
                self._details.popitem(last=False)
        return detail

    def known(self, group: int) -> GroupDetail | None:
        """A group that was asked for and has not changed since."""
        detail, listed = self._details.get(group), self._library.groups.get(group)
        return detail if detail and listed and detail.group.version == listed.version else None

    def want(self, key: MonthKey) -> None:
        """Load a month's groups unless they are there."""
        if key not in self._library.loaded and key not in self._loading and self._library.online:
            self._loading.add(key)
            self._voice.beside(lambda: self.load(key), f"groups of {key}")

    async def load(self, key: MonthKey) -> None:
        """All groups of a month, page by page; what has arrived is shown meanwhile."""
        self._loading.add(key)
        try:
            arrived = await self._load(key)
        finally:
            self._loading.discard(key)
        if arrived:
            self._voice.publish("groups")

    async def _load(self, key: MonthKey) -> bool:
        found: list[GroupView] = []
        offset: int | None = 0
        pages = 0
        while offset is not None:
            page = await self.fetch(GetGroups(root=key[0], month=key[1], offset=offset), GroupsPage)
            if page is None:
                return False
            found += page.groups
            if key not in self._library.loaded:
                self._library.groups.update((group.id, group) for group in page.groups)
                if pages % _SHOWN_EVERY == 0:
                    self._voice.publish("groups")
            pages += 1
            offset = page.next_offset
        first = key not in self._library.loaded
        self._library.replace_groups(key, found)
        if first and len(found) > _MANY:
            gc.freeze()
        return True

    def _forget(self) -> None:
        self._library.forget_groups()
        self._details.clear()

    async def _catch_up(self) -> None:
        if status := await self.fetch(GetStatus(), StatusView):
            self._take(status)
        await self._refresh_months()

    async def _refresh_months(self) -> None:
        months: list[MonthView] = []
        offset: int | None = 0
        while offset is not None:
            page = await self.fetch(GetMonths(offset=offset), Months)
            if page is None:
                return
            months += page.months
            offset = page.next_offset
        self._library.replace_months(months)
        self._voice.publish("months")

    async def _refresh_changed(self) -> None:
        try:
            while self._changed:
                await asyncio.sleep(_GATHER)
                changed, self._changed = self._changed, set()
                await self._refresh_months()
                for key in changed & self._library.loaded:
                    await self.load(key)
        finally:
            self._gathering = False

    def _take(self, status: StatusView) -> None:
        self._library.status = status
        self._library.progress = status.progress
        self._voice.publish("status")
