"""A cluster of this machine: what it makes is what the pool makes; what a lost actor had is done by another, never for ever."""

from __future__ import annotations

import os
import signal
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

from dedupd.adapters.stores.backfill_records import ChunkRecord, PairRecord, commits, pair_commit
from dedupd.adapters.stores.store import LocalStore
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.bulk import on_ray, pool
from dedupd.bulk.backfill import backfill
from dedupd.bulk.chunk_worker import Orders
from dedupd.bulk.compare_rows import compare_rows
from dedupd.bulk.plan import Chunk, ModelAndRecipe, Strip
from dedupd.bulk.pool import FailedChunk
from dedupd.core.foreign import Scope
from tests.support.pictures import picture

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

    def pair(self, strip: Strip) -> PairRecord:
        met = Path(os.fsdecode(strip.place), strip.key)
        if strip.key == "once" and not met.exists():
            met.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return PairRecord(key=strip.key, left=0, rights=[0], file="", digest="", size=0, pairs=0)


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


def test_a_strip_that_is_lost_is_handed_out_again(cluster: on_ray.Cluster, tmp_path: Path) -> None:
    made = cluster._ray.remote(num_cpus=1, max_restarts=0)(DyingActor)
    strips = deque(
        Strip(
            key=key, place=os.fsencode(tmp_path), left=[], rights=[], with_itself=True, bar=None, number=0, numbers=[]
        )
        for key in ("a", "once", "b")
    )  # fmt: skip
    found = list(cluster._hand_out(strips, made.remote, 2))
    assert sorted(each.key for each in found if isinstance(each, PairRecord)) == ["a", "b", "once"]
    assert len(found) == 3


def test_rows_and_pairs_of_a_cluster_are_those_of_the_pool(cluster: on_ray.Cluster, tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for seed in range(24):
        picture(seed, (120, 90)).save(source / f"{seed}.jpg", quality=90)
        picture(seed, (100, 75)).save(source / f"{seed} small.jpg", quality=80)
    found = list[tuple[Any, ...]]()
    for name in ("pool", "ray"):
        to = tmp_path / name
        orders = Orders(
            to=os.fsencode(to), cache=os.fsencode(tmp_path / "cache"), embedder="hashes", batch_size=8
        )
        run = pool.run if name == "pool" else cluster.run
        more = {} if name == "pool" else {"on_cards": False}

        def engine(work: Any, orders: Orders = orders, run: Any = run, more: Any = more) -> Any:
            return run(work, orders, 2, **more)

        eyes = ModelAndRecipe(model="", recipe=RECIPE)
        outcome = backfill([str(source)], str(to), eyes, engine, Scope(), size=8)
        assert outcome.complete and outcome.rows == 48
        compared = compare_rows(str(to), eyes, None, engine, rows=8, blocks=2)
        store = LocalStore(str(to))
        assert compared.missing == 0 and compared.strips > 2 and compared.pairs >= 24
        found.append((commits(store), pair_commit(store, "", RECIPE)))
    assert found[0] == found[1], "the same names and digests of all files"
