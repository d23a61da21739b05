"""The processes that embed on graphics cards, one for each card.

Owns their life: all start at once, each takes one batch at a time, and one that crashes, hangs or says that its card
failed is not started again. Its batch and its later work go to the others, and what no card can do is left to the
processor. This process itself uses no card. Must lose no batch, and never load a network's library.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision.accelerators import first_line, share_to_embed
from dedupd.adapters.vision.card_messages import (
    CanEmbed,
    CardFailed,
    EmbedBatch,
    Embedded,
    PrepareToEmbed,
    from_card,
)
from dedupd.adapters.vision.child import say
from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.worker_process import WorkerDied, WorkerProcess

CARD = "dedupd.adapters.vision.card_process"
_START_SECONDS = 300.0
"""A large network on a slow disk; shorter than what the client waits for the worker to load it."""
_BATCH_SECONDS = 120.0
_TRIES = 2
"""Cards that one batch may cost: it could be the batch that ends them, and together they must hang for less than
the client waits."""
Rows = NDArray[np.float32]
Heard = TypeVar("Heard", CanEmbed, Embedded)


class _Card:
    """One card's process. Its methods raise WorkerDied, also when only the card failed, or whatever an answer that
    cannot be read raises: the process is of no use then."""

    def __init__(self, name: str, said: PrepareToEmbed) -> None:
        self.name = self.told = name
        self.at_once = 0
        self.process = WorkerProcess(CARD, None)
        with suppress(WorkerDied):  # `wait` hears of it
            self.process.send(said)

    def wait(self, seconds: float) -> None:
        """Until its network is on the card."""
        ready = self._hear(CanEmbed, seconds)
        self.told, self.at_once = ready.told, ready.at_once

    def run(self, batch: NDArray[Any]) -> Rows:
        """A row for each picture. The process itself takes no more at once than fits into the card's memory."""
        pictures = np.ascontiguousarray(batch)
        said = EmbedBatch(kind=pictures.dtype.str, shape=list(pictures.shape))
        self.process.send(said, pictures.data.cast("B"), _BATCH_SECONDS)
        found = self._hear(Embedded, _BATCH_SECONDS)
        rows = np.frombuffer(found.rows, np.float32).reshape(found.shape)
        if len(rows) != len(batch):
            raise WorkerDied(f"failed ({len(rows)} vectors of {len(batch)} pictures)")
        return rows

    def _hear(self, kind: type[Heard], seconds: float) -> Heard:
        said = from_card.decode(self.process.body(seconds))
        if isinstance(said, CardFailed):
            raise WorkerDied(f"failed ({said.why})")
        assert isinstance(said, kind)
        return said


class Cards:
    """A network on each of some cards; thread-safe. There may be none."""

    def __init__(self, model: Model, cache_dir: Path) -> None:
        self._model, self._cache_dir = model, cache_dir
        self._idle: queue.SimpleQueue[_Card | None] = queue.SimpleQueue()
        self._losing = threading.Lock()
        self._working: list[_Card] = []
        self._lost: list[str] = []
        self.lanes = self.batch = 0
        # The kernel ends a process when the *thread* that started it ends, so one starts them that stays.
        self._starter = ThreadPoolExecutor(1, "cards")

    def start(self, names: Sequence[str]) -> None:
        """Start a process for each: they load the network while this one may do so too."""
        for name in names:
            said = PrepareToEmbed(
                model=self._model, cache_dir=os.fsencode(self._cache_dir), card=name, memory=share_to_embed()
            )
            try:
                self._working.append(self._starter.submit(_Card, name, said).result())
            except OSError as error:  # no memory for one more, or no more processes allowed
                say(f"{name} is not used: {error}")

    def wait(self) -> None:
        """Until each of them can embed, or is left out."""
        until = time.monotonic() + _START_SECONDS
        for card in list(self._working):
            try:
                card.wait(max(0.0, until - time.monotonic()))
            except Exception as error:  # noqa: BLE001
                # See _Card.
                self._working.remove(card)
                card.process.kill()
                say(f"{card.name} is not used: it {_clause(error)}")
            else:
                self._idle.put(card)
        if not self._working:
            self._idle.put(None)
        self.lanes = len(self._working)
        self.batch = min((card.at_once for card in self._working), default=0)

    @property
    def told(self) -> str:
        """How those that work compute and which ones failed, for people; '' when none works."""
        if not self._working:
            return ""
        return ", ".join(card.told for card in self._working) + "".join(
            f"; {each} failed" for each in self._lost
        )

    def run(self, batch: NDArray[Any]) -> Rows | None:
        """By the first card that is idle; None when the processor has to do it."""
        for _ in range(_TRIES):
            card = self._idle.get()
            if card is None:
                self._idle.put(None)  # for whoever else waits for a card
                break
            try:
                rows = card.run(batch)
            except Exception as error:  # noqa: BLE001
                # See _Card. Whoever waits for this card must hear that it is lost.
                self._lose(card, _clause(error))
                continue
            self._idle.put(card)
            if np.isfinite(rows).all():
                return rows
            say(f"{card.name} gave what are no numbers: the processor does this batch")  # short ones overflow
            break
        return None

    def _lose(self, card: _Card, why: str) -> None:
        with self._losing:
            self._working.remove(card)
            self._lost.append(card.name)
            left = len(self._working)
        if not left:
            self._idle.put(None)
        card.process.kill()
        others = f"{left} other card(s)" if left else "the processor"
        say(f"{card.name} {why}: its work goes to {others}")


def _clause(error: Exception) -> str:
    return str(error) if isinstance(error, WorkerDied) else f"failed ({first_line(error)})"
