"""Thresholds of a model without shipped ones, measured on the library itself.

Owns the statistics between three samples of cosines and the bars; must never see a picture, and never use the numbers
of one model for another.

    copies      generated copies of a sample of photos, each with its original: must not be missed
    strangers   pairs of that sample that neither hash nor clock relates: must not be proposed
    neighbours  shots of one camera within two seconds that align: how alike the frames of a burst are
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from dedupd.core.photo import Measures
from dedupd.core.relations import Thresholds, thresholds_for
from dedupd.errors import NotCalibrated

SAMPLE = 200
"""Photos copied: 1600 copies and up to 19 900 pairs of strangers."""
NEIGHBOURS = 300
NEIGHBOUR_SECONDS = 2.0
_FEWEST_PHOTOS = 20
_FEWEST_STRANGERS = 100
_FEWEST_NEIGHBOURS = 20
"""With fewer neighbours no burst moves without a person."""
_CANDIDATE_SIGMAS = 3.5
"""One pair of strangers in 4000 is still worth aligning within a month ..."""
_ACROSS_SIGMAS = 5.0
"""... and one in millions across the whole library."""
_MISSED_COPIES = 0.01
_SIMILAR_COPIES = 0.25
_MISSED_BURSTS = 0.05
_SHOWN = (0.01, 0.05, 0.25, 0.5, 0.75, 0.99)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnThresholds:
    """The bars of one model on this library, with the numbers they were derived from."""

    model: str
    candidate: float
    """Within a month: the 1 % quantile of copies, but at least 3.5 sigmas above the strangers."""
    across: float
    """Across the library: five sigmas above the strangers, but at most the median of copies."""
    similar: float
    """The 25 % quantile of copies, but at least `across`."""
    burst: float | None
    """The 5 % quantile of neighbours, but at least `similar`; None: too few neighbours."""
    photos: int
    copies: int
    strangers: int
    neighbours: int
    quantiles: dict[str, dict[str, float]] = field(default_factory=dict)
    """By sample: '0.05' -> cosine."""
    at: float = 0.0
    """Seconds since the epoch."""

    @property
    def bars(self) -> Thresholds:
        return Thresholds(
            model=self.model, candidate=self.candidate, similar=self.similar, burst=self.burst, calibrated=True
        )  # fmt: skip

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> OwnThresholds:
        return cls(**json.loads(text))


def shipped(model: str) -> bool:
    """Whether dedupd brings thresholds for this model."""
    return thresholds_for(model).calibrated


def derive(
    model: str, photos: int, copies: Sequence[float], strangers: Sequence[float], neighbours: Sequence[float], at: float
) -> OwnThresholds:  # fmt: skip
    """The bars for `model`. Raises NotCalibrated: too few photos, or the model cannot tell copies from strangers."""
    if photos < _FEWEST_PHOTOS or not copies or len(strangers) < _FEWEST_STRANGERS:
        raise NotCalibrated(
            f"{photos} photo(s) are too few to find the thresholds of {model}: at least {_FEWEST_PHOTOS} of different "
            "scenes are needed; until then it only proposes"
        )
    middle = quantile(strangers, 0.5)
    # From the upper half of the strangers' middle: relatives among them, which nothing told, are its far end.
    sigma = quantile(strangers, 0.8413) - middle
    floor = middle + _CANDIDATE_SIGMAS * sigma
    if floor >= quantile(copies, 0.5):
        raise NotCalibrated(
            f"{model} does not tell copies from strangers on these photos: it only proposes; choose another model"
        )
    candidate = max(quantile(copies, _MISSED_COPIES), floor)
    across = max(candidate, min(middle + _ACROSS_SIGMAS * sigma, quantile(copies, 0.5)))
    similar = max(across, quantile(copies, _SIMILAR_COPIES))
    enough = len(neighbours) >= _FEWEST_NEIGHBOURS
    burst = max(similar, quantile(neighbours, _MISSED_BURSTS)) if enough else None
    samples = {"copies": copies, "strangers": strangers, "neighbours": neighbours}
    return OwnThresholds(
        model=model, candidate=round(candidate, 4), across=round(across, 4), similar=round(similar, 4),
        burst=None if burst is None else round(burst, 4), photos=photos, copies=len(copies),
        strangers=len(strangers), neighbours=len(neighbours), at=at,
        quantiles={
            name: {f"{q:g}": round(quantile(cosines, q), 4) for q in _SHOWN} for name, cosines in samples.items() if cosines
        },
    )  # fmt: skip


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile: `share` of the values lie below it (type 7 of Hyndman & Fan 1996, linear between values)."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def framed_alike(m: Measures) -> bool:
    """Whether two frames align as frames of a burst do."""
    return m.method != "none" and min(m.overlap_a, m.overlap_b) >= 0.8 and m.ncc >= 0.87
