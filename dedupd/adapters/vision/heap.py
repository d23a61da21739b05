"""The heap of this process, which keeps what was freed so that pictures need no fresh memory (worker_process.py).

Owns giving it back to the system after something large was made. Worker process only.
"""

from __future__ import annotations

import ctypes
import sys


def give_back_memory() -> None:
    """Return the free pages of the heap, wherever they are. Does nothing where the C library cannot."""
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)) is not None:
        trim(0)
