"""Rewrites the summaries of changed months, in the year folder and in the state folder.

Must never invent: every number is counted from the ledger's rows of files that lie on the disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.month import year_folder
from dedupd.core.photo import FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.summary import MonthSummary, SummaryFile, SummaryGroup
from dedupd.core.xmp import from_xmp
from dedupd.pipeline import logs_behind
from dedupd.pipeline.measure_thresholds import bars_in_force
from dedupd.pipeline.narrow import Narrowed
from dedupd.pipeline.review import Reviewer
from dedupd.pipeline.roots import Roots
from dedupd.ports import Clock
from dedupd.protocol.views import GroupView

if TYPE_CHECKING:
    from dedupd.adapters.fs.summary_files import SummaryFiles
    from dedupd.adapters.ledger import Ledger


class Summaries:
    """The summary logs of one library."""

    def __init__(
        self,
        ledger: Ledger,
        reviewer: Reviewer,
        log: SummaryFiles,
        settings: Settings,
        clock: Clock,
        roots: Roots,
    ) -> None:
        self._ledger, self._reviewer, self._log = ledger, reviewer, log
        self._settings, self._clock, self._roots = settings, clock, roots

    def rewrite(self, months: Mapping[int, set[str]]) -> list[MonthSummary]:
        """Count these months afresh (root id -> months) and write their logs; what could not be written is a problem."""
        counted: list[MonthSummary] = []
        model, problems = self._ledger.get("model"), self._roots.problems
        for root in self._roots.all:
            for month in sorted(m for m in months.get(root.id, ()) if m):
                summary = month_summary(
                    self._ledger, self._reviewer, self._settings, self._clock, root, month, model
                )
                problem = self._log.write(root, _year_folder(self._ledger, root, month), summary)
                problems.pop(_problem(root.id, month), None)
                if problem:
                    problems[_problem(root.id, month)] = problem
                counted.append(summary)
        logs_behind.written(self._ledger, months)
        return counted

    def is_written(self, root: int, month: str) -> bool:
        """Whether the log of a month that was counted could be written."""
        return _problem(root, month) not in self._roots.problems


def _problem(root: int, month: str) -> str:
    """What it is called among the problems of the roots."""
    return f"summary {root} {month}"


def month_summary(
    ledger: Ledger,
    reviewer: Reviewer,
    settings: Settings,
    clock: Clock,
    root: RootRow,
    month: str,
    model: str,
    only: Narrowed | None = None,
) -> MonthSummary:
    """The month of this root as its files lie now. `model`: the id of the embedder in force; `only`: its groups of
    what one scan counts.
    """
    rows = ledger.groups.all(root.id, month)
    groups = reviewer.report(rows if only is None else only.groups(root, rows))
    held = ledger.files.of_month(root.id, month, FileState.HELD)
    photos, guessed = ledger.months.count(root.id, month)
    skipped = ledger.files.of_month(root.id, month, FileState.SKIPPED)
    bars = bars_in_force(ledger, model, settings.threshold)
    return MonthSummary(
        root=root.path, month=month, photos=photos, guessed=guessed, moved_files=len(held),
        moved_groups=len({g.id for g in groups if g.moved_to}), bytes_saved=sum(f.stat.size for f in held),
        model=model, thresholds={k: v for k, v in asdict(bars).items() if k != "model"},
        keep_policy=settings.keep_policy, groups=_groups(ledger, groups),
        elsewhere=_elsewhere(ledger, reviewer, root, held, month, only),
        skipped={f.path: f.reason for f in skipped},
        left_to_compare=ledger.deferred.count(model, root.id, month),
        written_at=datetime.fromtimestamp(clock.now(), UTC).isoformat(timespec="seconds"),
    )  # fmt: skip


def _elsewhere(
    ledger: Ledger, reviewer: Reviewer, root: RootRow, held: Sequence[FileRow], month: str, only: Narrowed | None
) -> list[SummaryFile]:  # fmt: skip
    """Held files of this month whose group belongs to its keeper's month."""
    here = {f.path for f in held}
    rows = {g.id: g for f in held for g in ledger.groups.with_file(f.id) if g.month != month}
    found: list[SummaryFile] = []
    for view in reviewer.report(rows.values() if only is None else only.groups(root, rows.values())):
        paths = (p for p, to in view.moved_to.items() if to in here)
        found += [replace(_file(view, p), why=f"its keeper is {view.keep}") for p in paths]
    return found


def _groups(ledger: Ledger, views: Sequence[GroupView]) -> list[SummaryGroup]:
    """Each group, and once for each what became of the metadata of its moved copies."""
    found: list[SummaryGroup] = []
    for view in views:
        row = ledger.sidecars.of(view.id) if view.id not in {g.id for g in found} else None
        group = _group(view)
        if row is not None:
            known = row.told or from_xmp(row.text.encode()).told()
            group = replace(group, sidecar=row.path, known=known, conflicts=row.conflicts)
        found.append(group)
    return found


def _group(view: GroupView) -> SummaryGroup:
    moved = [_file(view, p) for p in view.duplicates if p in view.moved_to]
    waiting = [_file(view, p) for p in view.duplicates if p not in view.moved_to]
    return SummaryGroup(
        id=view.id, keep=view.keep, reasons=view.reasons, moved=moved, waiting=waiting,
        review=[_file(view, p) for p in view.review],
    )  # fmt: skip


def _file(view: GroupView, path: str) -> SummaryFile:
    evidence = view.evidence.get(path)
    facts = {f: getattr(evidence, f) for f in evidence.__struct_fields__} if evidence else {}
    return SummaryFile(
        path=path, to=view.moved_to.get(path, ""), relation=evidence.relation if evidence else view.relation,
        evidence=facts, why=view.why.get(path, ""), bytes=view.sizes.get(path, 0),
    )  # fmt: skip


def _year_folder(ledger: Ledger, root: RootRow, month: str) -> str:
    """The year folder the month's files lie in; '' for the root. Several: the one most files are in."""
    folders: dict[str, int] = {}
    rows = [*ledger.files.live_in_month(root.id, month)]
    rows += ledger.files.of_month(root.id, month, FileState.HELD)
    for file in rows:
        folder = year_folder(file.path, int(month[:4])) or ""
        folders[folder] = folders.get(folder, 0) + 1
    return min(folders, key=lambda f: (-folders[f], f)) if folders else ""
