"""Compares rows of a backfill with each other, on any machine: finds the pairs that may be near, for the
search to measure.

A pair comes without its numbers: the search of the library measures each pair itself. So a file of pairs can
at worst leave out a pair, never invent one. Must never open an index or a picture. Worker process only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from dedupd.adapters.index.chunk_file import BareRows, bare_rows
from dedupd.adapters.stores.backfill_records import CHUNKS, PAIRS
from dedupd.adapters.stores.store import Store, store_at
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.hash_join import HashTables
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.errors import VisionError

_SLACK = 1e-3
"""Added below the bar: the library's vector may come from another machine, which differs by a step of
float16."""
_LEFT, _RIGHT = 256, 4096
"""Rows at a time: the intermediate results stay in the processor's cache."""

_HEAD = 256
"""Directions; of 1,280 dimensions this many let through 0.13 % of the pairs of unlike photos."""
_ROUNDING = 1e-4
"""The largest error of a product in single precision."""
_MOST_PASSING = 0.02
"""Share of the pairs of a part. When more pass the sieve, all vectors of the part are multiplied as matrices,
which costs a fiftieth per pair."""
_EXACT = 4096
"""Pairs whose whole vectors are multiplied, at a time."""

Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """A block of rows, with what the sieve needs of their vectors."""

    bare: BareRows
    heads: NDArray[np.float32] | None
    """(N, H + 1): the vector along the directions of a basis, and the length of the remainder."""


class _Sieve:
    """A sieve from products of a few directions. Every pair over the bar passes: x · y <= head · head +
    |rest| |rest| (Cauchy-Schwarz).

    Any directions are correct; those in which the vectors of one block vary most let the fewest others pass.
    """

    def __init__(self, vectors: NDArray[np.float32] | None) -> None:
        self._basis: NDArray[np.float32] | None = None
        if vectors is not None and vectors.shape[1] > 2 * _HEAD:
            _, directions = np.linalg.eigh(vectors.T @ vectors)  # in ascending order
            self._basis = np.ascontiguousarray(directions[:, -_HEAD:], np.float32)

    def rows(self, bare: BareRows) -> _Rows:
        if self._basis is None or bare.vectors is None:
            return _Rows(bare=bare, heads=bare.vectors)
        head = bare.vectors @ self._basis
        left = np.square(bare.vectors).sum(1) - np.square(head).sum(1)
        rest = np.sqrt(np.maximum(left, 0))
        return _Rows(bare=bare, heads=np.column_stack([head, rest]))


def compare_blocks(request: messages.PairBlocks) -> messages.Paired:
    """Write every near pair of the left block with the others into a file. Raises VisionError with one
    sentence."""
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
    sieve = _Sieve(left.vectors)
    mine = sieve.rows(left)
    found = [np.empty((3, 0), np.int64)]
    hashes, clocks, starts = list[NDArray[np.uint64]](), list[NDArray[np.float64]](), [0]
    for number, right in enumerate(rights):
        for ones, others in _over_the_bar(mine, sieve.rows(right), bar):
            found.append(np.stack([np.full(len(ones), number), ones, others]))
        hashes.append(right.phashes)
        clocks.append(right.captured)
        starts.append(starts[-1] + len(right.phashes))
    begins, clock = np.array(starts), np.concatenate(clocks)
    # Of all blocks at once: looking up a hash costs about the same in a large table as in a small one.
    for ones, places in HashTables(np.concatenate(hashes)).meeting(left.phashes):
        keep = _of_one_moment(left.captured[ones], clock[places])
        number = np.searchsorted(begins, places[keep], side="right") - 1
        found.append(np.stack([number, ones[keep], places[keep] - begins[number]]))
    return np.unique(np.concatenate(found, axis=1), axis=1).astype(np.uint32)


def _of_one_moment(ones: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    return ~(np.abs(ones - others) > ONE_MOMENT_SECONDS)  # so that NaN, not known, counts as one moment


def _over_the_bar(left: _Rows, right: _Rows, bar: float | None) -> Iterator[tuple[Places, Places]]:
    """Places of the rows whose vectors may reach the bar, in parts."""
    mine, theirs = left.bare, right.bare
    if (
        bar is None
        or mine.vectors is None
        or theirs.vectors is None
        or left.heads is None
        or right.heads is None
    ):
        return
    least = bar - _SLACK - _ROUNDING
    for at in range(0, len(mine.vectors), _LEFT):
        for beside in range(0, len(theirs.vectors), _RIGHT):
            some, others = slice(at, at + _LEFT), slice(beside, beside + _RIGHT)
            over = left.heads[some] @ right.heads[others].T >= least
            if over.mean() > _MOST_PASSING:
                over = mine.vectors[some] @ theirs.vectors[others].T >= least
            ones, twos = np.nonzero(over)
            ones, twos = ones + at, twos + beside
            keep = _of_one_moment(mine.captured[ones], theirs.captured[twos])
            ones, twos = ones[keep], twos[keep]
            keep = _reach(mine.vectors, ones, theirs.vectors, twos, bar - _SLACK)
            if keep.any():
                yield ones[keep], twos[keep]


def _reach(
    left: NDArray[np.float32], ones: Places, right: NDArray[np.float32], twos: Places, bar: float
) -> NDArray[np.bool_]:
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
