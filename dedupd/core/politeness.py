"""When heavy work of the daemon's own accord waits for a better moment, and how that is said.

Owns the conditions. Must never hold back a person's request, nor what looks after keepers (P8): who asks here is about to
look, compare or move of its own accord.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

_EASE = 0.75
"""What waits for a calmer machine goes on well below the bar, so that it does not stop and go."""
_LENGTH = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """How the machine is doing; None where it does not tell."""

    battery: float | None = None
    """Per cent left; None while it is plugged in, or has no battery."""
    load: float | None = None
    """What is running or waiting to run, for each core, over a minute."""
    disk_ms: float | None = None
    """How long the slowest disk of a root took to answer lately."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the settings say; 0 or '' for what never matters."""

    hours: str = ""
    battery: float = 0.0
    load: float = 0.0
    disk_ms: float = 0.0


def waits_for(limits: Limits, now: datetime, machine: Machine, *, waiting: bool = False) -> str:
    """One clause: what heavy work waits for now; '' when it may be done. `now`: local time; `waiting`: it waits already."""
    ease = _EASE if waiting else 1.0
    if limits.hours and not within(limits.hours, now):
        begin = limits.hours.partition("-")[0]
        return f"heavy work is done from {limits.hours} only: next at {begin} (speed.hours)"
    if machine.battery is not None and machine.battery < limits.battery:
        return (
            f"on battery at {machine.battery:.0f} %: heavy work goes on when it is plugged in, or above "
            f"{limits.battery:.0f} % (speed.battery)"
        )
    if limits.load and machine.load is not None and machine.load > limits.load * ease:
        return (
            f"the machine is busy (load {machine.load:.1f} a core, more than {limits.load * ease:.1f}): heavy work "
            "goes on when it is calmer (speed.load)"
        )
    if limits.disk_ms and machine.disk_ms is not None and machine.disk_ms > limits.disk_ms * ease:
        return (
            f"the disk is busy (it answers in {machine.disk_ms:.0f} ms, more than {limits.disk_ms * ease:.0f}): "
            "heavy work goes on when it is calmer (speed.disk_ms)"
        )
    return ""


def within(hours: str, now: datetime) -> bool:
    """Whether the local time lies in '22:00-07:00', the end left out; equal ends are the whole day."""
    begin, end = hours.split("-")
    time = now.strftime("%H:%M")
    return begin <= time < end if begin < end else time >= begin or time < end


def clock_time(at: float, now: float) -> str:
    """'22:15' of today, '2024-06-15 22:15' of another day; local time."""
    then = datetime.fromtimestamp(at)
    return then.strftime("%H:%M" if then.date() == datetime.fromtimestamp(now).date() else "%Y-%m-%d %H:%M")


def seconds_of(length: str) -> float:
    """'2h', '1h30m', '1d' in seconds. Raises ValueError for anything else, and for no time at all."""
    found = _LENGTH.fullmatch(length.strip().lower())
    seconds = sum(
        int(part or 0) * unit
        for part, unit in zip(found.groups() if found else (), (86400, 3600, 60, 1), strict=False)
    )
    if not seconds:
        raise ValueError(length)
    return float(seconds)
