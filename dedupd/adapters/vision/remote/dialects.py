"""How a service is asked: in dedupd's own protocol, or in KServe's (Triton and others).

Owns what is believed of an answer. Must never hand on a vector that is not of the model, recipe, number, size and length
that were asked for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol, cast

import msgspec
import numpy as np

from dedupd.adapters.vision.embedders.base import FITS, RESAMPLES, Model, Shape
from dedupd.adapters.vision.embedders.registry import families
from dedupd.adapters.vision.remote import kserve, wire
from dedupd.adapters.vision.remote.endpoints import (
    Endpoint,
    RemoteAnswer,
    RemoteBusy,
    RemoteFailure,
    RemoteRefusal,
)
from dedupd.errors import VisionError

_MOST_SAID = 1 << 16
"""Bytes of an answer in words."""
_MOST_DIMENSIONS = 8192


class Dialect(Protocol):
    """One way to ask. All raise RemoteFailure."""

    def describe(self, endpoint: Endpoint) -> Shape:
        """What the service sees with; checked against the model that is meant."""
        ...

    def embed(self, endpoint: Endpoint, pictures: Sequence[wire.Pixels], shape: Shape) -> wire.Vectors:
        """(N, D) of N small pictures."""
        ...


class DedupdDialect:
    """`dedupd serve-embed`."""

    def __init__(self, model: Model, known: Shape | None) -> None:
        """`known`: the shape of the model, where it is known without the model."""
        self._meant, self._known = wire.identity(model), known

    def describe(self, endpoint: Endpoint) -> Shape:
        answer = endpoint.ask("GET", "/v1/model", most=_MOST_SAID)
        _raise_for(endpoint, answer)
        try:
            said = msgspec.json.decode(answer.body, type=wire.ServiceDescription)
        except msgspec.DecodeError:
            raise RemoteRefusal(f"{endpoint.url} is no `dedupd serve-embed`") from None
        if said.model != self._meant:
            raise RemoteRefusal(
                f"{endpoint.url} sees with {said.model[:200]!r}, and this library with {self._meant!r}: "
                "let both have one model"
            )
        shape = said.shape
        sound = (
            0 < shape.side <= wire.MOST_SIDE
            and 0 < shape.dimensions <= _MOST_DIMENSIONS
            and shape.fit in FITS
            and shape.resample in RESAMPLES
        )
        if not sound or said.recipe != wire.recipe_of(shape) or self._known not in (None, shape):
            raise RemoteRefusal(
                f"{endpoint.url} makes its vectors by another recipe: let both be of one version of dedupd"
            )
        return shape

    def embed(self, endpoint: Endpoint, pictures: Sequence[wire.Pixels], shape: Shape) -> wire.Vectors:
        meant = {wire.MODEL_HEADER: self._meant, wire.RECIPE_HEADER: wire.recipe_of(shape)}
        body = wire.pack([wire.encode(picture) for picture in pictures])
        most = max(_MOST_SAID, 2 * len(pictures) * shape.dimensions)
        answer = endpoint.ask(
            "POST", "/v1/embed", body, {"Content-Type": "application/octet-stream", **meant}, most=most
        )
        _raise_for(endpoint, answer)
        if any(answer.headers.get(name.lower()) != value for name, value in meant.items()):
            raise RemoteRefusal(f"{endpoint.url} answers for another model or recipe than it was asked for")
        try:
            return wire.read_rows(answer.body, len(pictures), shape.dimensions)
        except ValueError as error:
            raise RemoteRefusal(f"{endpoint.url} answers what cannot be right: {error}") from None


class KServeDialect:
    """The Open Inference Protocol v2 over HTTP, with tensors in binary (Triton, and what speaks like it)."""

    def __init__(self, name: str, shape: Shape) -> None:
        """`name` holds model and recipe: each answer carries it."""
        self._name, self._shape = name, shape

    def describe(self, endpoint: Endpoint) -> Shape:
        answer = endpoint.ask("GET", f"/v2/models/{self._name}", most=_MOST_SAID)
        _raise_for(endpoint, answer)
        try:
            said: Any = json.loads(answer.body)
            (given,), (taken,) = said["outputs"], said["inputs"]
            fits = (
                said["name"] == self._name
                and (taken["datatype"], taken["shape"][-3:])
                == ("UINT8", [self._shape.side, self._shape.side, 3])
                and (given["datatype"], given["shape"][-1]) == ("FP32", self._shape.dimensions)
            )
        except (ValueError, KeyError, TypeError, IndexError):
            fits = False
        if not fits:
            raise RemoteRefusal(
                f"{endpoint.url} has no model {self._name} as `dedupd models export --triton` writes it"
            )
        return self._shape

    def embed(self, endpoint: Endpoint, pictures: Sequence[wire.Pixels], shape: Shape) -> wire.Vectors:
        head, body = kserve.request(np.stack(pictures))
        answer = endpoint.ask(
            "POST", f"/v2/models/{self._name}/infer", body, {kserve.LENGTH_HEADER: str(head)},
            most=4 * len(pictures) * shape.dimensions + _MOST_SAID,
        )  # fmt: skip
        _raise_for(endpoint, answer)
        try:
            rows = kserve.rows_of(
                answer.body, answer.headers.get(kserve.LENGTH_HEADER.lower(), ""), self._name,
                len(pictures), shape.dimensions,
            )  # fmt: skip
            return wire.vectors_of(rows, len(pictures))
        except ValueError as error:
            raise RemoteRefusal(f"{endpoint.url} answers what cannot be right: {error}") from None


def dialect_for(protocol: str, model: Model) -> Dialect:
    """How a service that speaks `protocol` is asked for `model`. Raises VisionError."""
    known = families()[model.family].shape
    if protocol == "dedupd":
        return DedupdDialect(model, known)
    if known is None:
        raise VisionError(
            f'by KServe only lite0 can be asked for, not {model.id}: say embedding.protocol = "dedupd"'
        )
    return KServeDialect(kserve.model_name(model, known), known)


def _raise_for(endpoint: Endpoint, answer: RemoteAnswer) -> None:
    if answer.status == 200:
        return
    told = f"{endpoint.url} answers {answer.status}{_sentence(answer.body)}"
    if answer.status in (429, 503):
        raise RemoteBusy(told)
    if answer.status in (401, 403, 409):
        raise RemoteRefusal(told)
    raise RemoteFailure(told)


def _sentence(body: bytes) -> str:
    """What it says of it, cut and without what a terminal would obey."""
    try:
        said: Any = json.loads(body)
    except ValueError:
        return ""
    error = cast("dict[str, Any]", said).get("error") if isinstance(said, dict) else None
    if isinstance(error, dict):
        error = cast("dict[str, Any]", error).get("message")
    return f": {''.join(c for c in error if c.isprintable())[:300]}" if isinstance(error, str) else ""
