"""`dedupd verify`: checks the promises on the disk as it is now."""

from __future__ import annotations

import argparse
from contextlib import closing

from dedupd.cli.console import answer, answer_json, progress_bar
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import ExitCode


def add(commands: Commands) -> None:
    """The options of `dedupd verify`."""
    parser = add_command(
        commands,
        "verify",
        run,
        help="prove the promises on the disk as it is",
        example="dedupd verify",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 0, or 1 after printing what is wrong and the command that repairs it."""
    from dataclasses import asdict

    from dedupd.adapters.clock import SystemClock
    from dedupd.adapters.fs.mover import FileMover
    from dedupd.adapters.vision.content_ids import listed
    from dedupd.core.summary import visible
    from dedupd.library import LibraryView
    from dedupd.pipeline.verify import check_index
    from dedupd.pipeline.verify import verify as breaches

    settings, places = opened(arguments)
    with closing(LibraryView(settings, places)) as view, progress_bar(quiet=arguments.json) as progress:
        held = len(view.ledger.journal.held_ids())
        receipts = FileMover(SystemClock()).receipts
        found = list(breaches(view.ledger, view.disk, receipts, view.roots, view.scope, progress))
        index = check_index(view.ledger, lambda model, recipe: listed(places.index, model, recipe))
    if arguments.json:
        answer_json({"holds": not found, "held": held, "breaches": [asdict(b) for b in found],
                     "index": asdict(index)})  # fmt: skip
    else:
        for breach in found:
            answer(
                f"{breach.promise:<4} {visible(breach.path)}: {visible(breach.told)}\n     mend: {visible(breach.mend)}"
            )
        answer(visible(str(index)))
        answer(
            f"{held} moved file(s) looked at: "
            + ("every promise holds" if not found else f"{len(found)} do not hold")
        )
    return int(ExitCode.FAILED if found else ExitCode.OK)
