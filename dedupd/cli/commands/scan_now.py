"""`dedupd scan-now`: the daemon reconciles every root now, without waiting for its schedule."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, add_command, add_json


def add(commands: Commands) -> None:
    """The options of `dedupd scan-now`."""
    parser = add_command(
        commands,
        "scan-now",
        run,
        help="look at every folder now",
        example="dedupd scan-now",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 5 when no daemon runs."""
    from dedupd.cli.asking import order
    from dedupd.protocol.requests import ScanNow

    return order(arguments, ScanNow())
