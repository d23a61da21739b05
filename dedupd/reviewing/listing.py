"""How months and groups are listed: filter, sort order, totals, and the kinds of reasons why groups wait.

Functions of values only. Must never change a group, nor import Textual or do I/O.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from dedupd.protocol.views import GroupView, MonthView
from dedupd.reviewing.words import RELATIONS

WAITING = ("proposed", "review")
"""Group states that wait for a person."""
PREDECIDED = ("exact", "copy")
"""Relations whose proposals rest on proof: all groups that wait for one reason may be approved with one key.
"""

_NUMBER = re.compile(r"\d[\d.,]*(?:\s?%|\s?(?:s|min|h)\b)?")
"""A number with its unit. The unit changes with the number, so '90 s apart' and '2 min apart' count as one
reason."""


class Order(StrEnum):
    """What groups are sorted by: most bytes, earliest time or highest confidence first."""

    BYTES = "bytes"
    TIME = "time"
    CONFIDENCE = "confidence"

    def following(self) -> Order:
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFilter:
    """Which groups of a month are listed, and in which order."""

    relation: str = ""
    """'' = every relation."""
    text: str = ""
    """Every word must occur in some path of the group, or in a reason why something of it waits."""
    reasons: frozenset[str] | None = None
    """Only groups that wait for exactly these kinds of reasons (`waits_for`); None: for any reasons."""
    order: Order = Order.BYTES
    settled: bool = False
    """Also groups that do not wait for a person."""

    def changed(self, **changes: object) -> GroupFilter:
        """The same filter with other values for these fields."""
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """The heading above the months of a year, with their totals."""

    year: str
    photos: int
    waiting: int
    bytes_saved: int


def waits(group: GroupView) -> bool:
    """The group waits for a person."""
    return group.state in WAITING


def waits_for(group: GroupView) -> frozenset[str]:
    """The kinds of reasons why pictures of the group wait for a person, one clause each.

    Empty: they only wait for approval. What the keeper holds is no reason. Reasons that differ only in their
    numbers are of one kind.
    """
    clauses = (clause for path in group.review for clause in _reason(group, path))
    return frozenset(kind_of(clause) for clause in clauses if not clause.startswith("its keeper "))


def kind_of(clause: str) -> str:
    """The reason without its numbers: 'shows 6% more than the keeper does' -> 'shows … more than the keeper
    does'."""
    return _NUMBER.sub("…", clause)


def lost_kinds(groups: Iterable[GroupView]) -> tuple[int, Counter[str]]:
    """What would be lost from sight if all of `groups` were moved.

    Returns the number of groups in which a moved picture holds something that its keeper lacks, and for each kind
    of such content the number of groups that have it.
    """
    lossy, kinds = 0, Counter[str]()
    for group in groups:
        paths = (p for p in (*group.duplicates, *group.review) if p not in group.moved_to)
        proofs = (group.evidence[path] for path in paths if path in group.evidence)
        found = {kind_of(clause) for proof in proofs for clause in proof.only_here}
        kinds.update(sorted(found))
        lossy += bool(found)
    return lossy, kinds


def _reason(group: GroupView, path: str) -> list[str]:
    told = group.why.get(path, "")
    return told.split("; ") if told else ["no reason is recorded"]


def weight(group: GroupView) -> int:
    """Bytes that the group frees or would free."""
    return group.bytes + group.review_bytes


def confidence(group: GroupView) -> float | None:
    """The confidence of the least certain member, 0 to 1; None when people are told none of any member."""
    told = (proof.confidence_told for proof in group.evidence.values())
    return min((sure for sure in told if sure is not None), default=None)


def members(group: GroupView) -> int:
    """The number of pictures without the keeper."""
    return len(group.duplicates) + len(group.review) + group.left_out


def listed(
    groups: Iterable[GroupView], group_filter: GroupFilter, sticky: frozenset[int] = frozenset()
) -> list[GroupView]:
    """The groups that pass the filter, in its order. Ids in `sticky` stay listed although they no longer wait."""
    words = group_filter.text.casefold().split()
    found = [
        group
        for group in groups
        if (not group_filter.relation or group.relation == group_filter.relation)
        and (group_filter.settled or waits(group) or group.id in sticky)
        and (group_filter.reasons is None or _of_class(group, group_filter.reasons, sticky))
        and (not words or _mentions(group, words))
    ]
    if group_filter.order is Order.TIME:
        found.sort(key=lambda g: (g.captured is None, g.captured or 0.0, g.id))
    elif group_filter.order is Order.CONFIDENCE:
        found.sort(key=lambda g: (*_surest_first(confidence(g)), g.id))
    else:
        found.sort(key=lambda g: (-weight(g), g.id))
    return found


def _surest_first(sure: float | None) -> tuple[bool, float]:
    """Groups of which none is told come last."""
    return sure is None, -(sure or 0.0)


def _of_class(group: GroupView, reasons: frozenset[str], sticky: frozenset[int]) -> bool:
    """A waiting group must wait for exactly these reasons: otherwise one key would approve reasons that
    nobody saw."""
    return waits_for(group) == reasons if waits(group) else group.id in sticky


def _mentions(group: GroupView, words: Sequence[str]) -> bool:
    reasons = (group.why.get(path, "") for path in group.review)
    text = "\n".join((group.keep, *group.duplicates, *group.review, *reasons)).casefold()
    return all(word in text for word in words)


def tally(groups: Iterable[GroupView], *, settled: bool) -> dict[str, int]:
    """The number of groups of each relation; every known relation is included, the strongest first."""
    count = Counter(g.relation for g in groups if settled or waits(g))
    return {relation: count[relation] for relation in (*RELATIONS, *sorted(set(count) - set(RELATIONS)))}


def by_year(months: Sequence[MonthView]) -> list[Year | MonthView]:
    """Months, newest first, below a heading for each year."""
    rows: list[Year | MonthView] = []
    ordered = sorted(months, key=lambda m: (m.root, m.month))
    ordered.sort(key=lambda m: m.month, reverse=True)
    for year in dict.fromkeys(m.month[:4] for m in ordered):
        of_year = [m for m in ordered if m.month[:4] == year]
        rows.append(
            Year(
                year=year,
                photos=sum(m.photos for m in of_year),
                waiting=sum(m.waiting for m in of_year),
                bytes_saved=sum(m.bytes_saved for m in of_year),
            )
        )
        rows.extend(of_year)
    return rows
