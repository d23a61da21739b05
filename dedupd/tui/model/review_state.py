"""The reviewer's copy of the daemon's status, months and groups, and the log of this session.

Owns nothing that is lost when it is thrown away: all of it can be asked for again. Must never import Textual
or do I/O.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dedupd.protocol.views import GroupView, MonthView, ProgressView, StatusView
from dedupd.reviewing.listing import waits

MonthKey = tuple[str, str]
"""(root, month)."""
_LOG_LINES = 2000
"""Lines of the log that are kept, the newest."""


@dataclass(slots=True, kw_only=True)
class LogLine:
    """One line of the log of this session."""

    at: float
    text: str
    kind: str = ""
    """'' | 'good' | 'warn' | 'bad'."""


@dataclass(slots=True, kw_only=True)
class ReviewState:
    """A copy of what the daemon sent, and which groups this session changed."""

    online: bool = False
    why_offline: str = ""
    not_started: str = ""
    """Why the daemon that this reviewer started last ended at once; '' when it did not, or one answers."""
    status: StatusView = field(default_factory=lambda: StatusView(daemon="stopped"))
    progress: ProgressView | None = None
    months: dict[MonthKey, MonthView] = field(default_factory=dict)
    groups: dict[int, GroupView] = field(default_factory=dict)
    loaded: set[MonthKey] = field(default_factory=set)
    """Months whose groups have all arrived."""
    acting: set[int] = field(default_factory=set)
    """Ids of groups that an action of this session is changing now."""
    under_way: str = ""
    """The label of the action that is carried out now; '' when there is none."""
    touched: set[int] = field(default_factory=set)
    """Ids of groups that were decided in this session. They stay in the list, so that nothing moves under the
    cursor."""
    log: list[LogLine] = field(default_factory=list)

    def groups_of(self, key: MonthKey) -> list[GroupView]:
        return [g for g in self.groups.values() if (g.root, g.month) == key]

    def replace_months(self, months: Iterable[MonthView]) -> None:
        self.months = {(m.root, m.month): m for m in months}

    def replace_groups(self, key: MonthKey, groups: Iterable[GroupView]) -> None:
        """Set all groups of a month. Groups that are not in it are removed; an older version never replaces a
        newer one."""
        fresh = {g.id: self._newer(g) for g in groups}
        self.groups = {i: g for i, g in self.groups.items() if (g.root, g.month) != key} | fresh
        self.loaded.add(key)

    def _newer(self, group: GroupView) -> GroupView:
        known = self.groups.get(group.id)
        return known if known is not None and known.version > group.version else group

    def forget_groups(self) -> None:
        """Forget every group: a notice was missed, so the copies may be outdated."""
        self.groups.clear()
        self.loaded.clear()

    def next_waiting(self, ids: Sequence[int], after: int) -> int | None:
        """The next id in `ids` after `after` that still waits; at the end the search continues from the
        start. None: nothing waits."""
        start = ids.index(after) + 1 if after in ids else 0
        for id in (*ids[start:], *ids[:start]):
            group = self.groups.get(id)
            if id != after and group is not None and waits(group) and id not in self.acting:
                return id
        return None

    @property
    def consented(self) -> bool:
        """A person has approved moves once in every root."""
        return all(root.consented for root in self.status.root_details)

    def add_log(self, at: float, text: str, kind: str = "") -> None:
        self.log.append(LogLine(at=at, text=text, kind=kind))
        del self.log[:-_LOG_LINES]
