"""Open Inference Protocol v2, the binary tensor extension: one request and one answer as bytes.

JSON first, its length in a header, then the tensors as they lie in memory. Must never believe a length that it is told.
"""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.embedders.base import Model, Shape
from dedupd.adapters.vision.remote.wire import identity, recipe_of

LENGTH_HEADER = "Inference-Header-Content-Length"
INPUT, OUTPUT = "pictures", "vectors"


def model_name(model: Model, shape: Shape) -> str:
    """Model and recipe in one name, of what a folder and an address can hold."""
    named = f"dedupd-{identity(model)}-{recipe_of(shape)}"
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in named)


def request(pictures: NDArray[np.uint8]) -> tuple[int, bytes]:
    """(length of the JSON, whole body) for (N, S, S, 3) pictures."""
    raw = np.ascontiguousarray(pictures).tobytes()
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": INPUT, "datatype": "UINT8", "shape": list(pictures.shape),
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "outputs": [{"name": OUTPUT, "parameters": {"binary_data": True}}],
        }
    ).encode()  # fmt: skip
    return len(head), head + raw


def rows_of(body: bytes, length: str, name: str, count: int, dimensions: int) -> NDArray[np.float32]:
    """The vectors of an answer. Raises ValueError in words."""
    if not length.isdecimal() or len(length) > 9 or int(length) > len(body):
        raise ValueError("no binary tensor: it must know the binary tensor extension")
    head, tail = body[: int(length)], body[int(length) :]
    try:
        said = cast("dict[str, Any]", json.loads(head))
        (tensor,) = said["outputs"]
        right = (
            said["model_name"] == name
            and (tensor["name"], tensor["datatype"]) == (OUTPUT, "FP32")
            and tensor["shape"] == [count, dimensions]
        )
    except (ValueError, KeyError, TypeError):
        raise ValueError("no answer of this protocol") from None
    if not right:
        raise ValueError(f"not {count} vectors of {dimensions} numbers by {name}")
    if len(tail) != 4 * count * dimensions:
        raise ValueError(f"{len(tail)} bytes for {count} vectors of {dimensions} float32")
    return np.frombuffer(tail, "<f4").reshape(count, dimensions).astype(np.float32)
