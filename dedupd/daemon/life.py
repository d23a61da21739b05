"""The daemon: lock, recover, serve, READY, watch; reversed at the end.

Owns the order of its life. Must never import torch, lancedb, pyarrow, Pillow or numpy: the worker has those.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from dedupd.adapters.fs.lock import Locks, hold
from dedupd.adapters.fs.probing import kind_of
from dedupd.adapters.fs.walk import looked_at
from dedupd.adapters.fs.watcher import Watcher
from dedupd.config import Places, Settings
from dedupd.config.following import LEFT_ALONE_SECONDS, ConfigFile
from dedupd.core.abilities import changed_elsewhere
from dedupd.core.month import Month
from dedupd.core.records import RootRow
from dedupd.daemon.broadcast import Broadcast
from dedupd.daemon.engine import Engine, Urgency
from dedupd.daemon.handlers import Handlers
from dedupd.daemon.heartbeat import Heartbeat
from dedupd.daemon.schedule import Schedule
from dedupd.daemon.server import Server
from dedupd.daemon.socket_place import record_socket
from dedupd.errors import DedupdError, ExitCode, Refusal, UsageError
from dedupd.library import Library, Moved, ScanOutcome
from dedupd.pipeline.reread import Reread
from dedupd.pipeline.slices import Stop
from dedupd.protocol.messages import (
    Attention,
    MonthChanged,
    Notice,
    Progressed,
    ProgressView,
    StatusChanged,
    StatusView,
)  # fmt: skip
from dedupd.protocol.messages import Moved as MovedNotice

log = logging.getLogger("dedupd")
STOP_SECONDS = 8.0
"""SIGTERM ends the daemon within ten seconds; what is half done is finished by recovery."""
RESCUES_TOLD = 20
BUSY_SECONDS = 30.0
"""A file that another program writes is asked about again after this long."""
UNWATCHED_SECONDS = 600.0
"""How often a root is looked at of which not every folder is watched."""
HINT_SECONDS, HINT_LIMIT_SECONDS = 1.0, 5.0
"""Changed folders are looked at this long after the last event, and not later than the limit after the first."""


def run(
    settings: Settings, places: Places, *, yes: bool = False, read: Callable[[], Settings] | None = None
) -> int:
    """Run in the foreground until SIGTERM or SIGINT. `yes` consents to the first moves of each root (P12).

    `read` reads the settings again when config.toml was changed; without it they stay. Raises UsageError, AlreadyRunning, StateError.
    """
    if not settings.roots:
        raise UsageError(
            "no folder to watch: name one, as in `dedupd run ~/Pictures`, or set roots in config.toml"
        )
    with hold(places, settings.roots) as locks:
        return asyncio.run(Daemon(settings, places, locks, yes=yes, read=read).live())


class Daemon:
    """One run of the daemon. Everything here lives on the event loop; the library lives in the engine's thread."""

    def __init__(
        self, settings: Settings, places: Places, locks: Locks, *, yes: bool = False,
        read: Callable[[], Settings] | None = None,
    ) -> None:  # fmt: skip
        self.settings, self.places, self.pid = settings, places, os.getpid()
        self._config = ConfigFile(places.config, read or (lambda: settings))
        self._unfollowed: list[str] = []
        """What config.toml says and this daemon does not do."""
        self._following = asyncio.Lock()
        self.paused = False
        self._yes = yes
        self._locks = locks
        self._round: list[str] = []
        """What the last round of moves could not do, and what failed since."""
        self._unread: list[str] = []
        """Folders the last full look could not read."""
        self._unwatched: dict[str, str] = {}
        """Root -> why changes in it, or in some of its folders, are found by regular looks only; '' when all is watched."""
        self._looked: dict[str, float] = {}
        """Root -> when all of it was last looked at because it came, or because not all of it is watched."""
        self._rescued: deque[str] = deque(maxlen=RESCUES_TOLD)
        self._hints: dict[str, bool] = {}
        self._unswept: dict[str, bool] = {}
        """Changed folders whose keepers were not looked at since; written on the loop, read by the engine."""
        self._guard = threading.Lock()
        self._first_hint = 0.0
        self._stopped = asyncio.Event()
        self._roots: dict[str, tuple[int, int] | None] = {}
        self._asked = set[str]()
        """Roots that have not answered yet."""
        self._begun = False
        self._heart = Heartbeat.from_environment()
        self.broadcast = Broadcast()
        self.schedule = Schedule(settings.schedule)
        self.handlers = Handlers(self)
        self._server = Server(places.socket, self.handlers.answer, self.broadcast)
        self.engine = Engine(self._make_library, self._on_progress, self._on_error)

    # ---- life

    async def live(self) -> int:
        self._loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self._stop)
        self._library = await asyncio.to_thread(self.engine.start)
        self.paused = self._library.ledger.get("paused") == "yes"
        self.watcher = Watcher(self._on_folder_thread, self._on_loss_thread)
        await self._server.start()
        record_socket(self.places)
        self.schedule.start(
            recluster=self.recluster,
            reconcile=self.look_everywhere,
            sweep=self._sweep,
            roots=lambda: self._spawn(self._check_roots()),
            config=lambda: self._spawn(self._follow_config()),
        )
        self.watcher.start()
        first = asyncio.create_task(self._begin())
        self._heart.ready()
        log.info("ready: watching %s", ", ".join(str(r) for r in self.settings.roots))
        pulse = asyncio.create_task(self._beat())
        await self._stopped.wait()
        pulse.cancel()
        first.cancel()
        return await self._end()

    async def _begin(self) -> None:
        """Watch first, look then: what changes in between is told. A folder that does not answer delays nothing else."""
        try:
            await self._check_roots()
        finally:
            self.look_everywhere()
            self._begun = True

    async def _beat(self) -> None:
        """The watchdog hears of the pipeline's life, not only of the loop's."""
        while self._heart.interval is not None:
            if self.engine.alive():
                self._heart.alive()
            await asyncio.sleep(self._heart.interval)

    def _stop(self) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            deadline = threading.Timer(STOP_SECONDS, _leave)
            deadline.daemon = True
            deadline.start()

    async def _end(self) -> int:
        self._heart.stopping()
        log.info("stopping")
        self.schedule.stop()
        await self._server.stop()
        await asyncio.to_thread(self.watcher.stop)
        await asyncio.to_thread(self.engine.stop)
        self.handlers.close()
        return ExitCode.OK

    def _make_library(self) -> Library:
        library = Library(self.settings, self.places, locks=self._locks)
        library.recover()
        if self._yes:
            library.consent()
        return library

    # ---- from other threads

    def _on_progress(self, view: ProgressView | None) -> None:
        self._soon(self.broadcast.send, Progressed(progress=view))

    def _on_error(self, sentence: str) -> None:
        log.error("%s", sentence)
        self._soon(self._attention, sentence)

    def _on_folder_thread(self, folder: str, whole: bool) -> None:
        self._soon(self._hint, folder, whole)

    def _on_loss_thread(self, reason: str) -> None:
        log.warning("%s: looking everywhere", reason)
        self._soon(self.look_everywhere)

    def _soon(self, act: Callable[..., object], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *arguments)

    # ---- hints and passes

    def _hint(self, folder: str, whole: bool) -> None:
        """Something changed there. Our own moves end in duplicates/, a NAS makes thumbnails all day: nobody looks there."""
        root = _nearest(folder, map(str, self.settings.roots))
        if not root or not looked_at(_relative(folder, root), self._library.known.scope):
            return
        now = self._loop.time()
        if not self._hints:
            self._first_hint = now
        self._hints[folder] = self._hints.get(folder, False) or whole
        with self._guard:
            self._unswept[folder] = self._unswept.get(folder, False) or whole
        wait = min(HINT_SECONDS, max(0.0, self._first_hint + HINT_LIMIT_SECONDS - now))
        self.schedule.later("hints", wait, self._look_at_hints)

    def _look_at_hints(self) -> None:
        hints, self._hints = self._hints, {}
        if hints and not self.paused:
            self.engine.submit("look", lambda library: self._look(library, hints))

    def _look(self, library: Library, hints: dict[str, bool]) -> None:
        if self.paused:  # it waited meanwhile; resume looks everywhere
            return
        changed = False
        paths = [root.path for root in library.roots]
        for root in library.roots:
            if folders := _folders_of(root.path, hints, paths):
                changed |= library.reconcile_folders(root, folders).any
                library.movement.keepers.hint(root, folders)  # a sweep came before this look, perhaps
        if changed:
            library.ingest(on_progress=self.engine.report, stop=self.safe_points())
            self._soon(self.regroup)
            self._soon(self.tell_status)

    def look_everywhere(self) -> None:
        """Reconcile every root, then cluster what changed."""
        if not self.paused:
            self.engine.submit("reconcile", self._reconcile, once=True)

    def _reconcile(self, library: Library) -> None:
        if self.paused:
            return
        stop = self.safe_points()
        self._unread = library.reconcile(on_progress=self.engine.report, stop=stop).problems
        self._tell_rescued(library.rescue())
        if stop():  # not every folder was looked at
            self._soon(self.look_everywhere)
        else:
            self._pass(library)

    def regroup(self) -> None:
        """Cluster what changed, once it is quiet."""
        self.schedule.when_quiet(self.recluster)

    def recluster(self) -> None:
        if not self.paused:
            self.engine.submit("pass", self._pass, once=True)

    def _pass(self, library: Library) -> None:
        """Index, cluster, move, summarise. Ended before its end by what must be done alone, it is begun again after that."""
        if self.paused:
            return
        stop, told = self.safe_points(), self.engine.report
        library.ingest(on_progress=told, stop=stop)
        touched = library.cluster(on_progress=told, stop=stop)
        # Half a pass moves nothing: the first moves must be through as a whole before the breaker counts.
        moved = Moved() if stop() else library.move(on_progress=told, stop=stop)
        self.after_moves(library, moved, touched)
        if not stop() and library.look_again(on_progress=told, stop=stop):
            self._soon(self.tell_status)
        if stop():
            self._soon(self.recluster)

    def safe_points(self, ended: Callable[[], bool] = lambda: False) -> Stop:
        """The safe points of one long task: it ends at one of them when the engine, a pause or `ended` says so, for good."""
        return _SafePoints(self.engine, lambda paused=self.paused: (self.paused and not paused) or ended())

    def _retry(self) -> None:
        if not self.paused:
            self.engine.submit("retry", self._move_again, once=True)

    def _move_again(self, library: Library) -> None:
        if not self.paused:
            self.after_moves(library, library.move(stop=self.safe_points()))

    def scan(
        self, library: Library, *, months: Sequence[Month] | None, dry_run: bool, yes: bool,
        left: Callable[[], bool],
    ) -> ScanOutcome:  # fmt: skip
        """`dedupd scan` asked of the daemon: one full pass, answered with what it did. `left`: nobody waits for it.

        Raises DedupdError when it could not come to its end: what it leaves undone must not look done.
        """
        stop = self.safe_points(lambda: left() or self.paused)
        outcome = library.scan(
            months=months, dry_run=dry_run, yes=yes, on_progress=self.engine.report, stop=stop
        )
        self.after_moves(library, outcome.moved)
        if stop():  # what it began is not left half looked at and half compared
            self._soon(self.look_everywhere)
        if stop() and not left():
            raise DedupdError(
                f"the scan was ended before its end, when {outcome.moved.files} file(s) had moved: if dedupd is paused, "
                "`dedupd resume`; then scan again"
            )
        return outcome

    def _sweep(self) -> None:
        self.engine.submit("sweep", self._rescue, Urgency.RESCUE, once=True)

    def _rescue(self, library: Library) -> None:
        """Read a little again, then look at the keepers that events, doubts or the slow round name (P8).

        That they are there is looked at while paused, too.
        """
        again = Reread() if self.paused else library.reread(self.safe_points())
        with self._guard:
            hints, self._unswept = self._unswept, {}
        paths = [root.path for root in library.roots]
        folders = {root.id: _folders_of(root.path, hints, paths) for root in library.roots}
        heard = {root.id for root in library.roots if self._hears(root)}
        said = [*again.said, *library.sweep(folders, heard)]
        self._tell_rescued(said)
        if again.changed:
            self._soon(self.regroup)

    def _hears(self, root: RootRow) -> bool:
        """Whether events tell of every change in this root, those that other machines make on a server among them."""
        watched = self._roots.get(root.path) is not None and not self._unwatched.get(root.path)
        return watched and not (root.dev is not None and changed_elsewhere(kind_of(root.dev)))

    def _tell_rescued(self, said: Sequence[str]) -> None:
        for sentence in said:
            self._rescued.append(sentence)
            self._soon(self._send, Attention(message=sentence))
        if said:
            self._soon(self.regroup)

    def after_moves(self, library: Library, moved: Moved, touched: dict[int, set[str]] | None = None) -> None:
        """Summaries, notices and attention after anything moved or was grouped anew. In the engine's thread."""
        months = library.months_of(moved, touched or {})
        summaries = library.summarise(months)
        self._round = list(moved.messages)
        for summary in summaries:
            self._soon(self.broadcast.send, MonthChanged(root=summary.root, month=summary.month))
        if moved.files or moved.restored:
            month = summaries[0].month if summaries else ""
            self._soon(
                self.broadcast.send, MovedNotice(month=month, moved=moved.files, restored=moved.restored)
            )
            log.info("moved %d file(s), put back %d", moved.files, moved.restored)
        kinds = {m.refusal for m in moved.refused}
        if Refusal.NOT_QUIET in kinds:
            self._soon(self.schedule.later, "retry", self.settings.schedule.settle_seconds + 1, self._retry)
        elif Refusal.BUSY in kinds:
            self._soon(self.schedule.later, "retry", BUSY_SECONDS, self._retry)
        self._soon(self.tell_status)

    # ---- config.toml changes

    async def catch_up(self) -> None:
        """Follow config.toml as it is now before answering somebody who goes by it."""
        if self._config.pending:
            await self._follow_config()
            await asyncio.sleep(LEFT_ALONE_SECONDS)
        await self._follow_config()

    async def _follow_config(self) -> None:
        """Another config.toml is followed between two tasks of the pipeline; a broken one changes nothing."""
        async with self._following:
            before, said = self.settings, list[str]()
            try:
                wanted = self._config.changed()
                if wanted is None:
                    return
                if wanted != before:
                    act = partial(Library.follow, settings=wanted)
                    said = await asyncio.wrap_future(
                        self.engine.submit("follow", act, Urgency.PERSON, alone=True)
                    )
            except DedupdError as error:
                said = [f"the settings stay as they were: {error}"]
            self.settings, self._unfollowed = self._library.settings, said
        for sentence in said:
            log.warning("%s", sentence)
            self._send(Attention(message=sentence))
        if changes := self.settings.unlike(before):
            log.info("%s has changed: %s", self.places.config.name, "; ".join(changes))
            self.schedule.follow(self.settings.schedule)
            self.look_everywhere()
        self.tell_status()

    # ---- roots come and go

    async def _check_roots(self) -> None:
        """A root that vanished, came back or is another disk now: watch it anew and look; never believe absence.

        In threads, each folder by itself: the mount of a server that is gone answers nobody, for hours.
        """
        await asyncio.gather(*(self._check_root(str(root)) for root in self.settings.roots))

    async def _check_root(self, root: str) -> None:
        if root in self._asked:
            return
        self._asked.add(root)
        try:
            before = self._roots.get(root, (0, 0))
            now, unwatched = await asyncio.to_thread(self._watch_anew, root, before)
        finally:
            self._asked.discard(root)
        self._roots[root] = now
        was, self._unwatched[root] = self._unwatched.get(root, ""), unwatched
        if unwatched and not was:
            log.warning("%s", unwatched)
        if now == before:
            if was or unwatched:
                self._look_at_unwatched(root, heard=not unwatched)
            return
        self._looked[root] = self._loop.time()
        if before != (0, 0):
            self.look_everywhere()

    def _watch_anew(self, root: str, before: tuple[int, int] | None) -> tuple[tuple[int, int] | None, str]:
        """Which folder stands there now, watched as far as the system lets it; one sentence when not all of it is."""
        now = _identity(root)
        if now != before:
            self.watcher.unwatch(root)
        return now, "" if now is None else self.watcher.watch(root)

    def _look_at_unwatched(self, root: str, *, heard: bool) -> None:
        """Of what is not watched nobody tells: it is looked at more often, and once more when it is heard at last."""
        now = self._loop.time()
        if heard or now - self._looked[root] > UNWATCHED_SECONDS:
            self._looked[root] = now
            self._hint(root, True)

    # ---- what clients are told

    def complete(self, view: StatusView) -> StatusView:
        """Adds to the ledger's status what only the running daemon knows."""
        view.busy = self.engine.busy or bool(self._hints) or not self._begun
        view.progress = self.engine.progress
        view.next_run = self.schedule.next_run()
        view.pid = self.pid
        return view

    def attention(self) -> list[str]:
        """Sentences that nobody else knows, gravest first: not all of them may be told."""
        return [
            *self._rescued,
            *self._unfollowed,
            *self._unwatched.values(),
            *self._round,
            *self._library.problems.values(),
            *self._unread,
        ]

    def tell_status(self) -> None:
        self._spawn(self._tell_status())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _tell_status(self) -> None:
        from dedupd.protocol.messages import GetStatus

        status = await self.handlers.answer(GetStatus())
        assert isinstance(status, StatusView)
        self._send(StatusChanged(status=status))
        self._heart.status(
            f"{status.photos} photos, {status.groups_waiting} group(s) waiting, {status.moved} moved"
        )

    def _attention(self, sentence: str) -> None:
        if sentence not in self._round:
            self._round.append(sentence)
        self._send(Attention(message=sentence))

    def _send(self, notice: Notice) -> None:
        self.broadcast.send(notice)


class _SafePoints:
    """One long task's `Stop`. Once it said that the task ends, it says so again."""

    def __init__(self, engine: Engine, ended: Callable[[], bool]) -> None:
        self._engine, self._told_to_end = engine, ended
        self._ended = False

    def __call__(self, *, photos: bool = True) -> bool:
        if not self._ended:
            self._ended = self._engine.give_way(photos=photos) or self._told_to_end()
        return self._ended


def _leave() -> None:
    """What hangs in a file or a folder must not keep the daemon: what is durable is durable already."""
    log.warning("not all of it stopped in time; leaving that to recovery")
    logging.shutdown()
    os._exit(ExitCode.OK)


def _identity(root: str) -> tuple[int, int] | None:
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _folders_of(root: str, hints: dict[str, bool], roots: Sequence[str]) -> dict[str, bool]:
    """Those of this root and of no root within it."""
    return {
        _relative(folder, root): whole for folder, whole in hints.items() if _nearest(folder, roots) == root
    }


def _relative(folder: str, root: str) -> str:
    """As the library names folders: '' for the root itself."""
    return folder[len(root) :].strip("/")


def _nearest(folder: str, roots: Iterable[str]) -> str:
    """The root that the folder lies in; the inner one where a disk of its own is mounted in another root; '' for none."""
    return max((root for root in roots if _below(folder, root)), key=len, default="")


def _below(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(os.path.join(root, ""))
