"""What happens when a person or the system stops a command: Ctrl-C, SIGTERM, a closed terminal.

Owns the sentences. Must never end the process itself: the running code is unwound by an exception, so that
locks, transactions and temporary folders are cleaned up.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from dedupd.errors import StateError

if TYPE_CHECKING:
    from types import FrameType

    from dedupd.library import Library

_STOPS = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """Raised like Ctrl-C. Its text says what a person should know; '' for the usual sentence."""

    def __init__(self, text: str, number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.number = number


@contextmanager
def stoppable() -> Generator[None]:
    """Inside, SIGTERM and SIGHUP raise `Stopped`. A signal that is ignored (nohup) stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _STOPS if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped("", number)


def ended(stop: KeyboardInterrupt) -> tuple[str, int]:
    """The sentence and the exit status of a command that was stopped."""
    number = stop.number if isinstance(stop, Stopped) else signal.SIGINT
    return f"stopped; {str(stop) or 'nothing is lost, run it again to go on'}", 128 + number


@contextmanager
def telling_what_moved(library: Library) -> Generator[None]:
    """When stopped inside, or ended by a full disk, the sentence says how many files this command had moved,
    and the command that undoes it."""
    since = library.clock.now()
    try:
        yield
    except KeyboardInterrupt as stop:
        told = _what_moved(library, since)
        if not told:
            raise
        text = "; ".join([*told, "run it again to go on"])
        raise Stopped(text, stop.number if isinstance(stop, Stopped) else signal.SIGINT) from None
    except StateError as error:
        told = []
        with suppress(StateError):  # what cannot be written may still be read
            told = _what_moved(library, since)
        if not told:
            raise
        raise StateError("; ".join([str(error), *told])) from error


def _what_moved(library: Library, since: float) -> list[str]:
    journal = library.ledger.journal
    moved = sum(move.at >= since for move in journal.moves(batch=journal.last_batch(), held=True))
    begun = len(journal.open_moves())
    told = [f"{moved} file(s) had moved, `dedupd undo --last` puts them back"] * bool(moved)
    return told + [f"{begun} more were on their way, the next command ends or takes back each"] * bool(begun)
