"""What other settings would change, counted from the evidence that is stored. No Textual, no I/O, nothing is re-embedded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dedupd.protocol.messages import GroupView
from dedupd.tui.state import waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What one other setting would mean for what waits now."""

    groups: int = 0
    files: int = 0
    bytes: int = 0

    def __bool__(self) -> bool:
        return bool(self.files)


def tier(groups: Iterable[GroupView], relation: str, action: str) -> Change:
    """Pictures of `relation` that would change sides if its tier became `action` ('move', 'review', 'off').

    'move' counts what a person is asked about now: an upper bound, for the proof's own bar still holds.
    """
    files = of_groups = freed = 0
    for group in groups:
        if not waits(group):
            continue
        side = {"move": group.review, "review": group.duplicates}.get(
            action, [*group.duplicates, *group.review]
        )
        hit = [path for path in side if _relation(group, path) == relation]
        if hit:
            of_groups += 1
            files += len(hit)
            freed += _share(group, side, hit)
    return Change(groups=of_groups, files=files, bytes=freed)


def threshold(groups: Iterable[GroupView], cosine: float) -> Change:
    """Review pictures whose cosine lies below `cosine`: they would not be shown any more."""
    files = of_groups = freed = 0
    for group in groups:
        if not waits(group):
            continue
        hit = [
            p
            for p in group.review
            if (e := group.evidence.get(p)) and e.cosine is not None and e.cosine < cosine
        ]
        if hit:
            of_groups += 1
            files += len(hit)
            freed += round(group.review_bytes * len(hit) / len(group.review))
    return Change(groups=of_groups, files=files, bytes=freed)


def _relation(group: GroupView, path: str) -> str:
    found = group.evidence.get(path)
    return found.relation if found else group.relation


def _share(group: GroupView, side: list[str], hit: list[str]) -> int:
    """Bytes of `hit`: sizes are known for a group's two sides only, so its share of them."""
    total = 0
    for paths, weight in ((group.duplicates, group.bytes), (group.review, group.review_bytes)):
        if paths and side:
            total += round(weight * len(set(hit) & set(paths)) / len(paths))
    return total
