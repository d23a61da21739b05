"""What two photos are to each other, and whether the proof is good enough to act on unattended.

Owns every bar between evidence and relation. Must never see a picture: it judges what was measured.
In doubt the relation is weaker, and weaker means that a person decides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from dedupd.core.photo import Candidate, Edge, Evidence, Measures, Relation, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The bars that belong to one embedder. The bars of the alignment are the same for all."""

    model: str
    candidate: float | None = None
    """Cosine from which a pair is worth aligning; None: hashes alone propose."""
    similar: float | None = None
    """Cosine from which a pair of one month goes to review as `similar`; None: never by cosine."""
    burst: float | None = None
    """Cosine below which no burst moves unattended; None: no burst ever does."""
    calibrated: bool = False


_SHIPPED = {
    "": Thresholds(model="", calibrated=True),
    "lite0-gem/1": Thresholds(model="lite0-gem/1", candidate=0.70, similar=0.80, burst=0.80, calibrated=True),
}


def thresholds_for(model: str, similar: float | None = None) -> Thresholds:
    """The bars for `model`, with the person's own `similar` bar when given; uncalibrated for an unknown model."""
    known = _SHIPPED.get(model) or Thresholds(model=model, candidate=0.70, similar=0.85)
    return replace(known, similar=similar) if similar is not None else known


def needs_fine(a: Traits, b: Traits) -> bool:
    """Whether the pair must be compared at higher resolution before anything happens unattended."""
    return a.text_like or b.text_like


def classify(
    a: Traits,
    b: Traits,
    candidate: Candidate,
    measures: Measures | None,
    thresholds: Thresholds,
    same_month: bool,
) -> Edge | None:
    """The relation of two different contents, or None when nothing worth a look is left.

    `measures` is None when the pair could not be aligned; its a and b are the candidate's.
    """
    if a.content != candidate.a:
        a, b = b, a
    apart = abs(a.captured - b.captured) if a.captured is not None and b.captured is not None else None
    evidence = Evidence(
        cosine=candidate.cosine,
        hash_distance=candidate.hash_distance,
        measures=measures,
        seconds_apart=apart,
        same_camera=bool(a.camera) and a.camera == b.camera,
        model=thresholds.model,
    )
    m = measures or Measures()
    found = (
        _copy(a, b, m, evidence)
        or _burst(m, evidence, thresholds)
        or _similar(candidate, thresholds, same_month)
    )
    if found is None:
        return None
    relation, unattended, why = found
    evidence = replace(evidence, confidence=_confidence(relation, unattended, m))
    return Edge(
        a=a.content, b=b.content, relation=relation, unattended=unattended, evidence=evidence, why=why
    )


def contained(edge: Edge, mover: str) -> bool:
    """Whether the content at the other end shows (nearly) all of the picture in `mover`."""
    m = edge.evidence.measures
    if edge.relation is Relation.EXACT:
        return True
    if m is None:
        return False
    side = "a" if mover == edge.a else "b"
    beyond = (m.extra or {}).get(f"beyond_{side}", 1 - (m.overlap_a if side == "a" else m.overlap_b))
    return beyond <= 0.03


_Finding = tuple[Relation, bool, str]


def _copy(a: Traits, b: Traits, m: Measures, evidence: Evidence) -> _Finding | None:
    if m.method == "none" or (m.method == "orb" and m.inliers < 12) or max(m.overlap_a, m.overlap_b) < 0.9:
        return None
    if evidence.seconds_apart is not None and evidence.same_camera and evidence.seconds_apart > 0.5:
        return None
    if (
        m.mean <= 2
        and m.worst <= 12
        and min(m.overlap_a, m.overlap_b) >= 0.5
        and m.band_ncc >= 0.6
        and m.band_std >= 1
    ):
        if needs_fine(a, b) and (m.fine_worst is None or m.fine_worst > 10):
            return Relation.COPY, False, "reads like text, and not proven the same at high resolution"
        return Relation.COPY, True, f"aligned: worst local difference {m.worst:.1f} of 12"
    if m.ncc > 0.5 and (m.inliers >= 20 or m.method == "identity") and m.worst <= 30:
        return Relation.COPY, False, f"aligned, but a part differs ({m.worst:.0f} of 12)"
    return None


def _burst(m: Measures, evidence: Evidence, thresholds: Thresholds) -> _Finding | None:
    if not evidence.same_camera or evidence.seconds_apart is None or evidence.seconds_apart > 45:
        return None
    if m.method == "none" or min(m.overlap_a, m.overlap_b) < 0.5:
        return None
    apart = f"same camera, {evidence.seconds_apart:.1f} s apart"
    strict = (
        evidence.seconds_apart <= 3
        and min(m.overlap_a, m.overlap_b) >= 0.75
        and m.ncc >= 0.8
        and thresholds.burst is not None
        and evidence.cosine is not None
        and evidence.cosine >= thresholds.burst
    )
    return Relation.BURST, strict, apart if strict else f"{apart}; framing or time below the strict bar"


def _similar(candidate: Candidate, thresholds: Thresholds, same_month: bool) -> _Finding | None:
    if (
        not same_month
        or thresholds.similar is None
        or candidate.cosine is None
        or candidate.cosine < thresholds.similar
    ):
        return None
    return Relation.SIMILAR, False, f"looks alike (cosine {candidate.cosine:.2f})"


def _confidence(relation: Relation, unattended: bool, m: Measures) -> float:
    base = {Relation.EXACT: 9.0, Relation.COPY: 4.0, Relation.BURST: 2.0, Relation.SIMILAR: -1.0}[relation]
    return 1 / (1 + math.exp(-(base + 2 * unattended - 0.1 * min(m.worst, 40))))
