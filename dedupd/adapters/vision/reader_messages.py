"""Every message between the worker and a process that reads for it, once.

Sent as those of messages.py. A process reads one file at a time; meanwhile it waits for a Granted after each of
its questions. Stdlib and msgspec only.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dedupd.adapters.vision.messages import FileToRead, Message
from dedupd.core.photo import Traits, Unreadable


class PrepareToRead(Message, frozen=True):
    """First of all; answered with CanRead."""

    model: str
    blockless: list[int]
    side: int
    """The least short side (px) that the embedder wants of a photo."""
    shape: dict[str, Any] | None
    """Fields of Shape: how the embedder's picture is made; None: there is no embedder."""
    card: str = ""
    """What decodes JPEGs for it, as 'cuda:0'; '': the processor."""
    memory: float = 0.0
    """Share of that card's memory."""


class CanRead(Message, frozen=True):
    """It can read now."""

    decoded: list[memoryview]
    """RGB of what its card gave for generated photos; []: the processor decodes."""


class ReadFile(Message, frozen=True):
    """Read this file; answered with FileRead."""

    file: FileToRead


class Granted(Message, frozen=True):
    """The answer to Holds and NeedRoom."""

    yes: bool


class StillReading(Message, frozen=True):
    """A sign of life."""


class Holds(Message, frozen=True):
    """Whether the index holds this content."""

    content: str


class NeedRoom(Message, frozen=True):
    """Room for a large picture; answered when there is some. No: there is never enough."""

    size: int


class LeaveRoom(Message, frozen=True):
    """So many bytes are free again; answered with nothing."""

    size: int


class FileRead(Message, frozen=True):
    """The fields of DecodedFile, arrays as their bytes; b'' for one that is not there."""

    content: str
    unreadable: Unreadable | None
    traits: Traits | None
    phashes: bytes
    within: bytes
    prepared: bytes
    small: bytes
    look: bytes

    def without(self, why: str) -> Message:
        """As of a file that could not be decoded."""
        return FileRead(
            content=self.content, unreadable=Unreadable(reason=why, content=self.content), traits=None, phashes=b"", within=b"",
            prepared=b"", small=b"", look=b"",
        )  # fmt: skip


ToReader = PrepareToRead | ReadFile | Granted
FromReader = CanRead | StillReading | Holds | NeedRoom | LeaveRoom | FileRead

from_worker: msgspec.msgpack.Decoder[ToReader] = msgspec.msgpack.Decoder(ToReader)
from_reader: msgspec.msgpack.Decoder[FromReader] = msgspec.msgpack.Decoder(FromReader)
