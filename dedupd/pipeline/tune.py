"""What other settings would change: stored measurements replayed, nothing decoded, nothing stored.

Must never write the ledger or touch a file.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.records import RootRow
from dedupd.pipeline.recluster import draw
from dedupd.ports import Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one choice of settings gives: path -> its keeper."""

    moves: dict[str, str] = field(default_factory=dict)
    review: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From the settings in force to the ones asked about."""

    now: Outcome
    then: Outcome
    contradicts: tuple[str, ...]
    """Files that would move or stay against what a person said of them."""

    @property
    def more_moves(self) -> list[str]:
        """Would move, and do not now."""
        return sorted(self.then.moves.keys() - self.now.moves.keys())

    @property
    def fewer_moves(self) -> list[str]:
        """Would not move any more."""
        return sorted(self.now.moves.keys() - self.then.moves.keys())

    @property
    def other_keepers(self) -> list[str]:
        """Would move beside another keeper."""
        both = self.now.moves.keys() & self.then.moves.keys()
        return sorted(path for path in both if self.now.moves[path] != self.then.moves[path])


def tune(
    ledger: Ledger, disk: Disk, roots: Sequence[RootRow], now: Settings, then: Settings,
    on_progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> Difference:  # fmt: skip
    """Replay every month under both settings. Moved files are settled and take no part."""
    model = ledger.get("model")
    months = [(root, row.month) for root in roots for row in ledger.inventory.months(root.id)]
    before, after = Outcome(), Outcome()
    for done, (root, month) in enumerate(months):
        on_progress("group", done, len(months))
        for settings, outcome in ((now, before), (then, after)):
            for star in draw(ledger, disk, settings, root, month, model)[1]:
                for member in star.members:
                    if not member.node.kept_by_person:
                        place = outcome.moves if member.unattended else outcome.review
                        place[member.node.path] = star.keeper.path
    approved = {path for v in ledger.judgement.verdicts("same") for path in v.paths[1:]}
    against = sorted(approved & before.moves.keys() - after.moves.keys() - after.review.keys())
    return Difference(now=before, then=after, contradicts=tuple(against))
