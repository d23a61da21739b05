"""A process that embeds on one graphics card, for the worker.

Started by cards.py, one for each card: an error of a card spoils the process that it happens in, and there for all
cards. It ends with the first such error. Must never use another card, make an error good by itself, or outlive the
worker.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

import numpy as np

from dedupd.adapters.vision.accelerators import ALL, allow, first_line
from dedupd.adapters.vision.card_messages import (
    CanEmbed,
    CardFailed,
    EmbedBatch,
    Embedded,
    PrepareToEmbed,
    to_card,
)
from dedupd.adapters.vision.child import Parent, limit_itself, take_over_stdio
from dedupd.adapters.vision.embedders.base import OnCard
from dedupd.adapters.vision.embedders.registry import families


def main() -> None:
    """Serve until stdin closes, or the card fails."""
    limit_itself(resource.RLIM_INFINITY)  # the driver maps far more than it uses
    worker = Parent(*take_over_stdio())
    said = to_card.decode(worker.body())
    assert isinstance(said, PrepareToEmbed)
    try:
        network = _on_card(said)
        worker.tell(CanEmbed(told=network.told, at_once=network.at_once))
        while True:
            batch = to_card.decode(worker.body())
            assert isinstance(batch, EmbedBatch)
            pictures = np.empty(batch.shape, batch.kind)
            worker.fill(pictures.data.cast("B"))
            rows = np.ascontiguousarray(network.run(pictures), np.float32)
            worker.tell(Embedded(rows=rows.data, shape=list(rows.shape)))
    except Exception as error:  # noqa: BLE001
        # Whatever a driver raises: the worker gives the batch to another card.
        worker.tell(CardFailed(why=first_line(error)))


def _on_card(said: PrepareToEmbed) -> OnCard:
    allow(ALL, said.memory)  # which cards there are has been decided
    start = families()[said.model.family].on_card
    assert start is not None
    return start(said.model, Path(os.fsdecode(said.cache_dir)), said.card)


if __name__ == "__main__":
    main()
