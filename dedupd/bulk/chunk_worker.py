"""One chunk, processed by a worker process of its own: what every engine runs, wherever it runs it.

Owns the count of a chunk: each of its pictures is a row, a twin of one, or refused. Must import no engine.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from dedupd.adapters.stores.backfill_records import ChunkRecord, PairRecord, RefusedPicture
from dedupd.adapters.stores.store import store_at
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.client import VisionWorker
from dedupd.bulk.plan import Chunk, ModelAndRecipe, Strip
from dedupd.core.photo import FileStat
from dedupd.errors import DedupdError


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What all chunks of one backfill have in common."""

    to: bytes
    """The address that rows are written to."""
    cache: bytes
    """A folder for files that an embedder needs; each machine has its own at this path."""
    embedder: str
    batch_size: int
    threads: int = 1
    """Threads that decode, in each worker."""
    stall_seconds: float = 60.0
    gpus: str = "1"
    """Cards for each worker: one, because there are as many workers as cores; '0': none."""
    gpu_memory_fraction: float = 0.9
    """Share of that card's memory, for one worker."""


class ChunkWorker:
    """A worker process that takes one chunk after another. Create it on the machine that processes the
    chunks."""

    def __init__(self, orders: Orders) -> None:
        cache = Path(os.fsdecode(orders.cache))
        cache.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._orders = orders
        # No index is ever opened: rows are written to a file of their chunk.
        self._worker = VisionWorker(
            cache / "no-index", cache, orders.embedder, batch_size=orders.batch_size, idle_seconds=3600.0,
            stall_seconds=orders.stall_seconds, jobs=orders.threads,
            gpus=orders.gpus, gpu_memory_fraction=orders.gpu_memory_fraction,
        )  # fmt: skip

    def model_and_recipe(self) -> ModelAndRecipe:
        """The model and the recipe that the rows come from. Raises VisionError."""
        status = self._worker.status()
        return ModelAndRecipe(model=status.model, recipe=status.recipe)

    def process(self, chunk: Chunk) -> ChunkRecord:
        """Process a whole chunk; its file of rows is written when this returns. Raises DedupdError."""
        files = [
            messages.FileToRead(
                key=key, path=name, stat=FileStat(size=size, mtime_ns=0, ctime_ns=0, dev=0, ino=0)
            )
            for key, (name, size) in enumerate(zip(chunk.names, chunk.sizes, strict=True))
        ]
        gathered, looked = self._worker.gather(
            messages.Gather(source=chunk.source, files=files, alone=[], to=self._orders.to, name=chunk.key)
        )
        return _record(chunk, self.model_and_recipe(), gathered, looked)

    def pair(self, strip: Strip) -> PairRecord:
        """Compare the rows of a strip; its file of pairs is written when this returns. Raises DedupdError."""
        paired = self._worker.pair(
            messages.PairBlocks(
                place=strip.place, left=strip.left, rights=strip.rights, with_itself=strip.with_itself,
                bar=strip.bar, name=strip.key,
            )
        )  # fmt: skip
        return PairRecord(
            key=strip.key, left=strip.number, rights=strip.numbers, file=paired.file, digest=paired.digest,
            size=paired.size, pairs=paired.pairs,
        )  # fmt: skip

    def rest(self) -> None:
        """End the worker process."""
        self._worker.rest()


def _record(
    chunk: Chunk,
    model_and_recipe: ModelAndRecipe,
    gathered: messages.Gathered,
    looked: Iterable[messages.FileIngested],
) -> ChunkRecord:
    contents: dict[str, None] = {}
    refused: list[RefusedPicture] = []
    answered: set[int] = set()
    source = store_at(os.fsdecode(chunk.source)).shown
    twins = 0
    for each in looked:
        answered.add(each.key)
        if each.traits is None:
            reason = "not answered" if each.unreadable is None else each.unreadable.reason
            passing = each.unreadable is None or each.unreadable.retry
            at = f"{source}/{os.fsdecode(chunk.names[each.key])}"
            refused.append(RefusedPicture(name=_written(at), reason=reason, passing=passing))
        elif each.decoded and each.traits.content not in contents:
            contents[each.traits.content] = None
        else:  # decoded or not: of two that were seen at the same time, one has the row
            twins += 1
    counted = len(contents) + twins + len(refused)
    if not len(answered) == counted == len(chunk.names) or gathered.rows != len(contents):
        raise DedupdError(
            f"a chunk of {len(chunk.names)} pictures came to {gathered.rows} rows, {twins} twins and "
            f"{len(refused)} refused: that does not add up, so it does not count"
        )
    return ChunkRecord(
        key=chunk.key, model=model_and_recipe.model, recipe=model_and_recipe.recipe, inputs=len(chunk.names), contents="".join(contents),
        twins=twins, refused=sorted(refused, key=lambda r: r.name), file=gathered.file, digest=gathered.digest,
        size=gathered.size,
    )  # fmt: skip


def _written(name: str) -> str:
    """A name that JSON can hold: bytes that are no text become backslash escapes."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
