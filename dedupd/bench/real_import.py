"""A first import of real files by the real daemon, in a folder and a state of its own: how fast, and how large it grows.

Owns the run and its figures; the files are painted by `many_files.py`. Must never touch anything of the user's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dedupd.bench.speed import Progress
from dedupd.client.connection import ask
from dedupd.config import Places, places
from dedupd.errors import DedupdError, NoDaemon
from dedupd.protocol.requests import GetStatus
from dedupd.protocol.views import StatusView

_LOOK_SECONDS = 0.5
_STARTS_SECONDS = 120.0
_TENTHS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RealImport:
    """What one import gave."""

    imported: int
    """Files."""
    import_photos_per_s: list[float]
    """While they were read, by tenth."""
    import_s: float
    """Seconds until all was read, compared and moved."""
    import_moved: int
    daemon_mb: float
    worker_mb: float
    """The most that a process of the daemon's held."""


def measure(files: int, on_progress: Progress) -> RealImport:
    """Paint so many files, hundreds of them, and have them imported."""
    files = max(1, round(files / 100)) * 100
    with tempfile.TemporaryDirectory(prefix="dedupd-import-") as temporary:
        home = Path(temporary).resolve()
        on_progress("paint", 0, files)
        _paint(home / "Pictures", files)
        with _daemon(home) as running:
            return watched(running, files, on_progress)


def _paint(folder: Path, files: int) -> None:
    # A process of its own: the command line stays free of Pillow and numpy.
    command = [sys.executable, "-m", "dedupd.bench.many_files", str(folder), "--photos", str(files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DedupdError(
            f"the files could not be painted: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        )


class Importing(Protocol):
    """A daemon that imports."""

    daemon: int
    """KB of it at most, as far as was looked."""
    worker: int
    """The same of the largest process that it started."""

    def status(self) -> StatusView | None:
        """None while it does not answer yet."""
        ...


@dataclass(slots=True, kw_only=True)
class _Running:
    places: Places
    process: subprocess.Popen[bytes]
    daemon: int = 0
    worker: int = 0

    def status(self) -> StatusView | None:
        if self.process.poll() is not None:
            raise DedupdError(
                f"the import could not be measured: the daemon ended with {self.process.returncode}"
            )
        mine, others = memory_of(self.process.pid)
        self.daemon, self.worker = max(self.daemon, mine), max(self.worker, others)
        with suppress(NoDaemon, TimeoutError):
            return ask(self.places.socket, GetStatus(), StatusView)
        return None


@contextmanager
def _daemon(home: Path) -> Generator[_Running]:
    where = places(home / "state", home / "config.toml")
    (home / "config.toml").write_text("[speed]\nbattery = 0\n")
    with (home / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "dedupd", "--state-dir", str(home / "state"),
                "--config", str(home / "config.toml"), "run", "--yes", str(home / "Pictures"),
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield _Running(places=where, process=process)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def watched(running: Importing, files: int, on_progress: Progress) -> RealImport:
    """Until all is read and settled."""
    began, first = time.monotonic(), 0.0
    reached: list[float] = []
    """Seconds at which each tenth was read."""
    while True:
        time.sleep(_LOOK_SECONDS)
        status, now = running.status(), time.monotonic() - began
        if status is None:
            if now > _STARTS_SECONDS:
                raise DedupdError(
                    "the import could not be measured: the daemon does not answer; run `dedupd doctor`"
                )
            continue
        if not status.photos:
            first = now
            continue
        read = status.photos + status.moved
        while len(reached) < _TENTHS and read >= files * (len(reached) + 1) // _TENTHS:
            reached.append(now)
        on_progress("import", min(read, files), files)
        if len(reached) == _TENTHS and not status.busy and not status.months_waiting:
            break
    spans = [after - before for before, after in zip([first, *reached], reached, strict=False)]
    return RealImport(
        imported=files,
        import_photos_per_s=[round(files / _TENTHS / max(span, 0.001), 1) for span in spans],
        import_s=round(now, 1), import_moved=status.moved,
        daemon_mb=round(running.daemon / 1024, 1), worker_mb=round(running.worker / 1024, 1),
    )  # fmt: skip


def memory_of(daemon: int) -> tuple[int, int]:
    """KB that the daemon holds, and the largest of the processes that it started."""
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,rss="], capture_output=True, text=True, check=False)
    rows = [tuple(map(int, line.split())) for line in told.stdout.splitlines()]
    mine, others = {daemon}, list[int]()
    for pid, parent, size in sorted(rows):
        if parent in mine and pid != daemon:
            mine.add(pid)
            others.append(size)
    return next((size for pid, _, size in rows if pid == daemon), 0), max(others, default=0)


if __name__ == "__main__":
    print(measure(int(sys.argv[1]), lambda phase, done, total: None))
