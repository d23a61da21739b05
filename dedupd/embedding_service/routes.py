"""The routes of the service: what is accepted, what is refused, and with which sentence.

Stateless: each request holds all that it needs, and several services behind a balancer share nothing. Must
never answer for another model or recipe than it was asked for, and never fail because of what a client sent.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from dedupd.adapters.vision.embedders.base import Embedder, Shape
from dedupd.adapters.vision.remote import wire
from dedupd.embedding_service import metrics
from dedupd.embedding_service.batching import Batcher, Full
from dedupd.errors import DedupdError
from dedupd.web.access_control import Site, bearer_of
from dedupd.web.bodies import answer, chunks, refusal
from dedupd.web.problems import Problem, problem_of
from dedupd.web.tokens import Tokens

MOST_BODY = 16 << 20
_DECODERS = 2
_OPEN_TO_ALL = frozenset({"/health", "/ready"})


class EmbeddingService:
    """One model and its routes."""

    def __init__(
        self,
        embedder: Embedder,
        model: str,
        shape: Shape,
        *,
        most: int = wire.MOST_PICTURES,
        window: float = 0.0,
    ) -> None:
        """`most`: pictures in one batch, at most; `window`: seconds that a batch waits for more, 0 on a CPU."""
        self._embedder, self._shape = embedder, shape
        self._said = wire.ServiceDescription(model=model, recipe=wire.recipe_of(shape), shape=shape)
        self._headers = {wire.MODEL_HEADER: model, wire.RECIPE_HEADER: self._said.recipe}
        self.counts = metrics.Counts(model)
        self._batcher = Batcher(embedder.embed, most, window, self.counts.batch)
        self._decoders = ThreadPoolExecutor(_DECODERS, "decode")
        self._ready = False

    def app(self) -> Starlette:
        """The application of all routes, without the guard before them."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/ready", self.ready),
                Route("/metrics", self.metrics),
                Route("/v1/model", self.model),
                Route("/v1/embed", self.embed, methods=["POST"]),
            ],
            lifespan=self._life,
            exception_handlers={DedupdError: _told, HTTPException: _not_here},
        )

    @contextlib.asynccontextmanager
    async def _life(self, app: Starlette) -> AsyncGenerator[None]:
        del app
        running = asyncio.create_task(self._batcher.run())
        try:
            side = self._shape.side
            await self._batcher.embed([self._prepared(np.zeros((side, side, 3), np.uint8))])
            self._ready = True
            yield
        finally:
            self._ready = False
            running.cancel()
            self._decoders.shutdown(wait=False, cancel_futures=True)

    # ---- routes

    async def health(self, request: Request) -> Response:
        """Whether this process answers."""
        del request
        return answer({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """Whether the model is loaded: a balancer may then send pictures."""
        del request
        return answer({"status": "ready" if self._ready else "not ready"}, 200 if self._ready else 503)

    async def metrics(self, request: Request) -> Response:
        del request
        return Response(
            self.counts.text(self._batcher.waiting), headers={"Content-Type": metrics.CONTENT_TYPE}
        )

    async def model(self, request: Request) -> Response:
        """The model and the recipe."""
        del request
        return Response(msgspec.json.encode(self._said), media_type="application/json", headers=self._headers)

    async def embed(self, request: Request) -> Response:
        """The vectors of pictures; the format is described in wire.py."""
        try:
            response = await self._embedded(request)
        except DedupdError as error:
            response = refusal(problem_of(error))
        response.headers.update(self._headers)
        self.counts.requests[response.status_code] += 1
        return response

    async def _embedded(self, request: Request) -> Response:
        self._check_meant(request)
        body = b"".join([chunk async for chunk in chunks(request, MOST_BODY)])
        try:
            pictures = wire.unpack(body, wire.largest(self._shape))
        except ValueError as error:
            raise Problem(400, "malformed", f"the body is not what is taken here: {error}") from None
        loop = asyncio.get_running_loop()
        seen = [
            loop.run_in_executor(self._decoders, self._decoded, number, data)
            for number, data in enumerate(pictures)
        ]
        try:
            rows = await self._batcher.embed(list(await asyncio.gather(*seen)))
        except Full:
            raise Problem(429, "busy", "too many pictures wait here: try again in a moment") from None
        finally:
            for each in seen:
                each.cancel()
        return Response(rows.astype("<f2").tobytes(), media_type="application/octet-stream")

    def _check_meant(self, request: Request) -> None:
        """Refuse a request for another model or recipe: vectors of two of them must never be in one index."""
        meant = request.headers.get(wire.MODEL_HEADER), request.headers.get(wire.RECIPE_HEADER)
        if None in meant:
            raise Problem(
                400, "malformed", f"say what is meant in {wire.MODEL_HEADER} and {wire.RECIPE_HEADER}"
            )
        if meant != (self._said.model, self._said.recipe):
            raise Problem(
                409, "other_model",
                f"this service sees with {self._said.model} by recipe {self._said.recipe}, not with "
                f"{meant[0]!s:.200} by {meant[1]!s:.100}",
            )  # fmt: skip

    def _decoded(self, number: int, data: bytes) -> NDArray[Any]:
        try:
            return self._prepared(wire.decode(data, self._shape.side))
        except ValueError as error:
            raise Problem(422, "no_picture", f"picture {number} {error}") from None

    def _prepared(self, pixels: wire.Pixels) -> NDArray[Any]:
        return self._embedder.prepare(Image.fromarray(pixels))


class Guard:
    """Checks each request before the routes: the token when there is one; otherwise that no web page sent it
    under another host name."""

    def __init__(self, app: ASGIApp, site: Site, tokens: Tokens | None) -> None:
        self._app, self._site, self._tokens = app, site, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (problem := self._refused(scope)) is not None:
            await refusal(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> Problem | None:
        if scope["path"] in _OPEN_TO_ALL:
            return None
        headers = Request(scope).headers
        if self._tokens is None:
            if self._site.knows(headers.get("host", "")) and "origin" not in headers:
                return None
            return Problem(400, "foreign_host", "without a token only programs on this machine are answered")
        if self._tokens.opens(bearer_of(headers)):
            return None
        return Problem(401, "no_token", "send what is in the service's token file as `Authorization: Bearer`")


async def _not_here(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, HTTPException)
    code = "not_found" if error.status_code == 404 else "not_allowed"
    return refusal(Problem(error.status_code, code, f"{error.detail}: /v1/model and /v1/embed are here"))


async def _told(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, DedupdError)
    return refusal(problem_of(error))
