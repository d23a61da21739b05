"""`dedupd pause`: the daemon rests until it is told to go on."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, add_command, add_json


def add(commands: Commands) -> None:
    """What `dedupd pause` takes."""
    parser = add_command(
        commands,
        "pause",
        run,
        help="stop indexing and moving until `dedupd resume`",
        example="dedupd pause",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Exit 5 when no daemon runs."""
    from dedupd.cli.asking import order
    from dedupd.protocol.requests import Pause

    return order(arguments, Pause())
