"""Lists what the index holds, without opening it for writing: for `dedupd verify`, which must change nothing.

A process of its own reads the index (list_contents.py), so that this one need not load LanceDB.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from dedupd.adapters.vision.worker_process import worker_environment
from dedupd.errors import VisionError

_LIMIT = 600.0
"""Seconds that the process may take."""


def listed(folder: Path, model: str, recipe: str) -> list[str]:
    """Content ids in the index of this model and recipe, in no order. Raises VisionError with one sentence."""
    command = [sys.executable, "-P", "-m", "dedupd.adapters.vision.list_contents", str(folder), model, recipe]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_LIMIT, check=False, env=worker_environment()
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VisionError(f"the index in {folder} could not be read: {error}") from None
    if done.returncode:
        raise VisionError((done.stderr.strip().splitlines() or ["the index could not be read"])[-1])
    return done.stdout.split()
