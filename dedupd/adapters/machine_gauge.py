"""How the machine is doing: battery, load, how fast its disks answer.

Owns where systems tell it. Must never wait for long, write, or open a photo.

Sources: Linux, Documentation/ABI/testing/sysfs-class-power and Documentation/block/stat.rst; macOS, pmset(1).
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
    """Reads them. How fast a disk answers is what happened since it was read last."""

    def __init__(self, supplies: Path = _SUPPLIES, disks: Path = _DISKS) -> None:
        self._supplies, self._disks = supplies, disks
        self._before: dict[int, tuple[int, int]] = {}
        """Device -> requests done and the milliseconds they took, when it was read last."""

    def read(self, devices: Iterable[int]) -> Machine:
        """`devices`: numbers of the disks that matter, as stat gives them."""
        load = None
        with suppress(OSError):
            load = os.getloadavg()[0] / (os.cpu_count() or 1)
        slow = [ms for device in devices if (ms := self._answers_in(device)) is not None]
        battery = self._battery_of_mac() if sys.platform == "darwin" else self._battery()
        return Machine(battery=battery, load=load, disk_ms=max(slow, default=None))

    def _battery(self) -> float | None:
        """None while a mains adapter feeds it. The battery of a mouse is none."""
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
        return battery_told(told)

    def _answers_in(self, device: int) -> float | None:
        """ms a request; None where nobody counts (network, several disks) and while nothing was asked."""
        numbers = _text(self._disks / f"{os.major(device)}:{os.minor(device)}" / "stat").split()
        if len(numbers) < 8 or not all(number.isdigit() for number in numbers):
            return None
        done, took = int(numbers[0]) + int(numbers[4]), int(numbers[3]) + int(numbers[7])
        before, self._before[device] = self._before.get(device), (done, took)
        if before is None or done <= before[0]:
            return None
        return max(0.0, (took - before[1]) / (done - before[0]))


def battery_told(by_pmset: str) -> float | None:
    """Per cent left, by what `pmset -g batt` prints; None on mains."""
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
