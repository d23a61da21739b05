"""The configured roots: which of them are there and surely themselves, and what changed below them.

Owns what people are told about a root. Must never take an absent or swapped root for an empty one (P9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from dedupd.core.foreign import Scope
from dedupd.core.records import RootRow
from dedupd.errors import AlreadyRunning, RootError
from dedupd.pipeline.reconcile import Changes, identify, reconcile, reconcile_folders
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Disk, Progress

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


def quiet(phase: str, done: int, total: int) -> None:
    pass


class Roots:
    """All configured roots of one library."""

    def __init__(
        self,
        paths: Iterable[str],
        ledger: Ledger,
        disk: Disk,
        clock: Clock,
        scope: Scope,
        hold: Callable[[str], None],
    ) -> None:
        """`hold` takes the lock of a root that came later. Raises AlreadyRunning when somebody else has it."""
        self._ledger, self._disk, self._clock, self.scope, self._hold = ledger, disk, clock, scope, hold
        self.problems: dict[str, str] = {}
        """What a person should know, by subject; replaced when the subject is looked at again."""
        with ledger.transaction():
            self._ids = {ledger.roots.add(path).id for path in paths}

    @property
    def all(self) -> list[RootRow]:
        """As the ledger knows them now."""
        return [r for r in self._ledger.roots.all() if r.id in self._ids]

    def reconcile(self, *, mark: bool = True, on_progress: Progress = quiet, stop: Stop = never) -> Changes:
        """Compare every root with the ledger. A root that is not surely itself is left alone and told of."""
        total = Changes()
        for root in self.all:
            if stop():
                break
            known = self.verified(root, mark=mark)
            if known is None:
                continue
            found = reconcile(
                known, self._ledger, self._disk, self._clock, self.scope,
                lambda done, before=total.files: on_progress("look", before + done, 0), stop=stop,
            )  # fmt: skip
            _add(total, found)
        return total

    def reconcile_folders(self, root: RootRow, folders: Mapping[str, bool], *, stop: Stop = never) -> Changes:
        """The same for what the watcher hinted at: folder -> whether everything below it may have changed."""
        known = self.verified(root, mark=True)
        if known is None:
            return Changes()
        return reconcile_folders(known, self._ledger, self._disk, self._clock, self.scope, folders, stop)

    def verified(self, root: RootRow, *, mark: bool) -> RootRow | None:
        """The root when it is there and itself; else None, and people are told why."""
        self.problems.pop(root.path, None)
        try:
            self._is_apart(root)
            known = identify(root, self._ledger, self._disk, mark=mark)
            # A disk that came later, or another one at this path, is held from now on.
            self._hold(root.path)
        except (RootError, AlreadyRunning) as error:
            self.problems[root.path] = str(error)
            return None
        if mark and not known.uuid:
            self.problems[root.path] = self.why_unmarked(root)
        return known

    def _is_apart(self, root: RootRow) -> None:
        """RootError while a root inside another one lies on that one's disk: its own is not mounted there now."""
        for outer in self.all:
            inside = root.path.startswith(f"{outer.path.rstrip('/')}/")
            if inside and self._disk.identity(outer.path).dev == self._disk.identity(root.path).dev:
                with self._ledger.transaction():
                    told = f"{root.path} lies on the same disk as {outer.path} now: mount its own disk there"
                    self._ledger.roots.update(root.id, online=False, note=told)
                raise RootError(told)

    def why_unmarked(self, root: RootRow) -> str:
        """One sentence: what cannot even take a marker lets nothing move."""
        try:
            problem = self._disk.abilities(root.path).problem
        except RootError as error:
            problem = str(error)
        return (
            problem or f"{root.path} could not be marked as yours: nothing moves there before the next look"
        )


def _add(total: Changes, found: Changes) -> None:
    for name in ("new", "changed", "renamed", "absent", "left", "files"):
        setattr(total, name, getattr(total, name) + getattr(found, name))
    total.problems += found.problems
