"""Reports as files and as answers: their form, which file one may replace, and the pictures of a page.

Must never replace a file that is no report of dedupd's: a typing error must not cost a photo (P3).
"""

from __future__ import annotations

import json
import os
import stat as modes
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.errors import DedupdError, NoDaemon, UsageError

if TYPE_CHECKING:
    from dedupd.core.narrowing import Narrowing
    from dedupd.core.records import RootRow
    from dedupd.core.summary import MonthSummary
    from dedupd.library import LibraryView
    from dedupd.progress_bars import Progress

FORMATS = ("text", "json", "csv", "html")
_BY_SUFFIX = {".json": "json", ".csv": "csv", ".html": "html", ".htm": "html", ".txt": "text"}
_JSON_MARK = '{\n "generated_at"'
_ONE_MINUTE = 60.0
_SIDE = 256
"""Pixels of a picture's long side: a page of 300 groups still opens at once."""


def format_of(path: Path, given: str | None) -> str:
    """The form of a report: by the name of its file, else as was asked for, else JSON."""
    return _BY_SUFFIX.get(path.suffix.lower()) or given or "json"


def report_in(
    form: str, view: LibraryView, socket: Path, narrowing: Narrowing, progress: Progress
) -> Iterator[str]:
    """The report of a scan of this library, piece by piece."""
    from dedupd.core.page import page
    from dedupd.core.report_forms import to_csv, to_text

    only = view.narrowed(narrowing)
    if form == "html":
        months = summaries(view, narrowing=narrowing)
        yield from page(
            "Duplicates", [summary for _, summary in months], SmallPictures(view, socket, progress)
        )
        return
    report = view.report(only=only)
    if form == "json":
        yield json.dumps(report, indent=1, ensure_ascii=True) + "\n"
    else:
        yield from to_csv(report, view.size) if form == "csv" else to_text(report)


def summaries(
    view: LibraryView, month: str | None = None, narrowing: Narrowing | None = None
) -> list[tuple[RootRow, MonthSummary]]:
    """Summaries of months, newest first: of the month that was asked for, else of each that has something to
    report."""
    from dedupd.adapters.clock import SystemClock
    from dedupd.pipeline.summarise import month_summary

    clock, model, roots = SystemClock(), view.ledger.get("model"), {r.path: r for r in view.roots}
    only = None if narrowing is None else view.narrowed(narrowing)
    found: list[tuple[RootRow, MonthSummary]] = []
    for row in view.reviewer.months():
        if row.root in roots and row.month and month in (None, row.month):
            root = roots[row.root]
            summary = month_summary(
                view.ledger, view.reviewer, view.settings, clock, root, row.month, model, only
            )
            if month or summary.groups or summary.elsewhere:
                found.append((root, summary))
    return found


class SmallPictures:
    """Makes small pictures: through the daemon when one runs, else with a worker of this command."""

    def __init__(self, view: LibraryView, socket: Path, progress: Progress) -> None:
        self._view, self._socket, self._progress = view, socket, progress
        self._done = 0

    def __call__(self, root: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        id = next(r.id for r in self._view.roots if r.path == root)
        rows = [r for path in paths if (r := self._view.ledger.files.at(id, path)) is not None]
        made = self._made([row.id for row in rows])
        self._done += len(paths)
        self._progress("picture", self._done, 0)
        return {row.path: picture for row in rows if (picture := _read(made.get(str(row.id))))}

    def _made(self, files: Sequence[int]) -> Mapping[str, str]:
        from dedupd.client.connection import ask
        from dedupd.protocol.requests import GetThumbnails
        from dedupd.protocol.results import Thumbnails

        try:
            return ask(
                self._socket, GetThumbnails(files=list(files), side=_SIDE), Thumbnails, timeout=_ONE_MINUTE
            ).paths
        except NoDaemon:
            return self._view.thumbnails(files, _SIDE)


def _read(path: str | None) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:  # the cache was emptied meanwhile
        return b""


def write_report(path: Path, pieces: Iterable[str]) -> None:
    """Write the report; when it fails, the old file stays. Raises UsageError for a file that is no report,
    DedupdError when it cannot be written."""
    from dedupd.drafts import draft_of

    def act() -> None:
        _check_ours(path)
        with draft_of(path, 0o666) as draft:
            draft.write(piece.encode("utf-8", "backslashreplace") for piece in pieces)
            draft.sync()
            _check_ours(path)
            draft.replace()

    _telling(path, act)


def check_report(path: Path) -> None:
    """Check before long work that the report can be written: raises UsageError for a file that is no report,
    DedupdError when its folder cannot be written."""

    def act() -> None:
        _check_ours(path)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            os.listdir(path.parent)  # it says why, if it is not for the lack of the right to write
            raise PermissionError(13, os.strerror(13))

    _telling(path, act)


def _telling(path: Path, act: Callable[[], None]) -> None:
    try:
        act()
    except OSError as error:
        raise DedupdError(
            f"the report {path} cannot be written ({error.strerror}): choose another place"
        ) from None


def _check_ours(path: Path) -> None:
    """Check that the file is an earlier report or empty: a report replaces nothing else."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not modes.S_ISREG(found.st_mode) or (found.st_size and not _is_report(path)):
        raise UsageError(f"{path} is there and is no report of dedupd: name another file")


def _is_report(path: Path) -> bool:
    from dedupd.core.page import MARK
    from dedupd.core.report_forms import CSV_MARK, TEXT_MARK

    marks = [mark.encode() for mark in (_JSON_MARK, MARK, CSV_MARK, TEXT_MARK)]
    with path.open("rb") as file:
        beginning = file.read(max(map(len, marks)))
    return any(beginning.startswith(mark) for mark in marks)
