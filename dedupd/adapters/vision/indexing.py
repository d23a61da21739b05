"""Files to stored rows: threads or processes read them; this thread embeds (or has it done), stores and answers.

Owns the order: no answer is sent before its row is on disk. Worker process only.
"""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.photo_rows import PhotoRow, simhash
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.embedders.base import Embedder, TakesMuch
from dedupd.adapters.vision.file_reading import DecodedFile, OpenFile, Preparing, from_disk, read_file
from dedupd.adapters.vision.kept_looks import KeptLooks
from dedupd.adapters.vision.small_files import SmallFiles
from dedupd.core.photo import Traits
from dedupd.errors import VisionError

if TYPE_CHECKING:
    from dedupd.adapters.vision.readers import Readers

_PATIENCE_SECONDS = 5.0
_COMMIT_ROWS, _COMMIT_SECONDS = 128, 3.0
"""Rows, and seconds, after which rows are committed, whichever comes first: smaller commits cost the index
much, larger ones delay the answers."""

_MANY = 64
"""Files in one request from which on starting processes to read them pays."""

Send = Callable[[messages.Message], None]


class HoldsRows(Protocol):
    """Where rows are stored: the index, or a chunk of rows for an index on another machine."""

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors that it holds; None: any."""
        ...

    def holds(self, content: str) -> bool: ...

    def add(self, rows: Sequence[PhotoRow]) -> None: ...

    def traits(self, contents: Sequence[str]) -> dict[str, Traits]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderPool:
    """Processes that read, and as many threads that wait for them."""

    readers: Readers
    threads: ThreadPoolExecutor
    count: int
    embedding: ThreadPoolExecutor
    """Threads in which batches are embedded meanwhile."""
    lanes: int
    """How many those are."""


def reader_pool(
    embedder: Embedder | None, model: str, blockless: set[int], count: int, cards: Sequence[str] = ()
) -> ReaderPool | None:
    """`count` processes, some of which decode on `cards`; None where only the embedder can prepare its pictures."""
    from dedupd.adapters.vision.readers import Readers
    from dedupd.adapters.vision.shapes import shape_of
    from dedupd.adapters.vision.small import room

    shape = None if embedder is None else shape_of(embedder)
    if embedder is not None and shape is None:
        return None
    own = embedder.lanes if isinstance(embedder, TakesMuch) else 0
    lanes = own or max(2, count // 2)
    return ReaderPool(
        readers=Readers(embedder, shape, model, blockless, room(), cards), count=count, lanes=lanes,
        threads=ThreadPoolExecutor(count, "read"), embedding=ThreadPoolExecutor(lanes, "embed"),
    )  # fmt: skip


class Ingester:
    """Decodes, embeds and stores the files of one request after another."""

    def __init__(
        self,
        index: HoldsRows,
        insides: HoldsRows,
        smalls: SmallFiles | None,
        embedder: Callable[[], Embedder | None],
        model: str,
        batch_size: int,
        decoders: ThreadPoolExecutor,
        send: Send,
        open_file: OpenFile = from_disk,
        pool: Callable[[], ReaderPool | None] = lambda: None,
        preparing: Callable[[], Preparing | None] | None = None,
        looks: KeptLooks | None = None,
    ) -> None:
        """`pool`: processes that read when there are many files; None: the threads `decoders` do it. `preparing`: what makes the
        embedder's pictures when it need not be waited for."""
        self._index = index
        self._insides = insides
        self._smalls = smalls
        self._embedder = embedder
        self._model = model
        self._batch_size = max(1, batch_size)
        self._decoders = decoders
        self._send = send
        self._open_file = open_file
        self._pool = pool
        self._preparing = preparing or embedder
        self._looks = looks

    def ingest(self, files: Iterable[messages.FileToRead]) -> None:
        """Answer every file with FileIngested, in the order they get ready."""
        waiting = deque(files)
        pool = self._pool() if len(waiting) >= _MANY else None
        _Request(self, self._index, self._insides, self._smalls, pool).run(waiting)

    def _read_here(self, file: messages.FileToRead) -> DecodedFile:
        begun = messages.Begun(key=file.key)
        self._send(begun)
        try:
            return read_file(
                file,
                self._index.holds,
                self._preparing,
                self._model,
                lambda: self._send(begun),
                self._open_file,
                looks=self._looks is not None,
            )
        finally:
            self._send(messages.Decoded(key=file.key))

    def _read(self, file: messages.FileToRead) -> DecodedFile:
        alive = messages.Begun(key=file.key)
        return read_file(
            file, self._index.holds, self._preparing, self._model, lambda: self._send(alive), self._open_file,
            looks=self._looks is not None,
        )  # fmt: skip

    def _have_read(self, file: messages.FileToRead, readers: Readers) -> DecodedFile:
        begun = messages.Begun(key=file.key)
        self._send(begun)
        try:
            found = readers.read(file, self._index.holds, lambda: self._send(begun))
            return found or self._read(file)
        finally:
            self._send(messages.Decoded(key=file.key))

    def embed(self, decoded: list[DecodedFile]) -> list[PhotoRow]:
        """The rows of these decoded files, vectors included."""
        embedder = self._embedder()
        vectors: Iterable[NDArray[np.float32] | None] = [None] * len(decoded)
        gists = [""] * len(decoded)
        if embedder is not None:
            held = self._index.dimensions
            if held is not None and embedder.dimensions != held:
                raise VisionError(
                    f"the embedder gives {embedder.dimensions} numbers, and the index of {self._model} holds {held}: it is another model of that name"
                )
            with self._told(embedder):
                vectors = embedder.embed(
                    np.stack([file.prepared for file in decoded if file.prepared is not None])
                )
            gists = simhash(vectors)
        return [
            PhotoRow(traits=replace(file.traits, simhash=gist), phashes=file.phashes, vector=vector)
            for file, vector, gist in zip(decoded, vectors, gists, strict=True)
            if file.traits is not None and file.phashes is not None
        ]

    @contextmanager
    def _told(self, embedder: Embedder) -> Generator[None]:
        """The client, when a card is at work."""
        on_card = isinstance(embedder, TakesMuch) and embedder.lanes > 0
        if on_card:
            self._send(messages.Busy(what=messages.ON_CARD, begins=True))
        yield
        if on_card:
            self._send(messages.Busy(what=messages.ON_CARD, begins=False))

    def batch(self) -> int:
        """Pictures for the embedder at once."""
        embedder = self._embedder()
        own = embedder.batch if isinstance(embedder, TakesMuch) else 0
        return own or self._batch_size

    def start(self, file: messages.FileToRead, pool: ReaderPool | None) -> Future[DecodedFile]:
        """Have a thread read this file, or have it read by a process."""
        if pool is None:
            return self._decoders.submit(self._read_here, file)
        return pool.threads.submit(self._have_read, file, pool.readers)

    def keep_look(self, content: str, look: bytes) -> None:
        """Keep what the first look at a pair needs of this content."""
        if self._looks is not None:
            self._looks.keep(content, look)

    def send(self, message: messages.Message) -> None:
        """Send an answer to the client."""
        self._send(message)


class _Request:
    """One request in progress: decoded files to embed, rows to commit, keys to answer."""

    def __init__(
        self, ingester: Ingester, index: HoldsRows, insides: HoldsRows, smalls: SmallFiles | None,
        pool: ReaderPool | None,
    ) -> None:  # fmt: skip
        self._ingester = ingester
        self._pool = pool
        self._batch = 0
        """Known with the first picture: until then nobody waits for the embedder."""
        self._embedding: dict[Future[list[PhotoRow]], None] = {}
        """Batches that threads of the pool embed, in order."""
        self._index = index
        self._insides = insides
        self._smalls = smalls
        self._seen: list[tuple[Traits, NDArray[np.uint8]]] = []
        """Small pictures of rows that are not on disk yet."""
        self._looks: dict[str, bytes] = {}
        """What the first look at a pair needs, of the same, by content."""
        self._to_embed: list[DecodedFile] = []
        self._to_commit: list[PhotoRow] = []
        self._framed: list[PhotoRow] = []
        """What plain margins surround, of those rows."""
        self._known: list[DecodedFile] = []
        self._waiting: dict[str, list[int]] = defaultdict(list)
        """Keys of contents that are decoded and not yet on disk; the first key is the file that was decoded.
        """
        self._committed = time.monotonic()

    def run(self, files: deque[messages.FileToRead]) -> None:
        running: set[Future[DecodedFile]] = set()
        while files or running:
            while files and len(running) < self._ahead():
                running.add(self._ingester.start(files.popleft(), self._pool))
            done, running = wait(running, timeout=_PATIENCE_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(future.result())
            if not done:
                self._finish()
        self._finish()

    def _ahead(self) -> int:
        """How many files may be read before their turn to be embedded: bounds the memory."""
        return (self._pool.count if self._pool else 0) + max(1, self._batch) + 8

    def _finish(self) -> None:
        """Answer everything that is ready, so that one slow file delays nobody."""
        self._embed()
        self._collect(at_most=0)
        self._commit()
        self._answer_known()

    def _take(self, file: DecodedFile) -> None:
        if file.unreadable is not None:
            self._ingester.send(
                messages.FileIngested(key=file.key, traits=None, unreadable=file.unreadable, decoded=True)
            )
        elif file.traits is not None and not file.traits.decoded:
            self._answer(file.key, file.traits, decoded=False)
        elif file.content in self._waiting:
            self._waiting[file.content].append(file.key)
        elif file.traits is None:
            self._known.append(file)
            if len(self._known) >= _COMMIT_ROWS:
                self._answer_known()
        else:
            self._waiting[file.content].append(file.key)
            self._to_embed.append(file)
            self._batch = self._batch or self._ingester.batch()
            if len(self._to_embed) >= self._batch:
                self._embed()
            waited = time.monotonic() - self._committed
            if len(self._to_commit) >= _COMMIT_ROWS or waited >= _COMMIT_SECONDS:
                self._commit()

    def _embed(self) -> None:
        if self._to_embed:
            if self._pool is None:
                self._to_commit += self._ingester.embed(self._to_embed)
            else:
                self._collect(at_most=self._pool.lanes - 1)
                self._embedding[self._pool.embedding.submit(self._ingester.embed, self._to_embed)] = None
            self._framed += [
                PhotoRow(traits=file.traits, phashes=file.within, vector=None)
                for file in self._to_embed
                if file.traits is not None and file.within is not None
            ]
            self._seen += [
                (file.traits, file.small)
                for file in self._to_embed
                if file.traits is not None and file.small is not None
            ]
            self._looks |= {file.content: file.look for file in self._to_embed if file.look is not None}
            self._to_embed = []

    def _collect(self, at_most: int) -> None:
        """Take the rows of batches that are embedded; wait until no more than so many are still to come."""
        for future in list(self._embedding):
            if not future.done() and len(self._embedding) <= at_most:
                return
            self._to_commit += future.result()
            del self._embedding[future]

    def _commit(self) -> None:
        rows, self._to_commit = self._to_commit, []
        framed, self._framed = self._framed, []
        seen, self._seen = self._seen, []
        # This comes first: a content with a row is not processed again.
        self._insides.add(framed)
        if self._smalls is not None:
            self._smalls.add(seen)
        self._index.add(rows)
        self._committed = time.monotonic()
        for row in rows:
            # This comes last: what has no row is never forgotten, and would stay here.
            if (look := self._looks.pop(row.traits.content, None)) is not None:
                self._ingester.keep_look(row.traits.content, look)
            first, *others = self._waiting.pop(row.traits.content)
            self._answer(first, row.traits, decoded=True)
            for key in others:
                self._answer(key, row.traits, decoded=False)

    def _answer_known(self) -> None:
        known, self._known = self._known, []
        traits = self._index.traits([file.content for file in known])
        for file in known:
            self._answer(file.key, traits[file.content], decoded=False)

    def _answer(self, key: int, traits: Traits, *, decoded: bool) -> None:
        self._ingester.send(messages.FileIngested(key=key, traits=traits, unreadable=None, decoded=decoded))
