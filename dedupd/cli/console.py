"""Printing: the answer on stdout, narration on stderr, progress bars on a terminal only."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

from dedupd.errors import DedupdError

if TYPE_CHECKING:
    from dedupd.progress_bars import Progress


def answer(text: str) -> None:
    """Print one line of the answer; names may hold bytes that are no text. Raises DedupdError when it cannot
    be written."""
    with _delivering() as out:
        out.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def answer_json(value: Any) -> None:
    """Print the answer as JSON, for scripts. Raises DedupdError when it cannot be written."""
    import json

    answer(json.dumps(value, indent=1, ensure_ascii=True))


def deliver() -> None:
    """Flush stdout now: at the end of the process it would be too late to report that it could not be
    written. Raises DedupdError."""
    if _stream("stdout") is not None:
        with _delivering() as out:
            out.flush()


@contextmanager
def _delivering() -> Generator[TextIO]:
    """Wraps writes to stdout. When the reader has closed the pipe (`| head`), the command goes on and ends as
    usual."""
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
    """Print one line of narration on stderr. When it cannot be written, the work goes on."""
    err = _stream("stderr")
    if err is not None:
        try:
            err.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        except OSError:
            _to_nobody(err)


def human_seconds(seconds: float) -> str:
    """'less than a minute', '5 minutes', '3 hours': an estimate is not more exact than that."""
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
    from dedupd.progress_bars import end_bars

    end_bars()
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def types(question: str, word: str) -> bool:
    """Ask for a word typed in full, before an act that is hard to take back."""
    sys.stderr.write(f"{question} ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() == word


def _to_nobody(stream: TextIO) -> None:
    """Redirect a broken stream to nowhere: what it still holds would fail again at the end of the process and
    change the exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _stream(name: str) -> TextIO | None:
    """The stream; None when whoever started the process had closed it (`>&-`)."""
    return getattr(sys, name)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Generator[Progress]:
    """Progress of phases with rate and estimated time: bars on a terminal, otherwise a line from time to
    time."""
    if quiet:
        yield lambda phase, done, total: None
        return
    from dedupd.progress_bars import PlainLines, bars

    if (err := _stream("stderr")) is not None and err.isatty():
        from rich.console import Console  # 60 ms: only a task on a terminal pays it

        with bars(Console(stderr=True)) as report:
            yield report
    else:
        yield PlainLines(tell)
