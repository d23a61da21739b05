"""Roots that come and go: disks are unplugged, servers stop answering, another disk is mounted in the same
place.

Owns which roots are watched, and why one is not. Must never wait for a folder on the event loop: a mount
whose server is gone can block for hours. Must never take absence for deletion: it only says what to
reconcile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from dedupd.adapters.fs.probing import kind_of
from dedupd.core.abilities import changed_elsewhere
from dedupd.core.records import RootRow

log = logging.getLogger("dedupd")
UNWATCHED_SECONDS = 600.0
"""Seconds between two reconciliations of a root in which not every folder is watched."""
Identity = tuple[int, int]
"""Device and inode of a folder: which folder it is, whatever its name."""
UNKNOWN: Identity = (0, 0)
"""The identity of a root that was never checked; no folder has it."""


class Watches(Protocol):
    """The part of adapters.fs.watcher.Watcher that is used here."""

    def watch(self, root: str) -> str:
        """Watch it, or more of it. Returns '' when all of it is watched, otherwise one sentence that says why
        not."""
        ...

    def unwatch(self, root: str) -> None: ...


class Reconciler(Protocol):
    """Who is told where to look; daemon.jobs.Jobs."""

    def hint(self, folder: str, whole: bool) -> None: ...

    def reconcile_all(self) -> None: ...


def identity_of(root: str) -> Identity | None:
    """The identity of the folder at this path; None when there is none."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class RootWatch:
    """Every root, as it was when it last answered. Call it on the event loop, `reports_all` from any thread."""

    def __init__(
        self, watcher: Watches, *, identity: Callable[[str], Identity | None] | None = None,
        unwatched_seconds: float = UNWATCHED_SECONDS, now: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._watcher, self._identity = watcher, identity or identity_of
        self._unwatched_seconds, self._now = unwatched_seconds, now
        self._stands: dict[str, Identity | None] = {}
        """Root -> identity of the folder at its path; None: there was none."""
        self._unanswered = set[str]()
        """Roots that were checked and have not answered yet."""
        self._unwatched: dict[str, str] = {}
        """Root -> why changes in it, or in some of its folders, are found by regular reconciliation only; ''
        when all is watched."""
        self._looked: dict[str, float] = {}
        """Root -> when all of it was last reconciled because it came back, or because not all of it is
        watched."""

    async def check(self, roots: Iterable[str], reconciler: Reconciler) -> None:
        """Check every root. One that vanished, came back or is another folder now is watched anew, and
        `reconciler` is told.

        Each root is checked in a thread of its own: one that does not answer delays no other.
        """
        await asyncio.gather(*(self._check(root, reconciler) for root in roots))

    async def _check(self, root: str, reconciler: Reconciler) -> None:
        if root in self._unanswered:
            return
        self._unanswered.add(root)
        try:
            before = self._stands.get(root, UNKNOWN)
            now, unwatched = await asyncio.to_thread(self._watch_anew, root, before)
        finally:
            self._unanswered.discard(root)
        self._stands[root] = now
        was, self._unwatched[root] = self._unwatched.get(root, ""), unwatched
        if unwatched and not was:
            log.warning("%s", unwatched)
        if now == before:
            if (was or unwatched) and self._is_due(root, heard=not unwatched):
                reconciler.hint(root, True)
            return
        self._looked[root] = self._now()
        if before != UNKNOWN:
            reconciler.reconcile_all()

    def _watch_anew(self, root: str, before: Identity | None) -> tuple[Identity | None, str]:
        """The identity of the folder, watched as far as the system allows; one sentence when not all of it
        is."""
        now = self._identity(root)
        if now != before:
            self._watcher.unwatch(root)
        return now, "" if now is None else self._watcher.watch(root)

    def _is_due(self, root: str, *, heard: bool) -> bool:
        """Whether to reconcile the root. No event reports what is not watched: such a root is due more often,
        and once more when it is watched at last."""
        now = self._now()
        due = heard or now - self._looked[root] > self._unwatched_seconds
        if due:
            self._looked[root] = now
        return due

    def reports_all(self, root: RootRow) -> bool:
        """Whether events report every change in this root, including those that other machines make on a
        server."""
        watched = self._stands.get(root.path) is not None and not self._unwatched.get(root.path)
        return watched and not (root.dev is not None and changed_elsewhere(kind_of(root.dev)))

    def unwatched(self) -> list[str]:
        """One sentence for each root of which not everything is watched."""
        return [reason for reason in self._unwatched.values() if reason]
