"""The daemon's life: lock, recover, serve, READY, watch; and the reverse at the end.

Owns that order, and connects the parts: jobs.py has the work, schedule.py and hints.py when it is due. Must
never import torch, lancedb, pyarrow, Pillow or numpy: the worker process has those.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any

from dedupd.adapters.fs.lock import Locks, lock_library
from dedupd.adapters.fs.watcher import Watcher
from dedupd.adapters.machine_gauge import MachineGauge
from dedupd.config import Places, Settings
from dedupd.config.following import ConfigFile
from dedupd.daemon.broadcast import Broadcast
from dedupd.daemon.config_follower import ConfigFollower
from dedupd.daemon.engine import Engine
from dedupd.daemon.handlers import Handlers
from dedupd.daemon.heartbeat import Heartbeat
from dedupd.daemon.hints import Hints
from dedupd.daemon.jobs import Jobs
from dedupd.daemon.root_watch import RootWatch
from dedupd.daemon.schedule import Scheduler
from dedupd.daemon.socket_place import record_socket
from dedupd.daemon.socket_server import Server
from dedupd.errors import ExitCode, UsageError
from dedupd.library import Library
from dedupd.pipeline import pausing
from dedupd.protocol.notices import Attention, Notice, Progressed, StatusChanged
from dedupd.protocol.views import ProgressView, StatusView

log = logging.getLogger("dedupd")
STOP_SECONDS = 8.0
"""Seconds for stopping: SIGTERM ends the daemon within ten seconds; what is half done is finished by recovery
at the next start."""


def run(
    settings: Settings, places: Places, *, yes: bool = False, read: Callable[[], Settings] | None = None
) -> int:
    """Run in the foreground until SIGTERM or SIGINT. `yes`: consent to the first moves of each root (P12).

    `read` reads the settings again when config.toml was changed; without it they stay. Raises UsageError,
    AlreadyRunning, StateError.
    """
    if not settings.roots:
        raise UsageError(
            "no folder to watch: name one, as in `dedupd run ~/Pictures`, or set roots in config.toml"
        )

    async def live(locks: Locks) -> int:
        return await Daemon(settings, places, locks, yes=yes, read=read).live()

    with lock_library(places, settings.roots) as locks:
        return asyncio.run(live(locks))


class Daemon:
    """One run of the daemon. Everything here runs on the event loop; the library runs in the engine's thread.

    Make it inside the running event loop. It implements `Services` for the handlers.
    """

    def __init__(
        self, settings: Settings, places: Places, locks: Locks, *, yes: bool = False,
        read: Callable[[], Settings] | None = None,
    ) -> None:  # fmt: skip
        self.places, self._locks, self._yes = places, locks, yes
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        self._begun = False
        """Whether every root was checked once and the first reconciliation is queued."""
        self._heartbeat = Heartbeat.from_environment()
        self._broadcast = Broadcast()
        self.engine = Engine(self._open_library, self._on_progress, self._on_error)
        self.config = ConfigFollower(
            settings, ConfigFile(places.config, read or (lambda: settings)), self.engine, self._on_config
        )
        self._watcher = Watcher(self._on_folder, self._on_loss)
        self._roots = RootWatch(self._watcher)
        self._schedule = Scheduler(settings.schedule)
        self._gauge = MachineGauge()
        self._hints = Hints(self._root_paths, lambda: self._library.roots.scope)
        self.jobs = Jobs(
            self.engine, self._schedule, self._hints, settings=lambda: self.config.settings,
            reports_all=self._roots.reports_all, soon=self._soon, send=self.send, send_status=self.send_status,
        )  # fmt: skip
        self._handlers = Handlers(self)
        self._server = Server(places.socket, self._handlers.answer, self._broadcast)

    # ---- life

    async def live(self) -> int:
        """From the first signal handler to the last thread. Returns the exit code."""
        for name in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(name, self._stop)
        self._library = await asyncio.to_thread(self.engine.start)
        now = time.time()
        held = pausing.pausing(self._library.ledger, now)
        if held.paused:
            self.jobs.pause(held.until, None if held.until is None else held.until - now)
        await self._server.start()
        record_socket(self.places)
        self._schedule.start(
            recluster=self.jobs.recluster,
            reconcile=self.jobs.reconcile_all,
            sweep=self.jobs.sweep,
            roots=lambda: self._spawn(self._check_roots()),
            machine=lambda: self._spawn(self._consider()),
            config=lambda: self._spawn(self.config.follow()),
        )
        self._watcher.start()
        first = asyncio.create_task(self._begin())
        self._heartbeat.ready()
        log.info("ready: watching %s", ", ".join(self._root_paths()))
        pulse = asyncio.create_task(self._beat())
        await self._stopped.wait()
        pulse.cancel()
        first.cancel()
        return await self._end()

    def _open_library(self) -> Library:
        library = Library(self.config.settings, self.places, locks=self._locks, background=True)
        library.recover()
        if self._yes:
            library.movement.consent()
        return library

    async def _begin(self) -> None:
        """Watch first, reconcile then, so that changes in between are noticed. A folder that does not answer
        delays only itself."""
        try:
            await self._consider()
            await self._check_roots()
        finally:
            self.jobs.reconcile_all()
            self._begun = True

    async def _check_roots(self) -> None:
        await self._roots.check(self._root_paths(), self.jobs)

    async def _consider(self) -> None:
        devices = {root.dev for root in self._library.roots.all if root.online and root.dev is not None}
        machine = await asyncio.to_thread(self._gauge.read, devices)
        self.jobs.consider(datetime.now(), machine)

    async def _beat(self) -> None:
        """Tell the watchdog that the engine makes progress, not only the event loop."""
        while self._heartbeat.interval is not None:
            if self.engine.alive():
                self._heartbeat.alive()
            await asyncio.sleep(self._heartbeat.interval)

    def _stop(self) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            deadline = threading.Timer(STOP_SECONDS, _leave)
            deadline.daemon = True
            deadline.start()

    async def _end(self) -> int:
        self._heartbeat.stopping()
        log.info("stopping")
        self._schedule.stop()
        await self._server.stop()
        await asyncio.to_thread(self._watcher.stop)
        await asyncio.to_thread(self.engine.stop)
        self._handlers.close()
        return ExitCode.OK

    # ---- from other threads

    def _on_progress(self, view: ProgressView | None) -> None:
        self._soon(self.send, Progressed(progress=view))

    def _on_error(self, sentence: str) -> None:
        log.error("%s", sentence)
        self._soon(self.jobs.failed, sentence)

    def _on_folder(self, folder: str, whole: bool) -> None:
        self._soon(self.jobs.hint, folder, whole)

    def _on_loss(self, reason: str) -> None:
        log.warning("%s: looking everywhere", reason)
        self._soon(self.jobs.reconcile_all)

    def _soon(self, act: Callable[..., object], *arguments: object) -> None:
        """Call a function on the event loop, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(act, *arguments)

    # ---- config.toml

    def _root_paths(self) -> list[str]:
        return [str(root) for root in self.config.settings.roots]

    def _on_config(self, before: Settings, sentences: Sequence[str]) -> None:
        for sentence in sentences:
            log.warning("%s", sentence)
            self.send(Attention(message=sentence))
        settings = self.config.settings
        if changes := settings.unlike(before):
            log.info("%s has changed: %s", self.places.config.name, "; ".join(changes))
            self._schedule.follow(settings.schedule)
            self._spawn(self._consider())
            self.jobs.reconcile_all()
        self.send_status()

    # ---- what clients are told

    def complete(self, view: StatusView) -> StatusView:
        """Add to the ledger's status what only the running daemon knows."""
        # What idle hours found is grouped within two minutes, and is waited for.
        found = self.engine.idles and any(root.online and root.months_waiting for root in view.root_details)
        view.busy = self.engine.busy or self._hints.waiting or not self._begun or found
        idles = self.engine.idles and not view.busy and not self.jobs.rests
        view.works_off_look_alikes = idles and view.look_alikes_left > 0
        view.progress = self.engine.progress
        view.next_run = self._schedule.next_run()
        view.waits = "" if self.jobs.paused else self.jobs.waits
        view.pid = os.getpid()
        return view

    def attention(self) -> list[str]:
        """Sentences that only the running daemon knows, gravest first, because not all of them may be shown."""
        return [
            *self.jobs.rescued(),
            *self.config.unfollowed,
            *self._roots.unwatched(),
            *self.jobs.failures(),
            *self._library.roots.problems.values(),
            *filter(None, [self._library.vision.sees_here]),
            *self.jobs.unread(),
        ]

    def send(self, notice: Notice) -> None:
        """Send a notice to all subscribers."""
        self._broadcast.send(notice)

    def send_status(self) -> None:
        """The status has changed: read it, and send it to all subscribers and to systemd."""
        self._spawn(self._send_status())

    async def _send_status(self) -> None:
        status = await self._handlers.status()
        self.send(StatusChanged(status=status))
        self._heartbeat.status(
            f"{status.photos} photos, {status.groups_waiting} group(s) waiting, {status.moved} moved"
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())


def _leave() -> None:
    """End the process even when a thread hangs in a file or a folder: everything durable is already on disk."""
    log.warning("not all of it stopped in time; leaving that to recovery")
    logging.shutdown()
    os._exit(ExitCode.OK)
