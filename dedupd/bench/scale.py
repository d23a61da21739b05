"""The cost of searching candidates across a library, with generated rows: nothing is painted, read or
aligned.

Owns the run and its figures; the rows are made and searched by `made_up.py`, in a process of its own with one
thread.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dedupd.bench.speed import Progress, Spread, machine
from dedupd.errors import DedupdError

DIMENSIONS = 1280
_LIBRARIES = ("dedupd", "numpy", "lancedb", "pyarrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Results of the runs: medians, and their spread under the same names."""

    machine: str
    versions: dict[str, str]
    photos: int
    searched: int
    """Photos that were searched for; when not all were, `candidates_cpu_s` is scaled up."""
    runs: int
    pairs: int
    """Candidates of those photos."""
    candidates_cpu_s: float
    """CPU seconds to search the candidates of all photos, including the preparation."""
    ready_cpu_s: float
    """CPU seconds of the preparation, once after each start: reading what is stored for every row."""
    one_photo_ms: float
    """CPU milliseconds for the candidates of one photo, after the preparation."""
    worker_mb: float
    spread: dict[str, Spread]


def measure(photos: int, runs: int, on_progress: Progress, dimensions: int = DIMENSIONS) -> Scale:
    """Make the rows and search them, in a process of its own."""
    on_progress("scale", 0, 1)
    one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "VECLIB_MAXIMUM")}
    done = subprocess.run(
        [sys.executable, "-m", "dedupd.bench.made_up", str(photos), str(runs), str(dimensions)],
        capture_output=True, text=True, check=False, env=os.environ | one_thread,
    )  # fmt: skip
    if done.returncode:
        raise DedupdError(
            f"the search could not be measured: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    columns: dict[str, list[float]] = found.pop("columns")
    return Scale(
        machine=machine(), versions={name: version(name) for name in _LIBRARIES}, photos=photos, runs=runs,
        spread={
            name: Spread(least=round(min(values), 3), greatest=round(max(values), 3))
            for name, values in columns.items()
        },
        **{name: round(statistics.median(values), 3) for name, values in columns.items()}, **found,
    )  # fmt: skip
