"""Finds the shipped weights of core/confidence.py from pairs with known answers.

    python -m dedupd.bench.fit PAIRS.jsonl

One JSON object a line: a, b (Traits), cosine, hash_distance, measures (Measures), label ("copy" or "burst" are
duplicates, "wrong" is none, anything else is left out), source ("generated" pairs count less). Prints the table that
calibration.py holds, and how well it does on pairs it was not fitted on. Must never run in the daemon.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.ledger.columns import measures_from_json
from dedupd.core.confidence import FEATURES, Features, features
from dedupd.core.photo import Candidate, Evidence, Relation, Traits
from dedupd.core.relations import classify, thresholds_for

PRIOR_WIDTH = 2.0
"""Standard deviation of the prior on each weight: features run from 0 to 1, so with 2 no single one decides
much."""
GENERATED = 0.3
"""Weight of a generated pair, when a photographed one has 1: there are many of one kind."""
_FOLDS = 5
_MODELS = ("", "lite0-gem/1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One pair with its answer."""

    x: Features
    duplicates: bool
    share: float
    fold: int
    """Pairs of one photo are tested together, never on the data they were fitted on."""


def known(rows: Iterable[dict[str, Any]], model: str) -> Iterator[Known]:
    """The pairs with this model's cosines; '' has no cosines."""
    for row in rows:
        if row["label"] not in {"copy", "burst", "wrong"}:
            continue
        a, b = sorted((Traits(**row["a"]), Traits(**row["b"])), key=lambda traits: traits.content)
        measures = None if row["measures"] is None else measures_from_json(json.dumps(row["measures"]))
        cosine = row["cosine"] if model else None
        proposed = Candidate(a=a.content, b=b.content, cosine=cosine, hash_distance=row["hash_distance"])
        edge = classify(a, b, proposed, measures, thresholds_for(model), same_month=True)
        proven = edge is not None and edge.unattended and edge.relation is Relation.COPY
        proof = Evidence(cosine=cosine, hash_distance=row["hash_distance"], measures=measures)
        yield Known(
            x=features(a, b, proof, proven=proven), duplicates=row["label"] != "wrong",
            share=GENERATED if row["source"] == "generated" else 1.0, fold=int(a.content[:4], 16) % _FOLDS,
        )  # fmt: skip


def fit(pairs: Sequence[Known]) -> NDArray[np.float64]:
    """Maximum a posteriori weights of a logistic regression under a Gaussian prior around zero, by Newton's method.

    (Bishop, Pattern Recognition and Machine Learning, 4.3.3 and 4.5.)
    """
    x = np.asarray([p.x for p in pairs], np.float64)
    y = np.asarray([p.duplicates for p in pairs], np.float64)
    share = np.asarray([p.share for p in pairs], np.float64)
    weights = np.zeros(len(FEATURES))
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (share * (y - p)) - weights / PRIOR_WIDTH**2
        curve = (x * (share * p * (1 - p))[:, None]).T @ x + np.eye(len(weights)) / PRIOR_WIDTH**2
        step = np.linalg.solve(curve, slope)
        # Newton's method alone overshoots where the logistic function is nearly flat.
        weights += step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-8:
            break
    return weights


def tested(pairs: Sequence[Known]) -> tuple[float, float, float]:
    """(log loss, Brier score, expected calibration error) of photographed pairs, each by weights fitted without its fold."""
    p: list[float] = []
    y: list[float] = []
    for fold in range(_FOLDS):
        weights = fit([pair for pair in pairs if pair.fold != fold])
        for pair in pairs:
            if pair.fold == fold and pair.share == 1.0:
                p.append(float(1 / (1 + np.exp(-weights @ np.asarray(pair.x)))))
                y.append(float(pair.duplicates))
    chances, truth = np.clip(p, 1e-9, 1 - 1e-9), np.asarray(y)
    loss = -np.mean(truth * np.log(chances) + (1 - truth) * np.log(1 - chances))
    return float(loss), float(np.mean((chances - truth) ** 2)), calibration_error(p, y)


def calibration_error(probabilities: Sequence[float], truth: Sequence[float], bins: int = 10) -> float:
    """Mean distance of confidence from accuracy over equal bins of confidence (Naeini et al., AAAI 2015), 0-1."""
    p, y = np.asarray(probabilities), np.asarray(truth)
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(float(np.sum(p[place == b] - y[place == b]))) for b in range(bins)]
    return sum(gaps) / max(1, len(p))


def main(path: str) -> None:
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    sets = [list(known(rows, model)) for model in _MODELS]
    print("_WEIGHTS: dict[str, tuple[float, float]] = {")
    for name, *weights in zip(FEATURES, *(fit(pairs) for pairs in sets), strict=True):
        print(f'    "{name}": ({", ".join(f"{weight:.2f}" for weight in weights)}),')
    print("}")
    for model, pairs in zip(_MODELS, sets, strict=True):
        loss, brier, error = tested(pairs)
        taken = sum(pair.share == 1.0 for pair in pairs)
        print(f"# {model or 'hashes'}: {taken} photographed and {len(pairs) - taken} generated pairs; {_FOLDS}-fold: "
              f"log loss {loss:.3f}, Brier score {brier:.3f}, calibration error {error:.3f}")  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1])
