"""The pause that a person asked for, as the ledger keeps it over a restart.

Must never end a pause before its time: a clock that was set back makes it no longer than it was meant, set ahead no shorter
than the clock says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_PAUSED, _UNTIL = "paused", "paused_until"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pausing:
    """Whether dedupd is paused now, and until when."""

    paused: bool = False
    until: float | None = None
    """Wall clock; None: until somebody says so."""


def pause(ledger: Ledger, now: float, seconds: float | None) -> None:
    """From now on, for so long; None: until `resume`."""
    with ledger.transaction():
        ledger.put(_PAUSED, "yes")
        ledger.put(_UNTIL, "" if seconds is None else f"{now + seconds} {seconds}")


def resume(ledger: Ledger) -> None:
    """It is over."""
    with ledger.transaction():
        ledger.put(_PAUSED, "no")
        ledger.put(_UNTIL, "")


def pausing(ledger: Ledger, now: float) -> Pausing:
    """What holds now."""
    if ledger.get(_PAUSED) != "yes":
        return Pausing()
    written = ledger.get(_UNTIL).split()
    if not written:
        return Pausing(paused=True)
    until, seconds = map(float, written)
    return Pausing(paused=True, until=min(until, now + seconds)) if now < until else Pausing()
