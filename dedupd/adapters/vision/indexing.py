"""Many files to stored rows: two threads decode, this one embeds, stores and answers.

Owns the order of it: nothing is answered before its row is on disk. Worker process only.
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
"""Smaller commits cost the index dearly, larger ones delay the answers: whichever comes first."""

Send = Callable[[messages.Message], None]
OpenFile = Callable[[messages.FileToLook, Callable[[], None]], AbstractContextManager[BinaryIO]]
"""Opens one file; the second is to be called now and then while that takes its time. Raises Refused, OSError."""


def from_disk(file: messages.FileToLook, alive: Callable[[], None]) -> AbstractContextManager[BinaryIO]:
    """The file that the ledger saw."""
    return opened(fsdecode(file.path), file.stat)


class HoldsRows(Protocol):
    """Where rows go: the index, or a chunk of them for an index elsewhere."""

    @property
    def dimensions(self) -> int | None:
        """Of the vectors that it holds; None: of whatever come."""
        ...

    def holds(self, content: str) -> bool: ...

    def add(self, rows: Sequence[PhotoRow]) -> None: ...

    def traits(self, contents: Sequence[str]) -> dict[str, Traits]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sight:
    """What a decoding thread saw of one file."""

    key: int
    content: str = ""
    unreadable: Unreadable | None = None
    traits: Traits | None = None
    """None with a content: its row is in the index already."""
    phashes: NDArray[np.uint64] | None = None
    within: NDArray[np.uint64] | None = None
    """Those of what plain margins surround."""
    prepared: NDArray[Any] | None = None
    small: NDArray[np.uint8] | None = None


class Looker:
    """Looks at the files of one request after another."""

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

    def look(self, files: Iterable[messages.FileToLook]) -> None:
        """Answer every file with Looked, in the order they get ready."""
        _Request(self, self._index, self._insides, self._smalls).run(deque(files))

    def see(self, file: messages.FileToLook) -> _Sight:
        """In a decoding thread: hash, and decode what the index does not hold and anybody decodes."""
        begun = messages.Begun(key=file.key)
        self._send(begun)
        path, content, kind = fsdecode(file.path), "", ""
        try:
            with self._open_file(file, lambda: self._send(begun)) as stream:
                content = content_of(stream, lambda: self._send(begun))
                if self._index.holds(content):
                    return _Sight(key=file.key, content=content)
                kind = kind_of(stream.read(HEAD), path)
                if kind and not decodable(kind):
                    return _Sight(key=file.key, content=content, traits=traits_of(content, kind))
                embedder = self._embedder()
                side = max(SHORT_SIDE, embedder.side if embedder else 0)
                picture = decode(stream, path, short_side=side)
            traits, phashes = measure(picture, content, self._model)
            return _Sight(
                key=file.key, content=content, traits=traits, phashes=phashes, within=phashes_inside(picture),
                prepared=embedder.prepare(picture.image) if embedder else None,
                small=small_picture(np.asarray(picture.image)),
            )  # fmt: skip
        except NobodyReads as unread:
            if kind or is_named_for(unread.kind, extension(path)):
                return _Sight(key=file.key, content=content, traits=traits_of(content, unread.kind))
            return _Sight(
                key=file.key, content=content, unreadable=Unreadable(reason=unread.reason, content=content)
            )
        except Refused as refused:
            # Bytes that were changing have no content id.
            whole = "" if refused.retry else content
            reason = Unreadable(reason=refused.reason, content=whole, retry=refused.retry)
            return _Sight(key=file.key, content=content, unreadable=reason)
        except OSError as error:
            reason = Unreadable(reason=f"could not be read: {error.strerror or error}", retry=True)
            return _Sight(key=file.key, unreadable=reason)
        except DedupdError:
            raise
        except Exception as error:  # noqa: BLE001
            # One odd file must not cost the others their turn.
            traceback.print_exc()
            reason = Unreadable(reason=f"could not be measured ({error})"[:200], content=content)
            return _Sight(key=file.key, content=content, unreadable=reason)
        finally:
            self._send(messages.Decoded(key=file.key))

    def embed(self, sights: list[_Sight]) -> list[PhotoRow]:
        """The rows of decoded sights, vectors included."""
        embedder = self._embedder()
        vectors: Iterable[NDArray[np.float32] | None] = [None] * len(sights)
        gists = [""] * len(sights)
        if embedder is not None:
            held = self._index.dimensions
            if held is not None and embedder.dimensions != held:
                raise VisionError(
                    f"the embedder gives {embedder.dimensions} numbers, and the index of {self._model} holds {held}: it is another model of that name"
                )
            vectors = embedder.embed(
                np.stack([sight.prepared for sight in sights if sight.prepared is not None])
            )
            gists = simhash(vectors)
        return [
            PhotoRow(traits=replace(sight.traits, simhash=gist), phashes=sight.phashes, vector=vector)
            for sight, vector, gist in zip(sights, vectors, gists, strict=True)
            if sight.traits is not None and sight.phashes is not None
        ]

    def ahead(self) -> int:
        """How many files may be decoded before their turn to be embedded: bounds the memory."""
        return self._batch_size + 8

    def start(self, file: messages.FileToLook) -> Future[_Sight]:
        """Have a decoding thread see to `file`."""
        return self._decoders.submit(self.see, file)

    def full(self, sights: list[_Sight]) -> bool:
        """Whether there are enough for one batch of the embedder."""
        return len(sights) >= self._batch_size

    def send(self, message: messages.Message) -> None:
        """To the client."""
        self._send(message)


class _Request:
    """One LookAt on its way: sights to embed, rows to commit, keys to answer."""

    def __init__(
        self, looker: Looker, index: HoldsRows, insides: HoldsRows, smalls: SmallFiles | None
    ) -> None:
        self._looker = looker
        self._index = index
        self._insides = insides
        self._smalls = smalls
        self._seen: list[tuple[Traits, NDArray[np.uint8]]] = []
        """Small pictures of rows that are not on disk yet."""
        self._to_embed: list[_Sight] = []
        self._to_commit: list[PhotoRow] = []
        self._framed: list[PhotoRow] = []
        """What plain margins surround, of those rows."""
        self._known: list[_Sight] = []
        self._waiting: dict[str, list[int]] = defaultdict(list)
        """Keys of contents that are decoded and not yet on disk; the first decoded it."""
        self._committed = time.monotonic()

    def run(self, files: deque[messages.FileToLook]) -> None:
        running: set[Future[_Sight]] = set()
        while files or running:
            while files and len(running) < self._looker.ahead():
                running.add(self._looker.start(files.popleft()))
            done, running = wait(running, timeout=_PATIENCE_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                self._take(future.result())
            if not done:
                self._finish()
        self._finish()

    def _finish(self) -> None:
        """Answer all that is ready, so that one slow file keeps nobody waiting."""
        self._embed()
        self._commit()
        self._answer_known()

    def _take(self, sight: _Sight) -> None:
        if sight.unreadable is not None:
            self._looker.send(
                messages.Looked(key=sight.key, traits=None, unreadable=sight.unreadable, decoded=True)
            )
        elif sight.traits is not None and not sight.traits.decoded:
            self._answer(sight.key, sight.traits, decoded=False)
        elif sight.content in self._waiting:
            self._waiting[sight.content].append(sight.key)
        elif sight.traits is None:
            self._known.append(sight)
            if len(self._known) >= _COMMIT_ROWS:
                self._answer_known()
        else:
            self._waiting[sight.content].append(sight.key)
            self._to_embed.append(sight)
            if self._looker.full(self._to_embed):
                self._embed()
            waited = time.monotonic() - self._committed
            if len(self._to_commit) >= _COMMIT_ROWS or waited >= _COMMIT_SECONDS:
                self._commit()

    def _embed(self) -> None:
        if self._to_embed:
            self._to_commit += self._looker.embed(self._to_embed)
            self._framed += [
                PhotoRow(traits=sight.traits, phashes=sight.within, vector=None)
                for sight in self._to_embed
                if sight.traits is not None and sight.within is not None
            ]
            self._seen += [
                (sight.traits, sight.small)
                for sight in self._to_embed
                if sight.traits is not None and sight.small is not None
            ]
            self._to_embed = []

    def _commit(self) -> None:
        rows, self._to_commit = self._to_commit, []
        framed, self._framed = self._framed, []
        seen, self._seen = self._seen, []
        # First: whatever has a row is not looked at again.
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
        traits = self._index.traits([sight.content for sight in known])
        for sight in known:
            self._answer(sight.key, traits[sight.content], decoded=False)

    def _answer(self, key: int, traits: Traits, *, decoded: bool) -> None:
        self._looker.send(messages.Looked(key=key, traits=traits, unreadable=None, decoded=decoded))
