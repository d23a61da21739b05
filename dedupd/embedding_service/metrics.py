"""Counters since the start, in Prometheus's text format 0.0.4. Must never name a client or a picture."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class Counts:
    """The counters of this process."""

    model: str
    requests: Counter[int] = field(default_factory=Counter[int])
    """Requests by HTTP status."""
    pictures: int = 0
    batches: int = 0
    seconds: float = 0.0
    """Seconds for which the model worked."""

    def batch(self, pictures: int, seconds: float) -> None:
        self.pictures += pictures
        self.batches += 1
        self.seconds += seconds

    def text(self, waiting: int) -> str:
        lines = [
            *_metric("requests_total", "counter", "Requests to embed, by HTTP status."),
            *(
                f'dedupd_embed_requests_total{{status="{code}"}} {n}'
                for code, n in sorted(self.requests.items())
            ),
            *_metric("pictures_total", "counter", "Pictures embedded.", self.pictures),
            *_metric("batches_total", "counter", "Batches that went through the model.", self.batches),
            *_metric("busy_seconds_total", "counter", "Time that the model worked.", round(self.seconds, 6)),
            *_metric("waiting_pictures", "gauge", "Pictures that wait for the model.", waiting),
            *_metric("info", "gauge", "The model that is served."),
            f'dedupd_embed_info{{model="{self.model}"}} 1',
        ]
        return "\n".join([*lines, ""])


def _metric(name: str, kind: str, told: str, value: float | None = None) -> list[str]:
    full = f"dedupd_embed_{name}"
    lines = [f"# HELP {full} {told}", f"# TYPE {full} {kind}"]
    return lines if value is None else [*lines, f"{full} {value}"]
