"""Rows of the index as numpy arrays and as Arrow tables: the schema, the sketch of a vector, and the
conversions.

Must never touch a disk. Shapes: N rows, D dimensions of the embedder's vectors.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dedupd.core.photo import Traits

SKETCH = 128
"""Dimensions of a stored random projection. No search reads it any more (`heads.py` loses nothing). It is
still written, so that tables keep their schema and no photo has to be read again."""
ROW_COLUMNS = ("content", "captured", "phashes")
"""The columns of every read."""
_CONVERTED = 64
"""Vectors converted at a time: what fits into a processor's cache."""
_SIGN_AND_SHIFTED = np.int32(-(1 << 31) | 0x7FFF << 13)
_BIAS, _INFINITE = np.float32(2.0**112), np.int16(0x7C00)
_TRAIT_TYPES: dict[str, pa.DataType] = {
    "content": pa.string(),
    "recipe": pa.string(),
    "model": pa.string(),
    "format": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "phash": pa.uint64(),
    "dhash": pa.uint64(),
    "captured": pa.float64(),
    "camera": pa.string(),
    "exposure": pa.float64(),
    "software": pa.string(),
    "metadata_fields": pa.int32(),
    "has_gps": pa.bool_(),
    "jpeg_quality": pa.float64(),
    "subsampling": pa.string(),
    "sharpness": pa.float64(),
    "texture": pa.float64(),
    "text_like": pa.bool_(),
    "simhash": pa.string(),
}
TRAITS = [field.name for field in fields(Traits)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRow:
    """One photo to store."""

    traits: Traits
    phashes: NDArray[np.uint64]
    """(8,) by orientation."""
    vector: NDArray[np.float32] | None
    """(D,) unit vector; None in a table without vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoRows:
    """Some rows as arrays; columns that were not asked for are empty."""

    contents: list[str]
    phashes: NDArray[np.uint64]
    """(N, 8) by orientation."""
    vectors: NDArray[np.float32] | None
    """(N, D)."""
    captured: NDArray[np.float64]
    """(N,) seconds; NaN when unknown."""
    ids: NDArray[np.uint64]
    """Lance row ids, valid until the next commit."""

    def at(self, places: NDArray[np.intp]) -> PhotoRows:
        """The rows at these places, in this order."""
        return PhotoRows(
            contents=[self.contents[int(place)] for place in places],
            phashes=self.phashes[places],
            vectors=None if self.vectors is None else self.vectors[places],
            captured=self.captured[places],
            ids=self.ids[places],
        )


def schema_of(dimensions: int) -> pa.Schema:
    columns = [pa.field(name, _TRAIT_TYPES[name]) for name in TRAITS]
    columns.append(pa.field("phashes", pa.binary(64)))
    if dimensions:
        columns.append(pa.field("vector", pa.list_(pa.float16(), dimensions)))
        columns.append(pa.field("sketch", pa.list_(pa.float16(), SKETCH)))
    return pa.schema(columns)


def dimensions_of(schema: pa.Schema) -> int:
    place = schema.get_field_index("vector")
    return int(schema.field(place).type.list_size) if place >= 0 else 0


def to_arrow(rows: Sequence[PhotoRow], schema: pa.Schema) -> pa.Table:
    """The rows as a table of this schema, with the sketch of each vector."""
    columns: dict[str, Any] = {name: [] for name in TRAITS}
    for row in rows:
        for name, value in asdict(row.traits).items():
            columns[name].append(value)
    columns["phashes"] = pack([row.phashes for row in rows])
    if dimensions := dimensions_of(schema):
        vectors = _clean(np.stack([row.vector for row in rows if row.vector is not None]))
        columns["vector"] = _to_list_array(vectors, dimensions)
        columns |= made_of(vectors)
    return pa.table(columns, schema=schema)


def pack(phashes: Sequence[NDArray[np.uint64] | None]) -> pa.Array:
    """(8,) hashes of each row, in their stored form."""
    return pa.array(
        [None if each is None else each.astype("<u8").tobytes() for each in phashes], pa.binary(64)
    )


def made_of(vectors: NDArray[np.float32]) -> dict[str, pa.Array]:
    """The columns that are computed from (N, D) unit vectors."""
    return {"sketch": _to_list_array(_clean(vectors @ _projection(vectors.shape[1])), SKETCH)}


def from_arrow(batch: pa.RecordBatch, dimensions: int) -> PhotoRows:
    """The rows of a table with the columns `ROW_COLUMNS`, and vectors when they were read."""
    names = batch.schema.names
    packed = batch.column("phashes")
    # Read where they are: as bytes objects, a million take a third of a second.
    hashes = np.frombuffer(packed.buffers()[1], "<u8").reshape(-1, 8)
    return PhotoRows(
        contents=batch.column("content").to_pylist(),
        phashes=hashes[packed.offset : packed.offset + len(packed)].astype(np.uint64),
        vectors=vectors_in(batch.column("vector"), dimensions) if "vector" in names else None,
        captured=batch.column("captured").to_numpy(zero_copy_only=False),
        ids=batch.column("_rowid").to_numpy(),
    )


@cache
def _projection(dimensions: int) -> NDArray[np.float32]:
    """(D, SKETCH) random signs (Achlioptas 2003), the same on every machine and in every version."""
    from blake3 import blake3

    stream = blake3(b"dedupd sketch 1").digest(length=dimensions * SKETCH // 8)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8)).reshape(dimensions, SKETCH)
    return bits.astype(np.float32) * 2.0 - 1.0


def sketch(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, SKETCH) unit vectors whose cosine estimates that of (N, D) `vectors`."""
    return _clean(vectors @ _projection(vectors.shape[1]))


def simhash(vectors: NDArray[np.float32]) -> list[str]:
    """128 bits, hex, of each of (N, D) vectors: their Hamming distance tells the angle (Charikar 2002)."""
    return [np.packbits(row > 0).tobytes().hex() for row in vectors @ _projection(vectors.shape[1])]


def _clean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit vectors; one that is not finite becomes zero, so that it resembles nothing."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        usable = np.isfinite(lengths) & (lengths > 1e-6)
        return np.where(usable, vectors / np.where(usable, lengths, 1.0), 0.0).astype(np.float32)


def _to_list_array(rows: NDArray[np.float32], size: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float16).ravel()), size)


def vectors_in(column: Any, size: int, chosen: NDArray[np.intp] | None = None) -> NDArray[np.float32]:
    """The vectors of all rows, or of the rows at these places."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    rows = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, size)
    return _single(rows if chosen is None else rows[chosen])


def _single(halves: NDArray[np.float16]) -> NDArray[np.float32]:
    """The same in single precision, in a third of the time that numpy takes.

    The bits of exponent and fraction are moved to where a float32 has them; what that leaves is the exponents' bias.
    """
    found = np.empty(halves.shape, np.float32)
    bits, packed = found.view(np.int32), halves.view(np.int16)
    for start in range(0, len(found), _CONVERTED):
        part = slice(start, start + _CONVERTED)
        if (packed[part] & _INFINITE).max() >= _INFINITE:  # no number, which no row has that was stored whole
            return halves.astype(np.float32)
        np.copyto(bits[part], packed[part])  # the sign goes along
        np.left_shift(bits[part], 13, out=bits[part])
        np.bitwise_and(bits[part], _SIGN_AND_SHIFTED, out=bits[part])
        np.multiply(found[part], _BIAS, out=found[part])
    return found


def concatenate(parts: list[PhotoRows]) -> PhotoRows:
    """One PhotoRows made of several; a content that occurs twice is kept once."""
    contents = [content for part in parts for content in part.contents]
    _, first = np.unique(np.array(contents, dtype=str), return_index=True)
    first = np.sort(first)

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if not arrays or arrays[0] is None else np.concatenate(arrays)[first]

    phashes, captured, ids = joined("phashes"), joined("captured"), joined("ids")
    return PhotoRows(
        contents=[contents[place] for place in first],
        phashes=np.empty((0, 8), np.uint64) if phashes is None else phashes,
        vectors=joined("vectors"),
        captured=np.empty(0) if captured is None else captured,
        ids=np.empty(0, np.uint64) if ids is None else ids,
    )


def in_order(rows: PhotoRows) -> PhotoRows:
    """The same rows in the order of their ids."""
    order = sorted(range(len(rows.contents)), key=rows.contents.__getitem__)
    return rows.at(np.array(order, np.intp))
