"""`dedupd resume`: a daemon that was paused goes on."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, add_command, add_json


def add(commands: Commands) -> None:
    """What `dedupd resume` takes."""
    parser = add_command(
        commands,
        "resume",
        run,
        help="go on after `dedupd pause`",
        example="dedupd resume",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit 5 when no daemon runs."""
    from dedupd.cli.asking import order
    from dedupd.protocol.requests import Resume

    return order(arguments, Resume())
