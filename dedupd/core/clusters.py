"""Typed pairs become groups: stars around one keeper, every member proven directly against it.

Owns who keeps, who may move and who waits for a person. Must never join two photos through a third, and never
let a vetoed pair meet. The same nodes, edges and vetoes give the same stars in whatever order they come.
"""

from __future__ import annotations

import heapq
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dedupd.core.keeper import Node, RankKey, better, rank_key, reasons
from dedupd.core.photo import Edge, Evidence, Relation
from dedupd.core.relations import contained

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
) -> list[Star]:
    """Group `nodes` by their proven relations; every node is in one star at most, and roots never mix.

    `edges` and `vetoes` join contents; files of one content are `exact` to each other. `tiers` says
    'move', 'review' or 'off' for each relation (a missing one is reviewed).
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
        found += _Grouping(by_root[root], kept, vetoed, tiers, policy).stars()
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
    ) -> None:
        self.vetoed, self.tiers, self.policy = vetoed, tiers, policy
        self.copies: dict[str, list[Node]] = defaultdict(list)
        for node in nodes:
            self.copies[node.content].append(node)
        self.edges: dict[str, list[Edge]] = defaultdict(list)
        for edge in _strongest(edges):
            if edge.a in self.copies and edge.b in self.copies:
                self.edges[edge.a].append(edge)
                self.edges[edge.b].append(edge)
        self.order = self._order(nodes)
        self.place = {node.id: place for place, node in enumerate(self.order)}
        self.cluster: dict[int, _Cluster] = {}
        self.taken: set[int] = set()

    def stars(self) -> list[Star]:
        self._gather(self.order, {Relation.EXACT, Relation.COPY}, moving=True)
        self._gather(self.order, {Relation.EXACT, Relation.COPY, Relation.BURST}, moving=True)
        settled = sorted(self.order, key=lambda node: not (self._busy(node) or node.pinned))
        self._gather(settled, set(Relation), moving=False)
        return [
            self._star(self.cluster[node.id])
            for node in self.order
            if node.id in self.cluster and self.cluster[node.id].members
        ]

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
        if not contained(edge, node.content):
            return "shows more than the keeper does"
        if edge.relation is Relation.BURST and numbers_apart(node.path, keeper.path) > _BURST_FRAMES:
            return "the camera numbered them too far apart for one burst"
        if edge.relation is not Relation.EXACT and self.place[node.id] < self.place[keeper.id]:
            return "better than the keeper, which has copies of its own"
        if keeper.pinned and edge.relation is not Relation.EXACT and better(node, keeper, self.policy):
            return "better than the keeper, which already keeps copies in duplicates/"
        return ""

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
        rival = min((member.node for member in members), key=lambda node: self.place[node.id])
        why = reasons(cluster.keeper, rival, self.policy)
        return Star(keeper=cluster.keeper, members=tuple(members), reasons=tuple(why))

    def _member(self, node: Node, edge: Edge, keeper: Node) -> Member:
        obstacle = self._obstacle(node, edge, keeper)
        return Member(node=node, edge=edge, unattended=not obstacle, why=obstacle or edge.why)

    def _order(self, nodes: list[Node]) -> list[Node]:
        """Keepers first: pinned, then by rank, except that what shows more comes before its crop.

        A crop with richer metadata would otherwise keep, and its original, which may not move beside it, would stay.
        """
        key = self._keys(nodes)
        after: dict[int, list[Node]] = defaultdict(list)
        waiting: dict[int, int] = dict.fromkeys((node.id for node in nodes), 0)
        for more, less in self._shown_by() if self.policy == "best" else ():
            for big in self.copies[more]:
                for small in self.copies[less]:
                    if key[small.id][:2] >= key[big.id][:2]:
                        after[big.id].append(small)
                        waiting[small.id] += 1
        by_id = {node.id: node for node in nodes}
        ready = [(key[i], i) for i, count in waiting.items() if count == 0]
        rest = sorted((key[i], i) for i in waiting)
        heapq.heapify(ready)
        order: list[Node] = []
        placed: set[int] = set()
        while len(order) < len(nodes):
            # Nothing ready means a circle of near-equal crops: the best of what is left breaks it.
            _, chosen = (
                heapq.heappop(ready) if ready else next(item for item in rest if item[1] not in placed)
            )
            if chosen in placed:
                continue
            placed.add(chosen)
            order.append(by_id[chosen])
            for small in after[chosen]:
                waiting[small.id] -= 1
                if waiting[small.id] == 0 and small.id not in placed:
                    heapq.heappush(ready, (key[small.id], small.id))
        return order

    def _keys(self, nodes: list[Node]) -> dict[int, RankKey]:
        bursts = {
            content
            for content, edges in self.edges.items()
            if any(e.relation is Relation.BURST for e in edges)
        }
        return {
            node.id: (
                not node.pinned,
                not node.belongs_to,
                *rank_key(node, self.policy, in_burst=node.content in bursts),
            )
            for node in nodes
        }

    def _shown_by(self) -> Iterator[tuple[str, str]]:
        """Pairs of contents (more, less): the first shows all of the second, and more."""
        for content, edges in self.edges.items():
            for edge in edges:
                if (
                    edge.relation is Relation.COPY
                    and edge.a == content
                    and contained(edge, edge.a) != contained(edge, edge.b)
                ):
                    yield (edge.b, edge.a) if contained(edge, edge.a) else (edge.a, edge.b)


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
