"""What can be looked at: asked of the daemon, else read from the state, as `dedupd status` and `groups` do.

Must never act, and never wait in the event loop: the state is read by one thread.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import msgspec

from dedupd.config import Places, Settings
from dedupd.core.records import HeldBetter
from dedupd.errors import NoDaemon, StateError
from dedupd.library import LibraryView
from dedupd.protocol.notices import MonthChanged, Notice, Resync
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
from dedupd.web.line import Line, LineChanged
from dedupd.web.problems import Problem

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")
MonthKey = tuple[str | None, str]
"""(root, month); None: of every root."""
_PAGE = 500
_SHOWN = 4_096
"""Groups whose keeper is remembered: after a decision the same keeper may have another id."""


class LibraryReading:
    """One question each; use from the event loop."""

    def __init__(self, settings: Settings, places: Places, line: Line) -> None:
        self._settings, self._places, self._line = settings, places, line
        self._reader = ThreadPoolExecutor(1, "web-reader")
        self._months: dict[MonthKey, list[GroupView]] = {}
        """All groups of the months that were looked at, until something is told that may have changed them."""
        self._changes = 0
        self._shown: OrderedDict[int, tuple[MonthKey, str]] = OrderedDict()
        """Group id -> its month and its keeper, as it was last shown."""

    def close(self) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)

    async def status(self) -> StatusView:
        try:
            return await self._asked(GetStatus(), StatusView, lambda view: view.status())
        except StateError:
            return StatusView(daemon="stopped", roots=[str(root) for root in self._settings.roots])

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
            row = view.ledger.judgement.group(id)
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
        """The id that a group which is gone has now: its keeper's, as the terminal's reviewer follows it; None without any."""
        if id not in self._shown:
            return None
        (root, month), keep = self._shown[id]
        groups = [group for group in await self.month(root, month) if keep in group.files]
        return min(groups, key=lambda group: group.keep != keep).id if groups else None

    async def month(self, root: str | None, month: str) -> list[GroupView]:
        """All groups of a month. Must not be changed by who gets them."""
        if (known := self._months.get((root, month))) is not None:
            return known
        changes, found, offset = self._changes, list[GroupView](), 0
        while offset is not None:
            page = await self.groups(GetGroups(month=month, root=root, offset=offset, limit=_PAGE))
            found += page.groups
            offset = page.next_offset
        # Without a daemon nobody tells when something changes.
        if self._line.up and changes == self._changes:
            self._months[root, month] = found
        return found

    def forget_groups(self) -> None:
        """Something was done: ask for every group again."""
        self._changes += 1
        self._months.clear()

    async def follow(self) -> None:
        """Forgets what the daemon says has changed; returns only when cancelled."""
        with self._line.listen() as listener:
            while True:
                self._noticed(await listener.get())

    def _noticed(self, notice: Notice) -> None:
        if isinstance(notice, Resync | LineChanged):
            self.forget_groups()
        elif isinstance(notice, MonthChanged):
            self._changes += 1
            for root in (notice.root, None):
                self._months.pop((root, notice.month), None)

    async def settings(self) -> SettingsView:
        """As the daemon follows them. Raises Problem without one."""
        try:
            return await self._line.ask(GetSettings(), SettingsView)
        except NoDaemon as error:
            raise Problem(409, "no_daemon", f"{error}: it tells what it follows") from None

    async def held_better(self, root: str | None) -> list[HeldBetter]:
        """What lies in duplicates/ and holds more than its keeper."""
        try:
            found = await self.of_state(lambda view: view.ledger.held_checks.better())
        except StateError:
            return []
        return [better for better in found if root in (None, better.root)]

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
            return await self._line.ask(request, kind)
        except NoDaemon:
            return await self.of_state(read)


def _after(end: int, total: int) -> int | None:
    return end if end < total else None
