"""How approve, reject and undo act: through the running daemon; without one in this process, under the lock,
and the summaries are rewritten."""

from __future__ import annotations

import argparse
import uuid
from collections.abc import Callable

import msgspec

from dedupd.adapters.fs.lock import lock_library
from dedupd.cli.console import answer, answer_json, can_ask, says_yes, tell
from dedupd.cli.opening import opened_for_acting
from dedupd.cli.stopping import telling_what_moved
from dedupd.client.connection import ask
from dedupd.core.summary import visible
from dedupd.errors import ConsentNeeded, ExitCode, NoDaemon
from dedupd.library import Library, Moved
from dedupd.protocol.requests import GroupRef, Request
from dedupd.protocol.results import Acted


def act(arguments: argparse.Namespace, request: Request, here: Callable[[Library], Moved]) -> int:
    """Send `request` to the daemon, or do `here` without one. Returns exit code 1 when a file stayed or
    nothing could be done."""
    settings, places = opened_for_acting(arguments)
    try:
        acted = ask(places.socket, request, Acted, timeout=None)
    except NoDaemon:
        with (
            lock_library(places, settings.roots) as locks,
            Library(settings, places, locks=locks) as library,
            telling_what_moved(library),
        ):
            library.recover()
            library.roots.reconcile()
            moved, lessons = library.verdicts.recording(lambda: here(library))
            library.summaries.rewrite(library.movement.months_of(moved, library.grouper.regroup()))
            acted = Acted(
                moved=moved.files, restored=moved.undone, messages=list(moved.messages), moves=[m.id for m in moved.moves],
                lessons=lessons, stayed=moved.stayed,
            )  # fmt: skip
    if arguments.json:
        answer_json(msgspec.to_builtins(acted))
    else:
        _print(acted)
    nothing_done = acted.messages and not (acted.moved or acted.restored)
    return int(ExitCode.FAILED if acted.stayed or nothing_done else ExitCode.OK)


def confirm(what: str) -> None:
    """Ask a person for a yes. Raises ConsentNeeded without one."""
    if not can_ask():
        raise ConsentNeeded(f"this would {what}, and nobody can be asked: add --yes")
    if not says_yes(f"This will {what}. Go on?"):
        raise ConsentNeeded("nothing was done")


def group_refs(ids: list[int]) -> list[GroupRef]:
    """Groups in the form that a request needs."""
    return [GroupRef(id=id) for id in ids]


def new_key() -> str:
    """An idempotency key for one request: the daemon does it once, however often it arrives."""
    return uuid.uuid4().hex


def _print(acted: Acted) -> None:
    for message in acted.messages:
        tell(f"note: {visible(message)}")
    done = [f"moved {acted.moved} file(s)"] * bool(acted.moved) + [
        f"put {acted.restored} file(s) back"
    ] * bool(acted.restored)
    answer((", ".join(done) or "done, no file moved").capitalize() + ".")
