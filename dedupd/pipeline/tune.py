"""What other settings, or another model, would change: decides again from stored measurements, decodes and stores nothing.

Must never write the ledger or touch a file.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.records import RootRow
from dedupd.pipeline.move_orders import Companions
from dedupd.pipeline.recluster import draw, members_of
from dedupd.ports import Disk

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one choice of settings and model would decide: path -> its keeper."""

    groups: set[str] = field(default_factory=set)
    """Their keepers."""
    moves: dict[str, str] = field(default_factory=dict)
    review: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """From the settings and model in force to the ones asked about."""

    now: Outcome
    then: Outcome
    contradicts: tuple[str, ...]
    """Files that would move or stay against the verdict of a person."""

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

    @property
    def more_review(self) -> list[str]:
        """Would wait for a person, and do not now."""
        return sorted(self.then.review.keys() - self.now.review.keys())

    @property
    def fewer_review(self) -> list[str]:
        """Would not wait for a person any more."""
        return sorted(self.now.review.keys() - self.then.review.keys())


def tune(
    ledger: Ledger, disk: Disk, roots: Sequence[RootRow], now: Settings, then: Settings, model: str | None = None,
    on_progress: Callable[[str, int, int], None] = lambda phase, done, total: None,
) -> Difference:  # fmt: skip
    """Replay every month under both settings, the second time under `model` if given. Moved files are settled."""
    in_force = ledger.get("model")
    months = [(root, row.month) for root in roots for row in ledger.months.all(root.id)]
    before, after = Outcome(), Outcome()
    beside = {root.id: Companions(ledger, disk, root) for root in roots}
    for done, (root, month) in enumerate(months):
        on_progress("group", done, len(months))
        top, companions = _top(root, roots), beside[root.id]
        _replay(ledger, now, root, month, in_force, top, companions, before)
        _replay(ledger, then, root, month, in_force if model is None else model, top, companions, after)
        companions.turn()
    verdicts = ledger.verdicts.all("same")
    approved = {os.path.join(_top(r, roots), path) for r in roots for v in verdicts for path in v.paths[1:]}
    against = sorted(approved & before.moves.keys() - after.moves.keys() - after.review.keys())
    return Difference(now=before, then=after, contradicts=tuple(against))


def _top(root: RootRow, roots: Sequence[RootRow]) -> str:
    """What stands before its paths: those of several roots may be alike."""
    return root.path if len(roots) > 1 else ""


def _replay(
    ledger: Ledger, settings: Settings, root: RootRow, month: str, model: str, top: str, companions: Companions,
    outcome: Outcome,
) -> None:  # fmt: skip
    drawn = draw(ledger, settings, root, month, model, companions)
    paths = {file.id: os.path.join(top, file.path) for file in drawn.files}
    places = {"duplicate": outcome.moves, "review": outcome.review}
    for star, members in zip(drawn.stars, members_of(ledger, drawn.stars, companions), strict=True):
        for member in members:
            if member.role in places:
                outcome.groups.add(paths[star.keeper.id])
                places[member.role][paths[member.file]] = paths[star.keeper.id]
