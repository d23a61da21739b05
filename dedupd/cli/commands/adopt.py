"""`dedupd adopt`: takes the rows of a backfill into this library's index."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json, progress_bar, tell
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import AlreadyRunning, ExitCode

if TYPE_CHECKING:
    from dedupd.core.adoption import Adoption


def add(commands: Commands) -> None:
    """The options of `dedupd adopt`."""
    parser = add_command(
        commands,
        "adopt",
        run,
        help="take the rows of a backfill into this library's index, so that the next scan decodes none of those photos",
        example="dedupd adopt /mnt/archive/rows",
        topic="archives",
    )
    parser.add_argument(
        "place", metavar="URI", help="what `dedupd backfill --to` wrote to: a folder, or s3://BUCKET/PREFIX"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when rows were refused, 4 beside a running daemon."""
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.cli.opening import opened
    from dedupd.library import Library

    settings, places = opened(arguments)
    try:
        with (
            lock_library(places, settings.roots) as locks,
            Library(settings, places, locks=locks) as library,
            progress_bar(quiet=arguments.json) as progress,
        ):
            adoption = library.adopt(arguments.place, on_progress=progress)
    except AlreadyRunning as busy:
        raise AlreadyRunning(f"{busy} (rows are taken in while nothing else works on the index)") from None
    if arguments.json:
        answer_json(
            {
                "taken": adoption.taken, "held": adoption.held, "refused": adoption.refused,
                "damaged": adoption.damaged, "damaged_files": adoption.damaged_files,
                "other_models": adoption.strangers, "pairs": adoption.pairs, "pairs_left": adoption.pairs_left,
            }
        )  # fmt: skip
    else:
        _print(adoption)
    return int(ExitCode.OK if adoption.complete else ExitCode.FAILED)


def _print(adoption: Adoption) -> None:
    from dedupd.core.summary import visible

    for sentence in adoption.damaged:
        tell(f"note: {visible(sentence)}")
    if adoption.damaged_files:
        tell(
            f"{adoption.damaged_files} file(s) of rows are damaged: delete them there, and run the same backfill again"
        )
    for reason, count in sorted(adoption.refused.items()):
        tell(f"note: {count} row(s) refused: {reason}")
    if adoption.strangers:
        tell(f"left there: rows of {visible(', '.join(adoption.strangers))}")
    if adoption.pairs_left:
        tell(
            f"note: the pairs there are not taken in ({visible(adoption.pairs_left)}): the next scan searches by itself"
        )
    answer(f"{adoption.taken} row(s) taken in, {adoption.held} held already")
    if adoption.pairs:
        answer(
            f"{adoption.pairs} pair(s) of them may be near: the next scan does not search among these rows"
        )
