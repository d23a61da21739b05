"""`dedupd pause`: the daemon pauses, until it is resumed or for a given time."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, add_command, add_json


def add(commands: Commands) -> None:
    """The options of `dedupd pause`."""
    parser = add_command(
        commands,
        "pause",
        run,
        help="stop indexing and moving until `dedupd resume`, or for a while",
        example="dedupd pause 2h",
    )
    parser.add_argument(
        "length",
        nargs="?",
        type=_length,
        metavar="LENGTH",
        help="go on by itself after this long, as 30m, 2h, 1h30m or 1d (default: not before `dedupd resume`)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 5 when no daemon runs."""
    from dedupd.cli.asking import order
    from dedupd.protocol.requests import Pause

    return order(arguments, Pause(seconds=arguments.length))


def _length(text: str) -> float:
    from dedupd.core.politeness import seconds_of

    try:
        return seconds_of(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"not a length of time: {text}; give it as 30m, 2h or 1d") from None
