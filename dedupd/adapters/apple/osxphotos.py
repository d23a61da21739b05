"""osxphotos, through its command line: the export of a Photos library, and which photos the library has.

The command line rather than the API, because people install it separately, and its internals change with
every macOS. Its JSON report names the photo (uuid) of every file; its database is never opened. Must never
ask it to delete, to clean up, or to write into the library.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dedupd.errors import PhotosError, UsageError

REPORT = "report.json"
DATABASE = ".osxphotos_export.db"
"""The file that osxphotos keeps in an export's folder, from which the next export continues."""
MONTHS = "{created.year}/{created.mm}"
"""Its template for folders that dedupd reads as months."""
_COUNT = re.compile(r"\((\d+)/(\d+)\)\s*$")
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_GRACE_SECONDS = 15.0
"""Seconds to finish the current file when it is asked to stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What osxphotos reports about one file."""

    path: str
    uuid: str
    changed: bool = False
    """Written now, because it is new or Photos has another version."""
    missing: bool = False
    """Its photo is only in the cloud, so there is no file."""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run of osxphotos ended."""

    status: int
    said: str
    """Its last lines of output."""


class OsxPhotos:
    """The osxphotos that is installed on this machine."""

    def __init__(self, program: str | None = None) -> None:
        """`program`: its path. Raises UsageError when there is none."""
        found = program or beside_python() or shutil.which("osxphotos")
        if found is None:
            raise UsageError(
                "osxphotos is not installed: pip install 'dedupd[photos]', or `uv tool install osxphotos`"
            )
        self._program = found

    def export(
        self, folder: Path, work: Path, *, skip: Path, library: Path | None, download: bool,
        on_photo: Callable[[int, int], None],
    ) -> Ended:  # fmt: skip
        """Bring `folder` up to date; the report and other output are written to `work`. Photos in `skip` are
        left out.

        `on_photo(number, of)` is called when it begins with a photo; the photos before that are in the
        report. When interrupted, it is ended in order: what was exported stays, and the next run continues.
        Raises PhotosError.
        """
        words = [
            self._program, "export", os.fspath(folder), "--update", "--directory", MONTHS, "--not-shared",
            "--report", REPORT, "--skip-uuid-from-file", os.fspath(skip), "--verbose", "--no-progress",
        ]  # fmt: skip
        if library is not None:
            words += ["--library", os.fspath(library)]
        if download:
            words.append("--download-missing")
        last: deque[str] = deque(maxlen=5)
        with _running(words, work) as process:
            assert process.stdout is not None
            for line in process.stdout:
                text = _COLOURS.sub("", line).strip()
                if count := _COUNT.search(text):
                    on_photo(int(count[1]), int(count[2]))
                elif text:
                    last.append(text)
            process.wait()
        return Ended(status=process.returncode, said=" ".join(last))

    def alive(self, uuids: Iterable[str], work: Path, library: Path | None = None) -> set[str]:
        """Those of these photos that the library has now, outside its bin. Raises PhotosError."""
        asked = work / "asked.txt"
        asked.write_text("".join(f"{uuid}\n" for uuid in sorted(uuids)), "utf-8")
        words = [
            self._program, "query", "--uuid-from-file", os.fspath(asked), "--print", "{uuid}", "--quiet", "--mute",
        ]  # fmt: skip
        if library is not None:
            words += ["--library", os.fspath(library)]
        lines: list[str] = []
        with _running(words, work) as process:
            assert process.stdout is not None
            lines = [_COLOURS.sub("", line).strip() for line in process.stdout]
            process.wait()
        if process.returncode != 0:
            raise PhotosError(
                f"osxphotos could not look into the Photos library: {' '.join(lines[-5:]) or process.returncode}"
            )
        return set(uuids).intersection(lines)


def beside_python() -> str | None:
    """The osxphotos in dedupd's own environment, which is not always on the PATH."""
    program = Path(sys.executable).with_name("osxphotos")
    return os.fspath(program) if os.access(program, os.X_OK) else None


@contextmanager
def _running(words: Sequence[str], work: Path) -> Generator[subprocess.Popen[str]]:
    """Run it in a session of its own, so that Ctrl-C reaches it as one orderly signal from here. It ends when
    this ends."""
    surroundings = os.environ | {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "10000", "PYTHONUNBUFFERED": "1"}
    try:
        process = subprocess.Popen(
            words, cwd=work, env=surroundings, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, text=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise PhotosError(
            f"{words[0]} cannot be started ({error.strerror}): install osxphotos again"
        ) from None
    with process:
        try:
            yield process
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
                if process.poll() is not None:
                    break
                process.send_signal(number)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_GRACE_SECONDS)


class Report:
    """The report of a running osxphotos: it writes the files of each photo when that photo is finished."""

    def __init__(self, path: Path) -> None:
        self._path, self._read, self._rest = path, 0, b""

    def more(self) -> Iterator[Reported]:
        """Records added since the last call. Raises PhotosError when the report does not name photos."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except FileNotFoundError:
            return
        self._read += len(new)
        text = (self._rest + new).decode("utf-8", "replace")
        end = 0
        for record, end in _records(text):  # noqa: B007
            if (found := _reported(record)) is not None:
                yield found
        self._rest = text[end:].encode()


def _reported(record: dict[str, Any]) -> Reported | None:
    """None for a record that is no photo."""
    path, uuid, error = (str(record.get(key) or "") for key in ("filename", "uuid", "error"))
    if "uuid" not in record:
        raise PhotosError(
            "this osxphotos does not say which file is which photo: install version 0.77 or later"
        )
    if not path or not (uuid or error):
        return None
    return Reported(
        path=path, uuid=uuid, changed=bool(record.get("new") or record.get("updated")),
        missing=bool(record.get("missing")), error=error,
    )  # fmt: skip


def _records(text: str) -> Iterator[tuple[dict[str, Any], int]]:
    """The objects of a JSON array and the end of each, up to where the array ends or is cut."""
    decoder = json.JSONDecoder()
    at = text.find("{")
    while at != -1:
        try:
            value, end = decoder.raw_decode(text, at)
        except ValueError:
            return
        yield cast("dict[str, Any]", value), end
        at = text.find("{", end)
