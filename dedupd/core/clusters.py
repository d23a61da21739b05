"""Typed pairs become groups: stars around one keeper, every member proven directly against it.

Owns who keeps, who may move and who waits for a person. Must never join two photos through a third, and never
let a vetoed pair meet. The same nodes, edges and vetoes give the same stars, in whatever order they are given.
"""

from __future__ import annotations

import heapq
import re
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dedupd.core import bars
from dedupd.core.dominance import Loss, lost, preferred, waived_by
from dedupd.core.keeper import Node, RankKey, better, rank_key, reasons
from dedupd.core.photo import Edge, Evidence, Relation, Traits

__all__ = ["Member", "Node", "Star", "stars"]

_STRENGTH = {Relation.EXACT: 3, Relation.COPY: 2, Relation.BURST: 1, Relation.SIMILAR: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A photo beside its keeper."""

    node: Node
    edge: Edge
    """The proof of this pair: the member against the keeper."""
    unattended: bool
    """True: it moves without a person; False: it waits for review."""
    why: str
    only_here: tuple[str, ...] = ()
    """What the member holds and the keeper lacks, one clause each."""
    only_in_keeper: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Star:
    """One group: a keeper and the photos proven against it, strongest first."""

    keeper: Node
    members: tuple[Member, ...]
    reasons: tuple[str, ...]
    """Why this photo is the keeper rather than the best of the others."""


def stars(
    nodes: Iterable[Node],
    edges: Iterable[Edge],
    vetoes: Iterable[tuple[str, str]],
    tiers: Mapping[Relation, str],
    policy: str = "best",
    *,
    metadata_counts: bool = False,
) -> list[Star]:
    """Group `nodes` by their proven relations. Each node is in one star at most, and a star has nodes of one root only.

    `edges` and `vetoes` join contents; files of one content are `exact` to each other. `tiers` says
    'move', 'review' or 'off' for each relation (a missing one means 'review'). `metadata_counts`: no sidecar will be
    written, so metadata that only the moving file has counts as a loss.
    """
    by_root: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        by_root[node.root].append(node)
    kept = [edge for edge in edges if edge.a != edge.b and tiers.get(edge.relation, "review") != "off"]
    vetoed: dict[str, set[str]] = defaultdict(set)
    for a, b in vetoes:
        vetoed[a].add(b)
        vetoed[b].add(a)
    found: list[Star] = []
    for root in sorted(by_root):
        found += _Grouping(by_root[root], kept, vetoed, tiers, policy, metadata_counts).stars()
    return found


@dataclass
class _Cluster:
    keeper: Node
    members: list[tuple[Node, Edge]] = field(default_factory=list)
    contents: dict[str, int] = field(default_factory=dict)
    similar: int = 0


class _Grouping:
    """Groups the nodes of one root: first pairs that may move (copies before bursts), then pairs for review."""

    def __init__(
        self,
        nodes: list[Node],
        edges: list[Edge],
        vetoed: Mapping[str, set[str]],
        tiers: Mapping[Relation, str],
        policy: str,
        metadata_counts: bool,
    ) -> None:
        self.vetoed, self.tiers, self.policy, self.metadata_counts = vetoed, tiers, policy, metadata_counts
        self.waived = waived_by(policy)
        self.copies: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            self.copies[node.content].append(node)
        self.edges: dict[str, list[Edge]] = defaultdict(list)
        for edge in _strongest(edges):
            if edge.a in self.copies and edge.b in self.copies:
                self.edges[edge.a].append(edge)
                self.edges[edge.b].append(edge)
        self.same_bytes = {
            content: _exact(content) for content, files in self.copies.items() if len(files) > 1
        }
        self.losses: dict[tuple[str, str, Relation], tuple[Loss, ...]] = {}
        self.cluster: dict[int, _Cluster] = {}
        self.taken: set[int] = set()
        self.derived: dict[str, str] = {}
        """Content -> the content in this root that it is a copy of (an edit or a smaller version)."""
        self.originals: set[str] = set()
        self.nodes = nodes
        self._lay(self._order({Relation.COPY}))

    def _lay(self, order: list[Node]) -> None:
        self.order = order
        self.place = {node.id: place for place, node in enumerate(order)}

    def stars(self) -> list[Star]:
        self._gather(self.order, {Relation.EXACT, Relation.COPY}, moving=True)
        self._find_originals()
        self._lay(self._order({Relation.COPY, Relation.BURST}))
        self._gather(self.order, {Relation.EXACT, Relation.COPY, Relation.BURST}, moving=True)
        settled = sorted(self.order, key=lambda node: not (self._busy(node) or node.pinned))
        self._gather(settled, set(Relation), moving=False)
        return [
            self._star(self.cluster[node.id])
            for node in self.order
            if node.id in self.cluster and self.cluster[node.id].members
        ]

    def _find_originals(self) -> None:
        """Of two copies the one that comes first in the order is the original; it becomes keeper before its copies."""
        first = {content: min(self.place[n.id] for n in files) for content, files in self.copies.items()}
        for content, edges in self.edges.items():
            copies = [e.other(content) for e in edges if e.relation is Relation.COPY]
            before = min(copies, key=lambda c: (first[c], c), default="")
            if before and first[before] < first[content]:
                self.derived[content] = before
        self.originals = set(self.derived.values())

    def _gather(self, order: list[Node], relations: set[Relation], *, moving: bool) -> None:
        """Each free node joins the best keeper before it in `order`, or becomes a keeper itself."""
        keepers: dict[str, list[Node]] = defaultdict(list)
        for node in order:
            if node.id in self.taken:
                continue
            home = (
                None
                if node.pinned or node.belongs_to or self._busy(node)
                else self._home(node, keepers, relations, moving=moving)
            )
            if home is None:
                insort(keepers[node.content], node, key=self._placed)
                continue
            cluster, edge = home
            cluster.members.append((node, edge))
            cluster.contents[node.content] = cluster.contents.get(node.content, 0) + 1
            cluster.similar += edge.relation is Relation.SIMILAR
            self.taken.add(node.id)

    def _placed(self, node: Node) -> int:
        return self.place[node.id]

    def _home(
        self, node: Node, keepers: Mapping[str, list[Node]], relations: set[Relation], *, moving: bool
    ) -> tuple[_Cluster, Edge] | None:
        best: tuple[tuple[float, ...], _Cluster, Edge] | None = None
        for content, edge in self._neighbours(node):
            if content not in keepers or edge.relation not in relations:
                continue
            if moving and self._obstacle(node, edge, keepers[content][0].traits):
                continue
            cluster = self._first_open(node, edge, keepers[content], moving=moving)
            if cluster is None:
                continue
            place = self.place[cluster.keeper.id]
            # Of two about which it is as sure, the better keeper: the last digits are noise of the measures.
            score = (float(_STRENGTH[edge.relation]), round(edge.evidence.confidence, 3), -float(place))
            if best is None or score > best[0]:
                best = (score, cluster, edge)
        return (best[1], best[2]) if best else None

    def _first_open(
        self, node: Node, edge: Edge, keepers: Iterable[Node], *, moving: bool
    ) -> _Cluster | None:
        """The group of the first of these keepers (one content, best first) that `node` may join; None: no group."""
        for keeper in keepers:
            if moving and self._obstacle_beside(node, edge, keeper):
                continue
            cluster = self.cluster.setdefault(keeper.id, _Cluster(keeper, contents={keeper.content: 1}))
            if self._welcome(node, edge, cluster):
                return cluster
        return None

    def _welcome(self, node: Node, edge: Edge, cluster: _Cluster) -> bool:
        if edge.relation is Relation.SIMILAR and cluster.similar >= bars.SIMILAR_LIMIT:
            return False
        return self.vetoed.get(node.content, set()).isdisjoint(cluster.contents)

    def _neighbours(self, node: Node) -> Iterator[tuple[str, Edge]]:
        """The contents that `node` is related to, each once; its own too when other files have the same content."""
        vetoed = self.vetoed.get(node.content, ())
        twins = self.same_bytes.get(node.content)
        if (
            twins is not None
            and node.content not in vetoed
            and self.tiers.get(Relation.EXACT, "review") != "off"
        ):
            yield node.content, twins
        for edge in self.edges.get(node.content, ()):
            if (other := edge.other(node.content)) not in vetoed:
                yield other, edge

    def _obstacle(self, node: Node, edge: Edge, keeper: Traits) -> str:
        """Why `node` may not move beside any file of that content without a person; '' when it may."""
        if not edge.unattended:
            return edge.why or "not proven beyond doubt"
        if node.protected:
            return "lies in a protected folder"
        if node.kept_by_person:
            return "somebody put it back"
        if node.stay:
            return node.stay
        if self.tiers.get(edge.relation, "review") != "move":
            return f"{edge.relation} pairs are reviewed (tiers)"
        if losses := self._lost(edge, node.traits, keeper):
            return self._said(losses, self._lost(edge, keeper, node.traits))
        return ""

    def _obstacle_beside(self, node: Node, edge: Edge, keeper: Node) -> str:
        """Why it may not move beside this one file."""
        if edge.relation is Relation.BURST and (why := self._no_burst(node, keeper)):
            return why
        if edge.relation is not Relation.EXACT and self.place[node.id] < self.place[keeper.id]:
            return "better than the keeper, which has copies of its own"
        if keeper.pinned and edge.relation is not Relation.EXACT and better(node, keeper, self.policy):
            return "better than the keeper, which already keeps copies in duplicates/"
        return ""

    def _no_burst(self, node: Node, keeper: Node) -> str:
        """Why a frame of a burst may not move although the pair is proven."""
        if numbers_apart(node.path, keeper.path) > bars.BURST_FRAMES:
            return "the camera numbered them too far apart for one burst"
        if node.content in self.derived:
            return "an edited or smaller version belongs beside its own original"
        if node.content in self.originals:
            return "a version of it waits beside it"
        return ""

    def _lost(self, edge: Edge, mover: Traits, keeper: Traits) -> tuple[Loss, ...]:
        """What would be lost if a file of `mover` moved beside one of `keeper`."""
        key = (mover.content, keeper.content, edge.relation)
        if key not in self.losses:
            self.losses[key] = lost(edge, mover, keeper, waived=self.waived, metadata=self.metadata_counts)
        return self.losses[key]

    def _said(self, losses: Sequence[Loss], of_keeper: Sequence[Loss]) -> str:
        """'it has the colours; its keeper is 4.0 times as large'."""
        return "; ".join(
            [*(f"it {loss.clause}" for loss in losses), *(f"its keeper {loss.clause}" for loss in of_keeper)]
        )

    def _busy(self, node: Node) -> bool:
        return node.id in self.cluster and bool(self.cluster[node.id].members)

    def _star(self, cluster: _Cluster) -> Star:
        members = sorted(
            (self._member(node, edge, cluster.keeper) for node, edge in cluster.members),
            key=lambda member: (
                not member.unattended,
                -_STRENGTH[member.edge.relation],
                self.place[member.node.id],
            ),
        )
        rival = min(members, key=lambda member: self.place[member.node.id])
        held = [loss.clause for loss in self._lost(rival.edge, cluster.keeper.traits, rival.node.traits)]
        why = [*held, *reasons(cluster.keeper, rival.node, self.policy)]
        return Star(keeper=cluster.keeper, members=tuple(members), reasons=tuple(why))

    def _member(self, node: Node, edge: Edge, keeper: Node) -> Member:
        obstacle = self._obstacle(node, edge, keeper.traits) or self._obstacle_beside(node, edge, keeper)
        return Member(
            node=node,
            edge=edge,
            unattended=not obstacle,
            why=obstacle or edge.why,
            only_here=tuple(loss.clause for loss in self._lost(edge, node.traits, keeper.traits)),
            only_in_keeper=tuple(loss.clause for loss in self._lost(edge, keeper.traits, node.traits)),
        )

    def _order(self, relations: set[Relation]) -> list[Node]:
        """The order in which nodes become keepers: pinned ones, then by rank; but what holds all of another comes first (P16).

        Without that a small copy with richer metadata would become the keeper, and its original could not move beside it.
        """
        key = self._keys(in_burst=Relation.BURST in relations)
        line = _Line(self.copies, key, sorted(set(self._before(relations))))
        left = {node.id: node for node in self.nodes}
        heap = [(line.wait(id), key[id], id) for id in left]
        heapq.heapify(heap)
        order: list[Node] = []
        while left:
            chosen = left.pop(heapq.heappop(heap)[2], None)
            if chosen is None:
                continue  # it was pushed once more when it waited for less, and has its place
            order.append(chosen)
            for id in line.place(chosen):
                if id in left:
                    heapq.heappush(heap, (line.wait(id), key[id], id))
        return order

    def _keys(self, *, in_burst: bool) -> dict[int, RankKey]:
        """The sort keys. Sharpness counts only between frames of one burst, and there only between originals."""
        bursts = {
            content
            for content, edges in self.edges.items()
            if in_burst and any(e.relation is Relation.BURST for e in edges)
        }
        keys: dict[int, RankKey] = {}
        for node in self.nodes:
            derived = node.content in self.derived
            protected, *rank = rank_key(node, self.policy, in_burst=node.content in bursts and not derived)
            keys[node.id] = (not node.pinned, not node.belongs_to, protected, derived, *rank)
        return keys

    def _before(self, relations: set[Relation]) -> Iterator[tuple[str, str, bool]]:
        """(first, second, whether the first holds all of the second and more): which content comes first as a keeper.

        Of two that each hold something the larger one comes first; of two that hold the same, the one without a frame.
        """
        for content, edges in self.edges.items():
            for edge in edges:
                if edge.a != content or edge.relation not in relations:
                    continue
                one, other = self.copies[edge.a][0].traits, self.copies[edge.b][0].traits
                in_one, in_other = self._lost(edge, one, other), self._lost(edge, other, one)
                if bool(in_one) != bool(in_other):
                    yield (edge.a, edge.b, True) if in_one else (edge.b, edge.a, True)
                elif self.policy == "best" and (first := preferred(edge, in_one, in_other)):
                    yield (edge.a, edge.b, False) if first == "a" else (edge.b, edge.a, False)
                if self.derived.get(edge.b) == edge.a:
                    yield edge.a, edge.b, False
                elif self.derived.get(edge.a) == edge.b:
                    yield edge.b, edge.a, False


class _Line:
    """A topological order: which files still wait until others have their place.

    A content waits for a content, however many files either has: each of its files for all that are of its own class or
    a better one (pinned, companion, protected), because those of a lesser class come after it in any case.
    """

    def __init__(
        self,
        copies: Mapping[str, list[Node]],
        key: Mapping[int, RankKey],
        before: Sequence[tuple[str, str, bool]],
    ) -> None:
        self._class: dict[int, RankKey] = {id: rank[:3] for id, rank in key.items()}
        self._files: dict[str, dict[RankKey, list[int]]] = {}
        for content in {content for more, less, _ in before for content in (more, less)}:
            by_class = self._files[content] = defaultdict(list)
            for node in copies[content]:
                by_class[self._class[node.id]].append(node.id)
        self._left = {c: Counter({rank: len(ids) for rank, ids in f.items()}) for c, f in self._files.items()}
        self._after: dict[str, list[tuple[str, bool]]] = defaultdict(list)
        self._waiting: dict[int, list[int]] = {id: [0, 0] for id in key}
        """File -> how many contents it waits for: those merely preferred to it, and those that hold all of it."""
        for more, less, holds_all in before:
            self._after[more].append((less, holds_all))
            for rank, ids in self._files[less].items():
                if self._some_left(more, rank):
                    for id in ids:
                        self._waiting[id][holds_all] += 1

    def wait(self, id: int) -> int:
        """0: it waits for nothing. Preferences may form a circle; in one, a file that no remaining file dominates (1) comes
        before the others (2).
        """
        preferred, holding = self._waiting[id]
        return 2 if holding else 1 if preferred else 0

    def place(self, node: Node) -> Iterator[int]:
        """Record that this file has its place. Yields the files that wait for fewer contents now."""
        if node.content not in self._after:
            return
        own = self._class[node.id]
        self._left[node.content][own] -= 1
        for less, holds_all in self._after[node.content]:
            for rank, ids in self._files[less].items():
                if rank < own or self._some_left(node.content, rank):
                    continue
                for id in ids:
                    self._waiting[id][holds_all] -= 1
                    yield id

    def _some_left(self, content: str, rank: RankKey) -> bool:
        return any(count and other <= rank for other, count in self._left[content].items())


def numbers_apart(one: str, other: str) -> int:
    """The difference of the camera's counter in two names (DSC_1454.JPG, DSC_1456.JPG: 2); 0 when the names have none.

    Counters have four or five digits and begin again; longer runs of digits are dates and times.
    """
    a, b = _COUNTED.fullmatch(_stem(one)), _COUNTED.fullmatch(_stem(other))
    if a is None or b is None or a[1] != b[1] or len(a[2]) != len(b[2]):
        return 0
    gap = abs(int(a[2]) - int(b[2]))
    return min(gap, 10 ** len(a[2]) - gap)


_COUNTED = re.compile(r"(.*?\D|)(\d{4,5})")


def _stem(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _exact(content: str) -> Edge:
    evidence = Evidence(cosine=1.0, hash_distance=0, confidence=1.0)
    return Edge(
        a=content, b=content, relation=Relation.EXACT, unattended=True, evidence=evidence, why="same bytes"
    )


def _strongest(edges: Iterable[Edge]) -> list[Edge]:
    """The strongest edge of each pair, in an order that does not depend on the order given."""
    best: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        pair = (min(edge.a, edge.b), max(edge.a, edge.b))
        if pair not in best or _weight(edge) > _weight(best[pair]):
            best[pair] = edge
    return [best[pair] for pair in sorted(best)]


def _weight(edge: Edge) -> tuple[object, ...]:
    return (_STRENGTH[edge.relation], edge.unattended, edge.evidence.confidence, edge.why)
