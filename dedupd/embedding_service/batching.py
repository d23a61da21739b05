"""Batching: pictures of all requests that wait go through the model together, in one thread.

Must never let more pictures wait than the limit, nor keep a picture after its vector is computed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.errors import VisionError

Rows = NDArray[np.float32]
MOST_WAITING = 512
"""Pictures that may wait; requests beyond that are told to come again."""
log = logging.getLogger("dedupd.embedding")


class Full(Exception):
    """So many pictures wait that no more are accepted."""


class Batcher:
    """The model's one thread, and the queue before it. All methods run on the event loop."""

    def __init__(
        self,
        embed: Callable[[NDArray[Any]], Rows],
        most: int,
        window: float,
        done: Callable[[int, float], None],
    ) -> None:
        """`most`: pictures in one batch, at most; `window`: seconds that a batch waits for more.
        `done(pictures, seconds)` is called after each batch."""
        self._embed, self._most, self._window, self._done = embed, most, window, done
        self._queue: deque[tuple[NDArray[Any], asyncio.Future[NDArray[np.float32]]]] = deque()
        self._some = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "embed")

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def embed(self, pictures: list[NDArray[Any]]) -> Rows:
        """The vectors of preprocessed pictures. Raises Full, VisionError."""
        if len(self._queue) + len(pictures) > MOST_WAITING:
            raise Full
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in pictures]
        self._queue.extend(zip(pictures, futures, strict=True))
        self._some.set()
        try:
            return np.stack(await asyncio.gather(*futures))
        finally:
            for future in futures:  # of a client that went away: its pictures need not be seen
                future.cancel()

    async def run(self) -> None:
        """Process batches until it is cancelled."""
        try:
            while True:
                await self._some.wait()
                if self._window and len(self._queue) < self._most:
                    await asyncio.sleep(self._window)
                await self._next()
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def _next(self) -> None:
        taken = [self._queue.popleft() for _ in range(min(self._most, len(self._queue)))]
        if not self._queue:
            self._some.clear()
        taken = [each for each in taken if not each[1].done()]
        if not taken:
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            rows = await loop.run_in_executor(
                self._thread, self._embed, np.stack([picture for picture, _ in taken])
            )
        except Exception as error:  # noqa: BLE001
            # Any error of the model is the answer to those who asked, and the next batch goes on.
            log.warning("a batch could not be embedded: %s", error)
            told = VisionError(f"the model failed ({type(error).__name__}): ask again, or another service")
            for _, future in taken:
                if not future.done():
                    future.set_exception(told)
            return
        self._done(len(taken), loop.time() - began)
        for (_, future), row in zip(taken, rows, strict=True):
            if not future.done():
                future.set_result(row)
