"""What the reviewer knows, and how it is listed: months, groups, filter, sort. No Textual, no I/O.

The daemon is the truth: everything here may be thrown away and asked again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from dedupd.protocol.messages import GroupView, MonthView, ProgressView, StatusView
from dedupd.tui.model.words import RELATIONS

WAITING = ("proposed", "review")
"""Group states that wait for a person."""
PREDECIDED = ("exact", "copy")
"""Relations whose proposal rests on proof: a whole class may be approved with one key."""

_NUMBER = re.compile(r"\d[\d.,]*(?:\s?%|\s?(?:s|min|h)\b)?")
"""With the unit that changes with it: 90 s and 2 min are one kind of time apart."""

MonthKey = tuple[str, str]
"""(root, month)."""


class Order(StrEnum):
    """How groups are sorted; the best first."""

    BYTES = "bytes"
    TIME = "time"
    CONFIDENCE = "confidence"

    def following(self) -> Order:
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which groups of a month to list, and how."""

    relation: str = ""
    """'' = every relation."""
    text: str = ""
    """Every word must occur in some path of the group, or in a reason why something of it waits."""
    reasons: frozenset[str] | None = None
    """Only groups that wait for these kinds of reasons (`waits_for`) and no other; None: whatever they wait for."""
    order: Order = Order.BYTES
    settled: bool = False
    """Also those that wait for nobody."""

    def but(self, **changes: object) -> Wanted:
        return replace(self, **changes)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class Year:
    """A heading above its months."""

    year: str
    photos: int
    waiting: int
    bytes_saved: int


def waits(group: GroupView) -> bool:
    return group.state in WAITING


def waits_for(group: GroupView) -> frozenset[str]:
    """The kinds of reasons why its pictures wait for a person, one clause each; empty: they wait for a yes alone.

    What the keeper holds besides is no reason, and numbers do not tell kinds apart.
    """
    clauses = (clause for path in group.review for clause in _reason(group, path))
    return frozenset(kind_of(clause) for clause in clauses if not clause.startswith("its keeper "))


def kind_of(clause: str) -> str:
    """'shows 6% more than the keeper does' -> 'shows … more than the keeper does'."""
    return _NUMBER.sub("…", clause)


def lost_kinds(groups: Iterable[GroupView]) -> tuple[int, Counter[str]]:
    """How many of `groups`, moved whole, put out of sight what their keepers lack; and what, by kind: in how many."""
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
    """Bytes that the group frees, or would free."""
    return group.bytes + group.review_bytes


def confidence(group: GroupView) -> float:
    """Of its least certain member, 0-1; a group without evidence counts as uncertain."""
    known = [e.confidence for e in group.evidence.values() if e.confidence is not None]
    return min(known, default=0.0)


def members(group: GroupView) -> int:
    """Pictures beside the keeper."""
    return len(group.duplicates) + len(group.review) + group.left_out


def listed(
    groups: Iterable[GroupView], wanted: Wanted, sticky: frozenset[int] = frozenset()
) -> list[GroupView]:
    """The groups that `wanted` asks for, in its order. `sticky` ids stay although they no longer wait."""
    words = wanted.text.casefold().split()
    found = [
        group
        for group in groups
        if (not wanted.relation or group.relation == wanted.relation)
        and (wanted.settled or waits(group) or group.id in sticky)
        and (wanted.reasons is None or _of_class(group, wanted.reasons, sticky))
        and (not words or _mentions(group, words))
    ]
    if wanted.order is Order.TIME:
        found.sort(key=lambda g: (g.captured is None, g.captured or 0.0, g.id))
    elif wanted.order is Order.CONFIDENCE:
        found.sort(key=lambda g: (-confidence(g), g.id))
    else:
        found.sort(key=lambda g: (-weight(g), g.id))
    return found


def _of_class(group: GroupView, reasons: frozenset[str], sticky: frozenset[int]) -> bool:
    """What waits must wait for just these, else one key for the class would approve what nobody looked at."""
    return waits_for(group) == reasons if waits(group) else group.id in sticky


def _mentions(group: GroupView, words: Sequence[str]) -> bool:
    reasons = (group.why.get(path, "") for path in group.review)
    text = "\n".join((group.keep, *group.duplicates, *group.review, *reasons)).casefold()
    return all(word in text for word in words)


def tally(groups: Iterable[GroupView], *, settled: bool) -> dict[str, int]:
    """relation -> how many groups, every known relation included, in their order."""
    count = Counter(g.relation for g in groups if settled or waits(g))
    return {relation: count[relation] for relation in (*RELATIONS, *sorted(set(count) - set(RELATIONS)))}


def by_year(months: Sequence[MonthView]) -> list[Year | MonthView]:
    """Months newest first, each year under a heading that sums it up."""
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


@dataclass(slots=True, kw_only=True)
class LogLine:
    """One line of the session's log."""

    at: float
    text: str
    kind: str = ""
    """'' | 'good' | 'warn' | 'bad'."""


@dataclass(slots=True, kw_only=True)
class Library:
    """The reviewer's copy of what the daemon told."""

    online: bool = False
    why_offline: str = ""
    status: StatusView = field(default_factory=lambda: StatusView(daemon="stopped"))
    progress: ProgressView | None = None
    months: dict[MonthKey, MonthView] = field(default_factory=dict)
    groups: dict[int, GroupView] = field(default_factory=dict)
    loaded: set[MonthKey] = field(default_factory=set)
    """Months whose groups have all arrived."""
    acting: set[int] = field(default_factory=set)
    """Groups whose verdict is on its way."""
    under_way: str = ""
    """What was asked for last and is being done now."""
    touched: set[int] = field(default_factory=set)
    """Groups decided in this session: they stay in the list, so that nothing jumps under the cursor."""
    log: list[LogLine] = field(default_factory=list)

    def of_month(self, key: MonthKey) -> list[GroupView]:
        return [g for g in self.groups.values() if (g.root, g.month) == key]

    def replace_months(self, months: Iterable[MonthView]) -> None:
        self.months = {(m.root, m.month): m for m in months}

    def replace_groups(self, key: MonthKey, groups: Iterable[GroupView]) -> None:
        """All groups of a month: those not among them are gone; an answer that was overtaken is not believed."""
        fresh = {g.id: self._newer(g) for g in groups}
        self.groups = {i: g for i, g in self.groups.items() if (g.root, g.month) != key} | fresh
        self.loaded.add(key)

    def _newer(self, group: GroupView) -> GroupView:
        known = self.groups.get(group.id)
        return known if known is not None and known.version > group.version else group

    def forget_groups(self) -> None:
        """After a missed notice nothing that was listed may be trusted."""
        self.groups.clear()
        self.loaded.clear()

    def next_waiting(self, ids: Sequence[int], after: int) -> int | None:
        """The id that follows `after` in `ids` and still waits; from the start again when there is none."""
        start = ids.index(after) + 1 if after in ids else 0
        for id in (*ids[start:], *ids[:start]):
            group = self.groups.get(id)
            if id != after and group is not None and waits(group) and id not in self.acting:
                return id
        return None

    @property
    def consented(self) -> bool:
        """Every root that is there has had its first yes."""
        return all(root.consented for root in self.status.root_details)

    def note(self, at: float, text: str, kind: str = "") -> None:
        self.log.append(LogLine(at=at, text=text, kind=kind))
        del self.log[:-2000]
