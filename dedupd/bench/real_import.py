"""A first import of real files by the real daemon, in a folder and a state of its own: how fast, and how large it grows.

The daemon is killed when half is read, and started again. At the end a hundred more files come. Owns the run and its
figures; the files are painted by `many_files.py`. Must never touch anything of the user's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
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
_MORE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RealImport:
    """What one import gave."""

    imported: int
    """Files."""
    import_photos_per_s: list[float]
    """While they were read, by tenth."""
    import_cpu_ms: list[float]
    """CPU milliseconds a file meanwhile, by tenth: of the daemon and all that it started."""
    import_again: int
    """Files that it had read before it was killed, and read once more."""
    import_s: float
    """Seconds until all was read, compared and moved."""
    import_moved: int
    import_new_s: float
    """Seconds until the months of a hundred more files were settled."""
    daemon_mb: float
    worker_mb: float
    """The most that a process of the daemon's held."""


def measure(files: int, on_progress: Progress) -> RealImport:
    """Paint so many files, hundreds of them, and have them imported; then a hundred more."""
    files = max(1, round(files / 100)) * 100
    with tempfile.TemporaryDirectory(prefix="dedupd-import-") as temporary:
        home = Path(temporary).resolve()
        on_progress("paint", 0, files)
        _paint(home / "Pictures", files)
        with _daemon(home) as running:
            return watched(running, files, on_progress, lambda: _paint(home / "Pictures", _MORE, first=files))


def _paint(folder: Path, files: int, first: int = 0) -> None:
    # A process of its own: the command line stays free of Pillow and numpy.
    command = [
        sys.executable, "-m", "dedupd.bench.many_files", str(folder), "--photos", str(files), "--first", str(first)
    ]  # fmt: skip
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

    @property
    def cpu(self) -> float:
        """CPU seconds of all of them until the last look."""
        ...

    def status(self) -> StatusView | None:
        """None while it does not answer yet."""
        ...

    def kill_and_start(self) -> None:
        """Without a word of warning."""
        ...


@dataclass(slots=True, kw_only=True)
class _Running:
    home: Path
    places: Places
    process: subprocess.Popen[bytes]
    daemon: int = 0
    worker: int = 0
    spent: dict[int, float] = field(default_factory=dict[int, float])
    """CPU seconds of each process until it was last seen."""

    @property
    def cpu(self) -> float:
        return sum(self.spent.values())

    def status(self) -> StatusView | None:
        if self.process.poll() is not None:
            raise DedupdError(
                f"the import could not be measured: the daemon ended with {self.process.returncode}"
            )
        mine, *others = processes_of(self.process.pid)
        self.daemon = max(self.daemon, mine.kilobytes)
        self.worker = max([self.worker, *(each.kilobytes for each in others)])
        self.spent |= {each.pid: each.cpu for each in (mine, *others)}
        with suppress(NoDaemon, TimeoutError):
            return ask(self.places.socket, GetStatus(), StatusView)
        return None

    def kill_and_start(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process = _start(self.home)


@contextmanager
def _daemon(home: Path) -> Generator[_Running]:
    (home / "config.toml").write_text("[speed]\nbattery = 0\n")
    where = places(home / "state", home / "config.toml")
    running = _Running(home=home, places=where, process=_start(home))
    try:
        yield running
    finally:
        running.process.terminate()
        try:
            running.process.wait(30)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()


def _start(home: Path) -> subprocess.Popen[bytes]:
    with (home / "daemon.log").open("ab") as log:
        return subprocess.Popen(
            [
                sys.executable, "-m", "dedupd", "--state-dir", str(home / "state"),
                "--config", str(home / "config.toml"), "run", "--yes", str(home / "Pictures"),
            ],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def watched(
    running: Importing, files: int, on_progress: Progress, bring_more: Callable[[], object]
) -> RealImport:
    """Until all is read and settled, and the hundred that `bring_more` brings then. It is killed at half of them."""
    reached: list[tuple[float, float]] = []
    """Seconds, and CPU seconds, at which each tenth was read."""
    first, killed, again, now, status = (0.0, 0.0), 0, 0, 0.0, None
    for now, status in _looks(running):
        read = status.photos + status.moved
        if not read:
            first = now, running.cpu
            continue
        if killed:
            again, killed = max(0, killed - read), 0
        while len(reached) < _TENTHS and read >= files * (len(reached) + 1) // _TENTHS:
            reached.append((now, running.cpu))
            if len(reached) == _TENTHS // 2:
                killed = read
                running.kill_and_start()
                break
        on_progress("import", min(read, files), files)
        if len(reached) == _TENTHS and not status.busy and not status.months_waiting:
            break
    assert status is not None
    steps = list(zip([first, *reached], reached, strict=False))
    each = files / _TENTHS
    return RealImport(
        imported=files,
        import_photos_per_s=[round(each / max(after[0] - before[0], 0.001), 1) for before, after in steps],
        import_cpu_ms=[round(1000 * (after[1] - before[1]) / each, 1) for before, after in steps],
        import_again=again, import_s=round(now, 1), import_moved=status.moved,
        import_new_s=round(_until_settled(running, status, bring_more), 1),
        daemon_mb=round(running.daemon / 1024, 1), worker_mb=round(running.worker / 1024, 1),
    )  # fmt: skip


def _until_settled(running: Importing, before: StatusView, bring_more: Callable[[], object]) -> float:
    """Seconds until the hundred are read and their months settled."""
    bring_more()
    wanted = before.photos + before.moved + _MORE
    for now, status in _looks(running):
        if status.photos + status.moved >= wanted and not status.busy and not status.months_waiting:
            return now
    raise AssertionError("it looks until then")


def _looks(running: Importing) -> Generator[tuple[float, StatusView]]:
    """Seconds and what it answers, again and again. Raises DedupdError when it answers nothing for long."""
    began = heard = time.monotonic()
    while True:
        time.sleep(_LOOK_SECONDS)
        status, now = running.status(), time.monotonic()
        if status is not None:
            heard = now
            yield now - began, status
        elif now - heard > _STARTS_SECONDS:
            raise DedupdError(
                "the import could not be measured: the daemon does not answer; run `dedupd doctor`"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What the system tells of one."""

    pid: int
    kilobytes: int
    cpu: float
    """Seconds."""


def processes_of(daemon: int) -> list[Process]:
    """The daemon, and the processes that it started."""
    command = ["ps", "-A", "-o", "pid=,ppid=,rss=,time="]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    rows = [
        (int(pid), int(parent), int(size), cpu)
        for pid, parent, size, cpu in map(str.split, told.stdout.splitlines())
    ]
    mine = {daemon}
    for pid, parent, _, _ in sorted(rows):
        if parent in mine:
            mine.add(pid)
    found = [Process(pid=pid, kilobytes=size, cpu=_seconds(cpu)) for pid, _, size, cpu in rows if pid in mine]
    return sorted(found, key=lambda each: each.pid != daemon) or [Process(pid=daemon, kilobytes=0, cpu=0.0)]


def _seconds(time: str) -> float:
    """Of [days-][hours:]minutes:seconds."""
    days, _, clock = time.rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = 60 * seconds + float(part)
    return 86_400 * int(days or 0) + seconds


if __name__ == "__main__":
    print(measure(int(sys.argv[1]), lambda phase, done, total: None))
