"""For a child process that does one long task and must end when its parent ends, in whatever way.

Its stdin is a pipe from its parent to which nobody writes: the kernel closes it when the parent is gone.
"""

from __future__ import annotations

import os
import stat
import threading


def end_with_parent() -> None:
    """Call this first in a child whose parent started it with `stdin=subprocess.PIPE`. In a process started
    by hand it has no effect."""
    if stat.S_ISFIFO(os.fstat(0).st_mode):
        threading.Thread(target=_wait_for_the_end, daemon=True).start()


def _wait_for_the_end() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)
