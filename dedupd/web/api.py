"""The JSON API of the library: reads, acts, events. Shapes, versions and keys as on the socket.

Must never take a path: a request names ids, months, and roots by their place in `/api/status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from dedupd.client.connection import DaemonRefused
from dedupd.errors import NoDaemon
from dedupd.protocol.failure import NOT_FOUND
from dedupd.protocol.notices import Notice
from dedupd.protocol.requests import Approve, GetGroups, GetMoves, GroupRef, Judge, Reject, Undo
from dedupd.protocol.requests import (
    Request as Question,
)
from dedupd.protocol.results import Acted, GroupsPage, LessonsPage, MonthsPage, MovesPage
from dedupd.protocol.views import GroupDetail, StatusView
from dedupd.web.bodies import answer, body_of, text_of
from dedupd.web.contract import Back, Keep, Verdict, Yes, described, takes
from dedupd.web.line import Line
from dedupd.web.problems import Problem
from dedupd.web.reading import LibraryReading

LARGEST_ID = (1 << 63) - 1
PAGE = 500
EVENT_STREAMS = 32
ALIVE_SECONDS = 15.0
"""A stream says something at least so often: else nobody would notice that the other end is gone."""

Id = Annotated[int, Path(ge=0, le=LARGEST_ID)]
Offset = Annotated[int, Query(ge=0, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
MonthName = Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}$")]
Relation = Literal["exact", "copy", "burst", "similar"]
State = Literal["proposed", "review", "settled", "kept"]


@dataclass(frozen=True, slots=True)
class LibraryRoutes:
    """The routes of one daemon's library."""

    reading: LibraryReading
    line: Line

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api")
        for path, read, result, errors in (
            ("/status", self.status, StatusView, ()),
            ("/months", self.months, MonthsPage, (422,)),
            ("/groups", self.groups, GroupsPage, (404, 422)),
            ("/groups/{id}", self.group, GroupDetail, (404, 422)),
            ("/moves", self.moves, MovesPage, (422,)),
            ("/lessons", self.lessons, LessonsPage, (422,)),
        ):
            routes.add_api_route(
                path, read, response_class=Response, responses=described(result, 409, *errors)
            )
        for path, act, body in (
            ("/groups/{id}/approve", self.approve, Yes),
            ("/groups/{id}/reject", self.reject, Yes),
            ("/groups/{id}/keep", self.keep, Keep),
            ("/groups/{id}/judge", self.judge, Verdict),
            ("/undo", self.undo, Back),
        ):
            routes.add_api_route(
                path, act, methods=["POST"], response_class=Response, openapi_extra=takes(body),
                responses=described(Acted, 404, 409, 413, 415, 422),
            )  # fmt: skip
        routes.add_api_route("/events", self.events, response_class=StreamingResponse, responses=_EVENTS)
        return routes

    # ---- reads

    async def status(self) -> Response:
        """What the daemon is doing, and what waits for a person."""
        return answer(await self.reading.status())

    async def months(self, offset: Offset = 0) -> Response:
        """The months, newest first."""
        return answer(await self.reading.months(offset))

    async def groups(
        self, month: MonthName = None, root: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
        relation: Relation | None = None, state: State | None = None, offset: Offset = 0, limit: Limit = 200,
    ) -> Response:  # fmt: skip
        """Groups of duplicates, newest month first. `root`: the place of a root in the status's `roots`, from 0."""
        asked = GetGroups(month=month, relation=relation, state=state, offset=offset, limit=limit)
        if root is not None:
            roots = (await self.reading.status()).roots
            if root >= len(roots):
                raise Problem(404, "not_found", f"there is no root {root}: the status lists {len(roots)}")
            asked.root = roots[root]
        return answer(await self.reading.groups(asked))

    async def group(self, id: Id) -> Response:
        """One group with its pictures and the evidence."""
        return answer(await self.reading.group(id))

    async def moves(
        self, month: MonthName = None, group: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
        offset: Offset = 0, limit: Limit = 200,
    ) -> Response:  # fmt: skip
        """The history, newest first."""
        asked = GetMoves(month=month, group=group, offset=offset, limit=limit)
        return answer(await self.reading.moves(asked))

    async def lessons(self, offset: Offset = 0) -> Response:
        """The verdicts of people."""
        return answer(await self.reading.lessons(offset))

    # ---- acts

    async def approve(self, id: Id, request: Request) -> Response:
        """Yes: the group's duplicates and review members move."""
        yes = await body_of(request, Yes)
        return await self._act(Approve(groups=[GroupRef(id=id, version=yes.version)], key=yes.key))

    async def reject(self, id: Id, request: Request) -> Response:
        """Not duplicates, for ever. Moved members are put back."""
        no = await body_of(request, Yes)
        return await self._act(Reject(groups=[GroupRef(id=id, version=no.version)], key=no.key))

    async def keep(self, id: Id, request: Request) -> Response:
        """Duplicates, but they stay where they are."""
        body = await body_of(request, Keep)
        files = await self._waiting(id) if body.files is None else body.files
        return await self._act(Judge(group=GroupRef(id=id, version=body.version), keep=files, key=body.key))

    async def judge(self, id: Id, request: Request) -> Response:
        """A verdict picture by picture."""
        body = await body_of(request, Verdict)
        return await self._act(
            Judge(
                group=GroupRef(id=id, version=body.version), keeper=body.keeper, move=body.move,
                different=body.different, keep=body.keep, key=body.key,
            )
        )  # fmt: skip

    async def undo(self, request: Request) -> Response:
        """Put files back."""
        body = await body_of(request, Back)
        ways = (
            bool(body.moves or body.batches), body.group is not None, body.month is not None, body.last, body.all,
        )  # fmt: skip
        if sum(ways) != 1:
            raise Problem(422, "invalid", "say what to put back: moves or batches, group, month, last or all")
        return await self._act(
            Undo(
                moves=body.moves, batches=body.batches, group=body.group, month=body.month, last=body.last,
                all=body.all, key=body.key,
            )
        )  # fmt: skip

    async def _act(self, request: Question) -> Response:
        """By the daemon, however long it takes; a browser that leaves does not stop it."""
        try:
            return answer(await self.line.ask(request, Acted, timeout=None))
        except NoDaemon as error:
            raise Problem(409, "no_daemon", f"{error}: only a running daemon acts") from None

    async def _waiting(self, id: int) -> list[int]:
        """The members that have not moved. A group that is gone has none: the daemon knows whether it was the same key."""
        try:
            detail = await self.reading.group(id)
        except DaemonRefused as refused:
            if refused.code == NOT_FOUND:
                return []
            raise
        if detail.group.left_out:
            raise Problem(422, "too_many", "not all of this group is shown: name the files that stay")
        return [photo.file for photo in detail.photos if photo.role in ("duplicate", "review")]

    # ---- events

    async def events(self) -> StreamingResponse:
        """What happens, as server-sent events: the socket's notices, and `line` when the daemon comes or goes."""
        if self.line.listeners >= EVENT_STREAMS:
            raise Problem(429, "busy", f"{EVENT_STREAMS} pages follow already: close one")
        return StreamingResponse(self._told(), media_type="text/event-stream")

    async def _told(self) -> AsyncGenerator[str]:
        with self.line.listen() as listener:
            while True:
                try:
                    async with asyncio.timeout(ALIVE_SECONDS):
                        notice = await listener.get()
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    yield _event(notice)


def _event(notice: Notice) -> str:
    return f"event: {notice.method}\ndata: {text_of(notice)}\n\n"


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The stream", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    401: described(Acted)[401],
    429: described(Acted)[429],
}
