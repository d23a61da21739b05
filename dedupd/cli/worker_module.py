"""Runs a module of adapters/vision in a process of its own, because commands must not load the libraries that
it loads.

Owns how the process is started, and how its answer (its last line) is read. Must never import such a module.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence


def last_line(module: str, words: Sequence[str], otherwise: str) -> tuple[int, str]:
    """Run the module to its end with these words. Returns its exit status and last line, or `otherwise` when
    it printed nothing."""
    # Here, because it brings the worker's messages, which `--help` does not need.
    from dedupd.adapters.vision.worker_process import worker_environment

    done = subprocess.run(
        [sys.executable, "-P", "-m", f"dedupd.adapters.vision.{module}", *words],
        env=worker_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, (done.stdout.strip().splitlines() or [otherwise])[-1]
