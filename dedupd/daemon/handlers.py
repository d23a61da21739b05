"""One function a request. Reads come from the read-only view; acts go through the engine, in order.

Must never touch a file or the ledger's writer itself.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from dedupd import __version__
from dedupd.core.month import Month
from dedupd.core.records import GroupRow
from dedupd.daemon.engine import Urgency
from dedupd.daemon.page_fit import fitting, page, shortened, shortened_detail, told
from dedupd.daemon.server import Failed, Unlike, failure_of
from dedupd.errors import DedupdError
from dedupd.library import Library, LibraryView, Moved, ScanOutcome
from dedupd.pipeline.slices import Stop
from dedupd.pipeline.tune import tune
from dedupd.protocol.messages import (
    INVALID_PARAMS,
    MANY_IDS,
    NOT_FOUND,
    PROTOCOL,
    REFUSED,
    STALE,
    Acted,
    Approve,
    Calibrate,
    Done,
    DropModel,
    Exchange,
    Failure,
    Forget,
    GetGroup,
    GetGroups,
    GetLessons,
    GetMonths,
    GetMoves,
    GetSettings,
    GetStatus,
    GetThumbnails,
    GroupDetail,
    GroupRef,
    GroupsPage,
    Hello,
    Judge,
    Lessons,
    Months,
    MovesPage,
    Pause,
    Prepared,
    PrepareModel,
    Reject,
    Request,
    Resolve,
    Resolved,
    Resume,
    Resync,
    SayHello,
    Scan,
    ScanNow,
    SettingsView,
    StatusView,
    SwitchModel,
    Thumbnails,
    Tune,
    Tuned,
    Undo,
)  # fmt: skip

if TYPE_CHECKING:
    from dedupd.daemon.life import Daemon

T = TypeVar("T")
Act = Callable[[Library, Stop], Moved]
"""What a person asked for, that lets others in at its safe points."""
REMEMBERED_KEYS = 512
"""Idempotency keys whose answers are kept: a request sent again is answered again, not done again."""
PAGE = 500
MANY_BATCHES = 2_000
SLICE_SECONDS = 3.0
"""Another model is prepared so long at a time: passes and people come in between."""


class Handlers:
    """Answers requests for one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._tuner = ThreadPoolExecutor(1, thread_name_prefix="tuner")
        self._view: LibraryView | None = None
        self._keys: OrderedDict[str, asyncio.Task[Acted | Failure]] = OrderedDict()

    async def answer(self, request: Request) -> msgspec.Struct:
        """The result of a request; raises Failed or another DedupdError with one sentence."""
        name = "_" + request.method.replace("-", "_")
        return await getattr(self, name)(request)

    def close(self) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._tuner.shutdown(wait=False, cancel_futures=True)

    async def _read(self, question: Callable[[LibraryView], T]) -> T:
        def ask() -> T:
            if self._view is None:
                self._view = LibraryView(self._daemon.settings, self._daemon.places)
            self._view.settings = self._daemon.settings
            return question(self._view)

        return await asyncio.get_running_loop().run_in_executor(self._reader, ask)

    async def _act(
        self,
        name: str,
        act: Callable[[Library], T],
        urgency: Urgency = Urgency.PERSON,
        *,
        alone: bool = False,
    ) -> T:
        return await asyncio.wrap_future(self._daemon.engine.submit(name, act, urgency, alone=alone))

    async def _once(self, key: str, act: Callable[[], Awaitable[Acted]]) -> Acted:
        """Do it, or answer as the first time when the key was seen. A client that leaves does not stop it."""
        task = self._keys.get(key)
        if task is None:
            task = asyncio.create_task(_outcome(act))
            if key:
                self._keys[key] = task
                while len(self._keys) > REMEMBERED_KEYS:
                    self._keys.popitem(last=False)
        outcome = await asyncio.shield(task)
        if isinstance(outcome, Failure):
            raise Failed(outcome.code, outcome.message, outcome.data)
        return outcome

    # ---- reading

    async def _hello(self, request: SayHello) -> Hello:
        if request.protocol != PROTOCOL:
            raise Unlike(
                REFUSED,
                f"this daemon speaks protocol {PROTOCOL}, you speak {request.protocol}: "
                "restart it, or use the dedupd that it was started from",
            )
        return Hello(protocol=PROTOCOL, version=__version__, pid=self._daemon.pid)

    async def _status(self, request: GetStatus) -> StatusView:
        known = self._daemon.attention()
        return self._daemon.complete(await self._read(lambda view: view.status("running", known)))

    async def _months(self, request: GetMonths) -> Months:
        months, after = page(await self._read(lambda view: view.reviewer.months()), request.offset)
        return Months(months=months, next_offset=after)

    async def _groups(self, request: GetGroups) -> GroupsPage:
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

    async def _group(self, request: GetGroup) -> GroupDetail:
        def detail(view: LibraryView) -> GroupDetail | None:
            row = view.ledger.judgement.group(request.id)
            return None if row is None else view.reviewer.detail(row)

        found = await self._read(detail)
        if found is None:
            raise Failed(NOT_FOUND, f"there is no group {request.id} any more")
        return shortened_detail(found)

    async def _moves(self, request: GetMoves) -> MovesPage:
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

    async def _lessons(self, request: GetLessons) -> Lessons:
        lessons, after = page(await self._read(lambda view: view.reviewer.lessons()), request.offset)
        return Lessons(lessons=lessons, next_offset=after)

    async def _settings(self, request: GetSettings) -> SettingsView:
        settings = self._daemon.settings
        return SettingsView(
            tiers={r: getattr(settings.tiers, r) for r in ("exact", "copy", "burst", "similar")},
            keep_policy=settings.keep_policy, threshold=settings.threshold,
            model=await self._read(lambda view: view.ledger.get("model")),
            quiet_seconds=settings.schedule.quiet_seconds, interval_minutes=settings.schedule.interval_minutes,
            nightly=settings.schedule.nightly, source=str(settings.source or ""),
        )  # fmt: skip

    async def _tune(self, request: Tune) -> Tuned:
        """In a thread of its own: a replay of a large library takes seconds, in which others are answered."""
        now, where = self._daemon.settings, self._daemon.places
        if request.tiers.get("similar") == "move" or not 0.0 < (request.threshold or 1.0) <= 1.0:
            raise Failed(
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

    async def _resolve(self, request: Resolve) -> Resolved:
        return await self._read(lambda view: view.resolve(request.path))

    async def _thumbnails(self, request: GetThumbnails) -> Thumbnails:
        made = await self._act(
            "thumbnails", lambda library: library.thumbnails(request.files, request.side), Urgency.GLANCE
        )
        paths = list(made.items())
        return Thumbnails(paths=dict(paths[: fitting(paths)]))

    # ---- acting

    async def _pause(self, request: Pause) -> Done:
        self._daemon.paused = True  # what runs now ends at its next safe point
        await self._act("pause", lambda library: library.ledger.put("paused", "yes"), Urgency.GLANCE)
        self._daemon.tell_status()
        return Done(message="paused: nothing is indexed, clustered or moved until `dedupd resume`")

    async def _resume(self, request: Resume) -> Done:
        await self._act("resume", lambda library: library.ledger.put("paused", "no"), Urgency.GLANCE)
        self._daemon.paused = False
        self._daemon.look_everywhere()
        self._daemon.tell_status()
        return Done(message="going on")

    async def _scan_now(self, request: ScanNow) -> Done:
        if self._daemon.paused:
            raise Failed(REFUSED, "the daemon is paused: `dedupd resume` first")
        self._daemon.look_everywhere()
        return Done(message="looking at every root now")

    async def _scan(self, request: Scan) -> Acted:
        if self._daemon.paused:
            raise Failed(REFUSED, "the daemon is paused: `dedupd resume` first")
        configured = {str(root) for root in self._daemon.settings.roots}
        if set(request.roots) != configured:
            raise Failed(
                REFUSED,
                f"a daemon is running and looks after {', '.join(sorted(configured))}: scan all of that, or stop it first",
            )
        await self._check_settings(request.settings)
        months = [_month(request.month)] if request.month else None
        left = threading.Event()

        def scan(library: Library) -> ScanOutcome:
            return self._daemon.scan(
                library, months=months, dry_run=request.dry_run, yes=request.yes, left=left.is_set
            )

        try:
            outcome = await self._act("scan", scan, Urgency.SCAN, alone=True)
        finally:
            left.set()
        acted = _acted(outcome.moved)
        acted.waiting = outcome.waiting
        lines = [m.line for m in outcome.months if m.moved or m.groups]
        acted.messages = told([*lines, *acted.messages, *outcome.problems])
        return acted

    async def _check_settings(self, theirs: str | None) -> None:
        await self._daemon.catch_up()
        if theirs not in (None, self._daemon.settings.decisive):
            raise Failed(
                REFUSED,
                "a daemon is running and follows other settings: leave out what differs, or write it into its config.toml",
            )

    async def _prepare_model(self, request: PrepareModel) -> Prepared:
        await self._check_settings(request.settings)

        def prepare(library: Library, reached: Prepared, **slice: Any) -> None:
            reached.ready = library.prepare_model(request.model, **slice)

        return await self._a_slice("prepare model", prepare)

    async def _calibrate(self, request: Calibrate) -> Prepared:
        def calibrate(library: Library, reached: Prepared, **slice: Any) -> None:
            found = library.calibrate(**slice)
            if found is not None:
                reached.ready, reached.thresholds = True, found.to_json()

        reached = await self._a_slice("calibrate", calibrate)
        if reached.ready:
            self._daemon.regroup()
        return reached

    async def _a_slice(self, name: str, act: Callable[..., None]) -> Prepared:
        """Some seconds of long work that nobody waits for but its client, who asks for the next slice."""
        if self._daemon.paused:
            raise Failed(REFUSED, "the daemon is paused: `dedupd resume` first")
        reached = Prepared(ready=False)

        def note(phase: str, done: int, total: int) -> None:
            reached.phase, reached.done, reached.total = phase, done, total
            self._daemon.engine.report(phase, done, total)

        def work(library: Library) -> Prepared:
            end, daemon = time.monotonic() + SLICE_SECONDS, self._daemon
            act(library, reached, on_progress=note, stop=daemon.safe_points(lambda: time.monotonic() > end))
            return reached

        return await self._act(name, work, Urgency.SHADOW)

    async def _switch_model(self, request: SwitchModel) -> Done:
        def switch(library: Library) -> str:
            end = time.monotonic() + SLICE_SECONDS
            if not library.prepare_model(request.model, stop=lambda *, photos=True: time.monotonic() > end):
                raise Failed(REFUSED, f"{request.model} has not seen everything yet: prepare it first")
            return library.switch_model(request.model, on_progress=self._daemon.engine.report)

        model = await self._act("switch model", switch, alone=True)
        self._daemon.broadcast.send(Resync())
        self._daemon.regroup()
        return Done(message=f"{model or 'hashes'} is in force")

    async def _drop_model(self, request: DropModel) -> Done:
        dropped = await self._act("drop model", lambda library: library.drop_model(), alone=True)
        return Done(message=f"{dropped} is forgotten" if dropped else "")

    async def _approve(self, request: Approve) -> Acted:
        return await self._once(
            request.key, lambda: self._judged("approve", request.groups, self._approving(request))
        )

    def _approving(self, request: Approve) -> Act:
        told, ids = self._daemon.engine.report, [g.id for g in request.groups]
        if request.all:
            return lambda library, stop: library.approve_all(on_progress=told, stop=stop)
        return lambda library, stop: library.approve(ids, on_progress=told, stop=stop)

    async def _exchange(self, request: Exchange) -> Acted:
        ids = [g.id for g in request.groups] or None
        return await self._once(
            request.key,
            lambda: self._judged(
                "exchange", request.groups, lambda library, stop: library.exchange(ids, stop=stop)
            ),
        )

    async def _reject(self, request: Reject) -> Acted:
        ids = [g.id for g in request.groups]
        return await self._once(
            request.key,
            lambda: self._judged(
                "reject", request.groups, lambda library, stop: library.reject(ids, stop=stop)
            ),
        )

    async def _judge(self, request: Judge) -> Acted:
        def judge(library: Library, stop: Stop) -> Moved:
            return library.judge(
                _checked(library, request.group), keeper=request.keeper, move=request.move,
                different=request.different, keep=request.keep,
            )  # fmt: skip

        return await self._once(request.key, lambda: self._judged("judge", [request.group], judge))

    async def _undo(self, request: Undo) -> Acted:
        def undo(library: Library, stop: Stop) -> Moved:
            moves = library.held(
                month=request.month, last=request.last, everything=request.all, group=request.group,
                ids=request.moves or None, batches=request.batches,
            )  # fmt: skip
            return library.undo(moves, on_progress=self._daemon.engine.report, stop=stop)

        return await self._once(request.key, lambda: self._judged("undo", [], undo))

    async def _forget(self, request: Forget) -> Acted:
        lessons = [*([] if request.lesson is None else [request.lesson]), *request.lessons]

        def forget(library: Library, stop: Stop) -> Moved:
            end = time.monotonic() + SLICE_SECONDS
            return library.forget(
                *lessons, stop=self._daemon.safe_points(lambda: time.monotonic() > end)
            )  # the pass that follows groups the rest

        return await self._once(request.key, lambda: self._judged("forget", [], forget))

    async def _judged(self, name: str, groups: Sequence[GroupRef], act: Act) -> Acted:
        """Run a person's act between two looks at the verdicts, so that the client can take this very act back."""

        def run(library: Library) -> tuple[Moved, list[int]]:
            for group in groups:
                _checked(library, group)
            stop = self._daemon.safe_points()
            moved, lessons = library.taught_by(lambda library: act(library, stop))
            self._daemon.after_moves(library, moved)
            return moved, lessons

        moved, lessons = await self._act(name, run)
        self._daemon.regroup()  # a verdict changes months; what it decided itself is done already
        return _acted(moved, lessons)


async def _outcome(act: Callable[[], Awaitable[Acted]]) -> Acted | Failure:
    """A refusal as what is answered: the error itself, kept with its key, would keep all of the request's ids."""
    try:
        return await act()
    except DedupdError as error:
        return failure_of(error)


def _next(offset: int, limit: int, total: int) -> int | None:
    """Where the next page begins; None behind the last."""
    end = max(0, offset) + limit
    return end if end < total else None


def _month(text: str) -> Month:
    try:
        return Month.parse(text)
    except ValueError as error:
        raise Failed(INVALID_PARAMS, str(error)) from None


def _checked(library: Library, ref: GroupRef) -> GroupRow:
    """The group as the client saw it. Raises Failed NOT_FOUND or STALE."""
    row = library.ledger.judgement.group(ref.id)
    if row is None:
        raise Failed(NOT_FOUND, f"there is no group {ref.id} any more")
    if ref.version is not None and ref.version != row.version:
        raise Failed(STALE, f"group {ref.id} changed since you saw it: look again")
    return row


def _acted(moved: Moved, lessons: Sequence[int] = ()) -> Acted:
    """What an act did. Ids without end are not listed; Undo knows the batches of moves."""
    acted = Acted(
        moved=moved.files, restored=moved.restored, waiting=moved.waiting, messages=list(moved.messages),
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
