"""Confidence: a number between 0 and 1 that follows the evidence, the same whichever way round a pair comes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dedupd.core.confidence import FEATURES, calibration_for, features
from dedupd.core.photo import Evidence, Measures, Traits

A = Traits(
    content="a", recipe="1", model="", format="JPEG", width=800, height=600, phash=0, dhash=0, texture=9.0
)  # fmt: skip
B = replace(A, content="b", camera="Maker|One|7", captured=1000.0, width=400)
COPY = Measures(
    method="identity", overlap_a=1.0, overlap_b=1.0, ncc=0.999, mean=0.5, worst=1.5, band_ncc=0.99, band_std=9.0,
    extra={"fine_ncc": 0.97, "tone": 0.01, "local": 0.97, "flow50": 0.05},
)  # fmt: skip
MODELS = ("", "lite0-gem/1", "somebody's own")


@pytest.mark.parametrize("model", MODELS)
def test_the_better_the_proof_the_surer(model: str) -> None:
    def sure(measures: Measures | None, *, proven: bool) -> float:
        proof = Evidence(cosine=0.95, hash_distance=4, measures=measures)
        return calibration_for(model).probability(features(A, A, proof, proven=proven))

    worse = replace(
        COPY, worst=40.0, ncc=0.9, band_ncc=0.6, extra={"fine_ncc": 0.3, "local": 0.1, "tone": 0.1}
    )
    assert sure(COPY, proven=True) > 0.95 > 0.5 > sure(worse, proven=False) > sure(None, proven=False)


@given(
    st.floats(-1, 1) | st.none(), st.integers(0, 64),
    st.floats(0, 1e9), st.floats(0, 1e9), st.floats(-1, 1), st.floats(0, 1) | st.none(),
)  # fmt: skip
def test_every_evidence_has_finite_features_in_both_directions(
    cosine: float | None, distance: int, mean: float, worst: float, ncc: float, fine: float | None
) -> None:
    measures = replace(COPY, mean=mean, worst=worst, ncc=ncc, fine_worst=fine, extra=None)
    proof = Evidence(cosine=cosine, hash_distance=distance, measures=measures)
    x = features(A, B, proof, proven=False)
    assert len(x) == len(FEATURES) and all(-1 <= v <= 1 for v in x)
    assert x == features(B, A, proof, proven=False)
    assert all(0 <= calibration_for(model).probability(x) <= 1 for model in MODELS)


def test_an_unknown_embedder_gets_no_word_on_its_cosine() -> None:
    """Thresholds and weights of one model are never carried over to another."""
    low, high = (
        calibration_for("somebody's own").probability(
            features(A, A, Evidence(cosine=cosine, hash_distance=4, measures=COPY), proven=True)
        )
        for cosine in (0.1, 0.99)
    )
    assert low == high
    assert "photos" in calibration_for("lite0-gem/1").provenance


def test_other_hues_make_it_less_sure() -> None:
    for model in ("", "lite0-gem/1"):
        weights = dict(zip(FEATURES, calibration_for(model).weights, strict=True))
        assert weights["other_colours"] < -1
    one = Traits(content="a", recipe="1", model="", format="JPEG", width=9, height=9, phash=0, dhash=0)
    sure = [
        calibration_for("").probability(
            features(
                one,
                replace(one, content="b"),
                Evidence(measures=Measures(method="identity", hues=hues)),
                proven=False,
            )
        )
        for hues in (1.0, 0.8, 0.2)
    ]
    assert sure == sorted(sure, reverse=True)
    assert sure[0] > sure[-1]
