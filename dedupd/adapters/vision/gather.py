"""Processes a chunk of pictures into one file of rows, for an index on another machine: the worker's side of
`dedupd backfill`.

The pictures are processed as those of a library (indexing.py), so the rows are the same. Must never open an
index, nor write under a source. Worker process only.
"""

from __future__ import annotations

import fcntl
import io
import os
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from dedupd.adapters.index.chunk_file import to_file
from dedupd.adapters.index.photo_rows import PhotoRow
from dedupd.adapters.stores.backfill_records import CHUNKS
from dedupd.adapters.stores.store import LocalStore, Store, store_at
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.decode import Refused, opened
from dedupd.adapters.vision.embedders.base import Embedder
from dedupd.adapters.vision.file_reading import OpenFile
from dedupd.adapters.vision.indexing import Ingester, Send
from dedupd.adapters.vision.inside import INSIDE
from dedupd.core.media import HEAD, kind_of, perhaps
from dedupd.core.photo import Traits
from dedupd.errors import VisionError

_LARGEST = 1 << 30
"""Bytes of an object that is held in memory whole, at most."""


class _RowsInMemory:
    """Rows in memory, in the place of a library's index."""

    def __init__(self) -> None:
        self.rows: dict[str, PhotoRow] = {}

    dimensions = None

    def holds(self, content: str) -> bool:
        return content in self.rows

    def add(self, rows: Sequence[PhotoRow]) -> None:
        self.rows.update((row.traits.content, row) for row in rows)

    def traits(self, contents: Sequence[str]) -> dict[str, Traits]:
        return {content: self.rows[content].traits for content in contents}


def gather(
    request: messages.Gather,
    embedder: Callable[[], Embedder | None],
    model: str,
    batch_size: int,
    decoders: ThreadPoolExecutor,
    send: Send,
) -> None:
    """Process the files and write their rows. Raises VisionError when the rows cannot be written."""
    source, to = store_at(os.fsdecode(request.source)), store_at(os.fsdecode(request.to))
    photos, insides = _RowsInMemory(), _RowsInMemory()
    ingester = Ingester(photos, insides, None, embedder, model, batch_size, decoders, send, _opening(source))
    for file in request.files:
        if file.key in request.alone:
            ingester.ingest([file])
    ingester.ingest(file for file in request.files if file.key not in request.alone)
    framed: dict[str, NDArray[np.uint64]] = {
        content: row.phashes for content, row in insides.rows.items() if content in photos.rows
    }
    if not photos.rows:
        send(messages.Gathered(file="", digest="", size=0, rows=0))
        return
    data = to_file(list(photos.rows.values()), framed, INSIDE)
    digest = blake3(data).hexdigest()
    file = f"{request.name}-{digest[:16]}.arrow"
    try:
        to.write(f"{CHUNKS}/{file}", data)
    except OSError as error:
        reason = error.strerror or str(error).splitlines()[0][:200]
        raise VisionError(
            f"{to.shown} cannot be written ({reason}): make room, or name another place"
        ) from None
    send(messages.Gathered(file=file, digest=digest, size=len(data), rows=len(photos.rows)))


def _opening(source: Store) -> OpenFile:
    @contextmanager
    def open_file(file: messages.FileToRead, alive: Callable[[], None]) -> Generator[BinaryIO]:
        name = os.fsdecode(file.path)
        if isinstance(source, LocalStore):
            with opened(os.path.join(source.address, name)) as stream:
                _pass_over_media(stream, name)
                yield stream
            return
        if file.stat.size > _LARGEST:
            raise Refused(f"too large: over {_LARGEST >> 30} GiB in an object store")
        try:
            if perhaps(name):
                _pass_over_media(io.BytesIO(source.read(name, HEAD)), name)
            data = source.read(name, alive=alive)
        except FileNotFoundError:
            raise Refused("no longer there", retry=True) from None
        yield io.BytesIO(data)

    return open_file


def _pass_over_media(stream: BinaryIO, name: str) -> None:
    """Refuse a video: reading gigabytes to the end would be useless, because a row would hold only the hash
    of its bytes."""
    if kind := kind_of(stream.read(HEAD), name):
        raise Refused(f"not decoded ({kind}): matched by its bytes alone")
    stream.seek(0)


@contextmanager
def one_at_a_time(cache_dir: Path) -> Generator[None]:
    """A lock: of several workers with this cache, one makes there what loading an embedder needs; the others
    use it."""
    cache_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(cache_dir / "loading.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
