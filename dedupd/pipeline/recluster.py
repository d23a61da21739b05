"""A changed month becomes groups: its pairs are typed by the bars and by what people said, then laid out as stars.

Must never move a file. The same pairs, verdicts and settings give the same groups, in whatever order the photos came.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.clusters import Member, Node, Star, stars
from dedupd.core.month import Month, month_of
from dedupd.core.photo import Edge, FileState, Relation, Traits
from dedupd.core.records import FileRow, GroupRow, MemberRow, MonthRow, PairRow, RootRow
from dedupd.core.relations import MEASURES, Thresholds, what_changed
from dedupd.core.series import Series, may_be_too_far
from dedupd.core.units import travels_alone
from dedupd.errors import VisionError
from dedupd.pipeline.compare import Comparison, Opens
from dedupd.pipeline.logs_behind import logs_behind
from dedupd.pipeline.make_lessons import change_months_of_new_verdicts, lessons_of, typed
from dedupd.pipeline.measure_thresholds import bars_in_force
from dedupd.pipeline.move_orders import Companions, Stays
from dedupd.pipeline.roots import Roots, quiet
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Disk, Progress

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger


_UNMEASURED = "pairs that could not be measured"
"""What they are called among the problems of the roots."""


class Grouper:
    """Compares and groups the months of one library that changed."""

    def __init__(
        self,
        ledger: Ledger,
        disk: Disk,
        clock: Clock,
        settings: Settings,
        roots: Roots,
        comparison: Comparison,
    ) -> None:
        self._ledger, self._disk, self._clock, self._settings = ledger, disk, clock, settings
        self._roots, self._comparison = roots, comparison

    def regroup(
        self, months: Iterable[Month] | None = None, *, everything: bool = False, opens: Opens | None = None,
        on_progress: Progress = quiet, stop: Stop = never,
    ) -> dict[int, set[str]]:  # fmt: skip
        """Compare and group the months that changed (of `months`, if given). Returns root id -> months touched.

        `opens`: no other file is opened; a month with pairs that were not compared for that waits to be grouped again.
        """
        wanted = None if months is None else {str(m) for m in months}
        online = {r.id: r for r in self._roots.all if r.online}
        self._note_settings()
        change_months_of_new_verdicts(self._ledger, self._clock.now())
        waiting = [
            m for m in self._ledger.months.all()
            if m.root in online and (m.waiting or everything) and (wanted is None or m.month in wanted)
        ]  # fmt: skip
        try:
            with self._comparison.opening_only(opens) if opens else nullcontext():
                return self._regroup(waiting, online, on_progress, stop)
        except VisionError:
            self._comparison.doubt_index()
            raise
        finally:
            self._tell_unmeasured()

    def _tell_unmeasured(self) -> None:
        """People are told of pairs that could not be measured, until they were."""
        if told := self._comparison.unmeasured():
            self._roots.problems[_UNMEASURED] = told
        else:
            self._roots.problems.pop(_UNMEASURED, None)

    def _regroup(
        self, waiting: Sequence[MonthRow], online: Mapping[int, RootRow], on_progress: Progress, stop: Stop
    ) -> dict[int, set[str]]:
        touched: dict[int, set[str]] = {}
        compared = list(self._comparison.months(waiting, on_progress, stop))
        beside: dict[int, Companions] = {}
        for done, (row, changes) in enumerate(compared):
            before = self._ledger.changes
            if stop() and done:  # however often it is stopped, something is done each time
                break
            if self._ledger.changes != before:  # files may have come and gone
                beside.clear()
            on_progress("group", done, len(waiting))
            root = online[row.root]
            companions = beside.setdefault(root.id, Companions(self._ledger, self._disk, root))
            with self._ledger.transaction():
                touched.setdefault(root.id, set()).update(self._decide(root, row.month, companions))
                self._ledger.months.clustered(row.root, row.month, changes, self._clock.now())
            companions.turn()
        return touched

    def left(self) -> int:
        """Photos of large families of which only the nearest were compared yet."""
        return self._ledger.deferred.count(self._ledger.get("model"))

    def compare_deferred(self, stop: Stop = never, seconds: float = float("inf")) -> bool:
        """Go on comparing large families of look-alikes. Whether any photo was compared to its end."""
        if not self.left():
            self._comparison.give_up_family()
            return False
        try:
            return self._comparison.compare_deferred(stop, seconds)
        except VisionError:
            self._comparison.doubt_index()
            raise
        finally:
            self._tell_unmeasured()

    def worked_off(self) -> dict[int, set[str]]:
        """Root id -> months of the photos that `compare_deferred` ended: until their logs are written, these tell of them."""
        return logs_behind(self._ledger)

    def waits(self) -> bool:
        """Whether any month waits to be grouped that can be: of a root that is here."""
        return any(m.waiting for r in self._roots.all if r.online for m in self._ledger.months.all(r.id))

    def _decide(self, root: RootRow, month: str, companions: Companions) -> set[str]:
        model = self._ledger.get("model")
        return decide(self._ledger, self._disk, self._settings, self._clock, root, month, model, companions)

    def _note_settings(self) -> None:
        """Other tiers, thresholds, policy or measures than the groups rest on: every month waits to be grouped again."""
        settings = self._settings
        by = (settings.tiers, settings.threshold, settings.keep_policy, settings.protected, settings.metadata)
        now = repr((*by, MEASURES))
        if self._ledger.get("grouped_by") == now:
            return
        with self._ledger.transaction():
            self._ledger.put("grouped_by", now)
            for row in self._ledger.months.all():
                self._ledger.months.mark_changed(row.root, row.month, self._clock.now())


def decide(
    ledger: Ledger, disk: Disk, settings: Settings, clock: Clock, root: RootRow, month: str, model: str,
    companions: Companions | None = None,
) -> set[str]:  # fmt: skip
    """Group the month's photos and whatever they are related to in this root. Returns the months it touched.

    `companions`: of this root by the ledger, from a caller who groups several months.
    """
    companions = companions or Companions(ledger, disk, root)
    drawn = draw(ledger, settings, root, month, model, companions)
    return _store(ledger, clock, root.id, month, drawn, companions)


def draw(
    ledger: Ledger, settings: Settings, root: RootRow, month: str, model: str, companions: Companions
) -> Drawn:
    """The stars that these settings give for the month and what it is related to. Reads only: `tune` replays with it."""
    related = _Related(ledger, root.id, bars_in_force(ledger, model, settings.threshold))
    files, edges = related.to(month)
    found = stars(
        _nodes(ledger, settings, root, files, companions),
        edges,
        ledger.verdicts.pairs("different", {f.content for f in files if f.content}),
        {relation: getattr(settings.tiers, relation) for relation in Relation},
        settings.keep_policy,
        metadata_counts=settings.metadata == "off",
    )
    return Drawn(files=files, stars=found, dismissed=sorted(related.dismissed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A month with all that belongs to it, grouped."""

    files: list[FileRow]
    stars: list[Star]
    dismissed: list[tuple[str, str]]
    """Pairs that lessons took out of the way."""


class _Related:
    """Everything reachable from a month over typed edges and equal bytes, inside one root."""

    def __init__(self, ledger: Ledger, root: int, thresholds: Thresholds) -> None:
        self._ledger, self._root, self._thresholds = ledger, root, thresholds
        self._approved: set[tuple[str, str]] = set()
        self._vetoed: set[tuple[str, str]] = set()
        """What people said of the pairs read so far: all that they ever said may be of a hundred thousand."""
        self._lessons = lessons_of(ledger, thresholds)
        self.dismissed: set[tuple[str, str]] = set()
        self._files: dict[str, list[FileRow]] = {}
        self._traits: dict[str, Traits] = {}
        self._series: dict[str, Series] = {}
        self._months: dict[str, set[str]] = {}
        """Months a content was taken in, its held twins counted: moving one aside changes no relation."""

    def to(self, month: str) -> tuple[list[FileRow], list[Edge]]:
        """Wave by wave, each with a few questions however many contents are in it."""
        edges: dict[tuple[str, str], Edge | None] = {}
        known: set[str] = set()
        wave = {f.content for f in self._ledger.files.live_in_month(self._root, month) if f.content}
        wave |= self._grouped(self._ledger.groups.all(self._root, month))
        while wave:
            known |= wave
            pairs = self._ledger.pairs.among(wave, self._thresholds.model)
            self._read({*wave, *(end for pair in pairs for end in (pair.a, pair.b))})
            firsts = {pair.a for pair in pairs}
            self._approved |= self._ledger.verdicts.pairs("same", firsts)
            self._vetoed |= self._ledger.verdicts.pairs("different", firsts)
            found = {(p.a, p.b): self._edge(p) for p in pairs if (p.a, p.b) not in edges}
            edges |= found
            files = (file.id for content in wave for file in self._files[content])
            reached = self._grouped(self._ledger.groups.with_files(files))
            reached |= {end for edge in found.values() if edge for end in (edge.a, edge.b)}
            wave = reached - known
        files = [f for content in sorted(known) for f in self._files[content]]
        return files, [edge for edge in edges.values() if edge]

    def _grouped(self, groups: Iterable[GroupRow]) -> set[str]:
        """Contents that are in these groups now: a group that dissolves leaves none of its files behind."""
        ids = {
            file for g in groups if g.root == self._root for file in (g.keeper, *(m.file for m in g.members))
        }
        return {f.content for f in self._ledger.files.by_ids(ids).values() if f.content}

    def _read(self, contents: set[str]) -> None:
        """What the ledger knows of these contents in this root."""
        new = sorted(contents - self._files.keys())
        self._traits |= self._ledger.contents.traits(new)
        self._months |= self._ledger.files.months_of_contents(self._root, new)
        live = self._ledger.files.live_with_contents(new)
        self._files |= {c: [f for f in files if f.root == self._root] for c, files in live.items()}
        undecoded = [c for c in new if any(f.state == FileState.UNDECODED for f in self._files[c])]
        for content, beside in self._ledger.files.companions_with_contents(self._root, undecoded).items():
            self._files[content] += beside

    def _edge(self, pair: PairRow) -> Edge | None:
        a, b = self._traits.get(pair.a), self._traits.get(pair.b)
        if a is None or b is None or not self._files[pair.a] or not self._files[pair.b]:
            return None
        shared = self._months[pair.a] & self._months[pair.b]
        said = (pair.a, pair.b) in self._approved or (pair.a, pair.b) in self._vetoed
        if shared and not said and self._too_far(a, b, shared):
            return None  # measured when the series was shorter, or by another root
        return self._judged(typed(pair, a, b, self._thresholds, same_month=bool(shared)), a, b)

    def _too_far(self, a: Traits, b: Traits, months: Iterable[str]) -> bool:
        """Whether none of these months would compare the two: the same photos give the same groups, whenever they came."""
        if not may_be_too_far(a, b):
            return False
        return all(self._series_of(month).too_far(a.content, b.content) for month in months)

    def _series_of(self, month: str) -> Series:
        if month not in self._series:
            self._series[month] = Series(self._ledger.contents.shots(self._root, month))
        return self._series[month]

    def _judged(self, edge: Edge | None, a: Traits, b: Traits) -> Edge | None:
        """What people said of this pair; of pairs like it, when nobody judged it."""
        if edge is None or (edge.a, edge.b) in self._vetoed:
            return edge
        if (edge.a, edge.b) in self._approved:
            return _approved(edge)
        left = self._lessons.judged(edge, a, b)
        if left is None or (edge.unattended and not left.unattended):
            self.dismissed.add((edge.a, edge.b))
        return left


def _approved(edge: Edge) -> Edge:
    """A person said yes to this pair: a copy that comes back is settled the same way, unasked."""
    relation = Relation.COPY if edge.relation is Relation.SIMILAR else edge.relation
    return Edge(
        a=edge.a, b=edge.b, relation=relation, unattended=True, evidence=edge.evidence, why="approved by a person"
    )  # fmt: skip


def _nodes(
    ledger: Ledger, settings: Settings, root: RootRow, files: Sequence[FileRow], companions: Companions
) -> list[Node]:
    traits = ledger.contents.traits(f.content for f in files if f.content)
    kept = {a for a, _ in ledger.verdicts.pairs("keep", {f.content for f in files if f.content})}
    kept |= ledger.files.held_and_missing(root.id)
    groups = ledger.groups.of_keepers(root.id, (file.id for file in files))
    nodes: list[Node] = []
    for file in files:
        if file.content not in traits:
            continue
        unit = companions.unit(file.path)
        nodes.append(
            Node(
                id=file.id, root=root.id, month=file.month or _own_month(file, root), path=file.path, content=file.content,
                traits=traits[file.content], size=file.stat.size, mtime=file.stat.mtime_ns / 1e9,
                protected=settings.protects(os.path.join(root.path, file.path)),
                pinned=bool(_moved(groups.get(file.id))),
                stay="it has other hard links" if file.stat.nlink > 1 else unit.stay,
                belongs_to=companions.owner(file.path) if file.state == FileState.COMPANION else "",
                kept_by_person=file.content in kept,
                companions=len(unit.companions),
                carries=sum(not travels_alone(path) for path in unit.companions),
            )
        )  # fmt: skip
    return nodes


def _own_month(file: FileRow, root: RootRow) -> str:
    """A companion gets its month when it is to keep copies of its own."""
    return str(month_of(file.path, None, file.stat.mtime_ns / 1e9, root=root.path)[0])


def _store(
    ledger: Ledger,
    clock: Clock,
    root: int,
    month: str,
    drawn: Drawn,
    companions: Companions,
) -> set[str]:
    """Write the stars down; what had moved before stays beside its keeper whatever the edges say now."""
    touched = {month}
    now = clock.now()
    found, files = drawn.stars, drawn.files
    rows = list(zip(found, members_of(ledger, found, companions), strict=True))
    with ledger.transaction():
        ledger.lessons.put_dismissed(root, month, drawn.dismissed)
        before = {g.id: g for g in ledger.groups.all(root, month)}
        before |= {g.id: g for g in ledger.groups.with_files(f.id for f in files)}
        by_keeper = {g.keeper: g for g in before.values() if g.root == root}
        current: set[int] = set()
        for star, members in rows:
            here = {m.file for m in members}
            moved = [m for m in _moved(by_keeper.get(star.keeper.id)) if m.file not in here]
            id = ledger.groups.put(
                root, star.keeper.id, star.keeper.month, star.reasons, [*moved, *members], now, by_keeper
            )
            current.add(id)
            touched |= {star.keeper.month, *(m.node.month for m in star.members)}
        for group in before.values():
            if group.id in current or group.root != root:
                continue
            touched.add(group.month)
            if moved := _moved(group):
                keeper = ledger.files.get(group.keeper)
                at = keeper.month if keeper is not None and keeper.month else group.month
                touched.add(at)
                ledger.groups.put(root, group.keeper, at, group.reasons, moved, now)
            else:
                ledger.groups.remove(group.id)
    return touched


def _moved(group: GroupRow | None) -> list[MemberRow]:
    return [] if group is None else [m for m in group.members if m.role == "moved"]


def members_of(ledger: Ledger, found: Sequence[Star], companions: Companions) -> Iterator[list[MemberRow]]:
    """Each star's members as they are written down: a person's word, settled copies and companions counted in."""
    waiting = {m.node.content for star in found for m in star.members if _may_be_settled(m)}
    settled = ledger.journal.held_pairs(sorted(waiting))
    for star in found:
        yield [_row(star, member, companions, settled) for member in star.members]


def _may_be_settled(member: Member) -> bool:
    return not (member.unattended or member.node.stay or _changed(member) or member.only_here)


def _changed(member: Member) -> bool:
    """Whether something small was changed in it: bytes that an older dedupd moved do not go the same way again."""
    seen = member.edge.evidence.measures
    return seen is not None and bool(what_changed(seen))


def _row(star: Star, member: Member, companions: Companions, settled: set[tuple[str, str]]) -> MemberRow:
    """`settled`: a copy of these bytes lies in duplicates/ beside this keeper, and came back by a phone's sync or
    another export: no new question.
    """
    role, why = "duplicate" if member.unattended else "review", member.why
    if _may_be_settled(member) and (member.node.content, star.keeper.content) in settled:
        role, why = "duplicate", "the same bytes were settled beside this keeper before"
    if member.node.kept_by_person:
        role = "stays"
    elif role == "duplicate" and member.node.companions:
        try:
            companions.beside(star.keeper.path, member.node.path)
        except Stays as clause:
            role, why = "review", str(clause)
    return MemberRow(
        file=member.node.id,
        role=role,
        relation=member.edge.relation,
        evidence=replace(
            member.edge.evidence, only_here=member.only_here, only_in_keeper=member.only_in_keeper
        ),
        why=why,
    )
