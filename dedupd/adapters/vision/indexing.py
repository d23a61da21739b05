"""Files to stored rows: two threads decode; this one embeds, stores and answers.

Owns the order: no answer is sent before its row is on disk. Worker process only.
"""

from __future__ import annotations

import time
import traceback
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from os import fsdecode
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.photo_rows import PhotoRow, simhash
from dedupd.adapters.vision import messages
from dedupd.adapters.vision.coarse import small_picture
from dedupd.adapters.vision.decode import SHORT_SIDE, Refused, content_of, decode, opened
from dedupd.adapters.vision.embedders.base import Embedder
from dedupd.adapters.vision.refused import NobodyReads
from dedupd.adapters.vision.small_files import SmallFiles
from dedupd.adapters.vision.traits import measure, phashes_inside
from dedupd.core.formats import decodable, is_named_for
from dedupd.core.media import HEAD, kind_of, traits_of
from dedupd.core.photo import Traits, Unreadable
from dedupd.core.units import extension
from dedupd.errors import DedupdError, VisionError

_PATIENCE_SECONDS = 5.0
_COMMIT_ROWS, _COMMIT_SECONDS = 128, 3.0
"""Rows, and seconds, after which rows are committed, whichever comes first: smaller commits cost the index
much, larger ones delay the answers."""

Send = Callable[[messages.Message], None]
OpenFile = Callable[[messages.FileToRead, Callable[[], None]], AbstractContextManager[BinaryIO]]
"""Opens one file; its second argument must be called from time to time while that takes long. Raises Refused,
OSError."""


def from_disk(file: messages.FileToRead, alive: Callable[[], None]) -> AbstractContextManager[BinaryIO]:
    """Open the file that the ledger recorded."""
    return opened(fsdecode(file.path), file.stat)


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
class _DecodedFile:
    """The result of a decoding thread for one file."""

    key: int
    content: str = ""
    unreadable: Unreadable | None = None
    traits: Traits | None = None
    """None although there is a content: its row is in the index already."""
    phashes: NDArray[np.uint64] | None = None
    within: NDArray[np.uint64] | None = None
    """Hashes of the part inside plain margins."""
    prepared: NDArray[Any] | None = None
    small: NDArray[np.uint8] | None = None


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
    ) -> None:
        self._index = index
        self._insides = insides
        self._smalls = smalls
        self._embedder = embedder
        self._model = model
        self._batch_size = max(1, batch_size)
        self._decoders = decoders
        self._send = send
        self._open_file = open_file

    def ingest(self, files: Iterable[messages.FileToRead]) -> None:
        """Answer every file with FileIngested, in the order in which they get ready."""
        _Request(self, self._index, self._insides, self._smalls).run(deque(files))

    def decode_file(self, file: messages.FileToRead) -> _DecodedFile:
        """Runs in a decoding thread: hash the file, and decode it when the index lacks its content and a
        decoder reads it."""
        begun = messages.Begun(key=file.key)
        self._send(begun)
        path, content, kind = fsdecode(file.path), "", ""
        try:
            with self._open_file(file, lambda: self._send(begun)) as stream:
                content = content_of(stream, lambda: self._send(begun))
                if self._index.holds(content):
                    return _DecodedFile(key=file.key, content=content)
                kind = kind_of(stream.read(HEAD), path)
                if kind and not decodable(kind):
                    return _DecodedFile(key=file.key, content=content, traits=traits_of(content, kind))
                embedder = self._embedder()
                side = max(SHORT_SIDE, embedder.side if embedder else 0)
                picture = decode(stream, path, short_side=side)
            traits, phashes = measure(picture, content, self._model)
            return _DecodedFile(
                key=file.key, content=content, traits=traits, phashes=phashes, within=phashes_inside(picture),
                prepared=embedder.prepare(picture.image) if embedder else None,
                small=small_picture(np.asarray(picture.image)),
            )  # fmt: skip
        except NobodyReads as unread:
            if kind or is_named_for(unread.kind, extension(path)):
                return _DecodedFile(key=file.key, content=content, traits=traits_of(content, unread.kind))
            return _DecodedFile(
                key=file.key, content=content, unreadable=Unreadable(reason=unread.reason, content=content)
            )
        except Refused as refused:
            # Bytes that were changing have no content id.
            whole = "" if refused.retry else content
            reason = Unreadable(reason=refused.reason, content=whole, retry=refused.retry)
            return _DecodedFile(key=file.key, content=content, unreadable=reason)
        except OSError as error:
            reason = Unreadable(reason=f"could not be read: {error.strerror or error}", retry=True)
            return _DecodedFile(key=file.key, unreadable=reason)
        except DedupdError:
            raise
        except Exception as error:  # noqa: BLE001
            # One odd file must not keep the others from being processed.
            traceback.print_exc()
            reason = Unreadable(reason=f"could not be measured ({error})"[:200], content=content)
            return _DecodedFile(key=file.key, content=content, unreadable=reason)
        finally:
            self._send(messages.Decoded(key=file.key))

    def embed(self, decoded: list[_DecodedFile]) -> list[PhotoRow]:
        """The rows of these decoded files, with vectors."""
        embedder = self._embedder()
        vectors: Iterable[NDArray[np.float32] | None] = [None] * len(decoded)
        gists = [""] * len(decoded)
        if embedder is not None:
            held = self._index.dimensions
            if held is not None and embedder.dimensions != held:
                raise VisionError(
                    f"the embedder gives {embedder.dimensions} numbers, and the index of {self._model} holds {held}: it is another model of that name"
                )
            vectors = embedder.embed(
                np.stack([file.prepared for file in decoded if file.prepared is not None])
            )
            gists = simhash(vectors)
        return [
            PhotoRow(traits=replace(file.traits, simhash=gist), phashes=file.phashes, vector=vector)
            for file, vector, gist in zip(decoded, vectors, gists, strict=True)
            if file.traits is not None and file.phashes is not None
        ]

    def ahead(self) -> int:
        """How many files may be decoded before they are embedded: limits the memory."""
        return self._batch_size + 8

    def start(self, file: messages.FileToRead) -> Future[_DecodedFile]:
        """Give this file to a decoding thread."""
        return self._decoders.submit(self.decode_file, file)

    def full(self, decoded: list[_DecodedFile]) -> bool:
        """Whether there are enough pictures for one batch of the embedder."""
        return len(decoded) >= self._batch_size

    def send(self, message: messages.Message) -> None:
        """Send an answer to the client."""
        self._send(message)


class _Request:
    """One request in progress: decoded files to embed, rows to commit, keys to answer."""

    def __init__(
        self, ingester: Ingester, index: HoldsRows, insides: HoldsRows, smalls: SmallFiles | None
    ) -> None:
        self._ingester = ingester
        self._index = index
        self._insides = insides
        self._smalls = smalls
        self._seen: list[tuple[Traits, NDArray[np.uint8]]] = []
        """Small pictures of rows that are not on disk yet."""
        self._to_embed: list[_DecodedFile] = []
        self._to_commit: list[PhotoRow] = []
        self._framed: list[PhotoRow] = []
        """The parts inside plain margins, of those rows."""
        self._known: list[_DecodedFile] = []
        self._waiting: dict[str, list[int]] = defaultdict(list)
        """Keys of contents that are decoded and not yet on disk; the first key is the file that was decoded.
        """
        self._committed = time.monotonic()

    def run(self, files: deque[messages.FileToRead]) -> None:
        running: set[Future[_DecodedFile]] = set()
        while files or running:
            while files and len(running) < self._ingester.ahead():
                running.add(self._ingester.start(files.popleft()))
            done, running = wait(running, timeout=_PATIENCE_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(future.result())
            if not done:
                self._finish()
        self._finish()

    def _finish(self) -> None:
        """Answer everything that is ready, so that one slow file delays nobody."""
        self._embed()
        self._commit()
        self._answer_known()

    def _take(self, file: _DecodedFile) -> None:
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
            if self._ingester.full(self._to_embed):
                self._embed()
            waited = time.monotonic() - self._committed
            if len(self._to_commit) >= _COMMIT_ROWS or waited >= _COMMIT_SECONDS:
                self._commit()

    def _embed(self) -> None:
        if self._to_embed:
            self._to_commit += self._ingester.embed(self._to_embed)
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
            self._to_embed = []

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
