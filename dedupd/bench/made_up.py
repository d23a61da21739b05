"""Generated rows in a real index, searched as at an import: by the same bars and in the same blocks.

    python -m dedupd.bench.made_up PHOTOS RUNS DIMENSIONS      the costs, as one JSON line

A tenth of the photos are copies, a tenth have no clock, none has a small picture. Must never touch an
existing index.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.content_set import unpacked_ids
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRow
from dedupd.adapters.vision.candidates.coarse import SIDE, GreyPictures
from dedupd.adapters.vision.candidates.search import Search, propose
from dedupd.adapters.vision.candidates.whole_index import WholeIndex
from dedupd.core.photo import Traits
from dedupd.pipeline.compare import FRESH

_BAR = 0.78
"""EfficientNet-Lite0's bar across months."""
_WHOLE = 200_000
"""Photos up to which all are searched for; of more, a number of blocks."""
_BLOCKS = 8
_AMONG = 500
"""Photos among which some with and some without a date are found."""


def search(photos: int, runs: int, dimensions: int) -> dict[str, Any]:
    """The costs of this process."""
    columns: dict[str, list[float]] = {
        name: [] for name in ("candidates_cpu_s", "ready_cpu_s", "one_photo_ms", "one_undated_ms")
    }
    with tempfile.TemporaryDirectory(prefix="dedupd-scale-") as temporary:
        # Elsewhere, so that the memory is that of the search alone.
        with ProcessPoolExecutor(1, get_context("spawn")) as another:
            another.submit(_make, Path(temporary), photos, dimensions).result()
        starts = range(0, photos, FRESH)
        if photos > _WHOLE:
            starts = starts[:: -(-len(starts) // _BLOCKS)]
        searched = pairs = 0
        for _ in range(runs):
            insides = PhotoIndex(Path(temporary), "made-up-inside", "1", lambda: 0)
            index = PhotoIndex(Path(temporary), "made-up", "1", lambda: dimensions)
            for name, undated in (("one_photo_ms", False), ("one_undated_ms", True)):
                columns[name].append(1000 * statistics.median(_each(index, insides, undated=undated)))
            index = PhotoIndex(Path(temporary), "made-up", "1", lambda: dimensions)  # not prepared yet
            began = time.process_time()
            index.made(WholeIndex)
            ready = time.process_time() - began
            cost, pairs = _blocks(index, insides, starts)
            searched = sum(min(FRESH, photos - start) for start in starts)
            columns["ready_cpu_s"].append(ready)
            columns["candidates_cpu_s"].append(ready + cost * photos / searched)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
    return {"searched": searched, "pairs": pairs, "search_mb": round(peak, 1), "columns": columns}


def _make(folder: Path, photos: int, dimensions: int) -> None:
    """An index of made-up rows."""
    index = PhotoIndex(folder, "made-up", "1", lambda: dimensions)
    for rows in _rows(photos, dimensions):
        index.add(rows)


def _blocks(index: PhotoIndex, insides: PhotoIndex, starts: range) -> tuple[float, int]:
    """CPU seconds and pairs of some blocks; those between them count as searched for, as in a whole run."""
    before, cost, pairs, done = index.made(WholeIndex).found_before(_BAR), 0.0, 0, 0
    for start in starts:
        for passed in range(done, start, FRESH):
            places = index.made(WholeIndex).places(_names(index.ids()[passed : passed + FRESH]))
            before.add(places, [], np.ones(len(places), bool))
        began = time.process_time()
        pairs += _candidates(index, insides, _names(index.ids()[start : start + FRESH]))
        cost, done = cost + time.process_time() - began, start + FRESH
    return cost, pairs


def _each(index: PhotoIndex, insides: PhotoIndex, *, undated: bool) -> list[float]:
    """CPU seconds for each of five photos, with or without a date."""
    first = index.traits(_names(index.ids()[:_AMONG]))
    chosen = [name for name, traits in sorted(first.items()) if (traits.captured is None) == undated][:6]
    # The first of them prepares.
    return [_one(index, insides, name) for name in chosen][1:] or [0.0]


def _one(index: PhotoIndex, insides: PhotoIndex, content: str) -> float:
    began = time.process_time()
    _candidates(index, insides, [content])
    return time.process_time() - began


def _names(packed: NDArray[np.bytes_]) -> list[str]:
    return [name.decode() for name in unpacked_ids(packed)]


def _candidates(index: PhotoIndex, insides: PhotoIndex, fresh: Sequence[str]) -> int:
    """The number of pairs of these photos, each pair among them once."""

    def unknown(contents: Sequence[str]) -> GreyPictures:
        count = len(contents)
        return GreyPictures(
            pixels=np.zeros((count, SIDE, SIDE), np.uint8), shapes=np.zeros(count, np.float32)
        )

    left, pairs = list(fresh), 0
    while left:
        found = propose(index, insides, unknown, Search(fresh=left, among=None, bar=_BAR))
        left, pairs = found.left, pairs + len(found.pairs)
    return pairs


def _rows(photos: int, dimensions: int, at_once: int = 4096) -> Iterator[list[PhotoRow]]:
    """Photos whose vectors have the similarities of real photos: cosine 0.35 on average, standard deviation
    0.08."""

    rng = np.random.default_rng(photos)
    spectrum = np.arange(1, dimensions + 1, dtype=np.float32) ** -0.9
    spread, mean = np.sqrt(0.654 * spectrum / spectrum.sum()), np.zeros(dimensions, np.float32)
    mean[-1] = np.sqrt(0.346)
    for start in range(0, photos, at_once):
        count = min(at_once, photos - start)
        vectors = mean + spread * rng.standard_normal((count, dimensions), np.float32)
        hashes = rng.integers(0, np.iinfo(np.uint64).max, (count, 8), np.uint64, endpoint=True)
        clocks = rng.uniform(0, 20 * 365 * 86400, count)
        for copy in range(10, count, 10):
            of = int(rng.integers(0, copy))
            vectors[copy] = vectors[of] + 0.3 * spread * rng.standard_normal(dimensions, np.float32)
            flips = rng.permutation(64)[: int(rng.integers(0, 13))].astype(np.uint64)
            hashes[copy] = hashes[of] ^ np.bitwise_or.reduce(np.uint64(1) << flips, initial=np.uint64(0))
            clocks[copy] = clocks[of]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        clocks[rng.random(count) < 0.1] = np.nan
        yield [
            PhotoRow(
                traits=Traits(
                    content=rng.bytes(32).hex(), recipe="1", model="made-up", format="JPEG", width=4000, height=3000,
                    phash=int(hashes[row, 0]), dhash=0, captured=None if np.isnan(clocks[row]) else float(clocks[row]),
                ),
                phashes=hashes[row],
                vector=vectors[row],
            )
            for row in range(count)
        ]  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(search(*map(int, sys.argv[1:]))))
