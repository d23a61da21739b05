"""Folders in which something changed: kept until they are reconciled, and until the keepers in them are
checked.

Owns when a folder is due. Must never read a folder itself, and never forget one that was not reconciled.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager

from dedupd.adapters.fs.walk import looked_at
from dedupd.core.foreign import Scope

HINT_SECONDS, HINT_LIMIT_SECONDS = 1.0, 5.0
"""Changed folders are due this many seconds after the last event, but not later than the limit after the
first."""
Folders = dict[str, bool]
"""Folder -> whether everything below it may have changed, too."""


class Hints:
    """Changed folders by their absolute path. `reconciling` and `take_unchecked` are for the engine's thread, all
    else for the event loop."""

    def __init__(
        self, roots: Callable[[], Iterable[str]], scope: Callable[[], Scope],
        now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._roots, self._scope, self._now = roots, scope, now
        self._changed: Folders = {}
        """Folders not reconciled yet."""
        self._first = self._last = 0.0
        """When the first of them was added, and when an event last named one."""
        self._busy_until = 0.0
        self._unchecked: Folders = {}
        """Changed folders whose keepers were not checked since; written on the event loop, taken by the
        engine's thread."""
        self._guard = threading.Lock()

    def add(self, folder: str, whole: bool) -> bool:
        """Record a change in this folder. Returns whether it is the first one that waits: `due_in` is to be
        asked then.

        Some folders are never reconciled: our own moves end in duplicates/, and a NAS writes thumbnails all day.
        """
        root = nearest(folder, self._roots())
        if not root or not looked_at(relative(folder, root), self._scope()):
            return False
        first, self._last = not self._changed, self._now()
        if first:
            self._first = self._last
        self._changed[folder] = self._changed.get(folder, False) or whole
        with self._guard:
            self._unchecked[folder] = self._unchecked.get(folder, False) or whole
        return first

    def due_in(self) -> float:
        """Seconds until the folders that wait are due, if no further event comes; 0 or less: now."""
        due = min(self._last + HINT_SECONDS, self._first + HINT_LIMIT_SECONDS)
        return max(due, self._busy_until) - self._now()

    @property
    def waiting(self) -> bool:
        """Whether a folder waits to be reconciled."""
        return bool(self._changed)

    def take(self) -> Folders:
        """Take the folders to reconcile now."""
        taken, self._changed = self._changed, {}
        return taken

    @contextmanager
    def reconciling(self) -> Generator[None]:
        """Wraps the reconciling of such folders: the next one begins after a wait of the same length.

        These tasks interrupt other work. The wait leaves half of the time to that work, however large the
        folder that keeps changing.
        """
        began = self._now()
        yield
        now = self._now()
        self._busy_until = now + (now - began)

    def take_unchecked(self) -> Folders:
        """Take the folders whose keepers are to be checked now."""
        with self._guard:
            taken, self._unchecked = self._unchecked, {}
        return taken


def folders_of(root: str, folders: Folders, roots: Sequence[str]) -> Folders:
    """Those folders that lie in this root and in no root inside it, as paths relative to the root."""
    return {relative(path, root): whole for path, whole in folders.items() if nearest(path, roots) == root}


def relative(folder: str, root: str) -> str:
    """The path relative to the root, as the library names folders: '' for the root itself."""
    return folder[len(root) :].strip("/")


def nearest(folder: str, roots: Iterable[str]) -> str:
    """The root that the folder lies in (the inner one, when a disk is mounted inside another root); '' for
    none."""
    return max((root for root in roots if _below(folder, root)), key=len, default="")


def _below(folder: str, root: str) -> bool:
    return folder == root or folder.startswith(os.path.join(root, ""))
