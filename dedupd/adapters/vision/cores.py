"""How many cores this process may use, and how many reading processes fit into its memory.

A container or a service may have only a part of a large machine: threads and processes for all of its cores would
wait for each other and use too much memory. Must stay light (stdlib).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_HEADROOM = 2_200_000_000
"""Bytes for the worker itself and for pictures that are decoded at once."""
_ONE_READER = 100_000_000
"""Bytes for one process: libraries that are not shared, and a photo with its small pictures."""


def usable_cores(control: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Cores that this process may use, by its affinity and by the quota of its control group (cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for folder in _groups(control, own):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdigit() and period.isdigit() and int(period):
            cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def readers_with_room(control: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """How many processes that read photos fit into half of the memory that is left to this process."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for folder in _groups(control, own):
        most = _read(folder / "memory.max")
        memory = min(memory, int(most)) if most.isdigit() else memory
    return max(0, memory - _HEADROOM) // 2 // _ONE_READER


def _groups(control: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control group and of those around it."""
    for line in _read(own).splitlines():
        if line.startswith("0::/"):
            inner = control / line[4:]
            yield from (inner, *(each for each in inner.parents if each.is_relative_to(control)))


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""
