"""Converts values to and from the ledger's columns: JSON, numbers, sentences. Must never run SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from itertools import islice
from sqlite3 import Connection
from typing import Any, TypeVar

from dedupd.core.photo import Evidence, Holding, Measures, Traits
from dedupd.core.records import PairRow

_T = TypeVar("_T")
_VARIABLES = 500
"""Values bound in one statement: far below SQLite's limit."""


def chunks(values: Iterable[_T]) -> Iterator[tuple[list[_T], str]]:
    """The values in parts, each with the placeholders for `IN (…)`."""
    waiting = iter(values)
    while chunk := list(islice(waiting, _VARIABLES)):
        yield chunk, ",".join("?" * len(chunk))


def months_in(link: Connection, table: str, ids: Iterable[int]) -> set[str]:
    """The months of these rows of files or groups."""
    return {
        row[0]
        for chunk, marks in chunks(ids)
        for row in link.execute(
            f"SELECT DISTINCT month FROM {table} WHERE id IN ({marks}) AND month!=''", chunk
        )
    }


def listed(values: Iterable[Sequence[str]], width: int) -> Iterator[tuple[list[str], str]]:
    """The tuples in parts, each as one flat list with the placeholders for `VALUES …`."""
    waiting, one = iter(values), f"({','.join('?' * width)})"
    while chunk := list(islice(waiting, _VARIABLES // width)):
        yield [part for value in chunk for part in value], ",".join([one] * len(chunk))


def sentence(text: str) -> str:
    """A sentence that SQLite accepts: it may contain a file name, which need not be valid text."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def signed(number: int) -> int:
    """Device and inode numbers are unsigned 64-bit, SQLite's integers signed."""
    return number - (1 << 64) if number >= 1 << 63 else number


def unsigned(number: int) -> int:
    return number + (1 << 64) if number < 0 else number


def clamped(number: int) -> int:
    """A time (ns) too late for a column (a file dated 2300) becomes the latest possible one: such a file is read in every pass."""
    return max(-(1 << 63), min(number, (1 << 63) - 1))


def traits_to_json(traits: Traits) -> str:
    return json.dumps(asdict(traits), separators=(",", ":"))


_TRAITS = {f.name for f in fields(Traits)}
_MEASURES = {f.name for f in fields(Measures)}
_EVIDENCE = {f.name for f in fields(Evidence)}
_HOLDING = {f.name for f in fields(Holding)}


def traits_from_json(text: str) -> Traits:
    return Traits(**{k: v for k, v in json.loads(text).items() if k in _TRAITS})


def evidence_to_json(evidence: Evidence) -> str:
    return json.dumps(asdict(evidence), separators=(",", ":"))


def evidence_from_json(text: str) -> Evidence:
    raw: dict[str, Any] = {k: v for k, v in json.loads(text).items() if k in _EVIDENCE}
    if raw.get("measures") is not None:
        raw["measures"] = _measures(raw["measures"])
    for side in ("only_here", "only_in_keeper"):
        raw[side] = tuple(raw.get(side, ()))
    return Evidence(**raw)


def pair_to_row(pair: PairRow) -> tuple[Any, ...]:
    measures = None if pair.measures is None else json.dumps(asdict(pair.measures), separators=(",", ":"))
    return (pair.a, pair.b, pair.model, pair.cosine, pair.hash_distance, measures)


def pair_from_row(row: tuple[Any, ...]) -> PairRow:
    a, b, model, cosine, distance, measures = row
    known = None if measures is None else measures_from_json(measures)
    return PairRow(a=a, b=b, model=model, cosine=cosine, hash_distance=distance, measures=known)


def measures_from_json(text: str) -> Measures:
    return _measures(json.loads(text))


def _measures(raw: dict[str, Any]) -> Measures:
    known = {k: v for k, v in raw.items() if k in _MEASURES}
    for side in ("holds_a", "holds_b"):
        if known.get(side) is not None:
            known[side] = _holding(known[side])
    return Measures(**known)


def _holding(raw: dict[str, Any]) -> Holding:
    known = {k: v for k, v in raw.items() if k in _HOLDING}
    return Holding(**{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})  # type: ignore[misc]
