"""approve, reject, undo, pause, resume, scan-now: done by the running daemon, or here under the lock."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import msgspec

from dedupd.adapters.fs.lock import hold
from dedupd.cli.console import answer, answer_json, can_ask, says_yes, tell
from dedupd.cli.opening import opened, opened_for_acting
from dedupd.cli.stopping import telling_what_moved
from dedupd.client.connection import ask
from dedupd.config import Places, Settings
from dedupd.core.summary import visible
from dedupd.errors import ConsentNeeded, ExitCode, NoDaemon, UsageError
from dedupd.library import Library, LibraryView, Moved
from dedupd.protocol.messages import (
    Acted,
    Approve,
    Done,
    Exchange,
    GroupRef,
    Pause,
    Reject,
    Request,
    Resolve,
    Resolved,
    Resume,
    ScanNow,
    Undo,
)  # fmt: skip


def approve(arguments: argparse.Namespace) -> int:
    ids = list(arguments.groups)
    if arguments.all and (ids or arguments.held_better):
        raise UsageError("--all stands alone: it is the yes to all that is proposed")
    if not (ids or arguments.all or arguments.held_better):
        raise UsageError("name the groups to approve, as in `dedupd approve 12 15`, or say --all")
    refs, key = _refs(ids), _key()
    yes: Request = Approve(groups=refs, all=arguments.all, key=key)
    if arguments.held_better:
        yes = Exchange(groups=refs, key=key)

    def here(library: Library) -> Moved:
        if arguments.held_better:
            return library.exchange(ids or None)
        return library.approve_all() if arguments.all else library.approve(ids)

    return _act(arguments, yes, here)


def reject(arguments: argparse.Namespace) -> int:
    ids = list(arguments.groups)
    return _act(arguments, Reject(groups=_refs(ids), key=_key()), lambda library: library.reject(ids))


def undo(arguments: argparse.Namespace) -> int:
    if arguments.from_root is not None:
        from dedupd.cli.last_resort import undo_from

        return undo_from(arguments)
    ways = [bool(arguments.paths), arguments.last, bool(arguments.month), arguments.all]
    if sum(ways) != 1:
        raise UsageError("say what to put back: paths, --last, --month YYYY-MM or --all")
    settings, places = opened(arguments)
    moves = _moves_of(settings, places, arguments.paths) if arguments.paths else []
    if arguments.all and not arguments.yes:
        confirm("put every moved file back")
    request = Undo(moves=moves, month=arguments.month, last=arguments.last, all=arguments.all, key=_key())

    def here(library: Library) -> Moved:
        return library.undo(
            library.held(
                month=arguments.month, last=arguments.last, everything=arguments.all, ids=moves or None
            )
        )

    return _act(arguments, request, here)


def _moves_of(settings: Settings, places: Places, paths: list[str]) -> list[int]:
    """Ids of the moves these paths mean. Raises UsageError naming the first that means none."""
    moves: list[int] = []
    for path in paths:
        at = Path(path).expanduser().absolute()
        candidates = [path, str(at), str(at.parent.resolve() / at.name)]  # a folder may be reached by a link
        found = [move for text in candidates for move in _resolve(settings, places, text).moves]
        if not found:
            raise UsageError(f"{visible(path)} is no file that dedupd moved: `dedupd groups` shows what was")
        moves += found
    return sorted(set(moves))


def _resolve(settings: Settings, places: Places, path: str) -> Resolved:
    try:
        return ask(places.socket, Resolve(path=path), Resolved)
    except NoDaemon:
        with closing(LibraryView(settings, places)) as view:
            return view.resolve(path)


def confirm(what: str) -> None:
    """Ask a person. Raises ConsentNeeded without a yes."""
    if not can_ask():
        raise ConsentNeeded(f"this would {what}, and nobody can be asked: add --yes")
    if not says_yes(f"This will {what}. Go on?"):
        raise ConsentNeeded("nothing was done")


def _act(arguments: argparse.Namespace, request: Request, here: Callable[[Library], Moved]) -> int:
    """By the daemon when one runs; else here, under the lock, with the summaries rewritten."""
    settings, places = opened_for_acting(arguments)
    try:
        acted = ask(places.socket, request, Acted, timeout=None)
    except NoDaemon:
        with (
            hold(places, settings.roots) as locks,
            Library(settings, places, locks=locks) as library,
            telling_what_moved(library),
        ):
            library.recover()
            library.reconcile()
            moved, lessons = library.taught_by(here)
            library.summarise(library.months_of(moved, library.cluster()))
            acted = Acted(
                moved=moved.files, restored=moved.restored, messages=list(moved.messages), moves=[m.id for m in moved.moves],
                lessons=lessons, stayed=moved.stayed,
            )  # fmt: skip
    if arguments.json:
        answer_json(msgspec.to_builtins(acted))
    else:
        _print(acted)
    nothing_done = acted.messages and not (acted.moved or acted.restored)
    return int(ExitCode.FAILED if acted.stayed or nothing_done else ExitCode.OK)


def _print(acted: Acted) -> None:
    for message in acted.messages:
        tell(f"note: {visible(message)}")
    done = [f"moved {acted.moved} file(s)"] * bool(acted.moved) + [
        f"put {acted.restored} file(s) back"
    ] * bool(acted.restored)
    answer((", ".join(done) or "done, no file moved").capitalize() + ".")


def _refs(ids: list[int]) -> list[GroupRef]:
    return [GroupRef(id=id) for id in ids]


def _key() -> str:
    return uuid.uuid4().hex


def pause(arguments: argparse.Namespace) -> int:
    return _tell_daemon(arguments, Pause())


def resume(arguments: argparse.Namespace) -> int:
    return _tell_daemon(arguments, Resume())


def scan_now(arguments: argparse.Namespace) -> int:
    return _tell_daemon(arguments, ScanNow())


def _tell_daemon(arguments: argparse.Namespace, request: Request) -> int:
    _, places = opened(arguments)
    done = ask(places.socket, request, Done)
    if arguments.json:
        answer_json({"message": done.message})
    else:
        answer(done.message)
    return int(ExitCode.OK)
