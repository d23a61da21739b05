"""The order of a backfill: list the sources, process what no earlier run has processed, record each chunk,
commit, count.

Must never count a chunk that is not finished, nor write under a source.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from dedupd.adapters.stores.backfill_records import (
    CHUNKS,
    COMMITS,
    RECORDS,
    ChunkFile,
    ChunkRecord,
    Commit,
    RefusedPicture,
    mark,
)
from dedupd.adapters.stores.store import LocalStore, Store, store_at
from dedupd.bulk.plan import SIZE, Chunk, ModelAndRecipe, chunks_of
from dedupd.bulk.pool import Finished, done_of
from dedupd.core.foreign import Scope
from dedupd.errors import DedupdError, UsageError

_READERS = 16
"""Threads that read records: records are small, and an object store answers slowly."""

Progress = Callable[[str, int, int], None]
Engine = Callable[[Sequence[Chunk]], Iterator[Finished]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackfillOutcome:
    """The result of a backfill. Every picture has a row, is a twin, or was refused, unless its chunk is
    missing."""

    inputs: int = 0
    rows: int = 0
    """Distinct contents that have a row now."""
    twins: int = 0
    """Pictures whose content already has a row, from another picture."""
    refused: list[RefusedPicture] = field(default_factory=list[RefusedPicture])
    missing: int = 0
    """Pictures of chunks that were not finished."""
    seen_now: int = 0
    """Pictures that this run processed; the others were processed by an earlier run."""
    problems: list[str] = field(default_factory=list[str])

    @property
    def complete(self) -> bool:
        return not self.missing and self.rows + self.twins + len(self.refused) == self.inputs


def backfill(
    sources: Sequence[str],
    to: str,
    model_and_recipe: ModelAndRecipe,
    engine: Engine,
    scope: Scope,
    *,
    size: int = SIZE,
    on_progress: Progress = lambda phase, done, total: None,
) -> BackfillOutcome:
    """Process all pictures of the sources and commit their rows to `to`. Raises DedupdError."""
    store = store_at(to)
    problems: list[str] = []
    with in_words(store):
        mark(store)
        chunks = list(_planned(sources, model_and_recipe, scope, size, problems, on_progress))
        records = _finished(store, chunks)
        todo = [chunk for chunk in chunks if chunk.key not in records]
        failed = _process_all(store, todo, records, engine, chunks, on_progress)
        problems += failed
        _commit(store, sources, model_and_recipe, chunks, records)
    return _counted(chunks, records, problems, seen_now=sum(len(c.names) for c in todo if c.key in records))


def check_places(sources: Iterable[str], to: str, watched: Iterable[str]) -> None:
    """Check that rows are not written under a source, nor under a folder that a library watches. Raises
    UsageError."""
    goal, places = store_at(to), list(map(store_at, sources))
    for source in places:
        if isinstance(source, LocalStore) and not os.path.isdir(source.address):
            raise UsageError(f"{source.shown} is no folder: name one that holds pictures")
        if _within(goal, source):
            raise UsageError(f"{goal.shown} lies under the source {source.shown}: name a place beside it")
        if any(other.address != source.address and _within(source, other) for other in places):
            raise UsageError(f"{source.shown} lies in another source: name that one alone")
    for root in watched:
        if _within(goal, LocalStore(root)):
            raise UsageError(
                f"{goal.shown} lies in {root}, whose photos dedupd watches: name a place beside it"
            )


def _within(inner: Store, outer: Store) -> bool:
    return type(inner) is type(outer) and f"{inner.shown}/".startswith(f"{outer.shown.rstrip('/')}/")


@contextmanager
def in_words(store: Store) -> Generator[None]:
    """Turn the system's error about a place into a DedupdError with one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or (str(error).splitlines() or ["no reason given"])[0][:200]
        raise DedupdError(
            f"{store.shown} cannot be used ({reason}): what is finished is kept, so run the same command again"
        ) from None


def _planned(
    sources: Iterable[str],
    model_and_recipe: ModelAndRecipe,
    scope: Scope,
    size: int,
    problems: list[str],
    on_progress: Progress,
) -> Iterator[Chunk]:
    found = 0
    for address in dict.fromkeys(store_at(source).address for source in sources):
        store = store_at(address)
        with in_words(store):
            for chunk in chunks_of(address, store.pictures(scope, problems.append), model_and_recipe, size):
                found += len(chunk.names)
                on_progress("look", found, 0)
                yield chunk


def _finished(store: Store, chunks: Iterable[Chunk]) -> dict[str, ChunkRecord]:
    """Records of the chunks that are finished already, by key."""
    there, files = store.sizes(RECORDS), store.sizes(CHUNKS)
    keys = [chunk.key for chunk in chunks if f"{chunk.key}.json" in there]

    def read(key: str) -> ChunkRecord | None:
        try:
            return msgspec.json.decode(store.read(f"{RECORDS}/{key}.json"), type=ChunkRecord)
        except (msgspec.MsgspecError, FileNotFoundError):
            return None

    with ThreadPoolExecutor(_READERS) as readers:
        found = [record for record in readers.map(read, keys) if record is not None]
    return {
        record.key: record
        for record in found
        if (not record.file or files.get(record.file) == record.size)
        and not any(r.passing for r in record.refused)
    }


def _process_all(
    store: Store, todo: Sequence[Chunk], records: dict[str, ChunkRecord], engine: Engine,
    chunks: Sequence[Chunk], on_progress: Progress,
) -> list[str]:  # fmt: skip
    """Have these chunks processed, and record each. Returns the reasons why some could not be."""
    total = sum(len(chunk.names) for chunk in chunks)
    done = total - sum(len(chunk.names) for chunk in todo)
    reasons: dict[str, None] = {}
    if todo:
        on_progress("see", done, total)
    for seen in done_of(engine(todo) if todo else (), reasons):
        assert isinstance(seen, ChunkRecord)
        store.write(f"{RECORDS}/{seen.key}.json", msgspec.json.encode(seen))
        records[seen.key] = seen
        done += seen.inputs
        on_progress("see", done, total)
    return list(reasons)


def _commit(
    store: Store,
    sources: Iterable[str],
    model_and_recipe: ModelAndRecipe,
    chunks: Iterable[Chunk],
    records: dict[str, ChunkRecord],
) -> None:
    """Write the file that says which chunks count. Its name is made of sources, model and recipe: a later run
    of the same ones replaces it."""
    finished = [records[chunk.key] for chunk in chunks if chunk.key in records]
    commit = Commit(
        model=model_and_recipe.model, recipe=model_and_recipe.recipe,
        chunks=[ChunkFile(file=r.file, digest=r.digest, rows=r.rows) for r in finished if r.file],
    )  # fmt: skip
    said = repr(
        (
            sorted(store_at(source).address for source in sources),
            model_and_recipe.model,
            model_and_recipe.recipe,
        )
    )
    name = hashlib.blake2b(said.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    store.write(f"{COMMITS}/{name}.json", msgspec.json.encode(commit))


def _counted(
    chunks: Sequence[Chunk], records: dict[str, ChunkRecord], problems: list[str], *, seen_now: int
) -> BackfillOutcome:
    contents: set[bytes] = set()
    refused: list[RefusedPicture] = []
    twins = 0
    for chunk in chunks:
        if (record := records.get(chunk.key)) is None:
            continue
        packed = bytes.fromhex(record.contents)
        before = len(contents)
        contents.update(packed[at : at + 32] for at in range(0, len(packed), 32))
        twins += record.twins + record.rows - (len(contents) - before)
        refused += record.refused
    return BackfillOutcome(
        inputs=sum(len(chunk.names) for chunk in chunks), rows=len(contents), twins=twins, refused=refused,
        missing=sum(len(chunk.names) for chunk in chunks if chunk.key not in records),
        seen_now=seen_now, problems=problems,
    )  # fmt: skip
