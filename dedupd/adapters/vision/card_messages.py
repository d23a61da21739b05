"""Every message between the worker and a process that embeds for it on a card, once.

Sent as those of messages.py. The process takes one batch at a time; after CardFailed it ends. Msgspec and the names
of models only.
"""

from __future__ import annotations

import msgspec

from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.messages import Message


class PrepareToEmbed(Message, frozen=True):
    """First of all; answered with CanEmbed."""

    model: Model
    cache_dir: bytes
    card: str
    """As 'cuda:1', 'mps' or 'CUDAExecutionProvider:0'."""
    memory: float
    """Share of the card's memory."""


class CanEmbed(Message, frozen=True):
    """The network is on the card."""

    told: str
    """How it computes there, for people."""
    at_once: int
    """Pictures that its memory takes."""


class EmbedBatch(Message, frozen=True):
    """Prepared pictures, whose bytes follow; answered with Embedded."""

    kind: str
    """As numpy names numbers."""
    shape: list[int]


class Embedded(Message, frozen=True):
    """Their float32 rows, in order."""

    rows: memoryview
    shape: list[int]


class CardFailed(Message, frozen=True):
    """The card, or all of the CUDA of this process, is of no use any more."""

    why: str


to_card: msgspec.msgpack.Decoder[PrepareToEmbed | EmbedBatch] = msgspec.msgpack.Decoder(
    PrepareToEmbed | EmbedBatch
)
from_card: msgspec.msgpack.Decoder[CanEmbed | Embedded | CardFailed] = msgspec.msgpack.Decoder(
    CanEmbed | Embedded | CardFailed
)
