"""`dedupd reject`: a person disagrees; these photos are never proposed as duplicates again."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, add_command, add_json


def add(commands: Commands) -> None:
    """The options of `dedupd reject`."""
    parser = add_command(
        commands,
        "reject",
        run,
        help="say no: these are no duplicates, for ever",
        example="dedupd reject 12",
    )
    parser.add_argument("groups", nargs="+", type=int, metavar="GROUP")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when nothing could be done."""
    from dedupd.cli.acting import act, group_refs, new_key
    from dedupd.protocol.requests import Reject

    ids = list(arguments.groups)
    return act(
        arguments, Reject(groups=group_refs(ids), key=new_key()), lambda library: library.verdicts.reject(ids)
    )
