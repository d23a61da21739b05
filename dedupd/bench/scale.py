"""The cost of searching candidates across a library, with generated rows; and a first import of painted files.

Owns the run and its figures; the rows are made and searched by `made_up.py`, in a process of its own with one
thread, the files are imported by `real_import.py`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from dedupd.adapters.vision.worker_process import worker_environment
from dedupd.bench import real_import
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
    """CPU milliseconds for the candidates of one photo with a date, after the preparation."""
    one_undated_ms: float = 0.0
    """The same without a date: it is compared with all."""
    search_mb: float
    """The process that searched, at most."""
    imported: int = 0
    """Painted files that the real daemon then imported; without any, what follows is empty."""
    import_photos_per_s: list[float] = field(default_factory=list[float])
    """While they were read, by tenth; the daemon is killed after the fifth, and started again."""
    import_cpu_ms: list[float] = field(default_factory=list[float])
    """CPU milliseconds a file meanwhile, by tenth."""
    import_again: int = 0
    """Files that it had read before it was killed, and read once more."""
    import_s: float = 0.0
    """Until all of them were read, compared and moved."""
    import_moved: int = 0
    import_new_s: float = 0.0
    """Then a hundred more: seconds until their months were settled."""
    daemon_mb: float = 0.0
    worker_mb: float
    """The most that a process which searches or reads took."""
    spread: dict[str, Spread]


def measure(photos: int, runs: int, files: int, on_progress: Progress, dimensions: int = DIMENSIONS) -> Scale:
    """Make the rows and search them, in a process of its own; then have so many painted files imported."""
    on_progress("scale", 0, 1)
    more = {f"{name}_NUM_THREADS": "1" for name in ("MKL", "VECLIB_MAXIMUM")}
    done = subprocess.run(
        [sys.executable, "-m", "dedupd.bench.made_up", str(photos), str(runs), str(dimensions)],
        capture_output=True, text=True, check=False, env=worker_environment() | more,
    )  # fmt: skip
    if done.returncode:
        raise DedupdError(
            f"the search could not be measured: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    columns: dict[str, list[float]] = found.pop("columns")
    imported: dict[str, Any] = asdict(real_import.measure(files, on_progress)) if files else {}
    found["worker_mb"] = max(found["search_mb"], imported.pop("worker_mb", 0.0))
    return Scale(
        machine=machine(), versions={name: version(name) for name in _LIBRARIES}, photos=photos, runs=runs,
        spread={
            name: Spread(least=round(min(values), 3), greatest=round(max(values), 3))
            for name, values in columns.items()
        },
        **{name: round(statistics.median(values), 3) for name, values in columns.items()}, **found, **imported,
    )  # fmt: skip
