"""Files of rows that a backfill hands to an index: one Arrow file per chunk, and all checks of its contents.

Must never touch a disk, nor accept a row that this library's own worker would not have made. What is computed
from a vector (photo_rows.made_of) is not in the file: the library that adopts the rows computes it.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dedupd.adapters.index.photo_rows import (
    TRAITS,
    PhotoRow,
    dimensions_of,
    made_of,
    pack,
    schema_of,
    to_arrow,
    vectors_in,
)
from dedupd.errors import VisionError

_PLAIN = [*TRAITS, "phashes"]
_INSIDE = "inside"
"""Hashes of the part inside plain margins, null when there is none."""
_MARGINS = b"margins"
"""Key in the schema: the version of the search for margins."""
_CONTENT = re.compile(r"[0-9a-f]{64}")
_ROUNDING = 2e-3
"""Allowed difference of a unit vector's length from 1 in float16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRows:
    """Rows that were checked, in the form of this library's own tables."""

    photos: pa.Table
    insides: pa.Table
    refused: dict[str, int]
    """Reason -> number of rows refused for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BareRows:
    """What a search compares of some rows, in the order of their file."""

    phashes: NDArray[np.uint64]
    """(N, 8) by orientation."""
    vectors: NDArray[np.float32] | None
    """(N, D)."""
    captured: NDArray[np.float64]
    """(N,) seconds; NaN when unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What rows must match to be in a library's index."""

    model: str
    recipe: str
    margins: str
    """Version of the search for margins (vision/inside.py)."""
    photos: pa.Schema
    insides: pa.Schema


def to_file(rows: Sequence[PhotoRow], insides: Mapping[str, NDArray[np.uint64]], margins: str) -> bytes:
    """The rows, at least one, in the order of their contents; the same rows give the same bytes."""
    rows = sorted(rows, key=lambda row: row.traits.content)
    vector = rows[0].vector
    table = to_arrow(rows, schema_of(0 if vector is None else len(vector)))
    table = table.select([*_PLAIN, *(["vector"] if vector is not None else [])])
    table = table.append_column(_INSIDE, pack([insides.get(row.traits.content) for row in rows]))
    table = table.replace_schema_metadata({_MARGINS: margins.encode()})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def from_file(data: bytes, terms: Terms) -> ChunkRows:
    """The rows of a file that may be in an index with these `terms`. Raises VisionError when none may."""
    table = _read(data)
    dimensions = dimensions_of(terms.photos)
    if (table.schema.metadata or {}).get(_MARGINS) != terms.margins.encode() or not _plain(table, terms):
        raise VisionError("its rows were made by another version of dedupd")
    if dimensions_of(table.schema) != dimensions:
        raise VisionError(f"its vectors have {dimensions_of(table.schema)} dimensions, not {dimensions}")
    vectors = vectors_in(table.column("vector"), dimensions) if dimensions else None
    faults = _faults(table, vectors, terms)
    sound = np.array([fault == "" for fault in faults], bool)
    refused: dict[str, int] = {}
    for fault in filter(None, faults):
        refused[fault] = refused.get(fault, 0) + 1
    return ChunkRows(
        photos=_photos(table.filter(pa.array(sound)), None if vectors is None else vectors[sound], terms),
        insides=_insides(table.filter(pa.array(sound)), terms),
        refused=refused,
    )


def bare_rows(data: bytes) -> BareRows:
    """All rows of a file, valid or not. Raises VisionError."""
    table = _read(data)
    dimensions = dimensions_of(table.schema)
    packed = b"".join(table.column("phashes").to_pylist())
    return BareRows(
        phashes=np.frombuffer(packed, "<u8").reshape(-1, 8).astype(np.uint64),
        vectors=vectors_in(table.column("vector"), dimensions) if dimensions else None,
        captured=table.column("captured").to_numpy(),
    )


def contents_in(data: bytes) -> list[str]:
    """The content of each row of a file, in order; '' for an invalid one. Raises VisionError."""
    found = _read(data).column("content").to_pylist()
    return [content if content and _CONTENT.fullmatch(content) else "" for content in found]


def _read(data: bytes) -> pa.Table:
    try:
        with pa.ipc.open_file(pa.BufferReader(data)) as reader:
            table = reader.read_all()
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise VisionError(f"it is no file of rows ({str(error).splitlines()[0][:100]})") from None
    return table


def _plain(table: pa.Table, terms: Terms) -> bool:
    """Whether its columns are those that this version of dedupd writes."""
    vector = ["vector"] if dimensions_of(terms.photos) else []
    wanted = [terms.photos.field(name) for name in _PLAIN] + [pa.field(_INSIDE, pa.binary(64))]
    found = table.schema
    return found.names == [*_PLAIN, *vector, _INSIDE] and all(
        found.field(field.name).type == field.type for field in wanted
    )


def _faults(table: pa.Table, vectors: NDArray[np.float32] | None, terms: Terms) -> list[str]:
    """For each row the reason why it is refused; '' for a valid one."""
    lengths = np.ones(len(table)) if vectors is None else np.linalg.norm(vectors, axis=1)
    # A picture for which the embedder gave no usable vector has the vector 0, here as in the index.
    unit = (np.abs(lengths - 1.0) <= _ROUNDING) | (lengths == 0)
    may_be_unknown = {"captured", "exposure", "jpeg_quality", _INSIDE}
    gaps = np.zeros(len(table), bool)
    for name in set(table.schema.names) - may_be_unknown:
        gaps |= table.column(name).is_null().to_numpy()
    columns = (table.column(name).to_pylist() for name in ("content", "model", "recipe", "width", "height"))
    faults: list[str] = []
    for content, model, recipe, width, height, whole, sound in zip(*columns, ~gaps, unit, strict=True):
        if not whole:
            faults.append("a value is missing")
        elif (model, recipe) != (terms.model, terms.recipe):
            faults.append("of another model or recipe")
        elif not _CONTENT.fullmatch(content):
            faults.append("no content id")
        elif width <= 0 or height <= 0:
            faults.append("a picture without a size")
        else:
            faults.append("" if sound else "a vector that is none")
    return faults


def _photos(table: pa.Table, vectors: NDArray[np.float32] | None, terms: Terms) -> pa.Table:
    columns = {name: table.column(name) for name in _PLAIN}
    if vectors is not None:
        columns |= {"vector": table.column("vector")} | made_of(vectors)
    return pa.table(columns, schema=terms.photos)


def _insides(table: pa.Table, terms: Terms) -> pa.Table:
    """The rows of parts inside margins: hashes only, as the worker stores them."""
    framed = table.filter(table.column(_INSIDE).is_valid())
    columns = {name: framed.column(name) for name in TRAITS} | {"phashes": framed.column(_INSIDE)}
    columns["simhash"] = pa.array([""] * len(framed), pa.string())
    return pa.table(columns, schema=terms.insides)
