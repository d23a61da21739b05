"""Which keepers of held copies are to be looked at now, and which later (P8).

Events name folders: the keepers in them are looked at in the next sweep. What events missed a slow round finds, a
few keepers each sweep. Keepers whose answer is open are asked about again. Must never look at a disk itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedupd.core.records import HeldGroupRow, RootRow
from dedupd.ports import Clock

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

ROUND_KEEPERS = 200
"""Keepers of the slow round that one sweep checks: 50,000 keepers take two hours."""
ROWS = 4096
"""Rows held at once."""
ROUND_SECONDS = 6 * 3600.0
"""Seconds from the start of one round to the next, so that a disk may sleep between them. A full walk counts as a round."""


@dataclass(slots=True, kw_only=True)
class _Round:
    """How far the slow round of a root is."""

    began: float
    after: int | None = 0
    """The last group that was checked; None when the round is done."""
    waiting: set[int] = field(default_factory=set[int])
    """Groups to be looked at in the next sweep, whatever the round says."""


class Keepers:
    """The keepers of one library. What it remembers is lost with the process: each start begins with a full look."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._rounds: dict[int, _Round] = {}

    def hint(self, root: RootRow, folders: Mapping[str, bool]) -> None:
        """Something changed in these folders (True: perhaps in all below them)."""
        waiting = self._round(root).waiting
        for folder, whole in folders.items():
            waiting |= self._ledger.groups.with_keeper_in(root, folder, whole=whole)

    def again(self, root: RootRow, group: int) -> None:
        """Check it in the next sweep too: it could not be answered or mended yet."""
        self._round(root).waiting.add(group)

    def all(self, root: RootRow) -> Iterator[HeldGroupRow]:
        """Every group, a few thousand rows at a time. What is done between two rows may change the ledger."""
        self._rounds[root.id] = _Round(began=self._clock.monotonic(), after=None)
        return self._all(root)

    def _all(self, root: RootRow) -> Iterator[HeldGroupRow]:
        after = 0
        while some := self._ledger.groups.with_held(root, after=after, limit=ROWS):
            yield from some
            after = some[-1].group

    def of(self, root: RootRow, groups: Iterable[int]) -> list[HeldGroupRow]:
        """Those of these groups that hold copies."""
        return self._ledger.groups.with_held(root, groups=groups)

    def due(self, root: RootRow) -> list[HeldGroupRow]:
        """Groups to check now: those that events name, those without an answer, and the next ones of the round."""
        now, at = self._clock.monotonic(), self._round(root)
        asked, at.waiting = at.waiting, set()
        rows = self._ledger.groups.with_held(root, groups=asked) if asked else []
        if at.after is None and now - at.began >= ROUND_SECONDS:
            at.began, at.after = now, 0
        if at.after is not None:
            some = self._ledger.groups.with_held(root, after=at.after, limit=ROUND_KEEPERS)
            at.after = some[-1].group if len(some) == ROUND_KEEPERS else None
            rows += [row for row in some if row.group not in asked]
        return rows

    def _round(self, root: RootRow) -> _Round:
        return self._rounds.setdefault(root.id, _Round(began=self._clock.monotonic()))
