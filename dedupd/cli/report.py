"""`dedupd report`: what each month came to, as Markdown, JSON, or one HTML page with pictures.

Reads; takes no lock. Must never replace a file that is no report of dedupd's.
"""

from __future__ import annotations

import argparse
import os
import stat as modes
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dedupd.adapters.clock import SystemClock
from dedupd.adapters.fs.summary_files import own_folder
from dedupd.cli.console import Progress, answer, answer_json, progress_bar
from dedupd.cli.opening import opened
from dedupd.client.connection import ask
from dedupd.config import Places
from dedupd.core.month import Month
from dedupd.core.page import MARK, page
from dedupd.core.records import RootRow
from dedupd.core.summary import MonthSummary, to_json, to_markdown
from dedupd.errors import DedupdError, ExitCode, NoDaemon, UsageError
from dedupd.library import LibraryView
from dedupd.pipeline.summarise import month_summary
from dedupd.protocol.messages import GetThumbnails, Thumbnails

_ONE_MINUTE = 60.0
_SIDE = 256
"""Pixels: 300 groups stay a page that opens at once."""


def report(arguments: argparse.Namespace) -> int:
    if arguments.output is not None and not arguments.html:
        raise UsageError("--output names the page that --html writes: add --html, or redirect the answer")
    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view:
        months = _summaries(view, arguments.month)
        if arguments.html:
            with progress_bar() as progress:
                for path, title, chosen in _pages(view, places, months, arguments):
                    look = _Pictures(view=view, socket=places.socket, progress=progress)
                    _write(path, page(title, chosen, look))
                    answer(str(path))
        elif arguments.json:
            answer_json([to_json(summary) for _, summary in months])
        else:
            for _, summary in months:
                answer(to_markdown(summary))
        if not months and not arguments.json:
            answer("no duplicates")
    return int(ExitCode.OK)


def _summaries(view: LibraryView, month: str | None) -> list[tuple[RootRow, MonthSummary]]:
    """Newest first: the month that was asked for, else each that has something to tell."""
    clock, model, roots = SystemClock(), view.ledger.get("model"), {r.path: r for r in view.roots}
    found: list[tuple[RootRow, MonthSummary]] = []
    for row in view.reviewer.months():
        if row.root in roots and row.month and month in (None, row.month):
            root = roots[row.root]
            summary = month_summary(view.ledger, view.reviewer, view.settings, clock, root, row.month, model)
            if month or summary.groups or summary.elsewhere:
                found.append((root, summary))
    return found


def _pages(
    view: LibraryView,
    places: Places,
    months: Sequence[tuple[RootRow, MonthSummary]],
    arguments: argparse.Namespace,
) -> Iterable[tuple[Path, str, list[MonthSummary]]]:
    """(file, title, months): all in the file that was named, else each beside its summary in the state folder."""
    if arguments.output is not None:
        which = Month.parse(arguments.month).label if arguments.month else "every month"
        yield arguments.output.expanduser().absolute(), f"Duplicates of {which}", [s for _, s in months]
        return
    for root, summary in months:
        folder = own_folder(places.logs, root)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield folder / f"{summary.month}.html", f"Duplicates of {Month.parse(summary.month).label}", [summary]


@dataclass(slots=True, kw_only=True)
class _Pictures:
    """Small pictures: the daemon's when one runs, else made by a worker of this command's own."""

    view: LibraryView
    socket: Path
    progress: Progress
    done: int = 0

    def __call__(self, root: str, paths: Sequence[str]) -> Mapping[str, bytes]:
        id = next(r.id for r in self.view.roots if r.path == root)
        rows = [r for path in paths if (r := self.view.ledger.inventory.file_at(id, path)) is not None]
        made = self._made([row.id for row in rows])
        self.done += len(paths)
        self.progress("picture", self.done, 0)
        return {row.path: picture for row in rows if (picture := _read(made.get(str(row.id))))}

    def _made(self, files: Sequence[int]) -> Mapping[str, str]:
        try:
            return ask(
                self.socket, GetThumbnails(files=list(files), side=_SIDE), Thumbnails, timeout=_ONE_MINUTE
            ).paths
        except NoDaemon:
            return self.view.thumbnails(files, _SIDE)


def _read(path: str | None) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError:  # the cache was emptied meanwhile
        return b""


def _write(path: Path, pieces: Iterable[str]) -> None:
    """Whole or not at all. Raises UsageError for a file that is no report, DedupdError when it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _check_ours(path)
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "w", encoding="utf-8") as out:
            out.writelines(pieces)
            out.flush()
            os.fsync(out.fileno())
        _check_ours(path)
        os.replace(draft, path)
    except OSError as error:
        raise DedupdError(
            f"the report {path} cannot be written ({error.strerror}): choose another place"
        ) from None
    finally:
        draft.unlink(missing_ok=True)


def _check_ours(path: Path) -> None:
    try:
        regular = modes.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not regular or _beginning(path) != MARK.encode():
        raise UsageError(f"{path} is there and is no report of dedupd: name another file")


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(len(MARK))
