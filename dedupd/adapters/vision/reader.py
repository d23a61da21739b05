"""A process that reads photos for the worker, one at a time.

Started by readers.py, several at once. Asks the worker what only the worker knows: whether the index holds a
content, and whether there is memory for a large picture. Must never write, open the index, or outlive the
worker.
"""

from __future__ import annotations

import os
import resource
import select
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.vision import small
from dedupd.adapters.vision.child import limit_itself, return_free_memory, take_over_stdio
from dedupd.adapters.vision.decode import BLOCKLESS
from dedupd.adapters.vision.embedders.base import Shape
from dedupd.adapters.vision.file_reading import DecodedFile, read_file
from dedupd.adapters.vision.messages import Message, Unframer, answer_frame
from dedupd.adapters.vision.reader_messages import (
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
_PART = 1 << 16
_IDLE_SECONDS = 0.5


class _Worker:
    """The connection to the worker."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._unframer = Unframer()

    def wait_for_order(self) -> None:
        """Until there is one. Whoever waits long keeps no freed memory, which a large picture elsewhere may need."""
        if not select.select([self._incoming], [], [], _IDLE_SECONDS)[0]:
            return_free_memory()

    def next(self) -> ToReader:
        """The worker's next message. Ends this process when the worker is gone."""
        while (body := self._unframer.next()) is None:
            part = os.read(self._incoming, _PART)
            if not part:
                os._exit(0)
            self._unframer.feed(part)
        return from_worker.decode(body)

    def tell(self, message: Message) -> None:
        left = memoryview(answer_frame(message))
        while left:
            left = left[os.write(self._outgoing, left) :]

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
    if said.card:
        _use(said.card)
    small.share_room(_SharedRoom(worker))
    pictures = None if said.shape is None else ShapedPictures(Shape(**said.shape), said.side)
    worker.tell(StillReading())
    while True:
        worker.wait_for_order()
        order = worker.next()
        assert isinstance(order, ReadFile)
        found = read_file(
            order.file, lambda content: worker.grants(Holds(content=content)), lambda: pictures, said.model,
            lambda: worker.tell(StillReading()), looks=not said.card,
        )  # fmt: skip
        worker.tell(_told(found))


def _use(card: str) -> None:
    """Have the card decode; where it cannot be had, the processor does."""
    from dedupd.adapters.vision.card_jpeg import CardJpegs, torchvision_decoder

    limit_itself(resource.RLIM_INFINITY)  # the driver maps far more than it uses
    try:
        small.use_card(CardJpegs(torchvision_decoder(card)))
    except Exception as error:  # noqa: BLE001
        # Whatever keeps a broken installation from being imported.
        print(
            f"{card} decodes no photos ({type(error).__name__}): the processor does",
            file=sys.stderr,
            flush=True,
        )


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
