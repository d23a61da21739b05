"""Questions and orders to the running daemon. Without a daemon a question is answered from the state; an
order fails."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

import msgspec

from dedupd.cli.console import answer, answer_json
from dedupd.cli.opening import opened
from dedupd.client.connection import ask
from dedupd.errors import ExitCode, NoDaemon
from dedupd.protocol.requests import Request
from dedupd.protocol.results import Confirmed

if TYPE_CHECKING:
    from dedupd.config import Places, Settings
    from dedupd.library import LibraryView

R = TypeVar("R", bound=msgspec.Struct)
QUICK_SECONDS = 10.0


def asked(
    settings: Settings,
    places: Places,
    request: Request,
    kind: type[R],
    read: Callable[[LibraryView], R],
    *,
    timeout: float = QUICK_SECONDS,
) -> R:
    """The daemon's answer; without a daemon, what `read` reads from the state."""
    try:
        return ask(places.socket, request, kind, timeout=timeout)
    except NoDaemon:
        from dedupd.library import LibraryView

        with closing(LibraryView(settings, places)) as view:
            return read(view)


def order(arguments: argparse.Namespace, request: Request) -> int:
    """Send an order to the daemon, and print that it was done. Raises NoDaemon when none runs."""
    _, places = opened(arguments)
    done = ask(places.socket, request, Confirmed)
    if arguments.json:
        answer_json({"message": done.message})
    else:
        answer(done.message)
    return int(ExitCode.OK)
