"""A process that reads photos for the worker, one at a time.

Started by readers.py, several at once. Asks the worker what only the worker knows: whether the index holds a
content, and whether there is memory for a large picture. Must never write, open the index, or outlive the
worker.
"""

from __future__ import annotations

import resource
import select
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision import small
from dedupd.adapters.vision.child import Parent, limit_itself, return_free_memory, say, take_over_stdio
from dedupd.adapters.vision.decode import BLOCKLESS
from dedupd.adapters.vision.embedders.base import Shape
from dedupd.adapters.vision.file_reading import DecodedFile, read_file
from dedupd.adapters.vision.messages import Message
from dedupd.adapters.vision.reader_messages import (
    CanRead,
    FileRead,
    Granted,
    Holds,
    LeaveRoom,
    NeedRoom,
    PrepareToRead,
    ReadFile,
    StillReading,
    ToReader,
    from_worker,
)  # fmt: skip
from dedupd.adapters.vision.refused import Refused
from dedupd.adapters.vision.room import ROOM
from dedupd.adapters.vision.shapes import ShapedPictures

_LIBRARIES = 1 << 30
"""Bytes of address space beside those that pictures are granted."""
_SMALL_ROOM = 8 << 20
"""Bytes that a process takes without asking: enough for a camera's photo, decoded small."""
_IDLE_SECONDS = 0.5


class _Worker(Parent):
    """The connection to the worker."""

    def wait_for_order(self) -> None:
        """Until there is one. Whoever waits long keeps no freed memory, which a large picture elsewhere may need."""
        if not select.select([self.incoming], [], [], _IDLE_SECONDS)[0]:
            return_free_memory()

    def next(self) -> ToReader:
        return from_worker.decode(self.body())

    def grants(self, question: Message) -> bool:
        self.tell(question)
        answer = self.next()
        return isinstance(answer, Granted) and answer.yes


class _SharedRoom:
    """The Room that all processes share: the worker keeps it."""

    def __init__(self, worker: _Worker) -> None:
        self._worker = worker

    @contextmanager
    def taken(self, need: int) -> Generator[None]:
        if need <= _SMALL_ROOM:
            yield
            return
        if not self._worker.grants(NeedRoom(size=need)):
            raise Refused("too large: it does not fit in the worker's memory")
        try:
            yield
        finally:
            self._worker.tell(LeaveRoom(size=need))


def main() -> None:
    """Serve until stdin closes."""
    limit_itself(ROOM + _LIBRARIES)
    worker = _Worker(*take_over_stdio())
    said = worker.next()
    assert isinstance(said, PrepareToRead)
    BLOCKLESS.update(said.blockless)
    decoded = _use(said.card, said.memory) if said.card else []
    small.share_room(_SharedRoom(worker))
    pictures = None if said.shape is None else ShapedPictures(Shape(**said.shape), said.side)
    worker.tell(CanRead(decoded=[np.ascontiguousarray(each).data for each in decoded]))
    while True:
        worker.wait_for_order()
        order = worker.next()
        assert isinstance(order, ReadFile)
        found = read_file(
            order.file, lambda content: worker.grants(Holds(content=content)), lambda: pictures, said.model,
            lambda: worker.tell(StillReading()), looks=not said.card,
        )  # fmt: skip
        worker.tell(_told(found))


def _use(card: str, memory: float) -> list[NDArray[np.uint8]]:
    """Have the card decode, with this share of its memory: what it gives for generated photos. Where it cannot be had, the
    processor does."""
    from dedupd.adapters.vision.card_jpeg import CardJpegs, decode_made_up, decoder_on

    limit_itself(resource.RLIM_INFINITY)  # the driver maps far more than it uses
    try:
        decode = decoder_on(card, memory)
        decoded = decode_made_up(decode)
        small.use_card(CardJpegs(decode))
    except Exception as error:  # noqa: BLE001
        # Whatever keeps a broken installation from being imported.
        say(f"{card} decodes no photos ({type(error).__name__}): the processor does")
        return []
    return decoded


def _told(found: DecodedFile) -> FileRead:
    return FileRead(
        content=found.content, unreadable=found.unreadable, traits=found.traits, phashes=_bytes(found.phashes),
        within=_bytes(found.within), prepared=_bytes(found.prepared), small=_bytes(found.small),
        look=found.look or b"",
    )  # fmt: skip


def _bytes(array: NDArray[Any] | None) -> bytes:
    return b"" if array is None else np.ascontiguousarray(array).tobytes()


if __name__ == "__main__":
    main()
