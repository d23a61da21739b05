"""The outcome of a scan: what it found and did, and the result of each month.

Must never change anything: it only counts what the ledger says.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dedupd.core.month import Month
from dedupd.core.records import RootRow
from dedupd.core.summary import moved_line
from dedupd.pipeline.movement import Moved
from dedupd.pipeline.review import Reviewer
from dedupd.protocol.views import GroupView

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthResult:
    """One month of one root after a pass."""

    root: str
    year: int
    month: int
    photos: int
    groups: tuple[GroupView, ...]
    """Empty in a brief outcome."""
    found: int
    """How many groups these are."""
    moved: int
    """Files of this month that lie in duplicates/."""
    bytes_saved: int
    line: str
    """'Moved 18 duplicate files from 9 group(s) in 2024/06.'"""
    summary_updated: bool = False
    """Whether its log was rewritten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanOutcome:
    """What one pass found and did."""

    report: dict[str, Any]
    """The JSON report (DESIGN contract); empty in a brief outcome."""
    months: tuple[MonthResult, ...]
    """Months with something moved, in order."""
    moved: Moved
    problems: tuple[str, ...]
    waiting: int
    """Files that would move, but nobody said yes."""
    found: int = 0
    """Files that would move unattended when all was looked at: what moved, what waits, and in a dry run both."""
    not_looked_at: str = ""
    """One sentence on folders that are none of the library; '' without any."""
    left_to_compare: int = 0
    """Photos of large families of look-alikes of which only the nearest were compared yet."""


def month_results(
    ledger: Ledger, reviewer: Reviewer, roots: Sequence[RootRow], touched: Mapping[int, set[str]],
    chosen: Sequence[Month] | None, written: Collection[tuple[str, str]] = (), *, brief: bool = False,
) -> Iterator[MonthResult]:  # fmt: skip
    """The results of the months that a pass touched (root id -> months) and of those that were asked for.

    `written`: root and month of the logs that were rewritten. `brief`: without the groups, of which a large library has more
    than fit into memory.
    """
    views = {(v.root, v.month): v for v in reviewer.months()}
    for root in roots:
        months: set[str] = set(touched.get(root.id, ())) | ({str(m) for m in chosen} if chosen else set())
        for month in sorted(m for m in months if m):
            groups = tuple(reviewer.report(ledger.groups.all(root.id, month)))
            view = views.get((root.path, month))
            moved = view.moved if view else 0
            from_groups = len({g.id for g in groups if g.moved_to})
            parsed = Month.parse(month)
            yield MonthResult(
                root=root.path, year=parsed.year, month=parsed.month, photos=view.photos if view else 0,
                groups=() if brief else groups, found=len(groups), moved=moved, bytes_saved=view.bytes_saved if view else 0,
                line=moved_line(moved, from_groups, month), summary_updated=(root.path, month) in written,
            )  # fmt: skip
