"""The two protocols of services: dedupd's own, and KServe's (Triton and others).

Owns which answers are accepted. Must never return a vector that is not of the model, recipe, number, size and
length that were asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol

import msgspec
import numpy as np

from dedupd.adapters.vision.embedders.base import FITS, RESAMPLES, Model, Shape
from dedupd.adapters.vision.embedders.registry import families
from dedupd.adapters.vision.remote import kserve, wire
from dedupd.adapters.vision.remote.endpoints import Endpoint, RemoteRefusal, S, raise_for


class Dialect(Protocol, Generic[S]):
    """One protocol. All methods but `open` raise RemoteFailure."""

    def open(self, url: str, token: str, ca_file: str) -> S:
        """A service at an address; nothing is asked yet. Raises VisionError."""
        ...

    def describe(self, service: S) -> Shape:
        """The service's model, checked against the one that is meant."""
        ...

    def embed(self, service: S, pictures: Sequence[wire.Pixels], shape: Shape) -> wire.Vectors:
        """(N, D) vectors of N small pictures."""
        ...


class DedupdDialect:
    """`dedupd serve-embed`."""

    def __init__(self, model: Model, known: Shape | None) -> None:
        """`known`: the shape of the model, when it is known without the model."""
        self._meant, self._known = wire.identity(model), known

    def open(self, url: str, token: str, ca_file: str) -> Endpoint:
        return Endpoint(url, token, ca_file)

    def describe(self, service: Endpoint) -> Shape:
        answer = service.ask("GET", "/v1/model", most=wire.MOST_SAID)
        raise_for(service.url, answer)
        try:
            said = msgspec.json.decode(answer.body, type=wire.ServiceDescription)
        except msgspec.DecodeError:
            raise RemoteRefusal(f"{service.url} is no `dedupd serve-embed`") from None
        if said.model != self._meant:
            raise RemoteRefusal(
                f"{service.url} sees with {said.model[:200]!r}, and this library with {self._meant!r}: "
                "let both have one model"
            )
        shape = said.shape
        sound = (
            0 < shape.side <= wire.MOST_SIDE
            and 0 < shape.dimensions <= wire.MOST_DIMENSIONS
            and shape.fit in FITS
            and shape.resample in RESAMPLES
        )
        if not sound or said.recipe != wire.recipe_of(shape) or self._known not in (None, shape):
            raise RemoteRefusal(
                f"{service.url} makes its vectors by another recipe: let both be of one version of dedupd"
            )
        return shape

    def embed(self, service: Endpoint, pictures: Sequence[wire.Pixels], shape: Shape) -> wire.Vectors:
        meant = {wire.MODEL_HEADER: self._meant, wire.RECIPE_HEADER: wire.recipe_of(shape)}
        body = wire.pack([wire.encode(picture) for picture in pictures])
        most = max(wire.MOST_SAID, 2 * len(pictures) * shape.dimensions)
        answer = service.ask(
            "POST", "/v1/embed", body, {"Content-Type": "application/octet-stream", **meant}, most=most
        )
        raise_for(service.url, answer)
        if any(answer.headers.get(name.lower()) != value for name, value in meant.items()):
            raise RemoteRefusal(f"{service.url} answers for another model or recipe than it was asked for")
        try:
            return wire.read_rows(answer.body, len(pictures), shape.dimensions)
        except ValueError as error:
            raise RemoteRefusal(f"{service.url} answers what cannot be right: {error}") from None


class KServeDialect:
    """The Open Inference Protocol v2 (Triton and compatible servers), over HTTP or gRPC."""

    def __init__(
        self, model: Model, known: Shape | None, service: Callable[[str, str, str], kserve.KServeService]
    ) -> None:
        """`known`: the shape of the model, when it is known without the model; `service`: (url, token,
        ca_file) -> a KServeService."""
        self._model, self._known, self._service = model, known, service

    def open(self, url: str, token: str, ca_file: str) -> kserve.KServeService:
        return self._service(url, token, ca_file)

    def describe(self, service: kserve.KServeService) -> Shape:
        shape = self._known or self._shape_there(service)
        name = kserve.model_name(self._model, shape)
        side, told = shape.side, service.describe(name)
        fits = (
            told is not None
            and told.name == name
            and [(t.name, t.datatype, t.shape[-3:]) for t in told.inputs]
            == [(kserve.INPUT, "UINT8", (side, side, 3))]
            and [(t.name, t.datatype, t.shape[-1:]) for t in told.outputs]
            == [(kserve.OUTPUT, "FP32", (shape.dimensions,))]
        )
        if not fits:
            raise RemoteRefusal(
                f"{service.url} has no model {name} as `dedupd models export --triton` writes it"
            )
        return shape

    def _shape_there(self, service: kserve.KServeService) -> Shape:
        """The shape that its name says: the model must be there once, made by one recipe."""
        found = {kserve.shape_in(self._model, name) for name in service.models()} - {None}
        if len(found) == 1 and (shape := found.pop()) is not None:
            return shape
        told = "several models" if found else "no model"
        raise RemoteRefusal(
            f"{service.url} has {told} {kserve.name_prefix(self._model)}… of this recipe: "
            "let it have one, as `dedupd models export --triton` of this version writes it"
        )

    def embed(
        self, service: kserve.KServeService, pictures: Sequence[wire.Pixels], shape: Shape
    ) -> wire.Vectors:
        name = kserve.model_name(self._model, shape)
        rows = service.infer(name, np.stack(pictures), shape.dimensions)
        try:
            return wire.vectors_of(rows, len(pictures))
        except ValueError as error:
            raise RemoteRefusal(f"{service.url} answers what cannot be right: {error}") from None


def dialect_for(protocol: str, model: Model) -> Dialect[Any]:
    """How a service with `protocol` is asked for `model`."""
    known = families()[model.family].shape
    if protocol == "dedupd":
        return DedupdDialect(model, known)
    if protocol == "kserve-grpc":
        from dedupd.adapters.vision.remote.kserve_grpc import KServeOverGrpc

        return KServeDialect(model, known, KServeOverGrpc)
    return KServeDialect(model, known, kserve.KServeOverHttp)
