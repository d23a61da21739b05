"""Removes from ledger and index what no file has any more, a little at a time.

Owns when that is due. What may never be forgotten is known by adapters/ledger/forgetting.py. Must not be called while
anything waits to be looked at: a photo that moved to another root is known there soon.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dedupd.errors import VisionError
from dedupd.ports import Clock, Vision

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

log = logging.getLogger("dedupd.forget")
ADOPTED_AT = "adopted_at"
"""When rows of a backfill came in, of photos that nobody has found yet."""
_CONTENTS = 10_000
"""Contents examined in each pass: a fraction of a second."""
_AGAIN_SECONDS = 86_400.0
_ADOPTED_SECONDS = 30 * 86_400.0
"""Adopted rows are kept this long without a photo: an import of millions takes days, root by root."""
_ABORTED_SECONDS = 90 * 86_400.0


def forget_missing(ledger: Ledger, clock: Clock) -> None:
    """Contents, pairs, and moves that came to nothing long ago; once a round is through, not again for a day."""
    if not _due(ledger, clock, "forgot_at"):
        return
    with ledger.transaction():
        after = ledger.forgetting.contents(ledger.get("forgot_to"), _CONTENTS)
        ledger.put("forgot_to", after)
        if not after:
            ledger.forgetting.aborted_moves(clock.now() - _ABORTED_SECONDS)
            ledger.put("forgot_at", str(clock.now()))


def forget_rows(ledger: Ledger, vision: Vision, clock: Clock) -> None:
    """Remove index rows that the ledger does not know any more; once a day, while the worker runs anyway."""
    if not _due(ledger, clock, "forgot_rows_at") or not _due(ledger, clock, ADOPTED_AT, _ADOPTED_SECONDS):
        return
    try:
        vision.forget(ledger.forgetting.unknown)
    except VisionError as error:
        log.warning("what is gone stays in the index: %s", error)
    ledger.put("forgot_rows_at", str(clock.now()))


def _due(ledger: Ledger, clock: Clock, last: str, after: float = _AGAIN_SECONDS) -> bool:
    """Whether this was not done within a day (or another time); a clock that was set back makes it due."""
    at = ledger.get(last)
    return not at or not 0 <= clock.now() - float(at) < after
