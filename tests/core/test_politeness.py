"""When heavy work waits, and how long a pause is."""

from __future__ import annotations

from datetime import datetime

import pytest

from dedupd.core.politeness import Limits, Machine, clock_time, seconds_of, waits_for, within

NOON = datetime(2024, 6, 15, 12, 0)
CALM = Machine(battery=None, load=0.5, disk_ms=5.0)


@pytest.mark.parametrize(
    ("hours", "time", "inside"),
    [
        ("22:00-07:00", "22:00", True), ("22:00-07:00", "03:00", True), ("22:00-07:00", "07:00", False),
        ("22:00-07:00", "21:59", False), ("09:00-17:30", "09:00", True), ("09:00-17:30", "17:30", False),
        ("09:00-17:30", "08:59", False), ("05:00-05:00", "12:00", True),
    ],
)  # fmt: skip
def test_the_hours_for_heavy_work_may_go_past_midnight(hours: str, time: str, inside: bool) -> None:
    assert within(hours, datetime.strptime(f"2024-06-15 {time}", "%Y-%m-%d %H:%M")) is inside


@pytest.mark.parametrize(
    ("limits", "machine", "said"),
    [
        (Limits(hours="22:00-07:00"), CALM, "from 22:00-07:00 only: next at 22:00 (speed.hours)"),
        (Limits(battery=30), Machine(battery=29), "on battery at 29 %"),
        (Limits(load=4), Machine(load=4.5), "load 4.5 a core, more than 4.0"),
        (Limits(disk_ms=200), Machine(disk_ms=250), "answers in 250 ms, more than 200"),
    ],
)
def test_it_says_what_it_waits_for(limits: Limits, machine: Machine, said: str) -> None:
    assert said in waits_for(limits, NOON, machine)


@pytest.mark.parametrize(
    ("limits", "machine"),
    [
        (Limits(), Machine(battery=1, load=99, disk_ms=9999)),
        (Limits(battery=30), Machine(battery=30)),
        (Limits(battery=30, load=4, disk_ms=200), Machine()),
        (Limits(battery=30, load=4, disk_ms=200), CALM),
        (Limits(hours="09:00-17:00"), CALM),
    ],
)
def test_otherwise_it_works(limits: Limits, machine: Machine) -> None:
    assert waits_for(limits, NOON, machine) == ""


def test_what_waits_for_a_calmer_machine_does_not_stop_and_go() -> None:
    limits = Limits(load=4, disk_ms=200)
    for nearly in (Machine(load=3.5), Machine(disk_ms=180)):
        assert waits_for(limits, NOON, nearly) == ""
        assert waits_for(limits, NOON, nearly, waiting=True)
    assert waits_for(limits, NOON, Machine(load=2.9, disk_ms=140), waiting=True) == ""


@pytest.mark.parametrize(
    ("length", "seconds"), [("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1d", 86400), (" 45S ", 45)]
)
def test_a_length_of_time(length: str, seconds: float) -> None:
    assert seconds_of(length) == seconds


@pytest.mark.parametrize("length", ["", "2", "h", "0m", "2 h", "-1h", "30m2h", "tomorrow"])
def test_what_is_no_length_of_time(length: str) -> None:
    with pytest.raises(ValueError, match=length.strip() or "^$"):
        seconds_of(length)


def test_an_end_is_told_with_its_day_unless_it_is_today() -> None:
    noon = NOON.timestamp()
    assert clock_time(noon + 3600, noon) == "13:00"
    assert clock_time(noon + 86400, noon) == "2024-06-16 12:00"
