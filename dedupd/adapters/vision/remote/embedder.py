"""An embedder whose model is on another machine: small pictures are sent, vectors come back and are checked.

Owns what happens when no service answers: 'remote' waits, then fails; 'auto' embeds here, batch by batch, and
tries again later. Must never mix models or recipes, and never send anything but the small picture. It runs in
the vision worker, where pictures and vectors are: a separate process between the two would have to send the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Generic

import numpy as np
from PIL import Image

from dedupd.adapters.vision.embedders.base import Embedder, Model, Shape
from dedupd.adapters.vision.messages import RemoteServices
from dedupd.adapters.vision.remote.dialects import Dialect, dialect_for
from dedupd.adapters.vision.remote.endpoints import Endpoints, S, Unreachable, token_from
from dedupd.adapters.vision.remote.wire import Pixels, Vectors
from dedupd.adapters.vision.shapes import picture, shape_of
from dedupd.errors import VisionError

PICTURES = 8
"""Pictures in one request: on a CPU, more of them take no less time each."""
AT_ONCE = 4
"""Requests in progress at a time, to all services together."""
BATCH = PICTURES * AT_ONCE
PATIENCE = 20.0
"""Seconds for which 'remote' tries again before it gives up."""
Say = Callable[[str], None]
"""Told why pictures are embedded here for now; '' while a service answers."""


class RemoteEmbedder(Generic[S]):
    """Used like a local embedder: `prepare` from several threads, `embed` from one."""

    batch, lanes = 0, 1

    def __init__(
        self, endpoints: Endpoints[S], dialect: Dialect[S], local: Callable[[], Embedder | None] | None, say: Say,
        busy: Callable[[], AbstractContextManager[None]] = nullcontext, patience: float = PATIENCE,
    ) -> None:  # fmt: skip
        """`busy` is entered while a service is waited for. `local` makes the same embedder here, for 'auto';
        None: 'remote'. `say` is called at the start, and when that changes.

        Raises VisionError when no service answers and there is no local embedder.
        """
        self._endpoints, self._dialect, self._say, self._make_local = endpoints, dialect, say, local
        self._busy = busy
        self._patience = patience if local is None else 0.0
        self._here = False
        """Whether the last batch was embedded here."""
        self.note = self._place
        try:
            self._shape: Shape | None = endpoints.call(dialect.describe, patience=self._patience)
            say("")
        except Unreachable as why:
            if local is None:
                raise VisionError(f"the remote embedder cannot be used: {why}") from None
            self._shape = shape_of(self._local)
            self._note_place(here=True, why=str(why))
        self.side = self._shape.side if self._shape else self._local.side
        self.dimensions = self._shape.dimensions if self._shape else self._local.dimensions
        self._requests = ThreadPoolExecutor(AT_ONCE, "remote")

    def prepare(self, image: Image.Image) -> Pixels:
        """(S, S, 3): the only part of a photo that is sent."""
        return self._local.prepare(image) if self._shape is None else picture(image, self._shape)

    def embed(self, batch: Pixels) -> Vectors:
        """(N, D) unit vectors. Raises VisionError when no service answered."""
        if self._shape is None:
            return self._local.embed(batch)
        parts = [batch[at : at + PICTURES] for at in range(0, len(batch), PICTURES)]
        with self._busy():
            rows = list(self._requests.map(self._ask, parts))
        missing = [place for place, each in enumerate(rows) if isinstance(each, str)]
        if missing and self._make_local is None:
            raise VisionError(f"the remote embedder cannot be used: {rows[missing[0]]}")
        self._note_place(here=bool(missing), why=str(rows[missing[0]]) if missing else "")
        return np.concatenate(
            [
                self._embed_locally(part) if isinstance(each, str) else each
                for part, each in zip(parts, rows, strict=True)
            ]
        )

    def _ask(self, part: Pixels) -> Vectors | str:
        """The vectors, or why there are none."""
        shape = self._shape
        assert shape is not None

        def ask(endpoint: S) -> Vectors:
            return self._dialect.embed(endpoint, list(part), shape)

        try:
            return self._endpoints.call(ask, patience=self._patience)
        except Unreachable as why:
            return str(why)

    def _embed_locally(self, part: Pixels) -> Vectors:
        with self._busy():
            local = self._local
        if (local.side, local.dimensions) != (self.side, self.dimensions):
            raise VisionError(
                f"the model here ({local.dimensions} numbers from {local.side} px) is another one than the service's"
            )
        return local.embed(np.stack([local.prepare(Image.fromarray(each)) for each in part]))

    @cached_property
    def _local(self) -> Embedder:
        found = self._make_local() if self._make_local else None
        assert found is not None  # without a model nobody asks for a remote one
        return found

    @property
    def _place(self) -> str:
        return ", ".join(endpoint.url for endpoint in self._endpoints.all)

    def _note_place(self, *, here: bool, why: str) -> None:
        if here != self._here:
            self._here, self.note = here, "here: no service answered" if here else self._place
            self._say(why if here else "")


def connect(
    remote: RemoteServices, model: Model, load_here: Callable[[], Embedder | None], say: Say,
    busy: Callable[[], AbstractContextManager[None]],
) -> Embedder:  # fmt: skip
    """The embedder that is configured. Raises VisionError."""
    dialect = dialect_for(remote.protocol, model)
    token = token_from(remote.token_file)
    endpoints = Endpoints([dialect.open(url, token, remote.ca_file) for url in remote.urls])
    return RemoteEmbedder(endpoints, dialect, load_here if remote.mode == "auto" else None, say, busy)
