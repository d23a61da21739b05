"""A cluster of this machine: a lost actor's chunk is seen by another, and a chunk that loses every actor is given up."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from dedupd.adapters.stores.backfill_records import ChunkRecord
from dedupd.bulk import on_ray
from dedupd.bulk.plan import Chunk
from dedupd.bulk.pool import FailedChunk

pytestmark = pytest.mark.slow


class Seer:
    """In the place of what sees: 'once' kills its process the first time, 'always' each time."""

    def __init__(self, orders: Any) -> None: ...

    def process(self, chunk: Chunk) -> ChunkRecord:
        met = Path(os.fsdecode(chunk.source), chunk.key)
        if chunk.key == "always" or (chunk.key == "once" and not met.exists()):
            met.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return ChunkRecord(
            key=chunk.key, model="", recipe="", inputs=1, contents="", twins=0, refused=[], file="", digest=""
        )


class DyingActor(on_ray._Actor):
    def __init__(self) -> None:
        self._worker: Any = Seer(None)


@pytest.fixture(scope="module")
def cluster() -> Iterator[on_ray.Cluster]:
    with on_ray.Cluster(None, 2) as cluster:
        yield cluster


def test_what_is_lost_is_handed_out_again_and_never_for_ever(cluster: on_ray.Cluster, tmp_path: Path) -> None:
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    made = cluster._ray.remote(num_cpus=1, max_restarts=0)(DyingActor)
    keys = ["a", "once", "b", "always", "c"]
    chunks = deque(Chunk(key=key, source=os.fsencode(tmp_path), names=[b"x"], sizes=[1]) for key in keys)
    found = list(cluster._hand_out(chunks, made.remote, 2))
    assert sorted(each.key for each in found if isinstance(each, ChunkRecord)) == ["a", "b", "c", "once"]
    (lost,) = (each for each in found if isinstance(each, FailedChunk))
    assert lost.chunk.key == "always"
    assert "lost 3 times" in lost.reason
