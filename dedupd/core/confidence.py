"""The confidence of a pair: the probability that a careful person would call the two duplicates, from their evidence.

Owns the features and the logistic over them. Must never see a picture and never decide: relations.py has the bars.
Plain Python, because the daemon has no numpy; bench/fit.py finds the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dedupd.core.photo import Evidence, Measures, Traits

Features = tuple[float, ...]

FEATURES = (
    "bias", "cosine", "hash", "identity", "unaligned", "cropped", "disjoint", "ncc", "mean", "worst", "local", "band",
    "fine_ncc", "tone", "flow", "text", "fine_worst", "undated", "same_instant", "apart", "same_camera",
    "other_camera", "featureless", "proven", "same_shape", "screen", "other_colours",
)  # fmt: skip
"""Each is about 0 to 1, so that one prior width fits all."""


def features(a: Traits, b: Traits, proof: Evidence, *, proven: bool) -> Features:
    """The evidence of one pair as numbers, in the order of FEATURES. Symmetric in a and b.

    `proven`: it clears every bar of a copy that moves unattended.
    """
    m, cosine = proof.measures or Measures(), proof.cosine
    extra = m.extra or {}
    apart = None if a.captured is None or b.captured is None else abs(a.captured - b.captured)
    return (
        1.0,
        0.0 if cosine is None else _within((cosine - _COSINE) / 0.2, -1, 1),
        _within((proof.hash_distance or 0) / 32),
        float(m.method == "identity"),
        float(m.method == "none"),
        1 - max(m.overlap_a, m.overlap_b),
        1 - min(m.overlap_a, m.overlap_b),
        _within(m.ncc, -1, 1),
        _within(math.log1p(m.mean) / math.log1p(50)),
        _within(math.log1p(m.worst) / math.log1p(150)),
        _within(extra.get("local", 0.0), -1, 1),
        _within(m.band_ncc, -1, 1),
        _within(extra.get("fine_ncc", 0.0), -1, 1),
        _within(extra.get("tone", 1.0)),
        _within(extra.get("flow50", 1.0)),
        float(a.text_like or b.text_like),
        0.0 if m.fine_worst is None else _within(math.log1p(m.fine_worst) / math.log1p(150)),
        float(apart is None),
        float(apart is not None and apart <= 1.0),
        0.0 if apart is None else _within(math.log1p(apart) / math.log1p(86400)),
        float(bool(a.camera) and a.camera == b.camera),
        float(bool(a.camera and b.camera) and a.camera != b.camera),
        _within(1 - min(a.texture, b.texture) / 5),
        float(proven),
        float(a.width * b.height == b.width * a.height),
        float(a.format == b.format == "PNG"),
        0.0 if m.method == "none" else _within(1 - m.hues),
    )


_COSINE = 0.85


def _within(value: float, low: float = 0.0, high: float = 1.0) -> float:
    return min(high, max(low, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A logistic over FEATURES, and what it was fitted on."""

    weights: tuple[float, ...]
    provenance: str

    def probability(self, x: Features) -> float:
        """0 to 1: the probability that a careful person would call the two duplicates."""
        return _logistic(sum(w * v for w, v in zip(self.weights, x, strict=True)))


def _logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z)) if z >= 0 else 1 - 1 / (1 + math.exp(z))


def calibration_for(model: str) -> Calibration:
    """The shipped weights of `model`; an unknown one gets those of hashes and alignment alone, which need no cosine."""
    return _SHIPPED.get(model, _SHIPPED[""])


_WEIGHTS: dict[str, tuple[float, float]] = {
    "bias": (-0.26, -0.30),
    "cosine": (0.00, -0.84),
    "hash": (-2.50, -2.85),
    "identity": (-1.65, -1.65),
    "unaligned": (-0.82, -0.76),
    "cropped": (-2.55, -2.47),
    "disjoint": (-2.34, -2.44),
    "ncc": (3.16, 3.27),
    "mean": (6.58, 6.40),
    "worst": (-2.12, -2.13),
    "local": (1.32, 1.35),
    "band": (1.38, 1.88),
    "fine_ncc": (2.15, 1.96),
    "tone": (-0.40, -0.61),
    "flow": (-1.61, -1.53),
    "text": (-0.80, -0.74),
    "fine_worst": (-0.26, -0.33),
    "undated": (-1.80, -1.78),
    "same_instant": (4.63, 4.78),
    "apart": (-4.88, -5.03),
    "same_camera": (1.54, 1.48),
    "other_camera": (-0.01, -0.01),
    "featureless": (-0.71, -0.74),
    "proven": (6.18, 6.08),
    "same_shape": (-3.02, -2.91),
    "screen": (-1.46, -1.30),
    "other_colours": (-3.12, -3.26),
}
"""Feature: weight with hashes alone, weight with the vectors of lite0-gem/1."""

_PROVENANCE = (
    "957 labelled photos (1,480 measured pairs) and 2,494 generated pairs at a weight of 0.3 each, 2026-11-21, "
    "bench/fit.py. 5-fold over the labelled pairs: log loss 0.03, Brier score 0.008, calibration error 0.01. "
    "other_colours was fitted alone, the others fixed, on 1,201 of the labelled pairs and 63 generated ones of other hues, "
    "2026-11-26: log loss 0.0334 without it, 0.0318 and 0.0322 with it"
)

_SHIPPED = {
    model: Calibration(weights=tuple(_WEIGHTS[name][column] for name in FEATURES), provenance=_PROVENANCE)
    for column, model in enumerate(("", "lite0-gem/1"))
}
