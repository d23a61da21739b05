"""The engine for one machine: as many worker processes as there are cores, each with a chunk of its own, and together
with no more of a graphics card than its owner allows.

Must never wait for ever: a chunk that cannot be processed comes back with its reason.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from dedupd.adapters.stores.backfill_records import ChunkRecord, PairRecord
from dedupd.bulk.chunk_worker import ChunkWorker, Orders
from dedupd.bulk.plan import Chunk, Work
from dedupd.errors import DedupdError


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedChunk:
    """A chunk that could not be processed, or a strip that could not be compared; not the fault of a picture."""

    chunk: Work
    reason: str


Finished = ChunkRecord | PairRecord | FailedChunk
_FRUITLESS = 3
"""Pieces of work that failed in a row, with none done between: the cause is not the pieces. Then the engine
stops."""


def done_of(seen: Iterable[Finished], reasons: dict[str, None]) -> Iterator[ChunkRecord | PairRecord]:
    """What an engine has done, as it comes; ends when piece after piece fails. Why some failed becomes a key of `reasons`."""
    fruitless = 0
    for each in seen:
        if not isinstance(each, FailedChunk):
            fruitless = 0
            yield each
            continue
        reasons[each.reason] = None
        fruitless += 1
        if fruitless >= _FRUITLESS:
            return


def run(chunks: Iterable[Work], orders: Orders, workers: int) -> Iterator[Finished]:
    """Process every chunk, or compare every strip; results are yielded in the order in which they finish."""
    waiting: queue.SimpleQueue[Work] = queue.SimpleQueue()
    count = 0
    for chunk in chunks:
        waiting.put(chunk)
        count += 1
    done: queue.SimpleQueue[Finished] = queue.SimpleQueue()
    stop = threading.Event()
    workers = min(workers, count)
    orders = msgspec.structs.replace(orders, gpu_memory_fraction=orders.gpu_memory_fraction / max(1, workers))
    # As daemon threads: an interrupted command does not wait for its chunks, and the processes end with it.
    for number in range(workers):
        threading.Thread(
            target=_work, args=(waiting, done, stop, orders), name=f"chunks-{number}", daemon=True
        ).start()
    try:
        for _ in range(count):
            yield done.get()
    finally:
        stop.set()


def _work(
    waiting: queue.SimpleQueue[Work], done: queue.SimpleQueue[Finished], stop: threading.Event, orders: Orders
) -> None:
    worker = ChunkWorker(orders)
    try:
        while not stop.is_set():
            try:
                chunk = waiting.get_nowait()
            except queue.Empty:
                return
            done.put(_run_one(worker, chunk))
    finally:
        worker.rest()


def _run_one(worker: ChunkWorker, chunk: Work) -> Finished:
    try:
        return worker.process(chunk) if isinstance(chunk, Chunk) else worker.pair(chunk)
    except DedupdError as error:
        return FailedChunk(chunk=chunk, reason=str(error))
    except Exception as error:  # noqa: BLE001
        # Any error is caught, because the driver waits for an answer to each chunk.
        return FailedChunk(chunk=chunk, reason=f"{type(error).__name__}: {error}"[:200])
