"""The JSON API of the library: reads, acts, events. Shapes, versions and keys as on the socket.

Must never take a path: a request names ids and months, and roots by their place in `/api/status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from dedupd.client.connection import DaemonRefused
from dedupd.client.daemon_launcher import DaemonLauncher
from dedupd.errors import NoDaemon
from dedupd.protocol.failure import NOT_FOUND
from dedupd.protocol.notices import Notice
from dedupd.protocol.requests import (
    Approve,
    Exchange,
    ForgetLessons,
    GetGroups,
    GetMoves,
    GroupRef,
    Judge,
    Reject,
    Tune,
    Undo,
)
from dedupd.protocol.requests import (
    Request as Question,
)
from dedupd.protocol.results import Acted, Confirmed, GroupsPage, LessonsPage, MonthsPage, MovesPage, Tuned
from dedupd.protocol.views import GroupDetail, SettingsView, StatusView
from dedupd.web.bodies import answer, body_of, text_of
from dedupd.web.contract import (
    Back,
    Keep,
    Many,
    Nothing,
    Seen,
    Swap,
    Tried,
    Unlearn,
    Verdict,
    Yes,
    described,
    takes,
)
from dedupd.web.daemon_connection import DaemonConnection
from dedupd.web.problems import Problem
from dedupd.web.reading import LibraryReading

R = TypeVar("R", bound=msgspec.Struct)
LARGEST_ID = (1 << 63) - 1
PAGE = 500
EVENT_STREAMS = 32
ALIVE_SECONDS = 15.0
"""Seconds between two messages of a stream, at most: otherwise nobody would notice a lost connection."""

_RESULTS: dict[type[msgspec.Struct], type[msgspec.Struct]] = {Tried: Tuned, Nothing: Confirmed}
"""Body of a POST -> its answer, when that is not Acted."""

Id = Annotated[int, Path(ge=0, le=LARGEST_ID)]
Offset = Annotated[int, Query(ge=0, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
MonthName = Annotated[str | None, Query(pattern=r"^[0-9]{4}-[0-9]{2}$")]
Relation = Literal["exact", "copy", "burst", "similar"]
State = Literal["proposed", "review", "settled", "kept"]


@dataclass(frozen=True, slots=True)
class LibraryRoutes:
    """The routes for the library of one daemon."""

    reading: LibraryReading
    connection: DaemonConnection
    launcher: DaemonLauncher

    def router(self) -> APIRouter:
        routes = APIRouter(prefix="/api")
        for path, read, result, errors in (
            ("/status", self.status, StatusView, ()),
            ("/months", self.months, MonthsPage, (422,)),
            ("/groups", self.groups, GroupsPage, (404, 422)),
            ("/groups/{id}", self.group, GroupDetail, (404, 422)),
            ("/moves", self.moves, MovesPage, (422,)),
            ("/lessons", self.lessons, LessonsPage, (422,)),
            ("/settings", self.settings, SettingsView, ()),
        ):
            routes.add_api_route(
                path, read, response_class=Response, responses=described(result, 409, *errors)
            )
        for path, act, body in (
            ("/groups/{id}/approve", self.approve, Yes),
            ("/groups/{id}/reject", self.reject, Yes),
            ("/groups/{id}/keep", self.keep, Keep),
            ("/groups/{id}/judge", self.judge, Verdict),
            ("/approve", self.approve_many, Many),
            ("/exchange", self.exchange, Swap),
            ("/undo", self.undo, Back),
            ("/lessons/forget", self.forget, Unlearn),
            ("/tune", self.tune, Tried),
            ("/start", self.start, Nothing),
        ):
            result = _RESULTS.get(body, Acted)
            routes.add_api_route(
                path, act, methods=["POST"], response_class=Response, openapi_extra=takes(body),
                responses=described(result, 404, 409, 413, 415, 422),
            )  # fmt: skip
        routes.add_api_route("/events", self.events, response_class=StreamingResponse, responses=_EVENTS)
        return routes

    # ---- reads

    async def status(self) -> Response:
        """What the daemon does, and what waits for a person."""
        return answer(await self.reading.status())

    async def months(self, offset: Offset = 0) -> Response:
        """The months, newest first."""
        return answer(await self.reading.months(offset))

    async def groups(
        self, month: MonthName = None, root: Annotated[int | None, Query(ge=0, le=LARGEST_ID)] = None,
        relation: Relation | None = None, state: State | None = None, offset: Offset = 0, limit: Limit = 200,
    ) -> Response:  # fmt: skip
        """Groups of duplicates, newest month first. `root`: the place of a root in the status's `roots`, from
        0."""
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
        """The lessons that people gave."""
        return answer(await self.reading.lessons(offset))

    async def settings(self) -> Response:
        """The settings that decide what moves, as they are in force."""
        return answer(await self.reading.settings())

    async def tune(self, request: Request) -> Response:
        """What other settings would change, counted in files. Changes nothing."""
        tried = await body_of(request, Tried)
        asked = Tune(tiers=tried.tiers, threshold=tried.threshold, keep_policy=tried.keep_policy)
        return answer(await self._of_daemon(asked, Tuned))

    async def start(self, request: Request) -> Response:
        """Start a daemon, when none answers; it keeps running when this server ends. Answered when the daemon
        answers or has ended."""
        await body_of(request, Nothing)
        if not self.connection.up:
            if not self.launcher.command:
                raise Problem(
                    409, "refused", "no daemon can be started from here: start `dedupd run` yourself"
                )
            self.connection.retry_often()
            if why := await self.launcher.start(until=lambda: self.connection.up):
                raise Problem(409, "no_daemon", why)
        return answer(Confirmed(message="a daemon runs"))

    # ---- acts

    async def approve(self, id: Id, request: Request) -> Response:
        """Agree: the group's duplicates and review members move."""
        yes = await body_of(request, Yes)
        return await self._act(Approve(groups=[GroupRef(id=id, version=yes.version)], key=yes.key))

    async def approve_many(self, request: Request) -> Response:
        """Agree to many groups at once, in one batch."""
        many = await body_of(request, Many)
        if bool(many.groups) == many.all:
            raise Problem(422, "invalid", "say what to approve: groups, or all")
        return await self._act(Approve(groups=_refs(many.groups), all=many.all, key=many.key))

    async def exchange(self, request: Request) -> Response:
        """Files in duplicates/ that hold more than their keeper move back, and the keeper moves in their
        place."""
        swap = await body_of(request, Swap)
        return await self._act(Exchange(groups=_refs(swap.groups), key=swap.key))

    async def reject(self, id: Id, request: Request) -> Response:
        """The members are not duplicates, for ever. Moved members move back."""
        no = await body_of(request, Yes)
        return await self._act(Reject(groups=[GroupRef(id=id, version=no.version)], key=no.key))

    async def keep(self, id: Id, request: Request) -> Response:
        """The members are duplicates, but stay where they are."""
        body = await body_of(request, Keep)
        files = await self._waiting(id) if body.files is None else body.files
        return await self._act(Judge(group=GroupRef(id=id, version=body.version), keep=files, key=body.key))

    async def judge(self, id: Id, request: Request) -> Response:
        """A verdict for each picture."""
        body = await body_of(request, Verdict)
        return await self._act(
            Judge(
                group=GroupRef(id=id, version=body.version), keeper=body.keeper, move=body.move,
                different=body.different, keep=body.keep, key=body.key,
            )
        )  # fmt: skip

    async def undo(self, request: Request) -> Response:
        """Move files back."""
        body = await body_of(request, Back)
        ways = (
            bool(body.moves or body.batches), body.group is not None, body.month is not None, body.last, body.all,
            body.held_changed,
        )  # fmt: skip
        if sum(ways) != 1:
            said = "say what to put back: moves or batches, group, month, last, all or held_changed"
            raise Problem(422, "invalid", said)
        return await self._act(
            Undo(
                moves=body.moves, batches=body.batches, group=body.group, month=body.month, last=body.last,
                all=body.all, held_changed=body.held_changed, key=body.key,
            )
        )  # fmt: skip

    async def forget(self, request: Request) -> Response:
        """Forget lessons: what they kept apart may be proposed again."""
        forget = await body_of(request, Unlearn)
        return await self._act(ForgetLessons(lessons=forget.lessons, key=forget.key))

    async def _act(self, request: Question) -> Response:
        try:
            return answer(await self._of_daemon(request, Acted))
        finally:
            self.reading.forget_groups()

    async def _of_daemon(self, request: Question, kind: type[R]) -> R:
        """Done by the daemon, however long it takes; it goes on when the browser leaves."""
        try:
            return await self.connection.act(request, kind)
        except NoDaemon as error:
            raise Problem(409, "no_daemon", f"{error}: only a running daemon does that") from None

    async def _waiting(self, id: int) -> list[int]:
        """The members that have not moved. A missing group has none: the daemon knows whether the key was
        used before."""
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
        """Changes as server-sent events: the socket's notices, and `line` when the daemon comes or goes."""
        if self.connection.listeners >= EVENT_STREAMS:
            raise Problem(429, "busy", f"{EVENT_STREAMS} pages follow already: close one")
        return StreamingResponse(self._told(), media_type="text/event-stream")

    async def _told(self) -> AsyncGenerator[str]:
        with self.connection.listen() as listener:
            while True:
                try:
                    async with asyncio.timeout(ALIVE_SECONDS):
                        notice = await listener.get()
                except TimeoutError:
                    yield ": still here\n\n"
                else:
                    yield _event(notice)


def _refs(groups: list[Seen]) -> list[GroupRef]:
    return [GroupRef(id=group.id, version=group.version) for group in groups]


def _event(notice: Notice) -> str:
    return f"event: {notice.method}\ndata: {text_of(notice)}\n\n"


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The stream", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
    401: described(Acted)[401],
    429: described(Acted)[429],
}
