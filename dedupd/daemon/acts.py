"""The requests that change something: one method each, named like the method in the protocol. The engine
carries them out in order.

Must never touch a file or write to the ledger itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from dedupd.core.month import Month
from dedupd.core.politeness import clock_time
from dedupd.core.records import GroupRow
from dedupd.daemon.engine import Urgency
from dedupd.daemon.page_fit import fitting, told
from dedupd.daemon.services import Services
from dedupd.daemon.socket_server import RequestError, failure_of
from dedupd.errors import DedupdError
from dedupd.library import Library, Moved, ScanOutcome
from dedupd.pipeline import pausing
from dedupd.pipeline.slices import Stop
from dedupd.pipeline.undo import undo
from dedupd.protocol.failure import INVALID_PARAMS, NOT_FOUND, REFUSED, STALE, Failure
from dedupd.protocol.limits import MANY_IDS
from dedupd.protocol.notices import Resync
from dedupd.protocol.requests import (
    Approve,
    Calibrate,
    DropModel,
    Exchange,
    ForgetLessons,
    GetThumbnails,
    GroupRef,
    Judge,
    Pause,
    PrepareModel,
    Reject,
    Resume,
    Scan,
    ScanNow,
    SwitchModel,
    Undo,
)
from dedupd.protocol.results import Acted, Confirmed, Preparation, Thumbnails

T = TypeVar("T")
Act = Callable[[Library, Stop], Moved]
"""What a person asked for. It gives way to more urgent work at its safe points."""
REMEMBERED_KEYS = 512
"""Idempotency keys whose answers are kept: a request that is sent again gets the first answer, and is not done again."""
LONGEST_PAUSE = 366 * 86400.0
"""Seconds that a pause may last: a year."""
MANY_BATCHES = 2_000
SLICE_SECONDS = 3.0
"""Seconds for which another model is prepared at a time; passes and people come in between."""


class Acts:
    """Carries out requests. Call it on the event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._keys: OrderedDict[str, asyncio.Task[Acted | Failure]] = OrderedDict()

    async def _act(
        self,
        name: str,
        act: Callable[[Library], T],
        urgency: Urgency = Urgency.PERSON,
        *,
        alone: bool = False,
    ) -> T:
        return await asyncio.wrap_future(self._services.engine.submit(name, act, urgency, alone=alone))

    async def _once(self, key: str, act: Callable[[], Awaitable[Acted]]) -> Acted:
        """Carry it out, or give the first answer again when the key was seen before. It goes on when the
        client leaves."""
        task = self._keys.get(key)
        if task is None:
            task = asyncio.create_task(_outcome(act))
            if key:
                self._keys[key] = task
                while len(self._keys) > REMEMBERED_KEYS:
                    self._keys.popitem(last=False)
        outcome = await asyncio.shield(task)
        if isinstance(outcome, Failure):
            raise RequestError(outcome.code, outcome.message, outcome.data)
        return outcome

    async def thumbnails(self, request: GetThumbnails) -> Thumbnails:
        made = await self._act(
            "thumbnails", lambda library: library.thumbnails(request.files, request.side), Urgency.GLANCE
        )
        paths = list(made.items())
        return Thumbnails(paths=dict(paths[: fitting(paths)]))

    async def pause(self, request: Pause) -> Confirmed:
        seconds = request.seconds
        if seconds is not None and not 0 < seconds <= LONGEST_PAUSE:
            raise RequestError(
                REFUSED,
                "a pause lasts up to 366 days: give it a length such as 2h, or none to end it yourself",
            )
        now = time.time()
        until = None if seconds is None else now + seconds
        self._services.jobs.pause(until, seconds)
        await self._act("pause", lambda library: pausing.pause(library.ledger, now, seconds), Urgency.GLANCE)
        self._services.send_status()
        end = (
            "until `dedupd resume`"
            if until is None
            else f"until {clock_time(until, now)}, or `dedupd resume`"
        )
        return Confirmed(message=f"paused: nothing is indexed, clustered or moved {end}")

    async def resume(self, request: Resume) -> Confirmed:
        await self._act("resume", lambda library: pausing.resume(library.ledger), Urgency.GLANCE)
        self._services.jobs.resume()
        return Confirmed(message="going on")

    async def scan_now(self, request: ScanNow) -> Confirmed:
        if self._services.jobs.paused:
            raise RequestError(REFUSED, "the daemon is paused: `dedupd resume` first")
        self._services.jobs.reconcile_now()
        return Confirmed(message="looking at every root now")

    async def scan(self, request: Scan) -> Acted:
        if self._services.jobs.paused:
            raise RequestError(REFUSED, "the daemon is paused: `dedupd resume` first")
        configured = {str(root) for root in self._services.config.settings.roots}
        if set(request.roots) != configured:
            raise RequestError(
                REFUSED,
                f"a daemon is running and looks after {', '.join(sorted(configured))}: scan all of that, or stop it first",
            )
        await self._check_settings(request.settings)
        months = [_month(request.month)] if request.month else None
        left = threading.Event()

        def scan(library: Library) -> ScanOutcome:
            return self._services.jobs.scan(
                library, months=months, dry_run=request.dry_run, yes=request.yes, left=left.is_set
            )

        try:
            outcome = await self._act("scan", scan, Urgency.SCAN, alone=True)
        finally:
            left.set()
        acted = acted_by(outcome.moved)
        acted.waiting = outcome.waiting
        lines = [m.line for m in outcome.months if m.moved or m.found]
        acted.messages = told([*lines, *acted.messages, *outcome.problems])
        return acted

    async def _check_settings(self, theirs: str | None) -> None:
        await self._services.config.catch_up()
        if theirs not in (None, self._services.config.settings.decisive):
            raise RequestError(
                REFUSED,
                "a daemon is running and follows other settings: leave out what differs, or write it into its config.toml",
            )

    async def prepare_model(self, request: PrepareModel) -> Preparation:
        await self._check_settings(request.settings)

        def prepare(library: Library, reached: Preparation, **slice: Any) -> None:
            reached.ready = library.models.prepare(request.model, **slice)

        return await self._slice_of("prepare model", prepare)

    async def calibrate(self, request: Calibrate) -> Preparation:
        def calibrate(library: Library, reached: Preparation, **slice: Any) -> None:
            found = library.models.calibrate(**slice)
            if found is not None:
                reached.ready, reached.thresholds = True, found.to_json()

        reached = await self._slice_of("calibrate", calibrate)
        if reached.ready:
            self._services.jobs.regroup()
        return reached

    async def _slice_of(self, name: str, act: Callable[..., None]) -> Preparation:
        """Some seconds of long work for which only its client waits; the client then asks for the next slice."""
        if self._services.jobs.paused:
            raise RequestError(REFUSED, "the daemon is paused: `dedupd resume` first")
        reached = Preparation(ready=False)

        def note(phase: str, done: int, total: int) -> None:
            reached.phase, reached.done, reached.total = phase, done, total
            self._services.engine.report(phase, done, total)

        def work(library: Library) -> Preparation:
            end = time.monotonic() + SLICE_SECONDS
            stop = self._services.jobs.safe_points(lambda: time.monotonic() > end, asked=True)
            act(library, reached, on_progress=note, stop=stop)
            return reached

        return await self._act(name, work, Urgency.SHADOW)

    async def switch_model(self, request: SwitchModel) -> Confirmed:
        def switch(library: Library) -> str:
            end = time.monotonic() + SLICE_SECONDS
            if not library.models.prepare(request.model, stop=lambda: time.monotonic() > end):
                raise RequestError(REFUSED, f"{request.model} has not seen everything yet: prepare it first")
            return library.models.switch(request.model, on_progress=self._services.engine.report)

        model = await self._act("switch model", switch, alone=True)
        self._services.send(Resync())
        self._services.jobs.regroup()
        return Confirmed(message=f"{model or 'hashes'} is in force")

    async def drop_model(self, request: DropModel) -> Confirmed:
        dropped = await self._act("drop model", lambda library: library.models.drop(), alone=True)
        return Confirmed(message=f"{dropped} is forgotten" if dropped else "")

    async def approve(self, request: Approve) -> Acted:
        return await self._once(
            request.key, lambda: self._judged("approve", request.groups, self._approving(request))
        )

    def _approving(self, request: Approve) -> Act:
        told, ids = self._services.engine.report, [g.id for g in request.groups]
        if request.all:
            return lambda library, stop: library.verdicts.approve_all(on_progress=told, stop=stop)
        return lambda library, stop: library.verdicts.approve(ids, on_progress=told, stop=stop)

    async def exchange(self, request: Exchange) -> Acted:
        ids = [g.id for g in request.groups] or None
        return await self._once(
            request.key,
            lambda: self._judged(
                "exchange", request.groups, lambda library, stop: library.verdicts.exchange(ids, stop=stop)
            ),
        )

    async def reject(self, request: Reject) -> Acted:
        ids = [g.id for g in request.groups]
        return await self._once(
            request.key,
            lambda: self._judged(
                "reject", request.groups, lambda library, stop: library.verdicts.reject(ids, stop=stop)
            ),
        )

    async def judge(self, request: Judge) -> Acted:
        def judge(library: Library, stop: Stop) -> Moved:
            return library.verdicts.judge(
                _checked(library, request.group), keeper=request.keeper, move=request.move,
                different=request.different, keep=request.keep,
            )  # fmt: skip

        return await self._once(request.key, lambda: self._judged("judge", [request.group], judge))

    async def undo(self, request: Undo) -> Acted:
        def act(library: Library, stop: Stop) -> Moved:
            return undo(request, library.movement, library.purging, self._services.engine.report, stop)

        return await self._once(request.key, lambda: self._judged("undo", [], act))

    async def forget(self, request: ForgetLessons) -> Acted:
        lessons = [*([] if request.lesson is None else [request.lesson]), *request.lessons]

        def forget(library: Library, stop: Stop) -> Moved:
            end = time.monotonic() + SLICE_SECONDS
            return library.verdicts.forget(
                *lessons, stop=self._services.jobs.safe_points(lambda: time.monotonic() > end, asked=True)
            )  # the pass that follows groups the rest

        return await self._once(request.key, lambda: self._judged("forget", [], forget))

    async def _judged(self, name: str, groups: Sequence[GroupRef], act: Act) -> Acted:
        """Carry out an act between two readings of the lessons, so that the client can undo exactly this act."""

        def run(library: Library) -> tuple[Moved, list[int]]:
            for group in groups:
                _checked(library, group)
            stop = self._services.jobs.safe_points(asked=True)
            moved, lessons = library.verdicts.recording(lambda: act(library, stop))
            self._services.jobs.after_moves(library, moved)
            return moved, lessons

        moved, lessons = await self._act(name, run)
        self._services.jobs.regroup()  # a lesson changes months; what it decided itself is done already
        return acted_by(moved, lessons)


async def _outcome(act: Callable[[], Awaitable[Acted]]) -> Acted | Failure:
    """A refusal as the answer. Kept with its key, the error itself would keep all ids of the request in
    memory."""
    try:
        return await act()
    except DedupdError as error:
        return failure_of(error)


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError as error:
        raise RequestError(INVALID_PARAMS, str(error)) from None


def _checked(library: Library, ref: GroupRef) -> GroupRow:
    """The group, in the version the client saw. Raises RequestError NOT_FOUND or STALE."""
    row = library.ledger.groups.get(ref.id)
    if row is None:
        raise RequestError(NOT_FOUND, f"there is no group {ref.id} any more")
    if ref.version is not None and ref.version != row.version:
        raise RequestError(STALE, f"group {ref.id} changed since you saw it: look again")
    return row


def acted_by(moved: Moved, lessons: Sequence[int] = ()) -> Acted:
    """The result of an act, as it is sent to the client. Too many ids are not listed; Undo then takes the
    batches of moves."""
    acted = Acted(
        moved=moved.files, restored=moved.undone, waiting=moved.waiting, messages=list(moved.messages),
        moves=[m.id for m in moved.moves], lessons=list(lessons), stayed=moved.stayed,
    )  # fmt: skip
    if len(acted.moves) > MANY_IDS:
        acted.moves, acted.batches = [], list(dict.fromkeys(m.batch for m in moved.moves))
    if len(acted.batches) > MANY_BATCHES:
        acted.batches = []
        acted.messages.append(
            "too many moves to take back in one step: `dedupd undo --month` does it by month"
        )
    if len(acted.lessons) > MANY_IDS:
        acted.lessons = []
        acted.messages.append(
            f"{len(lessons)} verdicts were stored: the history in `dedupd review` lists them"
        )
    acted.messages = told(acted.messages)
    return acted
