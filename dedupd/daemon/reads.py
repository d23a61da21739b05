"""The requests that only read: one method each, named like the method in the protocol. Answered from the
read-only view.

Must never wait for the engine: clients are answered while it works.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

from dedupd.daemon.page_fit import fitting, page, shortened, shortened_detail
from dedupd.daemon.services import Services
from dedupd.daemon.socket_server import RequestError
from dedupd.library import LibraryView
from dedupd.pipeline.tune import tune
from dedupd.protocol.failure import INVALID_PARAMS, NOT_FOUND
from dedupd.protocol.requests import (
    GetGroup,
    GetGroups,
    GetLessons,
    GetMonths,
    GetMoves,
    GetSettings,
    GetStatus,
    Resolve,
    Tune,
)
from dedupd.protocol.results import GroupsPage, LessonsPage, MonthsPage, MovesPage, Resolved, Tuned
from dedupd.protocol.views import GroupDetail, SettingsView, StatusView

T = TypeVar("T")
PAGE = 500
"""Groups or moves in one answer, at most."""


class Reads:
    """Answers questions. Call it on the event loop; it reads in threads of its own."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._tuner = ThreadPoolExecutor(1, thread_name_prefix="tuner")
        self._view: LibraryView | None = None
        """Created and used in the reader's thread."""

    def close(self) -> None:
        """From now on no request is answered."""
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._tuner.shutdown(wait=False, cancel_futures=True)

    async def _read(self, question: Callable[[LibraryView], T]) -> T:
        def ask() -> T:
            if self._view is None:
                self._view = LibraryView(self._services.config.settings, self._services.places)
            self._view.settings = self._services.config.settings
            return question(self._view)

        return await asyncio.get_running_loop().run_in_executor(self._reader, ask)

    async def status(self, request: GetStatus) -> StatusView:
        known = self._services.attention()
        return self._services.complete(await self._read(lambda view: view.status("running", known)))

    async def months(self, request: GetMonths) -> MonthsPage:
        months, after = page(await self._read(lambda view: view.reviewer.months()), request.offset)
        return MonthsPage(months=months, next_offset=after)

    async def groups(self, request: GetGroups) -> GroupsPage:
        limit = max(1, min(request.limit, PAGE))

        def look(view: LibraryView) -> GroupsPage:
            rows, total = view.group_rows(
                month=request.month, root=request.root, relation=request.relation, state=request.state,
                offset=request.offset, limit=limit,
            )  # fmt: skip
            groups = [shortened(group) for group in view.reviewer.groups(rows)]
            count = fitting(groups)
            shown = limit
            if count < len(groups):  # the next page begins with the first that found no room
                shown = next(at for at, row in enumerate(rows) if row.id == groups[count].id)
            return GroupsPage(
                groups=groups[:count], total=total, next_offset=_next(request.offset, shown, total)
            )

        return await self._read(look)

    async def group(self, request: GetGroup) -> GroupDetail:
        def detail(view: LibraryView) -> GroupDetail | None:
            row = view.ledger.groups.get(request.id)
            return None if row is None else view.reviewer.detail(row)

        found = await self._read(detail)
        if found is None:
            raise RequestError(NOT_FOUND, f"there is no group {request.id} any more")
        return shortened_detail(found)

    async def moves(self, request: GetMoves) -> MovesPage:
        limit = max(1, min(request.limit, PAGE))

        def look(view: LibraryView) -> MovesPage:
            rows, total = view.ledger.journal.page(request.group, request.month, request.offset, limit)
            moves = view.reviewer.moves(rows)
            count = fitting(moves)
            return MovesPage(
                moves=moves[:count], total=total,
                next_offset=_next(request.offset, limit if count == len(moves) else count, total),
            )  # fmt: skip

        return await self._read(look)

    async def lessons(self, request: GetLessons) -> LessonsPage:
        begin = max(0, request.offset)
        # One more than a page shows whether there is another: an undo of a whole library is a lesson for each of its files.
        found = await self._read(lambda view: view.reviewer.lessons(begin, PAGE + 1))
        count = fitting(found[:PAGE])
        return LessonsPage(lessons=found[:count], next_offset=begin + count if count < len(found) else None)

    async def settings(self, request: GetSettings) -> SettingsView:
        settings = self._services.config.settings
        return SettingsView(
            tiers={r: getattr(settings.tiers, r) for r in ("exact", "copy", "burst", "similar")},
            keep_policy=settings.keep_policy, threshold=settings.threshold,
            model=await self._read(lambda view: view.ledger.get("model")),
            quiet_seconds=settings.schedule.quiet_seconds, interval_minutes=settings.schedule.interval_minutes,
            nightly=settings.schedule.nightly, source=str(settings.source or ""),
        )  # fmt: skip

    async def tune(self, request: Tune) -> Tuned:
        """What other settings would change. In a thread of its own, because the replay of a large library
        takes seconds."""
        now, where = self._services.config.settings, self._services.places
        if request.tiers.get("similar") == "move" or not 0.0 < (request.threshold or 1.0) <= 1.0:
            raise RequestError(
                INVALID_PARAMS, "what is only similar never moves, and a threshold is above 0 and up to 1"
            )
        then = replace(
            now, tiers=replace(now.tiers, **request.tiers),  # type: ignore[arg-type]
            threshold=request.threshold or now.threshold, keep_policy=request.keep_policy or now.keep_policy,
        )  # fmt: skip

        def replay() -> Tuned:
            with closing(LibraryView(now, where)) as view:
                found = tune(view.ledger, view.disk, view.roots, now, then)
            return Tuned(
                moves_now=len(found.now.moves), moves_then=len(found.then.moves),
                review_now=len(found.now.review), review_then=len(found.then.review),
                more_moves=len(found.more_moves), fewer_moves=len(found.fewer_moves),
                other_keepers=len(found.other_keepers), contradicts=len(found.contradicts),
            )  # fmt: skip

        return await asyncio.get_running_loop().run_in_executor(self._tuner, replay)

    async def resolve(self, request: Resolve) -> Resolved:
        return await self._read(lambda view: view.resolve(request.path))


def _next(offset: int, limit: int, total: int) -> int | None:
    """The offset of the next page; None after the last."""
    end = max(0, offset) + limit
    return end if end < total else None
