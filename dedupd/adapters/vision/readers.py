"""Processes that read photos for the worker, for machines with more cores than threads of one process can use.

Owns their life: each is started when it is first needed, reads one file at a time, and is replaced when it
crashes. A file that crashes two of them is set aside. All processes share one limit of memory for decoding.
Worker process only.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict

import msgspec
import numpy as np
from PIL import Image

from dedupd.adapters.vision import messages
from dedupd.adapters.vision.accelerators import DECODERS, share_to_decode
from dedupd.adapters.vision.candidates.coarse import SIDE
from dedupd.adapters.vision.child import say
from dedupd.adapters.vision.embedders.base import Embedder, Shape
from dedupd.adapters.vision.file_reading import DecodedFile
from dedupd.adapters.vision.reader_messages import (
    CanRead,
    FileRead,
    FromReader,
    Granted,
    Holds,
    LeaveRoom,
    NeedRoom,
    PrepareToRead,
    ReadFile,
    StillReading,
    from_reader,
)  # fmt: skip
from dedupd.adapters.vision.refused import Refused
from dedupd.adapters.vision.room import TakesRoom
from dedupd.adapters.vision.worker_process import WorkerDied, WorkerProcess
from dedupd.core.photo import Unreadable

READER = "dedupd.adapters.vision.reader"
_START_SECONDS = 120.0
_TRIES = 2
"""Processes that one file may crash."""


class Readers:
    """As many processes as there are threads that call `read`; thread-safe."""

    def __init__(
        self,
        embedder: Embedder | None,
        shape: Shape | None,
        model: str,
        blockless: set[int],
        room: TakesRoom,
        cards: Sequence[str] = (),
    ) -> None:
        """`shape`: how the embedder's pictures are resized; the processes resize, the embedder does the rest
        here. `cards`: some processes decode on each of these cards; the others use the CPU at the same time.
        """
        assert embedder is None or shape is not None
        self._embedder, self._shape, self._room = embedder, shape, room
        self._said = PrepareToRead(
            model=model, blockless=sorted(blockless), side=embedder.side if embedder else 0,
            shape=asdict(shape) if shape else None,
        )  # fmt: skip
        # Last in, first out: processes that are not needed stay idle, and their memory can be swapped out.
        self._idle: queue.LifoQueue[WorkerProcess] = queue.LifoQueue()
        self._start = True
        self._cards: queue.SimpleQueue[str] = queue.SimpleQueue()
        for card in list(cards) * DECODERS:
            self._cards.put(card)
        self._refused: set[str] = set()

    def read(
        self, file: messages.FileToRead, holds: Callable[[str], bool], alive: Callable[[], None]
    ) -> DecodedFile | None:
        """As read_file, in one of the processes. None when no process can be started; no file is to blame then."""
        died = ""
        for _ in range(_TRIES):
            process = self._one()
            if process is None:
                return None
            try:
                return self._read(process, file, holds, alive)
            except WorkerDied as death:
                died = str(death)
        return DecodedFile(key=file.key, unreadable=Unreadable(reason=f"{died} on it twice"))

    def _read(
        self,
        process: WorkerProcess,
        file: messages.FileToRead,
        holds: Callable[[str], bool],
        alive: Callable[[], None],
    ) -> DecodedFile:
        whole = False
        try:
            found = self._converse(process, file, holds, alive)
            whole = True
        finally:
            if whole:
                self._idle.put(process)
            else:
                process.kill()
        return found

    def _one(self) -> WorkerProcess | None:
        with suppress(queue.Empty):
            while True:
                process = self._idle.get_nowait()
                if process.alive():
                    return process
                process.kill()  # it ended while idle; no file is to blame
        while self._start:
            said = self._said
            with suppress(queue.Empty):
                said = msgspec.structs.replace(said, card=self._cards.get_nowait(), memory=share_to_decode())
            if said.card in self._refused:
                continue
            try:
                process = WorkerProcess(READER, None)
            except OSError:  # no memory for one more, or no more processes allowed
                return None
            try:
                process.send(said)
                if self._trusts(from_reader.decode(process.body(_START_SECONDS))):
                    return process
                why = "it decodes otherwise"
            except WorkerDied as died:
                why = str(died)
            process.kill()
            if not said.card:
                self._start = False
                say(f"no process that reads starts ({why}): threads do it")
            elif said.card not in self._refused:
                self._refused.add(said.card)
                say(f"{said.card} decodes no photos ({why}): the processor does")
        return None

    def _trusts(self, ready: FromReader) -> bool:
        """Whether its card, if it uses one, decodes as the processor does."""
        assert isinstance(ready, CanRead)
        if not ready.decoded:
            return True
        from dedupd.adapters.vision.card_jpeg import gives_the_same_vectors

        return gives_the_same_vectors(ready.decoded, self._embedder)

    def _converse(
        self,
        process: WorkerProcess,
        file: messages.FileToRead,
        holds: Callable[[str], bool],
        alive: Callable[[], None],
    ) -> DecodedFile:
        process.send(ReadFile(file=file))
        with ExitStack() as taken:  # when the process crashes, its memory is free again
            while True:
                # No limit of time here: when the client hears nothing for long, it ends this worker and so these.
                said = from_reader.decode(process.body(None))
                match said:
                    case FileRead():
                        return self._decoded(file.key, said)
                    case StillReading() | CanRead():
                        alive()
                    case Holds():
                        process.send(Granted(yes=holds(said.content)))
                    case NeedRoom():
                        try:
                            taken.enter_context(self._room.taken(said.size))
                            granted = True
                        except Refused:
                            granted = False
                        process.send(Granted(yes=granted))
                    case LeaveRoom():
                        taken.close()

    def _decoded(self, key: int, said: FileRead) -> DecodedFile:
        prepared = None
        if said.prepared and self._embedder is not None and self._shape is not None:
            side = self._shape.side
            pixels = np.frombuffer(said.prepared, np.uint8).reshape(side, side, 3)
            prepared = self._embedder.prepare(Image.fromarray(pixels))
        return DecodedFile(
            key=key, content=said.content, unreadable=said.unreadable, traits=said.traits, prepared=prepared,
            phashes=np.frombuffer(said.phashes, np.uint64) if said.phashes else None,
            within=np.frombuffer(said.within, np.uint64) if said.within else None,
            small=np.frombuffer(said.small, np.uint8).reshape(SIDE, SIDE) if said.small else None,
            look=said.look or None,
        )  # fmt: skip

    def rest(self) -> None:
        """Let the idle ones go."""
        while True:
            try:
                self._idle.get_nowait().leave()
            except queue.Empty:
                return
