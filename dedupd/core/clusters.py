"""Typed pairs become groups: stars around one keeper, every member proven directly against it.

Owns who keeps, who may move and who waits for a person. Must never join two photos through a third, and never
let a vetoed pair meet. The same nodes, edges and vetoes give the same stars in whatever order they come.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dedupd.core.dominance import Loss, lost, preferred, waived_by
from dedupd.core.keeper import Node, RankKey, better, rank_key, reasons
from dedupd.core.photo import Edge, Evidence, Relation

__all__ = ["Member", "Node", "Star", "stars"]

SIMILAR_LIMIT = 12
"""Members of one star that are merely similar: a family of look-alikes is reviewed in small groups."""

_BURST_FRAMES = 90
"""Frames that a camera can take within the two seconds of a burst that moves: thirty a second, and some to spare."""

_STRENGTH = {Relation.EXACT: 3, Relation.COPY: 2, Relation.BURST: 1, Relation.SIMILAR: 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A photo beside its keeper."""

    node: Node
    edge: Edge
    """Its own proof against the keeper."""
    unattended: bool
    """True: moves without a person; False: waits for review."""
    why: str
    only_here: tuple[str, ...] = ()
    """What it holds and the keeper lacks, one clause each."""
    only_in_keeper: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Star:
    """One group: a keeper and the photos proven against it, strongest first."""

    keeper: Node
    members: tuple[Member, ...]
    reasons: tuple[str, ...]
    """Why this one keeps, against the best of the others."""


def stars(
    nodes: Iterable[Node],
    edges: Iterable[Edge],
    vetoes: Iterable[tuple[str, str]],
    tiers: Mapping[Relation, str],
    policy: str = "best",
    *,
    metadata_counts: bool = False,
) -> list[Star]:
    """Group `nodes` by their proven relations; every node is in one star at most, and roots never mix.

    `edges` and `vetoes` join contents; files of one content are `exact` to each other. `tiers` says
    'move', 'review' or 'off' for each relation (a missing one is reviewed). `metadata_counts`: no sidecar keeps what
    only the file that moves knows, so that it is a loss.
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
    """The grouping of one root: first what may move, copies before bursts, then what a person should see."""

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
        self.losses: dict[tuple[str, str, Relation], tuple[Loss, ...]] = {}
        self.cluster: dict[int, _Cluster] = {}
        self.taken: set[int] = set()
        self.derived: dict[str, str] = {}
        """Content -> the content that it is a copy of, of those that are there: an edit, a smaller one."""
        self.originals: set[str] = set()
        self.nodes = nodes
        self._lay(self._order({Relation.COPY}))

    def _lay(self, order: list[Node]) -> None:
        self.order = order
        self.place = {node.id: place for place, node in enumerate(order)}

    def stars(self) -> list[Star]:
        self._gather(self.order, {Relation.EXACT, Relation.COPY}, moving=True)
        self._tell_originals()
        self._lay(self._order({Relation.COPY, Relation.BURST}))
        self._gather(self.order, {Relation.EXACT, Relation.COPY, Relation.BURST}, moving=True)
        settled = sorted(self.order, key=lambda node: not (self._busy(node) or node.pinned))
        self._gather(settled, set(Relation), moving=False)
        return [
            self._star(self.cluster[node.id])
            for node in self.order
            if node.id in self.cluster and self.cluster[node.id].members
        ]

    def _tell_originals(self) -> None:
        """Of two copies the one before is the original: among the frames of a burst only originals are chosen from."""
        first = {content: min(self.place[n.id] for n in files) for content, files in self.copies.items()}
        for content, edges in self.edges.items():
            copies = [e.other(content) for e in edges if e.relation is Relation.COPY]
            before = min(copies, key=lambda c: (first[c], c), default="")
            if before and first[before] < first[content]:
                self.derived[content] = before
        self.originals = set(self.derived.values())

    def _gather(self, order: list[Node], relations: set[Relation], *, moving: bool) -> None:
        """Each free node joins the best keeper before it in `order`, or becomes a keeper itself."""
        keepers: set[int] = set()
        for node in order:
            if node.id in self.taken:
                continue
            home = (
                None
                if node.pinned or node.belongs_to or self._busy(node)
                else self._home(node, keepers, relations, moving=moving)
            )
            if home is None:
                keepers.add(node.id)
                continue
            cluster, edge = home
            cluster.members.append((node, edge))
            cluster.contents[node.content] = cluster.contents.get(node.content, 0) + 1
            cluster.similar += edge.relation is Relation.SIMILAR
            self.taken.add(node.id)

    def _home(
        self, node: Node, keepers: set[int], relations: set[Relation], *, moving: bool
    ) -> tuple[_Cluster, Edge] | None:
        best: tuple[tuple[float, ...], _Cluster, Edge] | None = None
        for keeper, edge in self._neighbours(node):
            if keeper.id not in keepers or edge.relation not in relations:
                continue
            if moving and self._obstacle(node, edge, keeper):
                continue
            cluster = self.cluster.setdefault(keeper.id, _Cluster(keeper, contents={keeper.content: 1}))
            if not self._welcome(node, edge, cluster):
                continue
            score = (float(_STRENGTH[edge.relation]), edge.evidence.confidence, -float(self.place[keeper.id]))
            if best is None or score > best[0]:
                best = (score, cluster, edge)
        return (best[1], best[2]) if best else None

    def _welcome(self, node: Node, edge: Edge, cluster: _Cluster) -> bool:
        if edge.relation is Relation.SIMILAR and cluster.similar >= SIMILAR_LIMIT:
            return False
        return self.vetoed.get(node.content, set()).isdisjoint(cluster.contents)

    def _neighbours(self, node: Node) -> Iterator[tuple[Node, Edge]]:
        for twin in self.copies[node.content]:
            if twin.id != node.id and self.tiers.get(Relation.EXACT, "review") != "off":
                yield twin, _exact(node.content)
        for edge in self.edges.get(node.content, ()):
            for other in self.copies[edge.other(node.content)]:
                yield other, edge

    def _obstacle(self, node: Node, edge: Edge, keeper: Node) -> str:
        """What keeps `node` from moving beside `keeper` without a person; '' when nothing does."""
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
        if losses := self._lost(edge, node, keeper):
            return self._said(losses, self._lost(edge, keeper, node))
        if edge.relation is Relation.BURST and (why := self._no_burst(node, keeper)):
            return why
        if edge.relation is not Relation.EXACT and self.place[node.id] < self.place[keeper.id]:
            return "better than the keeper, which has copies of its own"
        if keeper.pinned and edge.relation is not Relation.EXACT and better(node, keeper, self.policy):
            return "better than the keeper, which already keeps copies in duplicates/"
        return ""

    def _no_burst(self, node: Node, keeper: Node) -> str:
        """What keeps a frame of a burst from moving, though the pair is proven."""
        if numbers_apart(node.path, keeper.path) > _BURST_FRAMES:
            return "the camera numbered them too far apart for one burst"
        if node.content in self.derived:
            return "an edited or smaller version belongs beside its own original"
        if node.content in self.originals:
            return "a version of it waits beside it"
        return ""

    def _lost(self, edge: Edge, mover: Node, keeper: Node) -> tuple[Loss, ...]:
        """What would be lost if `mover` moved beside `keeper`."""
        key = (mover.content, keeper.content, edge.relation)
        if key not in self.losses:
            self.losses[key] = lost(
                edge, mover.traits, keeper.traits, waived=self.waived, metadata=self.metadata_counts
            )
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
        held = [loss.clause for loss in self._lost(rival.edge, cluster.keeper, rival.node)]
        why = [*held, *reasons(cluster.keeper, rival.node, self.policy)]
        return Star(keeper=cluster.keeper, members=tuple(members), reasons=tuple(why))

    def _member(self, node: Node, edge: Edge, keeper: Node) -> Member:
        obstacle = self._obstacle(node, edge, keeper)
        return Member(
            node=node,
            edge=edge,
            unattended=not obstacle,
            why=obstacle or edge.why,
            only_here=tuple(loss.clause for loss in self._lost(edge, node, keeper)),
            only_in_keeper=tuple(loss.clause for loss in self._lost(edge, keeper, node)),
        )

    def _order(self, relations: set[Relation]) -> list[Node]:
        """Keepers first: pinned, then by rank, except that whoever holds all of another comes before it (P16).

        A small copy with richer metadata would otherwise keep, and its original, which may not move beside it, would stay.
        """
        key = self._keys(in_burst=Relation.BURST in relations)
        after: dict[int, list[tuple[Node, bool]]] = defaultdict(list)
        waiting: dict[int, list[int]] = {node.id: [0, 0] for node in self.nodes}
        for more, less, holds_all in sorted(set(self._before(relations))):
            for first in self.copies[more]:
                for second in self.copies[less]:
                    if key[second.id][:3] >= key[first.id][:3]:
                        after[first.id].append((second, holds_all))
                        waiting[second.id][holds_all] += 1
        by_id = {node.id: node for node in self.nodes}
        ready = [(key[i], i) for i, counts in waiting.items() if not any(counts)]
        heapq.heapify(ready)
        order: list[Node] = []
        left = set(by_id)
        while left:
            chosen = heapq.heappop(ready)[1] if ready else self._out_of_a_circle(left, waiting, key)
            left.discard(chosen)
            order.append(by_id[chosen])
            for second, holds_all in after[chosen]:
                waiting[second.id][holds_all] -= 1
                if not any(waiting[second.id]) and second.id in left:
                    heapq.heappush(ready, (key[second.id], second.id))
        return order

    def _out_of_a_circle(self, left: set[int], waiting: dict[int, list[int]], key: dict[int, RankKey]) -> int:
        """Near-equal ones can each be preferred to the next: the best that nobody left holds all of goes first."""
        return min(left, key=lambda i: (waiting[i][True] > 0, key[i], i))

    def _keys(self, *, in_burst: bool) -> dict[int, RankKey]:
        """Sharpness counts among the frames of a burst alone, and there only between originals."""
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
        """(first, second, whether the first holds all of the second and more): contents in the order in which they keep.

        Of two that each hold something the larger one comes first; of two that hold the same, the one without a frame.
        """
        for content, edges in self.edges.items():
            for edge in edges:
                if edge.a != content or edge.relation not in relations:
                    continue
                one, other = self.copies[edge.a][0], self.copies[edge.b][0]
                in_one, in_other = self._lost(edge, one, other), self._lost(edge, other, one)
                if bool(in_one) != bool(in_other):
                    yield (edge.a, edge.b, True) if in_one else (edge.b, edge.a, True)
                elif self.policy == "best" and (first := preferred(edge, in_one, in_other)):
                    yield (edge.a, edge.b, False) if first == "a" else (edge.b, edge.a, False)
                if self.derived.get(edge.b) == edge.a:
                    yield edge.a, edge.b, False
                elif self.derived.get(edge.a) == edge.b:
                    yield edge.b, edge.a, False


def numbers_apart(one: str, other: str) -> int:
    """How far apart a camera's counter named two files (DSC_1454.JPG, DSC_1456.JPG: 2); 0 when the names do not say.

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
    """One edge a pair, in an order that does not depend on theirs."""
    best: dict[tuple[str, str], Edge] = {}
    for edge in edges:
        pair = (min(edge.a, edge.b), max(edge.a, edge.b))
        if pair not in best or _weight(edge) > _weight(best[pair]):
            best[pair] = edge
    return [best[pair] for pair in sorted(best)]


def _weight(edge: Edge) -> tuple[object, ...]:
    return (_STRENGTH[edge.relation], edge.unattended, edge.evidence.confidence, edge.why)
