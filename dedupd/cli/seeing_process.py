"""A command asks a module of the worker's kind: one that loads what no command loads, in a process of its own.

Owns how it is started and its last line read. Must never import such a module.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from dedupd.adapters.vision.client import worker_environment


def last_words(module: str, words: Sequence[str], otherwise: str) -> tuple[int, str]:
    """Exit status and last line of the module, run to its end with these words; `otherwise` when it said nothing."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", f"dedupd.adapters.vision.{module}", *words],
        env=worker_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout.strip().splitlines() or [otherwise])[-1]
