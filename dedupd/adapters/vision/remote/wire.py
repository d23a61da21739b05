"""What goes between a client and `dedupd serve-embed`, once: pictures there, vectors back, and who means what.

    POST /v1/embed   each picture: its length (uint32, little-endian) and a lossless WebP of what the embedder takes
                     -> rows of `dimensions` float16, little-endian, in the same order
    GET /v1/model    -> ServiceDescription as JSON

Both ends name model and recipe in two headers of each request and answer. Must never let a path, a name or more than
the small picture travel: the id of a checkpoint of one's own goes without its path.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from urllib.parse import quote

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.vision.embedders.base import Model, Shape
from dedupd.adapters.vision.recipe import RECIPE

Pixels = NDArray[np.uint8]
Vectors = NDArray[np.float32]

MODEL_HEADER, RECIPE_HEADER = "X-Dedupd-Model", "X-Dedupd-Recipe"
MOST_PICTURES = 64
"""Pictures in one request, at most."""
MOST_SIDE = 1024
"""Px, at most; the largest models of today take 560."""
MOST_DIMENSIONS = 8192
MOST_SAID = 1 << 16
"""Bytes of an answer in words, at most."""
_LENGTH = struct.Struct("<I")
_NORM_SLACK = 0.01
"""Allowed error of a vector's length in float16: rounding is 20 times smaller."""


class ServiceDescription(msgspec.Struct, frozen=True, kw_only=True):
    """A service's description of itself."""

    model: str
    recipe: str
    shape: Shape


def identity(model: Model) -> str:
    """The name that both ends use for a model; ASCII, because it is sent in headers."""
    named = f"{model.family}:{model.name}#{model.digest}" if model.checkpoint else model.id
    return quote(named, safe="/:#")


def recipe_of(shape: Shape) -> str:
    """Equal for ends that decode and resize alike: vectors with different recipes must not be mixed."""
    return f"{RECIPE}/{shape.fit}/{shape.resample}/{shape.side}/{shape.dimensions}"


def largest(shape: Shape) -> int:
    """Bytes of one picture, at most: lossless, so noise may need as much as raw pixels and a little more."""
    return 4 * shape.side * shape.side + 1024


def encode(picture: Pixels) -> bytes:
    """(S, S, 3) as a lossless WebP, with the least effort: a sixteenth of the time for a tenth more bytes."""
    written = io.BytesIO()
    Image.fromarray(picture).save(written, "WEBP", lossless=True, method=0, quality=0)
    return written.getvalue()


def decode(data: bytes, side: int) -> Pixels:
    """The (side, side, 3) pixels of a WebP. Raises ValueError with a sentence, before it decodes a picture of
    another size."""
    try:
        with Image.open(io.BytesIO(data), formats=("WEBP",)) as image:
            if image.size != (side, side) or getattr(image, "n_frames", 1) != 1:
                width, height = image.size
                raise ValueError(f"is {width} x {height} px or moves: send one still of {side} x {side} px")
            return np.asarray(image.convert("RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, MemoryError, Image.DecompressionBombError) as error:
        raise ValueError(f"is no WebP that can be decoded ({type(error).__name__})") from None


def pack(pictures: Sequence[bytes]) -> bytes:
    """Encoded pictures as one body."""
    return b"".join(part for data in pictures for part in (_LENGTH.pack(len(data)), data))


def unpack(body: bytes, most_bytes: int) -> list[bytes]:
    """The pictures of a body. Raises ValueError with a sentence."""
    pictures: list[bytes] = []
    at = 0
    while at < len(body):
        if len(pictures) == MOST_PICTURES:
            raise ValueError(f"there are more than {MOST_PICTURES} pictures in it")
        if len(body) - at < _LENGTH.size:
            raise ValueError("it ends within a length")
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if not 0 < length <= most_bytes:
            raise ValueError(f"picture {len(pictures)} has {length} bytes: 1 to {most_bytes} are taken")
        if length > len(body) - at:
            raise ValueError(f"picture {len(pictures)} is cut short")
        pictures.append(body[at : at + length])
        at += length
    if not pictures:
        raise ValueError("there is no picture in it")
    return pictures


def vectors_of(rows: Vectors, count: int) -> Vectors:
    """(count, D) rows, once they are valid for an index. Raises ValueError with a sentence."""
    if len(rows) != count:
        raise ValueError(f"{len(rows)} vectors for {count} pictures")
    norms = np.linalg.norm(rows.astype(np.float64), axis=1)
    if not np.isfinite(norms).all() or float(np.abs(norms - 1).max()) > _NORM_SLACK:
        raise ValueError("vectors that are not of length 1")
    return rows


def read_rows(body: bytes, count: int, dimensions: int) -> Vectors:
    """The vectors of an answer. Raises ValueError with a sentence."""
    if len(body) != 2 * count * dimensions:
        raise ValueError(
            f"{len(body)} bytes for {count} vectors of {dimensions} float16: {2 * count * dimensions} are right"
        )
    return vectors_of(np.frombuffer(body, "<f2").reshape(count, dimensions).astype(np.float32), count)
