"""watchdog: hints that a folder changed. Speed only; a reconcile is the truth.

Must never do work in the observer's thread beyond handing a path over, and never pass for hearing all of a root when the
system gave out no watch for some of its folders. The event filter is not optional:
with its default events the observer's own directory walks overflow its queue beyond some 5,000 folders
(research: IN_OPEN / IN_CLOSE_NOWRITE), for ever.
"""

from __future__ import annotations

import errno
import logging
import os
import sys
import threading
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


def _take(group: Any, path: bytes) -> None:
    """A folder is to be watched; one for which the system has no watch left is remembered.

    watchdog 7.1 passes over what fails below the root: it looks watched, and nothing is ever heard of it.
    """
    deaf = _deaf(group)
    try:
        watch = group._inotify_fd.add_callback(path, group.event_mask, group._callback, group._id)  # noqa: SLF001
    except OSError as error:
        if path == group.path:
            raise
        if error.errno not in _GONE:
            deaf.add(path)
        return
    deaf.discard(path)
    if watch == -1:  # it may not be read: looks tell that
        return
    group._active_callbacks_by_path[path] = watch  # noqa: SLF001
    group._active_callbacks_by_watch[watch] = path  # noqa: SLF001


def _deaf(group: Any) -> set[bytes]:
    """Folders of a root that are not watched though they should be."""
    return group.__dict__.setdefault("deaf", set[bytes]())


_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
if sys.platform == "linux":
    from watchdog.observers import inotify

    _groups = cast("Any", inotify).InotifyWatchGroup
    _groups._remove_watch_internally, _groups._add_callback = _let_go, _take  # noqa: SLF001

OnFolder = Callable[[str, bool], None]
"""on_folder(absolute folder, whole): something changed in it; whole: everything below it too."""
OnLoss = Callable[[str], None]
"""on_loss(reason): events were lost, only a reconcile can tell what changed."""


class Watcher:
    """Watches roots recursively. Callbacks run in watchdog's threads; its own methods may be called from any."""

    def __init__(self, on_folder: OnFolder, on_loss: OnLoss) -> None:
        self._on_folder, self._on_loss = on_folder, on_loss
        self._observer: Any = None
        self._making = threading.Lock()
        self._watches: dict[str, Any] = {}
        self._ears = _LossEars(on_loss)

    def start(self) -> None:
        logging.getLogger("watchdog").addHandler(self._ears)

    def watch(self, root: str) -> str:
        """Watch a root, or what of it could not be watched before.

        Returns '' when every folder is watched, else one sentence: changes elsewhere are found by looks alone.
        """
        try:
            if root not in self._watches:
                self._watches[root] = self._listening().schedule(
                    _Handler(self._on_folder), root, recursive=True, event_filter=_KINDS
                )
        except OSError as error:
            return _unwatched(root, error)
        group = self._group(root)
        return "" if group is None else _told(root, *_take_more(group))

    def complete(self, root: str) -> bool:
        """Whether every folder of it is watched, as far as is known without another try."""
        group = self._group(root)
        return root in self._watches and (group is None or not _deaf(group))

    def _listening(self) -> Any:
        """Raises OSError when the system gives out no more listeners."""
        with self._making:
            if self._observer is None:
                observer = Observer()
                observer.start()
                self._observer = observer
            return self._observer

    def _group(self, root: str) -> Any:
        """watchdog's own account of the folders of a root; None where there is none (macOS)."""
        emitter = getattr(self._observer, "_emitter_for_watch", {}).get(self._watches.get(root))
        return getattr(emitter, "_inotify", None)

    def unwatch(self, root: str) -> None:
        """The root went away or came back as another: old watches would report ghosts."""
        watch = self._watches.pop(root, None)
        if watch is not None:
            self._observer.unschedule(watch)  # type: ignore[arg-type]

    def stop(self) -> None:
        logging.getLogger("watchdog").removeHandler(self._ears)
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)


def _take_more(group: Any) -> tuple[int, int]:
    """Try once more what could not be watched, until the first that fails again. Returns watched and all folders."""
    deaf = _deaf(group)
    with group._lock:  # noqa: SLF001
        for path in sorted(deaf):
            for folder, _, _ in os.walk(path):  # folders made in it meanwhile were told by nobody
                if folder not in group._active_callbacks_by_path:  # noqa: SLF001
                    group._add_callback(folder)  # noqa: SLF001
                if path in deaf:
                    break
            if path in deaf and os.path.isdir(path):
                break
            deaf.discard(path)
        watched = len(group._active_callbacks_by_path)  # noqa: SLF001
        return watched, watched + len(deaf)


def _told(root: str, watched: int, folders: int) -> str:
    if watched == folders:
        return ""
    return (
        f"only {watched} of {folders} folders in {root} are watched, as the system has no more watches: changes elsewhere are "
        f"found by regular looks; raise the limit with `sudo sysctl fs.inotify.max_user_watches={_enough(folders)}` "
        "and keep it in /etc/sysctl.d/"
    )


def _unwatched(root: str, error: OSError) -> str:
    """A root of which nothing is heard."""
    limits = {
        errno.ENOSPC: ("has no more watches", f"max_user_watches={_enough(0)}"),
        errno.EMFILE: ("has no more inotify listeners", "max_user_instances=1024"),
    }
    why, limit = limits.get(error.errno or 0, ("", ""))
    if not why:
        return f"{root} cannot be watched ({error.strerror}): changes are found by regular looks"
    return (
        f"{root} is not watched, as the system {why}: changes are found by regular looks; raise the limit with "
        f"`sudo sysctl fs.inotify.{limit}` and keep it in /etc/sysctl.d/"
    )


def _enough(folders: int) -> int:
    """A limit that leaves room for this library beside what other programs watch."""
    try:
        with open("/proc/sys/fs/inotify/max_user_watches", encoding="ascii") as file:
            now = int(file.read())
    except (OSError, ValueError):
        now = 0
    return max(524_288, 2 * now, 4 * folders)


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
