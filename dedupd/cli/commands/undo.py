"""`dedupd undo`: moves files back to where they were."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json, parse_month
from dedupd.errors import UsageError

if TYPE_CHECKING:
    from dedupd.config import Places, Settings
    from dedupd.library import Library, Moved

_ANSWER_SECONDS = 30.0


def add(commands: Commands) -> None:
    """The options of `dedupd undo`."""
    parser = add_command(
        commands,
        "undo",
        run,
        help="put moved files back",
        example="dedupd undo --last\n  dedupd undo --held-changed",
        topic="undo",
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="where the file was, or where it lies now")
    parser.add_argument("--last", action="store_true", help="the last batch")
    parser.add_argument("--month", type=parse_month, metavar="YYYY-MM", help="everything of this month")
    parser.add_argument("--all", action="store_true", help="everything")
    parser.add_argument(
        "--held-changed",
        action="store_true",
        help="what an older dedupd moved though something small was changed in it (`dedupd groups --held-changed` lists it)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--from",
        dest="from_root",
        type=Path,
        metavar="ROOT",
        help="from the receipts under ROOT alone, when the state is lost",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when a file could not be moved back, 3 when all moves are meant and nobody could be
    asked."""
    from dedupd.cli.acting import act, confirm, new_key
    from dedupd.protocol.requests import Undo

    if arguments.from_root is not None:
        from dedupd.cli.last_resort import undo_from

        if arguments.held_changed:
            raise UsageError(
                "receipts do not tell what was changed: name the paths, as in `dedupd undo --from ROOT PATH`"
            )
        return undo_from(arguments)
    ways = [
        bool(arguments.paths),
        arguments.last,
        bool(arguments.month),
        arguments.all,
        arguments.held_changed,
    ]
    if sum(ways) != 1:
        raise UsageError("say what to put back: paths, --last, --month YYYY-MM, --held-changed or --all")
    settings, places = opened(arguments)
    moves = _moves_of(settings, places, arguments.paths) if arguments.paths else []
    if arguments.all and not arguments.yes:
        confirm("put every moved file back")
    request = Undo(
        moves=moves, month=arguments.month, last=arguments.last, all=arguments.all,
        held_changed=arguments.held_changed, key=new_key(),
    )  # fmt: skip

    def here(library: Library) -> Moved:
        from dedupd.pipeline.undo import undo

        return undo(request, library.movement, library.purging)

    return act(arguments, request, here)


def _moves_of(settings: Settings, places: Places, paths: list[str]) -> list[int]:
    """The ids of the moves that these paths mean. Raises UsageError that names the first path without a move."""
    from dedupd.core.summary import visible

    moves: list[int] = []
    for path in paths:
        at = Path(path).expanduser().absolute()
        candidates = [path, str(at), str(at.parent.resolve() / at.name)]  # a folder may be reached by a link
        found = [move for text in candidates for move in _moves_at(settings, places, text)]
        if not found:
            raise UsageError(f"{visible(path)} is no file that dedupd moved: `dedupd groups` shows what was")
        moves += found
    return sorted(set(moves))


def _moves_at(settings: Settings, places: Places, path: str) -> list[int]:
    from dedupd.cli.asking import asked
    from dedupd.protocol.requests import Resolve
    from dedupd.protocol.results import Resolved

    request = Resolve(path=path)
    found = asked(
        settings, places, request, Resolved, lambda view: view.resolve(path), timeout=_ANSWER_SECONDS
    )
    return found.moves
