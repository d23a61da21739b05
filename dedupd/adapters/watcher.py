"""watchdog: hints that a folder changed. Speed only; a reconcile is the truth.

Must never do work in the observer's thread beyond handing a path over. The event filter is not optional:
with its default events the observer's own directory walks overflow its queue beyond some 5,000 folders
(research: IN_OPEN / IN_CLOSE_NOWRITE), for ever.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable
from typing import Any, cast

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)  # fmt: skip
from watchdog.observers import Observer

from dedupd.core.foreign import MARKERS

_KINDS: list[type[FileSystemEvent]] = [
    FileCreatedEvent, FileClosedEvent, FileMovedEvent, FileDeletedEvent, DirCreatedEvent, DirMovedEvent, DirDeletedEvent,
]  # fmt: skip
if os.uname().sysname == "Darwin":  # FSEvents has no "closed": a write shows as "modified"
    _KINDS.append(FileModifiedEvent)


def _let_go(group: Any, watch: int) -> None:
    """A folder that left its root, whose name another took and gave up since, has a watch without a path.

    watchdog 7.1 raises KeyError there: in the one thread that reads all events, and nothing is heard any more.
    """
    paths = group._active_callbacks_by_path  # noqa: SLF001
    path = group._active_callbacks_by_watch.pop(watch, None)  # noqa: SLF001
    if paths.get(path) == watch:
        del paths[path]


with contextlib.suppress(ImportError, AttributeError):  # not Linux, or watchdog 6, which has another way
    from watchdog.observers import inotify

    cast("Any", inotify).InotifyWatchGroup._remove_watch_internally = _let_go  # noqa: SLF001

OnFolder = Callable[[str, bool], None]
"""on_folder(absolute folder, whole): something changed in it; whole: everything below it too."""
OnLoss = Callable[[str], None]
"""on_loss(reason): events were lost, only a reconcile can tell what changed."""


class Watcher:
    """Watches roots recursively. Callbacks run in watchdog's threads."""

    def __init__(self, on_folder: OnFolder, on_loss: OnLoss) -> None:
        self._on_folder, self._on_loss = on_folder, on_loss
        self._observer = Observer()
        self._watches: dict[str, object] = {}
        self._ears = _LossEars(on_loss)

    def start(self) -> None:
        logging.getLogger("watchdog").addHandler(self._ears)
        self._observer.start()

    def watch(self, root: str) -> str:
        """Watch a root. Returns '' or one sentence why it can only be scanned."""
        if root in self._watches:
            return ""
        try:
            self._watches[root] = self._observer.schedule(
                _Handler(self._on_folder), root, recursive=True, event_filter=_KINDS
            )
        except OSError as error:
            return (
                f"{root} cannot be watched ({error.strerror}): changes are found by the regular scans; "
                "on Linux raise fs.inotify.max_user_watches"
            )
        return ""

    def unwatch(self, root: str) -> None:
        """The root went away or came back as another: old watches would report ghosts."""
        watch = self._watches.pop(root, None)
        if watch is not None:
            self._observer.unschedule(watch)  # type: ignore[arg-type]

    def stop(self) -> None:
        logging.getLogger("watchdog").removeHandler(self._ears)
        self._observer.stop()
        if self._observer.is_alive():
            self._observer.join(5)


class _Handler(FileSystemEventHandler):
    def __init__(self, on_folder: OnFolder) -> None:
        self._on_folder = on_folder

    def dispatch(self, event: FileSystemEvent) -> None:
        for path in (event.src_path, event.dest_path):
            if path:
                at = os.fsdecode(path)
                if event.is_directory:
                    self._on_folder(at, True)
                # A .nomedia that came or went speaks for everything below its folder.
                self._on_folder(os.path.dirname(at), os.path.basename(at) in MARKERS)


class _LossEars(logging.Handler):
    """An overflow is told by a log record only; no event carries it."""

    def __init__(self, on_loss: OnLoss) -> None:
        super().__init__(logging.WARNING)
        self._on_loss = on_loss

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self._on_loss("the system dropped change events")
