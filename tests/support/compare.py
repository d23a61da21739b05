"""Two files on the disk, looked at, proven and typed as dedupd does it, and what each would lose."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.decode import SHORT_SIDE, decode, opened
from dedupd.adapters.vision.proof import PairPictures, prove
from dedupd.adapters.vision.traits import measure
from dedupd.core.dominance import lost
from dedupd.core.photo import Candidate, Edge, Holding, Traits
from dedupd.core.relations import classify, prospect, thresholds_for


@dataclass(frozen=True, kw_only=True)
class Compared:
    """The pair, seen from the first file."""

    edge: Edge
    first: Traits
    second: Traits

    @property
    def holding(self) -> Holding:
        """What the first file holds."""
        return self._holding(self.first)

    @property
    def other(self) -> Holding:
        """What the second file holds."""
        return self._holding(self.second)

    def _holding(self, traits: Traits) -> Holding:
        m = self.edge.evidence.measures
        assert m is not None
        found = m.holds_a if traits.content == self.edge.a else m.holds_b
        assert found is not None
        return found

    def lost(self) -> set[str]:
        """Aspects that would be lost if the first file moved beside the second."""
        return {str(loss.aspect) for loss in lost(self.edge, self.first, self.second)}

    def clauses(self) -> set[str]:
        """The same in words."""
        return {loss.clause for loss in lost(self.edge, self.first, self.second)}

    def lost_of_second(self) -> set[str]:
        """The same the other way round."""
        return {str(loss.aspect) for loss in lost(self.edge, self.second, self.first)}

    @property
    def first_holds_all(self) -> bool:
        """Whether only the second may go."""
        return bool(self.lost()) and not self.lost_of_second()

    @property
    def undecided(self) -> bool:
        """Whether each holds something."""
        return bool(self.lost()) and bool(self.lost_of_second())


def looked_at(path: Path) -> Traits:
    """What ingest records of this file."""
    content = blake3(path.read_bytes()).hexdigest()
    with opened(os.fspath(path)) as file:
        return measure(decode(file, os.fspath(path), short_side=SHORT_SIDE), content, "lite0-gem/1")[0]


def compare(first: Path, second: Path, cosine: float = 0.95) -> Compared:
    """Look at both files, lay them over each other and type the pair."""
    one, other = looked_at(first), looked_at(second)
    paths = {one.content: first, other.content: second}
    a, b = sorted((one.content, other.content))
    candidate = Candidate(a=a, b=b, cosine=cosine, hash_distance=2)
    pair = messages.PairToProve(
        key=0,
        a=a,
        b=b,
        path_a=os.fsencode(paths[a]),
        path_b=os.fsencode(paths[b]),
        may=prospect(one, other, candidate),
    )
    proven = prove(pair, PairPictures())
    assert messages.frame(proven), "as the worker sends it"
    measures = proven.measures
    edge = classify(one, other, candidate, measures, thresholds_for("lite0-gem/1"), same_month=True)
    assert edge is not None
    return Compared(edge=edge, first=one, second=other)
