"""The state of the machine: battery, load, and how fast its disks answer.

Owns where each system says so. Must never wait long, write, or open a photo. Sources: Linux,
Documentation/ABI/testing/sysfs-class-power and Documentation/block/stat.rst; macOS, pmset(1).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dedupd.core.politeness import Machine

_SUPPLIES = Path("/sys/class/power_supply")
_DISKS = Path("/sys/dev/block")
_PMSET_SECONDS = 5.0


class MachineGauge:
    """Reads the state. A disk's speed is that since the last reading."""

    def __init__(self, supplies: Path = _SUPPLIES, disks: Path = _DISKS) -> None:
        self._supplies, self._disks = supplies, disks
        self._before: dict[int, tuple[int, int]] = {}
        """Device -> (requests, milliseconds they took) at the last reading."""

    def read(self, devices: Iterable[int]) -> Machine:
        """`devices`: the device numbers of the disks that matter, as stat gives them."""
        load = None
        with suppress(OSError):
            load = os.getloadavg()[0] / (os.cpu_count() or 1)
        slow = [ms for device in devices if (ms := self._answers_in(device)) is not None]
        battery = self._battery_of_mac() if sys.platform == "darwin" else self._battery()
        return Machine(battery=battery, load=load, disk_ms=max(slow, default=None))

    def _battery(self) -> float | None:
        """None on mains power. The battery of a mouse does not count."""
        left: list[float] = []
        for supply in _entries(self._supplies):
            kind = _text(supply / "type")
            if kind in ("Mains", "USB") and _text(supply / "online") == "1":
                return None
            if kind == "Battery" and _text(supply / "scope") != "Device":
                with suppress(ValueError):
                    if _text(supply / "status") == "Discharging":
                        left.append(float(_text(supply / "capacity")))
        return min(left, default=None)

    def _battery_of_mac(self) -> float | None:
        told = ""
        with suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run(
                ["/usr/bin/pmset", "-g", "batt"],
                capture_output=True, text=True, timeout=_PMSET_SECONDS, check=False,
            ).stdout  # fmt: skip
        return battery_from_pmset(told)

    def _answers_in(self, device: int) -> float | None:
        """Milliseconds per request; None when nothing counts them (network, several disks) and when there
        were no requests."""
        numbers = _text(self._disks / f"{os.major(device)}:{os.minor(device)}" / "stat").split()
        if len(numbers) < 8 or not all(number.isdigit() for number in numbers):
            return None
        done, took = int(numbers[0]) + int(numbers[4]), int(numbers[3]) + int(numbers[7])
        before, self._before[device] = self._before.get(device), (done, took)
        if before is None or done <= before[0]:
            return None
        return max(0.0, (took - before[1]) / (done - before[0]))


def battery_from_pmset(by_pmset: str) -> float | None:
    """Per cent left, from the output of `pmset -g batt`; None on mains power."""
    found = re.search(r"(\d{1,3})%", by_pmset)
    return float(found.group(1)) if found and "Battery Power" in by_pmset else None


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return ""
