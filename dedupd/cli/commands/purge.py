"""`dedupd purge`: puts what has lain in duplicates/ for long into the desktop's trash; asks each time.

`--reflink` is the milder choice: files that equal the kept photo byte for byte stay, and share its space on
the disk.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dedupd.cli.options import Commands, add_command, add_json, parse_month
from dedupd.errors import AlreadyRunning, ConsentNeeded, ExitCode, NoDaemon

if TYPE_CHECKING:
    from dedupd.config import Places, Settings
    from dedupd.core.purging import Purgeable
    from dedupd.library import Moved

_DAYS = {"d": 1, "w": 7, "y": 365}
_DAY_SECONDS = 86_400.0


class _Way(NamedTuple):
    """The words for one of the two choices."""

    do: str
    may: str
    nothing: str
    stay: str


_TRASH = _Way(
    do="put {} file(s) into the trash",
    may="may go into the trash; the photo kept for each is read once more before it goes.",
    nothing="Nothing in duplicates/ may go into the trash.",
    stay="stay in duplicates/",
)
_REFLINK = _Way(
    do="let {} file(s) share the disk space of the photo kept",
    may="may share the disk space of the photo kept; they stay in duplicates/, and a bad spot on the disk then hits both.",
    nothing="Nothing in duplicates/ can share the disk space of the photo kept.",
    stay="keep their own space",
)


def add(commands: Commands) -> None:
    """The options of `dedupd purge`."""
    parser = add_command(
        commands,
        "purge",
        run,
        help="put long-held duplicates into the desktop's trash, or let them share the disk space of the photo kept",
        example="dedupd purge --older-than 90d --dry-run\n  dedupd purge --older-than 1d --reflink",
        topic="undo",
    )
    parser.add_argument(
        "--older-than",
        required=True,
        type=parse_age,
        metavar="AGE",
        help="held for at least so long: 90d, 12w, 1y",
    )
    parser.add_argument("--month", type=parse_month, metavar="YYYY-MM", help="of this month's photos alone")
    parser.add_argument("--dry-run", action="store_true", help="list what would go, and change nothing")
    parser.add_argument(
        "--reflink",
        action="store_true",
        help="in place of the trash: copies of the very same bytes stay in duplicates/ and share the disk space of the photo "
        "kept, once the kernel has compared both (Linux with btrfs or XFS); nothing else of them changes",
    )
    parser.add_argument(
        "--confirm",
        type=int,
        metavar="N",
        help="for scripts, in place of the typed yes: how many files a dry run listed; with another number nothing goes",
    )
    add_json(parser)


def parse_age(text: str) -> float:
    """The seconds in '90d', '12w', '1y'."""
    found = re.fullmatch(r"([0-9]{1,5})([dwy])", text)
    if found is None or int(found[1]) < 1:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no age: say days, weeks or years, such as 90d, 12w or 1y"
        )
    return int(found[1]) * _DAYS[found[2]] * _DAY_SECONDS


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when a listed file stayed, 3 without a yes, 4 beside a running daemon."""
    from dedupd.cli.opening import opened_for_acting

    settings, places = opened_for_acting(arguments)
    found = _candidates(settings, places, arguments)
    going = [c for c in found if not c.why_not]
    if not arguments.json:
        _show(found, going, _REFLINK if arguments.reflink else _TRASH)
    if arguments.dry_run or not going:
        if arguments.json:
            _answer_json(found, None)
        return int(ExitCode.OK)
    if arguments.reflink:
        _confirmed(arguments, going, _REFLINK)
        return _share(arguments, found, going)
    _no_daemon(places)
    _confirmed(arguments, going, _TRASH)
    moved = _purge(settings, places, [c.move.id for c in going], arguments.older_than)
    if arguments.json:
        _answer_json(found, moved)
    else:
        _told(moved)
    return int(ExitCode.FAILED if moved.stayed else ExitCode.OK)


def _candidates(settings: Settings, places: Places, arguments: argparse.Namespace) -> list[Purgeable]:
    """The files that may go: which ones, as the state says; whether their disk has a trash, as the disk says."""
    from dedupd.adapters.clock import SystemClock
    from dedupd.adapters.fs.discarding import Discarder
    from dedupd.adapters.fs.mover import FileMover
    from dedupd.adapters.fs.sharing import BlockSharing
    from dedupd.library import LibraryView
    from dedupd.pipeline.purge import Plan
    from dedupd.pipeline.share_space import shareable

    clock = SystemClock()
    discarder = Discarder(FileMover(clock))
    with closing(LibraryView(settings, places)) as view:
        plan = Plan(view.ledger, settings, view.roots)
        found = plan.candidates(clock.now() - arguments.older_than, arguments.month)
        if arguments.reflink:
            return shareable(found, BlockSharing())
        problems = {root: discarder.problem(root) for root in {c.move.root for c in found}}
    return [c if c.why_not else replace(c, why_not=problems[c.move.root]) for c in found]


def _show(found: Sequence[Purgeable], going: Sequence[Purgeable], way: _Way) -> None:
    from dedupd.cli.console import answer
    from dedupd.core.summary import human_bytes, visible

    for c in going:
        answer(
            f"{human_bytes(c.move.size):>9}  {visible(c.move.dst)}  ({c.move.relation}; keeps {visible(c.stands)})"
        )
    stays: dict[str, list[Purgeable]] = {}
    for c in found:
        if c.why_not:
            stays.setdefault(c.why_not, []).append(c)
    for why, some in stays.items():
        answer(f"{way.stay}: {len(some)} file(s), first {visible(some[0].move.dst)}: {visible(why)}")
    size = human_bytes(sum(c.move.size for c in going))
    answer(f"{len(going)} file(s) ({size}) {way.may}" if going else way.nothing)


def _no_daemon(places: Places) -> None:
    """Raises AlreadyRunning when a daemon runs: it owns these folders, and as a service its sandbox has no
    access to the trash."""
    from dedupd.client.connection import ask
    from dedupd.protocol.requests import GetStatus
    from dedupd.protocol.views import StatusView

    try:
        ask(places.socket, GetStatus(), StatusView, timeout=10.0)
    except NoDaemon:
        return
    raise AlreadyRunning(
        "a daemon looks after these folders and cannot reach the trash itself: stop it "
        "(`systemctl --user stop dedupd`, or Ctrl-C), purge, and start it again"
    )


def _confirmed(arguments: argparse.Namespace, going: Sequence[Purgeable], way: _Way) -> None:
    """Ask for a typed yes; a script gives the number of files instead. Raises ConsentNeeded."""
    from dedupd.cli.console import can_ask, types

    if arguments.confirm is not None:
        if arguments.confirm != len(going):
            raise ConsentNeeded(
                f"--confirm {arguments.confirm} was said, and it is {len(going)} file(s): nothing was done, "
                "look at them with --dry-run"
            )
        return
    if not can_ask():
        raise ConsentNeeded(
            f"this is to {way.do.format(len(going))}, and nobody can be asked: look at them with --dry-run, "
            f"then say --confirm {len(going)}"
        )
    question = way.do.format(f"these {len(going)}")
    if not types(f"{question[0].upper()}{question[1:]}? Type yes in full:", "yes"):
        raise ConsentNeeded("nothing was done")


def _purge(settings: Settings, places: Places, ids: Sequence[int], age: float) -> Moved:
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.cli.console import progress_bar
    from dedupd.library import Library

    with (
        lock_library(places, settings.roots) as locks,
        Library(settings, places, locks=locks) as library,
        progress_bar() as progress,
    ):
        library.recover()
        library.roots.reconcile()
        moved = library.purging.purge(ids, age, on_progress=progress)
        library.summaries.rewrite(library.movement.months_of(moved, {}))
    return moved


def _share(arguments: argparse.Namespace, found: Sequence[Purgeable], going: Sequence[Purgeable]) -> int:
    """Share disk space. Returns exit code 1 when a file keeps its own space. It takes no lock, because
    nothing changes that another process reads."""
    from dedupd.adapters.fs.sharing import BlockSharing
    from dedupd.cli.console import answer, progress_bar, tell
    from dedupd.core.attention import gathered
    from dedupd.core.summary import human_bytes, visible
    from dedupd.pipeline.share_space import share_space

    with progress_bar(quiet=arguments.json) as progress:
        shared = share_space(going, BlockSharing(), progress)
    messages = gathered(shared.troubles)
    if arguments.json:
        told = {"shared": shared.files, "shared_bytes": shared.bytes, "stayed": len(shared.troubles)}
        _answer_json(found, None, **told, messages=messages)
    else:
        for message in messages:
            tell(f"note: {visible(message)}")
        answer(
            f"{shared.files} file(s) ({human_bytes(shared.bytes)}) share the disk space of the photo kept."
        )
    return int(ExitCode.FAILED if shared.troubles else ExitCode.OK)


def _told(moved: Moved) -> None:
    from dedupd.cli.console import answer, tell
    from dedupd.core.summary import visible

    for message in moved.messages:
        tell(f"note: {visible(message)}")
    answer(f"Put {moved.purged} file(s) into the trash.")
    if moved.purged:
        tell("`dedupd undo PATH` brings one back for as long as the trash keeps it.")


def _answer_json(found: Sequence[Purgeable], moved: Moved | None, **more: Any) -> None:
    from dedupd.cli.console import answer_json

    def listed(c: Purgeable) -> dict[str, Any]:
        move = c.move
        told = {"id": move.id, "root": move.root, "path": move.dst, "was": move.src, "keeper": c.stands,
                "relation": c.move.relation}  # fmt: skip
        return told | {"bytes": move.size, "month": c.month, "moved_at": move.at}

    going = [c for c in found if not c.why_not]
    value: dict[str, Any] = {
        "files": [listed(c) for c in going],
        "stay": [listed(c) | {"reason": c.why_not} for c in found if c.why_not],
        "total": len(going),
        "bytes": sum(c.move.size for c in going),
        "purged": moved.purged if moved else 0,
        "stayed": moved.stayed if moved else 0,
        "messages": moved.messages if moved else [],
    }
    answer_json(value | more)
