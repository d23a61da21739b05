"""How fast dedupd reads and compares photos of a camera's size, compared with the naive way in the same run.

    python -m dedupd.bench.speed FOLDER       one scan of FOLDER in a fresh state; its costs as one JSON line

Owns the runs and their figures. Each scan and each naive run is a process of its own, one after another, so
that memory peaks and CPU times are separate. Must never change a photo. Times are those of this machine at
this moment: compare ratios of one run.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from dedupd.bench import others
from dedupd.errors import DedupdError
from dedupd.library import Library
from dedupd.ports import FileRequest, Ingested, Proof, ProofRequest, Vision

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The minimum and the maximum of the runs."""

    least: float
    greatest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """Results of the runs: medians, and their spread under the same names."""

    machine: str
    photos: int
    megapixels: float
    runs: int
    ratio_to_naive: float
    """Seconds of the naive way for one second of dedupd, whole process; above 1 dedupd is faster."""
    photos_per_s: float
    read_ms: float
    """CPU milliseconds per photo: hash, decode, embed, store."""
    pair_ms: float
    """CPU milliseconds per pair that was aligned."""
    pairs: int
    peak_mb: float
    cpu_s: float
    system_share: float
    """Share of the CPU time spent in the kernel."""
    naive: str
    """What the naive way consists of."""
    naive_s: float
    naive_cpu_s: float
    peers: dict[str, float]
    """Other tools that are installed -> seconds."""
    spread: dict[str, Spread]


def measure(photos: int, megapixels: float, runs: int, on_progress: Progress) -> Speed:
    """Paint the photos, then scan them, alternately with dedupd and naively, `runs` times."""
    with tempfile.TemporaryDirectory(prefix="dedupd-speed-") as temporary:
        folder = Path(temporary, "Pictures")
        on_progress("paint", 0, 1)
        size = ("--photos", str(photos), "--megapixels", str(megapixels))
        _run("dedupd.bench.camera", str(folder), *size)
        return measure_folder(folder, megapixels, runs, on_progress)


def measure_folder(folder: Path, megapixels: float, runs: int, on_progress: Progress) -> Speed:
    """The same for an existing folder."""
    ours: list[dict[str, Any]] = []
    naive: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="dedupd-naive-") as temporary:
        model = _run("dedupd.bench.naive", "--model", temporary)
        for done in range(runs):
            on_progress("scan", done, runs)
            ours.append(json.loads(_run("dedupd.bench.speed", str(folder))))
            on_progress("naive", done, runs)
            naive.append(json.loads(_run("dedupd.bench.naive", str(folder), model)))
    peers: dict[str, float] = {}
    for tool in others.installed():
        on_progress(tool.name, 0, 1)
        with tempfile.TemporaryDirectory(prefix="dedupd-peer-") as scratch:
            found = others.ask(tool, folder, Path(scratch))
        if not found.failed:
            peers[tool.name] = round(found.seconds, 2)
    photos = int(ours[0]["photos"])
    columns = {
        "ratio_to_naive": [n["seconds"] / o["seconds"] for n, o in zip(naive, ours, strict=True)],
        "photos_per_s": [photos / o["seconds"] for o in ours],
        **{
            name: [o[name] for o in ours]
            for name in ("read_ms", "pair_ms", "peak_mb", "cpu_s", "system_share")
        },
        "naive_s": [n["seconds"] for n in naive],
        "naive_cpu_s": [n["cpu_s"] for n in naive],
    }
    medians = {name: round(statistics.median(values), 3) for name, values in columns.items()}
    spread = {name: Spread(least=round(min(v), 3), greatest=round(max(v), 3)) for name, v in columns.items()}
    return Speed(
        machine=machine(), photos=photos, megapixels=megapixels, runs=runs, pairs=int(ours[0]["pairs"]),
        naive=str(naive[0]["naive"]), peers=peers, spread=spread, **medians,
    )  # fmt: skip


def _run(module: str, *arguments: str) -> str:
    """Run a process; returns its last line."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise DedupdError(f"{module} failed: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def machine() -> str:
    name = platform.processor() or platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    return f"{name}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def scan(folder: Path) -> dict[str, float]:
    """One dry scan of `folder` with a state of its own, and its costs."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dedupd-speed-") as state:
        with Library.open([folder], state_dir=Path(state, "state"), config=None) as library:
            watched = _Watched(library.vision)
            library.change_vision(cast("Vision", watched))
            outcome = library.scan(dry_run=True)
            peak = watched.peak()
        seconds = time.monotonic() - began
    user, system = used()
    return {
        "photos": outcome.report["total_images"],
        "seconds": seconds,
        "cpu_s": user + system,
        "system_share": system / max(1e-9, user + system),
        "read_ms": 1000 * watched.reading / max(1, watched.photos),
        "pair_ms": 1000 * watched.proving / max(1, watched.pairs),
        "pairs": watched.pairs,
        "peak_mb": peak,
    }


def used() -> tuple[float, float]:
    """CPU seconds of this process and of its ended children, (user mode, kernel)."""
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + children.ru_utime, own.ru_stime + children.ru_stime


class _Watched:
    """A `Vision` that records what reading and proving cost its worker."""

    def __init__(self, vision: Vision) -> None:
        self._vision = vision
        self.photos = self.pairs = 0
        self.reading = self.proving = 0.0
        """CPU seconds of the worker."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vision, name)

    def ingest(self, requests: Sequence[FileRequest]) -> Iterator[Ingested]:
        before = self._cpu()
        for answer in self._vision.ingest(requests):
            self.photos += 1
            yield answer
        self.reading += self._cpu() - before

    def prove(self, requests: Sequence[ProofRequest]) -> Iterator[Proof]:
        before = self._cpu()
        for answer in self._vision.prove(requests):
            self.pairs += 1
            yield answer
        self.proving += self._cpu() - before

    def peak(self) -> float:
        """MB of memory that the worker and those that read for it held at most, or any other child so far."""
        pid = cast("int | None", getattr(self._vision, "pid", None))
        held = 0.0 if pid is None else sum(map(_held_at_most, (pid, *_children(pid))))
        if held:
            return held
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / (1 << 20)

    def _cpu(self) -> float:
        """Seconds that the worker and those that read for it used so far; 0 before it started."""
        pid = cast("int | None", getattr(self._vision, "pid", None))
        return 0.0 if pid is None else sum(map(cpu_of, (pid, *_children(pid))))


def _children(pid: int) -> list[int]:
    """Processes that it started and that still run; none where that cannot be asked."""
    told = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=False
    ).stdout
    pairs = [line.split() for line in told.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def _held_at_most(pid: int) -> float:
    """MB of memory; 0 where that cannot be asked."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_of(pid: int) -> float:
    """CPU seconds of a running process, without its children."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    told = subprocess.run(["ps", "-o", "time=", "-p", str(pid)], capture_output=True, text=True, check=False)
    seconds = 0.0
    for part in told.stdout.strip().replace("-", ":").split(":"):
        seconds = 60 * seconds + float(part or 0)
    return seconds


if __name__ == "__main__":
    print(json.dumps(scan(Path(sys.argv[1]))))
