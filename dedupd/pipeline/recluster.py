"""A changed month becomes groups: candidates, proof, typed relations, stars.

Must never move a file. Only what is new is compared; what was measured of each pair stays in the ledger, so
clustering again (other thresholds, another verdict) decodes nothing and gives the same groups as starting over.
"""

from __future__ import annotations

import os.path
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.clusters import Member, Node, Star, stars
from dedupd.core.month import month_of
from dedupd.core.photo import Candidate, Edge, FileState, Measures, Relation, Traits
from dedupd.core.records import FileRow, GroupRow, MemberRow, PairRow, RootRow
from dedupd.core.relations import MEASURES, Thresholds, may_be_burst, relatable
from dedupd.core.series import Series, may_be_too_far
from dedupd.core.units import travels_alone
from dedupd.pipeline.ingest import BATCH, look_at
from dedupd.pipeline.measure_thresholds import bars_in_force, own_thresholds
from dedupd.pipeline.move_orders import Companions, Stays
from dedupd.pipeline.relearn import lessons_of, typed
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Disk, ProofRequest, Vision, VisionStatus

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

PROOFS = (8, 256)
"""Pairs handed to the worker at a time, fewest and most."""
FRESH = 256
"""Contents searched for at a time: look-alikes of a thousand screenshots would fill the memory. Not sized by time: a look
at the whole index costs much the same for one content as for so many."""
Step = Callable[[str, int, int], None]


class Comparison:
    """Brings the measured pairs of months up to date. Remembers that the index was whole when it was first asked."""

    def __init__(
        self, ledger: Ledger, vision: Vision, clock: Clock, threshold: float | None = None, *, shadow: bool = False
    ) -> None:  # fmt: skip
        """`shadow`: another model than the one in force; the ledger's photos are not looked at through it."""
        self._ledger, self.vision, self._clock = ledger, vision, clock
        self._threshold, self._shadow = threshold, shadow
        self._model = ""
        self._near: float | None = None
        self._far: float | None = None
        """The model's own candidate bars, within a month and across the library."""
        self._index_checked = False
        self._roots = {r.id: r for r in ledger.inventory.roots()}

    def month(
        self, root: int, month: str, on_step: Step = lambda phase, done, total: None, stop: Stop = never
    ) -> bool:
        """Compare what is new in this month with the month, and what is new at all with the whole library.

        False when it was stopped before the end; what was searched for and measured till then is kept.
        """
        files = self._ledger.inventory.live_in_month(root, month)
        contents = sorted({f.content for f in files if f.content and f.state == FileState.INDEXED})
        if not contents:
            return True
        self._roots = {r.id: r for r in self._ledger.inventory.roots()}
        seeing = self.vision.status()
        self._model = seeing.model
        rules = self._rules(seeing)
        place = f"{root}:{month}"
        series = Series(self._ledger.inventory.shots(root, month))
        within = _within(series, contents, f"{rules}|{self._threshold}")
        fresh = sorted(
            c
            for under, some in within.items()
            for c in self._ledger.judgement.not_compared(some, place, self._model, under)
        )
        new = self._ledger.judgement.not_compared(contents, "", self._model, rules)
        if not fresh and not new:
            return True
        lacking = self._restore_index({*fresh, *new}, stop)
        if lacking is None:
            return False
        course = _Course(on_step, len(fresh) + len(new))
        in_month = _Search(fresh=fresh, among=contents, place=place, rules=within, series=series)
        anywhere = _Search(fresh=new, among=None, place="", rules={rules: new}, series=series)
        return all(self._compare(search, lacking, course, stop) for search in (in_month, anywhere))

    def _compare(self, search: _Search, lacking: set[str], course: _Course, stop: Stop) -> bool:
        """Block by block: a content whose pairs are all measured is searched for no more. False when it was stopped.

        However often it is stopped, something is done each time it is called.
        """
        for start in range(0, len(search.fresh), FRESH):
            block = search.fresh[start : start + FRESH]
            if start and stop():
                return False
            unproven = self._prove(self._candidates(block, search), course, len(block), stop)
            if unproven is None:
                return False
            done = set(block) - unproven - lacking
            with self._ledger.transaction():
                for rules, contents in search.rules.items():
                    here = [c for c in contents if c in done]
                    self._ledger.judgement.compared(here, search.place, self._model, rules)
            course.block_done(len(block))
        return True

    def _rules(self, seeing: VisionStatus) -> str:
        """What a comparison depends on. With another one than the ledger's, what was measured is forgotten."""
        recipe = f"{seeing.recipe}.{MEASURES}"
        if self._ledger.get("rules") != recipe:
            _forget_pairs(self._ledger, self._clock, recipe)
        own = own_thresholds(self._ledger, seeing.model)
        self._near, self._far = (own.candidate, own.across) if own else (None, None)
        return f"{recipe}|{seeing.model}" + (f"|{self._near}|{self._far}" if own else "")

    def make_whole(self, stop: Stop = never) -> bool:
        """Nothing moves beside an index that was lost: look once whether it is whole, and restore what it lacks.

        False when it was stopped before that.
        """
        return self._index_checked or self._restore_index((), stop) is not None

    def _restore_index(self, fresh: Iterable[str], stop: Stop) -> set[str] | None:
        """A lost or older index costs time only: look again at what it does not hold.

        All is asked about once; later only what is to be compared: a copy that came back, a disk that was away.
        Returns what of `fresh` it lacks even so; None when it was stopped.
        """
        fresh = set(fresh)
        few = sorted(fresh)
        pages = (few[at : at + 4096] for at in range(0, len(few), 4096))
        lacking: set[str] = set()
        for page in pages if self._index_checked else self._ledger.inventory.live_pages():
            lost = self.vision.missing(page)
            if lost and not self._shadow:
                if not self._look_again(lost, stop):
                    return None
                lost = self.vision.missing(lost)
                if not self._index_checked:
                    self._not_met([c for c in lost if c not in fresh])
            lacking.update(c for c in lost if c in fresh)
        self._index_checked = True
        return lacking

    def _look_again(self, lost: Sequence[str], stop: Stop) -> bool:
        """At what the index does not hold, where it lies on a disk that is here. False when it was stopped."""
        seen = self._ledger.inventory.seen_with_contents(lost)
        files = [at[0] for at in seen.values() if at and self._roots[at[0].root].online]
        for part in slices(files, self._clock, *BATCH):
            if stop():
                return False
            look_at(self._ledger, self.vision, self._clock, part)
        return True

    def _not_met(self, lost: Sequence[str]) -> None:
        """What the index lacks even so meets nothing that is new: it is compared once it can be read again."""
        if not lost:
            return
        with self._ledger.transaction():
            self._ledger.judgement.forget_compared(lost)
            for files in self._ledger.inventory.seen_with_contents(lost).values():
                for file in files:
                    self._ledger.inventory.change_month(file.root, file.month, self._clock.now())

    def _candidates(self, block: Sequence[str], search: _Search) -> list[Candidate]:
        found: dict[tuple[str, str], Candidate] = {}
        if search.among is not None:
            pairs = self.vision.propose(block, search.among, self._threshold, self._near)
        else:
            pairs = self.vision.propose(block, None, None, self._far)
        self._gather(found, pairs, search)
        return _met_together(found.values())

    def _gather(
        self, found: dict[tuple[str, str], Candidate], pairs: Iterable[Candidate], search: _Search
    ) -> None:
        """Add the pairs that were not measured yet and that measuring could relate."""
        fresh = {
            (p.a, p.b): p
            for p in pairs
            if p.a != p.b and (p.a, p.b) not in found and not search.series.too_far(p.a, p.b)
        }
        known = self._ledger.judgement.known_pairs(fresh, self._model)
        unmeasured = [pair for ends, pair in fresh.items() if ends not in known]
        traits = self._ledger.inventory.traits({c for p in unmeasured for c in (p.a, p.b)})
        for pair in unmeasured:
            a, b = traits.get(pair.a), traits.get(pair.b)
            # Without traits the pair is proven later, when its file is there: `_not_now` takes note of it.
            if (
                a is None
                or b is None
                or relatable(a, b, pair.hash_distance, same_month=search.among is not None)
            ):
                found[pair.a, pair.b] = pair

    def _measured_before(self, pairs: Sequence[Candidate]) -> list[Candidate]:
        """Take over what was measured when another model proposed the same pair. Returns the others."""
        known = self._ledger.judgement.measures_of((p.a, p.b) for p in pairs)
        taken = [_measured(p, known[p.a, p.b], self._model) for p in pairs if (p.a, p.b) in known]
        if taken:
            with self._ledger.transaction():
                self._ledger.judgement.put_pairs(taken)
        return [p for p in pairs if (p.a, p.b) not in known]

    def _prove(
        self, pairs: Sequence[Candidate], course: _Course, contents: int, stop: Stop
    ) -> set[str] | None:
        """Measure the pairs and keep what was measured. Returns contents to be compared again: a file was not readable.

        None when it was stopped.
        """
        unproven: set[str] = set()
        pairs = self._measured_before(pairs)
        done = 0
        for part in slices(pairs, self._clock, *PROOFS):
            if done and stop():
                return None
            chunk = {(p.a, p.b): p for p in part}
            traits = self._ledger.inventory.traits(c for pair in chunk for c in pair)
            paths = self._paths(c for pair in chunk for c in pair)
            requests = [r for p in chunk.values() if (r := self._request(p, traits, paths)) is not None]
            self._not_now(chunk, paths)
            measured: list[PairRow] = []
            for proof in self.vision.prove(requests):
                done += 1
                course.within_block(contents * done / len(pairs))
                if proof.measures is None:
                    unproven |= {proof.a, proof.b}
                else:
                    measured.append(_measured(chunk[proof.a, proof.b], proof.measures, self._model))
            with self._ledger.transaction():
                self._ledger.judgement.put_pairs(measured)
        return unproven

    def _not_now(self, pairs: Iterable[tuple[str, str]], paths: Mapping[str, str]) -> None:
        """What is held or gone cannot be compared with what is new: it is compared when it comes back."""
        away = {c for pair in pairs for c in pair if c not in paths}
        if away:
            with self._ledger.transaction():
                self._ledger.judgement.forget_compared(away)

    def _request(
        self, pair: Candidate, traits: Mapping[str, Traits], paths: Mapping[str, str]
    ) -> ProofRequest | None:
        if not {pair.a, pair.b} <= traits.keys() & paths.keys():
            return None
        burst = may_be_burst(traits[pair.a], traits[pair.b])
        return ProofRequest(a=pair.a, b=pair.b, path_a=paths[pair.a], path_b=paths[pair.b], burst=burst)

    def _paths(self, contents: Iterable[str]) -> dict[str, str]:
        """Where each of these contents can be read now; those that can be read nowhere are left out."""
        found: dict[str, str] = {}
        for content, files in self._ledger.inventory.seen_with_contents(contents).items():
            at = next((f for f in files if self._roots[f.root].online), None)
            if at is not None:
                found[content] = os.path.join(self._roots[at.root].path, at.path)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """Contents to be compared with all of a place."""

    fresh: Sequence[str]
    among: Sequence[str] | None
    """Contents of the month; None: of the whole library."""
    place: str
    """What the ledger calls that: `root:month`, or '' for the whole library."""
    rules: Mapping[str, Sequence[str]]
    """What the comparison depends on -> contents of which it is so."""
    series: Series
    """The long ones of the month."""


def _met_together(pairs: Iterable[Candidate]) -> list[Candidate]:
    """Look-alikes of one scene one after another, so that each of their pictures is read once for all its pairs."""
    first: dict[str, str] = {}

    def scene(content: str) -> str:
        while (above := first.setdefault(content, content)) != content:
            first[content] = content = first[above]
        return content

    ordered = sorted(pairs, key=lambda p: (p.a, p.b))
    for pair in ordered:
        one, other = sorted((scene(pair.a), scene(pair.b)))
        first[other] = one
    return sorted(ordered, key=lambda p: scene(p.a))


def _within(series: Series, contents: Sequence[str], rules: str) -> dict[str, list[str]]:
    """What their comparison within the month depends on: in a long series also on how far each is compared."""
    found: dict[str, list[str]] = defaultdict(list)
    for content in contents:
        reach = series.reach(content)
        found[rules if reach is None else f"{rules}|{reach:g} s"].append(content)
    return found


class _Course:
    """How far the comparison of a month has come, in contents."""

    def __init__(self, on_step: Step, total: int) -> None:
        self._on_step, self._total, self._done = on_step, total, 0

    def within_block(self, contents: float) -> None:
        self._on_step("prove", self._done + int(contents), self._total)

    def block_done(self, contents: int) -> None:
        self._done += contents
        self.within_block(0)


def forget_older_measures(ledger: Ledger, clock: Clock) -> None:
    """Before anything may move: what an older dedupd measured is no proof for this one, not even until the next pass."""
    recipe, _, measures = ledger.get("rules").rpartition(".")
    if measures not in ("", MEASURES):
        _forget_pairs(ledger, clock, f"{recipe}.{MEASURES}")


def _forget_pairs(ledger: Ledger, clock: Clock, rules: str) -> None:
    with ledger.transaction():
        ledger.judgement.forget_pairs()
        first = not ledger.get("rules")  # nothing was measured yet, and no month is to wait for that
        ledger.put("rules", rules)
        for row in () if first else ledger.inventory.months():  # groups without their proof could never move
            ledger.inventory.change_month(row.root, row.month, clock.now())


def _measured(pair: Candidate, measures: Measures, model: str) -> PairRow:
    return PairRow(
        a=pair.a,
        b=pair.b,
        model=model,
        cosine=pair.cosine,
        hash_distance=pair.hash_distance,
        measures=measures,
    )


def decide(
    ledger: Ledger, disk: Disk, settings: Settings, clock: Clock, root: RootRow, month: str, model: str
) -> set[str]:
    """Group the month's photos and whatever they are related to in this root. Returns the months it touched."""
    drawn = draw(ledger, disk, settings, root, month, model)
    return _store(ledger, clock, root.id, month, drawn, Companions(ledger, disk, root))


def draw(ledger: Ledger, disk: Disk, settings: Settings, root: RootRow, month: str, model: str) -> Drawn:
    """The stars that these settings give for the month and what it is related to. Reads only: `tune` replays with it."""
    related = _Related(ledger, root.id, bars_in_force(ledger, model, settings.threshold))
    files, edges = related.to(month)
    found = stars(
        _nodes(ledger, settings, root, files, Companions(ledger, disk, root)),
        edges,
        [(v.a, v.b) for v in ledger.judgement.verdicts("different")],
        {relation: getattr(settings.tiers, relation) for relation in Relation},
        settings.keep_policy,
        metadata_counts=settings.metadata == "off",
    )
    return Drawn(files=files, stars=found, taught=sorted(related.taught))


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A month with all that belongs to it, grouped."""

    files: list[FileRow]
    stars: list[Star]
    taught: list[tuple[str, str]]
    """Pairs that lessons took out of the way."""


class _Related:
    """Everything reachable from a month over typed edges and equal bytes, inside one root."""

    def __init__(self, ledger: Ledger, root: int, thresholds: Thresholds) -> None:
        self._ledger, self._root, self._thresholds = ledger, root, thresholds
        self._approved = {(v.a, v.b) for v in ledger.judgement.verdicts("same")}
        self._vetoed = {(v.a, v.b) for v in ledger.judgement.verdicts("different")}
        self._lessons = lessons_of(ledger, thresholds)
        self.taught: set[tuple[str, str]] = set()
        self._files: dict[str, list[FileRow]] = {}
        self._traits: dict[str, Traits] = {}
        self._series: dict[str, Series] = {}
        self._months: dict[str, set[str]] = {}
        """Months a content was taken in, its held twins counted: moving one aside changes no relation."""

    def to(self, month: str) -> tuple[list[FileRow], list[Edge]]:
        """Wave by wave, each with a few questions however many contents are in it."""
        edges: dict[tuple[str, str], Edge | None] = {}
        known: set[str] = set()
        wave = {f.content for f in self._ledger.inventory.live_in_month(self._root, month) if f.content}
        wave |= self._grouped(self._ledger.judgement.groups(self._root, month))
        while wave:
            known |= wave
            pairs = self._ledger.judgement.pairs_among(wave, self._thresholds.model)
            self._read({*wave, *(end for pair in pairs for end in (pair.a, pair.b))})
            found = {(p.a, p.b): self._edge(p) for p in pairs if (p.a, p.b) not in edges}
            edges |= found
            files = (file.id for content in wave for file in self._files[content])
            reached = self._grouped(self._ledger.judgement.groups_with_files(files))
            reached |= {end for edge in found.values() if edge for end in (edge.a, edge.b)}
            wave = reached - known
        files = [f for content in sorted(known) for f in self._files[content]]
        return files, [edge for edge in edges.values() if edge]

    def _grouped(self, groups: Iterable[GroupRow]) -> set[str]:
        """Contents that are in these groups now: a group that dissolves leaves none of its files behind."""
        ids = {
            file for g in groups if g.root == self._root for file in (g.keeper, *(m.file for m in g.members))
        }
        return {f.content for f in self._ledger.inventory.files_by_id(ids).values() if f.content}

    def _read(self, contents: set[str]) -> None:
        """What the ledger knows of these contents in this root."""
        new = sorted(contents - self._files.keys())
        self._traits |= self._ledger.inventory.traits(new)
        self._months |= self._ledger.inventory.months_of_contents(self._root, new)
        live = self._ledger.inventory.live_with_contents(new)
        self._files |= {c: [f for f in files if f.root == self._root] for c, files in live.items()}
        undecoded = [c for c in new if any(f.state == FileState.UNDECODED for f in self._files[c])]
        for content, beside in self._ledger.inventory.companions_with_contents(self._root, undecoded).items():
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
            self._series[month] = Series(self._ledger.inventory.shots(self._root, month))
        return self._series[month]

    def _judged(self, edge: Edge | None, a: Traits, b: Traits) -> Edge | None:
        """What people said of this pair; of pairs like it, when nobody judged it."""
        if edge is None or (edge.a, edge.b) in self._vetoed:
            return edge
        if (edge.a, edge.b) in self._approved:
            return _approved(edge)
        left = self._lessons.judged(edge, a, b)
        if left is None or (edge.unattended and not left.unattended):
            self.taught.add((edge.a, edge.b))
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
    traits = ledger.inventory.traits(f.content for f in files if f.content)
    kept = {v.a for v in ledger.judgement.verdicts("keep")} | ledger.inventory.held_and_missing(root.id)
    groups = ledger.judgement.groups_of_keepers(root.id, (file.id for file in files))
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
        ledger.judgement.put_taught(root, month, drawn.taught)
        before = {g.id: g for g in ledger.judgement.groups(root, month)}
        before |= {g.id: g for g in ledger.judgement.groups_with_files(f.id for f in files)}
        by_keeper = {g.keeper: g for g in before.values() if g.root == root}
        current: set[int] = set()
        for star, members in rows:
            here = {m.file for m in members}
            moved = [m for m in _moved(by_keeper.get(star.keeper.id)) if m.file not in here]
            id = ledger.judgement.put_group(
                root, star.keeper.id, star.keeper.month, star.reasons, [*moved, *members], now, by_keeper
            )
            current.add(id)
            touched |= {star.keeper.month, *(m.node.month for m in star.members)}
        for group in before.values():
            if group.id in current or group.root != root:
                continue
            touched.add(group.month)
            if moved := _moved(group):
                keeper = ledger.inventory.file(group.keeper)
                at = keeper.month if keeper is not None and keeper.month else group.month
                touched.add(at)
                ledger.judgement.put_group(root, group.keeper, at, group.reasons, moved, now)
            else:
                ledger.judgement.remove_group(group.id)
    return touched


def _moved(group: GroupRow | None) -> list[MemberRow]:
    return [] if group is None else [m for m in group.members if m.role == "moved"]


def members_of(ledger: Ledger, found: Sequence[Star], companions: Companions) -> Iterator[list[MemberRow]]:
    """Each star's members as they are written down: a person's word, settled copies and companions counted in."""
    waiting = {m.node.content for star in found for m in star.members if _may_be_settled(m)}
    settled = ledger.journal.held_beside(sorted(waiting))
    for star in found:
        yield [_row(star, member, companions, settled) for member in star.members]


def _may_be_settled(member: Member) -> bool:
    return not (member.unattended or member.node.stay or member.only_here)


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
