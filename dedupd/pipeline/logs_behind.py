"""Months whose logs tell of more look-alikes than are left to compare. Kept in the ledger until their logs are written, so
that no kill in between leaves a log as it was.

Must never write a log: summarise.py does.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

_KEY = "logs_behind"


def note(ledger: Ledger, months: Iterable[tuple[int, str]]) -> None:
    """The logs of these (root id, month) are behind. Writers hold the transaction that makes them so."""
    _put(ledger, _noted(ledger) | set(months))


def logs_behind(ledger: Ledger) -> dict[int, set[str]]:
    """Root id -> months."""
    found: dict[int, set[str]] = defaultdict(set)
    for root, month in _noted(ledger):
        found[root].add(month)
    return dict(found)


def written(ledger: Ledger, months: Mapping[int, set[str]]) -> None:
    """The logs of these months (by root id) were just written."""
    if behind := _noted(ledger):
        _put(ledger, {(root, month) for root, month in behind if month not in months.get(root, ())})


def _noted(ledger: Ledger) -> set[tuple[int, str]]:
    return {(root, month) for root, month in json.loads(ledger.get(_KEY) or "[]")}


def _put(ledger: Ledger, months: set[tuple[int, str]]) -> None:
    ledger.put(_KEY, json.dumps(sorted(months)))
