"""Everything that can be read: from the daemon, or without one from the state, as `dedupd status` and
`groups` do.

Must never act, and never block the event loop: the state is read by one thread.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import msgspec

from dedupd.config import Places, Settings
from dedupd.core.records import HeldBetter, HeldChange
from dedupd.errors import NoDaemon, NothingYet, StateError
from dedupd.library import LibraryView
from dedupd.protocol.notices import MonthChanged, Notice, Resync, StatusChanged
from dedupd.protocol.requests import (
    GetGroup,
    GetGroups,
    GetLessons,
    GetMonths,
    GetMoves,
    GetSettings,
    GetStatus,
    Request,
)
from dedupd.protocol.results import GroupsPage, LessonsPage, MonthsPage, MovesPage
from dedupd.protocol.views import GroupDetail, GroupView, SettingsView, StatusView
from dedupd.web.daemon_connection import ConnectionChanged, DaemonConnection
from dedupd.web.problems import Problem

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")
MonthKey = tuple[str | None, str]
"""(root, month); None: every root."""
_PAGE = 500
_WHOLE = 2
"""Months whose groups are all cached whole."""
_STATUS_SECONDS = 2.0
"""Seconds for which a status is fresh, unless something is notified or done meanwhile."""
_STATUS_PATIENCE = 0.1
"""Seconds for which a page waits for a newer status than it has: changes reach it later as events."""
_SHOWN = 4_096
"""Groups whose keeper is remembered: after a decision the same keeper may have another id."""


class LibraryReading:
    """One method for each question; use it on the event loop."""

    def __init__(self, settings: Settings, places: Places, connection: DaemonConnection) -> None:
        self._settings, self._places, self._connection = settings, places, connection
        self._reader = ThreadPoolExecutor(1, "web-reader")
        self._outlines: dict[MonthKey, list[GroupView]] = {}
        """The groups of the months that were read, until a notice says that they may have changed."""
        self._whole: OrderedDict[MonthKey, dict[int, tuple[GroupView, GroupView]]] = OrderedDict()
        """Group id -> (its outline, all of it): after a change only groups with another outline are read
        again."""
        self._changes = 0
        self._status: StatusView | None = None
        self._status_until = 0.0
        self._asking: asyncio.Task[None] | None = None
        self._shown: OrderedDict[int, tuple[MonthKey, str]] = OrderedDict()
        """Group id -> its month and its keeper, as it was last shown."""

    def close(self) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def status(self) -> StatusView:
        try:
            return await self._asked(GetStatus(), StatusView, lambda view: view.status())
        except NothingYet:
            return StatusView(daemon="stopped", roots=[str(root) for root in self._settings.roots])

    async def recent_status(self) -> StatusView:
        """The status for a page: fresh, or the last one while the daemon is too busy to answer at once."""
        if self._status is None:
            await self._refresh_status()
        elif time.monotonic() > self._status_until:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.create_task(self._refresh_status())
            await asyncio.wait({self._asking}, timeout=_STATUS_PATIENCE)
        assert self._status is not None
        return self._status

    async def _refresh_status(self) -> None:
        self._take_status(await self.status())

    def _take_status(self, status: StatusView) -> None:
        self._status, self._status_until = status, time.monotonic() + _STATUS_SECONDS

    async def months(self, offset: int) -> MonthsPage:
        return await self._asked(
            GetMonths(offset=offset),
            MonthsPage,
            lambda view: MonthsPage(months=view.reviewer.months()[offset:]),
        )

    async def groups(self, asked: GetGroups) -> GroupsPage:
        def read(view: LibraryView) -> GroupsPage:
            rows, total = view.group_rows(
                month=asked.month, root=asked.root, relation=asked.relation, state=asked.state,
                offset=asked.offset, limit=asked.limit,
            )  # fmt: skip
            after = _after(asked.offset + asked.limit, total)
            return GroupsPage(groups=view.reviewer.groups(rows), total=total, next_offset=after)

        return await self._asked(asked, GroupsPage, read)

    async def group(self, id: int) -> GroupDetail:
        def read(view: LibraryView) -> GroupDetail:
            row = view.ledger.groups.get(id)
            detail = None if row is None else view.reviewer.detail(row)
            if detail is None:
                raise Problem(404, "not_found", f"there is no group {id} any more")
            return detail

        detail = await self._asked(GetGroup(id=id), GroupDetail, read)
        self._shown[id] = (detail.group.root, detail.group.month), detail.group.keep
        self._shown.move_to_end(id)
        while len(self._shown) > _SHOWN:
            self._shown.popitem(last=False)
        return detail

    async def renumbered(self, id: int) -> int | None:
        """The new id of a group that is gone: that of the group with the same keeper; None when there is
        none."""
        if id not in self._shown:
            return None
        (root, month), keep = self._shown[id]
        return next((group.id for group in await self.outlines(root, month) if group.keep == keep), None)

    async def outlines(self, root: str | None, month: str) -> list[GroupView]:
        """The groups of a month without members, for counting and sorting. Callers must not change the list."""
        if (known := self._outlines.get((root, month))) is not None:
            return known
        changes = self._changes
        try:
            found = await self.of_state(lambda view: view.outlines(month, root))
        except StateError:
            found = await self._told(root, month)
        # Without a daemon there are no notices of changes.
        if self._connection.up and changes == self._changes:
            self._outlines[root, month] = found
        return found

    async def whole(self, groups: Sequence[GroupView]) -> list[GroupView]:
        """These groups with their members; those that are gone are left out."""
        try:
            return await self.of_state(lambda view: view.groups([group.id for group in groups]))
        except StateError:
            return list(groups)  # the daemon told all of them

    async def month(self, root: str | None, month: str) -> list[GroupView]:
        """All groups of a month with their members. Callers must not change the list."""
        outlines = await self.outlines(root, month)
        known = self._whole.get((root, month), {})
        same = {group.id: known[group.id] for group in outlines if known.get(group.id, (None,))[0] == group}
        other = [group for group in outlines if group.id not in same]
        fresh = {group.id: group for group in await self.whole(other)} if other else {}
        read = {group.id: (group, fresh[group.id]) for group in other if group.id in fresh}
        both = same | read
        found = {group.id: both[group.id] for group in outlines if group.id in both}
        self._whole[root, month] = found
        self._whole.move_to_end((root, month))
        while len(self._whole) > _WHOLE:
            self._whole.popitem(last=False)
        return [group for _, group in found.values()]

    async def _told(self, root: str | None, month: str) -> list[GroupView]:
        """All groups of a month, from the daemon."""
        found, offset = list[GroupView](), 0
        while offset is not None:
            page = await self.groups(GetGroups(month=month, root=root, offset=offset, limit=_PAGE))
            found += page.groups
            offset = page.next_offset
        return found

    def forget_groups(self) -> None:
        """Something was done: ask for every group again."""
        self._changes += 1
        self._outlines.clear()
        self._status_until = 0.0

    async def follow(self) -> None:
        """Forget what notices say has changed; returns only when cancelled."""
        with self._connection.listen() as listener:
            while True:
                self._noticed(await listener.get())

    def _noticed(self, notice: Notice) -> None:
        self._status_until = 0.0
        if isinstance(notice, Resync | ConnectionChanged):
            self._status = None
            self.forget_groups()
        elif isinstance(notice, MonthChanged):
            self._changes += 1
            for root in (notice.root, None):
                self._outlines.pop((root, notice.month), None)
        elif isinstance(notice, StatusChanged):
            self._take_status(notice.status)

    async def settings(self) -> SettingsView:
        """The settings in force. Raises Problem without a daemon."""
        try:
            return await self._connection.ask(GetSettings(), SettingsView)
        except NoDaemon as error:
            raise Problem(409, "no_daemon", f"{error}: it tells what it follows") from None

    async def held_better(self, root: str | None) -> list[HeldBetter]:
        """Groups of which something in duplicates/ holds more than its keeper."""
        try:
            found = await self.of_state(lambda view: view.ledger.held_checks.better())
        except StateError:
            return []
        return [better for better in found if root in (None, better.root)]

    async def held_changed(self) -> list[HeldChange]:
        """Photos in duplicates/ that would not move today, as something small was changed in them."""
        try:
            return await self.of_state(lambda view: view.ledger.held_checks.changed())
        except StateError:
            return []

    async def moves(self, asked: GetMoves) -> MovesPage:
        def read(view: LibraryView) -> MovesPage:
            rows, total = view.ledger.journal.page(asked.group, asked.month, asked.offset, asked.limit)
            after = _after(asked.offset + asked.limit, total)
            return MovesPage(moves=view.reviewer.moves(rows), total=total, next_offset=after)

        return await self._asked(asked, MovesPage, read)

    async def lessons(self, offset: int) -> LessonsPage:
        return await self._asked(
            GetLessons(offset=offset),
            LessonsPage,
            lambda view: LessonsPage(lessons=view.reviewer.lessons()[offset:]),
        )

    async def of_state(self, read: Callable[[LibraryView], T]) -> T:
        """Read from the state, whether a daemon runs or not. Raises StateError."""

        def look() -> T:
            with closing(LibraryView(self._settings, self._places)) as view:
                return read(view)

        return await asyncio.get_running_loop().run_in_executor(self._reader, look)

    async def _asked(self, request: Request, kind: type[R], read: Callable[[LibraryView], R]) -> R:
        try:
            return await self._connection.ask(request, kind)
        except NoDaemon:
            return await self.of_state(read)


def _after(end: int, total: int) -> int | None:
    return end if end < total else None
