"""`dedupd resume`: ends the pause of a daemon."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, add_command, add_json


def add(commands: Commands) -> None:
    """The options of `dedupd resume`."""
    parser = add_command(
        commands,
        "resume",
        run,
        help="go on after `dedupd pause`",
        example="dedupd resume",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 5 when no daemon runs."""
    from dedupd.cli.asking import order
    from dedupd.protocol.requests import Resume

    return order(arguments, Resume())
