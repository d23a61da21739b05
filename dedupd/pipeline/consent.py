"""Which proposed moves may go now (P12): the first yes of a root, then the mass-action breaker.

Must never move a file. A yes is recorded with its time; `scan --yes` is a yes for that scan and leaves no record.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dedupd.core.photo import FileState
from dedupd.core.records import ProposedRow, RefusedRow, RootRow
from dedupd.pipeline.narrow import Narrowed
from dedupd.ports import Clock

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

BREAKER_FILES, BREAKER_SHARE, BREAKER_SECONDS = 50, 0.02, 3600.0
"""More than max(50 files, 2 % of the root) in an hour waits for a yes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The proposed moves of a root, and whether they may go now."""

    root: RootRow
    groups: tuple[ProposedRow, ...]
    """Groups of this root."""
    files: int
    """How many files they are."""
    waits: str
    """'' when they may go; else one sentence on what they wait for."""


def proposals(
    ledger: Ledger, root: RootRow, months: Collection[str] | None = None, only: Narrowed | None = None
) -> Allowed:
    """Everything that would move unattended in this root (of these months of it, and of what a scan counts)."""
    groups = ledger.groups.proposed(root.id)
    if months is not None:
        files = ledger.files.by_ids(id for g in groups for id in g.files)
        groups = _with_those(groups, lambda _, id: id in files and files[id].month in months)
    groups = groups if only is None else only.proposed(root, groups)
    return Allowed(root=root, groups=tuple(groups), files=sum(len(g.files) for g in groups), waits="")


def _with_those(
    groups: Sequence[ProposedRow], chosen: Callable[[ProposedRow, int], bool]
) -> list[ProposedRow]:
    """These groups with the chosen files alone; without any, a group is left out."""
    narrowed = (g._replace(files=tuple(id for id in g.files if chosen(g, id))) for g in groups)
    return [g for g in narrowed if g.files]


class Lately:
    """The newest move of an hour ago, by a clock that cannot be set.

    When the wall clock is set ahead, an hour seems to pass in a moment, and many moves could go without a question.
    """

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self._ledger, self._clock = ledger, clock
        self._stood: deque[tuple[float, int]] = deque()
        """(seconds since boot, newest move), oldest first; of those an hour old, only the last is kept."""

    def newest(self) -> int:
        """The newest move of an hour ago, or of when this began."""
        self.note()
        while len(self._stood) > 1 and self._stood[1][0] <= self._clock.since_boot() - BREAKER_SECONDS:
            self._stood.popleft()
        return self._stood[0][1]

    def note(self) -> None:
        """Remember the newest move. Call it before and after something moves."""
        newest = self._ledger.journal.newest()
        if not self._stood or self._stood[-1][1] != newest:
            self._stood.append((self._clock.since_boot(), newest))


def allowed(ledger: Ledger, root: RootRow, now: float, lately: int | None = None) -> Allowed:
    """The proposals without files that cannot move, and what they wait for: the first yes of the root, or the breaker.

    lately: Lately.newest().
    """
    cannot = {(row.keeper, row.file) for row in ledger.refusals.standing(root.id) if row.lasting}
    groups = _with_those(proposals(ledger, root).groups, lambda g, id: (g.keeper, id) not in cannot)
    files = sum(len(g.files) for g in groups)
    return Allowed(
        root=root, groups=tuple(groups), files=files, waits=waits(ledger, root, files, now, lately)
    )


def waits(ledger: Ledger, root: RootRow, files: int, now: float, lately: int | None = None) -> str:
    """One sentence on what this number of moves in this root waits for; '' when they may go."""
    if not files:
        return ""
    if root.consented_at is None:
        return (
            f"{files} file(s) in {root.path} are ready to move and wait for your first yes: look with `dedupd groups`, "
            "then say it with `dedupd approve --all` or in `dedupd review`"
        )
    if root.backlog_done_at is None:
        return ""
    limit = max(BREAKER_FILES, int(BREAKER_SHARE * ledger.files.count(root.id, FileState.INDEXED)))
    recent = _recently_moved(ledger, root, now, lately)
    if recent + files <= limit:
        return ""
    return (
        f"{files} file(s) in {root.path} would move, {recent} did within the hour; more than {limit} in an hour wait for "
        "a yes: look with `dedupd groups`, then say it with `dedupd approve --all` or in `dedupd review`"
    )


def _recently_moved(ledger: Ledger, root: RootRow, now: float, lately: int | None) -> int:
    """Moves of the last hour since the last yes. Moves with a time in the future (the clock was set back) count too."""
    said = root.breaker_ok_at if root.breaker_ok_at is not None and root.breaker_ok_at <= now else 0.0
    before_the_yes = int(ledger.get(_yes(root), "0"))
    return ledger.journal.moved_since(
        root.path, max(now - BREAKER_SECONDS, said), after=before_the_yes, or_after=lately
    )


def _yes(root: RootRow) -> str:
    """The newest move when a person said yes to more: a move id, because the wall clock may be set."""
    return f"yes {root.id}"


def cannot_move(ledger: Ledger, root: RootRow) -> list[str]:
    """One sentence per reason why files cannot move until a person mends something."""
    first: dict[str, RefusedRow] = {}
    count: Counter[str] = Counter()
    for row in ledger.refusals.standing(root.id):
        if row.lasting:
            first.setdefault(row.kind, row)
            count[row.kind] += 1
    return [
        f"{count[kind]} file(s) in {root.path} cannot move, first {row.path} ({row.reason}): mend that, "
        "then `dedupd approve --all`"
        for kind, row in first.items()
    ]


def record_consent(ledger: Ledger, root: RootRow, now: float) -> None:
    """Record a person's yes for what this root proposes now (and for its unattended moves from now on)."""
    with ledger.transaction():
        ledger.put(_yes(root), str(ledger.journal.newest()))
        ledger.roots.update(root.id, consented_at=root.consented_at or now, breaker_ok_at=now)


def backlog_done(ledger: Ledger, root: RootRow, now: float) -> None:
    """Record that the first moves are done: from now on the breaker counts."""
    if root.consented_at is not None and root.backlog_done_at is None:
        with ledger.transaction():
            ledger.put(_yes(root), str(ledger.journal.newest()))
            ledger.roots.update(root.id, backlog_done_at=now, breaker_ok_at=now)
