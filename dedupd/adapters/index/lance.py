"""The index: one LanceDB table of photos per embedder and recipe, rebuilt when in doubt.

Owns the files in the index folder. Must never hold anything that cannot be computed again, nor say that it
has a row that is not on disk. Imported only by the vision worker: one process, one handle.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

# lancedb reads it when imported; without it every query logs a warning.
os.environ.setdefault("LANCE_LOG", "error")

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dedupd.adapters.index import rest_client
from dedupd.adapters.index.content_set import ContentSet, unpacked_ids
from dedupd.adapters.index.heads import AnyHeads, Directions, HeadFile
from dedupd.adapters.index.known_pairs import KnownPairs, known_pairs, take_pairs
from dedupd.adapters.index.photo_rows import (
    ROW_COLUMNS,
    TRAITS,
    PhotoRow,
    PhotoRows,
    concatenate,
    dimensions_of,
    from_arrow,
    schema_of,
    to_arrow,
    vectors_in,
)
from dedupd.adapters.index.recovery import (
    Syncer,
    folder_name,
    move_aside,
    reason_of_the_machine,
    set_newest_version_aside,
)
from dedupd.core.photo import Traits
from dedupd.errors import VisionError

if TYPE_CHECKING:
    from dedupd.adapters.stores.backfill_records import PairCommit
    from dedupd.adapters.stores.store import Store

with rest_client.left_out():
    import lancedb


class _Made(Protocol):
    def take_in(self, index: PhotoIndex, more: int, /) -> bool:
        """Take in so many rows, that were added at the end of the table; False: it must be made anew."""
        ...


M = TypeVar("M", bound=_Made)
_TABLE = "photos"
_FEWEST_COMMITS, _MOST_COMMITS = 64, 512
"""Commits between compactions, at least and at most. Thousands of small commits cost gigabytes of memory, but
each compaction writes the whole table again: before the maximum it waits until the table has doubled, so that
an import writes each row only a few times."""
_KEEP_VERSIONS = timedelta(hours=1)
"""Older versions are kept for this long: recovery uses them."""
_MANIFESTS_TO_TRY = 5
_FEW = 2000
_BATCH, _VECTORS = 8192, 2048
"""Rows read at a time, and rows with vectors."""
_MOST_MORE = 2000
"""Rows that are added to what was made of the others; while more are, memory is better used for reading photos."""


class PhotoIndex:
    """The table of one embedder and recipe.

    Opening never fails because of damage: a damaged newest version is set aside; anything else unreadable is
    moved to `<name>.broken-<n>` and replaced by an empty table. Errors of the machine (no space, no
    permission) are not damage: VisionError, and everything stays.
    """

    def __init__(
        self,
        index_dir: Path,
        model: str,
        recipe: str,
        dimensions: Callable[[], int],
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`dimensions` of the vectors (0: none) is called only when the table has to be created."""
        self._ask_dimensions = dimensions
        self._log = log
        self.path = index_dir.absolute() / folder_name(model, recipe)
        self._syncer = Syncer()
        self._kept: tuple[tuple[str, ...], PhotoRows] | None = None
        self._made: tuple[Any, Any] | None = None
        self._more = 0
        """Rows added since."""
        self._commits = 0
        self._compacted = 0
        """Number of rows at the last compaction, or when the table was opened."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VisionError(f"the index folder {self.path} cannot be made: {error.strerror}") from None
        self._open_or_rebuild()
        self._tidy()

    def __len__(self) -> int:
        return len(self._known)

    @property
    def dimensions(self) -> int:
        """Length of the vectors in it; 0: none."""
        return self._dimensions

    # -- opening ---------------------------------------------------------------------------------

    def _open_or_rebuild(self) -> None:
        for _ in range(_MANIFESTS_TO_TRY):
            try:
                self._open()
            except Exception as error:  # noqa: BLE001
                # lancedb raises many kinds of errors; all except the machine's mean that this version cannot
                # be used.
                self._raise_if_of_the_machine(error)
                self._log(f"index version unusable: {error}")
                if not set_newest_version_aside(self._versions):
                    break
            else:
                return
        self.set_aside()

    def _raise_if_of_the_machine(self, error: Exception) -> None:
        if reason := reason_of_the_machine(error):
            raise VisionError(
                f"the index in {self.path} cannot be read now ({reason}): it stays as it is, and is tried again"
            ) from error

    def set_aside(self) -> None:
        """Move the whole folder aside and start with an empty table."""
        aside = move_aside(self.path)
        self._log(f"index moved to {aside}; photos will be looked at again")
        self.path.mkdir()
        self._syncer.forget()
        self._changed()
        self.__dict__.pop("near_pairs", None)
        self._open()

    def _open(self) -> None:
        session = lancedb.Session(index_cache_size_bytes=16 << 20, metadata_cache_size_bytes=32 << 20)
        database = lancedb.connect(os.fspath(self.path), session=session)
        if (self.path / f"{_TABLE}.lance").exists():
            self._table: Any = database.open_table(_TABLE)
        else:
            self._table = database.create_table(_TABLE, schema=schema_of(self._ask_dimensions()))
        self._dimensions = dimensions_of(self._table.schema)
        self._schema = schema_of(self._dimensions)
        self._heads = HeadFile(self.path, self._dimensions)
        if not self._table.schema.equals(self._schema):
            raise ValueError("written by another version of dedupd")
        # Reads one column of every data file: a file lost in a power cut is noticed here, not later.
        batches = self._table.search().select(["content"]).to_batches(_BATCH)
        self._known = ContentSet(c for batch in batches for c in batch.column("content").to_pylist())
        self._compacted = len(self._known)
        self._sync()

    def _tidy(self) -> None:
        """Compact what earlier workers left: most end before they compact in their own time."""
        before = time.time() - _KEEP_VERSIONS.total_seconds()
        outdated = sum(each.stat().st_mtime < before for each in self._versions.glob("*.manifest"))
        if outdated >= _FEWEST_COMMITS:
            try:
                self._compact(len(self._known))
                self._sync()
            except (OSError, RuntimeError) as error:
                self._log(f"index not compacted: {error}")

    @property
    def _versions(self) -> Path:
        return self.path / f"{_TABLE}.lance" / "_versions"

    # -- writing ---------------------------------------------------------------------------------

    def add(self, rows: Sequence[PhotoRow]) -> None:
        """Store rows of contents not yet held; they are on disk when this returns."""
        fresh: dict[str, PhotoRow] = {}
        for row in rows:
            if row.traits.content not in self._known:
                fresh[row.traits.content] = row
        if fresh:
            self._store(to_arrow(list(fresh.values()), self._schema), list(fresh))

    def add_table(self, table: pa.Table) -> int:
        """The same for rows that are a table of this `schema` already. Returns how many were not yet held."""
        fresh: dict[str, int] = {}
        for place, content in enumerate(table.column("content").to_pylist()):
            if content not in self._known:
                fresh.setdefault(content, place)
        if fresh:
            self._store(table.take(list(fresh.values())), list(fresh))
        return len(fresh)

    @property
    def schema(self) -> pa.Schema:
        return self._schema

    def _store(self, table: pa.Table, contents: list[str]) -> None:
        made, more = self._made, self._more + len(contents)
        self._changed()
        try:
            # What was computed from a removed row must not be used for this one.
            self._heads.forget(contents)
            self._table.add(table)
            self._commits += 1
            count = len(self._known) + len(contents)
            doubled = self._commits >= _FEWEST_COMMITS and count >= 2 * self._compacted
            compact = doubled or self._commits >= _MOST_COMMITS
            if compact:
                self._compact(count)
            self._sync()
        except (OSError, RuntimeError) as error:
            raise VisionError(f"the index in {self.path} could not be written: {error}") from None
        self._known.add(contents)
        if not compact and more <= _MOST_MORE:  # the other rows are where they were
            self._made, self._more = made, more

    def take_pairs(self, store: Store, commit: PairCommit) -> int:
        """Store the near pairs that a backfill found; they are on disk when this returns. Returns their
        number. Raises VisionError."""
        taken = take_pairs(store, commit, self.path)
        self.__dict__.pop("near_pairs", None)
        self._sync()
        return taken

    def remove(self, contents: Sequence[str]) -> None:
        """Remove the rows of those `contents` that are held; this is on disk when it returns."""
        wanted = self._held(contents)
        if not wanted:
            return
        self._changed()
        self._known.remove(wanted)  # first: if only some of them go, none of them is answered for
        try:
            for start in range(0, len(wanted), _FEW):
                chosen = ",".join(f"'{content}'" for content in wanted[start : start + _FEW])
                self._table.delete(f"content IN ({chosen})")
                self._commits += 1
            self._sync()
        except (OSError, RuntimeError) as error:
            raise VisionError(f"the index in {self.path} could not be written: {error}") from None

    def _changed(self) -> None:
        self._kept = self._made = None
        self._more = 0

    def page(self, after: str) -> list[str]:
        """Some of the contents that have a row, in order, from the one after `after` on."""
        return self._known.page(after, _FEW)

    def _compact(self, rows: int) -> None:
        """Merge the small files of many commits, and remove old versions."""
        self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        self._commits, self._compacted = 0, rows

    def _sync(self) -> None:
        self._syncer.sync(self.path)

    # -- reading ---------------------------------------------------------------------------------

    @cached_property
    def near_pairs(self) -> KnownPairs | None:
        """The near pairs that a backfill found, if there are any."""
        return known_pairs(self.path)

    def outside(self, known: KnownPairs) -> list[str]:
        """The contents that have a row and are not covered by these pairs."""
        return self._known.besides(known.contents)

    def lacks(self, contents: Iterable[str]) -> list[str]:
        """Those of `contents` that have no row."""
        asked = list(contents)
        held = self._known.held(asked)
        return [asked[place] for place in map(int, np.flatnonzero(~held))]

    def ids(self) -> NDArray[np.bytes_]:
        """(N,) the contents that have a row, 32 bytes each, in order: the array of the index itself."""
        return self._known.ids()

    def _held(self, contents: Iterable[str]) -> list[str]:
        """Those that have a row, each once."""
        asked = list(dict.fromkeys(contents))
        return [asked[place] for place in map(int, np.flatnonzero(self._known.held(asked)))]

    def holds(self, content: str) -> bool:
        """Whether `content` has a row. Safe to call from other threads."""
        return content in self._known

    def traits(self, contents: Sequence[str]) -> dict[str, Traits]:
        """The stored traits of `contents`, without vectors."""
        found: dict[str, Traits] = {}
        for batch in self._batches(contents, TRAITS):
            for values in batch.to_pylist():
                found.setdefault(values["content"], Traits(**{name: values[name] for name in TRAITS}))
        return found

    def rows(self, contents: Sequence[str]) -> PhotoRows:
        """The rows of `contents` with vectors, each once; unknown contents are left out."""
        return concatenate(
            [
                from_arrow(batch, self._dimensions)
                for batch in self._batches(contents, self._columns("vector"))
            ]
        )

    def rows_kept(self, contents: Sequence[str]) -> PhotoRows:
        """The same, cached until the table changes or other contents are asked for."""
        wanted = tuple(contents)
        if self._kept is None or self._kept[0] != wanted:
            self._kept = None  # not two of them at a time
            self._kept = (wanted, self.rows(wanted))
        return self._kept[1]

    def made(self, make: Callable[[PhotoIndex], M]) -> M:
        """The result of `make` for this table, cached until the table changes; rows that were added alone are taken in."""
        made, more = self._made, self._more
        if made is None or made[0] is not make or more:
            self._made, self._more = None, 0  # none that is half done
            if made is None or made[0] is not make or not made[1].take_in(self, more):
                made = None  # not two of them at a time
                made = (make, make(self))
            self._made = made
        return cast("M", made[1])

    def scan(self, *, vectors: bool = False, first: int = 0, most: int = 0) -> Iterator[PhotoRows]:
        """The whole table in blocks, or so many rows of it from the one with this number on: hashes, and vectors if asked
        for."""

        def narrow(query: Any) -> Any:
            return query.offset(first).limit(most) if most else query

        for batch in self._read(narrow, self._columns(*(["vector"] if vectors else []))):
            yield from_arrow(batch, self._dimensions)

    def all_vectors(
        self, wanted: Callable[[NDArray[np.uint64]], NDArray[np.bool_]]
    ) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.float32]]]:
        """(ids, (N, D) vectors) of the whole table, in parts: of each the rows whose ids are wanted."""
        with self._reading():
            query = self._table.search().select(["vector"]).with_row_id(True)
            for batch in query.to_batches(_VECTORS):
                ids = batch.column("_rowid").to_numpy()
                chosen = np.flatnonzero(wanted(ids))
                if len(chosen):
                    yield ids[chosen], vectors_in(batch.column("vector"), self._dimensions, chosen)

    def heads(self, contents: NDArray[np.bytes_], ids: NDArray[np.uint64]) -> tuple[Directions, AnyHeads]:
        """The heads of the vectors of these contents (32 bytes each) with these row ids, in order, and their directions."""

        def few(places: NDArray[np.intp]) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
            return self._vectors_of(contents[places], ids[places])

        return self._heads.of(contents, self._contents_and_vectors, few)

    def heads_with(
        self, before: tuple[Directions, AnyHeads], contents: NDArray[np.bytes_], ids: NDArray[np.uint64]
    ) -> tuple[Directions, AnyHeads] | None:
        """The heads of `before` and these; None when that is impossible."""
        return self._heads.with_more(before, contents, lambda: self._vectors_of(contents, ids))

    def _vectors_of(
        self, contents: NDArray[np.bytes_], ids: NDArray[np.uint64]
    ) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        for start in range(0, len(ids), _VECTORS):
            some = ids[start : start + _VECTORS]
            found, vectors = self.vectors_by_id(some)
            order = np.argsort(some)
            at = start + order[np.searchsorted(some, found, sorter=order)]
            yield [name.decode() for name in unpacked_ids(contents[at])], vectors

    def _contents_and_vectors(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        for rows in self.scan(vectors=True):
            if rows.vectors is not None:
                yield rows.contents, rows.vectors

    def vectors_by_id(self, ids: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """(ids in the order found, (N, D) vectors) of row ids that `scan` gave."""
        query = self._table.take_row_ids([int(each) for each in ids]).select(["vector"]).with_row_id()
        with self._reading():
            table = query.to_arrow()
        return table.column("_rowid").to_numpy(), vectors_in(table.column("vector"), self._dimensions)

    def _columns(self, *vectors: str) -> list[str]:
        return [*ROW_COLUMNS, *(vectors if self._dimensions else ())]

    def _batches(self, contents: Sequence[str], columns: list[str]) -> Iterator[pa.RecordBatch]:
        wanted = self._held(contents)
        if len(wanted) > _FEW and len(wanted) * 20 > len(self._known):
            sought = ContentSet(wanted)
            for batch in self._read(lambda query: query, columns):
                yield batch.filter(pa.array(sought.held(batch.column("content").to_pylist())))
            return
        for start in range(0, len(wanted), _FEW):
            chosen = ",".join(f"'{content}'" for content in wanted[start : start + _FEW])
            yield from self._read(lambda query, chosen=chosen: query.where(f"content IN ({chosen})"), columns)

    def _read(self, narrow: Callable[[Any], Any], columns: list[str]) -> Iterator[pa.RecordBatch]:
        with self._reading():
            query = narrow(self._table.search()).select(columns).with_row_id(True)
            yield from query.to_batches(_BATCH)

    @contextmanager
    def _reading(self) -> Generator[None]:
        """Wraps a read: a table that cannot be read is set aside, unless the machine is the cause. Raises
        VisionError in both cases."""
        try:
            yield
        except (OSError, RuntimeError, MemoryError) as error:
            self._raise_if_of_the_machine(error)
            self._log(f"index unreadable: {error}")
            self.set_aside()
            raise VisionError(
                f"the index in {self.path} was damaged and has been set aside; its photos will be looked at again"
            ) from None


def contents_of(index_dir: Path, model: str, recipe: str) -> list[str]:
    """The content ids of a table, read only: nothing is created, repaired or set aside. Raises VisionError."""
    path = index_dir.absolute() / folder_name(model, recipe)
    if not (path / f"{_TABLE}.lance").exists():
        raise VisionError(f"there is no index in {path}: the next scan makes it anew")
    try:
        table: Any = lancedb.connect(os.fspath(path)).open_table(_TABLE)
        found: list[str] = table.search().select(["content"]).to_arrow().column("content").to_pylist()
    except Exception as error:  # noqa: BLE001
        # lancedb raises many kinds of errors; all except the machine's mean that this table cannot be read.
        reason = reason_of_the_machine(error)
        first = reason or (str(error).splitlines() or ["no reason given"])[0][:200]
        ahead = "it is tried again" if reason else "the next scan makes it anew"
        raise VisionError(f"the index in {path} cannot be read ({first}): {ahead}") from None
    return found
