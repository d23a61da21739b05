"""A changed month becomes groups: candidates, proof, typed relations, stars.

Must never move a file. Only what is new is compared; what was measured of each pair stays in the ledger, so
clustering again (other thresholds, another verdict) decodes nothing and gives the same groups as starting over.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dedupd.config import Settings
from dedupd.core.clusters import Member, Node, Star, stars
from dedupd.core.month import month_of
from dedupd.core.photo import Candidate, Edge, FileState, Measures, Relation, Traits
from dedupd.core.records import FileRow, GroupRow, MemberRow, PairRow, RootRow
from dedupd.core.relations import MEASURES, Thresholds, may_be_burst, relatable
from dedupd.core.units import travels_alone
from dedupd.pipeline.calibrate import bars_in_force, own_thresholds
from dedupd.pipeline.ingest import BATCH, look_at
from dedupd.pipeline.learning import lessons_of, typed
from dedupd.pipeline.orders import Companions, Stays
from dedupd.ports import Clock, Disk, ProofRequest, Vision, VisionStatus

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

PROOFS = 64
"""Pairs handed to the worker at a time."""
FRESH = 256
"""Contents searched for across the library at a time: look-alikes of a thousand screenshots would fill the memory."""
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
        self, root: int, month: str, on_step: Step = lambda phase, done, total: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> bool:  # fmt: skip
        """Compare what is new in this month with the month, and what is new at all with the whole library.

        False when it was stopped before the end; what was measured till then is kept.
        """
        files = self._ledger.inventory.live_in_month(root, month)
        contents = sorted({f.content for f in files if f.content and f.state == FileState.INDEXED})
        if not contents:
            return True
        self._roots = {r.id: r for r in self._ledger.inventory.roots()}
        seeing = self.vision.status()
        self._model = seeing.model
        rules = self._rules(seeing)
        within = f"{rules}|{self._threshold}"
        fresh = self._ledger.judgement.not_compared(contents, f"{root}:{month}", self._model, within)
        new = self._ledger.judgement.not_compared(contents, "", self._model, rules)
        if not fresh and not new:
            return True
        lacking = self._restore_index({*fresh, *new})
        unproven = self._prove(self._candidates(fresh, contents, new), on_step, stop)
        if unproven is None:
            return False
        unproven |= lacking
        with self._ledger.transaction():
            for of, place, under in ((fresh, f"{root}:{month}", within), (new, "", rules)):
                proven = [c for c in of if c not in unproven]
                self._ledger.judgement.compared(proven, place, self._model, under)
        return True

    def _rules(self, seeing: VisionStatus) -> str:
        """What a comparison depends on. With another one than the ledger's, what was measured is forgotten."""
        recipe = f"{seeing.recipe}.{MEASURES}"
        if self._ledger.get("rules") != recipe:
            _forget_pairs(self._ledger, self._clock, recipe)
        own = own_thresholds(self._ledger, seeing.model)
        self._near, self._far = (own.candidate, own.across) if own else (None, None)
        return f"{recipe}|{seeing.model}" + (f"|{self._near}|{self._far}" if own else "")

    def make_whole(self) -> None:
        """Nothing moves beside an index that was lost: look once whether it is whole, and restore what it lacks."""
        if not self._index_checked:
            self._restore_index(())

    def _restore_index(self, fresh: Iterable[str]) -> set[str]:
        """A lost or older index costs time only: look again at what it does not hold.

        All is asked about once; later only what is to be compared: a copy that came back, a disk that was away.
        Returns what it lacks even so.
        """
        live = sorted(fresh) if self._index_checked else self._ledger.inventory.live_contents()
        lost = [c for at in range(0, len(live), 4096) for c in self.vision.missing(live[at : at + 4096])]
        if not lost or self._shadow:
            self._index_checked = True
            return set(lost)
        files = [f for content in lost for f in self._ledger.inventory.seen_with_content(content)[:1]]
        files = [f for f in files if self._roots[f.root].online]
        for at in range(0, len(files), BATCH):
            look_at(self._ledger, self.vision, self._clock, files[at : at + BATCH])
        self._index_checked = True
        return set(self.vision.missing(lost))

    def _candidates(self, fresh: Sequence[str], month: Sequence[str], new: Sequence[str]) -> list[Candidate]:
        found: dict[tuple[str, str], Candidate] = {}
        if fresh:
            near = self.vision.propose(fresh, month, self._threshold, self._near)
            self._gather(found, near, same_month=True)
        for at in range(0, len(new), FRESH):
            far = self.vision.propose(new[at : at + FRESH], None, None, self._far)
            self._gather(found, far, same_month=False)
        return sorted(found.values(), key=lambda p: (p.a, p.b))

    def _gather(
        self, found: dict[tuple[str, str], Candidate], pairs: Iterable[Candidate], *, same_month: bool
    ) -> None:
        """Add the pairs that were not measured yet and that measuring could relate."""
        unmeasured = [
            p
            for p in pairs
            if p.a != p.b
            and (p.a, p.b) not in found
            and not self._ledger.judgement.has_pair(p.a, p.b, self._model)
        ]
        traits = self._ledger.inventory.traits({c for p in unmeasured for c in (p.a, p.b)})
        for pair in unmeasured:
            a, b = traits.get(pair.a), traits.get(pair.b)
            # Without traits the pair is proven later, when its file is there: `_not_now` takes note of it.
            if a is None or b is None or relatable(a, b, pair.hash_distance, same_month=same_month):
                found[pair.a, pair.b] = pair

    def _measured_before(self, pairs: Sequence[Candidate]) -> list[Candidate]:
        """Take over what was measured when another model proposed the same pair. Returns the others."""
        left: list[Candidate] = []
        with self._ledger.transaction():
            for pair in pairs:
                measures = self._ledger.judgement.measures(pair.a, pair.b)
                if measures is None:
                    left.append(pair)
                else:
                    self._ledger.judgement.put_pair(_measured(pair, measures, self._model))
        return left

    def _prove(self, pairs: Sequence[Candidate], on_step: Step, stop: Callable[[], bool]) -> set[str] | None:
        """Measure the pairs and keep what was measured. Returns contents to be compared again: a file was not readable.

        None when it was stopped.
        """
        unproven: set[str] = set()
        pairs = self._measured_before(pairs)
        for start in range(0, len(pairs), PROOFS):
            if stop():
                return None
            chunk = {(p.a, p.b): p for p in pairs[start : start + PROOFS]}
            traits = self._ledger.inventory.traits(c for pair in chunk for c in pair)
            requests = [r for p in chunk.values() if (r := self._request(p, traits)) is not None]
            self._not_now(chunk, requests)
            measured: list[PairRow] = []
            for done, proof in enumerate(self.vision.prove(requests), start + 1):
                on_step("prove", done, len(pairs))
                if proof.measures is None:
                    unproven |= {proof.a, proof.b}
                else:
                    measured.append(_measured(chunk[proof.a, proof.b], proof.measures, self._model))
            with self._ledger.transaction():
                for pair in measured:
                    self._ledger.judgement.put_pair(pair)
        return unproven

    def _not_now(self, pairs: Iterable[tuple[str, str]], requests: Sequence[ProofRequest]) -> None:
        """What is held or gone cannot be compared with what is new: it is compared when it comes back."""
        away = {c for pair in set(pairs) - {(r.a, r.b) for r in requests} for c in pair if not self._path(c)}
        with self._ledger.transaction():
            self._ledger.judgement.forget_compared(away)

    def _request(self, pair: Candidate, traits: dict[str, Traits]) -> ProofRequest | None:
        paths = [self._path(pair.a), self._path(pair.b)]
        if not all(paths) or pair.a not in traits or pair.b not in traits:
            return None
        burst = may_be_burst(traits[pair.a], traits[pair.b])
        return ProofRequest(a=pair.a, b=pair.b, path_a=paths[0], path_b=paths[1], burst=burst)

    def _path(self, content: str) -> str:
        for file in self._ledger.inventory.seen_with_content(content):
            if self._roots[file.root].online:
                return os.path.join(self._roots[file.root].path, file.path)
        return ""


def forget_older_measures(ledger: Ledger, clock: Clock) -> None:
    """Before anything may move: what an older dedupd measured is no proof for this one, not even until the next pass."""
    recipe, _, measures = ledger.get("rules").rpartition(".")
    if measures not in ("", MEASURES):
        _forget_pairs(ledger, clock, f"{recipe}.{MEASURES}")


def _forget_pairs(ledger: Ledger, clock: Clock, rules: str) -> None:
    with ledger.transaction():
        ledger.judgement.forget_pairs()
        ledger.put("rules", rules)
        for row in ledger.inventory.months():  # groups without their proof could never move
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
        self._in_months: dict[str, set[str]] = {}

    def to(self, month: str) -> tuple[list[FileRow], list[Edge]]:
        edges: dict[tuple[str, str], Edge] = {}
        queue: list[str] = []
        known: set[str] = set()

        def reach(contents: Iterable[str | None]) -> None:
            found = sorted({c for c in contents if c and c not in known})
            known.update(found)
            queue.extend(found)

        reach(f.content for f in self._ledger.inventory.live_in_month(self._root, month))
        reach(self._grouped(self._ledger.judgement.groups(self._root, month)))
        while queue:
            content = queue.pop()
            for edge in self._edges(content):
                edges[edge.a, edge.b] = edge
                reach([edge.other(content)])
            for file in self._live(content):
                reach(self._grouped(self._ledger.judgement.groups_with_file(file.id)))
        return [f for content in sorted(known) for f in self._live(content)], list(edges.values())

    def _grouped(self, groups: Iterable[GroupRow]) -> set[str | None]:
        """Contents that are in these groups now: a group that dissolves leaves none of its files behind."""
        ids = {
            file for g in groups if g.root == self._root for file in (g.keeper, *(m.file for m in g.members))
        }
        return {f.content for f in self._ledger.inventory.files_by_id(ids).values()}

    def _edges(self, content: str) -> Iterable[Edge]:
        for pair in self._ledger.judgement.pairs_of(content, self._thresholds.model):
            if not self._live(pair.a) or not self._live(pair.b):
                continue
            a, b = self._seen(pair.a), self._seen(pair.b)
            if a is None or b is None:
                continue
            same_month = bool(self._months(pair.a) & self._months(pair.b))
            edge = self._judged(typed(pair, a, b, self._thresholds, same_month=same_month), a, b)
            if edge is not None:
                yield edge

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

    def _live(self, content: str) -> list[FileRow]:
        if content not in self._files:
            rows = [f for f in self._ledger.inventory.live_with_content(content) if f.root == self._root]
            if any(f.state == FileState.UNDECODED for f in rows):
                rows += self._ledger.inventory.companions_with_content(self._root, content)
            self._files[content] = rows
        return self._files[content]

    def _months(self, content: str) -> set[str]:
        """Months this content was taken in, its held twins counted: moving one aside changes no relation."""
        if content not in self._in_months:
            self._in_months[content] = self._ledger.inventory.months_of(self._root, content)
        return self._in_months[content]

    def _seen(self, content: str) -> Traits | None:
        if content not in self._traits:
            self._traits.update(self._ledger.inventory.traits([content]))
        return self._traits.get(content)


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
    nodes: list[Node] = []
    for file in files:
        if file.content not in traits:
            continue
        unit = companions.unit(file.path)
        group = ledger.judgement.group_of_keeper(root.id, file.id)
        nodes.append(
            Node(
                id=file.id, root=root.id, month=file.month or _own_month(file, root), path=file.path, content=file.content,
                traits=traits[file.content], size=file.stat.size, mtime=file.stat.mtime_ns / 1e9,
                protected=settings.protects(os.path.join(root.path, file.path)),
                pinned=group is not None and any(m.role == "moved" for m in group.members),
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
    members = {star.keeper.id: list(members_of(ledger, star, companions)) for star in found}
    with ledger.transaction():
        ledger.judgement.put_taught(root, month, drawn.taught)
        before = {g.id: g for g in ledger.judgement.groups(root, month)}
        before |= {g.id: g for f in files for g in ledger.judgement.groups_with_file(f.id)}
        current: set[int] = set()
        for star in found:
            old = ledger.judgement.group_of_keeper(root, star.keeper.id)
            here = {m.file for m in members[star.keeper.id]}
            moved = [m for m in _moved(old) if m.file not in here]
            id = ledger.judgement.put_group(
                root, star.keeper.id, star.keeper.month, star.reasons, [*moved, *members[star.keeper.id]], now
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


def members_of(ledger: Ledger, star: Star, companions: Companions) -> Iterable[MemberRow]:
    """The star's members as they are written down: a person's word, settled copies and companions counted in."""
    for member in star.members:
        role, why = "duplicate" if member.unattended else "review", member.why
        if (
            role == "review"
            and not member.node.stay
            and not member.only_here
            and _settled_before(ledger, star, member)
        ):
            role, why = "duplicate", "the same bytes were settled beside this keeper before"
        if member.node.kept_by_person:
            role = "stays"
        elif role == "duplicate" and member.node.companions:
            try:
                companions.beside(star.keeper.path, member.node.path)
            except Stays as clause:
                role, why = "review", str(clause)
        yield MemberRow(
            file=member.node.id,
            role=role,
            relation=member.edge.relation,
            evidence=replace(
                member.edge.evidence, only_here=member.only_here, only_in_keeper=member.only_in_keeper
            ),
            why=why,
        )


def _settled_before(ledger: Ledger, star: Star, member: Member) -> bool:
    """A copy that lies in duplicates/ already came back by a phone's sync or another export: no new question."""
    held = ledger.journal.moves(content=member.node.content, held=True)
    return any(m.keeper_content == star.keeper.content for m in held)
