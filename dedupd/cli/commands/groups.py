"""`dedupd groups`: the groups of duplicates and their evidence; with --json as a report."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json, parse_month, parse_positive
from dedupd.errors import ExitCode

if TYPE_CHECKING:
    from dedupd.library import LibraryView


def add(commands: Commands) -> None:
    """The options of `dedupd groups`."""
    parser = add_command(
        commands,
        "groups",
        run,
        help="the groups of duplicates, and why",
        example="dedupd groups --month 2024-06\n  dedupd groups --best 10",
        topic="reviewing",
    )
    parser.add_argument("--month", type=parse_month, metavar="YYYY-MM")
    held = parser.add_mutually_exclusive_group()
    held.add_argument(
        "--held-better",
        action="store_true",
        help="only files in duplicates/ that hold more than the photo that stayed (moved by an older dedupd)",
    )
    held.add_argument(
        "--held-changed",
        action="store_true",
        help="only photos in duplicates/ that would not move today, as something small was changed between them and the"
        " photo that stayed (moved by an older dedupd)",
    )
    parser.add_argument(
        "--best",
        type=parse_positive,
        metavar="N",
        help="only the N groups that free the most space, those first",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """With --json, print the report of DESIGN section 5, limited to one month if asked."""
    from dedupd.cli.group_lines import print_group
    from dedupd.core.month import Month
    from dedupd.library import LibraryView

    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view:
        if arguments.held_better:
            return _held_better(view, as_json=arguments.json)
        if arguments.held_changed:
            return _held_changed(view, as_json=arguments.json)
        best = None if arguments.best is None else _best(view, arguments.month, arguments.best)
        if arguments.json:
            report = view.report(arguments.month)
            if best is not None:
                by_id = {group["id"]: group for group in report["groups"]}
                report["groups"] = [by_id[id] for id in best if id in by_id]
            answer_json(report)
            return int(ExitCode.OK)
        if best is None:
            found = view.reviewer.report(view.group_rows(month=arguments.month)[0])
        else:
            found = view.reviewer.report(view.ledger.groups.by_ids(best))
            found.sort(key=lambda group: best.index(group.id))
    for group in found:
        print_group(group)
    if not found:
        answer("no duplicates" + (f" in {Month.parse(arguments.month).label}" if arguments.month else ""))
    return int(ExitCode.OK)


def _best(view: LibraryView, month: str | None, count: int) -> list[int]:
    """Ids of the groups whose duplicates take the most space, the largest first."""
    from heapq import nlargest

    months = [month] if month else sorted({counted.month for counted in view.ledger.months.all()})
    outlines = (group for each in months for group in view.outlines(each))
    return [group.id for group in nlargest(count, outlines, key=lambda group: (group.bytes, -group.id))]


def _held_better(view: LibraryView, *, as_json: bool) -> int:
    """Print what an older dedupd moved although it holds more than its keeper, and what each of the two
    holds."""
    from dataclasses import asdict

    from dedupd.core.summary import visible

    found = view.ledger.held_checks.better()
    if as_json:
        answer_json([asdict(better) for better in found])
        return int(ExitCode.OK)
    for better in found:
        answer(f"group {better.group}  {visible(better.held)}  kept: {visible(better.keeper)}")
        answer(f"    it {'; it '.join(better.only_here)}")
        if better.only_in_keeper:
            answer(f"    the kept one {'; it '.join(better.only_in_keeper)}")
    if not found:
        answer("nothing in duplicates/ holds more than the photo that stayed")
    return int(ExitCode.OK)


def _held_changed(view: LibraryView, *, as_json: bool) -> int:
    """Print what an older dedupd moved and this one would leave, and why."""
    from dataclasses import asdict

    from dedupd.core.summary import visible

    found = view.ledger.held_checks.changed()
    if as_json:
        answer_json([asdict(change) for change in found])
        return int(ExitCode.OK)
    for change in found:
        answer(f"group {change.group}  {visible(change.held)}  kept: {visible(change.keeper)}")
        answer(f"    {change.why}")
    if found:
        answer(
            "`dedupd undo PATH` puts one back, `dedupd undo --held-changed` all; `dedupd approve GROUP` leaves it there, with what else of "
            "the group is to move"
        )
    else:
        answer("no photo in duplicates/ is known to show something that the photo that stayed does not")
    return int(ExitCode.OK)
