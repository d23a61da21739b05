"""Open Inference Protocol v2 (KServe, Triton): the name of a model there, its description, and the HTTP form.

In the binary form, JSON comes first, with its length in a header, then the tensors as they are in memory.
Must never trust a length in an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.embedders.base import FITS, RESAMPLES, Fit, Model, Resample, Shape
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.adapters.vision.remote.endpoints import Endpoint, RemoteRefusal, Service, raise_for
from dedupd.adapters.vision.remote.wire import MOST_DIMENSIONS, MOST_SAID, MOST_SIDE, identity, recipe_of

LENGTH_HEADER = "Inference-Header-Content-Length"
INPUT, OUTPUT = "pictures", "vectors"
_RECIPE_IN_NAME = re.compile(
    rf"{re.escape(RECIPE)}-({'|'.join(FITS)})-({'|'.join(RESAMPLES)})-([1-9]\d{{0,4}})-([1-9]\d{{0,4}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A server's description of one tensor."""

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMetadata:
    """A server's description of one model."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


class KServeService(Service, Protocol):
    """One server, through one of the protocol's forms. All methods raise RemoteFailure."""

    def models(self) -> Sequence[str]:
        """The names of all its models."""
        ...

    def describe(self, name: str) -> ModelMetadata | None:
        """The description of a model; None when the answer is not of this protocol."""
        ...

    def infer(self, name: str, pictures: NDArray[np.uint8], dimensions: int) -> NDArray[np.float32]:
        """(N, dimensions) vectors of (N, S, S, 3) pictures, by that model."""
        ...


def model_name(model: Model, shape: Shape) -> str:
    """Model and recipe in one name, with characters that a folder and an address can hold."""
    return name_prefix(model) + _nameable(recipe_of(shape))


def name_prefix(model: Model) -> str:
    """The prefix of this model's names, for any recipe."""
    return _nameable(f"dedupd-{identity(model)}-")


def shape_in(model: Model, name: str) -> Shape | None:
    """The shape that a name states for this model; None for the name of another model or another recipe."""
    prefix = name_prefix(model)
    told = _RECIPE_IN_NAME.fullmatch(name.removeprefix(prefix)) if name.startswith(prefix) else None
    if told is None:
        return None
    fit, resample, side, dimensions = told.groups()
    shape = Shape(
        side=int(side), fit=cast("Fit", fit), resample=cast("Resample", resample), dimensions=int(dimensions)
    )
    return shape if shape.side <= MOST_SIDE and shape.dimensions <= MOST_DIMENSIONS else None


def _nameable(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)


class KServeOverHttp:
    """A server that takes and returns tensors in binary."""

    def __init__(self, url: str, token: str = "", ca_file: str = "") -> None:
        """Raises VisionError when certificates cannot be read."""
        self._endpoint = Endpoint(url, token, ca_file)
        self.url = self._endpoint.url

    def models(self) -> Sequence[str]:
        answer = self._endpoint.ask("POST", "/v2/repository/index", b"{}", most=16 * MOST_SAID)
        raise_for(self.url, answer)
        try:
            said = cast("list[dict[str, Any]]", json.loads(answer.body))
            return [str(each["name"]) for each in said]
        except (ValueError, KeyError, TypeError):
            raise RemoteRefusal(f"{self.url} does not say which models it has") from None

    def describe(self, name: str) -> ModelMetadata | None:
        answer = self._endpoint.ask("GET", f"/v2/models/{name}", most=MOST_SAID)
        raise_for(self.url, answer)
        try:
            said: Any = json.loads(answer.body)
            return ModelMetadata(
                name=said["name"], inputs=_tensors(said["inputs"]), outputs=_tensors(said["outputs"])
            )
        except (ValueError, KeyError, TypeError):
            return None

    def infer(self, name: str, pictures: NDArray[np.uint8], dimensions: int) -> NDArray[np.float32]:
        head, body = request(pictures)
        answer = self._endpoint.ask(
            "POST", f"/v2/models/{name}/infer", body, {LENGTH_HEADER: str(head)},
            most=4 * len(pictures) * dimensions + MOST_SAID,
        )  # fmt: skip
        raise_for(self.url, answer)
        length = answer.headers.get(LENGTH_HEADER.lower(), "")
        try:
            return rows_of(answer.body, length, name, len(pictures), dimensions)
        except ValueError as error:
            raise RemoteRefusal(f"{self.url} answers what cannot be right: {error}") from None

    def close(self) -> None:
        """Close its connections."""
        self._endpoint.close()


def _tensors(said: Any) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(name=each["name"], datatype=each["datatype"], shape=tuple(each["shape"])) for each in said
    )


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
    """The vectors of an answer. Raises ValueError with a sentence."""
    if not length.isdecimal() or len(length) > 9 or int(length) > len(body):
        raise ValueError("no binary tensor: it must know the binary tensor extension")
    head, tail = body[: int(length)], body[int(length) :]
    try:
        said = cast("dict[str, Any]", json.loads(head))
        model, outputs = said["model_name"], _tensors(said["outputs"])
    except (ValueError, KeyError, TypeError):
        raise ValueError("no answer of this protocol") from None
    return rows_in(tail, model, outputs, name, count, dimensions)


def rows_in(
    raw: bytes, model: str, outputs: Sequence[Tensor], name: str, count: int, dimensions: int
) -> NDArray[np.float32]:
    """(count, dimensions) vectors from `raw`, once its description is as requested. Raises ValueError with a
    sentence."""
    if model != name or outputs != (Tensor(name=OUTPUT, datatype="FP32", shape=(count, dimensions)),):
        raise ValueError(f"not {count} vectors of {dimensions} numbers by {name}")
    if len(raw) != 4 * count * dimensions:
        raise ValueError(f"{len(raw)} bytes for {count} vectors of {dimensions} float32")
    return np.frombuffer(raw, "<f4").reshape(count, dimensions).astype(np.float32)
