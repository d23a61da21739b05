"""For a child process that does one long task and must end when its parent ends, in whatever way.

Its stdin is a pipe from its parent: the kernel closes it when the parent is gone.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from dedupd.adapters.vision.messages import HEAD, Message, answer_frame, length_of

_PR_SET_PDEATHSIG = 1
_M_MMAP_THRESHOLD, _SMALL_BLOCK = -3, 1 << 20
"""glibc's mallopt: what is larger is returned to the system when it is freed."""


def limit_itself(memory: int) -> None:
    """Limit the writable memory, write no core dumps, and end with the thread that started this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = hard if memory == resource.RLIM_INFINITY else memory
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o077)  # index and cache tell and show a family's photos


def return_free_memory() -> None:
    """Give back to the system what this process has freed. Has no effect where the C library is not glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@contextmanager
def returning_memory() -> Generator[None]:
    """Keep no freed memory before, within and after this block. Our processes keep much of it for photos of usual size
    (see worker_process.py): with the hundreds of tiles of a large HEIC that would be 200 MB more."""
    usual = os.environ.get("MALLOC_MMAP_THRESHOLD_", "")
    tune = getattr(ctypes.CDLL(None), "mallopt", None) if usual.isdigit() else None
    return_free_memory()
    if tune is not None:
        tune(_M_MMAP_THRESHOLD, _SMALL_BLOCK)
    try:
        yield
    finally:
        if tune is not None:
            tune(_M_MMAP_THRESHOLD, int(usual))
        return_free_memory()


def take_over_stdio() -> tuple[int, int]:
    """Keep stdin and stdout for messages, and return them; what a library prints goes to stderr."""
    incoming, outgoing = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    return incoming, outgoing


def say(line: str) -> None:
    """Into the log of this process. A full disk must not keep it from going on."""
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


class Parent:
    """The connection to the process that started this one, for messages on stdin and stdout."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming, self._outgoing = incoming, outgoing

    def body(self) -> bytearray:
        """The body of the next message. Ends this process when the parent is gone."""
        return self._bytes(length_of(self._bytes(HEAD)))

    def _bytes(self, count: int) -> bytearray:
        found = bytearray(count)
        self.fill(memoryview(found))
        return found

    def fill(self, into: memoryview) -> None:
        """With the bytes that follow a message. Ends this process when the parent is gone."""
        while into:
            count = os.readv(self.incoming, [into])
            if not count:
                os._exit(0)
            into = into[count:]

    def tell(self, message: Message) -> None:
        """Send one whole message."""
        left = memoryview(answer_frame(message))
        while left:
            left = left[os.write(self._outgoing, left) :]


def end_with_parent() -> None:
    """Call this first in a child whose parent started it with `stdin=subprocess.PIPE`. In a process started
    by hand it has no effect."""
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
