"""Lessons: what a verdict says of other pairs, those of one family with similar evidence.

Owns how far a verdict reaches. A Beta-Bernoulli model with a kernel: each verdict counts by how much its pair
resembles the pair in question, with the shipped calibration as prior. Must never apply a lesson to equal bytes, to a
pair that a person judged, or to a chance resemblance. Lessons only take moves and questions away; they let a burst
move only where reviewed outcomes promise an error rate. The result depends on the set of verdicts alone: forgetting
one restores exactly the state before it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dedupd.core import bars
from dedupd.core.confidence import Calibration, Features, features
from dedupd.core.photo import Edge, Relation, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPair:
    """The part of a pair that likeness is computed from."""

    features: Features
    proven: bool
    """It clears every bar of a copy. Verdicts on proven and on unproven pairs say nothing of each other."""
    gists: tuple[int, int]
    """Per picture: the SimHash of its vector, or without a vector both perceptual hashes; `bits` long."""
    bits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One verdict on one measured pair."""

    verdict: int
    pair: JudgedPair
    duplicates: bool
    burst: float | None
    """The shipped confidence of a pair that was proposed as a burst, else None."""


def pair_of(a: Traits, b: Traits, edge: Edge) -> JudgedPair:
    """The pair behind `edge`; its traits may be given in either order."""
    proven = edge.relation is Relation.COPY and edge.unattended
    x = features(a, b, edge.evidence, proven=proven)
    if a.simhash and b.simhash:
        return JudgedPair(
            features=x, proven=proven, gists=(int(a.simhash, 16), int(b.simhash, 16)), bits=4 * len(a.simhash)
        )
    return JudgedPair(
        features=x, proven=proven, gists=(a.phash << 64 | a.dhash, b.phash << 64 | b.dhash), bits=128
    )


def lesson(
    verdict: int, a: Traits, b: Traits, edge: Edge, shipped: Calibration, *, duplicates: bool
) -> Lesson:
    """The lesson of one verdict. `edge` is the pair as it was typed before any verdict."""
    pair = pair_of(a, b, edge)
    burst = shipped.probability(pair.features) if edge.relation is Relation.BURST else None
    return Lesson(verdict=verdict, pair=pair, duplicates=duplicates, burst=burst)


def likeness(one: JudgedPair, other: JudgedPair) -> float:
    """0 to 1: how much a verdict on one pair says of the other; 1 for equal evidence on the same pictures."""
    if one.bits != other.bits or one.proven != other.proven:
        return 0.0
    (a, b), (c, d) = one.gists, other.gists
    straight = _cosine(a ^ c, one.bits) + _cosine(b ^ d, one.bits)
    crossed = _cosine(a ^ d, one.bits) + _cosine(b ^ c, one.bits)
    family = (max(straight, crossed) / 2 - bars.FAMILY) / (1 - bars.FAMILY)
    if family <= 0:
        return 0.0
    apart = sum((u - v) ** 2 for u, v in zip(one.features, other.features, strict=True))
    return family * math.exp(-apart / (2 * bars.EVIDENCE_WIDTH**2))


def _cosine(differing: int, bits: int) -> float:
    """The cosine of two vectors, estimated from the differing bits of their SimHashes (Charikar, 2002)."""
    return math.cos(math.pi * differing.bit_count() / bits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """All lessons, and what they say of a pair."""

    shipped: Calibration
    lessons: Sequence[Lesson] = ()
    _vetoed: set[bool] = field(init=False, repr=False)
    """Whether proven (True) or unproven (False) pairs were vetoed at all: for the others no lesson counts."""
    promised: float | None = field(init=False, default=None)
    """Confidence from which reviewed bursts were right often enough; None: the shipped bar holds."""
    distrusted: float | None = field(init=False, default=None)
    """Confidence up to which bursts wait for a person, because reviewed ones were wrong too often."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_vetoed", {x.pair.proven for x in self.lessons if not x.duplicates})
        outcomes = [(x.burst, x.duplicates) for x in self.lessons if x.burst is not None]
        object.__setattr__(self, "promised", promised_bar(outcomes))
        object.__setattr__(self, "distrusted", distrusted_bar(outcomes))

    def about(self, pair: JudgedPair) -> list[tuple[Lesson, float]]:
        """The lessons that count for this pair, each with its likeness."""
        weighed = ((x, likeness(x.pair, pair)) for x in self.lessons)
        return [(x, weight) for x, weight in weighed if weight >= bars.LEAST_LIKENESS]

    def judged(self, edge: Edge, a: Traits, b: Traits) -> Edge | None:
        """The edge after the lessons: with another confidence, kept from moving or (a burst) allowed to move; None: not worth
        a question any more."""
        if not self.lessons or edge.relation is Relation.EXACT:
            return edge
        pair = pair_of(a, b, edge)
        shipped = self.shipped.probability(pair.features)
        edge = self._by_outcomes(edge, shipped)
        heard = self.about(pair) if pair.proven in self._vetoed else []
        against = sum(not x.duplicates for x, _ in heard)
        if not heard:
            return edge
        # One veto is about its own pair; two or more are about a family.
        if (
            not edge.unattended
            and against > 1
            and _posterior(max(shipped, bars.PROPOSED_AT_LEAST), heard) < bars.WORTH_ASKING
        ):
            return None
        confidence = _posterior(shipped, heard)
        edge = replace(edge, evidence=replace(edge.evidence, confidence=confidence))
        if edge.unattended and against and confidence < bars.SURE_DESPITE_LESSONS:
            said = f"{against} pairs like it are" if against > 1 else "a pair like it is"
            return replace(edge, unattended=False, why=f"you said that {said} no duplicates")
        return edge

    def _by_outcomes(self, edge: Edge, confidence: float) -> Edge:
        """The edge of a burst after the promised error rate: it may begin to move, or wait again."""
        if edge.relation is not Relation.BURST:
            return edge
        if edge.unattended and self.distrusted is not None and confidence <= self.distrusted:
            return replace(edge, unattended=False, why="bursts no surer than this one were wrong, you said")
        if edge.graded and self.promised is not None and confidence >= self.promised:
            return replace(edge, unattended=True, why="bursts like it were right each time you looked")
        return edge


def _posterior(prior: float, heard: Iterable[tuple[Lesson, float]]) -> float:
    """The mean of a Beta distribution with mean `prior`, updated by these weighed lessons."""
    weighed = list(heard)
    right = sum(weight for x, weight in weighed if x.duplicates)
    return (bars.PRIOR_VERDICTS * prior + right) / (
        bars.PRIOR_VERDICTS + sum(weight for _, weight in weighed)
    )


def promised_bar(outcomes: Iterable[tuple[float, bool]]) -> float | None:
    """The lowest confidence above which at most bars.PROMISED_RATE of reviewed bursts were wrong, but for bars.PROMISE_RISK.

    `outcomes` are (shipped confidence, right). Fixed-sequence testing (Angelopoulos et al., Learn then Test, 2021)
    with exact binomial tails: from the strictest bar that has enough outcomes downwards, until one fails.
    None: too few outcomes, or too many wrong.
    """
    judged = sorted(outcomes, reverse=True)
    needed = math.ceil(math.log(bars.PROMISE_RISK) / math.log(1 - bars.PROMISED_RATE))
    bar: float | None = None
    wrong = 0
    for n, (confidence, right) in enumerate(judged, 1):
        wrong += not right
        if n < needed or (n < len(judged) and judged[n][0] == confidence):
            continue
        if _at_most(wrong, n) > bars.PROMISE_RISK:
            break
        bar = confidence
    return bar


def distrusted_bar(outcomes: Iterable[tuple[float, bool]]) -> float | None:
    """The highest confidence from which so many reviewed bursts were wrong that bars.PROMISED_RATE is hardly kept.

    None when the outcomes do not speak against it. Looking at every confidence raises more false alarms than
    bars.PROMISE_RISK; a false alarm only asks.
    """
    wrong = 0
    for n, (confidence, right) in enumerate(sorted(outcomes, key=lambda o: (-o[0], o[1])), 1):
        wrong += not right
        if not right and 1 - _at_most(wrong - 1, n) <= bars.PROMISE_RISK:
            return confidence
    return None


def _at_most(k: int, n: int) -> float:
    """Probability of at most `k` wrong among `n` when the error rate is bars.PROMISED_RATE."""
    return sum(
        math.comb(n, i) * bars.PROMISED_RATE**i * (1 - bars.PROMISED_RATE) ** (n - i) for i in range(k + 1)
    )
