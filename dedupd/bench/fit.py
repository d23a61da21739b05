"""Finds the shipped weights of core/calibration.py from pairs with known answers.

Owns the fit; what it prints is pasted there with its provenance. Must never run in the daemon.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dedupd.core.calibration import FEATURES, Features

PRIOR_WIDTH = 2.0
"""Standard deviation of the prior on each weight: features run from 0 to 1, so that 2 lets one decide little alone."""


def fit(
    pairs: Sequence[Features], duplicates: Sequence[bool], shares: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Maximum a posteriori weights of a logistic regression under a Gaussian prior around zero, by Newton's method.

    (Bishop, Pattern Recognition and Machine Learning, 4.3.3 and 4.5.) `shares` weighs the pairs.
    """
    x, y = np.asarray(pairs, np.float64), np.asarray(duplicates, np.float64)
    share = np.ones(len(y)) if shares is None else np.asarray(shares, np.float64)
    weights = np.zeros(len(FEATURES))
    for _ in range(100):
        p = 1 / (1 + np.exp(-x @ weights))
        slope = x.T @ (share * (y - p)) - weights / PRIOR_WIDTH**2
        curve = (x * (share * p * (1 - p))[:, None]).T @ x + np.eye(len(weights)) / PRIOR_WIDTH**2
        step = np.linalg.solve(curve, slope)
        # Newton alone overshoots where the logistic is nearly flat.
        weights += step / max(1.0, float(np.abs(step).max()) / 2)
        if np.abs(step).max() < 1e-8:
            break
    return weights


def expected_calibration_error(
    probabilities: Sequence[float], duplicates: Sequence[bool], bins: int = 10
) -> float:
    """Mean distance of confidence from accuracy over equal bins of confidence (Naeini et al., AAAI 2015), 0-1."""
    p, y = np.asarray(probabilities), np.asarray(duplicates, np.float64)
    place = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(float(np.sum(p[place == b] - y[place == b]))) for b in range(bins)]
    return sum(gaps) / max(1, len(p))
