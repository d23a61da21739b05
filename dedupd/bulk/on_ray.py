"""The engine for a cluster: one Ray actor for each graphics card, or else for each core, each with its own
worker process.

Ray places the actors and reports which are lost; a lost chunk is tried again a few times, but not for ever.
Rows never travel through Ray: each worker writes its own. Must switch Ray's usage statistics off before the
import, and must leave its token authentication as it is. The only module that imports ray.
"""

# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import msgspec

from dedupd.adapters.stores.backfill_records import ChunkRecord, PairRecord
from dedupd.bulk.chunk_worker import ChunkWorker, Orders
from dedupd.bulk.plan import Chunk, Strip, Work
from dedupd.bulk.pool import FailedChunk, Finished
from dedupd.errors import DedupdError, UsageError

_TRIES = 3
"""Times that a chunk is given out, because a machine that disappears is not the chunk's fault."""
_PATIENCE_SECONDS = 1800.0
"""Seconds without any answer after which the cluster counts as not working."""


class _Actor:
    """Runs in one of Ray's processes: takes chunks and returns records, both as bytes."""

    def __init__(self, orders: bytes) -> None:
        self._worker = ChunkWorker(msgspec.msgpack.decode(orders, type=Orders))

    def process(self, chunk: bytes) -> tuple[bytes, str]:
        """(record, ''), or (b'', the reason why there is none)."""
        return self._answered(lambda: self._worker.process(msgspec.msgpack.decode(chunk, type=Chunk)))

    def pair(self, strip: bytes) -> tuple[bytes, str]:
        """The same for a strip."""
        return self._answered(lambda: self._worker.pair(msgspec.msgpack.decode(strip, type=Strip)))

    @staticmethod
    def _answered(do: Callable[[], ChunkRecord | PairRecord]) -> tuple[bytes, str]:
        try:
            return msgspec.msgpack.encode(do()), ""
        except DedupdError as error:
            return b"", str(error)


class Cluster:
    """A connection to Ray: to the cluster at `address`, or to one that is started here and ends with the
    connection."""

    def __init__(self, address: str | None, workers: int | None) -> None:
        """Raises UsageError when Ray is not installed, DedupdError when nothing answers."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ModuleNotFoundError:
            raise UsageError(
                "`--engine ray` needs what this installation lacks: pip install 'dedupd[distributed]'"
            ) from None
        self._ray: Any = ray
        options: dict[str, Any] = (
            {"address": address} if address else {"include_dashboard": False, "num_cpus": workers}
        )
        try:
            ray.init(log_to_driver=False, configure_logging=False, **options)
        except Exception as error:  # noqa: BLE001
            # Ray raises whatever its libraries raise.
            first = (str(error).splitlines() or ["no reason given"])[0][:200]
            raise DedupdError(f"no Ray cluster answers at {address or 'this machine'} ({first})") from None
        self._has = {name: int(count) for name, count in ray.cluster_resources().items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def run(
        self, chunks: Iterable[Work], orders: Orders, workers: int | None, *, on_cards: bool
    ) -> Iterator[Finished]:
        """Process every chunk, or compare every strip. `on_cards`: the embedder can use a graphics card, so
        each actor gets one where there are any."""
        cards = self._has.get("GPU", 0) if on_cards else 0
        cores = max(1, self._has.get("CPU", 1))
        count = workers or cards or cores
        if cards:
            threads = max(1, cores // cards)
            needs, orders = (
                {"num_gpus": 1, "num_cpus": threads},
                msgspec.structs.replace(orders, threads=threads),
            )
        else:
            needs = {"num_cpus": 1}
        made = self._ray.remote(**needs, max_restarts=0, max_task_retries=0)(_Actor)
        said = msgspec.msgpack.encode(orders)
        yield from self._hand_out(deque(chunks), lambda: made.remote(said), count)

    def _hand_out(self, waiting: deque[Work], actor: Any, count: int) -> Iterator[Finished]:
        ray, tries = self._ray, Counter[str]()
        idle = deque(actor() for _ in range(min(count, len(waiting))))
        running: dict[Any, tuple[Any, Work]] = {}
        while waiting or running:
            while waiting and idle:
                chosen, chunk = idle.popleft(), waiting.popleft()
                ask = chosen.process if isinstance(chunk, Chunk) else chosen.pair
                running[ask.remote(msgspec.msgpack.encode(chunk))] = chosen, chunk
            done, _ = ray.wait(list(running), num_returns=1, timeout=_PATIENCE_SECONDS)
            if not done:
                raise DedupdError(
                    "the Ray cluster does not answer any more: what is finished is kept, run it again"
                )
            chosen, chunk = running.pop(done[0])
            try:
                record, reason = ray.get(done[0])
            except ray.exceptions.RayError as error:
                tries[chunk.key] += 1
                idle.append(actor())
                if tries[chunk.key] < _TRIES:
                    waiting.append(chunk)
                else:
                    first = (str(error).splitlines() or ["lost"])[0][:200]
                    yield FailedChunk(
                        chunk=chunk, reason=f"the machine that saw it was lost {_TRIES} times ({first})"
                    )
                continue
            idle.append(chosen)
            yield (
                msgspec.msgpack.decode(record, type=ChunkRecord if isinstance(chunk, Chunk) else PairRecord)
                if record
                else FailedChunk(chunk=chunk, reason=reason)
            )
