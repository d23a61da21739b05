"""The count of a chunk, and chunks that many workers take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from dedupd.adapters.stores.backfill_records import ChunkRecord
from dedupd.adapters.vision import messages
from dedupd.bulk import chunk_worker, pool
from dedupd.bulk.chunk_worker import Orders
from dedupd.bulk.plan import Chunk, ModelAndRecipe
from dedupd.bulk.pool import FailedChunk
from dedupd.core.photo import Traits, Unreadable
from dedupd.errors import DedupdError, VisionError

EYES = ModelAndRecipe(model="m", recipe="1")
ORDERS = Orders(to=b"/rows", cache=b"/cache", embedder="hashes", batch_size=2)


def chunk(key: str, *names: bytes) -> Chunk:
    return Chunk(key=key, source=b"/photos", names=list(names), sizes=[1] * len(names))


def traits(content: str) -> Traits:
    return Traits(content=content, recipe="1", model="m", format="JPEG", width=1, height=1, phash=1, dhash=1)


def row(key: int, content: str, *, decoded: bool = True) -> messages.FileIngested:
    return messages.FileIngested(key=key, traits=traits(content * 64), unreadable=None, decoded=decoded)


def refused(key: int) -> messages.FileIngested:
    return messages.FileIngested(key=key, traits=None, unreadable=Unreadable(reason="odd"), decoded=True)


def counted(rows: int, looked: Sequence[messages.FileIngested]) -> ChunkRecord:
    gathered = messages.Gathered(file="f", digest="d", size=9, rows=rows)
    return chunk_worker._record(chunk("k", b"a", b"b", b"c\xff", b"d"), EYES, gathered, looked)


def test_each_picture_is_a_row_a_twin_or_refused() -> None:
    record = counted(1, [row(0, "a"), row(1, "a"), refused(2), row(3, "a", decoded=False)])
    assert (record.inputs, record.rows, record.twins) == (4, 1, 2), (
        "decoded at the same time, one has the row"
    )
    assert [each.name for each in record.refused] == ["/photos/c\\xff"]


@pytest.mark.parametrize(
    ("rows", "looked"),
    [
        (2, [row(0, "a"), row(1, "a"), refused(2), row(3, "b", decoded=False)]),
        (1, [row(0, "a"), refused(1), refused(2)]),
        (1, [row(0, "a"), refused(1), refused(2), refused(2)]),
        (1, [row(0, "a"), refused(1), refused(2), refused(3), refused(3)]),
    ],
)
def test_what_does_not_add_up_does_not_count(rows: int, looked: list[messages.FileIngested]) -> None:
    with pytest.raises(DedupdError, match="does not add up"):
        counted(rows, looked)


class Seer:
    """Sees nothing, and says so in three ways."""

    rested = 0
    shares: ClassVar[list[float]] = []

    def __init__(self, orders: Orders) -> None:
        assert (orders.to, orders.cache, orders.embedder) == (ORDERS.to, ORDERS.cache, ORDERS.embedder)
        Seer.shares.append(orders.gpu_memory_fraction)

    def process(self, chunk: Chunk) -> Any:
        if chunk.key == "3":
            raise VisionError("no model")
        if chunk.key == "5":
            raise RuntimeError("a bug")
        return chunk.key

    def rest(self) -> None:
        Seer.rested += 1


def test_every_chunk_of_a_pool_comes_back_once_with_its_reason_when_it_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pool, "ChunkWorker", Seer)
    chunks = [chunk(str(n)) for n in range(9)]
    found: list[Any] = list(pool.run(chunks, ORDERS, 3))
    assert Seer.shares == [pytest.approx(0.3)] * 3, "of a card's memory, together no more than allowed"
    failed = {each.chunk.key: each.reason for each in found if isinstance(each, FailedChunk)}
    assert failed == {"3": "no model", "5": "RuntimeError: a bug"}
    assert sorted(each for each in found if isinstance(each, str)) == ["0", "1", "2", "4", "6", "7", "8"]
