"""File system events (watchdog): hints that a folder changed. They only save time; reconciling decides.

Must never do more in the observer's thread than report a path, and never claim to watch all of a root when the system
gave no watch for some of its folders. The event filter is needed: with watchdog's default events (IN_OPEN,
IN_CLOSE_NOWRITE) the observer's own directory walks overflow its queue again and again beyond some 5,000 folders.
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


def _remove_watch(group: Any, watch: int) -> None:
    """Forget a watch, also one without a path: of a folder that left its root and whose name another folder had since.

    watchdog 7.1 raises KeyError there, in the one thread that reads all events: no event arrives after that.
    """
    paths = group._active_callbacks_by_path  # noqa: SLF001
    path = group._active_callbacks_by_watch.pop(watch, None)  # noqa: SLF001
    if paths.get(path) == watch:
        del paths[path]


def _add_watch(group: Any, path: bytes) -> None:
    """Watch a folder; one for which the system has no watch left is remembered.

    watchdog 7.1 ignores what fails below the root: such a folder seems to be watched and no event of it ever arrives.
    """
    unwatched = _unwatched_in(group)
    try:
        watch = group._inotify_fd.add_callback(path, group.event_mask, group._callback, group._id)  # noqa: SLF001
    except OSError as error:
        if path == group.path:
            raise
        if error.errno not in _GONE:
            unwatched.add(path)
        return
    unwatched.discard(path)
    if watch == -1:  # it may not be read: the reconcile reports that
        return
    group._active_callbacks_by_path[path] = watch  # noqa: SLF001
    group._active_callbacks_by_watch[watch] = path  # noqa: SLF001


def _unwatched_in(group: Any) -> set[bytes]:
    """Folders of a root that are not watched though they should be."""
    return group.__dict__.setdefault("unwatched", set[bytes]())


_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
if sys.platform == "linux":
    from watchdog.observers import inotify

    _groups = cast("Any", inotify).InotifyWatchGroup
    _groups._remove_watch_internally, _groups._add_callback = _remove_watch, _add_watch  # noqa: SLF001

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
        self._overflows = _OverflowHandler(on_loss)

    def start(self) -> None:
        logging.getLogger("watchdog").addHandler(self._overflows)

    def watch(self, root: str) -> str:
        """Watch a root, or what of it could not be watched before.

        Returns '' when every folder is watched, else one sentence: the reconcile alone finds changes elsewhere.
        """
        try:
            if root not in self._watches:
                self._watches[root] = self._listening().schedule(
                    _Handler(self._on_folder), root, recursive=True, event_filter=_KINDS
                )
        except OSError as error:
            return _not_watched(root, error)
        group = self._group(root)
        return "" if group is None else _told(root, *_watch_more(group))

    def complete(self, root: str) -> bool:
        """Whether every folder of it is watched, as far as is known without another try."""
        group = self._group(root)
        return root in self._watches and (group is None or not _unwatched_in(group))

    def _listening(self) -> Any:
        """Raises OSError when the system gives out no more listeners."""
        with self._making:
            if self._observer is None:
                observer = Observer()
                observer.start()
                self._observer = observer
            return self._observer

    def _group(self, root: str) -> Any:
        """watchdog's record of the watched folders of a root; None where it has none (macOS)."""
        emitter = getattr(self._observer, "_emitter_for_watch", {}).get(self._watches.get(root))
        return getattr(emitter, "_inotify", None)

    def unwatch(self, root: str) -> None:
        """For a root that went away or is another disk now: old watches would report folders that are not there."""
        watch = self._watches.pop(root, None)
        if watch is not None:
            self._observer.unschedule(watch)  # type: ignore[arg-type]

    def stop(self) -> None:
        logging.getLogger("watchdog").removeHandler(self._overflows)
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(5)


def _watch_more(group: Any) -> tuple[int, int]:
    """Try once more what could not be watched, until the first that fails again. Returns watched and all folders."""
    unwatched = _unwatched_in(group)
    with group._lock:  # noqa: SLF001
        for path in sorted(unwatched):
            for folder, _, _ in os.walk(path):  # no event told of folders made in it meanwhile
                if folder not in group._active_callbacks_by_path:  # noqa: SLF001
                    group._add_callback(folder)  # noqa: SLF001
                if path in unwatched:
                    break
            if path in unwatched and os.path.isdir(path):
                break
            unwatched.discard(path)
        watched = len(group._active_callbacks_by_path)  # noqa: SLF001
        return watched, watched + len(unwatched)


def _told(root: str, watched: int, folders: int) -> str:
    if watched == folders:
        return ""
    return (
        f"only {watched} of {folders} folders in {root} are watched, as the system has no more watches: changes elsewhere are "
        f"found by regular looks; raise the limit with `sudo sysctl fs.inotify.max_user_watches={_enough(folders)}` "
        "and keep it in /etc/sysctl.d/"
    )


def _not_watched(root: str, error: OSError) -> str:
    """The sentence for a root without any watch."""
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
                # A .nomedia that came or went concerns everything below its folder.
                self._on_folder(os.path.dirname(at), os.path.basename(at) in MARKERS)


class _OverflowHandler(logging.Handler):
    """Reports lost events: watchdog tells of an overflow by a log record only."""

    def __init__(self, on_loss: OnLoss) -> None:
        super().__init__(logging.WARNING)
        self._on_loss = on_loss

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage().lower():
            self._on_loss("the system dropped change events")
