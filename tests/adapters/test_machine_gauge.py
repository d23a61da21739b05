"""What the machine tells of itself: batteries, load and disks, by files as systems lay them out."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from dedupd.adapters.machine_gauge import MachineGauge, battery_from_pmset

linux = pytest.mark.skipif(sys.platform != "linux", reason="sysfs is Linux")


def put(folder: Path, **values: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")


@linux
def test_a_battery_counts_while_nothing_feeds_it(tmp_path: Path) -> None:
    gauge = MachineGauge(supplies=tmp_path)
    assert gauge.read([]).battery is None
    put(tmp_path / "BAT0", type="Battery", status="Discharging", capacity=41)
    put(tmp_path / "BAT1", type="Battery", status="Discharging", capacity=23)
    put(tmp_path / "hidpp_battery_0", type="Battery", status="Discharging", capacity=3, scope="Device")
    put(tmp_path / "AC", type="Mains", online=0)
    assert gauge.read([]).battery == 23
    put(tmp_path / "AC", online=1)
    assert gauge.read([]).battery is None


@linux
def test_a_battery_that_tells_nonsense_is_none(tmp_path: Path) -> None:
    put(tmp_path / "BAT0", type="Battery", status="Discharging", capacity="unknown")
    put(tmp_path / "BAT1", type="Battery", status="Full", capacity=1)
    assert MachineGauge(supplies=tmp_path).read([]).battery is None


def test_a_disk_is_as_slow_as_its_last_requests(tmp_path: Path) -> None:
    gauge, device = MachineGauge(disks=tmp_path), os.makedev(8, 1)
    disk = tmp_path / "8:1"
    put(disk, stat="100 0 0 1000  100 0 0 1000  0 0 0")
    assert gauge.read([device]).disk_ms is None, "once is no measure"
    put(disk, stat="110 0 0 3000  110 0 0 1500  0 0 0")
    assert gauge.read([device]).disk_ms == 125
    assert gauge.read([device]).disk_ms is None, "nothing was asked of it"
    assert gauge.read([os.makedev(0, 50)]).disk_ms is None, "a network has no such file"


def test_load_is_told_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (6.0, 0.0, 0.0))
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert MachineGauge().read([]).load == 1.5


def test_what_pmset_prints() -> None:
    line = " -InternalBattery-0 (id=4522083)\t{}%; {}; 3:12 remaining present: true\n"
    assert battery_from_pmset("Now drawing from 'Battery Power'\n" + line.format(57, "discharging")) == 57
    assert battery_from_pmset("Now drawing from 'AC Power'\n" + line.format(57, "charging")) is None
    assert battery_from_pmset("") is None
