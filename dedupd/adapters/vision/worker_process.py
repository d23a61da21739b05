"""A process of ours that reads pictures, and the pipes to it.

Owns its environment, its start and its end. Must stay light (stdlib and msgspec), and never know what is asked.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from dedupd.adapters.vision import messages

BUSY_SECONDS = 600.0
"""Seconds to wait while the worker loads a model or searches; no file is to blame then."""
_LEAVE_SECONDS = 5.0
_LOG_BYTES = 1 << 20
_PART = 1 << 16
_NOTHING = memoryview(b"")


class WorkerDied(Exception):
    """The process ended or stalled in the middle of a request; the message is a clause for people."""

    def __init__(self, clause: str, *, on_card: bool = False) -> None:
        """`on_card`: while graphics cards were looked for."""
        super().__init__(clause)
        self.on_card = on_card


class WorkerProcess:
    """One process and the pipes to it."""

    def __init__(
        self, module: str, log_path: Path | None, on_place: Callable[[str], None] = lambda why: None
    ) -> None:
        """`log_path` None: what it says goes where this process's own stderr goes. `on_place` is told why pictures are
        embedded here for now, '' while services do it."""
        self._on_place = on_place
        self._popen = subprocess.Popen(
            # -P and cwd: a folder of photos may hold a numpy.py.
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if log_path is None else _open_log(log_path),
            cwd="/",
            env=worker_environment(),
            start_new_session=True,
            bufsize=0,
        )
        assert self._popen.stdin is not None
        os.set_blocking(self._popen.stdin.fileno(), False)  # one that does not read must not keep us for ever
        self._unframer = messages.Unframer()
        self._busy = self._on_card = 0

    @property
    def pid(self) -> int:
        return self._popen.pid

    def alive(self) -> bool:
        return self._popen.poll() is None

    def send(
        self, message: messages.Message, bytes_after: memoryview = _NOTHING, seconds: float = BUSY_SECONDS
    ) -> None:
        """One message, and after it many bytes as they are: to put them into it would copy them twice. Raises WorkerDied, also
        when nothing is taken for `seconds`."""
        assert self._popen.stdin is not None
        try:
            for part in (memoryview(messages.frame(message)), bytes_after):
                left = part
                while left:
                    if not select.select([], [self._popen.stdin], [], seconds)[1]:
                        raise self._hung()
                    left = left[self._popen.stdin.write(left) or 0 :]
        except OSError:
            raise WorkerDied(self._cause()) from None

    def receive(self, seconds: float) -> messages.Reply:
        """The next reply other than Busy and SeesHere. Raises WorkerDied at the end of the pipe or after `seconds` of silence."""
        while True:
            reply = messages.replies.decode(self.body(BUSY_SECONDS if self._busy else seconds))
            match reply:
                case messages.Busy(begins=begins, what=what):
                    step = 1 if begins else -1
                    self._busy += step
                    self._on_card += step * (what == messages.LOADING)
                case messages.SeesHere(why=why):
                    self._on_place(why)
                case _:
                    return reply

    def body(self, seconds: float | None) -> bytes:
        """The next message as it came. `seconds` None: however long it takes."""
        while (body := self._unframer.next()) is None:
            self._unframer.feed(self._read(seconds))
        return body

    def _read(self, seconds: float | None) -> bytes:
        assert self._popen.stdout is not None
        readable, _, _ = select.select([self._popen.stdout], [], [], seconds)
        if not readable:
            raise self._hung()
        part = os.read(self._popen.stdout.fileno(), _PART)
        if not part:
            raise WorkerDied(self._cause(), on_card=self._on_card > 0)
        return part

    def _hung(self) -> WorkerDied:
        self.kill()
        return WorkerDied("hung", on_card=self._on_card > 0)

    def _cause(self) -> str:
        try:
            status = self._popen.wait(_LEAVE_SECONDS)
        except subprocess.TimeoutExpired:
            return "closed its pipe"
        if status >= 0:
            return f"ended with status {status}"
        try:
            return f"crashed ({signal.Signals(-status).name})"
        except ValueError:
            return f"crashed (signal {-status})"

    def kill(self) -> None:
        """End the process now, and wait for its end."""
        self._popen.kill()
        with suppress(subprocess.TimeoutExpired):
            # One that hangs in a driver, or on a disk that is gone, ends when the kernel lets it: it does nothing more.
            self._popen.wait(_LEAVE_SECONDS)
        self._close()

    def leave(self) -> None:
        """Let the process end by itself: it ends when its stdin closes."""
        if self._popen.stdin is not None:
            self._popen.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(_LEAVE_SECONDS)
        self.kill()

    def _close(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()


def _open_log(path: Path) -> IO[bytes] | int:
    """Decoders print warnings for many odd files, so the log is started anew when it has grown."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        grown = path.exists() and path.stat().st_size > _LOG_BYTES
        return path.open("wb" if grown else "ab")
    except OSError:
        return subprocess.DEVNULL


def worker_environment() -> dict[str, str]:
    """The environment of our processes that read pictures or the index: this package, one thread, no network."""
    home = str(Path(__file__).resolve().parents[3])
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (home, os.environ.get("PYTHONPATH")))),
        "HF_HUB_OFFLINE": "1",
        # Libraries that may send usage statistics: each is switched off by its own variable and by the common one.
        "ORT_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "LANCE_LOG": "error",
        "LANCE_CPU_THREADS": "2",
        # What is read ahead of a whole table: by default as much as there is, a quarter of a gigabyte of vectors.
        "LANCE_DEFAULT_IO_BUFFER_SIZE": str(16 << 20),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        # glibc: pictures and planes of several MB are allocated and freed all the time. With a new mapping for
        # each, the kernel clears its pages again, a third of the time of comparing two photos. So they come from
        # one heap, which is reused. What is larger than one plane of a photo is returned to the system at once; for
        # that, Pillow must not cut it into blocks of 16 MB, which would all stay in the heap.
        "MALLOC_ARENA_MAX": "1",
        "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
        "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
        "PILLOW_BLOCK_SIZE": "128m",
        "TOKENIZERS_PARALLELISM": "false",
    }
