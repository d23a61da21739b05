"""`dedupd report`: the result of each month, as Markdown, JSON, or one HTML page with pictures.

Only reads; takes no lock. Must never replace a file that is no report of dedupd's.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json, progress_bar
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json, parse_month
from dedupd.cli.reports import SmallPictures, summaries, write_report
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.config import Places
    from dedupd.core.records import RootRow
    from dedupd.core.summary import MonthSummary
    from dedupd.library import LibraryView


def add(commands: Commands) -> None:
    """The options of `dedupd report`."""
    parser = add_command(
        commands,
        "report",
        run,
        help="what each month came to: kept, moved and waiting files, with the evidence",
        example="dedupd report --html --month 2024-06 --output june.html",
        topic="scanning",
    )
    parser.add_argument(
        "--month", type=parse_month, metavar="YYYY-MM", help="only this month (default: each with duplicates)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="one page for all (default: one a month, beside its summary in the state folder)",
    )
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--html", action="store_true", help="a page with pictures that needs no other file")
    add_json(shape)


def run(arguments: argparse.Namespace) -> int:
    """Print the months, or write their pages and print where they are."""
    from dedupd.core.page import page
    from dedupd.core.summary import to_json, to_markdown
    from dedupd.library import LibraryView

    if arguments.output is not None and not arguments.html:
        raise UsageError("--output names the page that --html writes: add --html, or redirect the answer")
    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view:
        months = summaries(view, arguments.month)
        if arguments.html:
            with progress_bar() as progress:
                for path, title, chosen in _pages(view, places, months, arguments):
                    look = SmallPictures(view, places.socket, progress)
                    write_report(path, page(title, chosen, look))
                    answer(str(path))
        elif arguments.json:
            answer_json([to_json(summary) for _, summary in months])
        else:
            for _, summary in months:
                answer(to_markdown(summary))
        if not months and not arguments.json:
            answer("no duplicates")
    return int(ExitCode.OK)


def _pages(
    view: LibraryView,
    places: Places,
    months: Sequence[tuple[RootRow, MonthSummary]],
    arguments: argparse.Namespace,
) -> Iterable[tuple[Path, str, list[MonthSummary]]]:
    """(file, title, months) of each page: one page in the file that was named, or one for each month beside
    its summary in the state folder."""
    from dedupd.adapters.fs.summary_files import own_folder
    from dedupd.core.month import Month

    if arguments.output is not None:
        which = Month.parse(arguments.month).label if arguments.month else "every month"
        yield arguments.output.expanduser().absolute(), f"Duplicates of {which}", [s for _, s in months]
        return
    for root, summary in months:
        folder = own_folder(places.logs, root)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        yield folder / f"{summary.month}.html", f"Duplicates of {Month.parse(summary.month).label}", [summary]
