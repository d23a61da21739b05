"""Compares rows of a backfill with each other, on any machine: finds the pairs that may be near, for the
search to measure.

Blocks of rows are searched in the same way as the library searches its index (whole_index.py), clocks included.
A pair comes without its numbers: the search of the library measures each pair itself. So a file of pairs can
at worst leave out a pair, never invent one. Must never open an index or a picture. Worker process only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from typing import cast

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from dedupd.adapters.index.chunk_file import BareRows, bare_rows
from dedupd.adapters.index.content_set import packed_ids
from dedupd.adapters.index.heads import Directions, Heads
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRows
from dedupd.adapters.stores.backfill_records import CHUNKS, PAIRS
from dedupd.adapters.stores.store import Store, store_at
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.candidates.whole_index import Pairs, WholeIndex
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.errors import VisionError

_SLACK = 1e-3
"""Added below the bar: the library's vector may come from another machine, which differs by a step of
float16."""
_SAMPLE = 1000
"""Vectors of the left block from which the directions are learned. Any directions are correct; those of a larger
sample cost more than they save."""
_MOST_PASSING = 0.02
"""Share of the pairs of some rows. When more pass the heads, all vectors of these rows are multiplied as matrices,
which costs a fiftieth per pair."""
_EXACT = 4096
"""Pairs whose whole vectors are multiplied, at a time."""

Places = NDArray[np.intp]


class _Block:
    """A block of rows with the part of an index that `WholeIndex` reads; the places of the rows serve as content ids."""

    def __init__(self, bare: BareRows, directions: Directions | None) -> None:
        self._bare, self._directions = bare, directions
        self.dimensions = 0 if directions is None else directions.directions.shape[0]

    def scan(self) -> Iterator[PhotoRows]:
        yield _rows(self._bare)

    def ids(self) -> NDArray[np.bytes_]:
        return packed_ids(_rows(self._bare).contents)

    def heads(self, contents: NDArray[np.bytes_], ids: NDArray[np.uint64]) -> tuple[Directions, Heads]:
        assert self._directions is not None and self._bare.vectors is not None
        assert len(contents) == len(ids) == len(self._bare.vectors)
        return self._directions, self._directions.heads(self._bare.vectors)


def _rows(bare: BareRows) -> PhotoRows:
    count = len(bare.phashes)
    return PhotoRows(
        contents=[f"{place:064}" for place in range(count)], phashes=bare.phashes, vectors=bare.vectors,
        captured=bare.captured, ids=np.arange(count, dtype=np.uint64),
    )  # fmt: skip


def _whole(bare: BareRows, directions: Directions | None) -> WholeIndex:
    return WholeIndex(cast("PhotoIndex", _Block(bare, directions)))


def compare_blocks(request: messages.PairBlocks) -> messages.Paired:
    """Every near pair of the left block with the others, in a file. Raises VisionError in one sentence."""
    store = store_at(os.fsdecode(request.place))
    left = _block(store, request.left)
    rights = (
        left if request.with_itself and number == 0 else _block(store, files)
        for number, files in enumerate(request.rights)
    )
    pairs = near_rows(left, rights, request.bar)
    if request.with_itself:
        pairs = pairs[:, (pairs[0] > 0) | (pairs[1] < pairs[2])]
    if not pairs.size:
        return messages.Paired(file="", digest="", size=0, pairs=0)
    written = io.BytesIO()
    np.save(written, pairs, allow_pickle=False)
    data = written.getvalue()
    digest = blake3(data).hexdigest()
    file = f"{request.name}-{digest[:16]}.npy"
    try:
        store.write(f"{PAIRS}/{file}", data)
    except OSError as error:
        raise VisionError(f"{store.shown} cannot be written ({error.strerror or error}): make room") from None
    return messages.Paired(file=file, digest=digest, size=len(data), pairs=pairs.shape[1])


def near_rows(left: BareRows, rights: Iterable[BareRows], bar: float | None) -> NDArray[np.uint32]:
    """(3, P): number of the block, place in the left one, place in that one, for all rows that may be near,
    in order."""
    mine, directions = _rows(left), None
    if bar is not None and left.vectors is not None:
        directions = Directions.learned(left.vectors[:_SAMPLE])
    found = [np.empty((3, 0), np.int64)]
    hashes, clocks, starts = list[NDArray[np.uint64]](), list[NDArray[np.float64]](), [0]
    for number, right in enumerate(rights):
        if bar is not None and directions is not None:
            for ones, others in _over_the_bar(mine, right, directions, bar - _SLACK):
                found.append(np.stack([np.full(len(ones), number), ones, others]))
        hashes.append(right.phashes)
        clocks.append(right.captured)
        starts.append(starts[-1] + len(right.phashes))
    begins = np.array(starts)
    # Of all blocks at once: looking up a hash costs about the same in a large table as in a small one.
    every = BareRows(phashes=np.concatenate(hashes), vectors=None, captured=np.concatenate(clocks))
    for ones, places in _of_one_moment(mine, every, _whole(every, None).near_by_hash(mine)):
        number = np.searchsorted(begins, places, side="right") - 1
        found.append(np.stack([number, ones, places - begins[number]]))
    return np.unique(np.concatenate(found, axis=1), axis=1).astype(np.uint32)


def _of_one_moment(left: PhotoRows, right: BareRows, parts: Iterable[Pairs]) -> Iterator[Pairs]:
    for ones, others in parts:
        # So that NaN, not known, counts as one moment.
        keep = ~(np.abs(left.captured[ones] - right.captured[others]) > ONE_MOMENT_SECONDS)
        yield ones[keep], others[keep]


def _over_the_bar(left: PhotoRows, right: BareRows, directions: Directions, bar: float) -> Iterator[Pairs]:
    """Places of the rows whose vectors reach the bar, in parts."""
    parts = _whole(right, directions).near_by_vector(left, bar)
    for ones, others in _of_one_moment(left, right, parts):
        if len(ones) and left.vectors is not None and right.vectors is not None:
            keep = _reach(left.vectors, ones, right.vectors, others, bar)
            yield ones[keep], others[keep]


def _reach(
    left: NDArray[np.float32], ones: Places, right: NDArray[np.float32], twos: Places, bar: float
) -> NDArray[np.bool_]:
    rows, row = np.unique(ones, return_inverse=True)
    columns, column = np.unique(twos, return_inverse=True)
    if len(ones) > _MOST_PASSING * len(rows) * len(columns):
        return (left[rows] @ right[columns].T >= bar)[row, column]
    found = np.empty(len(ones), bool)
    for start in range(0, len(ones), _EXACT):
        part = slice(start, start + _EXACT)
        found[part] = np.einsum("nd,nd->n", left[ones[part]], right[twos[part]]) >= bar
    return found


def _block(store: Store, files: Iterable[tuple[str, str]]) -> BareRows:
    parts: list[BareRows] = []
    for file, digest in files:
        try:
            data = store.read(f"{CHUNKS}/{file}")
        except OSError as error:
            reason = error.strerror or str(error)
            raise VisionError(f"{store.shown}/{CHUNKS}/{file} cannot be read ({reason})") from None
        if blake3(data).hexdigest() != digest:
            raise VisionError(
                f"{store.shown}/{CHUNKS}/{file} is damaged: delete it, and run the same command again"
            )
        parts.append(bare_rows(data))
    vectors = [part.vectors for part in parts if part.vectors is not None]
    return BareRows(
        phashes=np.concatenate([part.phashes for part in parts]),
        vectors=np.concatenate(vectors) if vectors else None,
        captured=np.concatenate([part.captured for part in parts]),
    )
