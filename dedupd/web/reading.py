"""What can be looked at: asked of the daemon, else read from the state, as `dedupd status` and `groups` do.

Must never act, and never wait in the event loop: the state is read by one thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TypeVar

import msgspec

from dedupd.config import Places, Settings
from dedupd.errors import NoDaemon, StateError
from dedupd.library import LibraryView
from dedupd.protocol.requests import GetGroup, GetGroups, GetLessons, GetMonths, GetMoves, GetStatus, Request
from dedupd.protocol.results import GroupsPage, LessonsPage, MonthsPage, MovesPage
from dedupd.protocol.views import GroupDetail, StatusView
from dedupd.web.line import Line
from dedupd.web.problems import Problem

R = TypeVar("R", bound=msgspec.Struct)
T = TypeVar("T")


class LibraryReading:
    """One question each; use from the event loop."""

    def __init__(self, settings: Settings, places: Places, line: Line) -> None:
        self._settings, self._places, self._line = settings, places, line
        self._reader = ThreadPoolExecutor(1, "web-reader")

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

        return await self._asked(GetGroup(id=id), GroupDetail, read)

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
