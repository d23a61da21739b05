"""The public face of a library: open it under its lock, scan it, read its groups and its report.

Owns the life of a library, from lock to close. Anything else is a method of one of its parts (build.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from dedupd.adapters.fs.lock import Locks, lock_library
from dedupd.adapters.stores.store import store_at
from dedupd.closing import Closing
from dedupd.config import Places, Settings, load, places
from dedupd.core.adoption import Adoption
from dedupd.core.month import Month
from dedupd.core.narrowing import Narrowing
from dedupd.errors import RootError, UsageError
from dedupd.library.build import Parts
from dedupd.library.models import Models
from dedupd.library.passes import Passes
from dedupd.library.scan_outcome import MonthResult, ScanOutcome
from dedupd.library.view import thumbnails
from dedupd.pipeline.forget import ADOPTED_AT
from dedupd.pipeline.roots import quiet as no_progress
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Progress, Vision
from dedupd.progress_bars import show_progress
from dedupd.protocol.requests import Side
from dedupd.protocol.views import GroupView


class Library(Parts, Closing):
    """A photo library with its state: all its parts, and the methods that scripts need."""

    def __init__(
        self, settings: Settings, where: Places, *, vision: Vision | None = None, clock: Clock | None = None,
        locks: Locks | None = None, background: bool = False,
    ) -> None:  # fmt: skip
        """Opens the ledger. The caller holds `locks`; locks of disks that come later are added. `background`: nobody waits for
        its work. StateError, LedgerDamaged."""
        super().__init__(settings, where, vision=vision, clock=clock, locks=locks, background=background)
        self.models = Models(self)
        self.passes = Passes(self, self.models)

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        roots: Sequence[str | Path] = (),
        *,
        state_dir: str | Path | None = None,
        config: str | Path | None = None,
        **changes: Any,
    ) -> Generator[Library]:
        """Take the lock and open a library for these roots (default: the configured ones).

        `changes` are fields of Settings (threshold=0.9, keep_policy="oldest", embedder="hashes", …).
        Raises ConfigError, AlreadyRunning, StateError, RootError.
        """
        where = places(_path(state_dir), _path(config))
        settings = load(_path(config), where, roots=roots, **changes)
        with (
            lock_library(where, settings.roots) as locks,
            contextlib.closing(cls(settings, where, locks=locks)) as library,
        ):
            yield library

    def scan(
        self, *, dry_run: bool = False, yes: bool = False, months: Iterable[Month] | None = None,
        narrowing: Narrowing | None = None, ask: Callable[[int, dict[str, Any]], bool] | None = None,
        on_progress: Progress = no_progress, stop: Stop = never,
    ) -> ScanOutcome:  # fmt: skip
        """One pass over all roots. `ask(files, report)` is called before anything moves, unless `yes`.

        Without `yes` and without `ask` nothing moves; `waiting` says how many files would. A dry run keeps
        the index and touches nothing under the roots. Stopped before its end, it moves nothing more.
        `narrowing`: what this scan counts; the rest of the library stays as it is, and as it was decided.
        """
        return self.passes.scan(
            dry_run=dry_run,
            yes=yes,
            months=months,
            narrowing=narrowing,
            ask=ask,
            on_progress=on_progress,
            stop=stop,
        )

    def adopt(self, place: str, *, on_progress: Progress = no_progress) -> Adoption:
        """Take the rows of a backfill into the index: photos of these contents are then hashed, and not decoded again.

        Raises DedupdError: no such place, or only rows of another model or recipe than this library's.
        """
        address = store_at(place).address
        self.models.record()
        # Before the rows come in, so that they are not removed as gone.
        self.ledger.put(ADOPTED_AT, str(self.clock.now()))
        return self.vision.adopt(address, lambda done, total: on_progress("adopt", done, total))

    def groups(self, month: str | None = None) -> list[GroupView]:
        """Every group of the configured roots, sidecars included, newest month first."""
        ids = {r.id for r in self.roots.all}
        return self.reviewer.report(g for g in self.ledger.groups.all(None, month) if g.root in ids)

    def thumbnails(self, files: Sequence[int], side: Side = 512) -> dict[str, str]:
        """File id -> path of a picture of at most `side` px; made on demand, kept in the cache."""
        return thumbnails(self.ledger, self.roots.all, self.vision, files, side)

    def close(self) -> None:
        """Let the workers go and close the ledger; the lock is the caller's."""
        self.vision.rest()
        self.models.close()
        self.ledger.close()


def run_deduplication_for_months(
    months: Iterable[tuple[int, int]],
    root: str | Path,
    *,
    dry_run: bool = False,
    quiet: bool = False,
    on_progress: Progress | None = None,
    state_dir: str | Path | None = None,
    **changes: Any,
) -> list[MonthResult]:
    """Deduplicate these (year, month) pairs of one root, unattended relations only: calling it is the yes.

    >>> from dedupd import run_deduplication_for_months
    >>> for result in run_deduplication_for_months([(2024, 6), (2024, 7)], "~/Pictures", dry_run=True):
    ...     print(result.line, len(result.groups))

    Shows how far it is, in a notebook and on a terminal, and prints `Summary updated for 2024/06` for each log that it
    rewrote, unless `quiet`. `on_progress(phase, done, total)` is called in place of what is shown. Raises UsageError for a
    month that is none, and what Library.open raises.
    """
    try:
        wanted = [Month(year, month) for year, month in months]
    except (TypeError, ValueError) as error:
        raise UsageError(f"months must be (year, month) pairs, such as (2024, 6): {error}") from None
    with Library.open([Path(root).expanduser()], state_dir=state_dir, **changes) as library:
        with _shown(on_progress, quiet=quiet) as progress:
            outcome = library.scan(dry_run=dry_run, yes=not dry_run, months=wanted, on_progress=progress)
        if not library.roots.all[0].online:
            raise RootError(next(iter(library.roots.problems.values())))
    for result in outcome.months:
        if result.summary_updated and not quiet:
            print(f"Summary updated for {result.year}/{result.month:02}")
    return list(outcome.months)


def _shown(on_progress: Progress | None, *, quiet: bool) -> contextlib.AbstractContextManager[Progress]:
    if on_progress is not None:
        return contextlib.nullcontext(on_progress)
    return contextlib.nullcontext(no_progress) if quiet else show_progress()


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value).expanduser()
