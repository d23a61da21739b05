"""Shows the progress of a task: on a terminal, in a notebook, or as a line from time to time.

Owns the words of each phase. Must never import rich before something is shown: that costs each command 60 ms.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Progress = Callable[[str, int, int], None]
"""progress(phase, done, total); a total of 0 means unknown."""

PHASES = {
    "look": "Looking for photos", "index": "Reading photos", "compare": "Comparing months",
    "embed": "Seeing with the new model", "calibrate": "Measuring thresholds", "prove": "Checking pairs", "again": "Looking at earlier moves", "group": "Grouping", "annotate": "Keeping what copies know", "move": "Moving", "undo": "Putting back", "purge": "Into the trash", "share": "Sharing disk space", "pull": "Downloading", "verify": "Verifying", "picture": "Making small pictures", "see": "Embedding photos", "pairs": "Comparing rows", "adopt": "Taking rows in", "export": "Exporting photos", "album": "Into the album",
}  # fmt: skip
PLAIN_SECONDS = 10.0
"""Seconds between two lines of progress when bars cannot be shown."""


def show_progress() -> AbstractContextManager[Progress]:
    """For scripts and notebooks: bars in Jupyter and on a terminal, else nothing.

    >>> with show_progress() as progress:
    ...     library.scan(dry_run=True, on_progress=progress)
    """
    from rich.console import Console

    console = Console(stderr=True)
    if console.is_jupyter and find_spec("ipywidgets") is None:  # rich needs it for bars that move
        return nullcontext(PlainLines(print))
    if console.is_jupyter or sys.stderr.isatty():
        return bars(console)
    return nullcontext(lambda phase, done, total: None)


@contextmanager
def bars(console: Console) -> Generator[Progress]:
    """A bar for each phase, with rate and estimated time."""
    shown = _Bars(console)
    _ON_SCREEN.append(shown)
    try:
        yield shown
    finally:
        _ON_SCREEN.remove(shown)
        shown.end()


def end_bars() -> None:
    """End the bars on the screen before a person is asked, or the next redraw covers the question; the next
    report begins new ones."""
    for shown in _ON_SCREEN:
        shown.end()


class _Bars:
    """Bars from the first report on."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: Bars | None = None
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def __call__(self, phase: str, done: int, total: int) -> None:
        shown = self._shown = self._shown or self._begun()
        if phase not in self._tasks:
            for task, _ in self._tasks.values():
                shown.update(task, total=shown.tasks[task].completed or 1)
            task = shown.add_task(PHASES.get(phase, phase), total=total or None, speed="")
            self._tasks[phase] = (task, time.monotonic())
        task, since = self._tasks[phase]
        speed = f"{done / max(time.monotonic() - since, 0.1):.0f}/s"
        shown.update(task, completed=done, total=total or None, speed=speed)

    def end(self) -> None:
        if self._shown is not None:
            self._shown.stop()
        self._shown = None
        self._tasks.clear()

    def _begun(self) -> Bars:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )  # fmt: skip

        columns = (
            SpinnerColumn(), TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"), TextColumn("elapsed"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
        )  # fmt: skip
        # rich sends what is printed meanwhile above the bars, that is to the console: an answer that goes into a
        # file or a pipe must arrive there.
        begun = Progress(*columns, console=self._console, redirect_stdout=_on_terminal(sys.stdout))
        begun.start()
        return begun


_ON_SCREEN: list[_Bars] = []


def _on_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


class PlainLines:
    """Prints a line from time to time."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._phase, self._last = say, "", 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._last, self._since = phase, now, now
            return
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            rate = done / max(now - self._since, 0.1)
            left = f", about {(total - done) / rate:.0f} s left" if total and rate else ""
            self._say(
                f"{PHASES.get(phase, phase)}: {done}{f' of {total}' if total else ''} ({rate:.0f}/s{left})"
            )
