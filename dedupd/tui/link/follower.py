"""Keeps the review state in step with the daemon: asks when connected, and again when something changed.

Must never send an acting request.
"""

from __future__ import annotations

import asyncio
import gc
from collections import OrderedDict
from typing import TypeVar

import msgspec

from dedupd.errors import DedupdError, NoDaemon
from dedupd.protocol.notices import (
    Attention,
    FilesMoved,
    MonthChanged,
    Notice,
    Progressed,
    Resync,
    StatusChanged,
)
from dedupd.protocol.requests import GetGroup, GetGroups, GetMonths, GetStatus, Request
from dedupd.protocol.results import GroupsPage, Hello, MonthsPage
from dedupd.protocol.views import GroupDetail, GroupView, MonthView, StatusView
from dedupd.reviewing.words import plural
from dedupd.tui.link.app_port import AppPort
from dedupd.tui.link.daemon_link import DaemonLink
from dedupd.tui.model.review_state import MonthKey, ReviewState

R = TypeVar("R", bound=msgspec.Struct)
_SHOWN_EVERY = 5
"""While a month is loaded, its list is redrawn after each so many pages: key presses stay fast with thousands
of groups."""
_MANY = 1000
"""From this many groups of a month on, the garbage collector is told to skip them: walking 10,000 groups
takes it 80 ms, in the middle of a key press. They form no reference cycles, so they are freed all the same.
"""
_DETAILS = 64
"""Groups whose pictures and evidence are kept in memory."""
_GATHER = 0.15
"""Seconds for which notices of changed months are collected before one request answers them all."""


class Follower:
    """Writes what the daemon says into one review state. All methods run on the event loop."""

    def __init__(self, line: DaemonLink, state: ReviewState, app: AppPort) -> None:
        self._line, self._state, self._app = line, state, app
        self._changed: set[MonthKey] = set()
        self._gathering = False
        self._loading: set[MonthKey] = set()
        self._details: OrderedDict[int, GroupDetail] = OrderedDict()

    def connected(self, hello: Hello) -> None:
        """A daemon answers: forget all groups (it may be another daemon) and ask for everything."""
        self._state.online, self._state.why_offline, self._state.not_started = True, "", ""
        self._forget()
        self._app.note(f"connected to dedupd {hello.version} (process {hello.pid})")
        self._app.publish("connection")
        self._app.run_in_background(self._catch_up, "overview")

    def disconnected(self, why: str) -> None:
        if self._state.online:
            self._app.note(why, "warn")
        self._state.online, self._state.why_offline = False, why
        self._state.progress = None
        self._app.publish("connection")

    def take_notice(self, notice: Notice) -> None:
        match notice:
            case Progressed(progress=progress):
                self._state.progress = progress
                self._app.publish("progress")
            case StatusChanged(status=status):
                self._take_status(status)
            case MonthChanged(root=root, month=month):
                self._changed.add((root, month))
                if not self._gathering:
                    self._gathering = True
                    self._app.run_in_background(self._refresh_changed, "changed months")
            case FilesMoved():
                restored = f", {plural(notice.restored, 'file')} came back" if notice.restored else ""
                self._app.note(
                    notice.message or f"{notice.month}: {plural(notice.moved, 'file')} moved{restored}",
                    "good",
                )
            case Attention(message=message):
                self._app.tell(message, "warn")
            case Resync():
                self._app.note(
                    "this window was too slow and missed something: everything is asked again", "warn"
                )
                self._forget()
                self._app.publish("groups")
                self._app.run_in_background(self._catch_up, "overview")
            case _:
                pass

    async def fetch(self, request: Request, result: type[R], timeout: float | None = 30.0) -> R | None:  # noqa: ASYNC109 - passed on
        """The answer to a request that only reads; None when there is none, with the reason in the log."""
        try:
            return await self._line.ask(request, result, timeout)
        except NoDaemon:
            return None
        except DedupdError as error:
            self._app.note(str(error), "warn")
            return None

    async def detail(self, group: int) -> GroupDetail | None:
        """Ask for a group with its pictures and evidence; None when it is gone or no daemon answers."""
        detail = await self.fetch(GetGroup(id=group), GroupDetail)
        if detail is not None:
            self._state.groups[group] = detail.group
            self._details[group] = detail
            self._details.move_to_end(group)
            while len(self._details) > _DETAILS:
                self._details.popitem(last=False)
        return detail

    def known_detail(self, group: int) -> GroupDetail | None:
        """The detail of a group, when it was asked for before and the group has not changed since."""
        detail, listed = self._details.get(group), self._state.groups.get(group)
        return detail if detail and listed and detail.group.version == listed.version else None

    def want_groups(self, key: MonthKey) -> None:
        """Start to load the groups of a month, unless they are loaded or being loaded."""
        if key not in self._state.loaded and key not in self._loading and self._state.online:
            self._loading.add(key)
            self._app.run_in_background(lambda: self.load_groups(key), f"groups of {key}")

    async def load_groups(self, key: MonthKey) -> None:
        """Load all groups of a month, page by page; the pages that have arrived are shown meanwhile."""
        self._loading.add(key)
        try:
            arrived = await self._load_pages(key)
        finally:
            self._loading.discard(key)
        if arrived:
            self._app.publish("groups")

    async def _load_pages(self, key: MonthKey) -> bool:
        found: list[GroupView] = []
        offset: int | None = 0
        pages = 0
        while offset is not None:
            page = await self.fetch(GetGroups(root=key[0], month=key[1], offset=offset), GroupsPage)
            if page is None:
                return False
            found += page.groups
            if key not in self._state.loaded:
                self._state.groups.update((group.id, group) for group in page.groups)
                if pages % _SHOWN_EVERY == 0:
                    self._app.publish("groups")
            pages += 1
            offset = page.next_offset
        first = key not in self._state.loaded
        self._state.replace_groups(key, found)
        if first and len(found) > _MANY:
            gc.freeze()
        return True

    def _forget(self) -> None:
        self._state.forget_groups()
        self._details.clear()

    async def _catch_up(self) -> None:
        if status := await self.fetch(GetStatus(), StatusView):
            self._take_status(status)
        await self._refresh_months()

    async def _refresh_months(self) -> None:
        months: list[MonthView] = []
        offset: int | None = 0
        while offset is not None:
            page = await self.fetch(GetMonths(offset=offset), MonthsPage)
            if page is None:
                return
            months += page.months
            offset = page.next_offset
        self._state.replace_months(months)
        self._app.publish("months")

    async def _refresh_changed(self) -> None:
        try:
            while self._changed:
                await asyncio.sleep(_GATHER)
                changed, self._changed = self._changed, set()
                await self._refresh_months()
                for key in changed & self._state.loaded:
                    await self.load_groups(key)
        finally:
            self._gathering = False

    def _take_status(self, status: StatusView) -> None:
        self._state.status = status
        self._state.progress = status.progress
        self._app.publish("status")
