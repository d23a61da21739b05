"""What a command prints: stdout is the answer, stderr the narration; progress bars on a terminal only."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TextIO

from dedupd.errors import DedupdError

Progress = Callable[[str, int, int], None]

_PHASES = {
    "look": "Looking for photos", "index": "Reading photos", "compare": "Comparing months",
    "embed": "Seeing with the new model", "calibrate": "Measuring thresholds", "prove": "Checking pairs", "again": "Looking at earlier moves", "group": "Grouping", "annotate": "Keeping what copies know", "move": "Moving", "undo": "Putting back", "purge": "Into the trash", "pull": "Downloading", "verify": "Verifying", "picture": "Making small pictures", "see": "Seeing photos", "pairs": "Comparing rows", "adopt": "Taking rows in",
}  # fmt: skip
PLAIN_SECONDS = 10.0
"""Without a terminal a line now and then says how far it is."""


def answer(text: str) -> None:
    """One line of the answer; names may hold bytes that are no text. Raises DedupdError when it cannot be written."""
    with _delivering() as out:
        out.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def answer_json(value: Any) -> None:
    """The answer for scripts. Raises DedupdError when it cannot be written."""
    import json

    answer(json.dumps(value, indent=1, ensure_ascii=True))


def deliver() -> None:
    """What was answered leaves now: the end of a process is too late to say that it could not. Raises DedupdError."""
    if _stream("stdout") is not None:
        with _delivering() as out:
            out.flush()


@contextmanager
def _delivering() -> Generator[TextIO]:
    """stdout. A reader who left has read enough (`| head`): the command goes on and ends as usual."""
    out = _stream("stdout")
    if out is None:
        raise DedupdError("stdout is closed, so there is nowhere to answer")
    try:
        yield out
    except OSError as error:
        _to_nobody(out)
        if not isinstance(error, BrokenPipeError):
            raise DedupdError(
                f"the answer cannot be written ({error.strerror}): make room for it, or send it elsewhere"
            ) from None


def tell(text: str) -> None:
    """One line of narration on stderr. Work goes on when it cannot be written."""
    err = _stream("stderr")
    if err is not None:
        try:
            err.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        except OSError:
            _to_nobody(err)


def human_seconds(seconds: float) -> str:
    """'less than a minute', '5 minutes', '3 hours': an estimate is no more exact than that."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} minute{'s' if minutes > 1 else ''}"
    hours = round(seconds / 3600)
    return f"{hours} hours" if hours < 48 else f"{round(seconds / 86400)} days"


def can_ask() -> bool:
    """Whether a person can answer a question: stdin and stderr are terminals."""
    return all(stream is not None and stream.isatty() for stream in map(_stream, ("stdin", "stderr")))


def says_yes(question: str) -> bool:
    """Ask a yes-or-no question."""
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def types(question: str, word: str) -> bool:
    """Ask for a word in full: for what is not taken back as easily as it is said."""
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() == word


def _to_nobody(stream: TextIO) -> None:
    """What it holds would fail once more at the end of the process, and become its exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _stream(name: str) -> TextIO | None:
    """None where whoever started the process had closed it (`>&-`)."""
    return getattr(sys, name)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Generator[Progress]:
    """Phases with rate and ETA: bars on a terminal, a line now and then elsewhere."""
    if quiet:
        yield lambda phase, done, total: None
    elif (err := _stream("stderr")) is not None and err.isatty():
        with _bars() as report:
            yield report
    else:
        yield _Lines()


@contextmanager
def _bars() -> Generator[Progress]:
    # rich costs 60 ms to import: only a scan on a terminal pays it
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )  # fmt: skip
    from rich.progress import (
        Progress as Bars,
    )

    columns = (
        SpinnerColumn(), TextColumn("{task.description:<20}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"), TextColumn("elapsed"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=False) as bars:
        tasks: dict[str, tuple[TaskID, float]] = {}

        def report(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                for task, _ in tasks.values():
                    bars.update(task, total=bars.tasks[task].completed or 1)
                tasks[phase] = (
                    bars.add_task(_PHASES.get(phase, phase), total=total or None, speed=""),
                    time.monotonic(),
                )
            task, since = tasks[phase]
            speed = f"{done / max(time.monotonic() - since, 0.1):.0f}/s"
            bars.update(task, completed=done, total=total or None, speed=speed)

        yield report


class _Lines:
    def __init__(self) -> None:
        self._phase, self._last = "", 0.0

    def __call__(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if phase != self._phase:
            self._phase, self._last, self._since = phase, now, now
            return
        if now - self._last >= PLAIN_SECONDS:
            self._last = now
            rate = done / max(now - self._since, 0.1)
            left = f", about {(total - done) / rate:.0f} s left" if total and rate else ""
            tell(f"{_PHASES.get(phase, phase)}: {done}{f' of {total}' if total else ''} ({rate:.0f}/s{left})")
