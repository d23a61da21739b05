"""`dedupd approve`: a person agrees; the duplicates of these groups move."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import UsageError

if TYPE_CHECKING:
    from dedupd.library import Library, Moved
    from dedupd.protocol.requests import Request


def add(commands: Commands) -> None:
    """The options of `dedupd approve`."""
    parser = add_command(
        commands,
        "approve",
        run,
        help="say yes: the duplicates of these groups move",
        example="dedupd approve 12 15",
    )
    parser.add_argument("groups", nargs="*", type=int, metavar="GROUP")
    parser.add_argument(
        "--all",
        action="store_true",
        help="everything proposed moves, and these folders need no first yes again",
    )
    parser.add_argument(
        "--held-better",
        action="store_true",
        help="what an older dedupd moved though it holds more than the photo that stayed comes back, and the lesser one"
        " moves aside (of these groups, or of all)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when a file could not move. Raises UsageError when it is not clear which groups are
    meant."""
    from dedupd.cli.acting import act, group_refs, new_key
    from dedupd.protocol.requests import Approve, Exchange

    ids = list(arguments.groups)
    if arguments.all and (ids or arguments.held_better):
        raise UsageError("--all stands alone: it is the yes to all that is proposed")
    if not (ids or arguments.all or arguments.held_better):
        raise UsageError("name the groups to approve, as in `dedupd approve 12 15`, or say --all")
    refs, key = group_refs(ids), new_key()
    yes: Request = Approve(groups=refs, all=arguments.all, key=key)
    if arguments.held_better:
        yes = Exchange(groups=refs, key=key)

    def here(library: Library) -> Moved:
        if arguments.held_better:
            return library.verdicts.exchange(ids or None)
        return library.verdicts.approve_all() if arguments.all else library.verdicts.approve(ids)

    return act(arguments, yes, here)
