"""`dedupd months`: one line for each month."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import ExitCode

if TYPE_CHECKING:
    from dedupd.library import LibraryView
    from dedupd.protocol.views import MonthView


def add(commands: Commands) -> None:
    """The options of `dedupd months`."""
    parser = add_command(
        commands,
        "months",
        run,
        help="the months, with their photos, groups and savings",
        example="dedupd months --json",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print every month, page after page."""
    import msgspec

    from dedupd.cli.asking import asked
    from dedupd.protocol.requests import GetMonths
    from dedupd.protocol.results import MonthsPage

    settings, places = opened(arguments)
    found: list[MonthView] = []
    offset: int | None = 0
    while offset is not None:

        def rest(state: LibraryView, offset: int = offset) -> MonthsPage:
            return MonthsPage(months=state.reviewer.months()[offset:])

        page = asked(settings, places, GetMonths(offset=offset), MonthsPage, rest)
        found += page.months
        offset = page.next_offset
    if arguments.json:
        answer_json([msgspec.to_builtins(m) for m in found])
        return int(ExitCode.OK)
    answer(f"{'month':<9}{'photos':>8}{'groups':>8}{'waiting':>9}{'moved':>7}{'saved':>11}")
    for month in found:
        answer(_line(month))
    return int(ExitCode.OK)


def _line(month: MonthView) -> str:
    from dedupd.core.month import Month
    from dedupd.core.summary import human_bytes

    marks = ("  changed" if month.changed else "") + (
        f"  {month.guessed} dated by file time only" if month.guessed else ""
    )
    return (
        f"{Month.parse(month.month).label:<9}{month.photos:>8}{month.groups:>8}{month.waiting:>9}{month.moved:>7}"
        f"{human_bytes(month.bytes_saved):>11}{marks}"
    )
