"""Which pairs of a large family of look-alikes are measured at once, and which are left for idle hours.

Scans, receipts, screens and time lapses resemble each other by the thousand, so that their pairs grow by the square.
Each photo is compared with those nearest to it; with all others later, so that nothing is left out for good.
Must depend on the pairs as a set, never on their order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dedupd.core.photo import Candidate, Traits

NEAR_BITS = 10
"""Of 64: hashes within it are of copies far more often than of look-alikes."""
NEAREST = 256
"""Pairs of one photo with hashes that near: a picture forwarded by everybody is compared with all its copies."""
OTHERS = 64
"""Further pairs of one photo, the nearest in time first."""


def chosen(
    pairs: Iterable[Candidate], fresh: Sequence[str], traits: Mapping[str, Traits]
) -> tuple[list[Candidate], set[str]]:
    """The pairs to be kept or measured now, and those of the `fresh` contents of which more are left.

    Those that are unlike cost nothing.
    """
    mine: dict[str, list[Candidate]] = defaultdict(list)
    here = set(fresh)
    now: list[Candidate] = []
    for pair in pairs:
        if pair.unlike:
            now.append(pair)
        else:
            mine[pair.a if pair.a in here else pair.b].append(pair)
    more: set[str] = set()
    for content, family in mine.items():
        near = sorted(
            (p for p in family if p.hash_distance <= NEAR_BITS),
            key=lambda p: (p.hash_distance, _order(p, traits)),
        )
        others = sorted((p for p in family if p.hash_distance > NEAR_BITS), key=lambda p: _order(p, traits))
        now += [*near[:NEAREST], *others[:OTHERS]]
        if len(near) > NEAREST or len(others) > OTHERS:
            more.add(content)
    return now, more


def _order(pair: Candidate, traits: Mapping[str, Traits]) -> tuple[float, float, str, str]:
    a, b = traits.get(pair.a), traits.get(pair.b)
    known = a is not None and b is not None and a.captured is not None and b.captured is not None
    apart = abs(a.captured - b.captured) if known else float("inf")  # type: ignore[union-attr, operator]
    return apart, -(pair.cosine or 0.0), pair.a, pair.b
