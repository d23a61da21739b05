"""JSON inside the ledger's columns. Must never run SQL."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Any

from dedupd.core.photo import Evidence, Measures, Traits
from dedupd.core.records import PairRow


def traits_to_json(traits: Traits) -> str:
    return json.dumps(asdict(traits), separators=(",", ":"))


_TRAITS = {f.name for f in fields(Traits)}
_MEASURES = {f.name for f in fields(Measures)}
_EVIDENCE = {f.name for f in fields(Evidence)}


def traits_from_json(text: str) -> Traits:
    return Traits(**{k: v for k, v in json.loads(text).items() if k in _TRAITS})


def evidence_to_json(evidence: Evidence) -> str:
    return json.dumps(asdict(evidence), separators=(",", ":"))


def evidence_from_json(text: str) -> Evidence:
    raw: dict[str, Any] = {k: v for k, v in json.loads(text).items() if k in _EVIDENCE}
    if raw.get("measures") is not None:
        raw["measures"] = Measures(**{k: v for k, v in raw["measures"].items() if k in _MEASURES})
    return Evidence(**raw)


def pair_to_row(pair: PairRow) -> tuple[Any, ...]:
    measures = None if pair.measures is None else json.dumps(asdict(pair.measures), separators=(",", ":"))
    return (pair.a, pair.b, pair.cosine, pair.hash_distance, measures)


def pair_from_row(row: tuple[Any, ...]) -> PairRow:
    a, b, cosine, distance, measures = row
    known = None if measures is None else {k: v for k, v in json.loads(measures).items() if k in _MEASURES}
    return PairRow(
        a=a, b=b, cosine=cosine, hash_distance=distance, measures=None if known is None else Measures(**known)
    )
