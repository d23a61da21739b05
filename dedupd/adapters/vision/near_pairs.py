"""Rows of a backfill compared with each other, wherever that is: which pairs may be near, for the search to look at.

The numbers of a pair are not told: the search at home measures each anew, so that a file of
pairs can leave a pair out at worst, and never make one. Must never open an index or a picture. Worker process only.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from dedupd.adapters.index.chunk_file import BareRows, bare_rows
from dedupd.adapters.stores.backfill_records import CHUNKS, PAIRS
from dedupd.adapters.stores.store import Store, store_at
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.hashes import RADIUS
from dedupd.adapters.vision.search import hash_distances
from dedupd.core.bars import ONE_MOMENT_SECONDS
from dedupd.errors import VisionError

_SLACK = 1e-3
"""Below the bar: the vector at home may have come by another machine, a step of float16 apart."""
_LEFT, _RIGHT = 256, 4096
"""Rows at a time: what is made of them stays in the processor's cache."""

Places = NDArray[np.intp]


def compare_blocks(request: messages.Pair) -> messages.Paired:
    """Every near pair of the left block with the others, in a file. Raises VisionError in one sentence."""
    store = store_at(os.fsdecode(request.place))
    left = _block(store, request.left)
    found: list[NDArray[np.uint32]] = []
    for number, files in enumerate(request.rights):
        itself = request.with_itself and number == 0
        right = left if itself else _block(store, files)
        for ones, others in near_rows(left, right, request.bar):
            keep = ones < others if itself else np.ones(len(ones), bool)
            place = np.full(int(keep.sum()), number)
            found.append(np.stack([place, ones[keep], others[keep]]).astype(np.uint32))
    pairs = np.concatenate(found, axis=1) if found else np.empty((3, 0), np.uint32)
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


def near_rows(left: BareRows, right: BareRows, bar: float | None) -> Iterator[tuple[Places, Places]]:
    """Places of the rows that may be near, in parts."""
    for at in range(0, len(left.phashes), _LEFT):
        for beside in range(0, len(right.phashes), _RIGHT):
            mine, theirs = slice(at, at + _LEFT), slice(beside, beside + _RIGHT)
            close = hash_distances(left.phashes[mine], right.phashes[theirs]) <= RADIUS
            if bar is not None and left.vectors is not None and right.vectors is not None:
                close |= left.vectors[mine] @ right.vectors[theirs].T >= bar - _SLACK
            ones, others = np.nonzero(close)
            ones, others = ones + at, others + beside
            apart = np.abs(left.captured[ones] - right.captured[others])
            keep = ~(apart > ONE_MOMENT_SECONDS)  # so that NaN, not known, counts as one moment
            if keep.any():
                yield ones[keep], others[keep]


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
