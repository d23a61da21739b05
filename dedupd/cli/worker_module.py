"""A command runs a module of adapters/vision in a process of its own, because commands never load what that loads.

Owns how it is started, and how its answer, its last line, is read. Must never import such a module.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from dedupd.adapters.vision.worker_process import worker_environment


def last_line(module: str, words: Sequence[str], otherwise: str) -> tuple[int, str]:
    """Exit status and last line of the module, run to its end with these words; `otherwise` when it said nothing."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"dedupd.adapters.vision.{module}", *words],
        env=worker_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout.strip().splitlines() or [otherwise])[-1]
