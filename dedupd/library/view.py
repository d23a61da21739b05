"""A library opened read only: for status, months, groups and show, with and without a daemon.

Takes no lock. Must never write the ledger, and never look at a root.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from typing import Any

from dedupd.adapters.fs.disk import LocalDisk
from dedupd.adapters.ledger import Ledger
from dedupd.adapters.vision.client import VisionWorker
from dedupd.config import Places, Settings
from dedupd.core.foreign import Scope
from dedupd.core.narrowing import Narrowing
from dedupd.core.records import GroupRow, RootRow
from dedupd.errors import NothingYet, StateError
from dedupd.pipeline.consent import proposals
from dedupd.pipeline.narrow import Narrowed
from dedupd.pipeline.review import Reviewer, build_report, resolve, status_view
from dedupd.ports import Vision
from dedupd.protocol.results import Resolved
from dedupd.protocol.views import GroupView, StatusView


class LibraryView:
    """The state of a library, read only."""

    def __init__(self, settings: Settings, where: Places) -> None:
        """Raises NothingYet when there is no ledger, another StateError when it cannot be read."""
        self.settings, self._places, self.scope = settings, where, scope_of(settings)
        self._vision: VisionWorker | None = None
        try:
            os.stat(where.ledger)  # not exists(): it may lie where one may not look
        except FileNotFoundError:
            raise NothingYet(
                f"there is nothing in {where.state} yet: start with `dedupd scan ROOT` or `dedupd run ROOT`"
            ) from None
        except OSError as error:
            raise StateError(
                f"{where.ledger} cannot be read ({error.strerror}): "
                "see that it can, or choose another folder with --state-dir"
            ) from None
        self.ledger = Ledger(where.ledger, read_only=True)
        self.disk = LocalDisk()

    @property
    def roots(self) -> list[RootRow]:
        """The configured roots; all that were ever looked at when none is configured."""
        known = self.ledger.roots.all()
        configured = {str(p) for p in self.settings.roots}
        return [r for r in known if r.path in configured] or known

    @property
    def reviewer(self) -> Reviewer:
        return Reviewer(self.ledger, self.disk)

    def status(self, daemon: str = "stopped", beside: Sequence[str] = ()) -> StatusView:
        """`beside`: sentences that only a running daemon knows."""
        view = status_view(self.ledger, self.roots, daemon=daemon, now=time.time(), beside=beside)
        view.embedding = self.settings.embedding.told
        return view

    def group_rows(
        self, *, month: str | None = None, root: str | None = None, relation: str | None = None,
        state: str | None = None, offset: int = 0, limit: int | None = None,
    ) -> tuple[list[GroupRow], int]:  # fmt: skip
        """Newest month first, and how many there are in all; `relation` and `state` as the views call them."""
        ids = [r.id for r in self.roots if root in (None, r.path)]
        return self.ledger.groups.page(ids, month, relation, state, offset, limit)

    def outlines(self, month: str, root: str | None = None) -> list[GroupView]:
        """The groups of a month to be counted and sorted by size: views without members, paths and evidence but the keeper's."""
        return [
            GroupView(
                id=group.id, root=known.path, month=group.month, relation=group.relation, state=group.state,
                keep=group.keeper, bytes=group.bytes, review_bytes=group.review_bytes, version=group.version,
            )
            for known in self.roots
            if root in (None, known.path)
            for group in self.ledger.groups.outlines(known.id, month)
        ]  # fmt: skip

    def groups(self, ids: Iterable[int]) -> list[GroupView]:
        """These groups whole, in the order given; those that are gone are left out."""
        return self.reviewer.groups(self.ledger.groups.by_ids(ids))

    def narrowed(self, narrowing: Narrowing) -> Narrowed:
        """What one scan counts of this library."""
        return Narrowed(self.ledger, self.disk, narrowing)

    def report(self, month: str | None = None, only: Narrowed | None = None) -> dict[str, Any]:
        """The JSON report of DESIGN section 5; its groups of one month, and of what a scan counts, if asked."""
        policy = self.settings.keep_policy
        return build_report(self.ledger, self.disk, self.roots, policy, time.time(), month, only)

    def proposed(self, month: str | None = None) -> int:
        """Files that would move unattended (of one month, if asked)."""
        months = None if month is None else [month]
        return sum(proposals(self.ledger, root, months).files for root in self.roots if root.online)

    def size(self, root: str, path: str) -> int | None:
        """Bytes of the file that lies there, as the ledger knows it."""
        id = next((r.id for r in self.roots if r.path == root), None)
        row = None if id is None else self.ledger.files.at(id, path)
        return None if row is None else row.stat.size

    def resolve(self, path: str) -> Resolved:
        """The files, groups and moves that a path means."""
        return resolve(self.ledger, self.roots, path)

    def thumbnails(
        self, files: Sequence[int], side: int = 512, *, worker: Vision | None = None
    ) -> dict[str, str]:
        """As Library.thumbnails, by a worker of its own: for when no daemon can be asked.

        `worker`: the caller's own, with a cache of its own, which large sides would fill.
        """
        if worker is None:
            if self._vision is None:
                self._vision = VisionWorker(self._places.index, self._places.cache, "hashes")
            worker = self._vision
        return thumbnails(self.ledger, self.roots, worker, files, side)

    def close(self) -> None:
        """Let the worker go and close the ledger."""
        if self._vision is not None:
            self._vision.rest()
        self.ledger.close()


def scope_of(settings: Settings) -> Scope:
    """What of a root is looked at."""
    roots = frozenset(map(str, settings.roots))
    return Scope(ignore=settings.ignore, defaults=settings.ignore_defaults, roots=roots)


def thumbnails(
    ledger: Ledger, roots: Sequence[RootRow], vision: Vision, files: Sequence[int], side: int
) -> dict[str, str]:
    """File id -> path of a picture of at most `side` px, for the files of these roots that could be read."""
    paths = {r.id: r.path for r in roots}
    rows = [f for f in ledger.files.by_ids(files).values() if f.root in paths and f.content]
    made = vision.thumbnails([(os.path.join(paths[f.root], f.path), f.content or "") for f in rows], side)
    return {str(f.id): str(made[f.content]) for f in rows if f.content in made}
