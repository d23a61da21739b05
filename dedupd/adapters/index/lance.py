"""The index: one LanceDB table of photos per embedder and recipe, rebuilt when in doubt.

Owns the files under the index folder; must never hold anything that cannot be computed again, nor
answer for a row that is not on disk. Imported only by the vision worker: one process, one handle.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false
from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

# Read when lancedb is imported; without it every query logs a warning.
os.environ.setdefault("LANCE_LOG", "error")

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dedupd.adapters.index import rest_client
from dedupd.core.photo import Traits
from dedupd.errors import VisionError

with rest_client.left_out():
    import lancedb

SKETCH = 128
"""Dimensions of the stored random projection that the search across the whole index looks at first."""
_TABLE = "photos"
_FEWEST_COMMITS, _MOST_COMMITS = 64, 512
"""Between compactions. Thousands of small commits cost gigabytes of memory, but each compaction writes the whole
table again: before the most it waits until the table has doubled, so that an import writes each row a few times."""
_KEEP_VERSIONS = timedelta(hours=1)
"""Older versions are what recovery falls back on."""
_FOLDER = re.compile(r"[A-Za-z0-9.-]+\.r[A-Za-z0-9.-]+")
_ASIDE = re.compile(r"\.broken-\d+$")
_KEEP_ASIDE = timedelta(days=7)
_MANIFESTS_TO_TRY = 5
_OF_THE_MACHINE = frozenset(
    {
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EACCES, errno.EPERM,
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ETIMEDOUT, errno.ESTALE,
    }
)  # fmt: skip
"""Errors that say nothing of what lies on the disk: too many open files, no memory, no right, no space ..."""
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust words each error of the system; lancedb hands on no more than the words."""
_FEW = 2000
_BATCH = 8192
_TRAIT_TYPES: dict[str, pa.DataType] = {
    "content": pa.string(),
    "recipe": pa.string(),
    "model": pa.string(),
    "format": pa.string(),
    "width": pa.int32(),
    "height": pa.int32(),
    "phash": pa.uint64(),
    "dhash": pa.uint64(),
    "captured": pa.float64(),
    "camera": pa.string(),
    "exposure": pa.float64(),
    "software": pa.string(),
    "metadata_fields": pa.int32(),
    "has_gps": pa.bool_(),
    "jpeg_quality": pa.float64(),
    "subsampling": pa.string(),
    "sharpness": pa.float64(),
    "texture": pa.float64(),
    "text_like": pa.bool_(),
    "simhash": pa.string(),
}
_TRAITS = [field.name for field in fields(Traits)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One photo to store."""

    traits: Traits
    phashes: NDArray[np.uint64]
    """(8,) by orientation."""
    vector: NDArray[np.float32] | None
    """(D,) unit vector; None in a table without vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Some rows as arrays; what was not asked for is empty."""

    contents: list[str]
    phashes: NDArray[np.uint64]
    """(N, 8) by orientation."""
    vectors: NDArray[np.float32] | None
    """(N, D)."""
    sketches: NDArray[np.float32] | None
    """(N, SKETCH) unit vectors."""
    captured: NDArray[np.float64]
    """(N,) seconds; NaN when nobody knows."""
    ids: NDArray[np.uint64]
    """Lance row ids, valid until the next commit."""


class PhotoIndex:
    """The table of one embedder and recipe.

    Opening never fails for what it finds: a damaged newest version is set aside, anything else
    unreadable is moved to `<name>.broken-<n>` and an empty table takes its place. What the machine
    refuses is no damage: VisionError, and everything stays where it is.
    """

    def __init__(
        self,
        index_dir: Path,
        model: str,
        recipe: str,
        dimensions: Callable[[], int],
        log: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`dimensions` of the vectors (0: none) is asked only when the table has to be made."""
        self._ask_dimensions = dimensions
        self._log = log
        self.path = index_dir.absolute() / _folder_name(model, recipe)
        self._synced: dict[str, set[tuple[str, int]]] = {}
        """By folder: names and inodes of files known to be on disk."""
        self._kept: tuple[tuple[str, ...], Rows] | None = None
        self._commits = 0
        self._compacted = 0
        """Rows there were at the last compaction, or when the table was opened."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise VisionError(f"the index folder {self.path} cannot be made: {error.strerror}") from None
        self._open_or_rebuild()
        self._tidy()

    def __len__(self) -> int:
        return len(self._known)

    # -- opening ---------------------------------------------------------------------------------

    def _open_or_rebuild(self) -> None:
        for _ in range(_MANIFESTS_TO_TRY):
            try:
                self._open()
            except Exception as error:  # noqa: BLE001
                # lancedb raises many kinds; each but the machine's means that this version cannot be used.
                self._raise_if_of_the_machine(error)
                self._log(f"index version unusable: {error}")
                if not self._set_newest_version_aside():
                    break
            else:
                return
        self.set_aside()

    def _raise_if_of_the_machine(self, error: Exception) -> None:
        if reason := _reason_of_the_machine(error):
            raise VisionError(
                f"the index in {self.path} cannot be read now ({reason}): it stays as it is, and is tried again"
            ) from error

    def set_aside(self) -> None:
        """Move the whole folder out of the way and start with an empty table."""
        number = 1
        while (aside := self.path.with_name(f"{self.path.name}.broken-{number}")).exists():
            number += 1
        self.path.rename(aside)
        self._log(f"index moved to {aside}; photos will be looked at again")
        self.path.mkdir()
        self._synced.clear()
        self._kept = None
        self._open()

    def _open(self) -> None:
        session = lancedb.Session(index_cache_size_bytes=16 << 20, metadata_cache_size_bytes=32 << 20)
        database = lancedb.connect(os.fspath(self.path), session=session)
        if (self.path / f"{_TABLE}.lance").exists():
            self._table: Any = database.open_table(_TABLE)
        else:
            self._table = database.create_table(_TABLE, schema=_schema(self._ask_dimensions()))
        self._dimensions = _dimensions_of(self._table.schema)
        self._schema = _schema(self._dimensions)
        if not self._table.schema.equals(self._schema):
            raise ValueError("written by another version of dedupd")
        self._sketcher = _projection(self._dimensions) if self._dimensions else None
        # Reads one column of every data file: a file lost in a power cut shows here, not later.
        found = self._table.search().select(["content"]).to_arrow().column("content").to_pylist()
        self._known = ContentSet(found)
        self._compacted = len(self._known)
        self._sync()

    def _tidy(self) -> None:
        """Compact what workers before this one left: few live long enough to do it in their own time."""
        before = time.time() - _KEEP_VERSIONS.total_seconds()
        versions = self.path / f"{_TABLE}.lance" / "_versions"
        outdated = sum(each.stat().st_mtime < before for each in versions.glob("*.manifest"))
        if outdated >= _FEWEST_COMMITS:
            try:
                self._compact(len(self._known))
                self._sync()
            except (OSError, RuntimeError) as error:
                self._log(f"index not compacted: {error}")

    def _set_newest_version_aside(self) -> bool:
        versions = self.path / f"{_TABLE}.lance" / "_versions"
        manifests = sorted(versions.glob("*.manifest"), key=_version_of)
        if len(manifests) < 2:
            return False
        manifests[-1].rename(manifests[-1].with_suffix(".broken"))
        return True

    # -- writing ---------------------------------------------------------------------------------

    def add(self, rows: Sequence[Row]) -> None:
        """Store rows of contents not yet held; on return they are on disk."""
        fresh: dict[str, Row] = {}
        for row in rows:
            if row.traits.content not in self._known:
                fresh[row.traits.content] = row
        if not fresh:
            return
        self._kept = None
        try:
            self._table.add(self._to_arrow(list(fresh.values())))
            self._commits += 1
            count = len(self._known) + len(fresh)
            doubled = self._commits >= _FEWEST_COMMITS and count >= 2 * self._compacted
            if doubled or self._commits >= _MOST_COMMITS:
                self._compact(count)
            self._sync()
        except (OSError, RuntimeError) as error:
            raise VisionError(f"the index in {self.path} could not be written: {error}") from None
        self._known.add(fresh)

    def remove(self, contents: Sequence[str]) -> None:
        """Take out the rows of `contents`, those that are held; on return that is on disk."""
        wanted = [content for content in contents if content in self._known]
        if not wanted:
            return
        self._kept = None
        self._known.remove(wanted)  # first: if only some of them go, none of them is answered for
        try:
            for start in range(0, len(wanted), _FEW):
                chosen = ",".join(f"'{content}'" for content in wanted[start : start + _FEW])
                self._table.delete(f"content IN ({chosen})")
                self._commits += 1
            self._sync()
        except (OSError, RuntimeError) as error:
            raise VisionError(f"the index in {self.path} could not be written: {error}") from None

    def page(self, after: str) -> list[str]:
        """Some of the contents that have a row, in order, from the one after `after` on."""
        return self._known.page(after, _FEW)

    def _compact(self, rows: int) -> None:
        """Merge what many commits left, and remove old versions."""
        self._table.optimize(cleanup_older_than=_KEEP_VERSIONS)
        self._commits, self._compacted = 0, rows

    def _to_arrow(self, rows: list[Row]) -> pa.Table:
        columns: dict[str, Any] = {name: [] for name in _TRAITS}
        for row in rows:
            for name, value in asdict(row.traits).items():
                columns[name].append(value)
        columns["phashes"] = pa.array([row.phashes.astype("<u8").tobytes() for row in rows], pa.binary(64))
        if self._sketcher is not None:
            vectors = _clean(np.stack([row.vector for row in rows if row.vector is not None]))
            columns["vector"] = _to_list_array(vectors, self._dimensions)
            columns["sketch"] = _to_list_array(_clean(vectors @ self._sketcher), SKETCH)
        return pa.table(columns, schema=self._schema)

    def _sync(self) -> None:
        """fsync what is new. Lance never does, and a table with a torn manifest does not open again."""
        for folder, _, names in os.walk(self.path):
            found = {(name, os.lstat(os.path.join(folder, name)).st_ino) for name in names}
            new = found - self._synced.get(folder, set())
            for name, _ in new:
                _fsync(os.path.join(folder, name))
            if new:
                _fsync(folder)
            self._synced[folder] = found

    # -- reading ---------------------------------------------------------------------------------

    def lacks(self, contents: Iterable[str]) -> list[str]:
        """Those of `contents` that have no row."""
        return [content for content in contents if content not in self._known]

    def holds(self, content: str) -> bool:
        """Whether `content` has a row. Safe to call from other threads."""
        return content in self._known

    def traits(self, contents: Sequence[str]) -> dict[str, Traits]:
        """What is stored of `contents`, without vectors."""
        found: dict[str, Traits] = {}
        for batch in self._batches(contents, _TRAITS):
            for values in batch.to_pylist():
                found.setdefault(values["content"], Traits(**{name: values[name] for name in _TRAITS}))
        return found

    def rows(self, contents: Sequence[str]) -> Rows:
        """The rows of `contents` with vectors and sketches, each once, unknown ones left out."""
        return _concatenate(
            [self._rows(batch) for batch in self._batches(contents, self._columns("vector", "sketch"))]
        )

    def rows_kept(self, contents: Sequence[str]) -> Rows:
        """The same; remembered for whoever asks for just these next, until the table changes."""
        wanted = tuple(contents)
        if self._kept is None or self._kept[0] != wanted:
            self._kept = None  # not two of them at a time
            self._kept = (wanted, self.rows(wanted))
        return self._kept[1]

    def scan(self, *, sketches: bool = True) -> Iterator[Rows]:
        """The whole table in blocks: hashes and sketches, no vectors."""
        for batch in self._read(lambda query: query, self._columns(*(["sketch"] if sketches else []))):
            yield self._rows(batch)

    def vectors_by_id(self, ids: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
        """(ids in the order found, (N, D) vectors) of row ids that `scan` gave."""
        query = self._table.take_row_ids([int(each) for each in ids]).select(["vector"]).with_row_id()
        with self._reading():
            table = query.to_arrow()
        return table.column("_rowid").to_numpy(), _from_list_column(table.column("vector"), self._dimensions)

    def _columns(self, *vectors: str) -> list[str]:
        return ["content", "captured", "phashes", *(vectors if self._dimensions else ())]

    def _batches(self, contents: Sequence[str], columns: list[str]) -> Iterator[pa.RecordBatch]:
        wanted = [content for content in dict.fromkeys(contents) if content in self._known]
        if len(wanted) > _FEW and len(wanted) * 20 > len(self._known):
            sought = ContentSet(wanted)
            for batch in self._read(lambda query: query, columns):
                mask = pa.array([content in sought for content in batch.column("content").to_pylist()])
                yield batch.filter(mask)
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
        """What cannot be read is set aside, unless the machine is the reason. VisionError either way."""
        try:
            yield
        except (OSError, RuntimeError, MemoryError) as error:
            self._raise_if_of_the_machine(error)
            self._log(f"index unreadable: {error}")
            self.set_aside()
            raise VisionError(
                f"the index in {self.path} was damaged and has been set aside; its photos will be looked at again"
            ) from None

    def _rows(self, batch: pa.RecordBatch) -> Rows:
        names = batch.schema.names
        packed = batch.column("phashes").to_pylist()
        return Rows(
            contents=batch.column("content").to_pylist(),
            phashes=np.frombuffer(b"".join(packed), dtype="<u8").reshape(-1, 8).astype(np.uint64),
            vectors=_from_list_column(batch.column("vector"), self._dimensions)
            if "vector" in names
            else None,
            sketches=_from_list_column(batch.column("sketch"), SKETCH) if "sketch" in names else None,
            captured=batch.column("captured").to_numpy(zero_copy_only=False),
            ids=batch.column("_rowid").to_numpy(),
        )


def contents_of(index_dir: Path, model: str, recipe: str) -> list[str]:
    """The content ids of a table, only read: nothing is made, mended or set aside. Raises VisionError."""
    path = index_dir.absolute() / _folder_name(model, recipe)
    if not (path / f"{_TABLE}.lance").exists():
        raise VisionError(f"there is no index in {path}: the next scan makes it anew")
    try:
        table: Any = lancedb.connect(os.fspath(path)).open_table(_TABLE)
        found: list[str] = table.search().select(["content"]).to_arrow().column("content").to_pylist()
    except Exception as error:  # noqa: BLE001
        # lancedb raises many kinds; each but the machine's means that this table cannot be read.
        reason = _reason_of_the_machine(error)
        first = reason or (str(error).splitlines() or ["no reason given"])[0][:200]
        ahead = "it is tried again" if reason else "the next scan makes it anew"
        raise VisionError(f"the index in {path} cannot be read ({first}): {ahead}") from None
    return found


def _reason_of_the_machine(error: Exception) -> str:
    """Why the machine could not read, as a clause; '' when the files themselves may be the reason."""
    told = _OS_ERROR.search(str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    return os.strerror(number) if number in _OF_THE_MACHINE else ""


class ContentSet:
    """Content ids at 32 bytes each; a Python set of a million strings would take 140 MB."""

    def __init__(self, contents: Iterable[str]) -> None:
        packed = bytes.fromhex("".join(contents))
        self._sorted = np.sort(np.frombuffer(packed, dtype="S32"))
        self._added: set[bytes] = set()

    def __contains__(self, content: str) -> bool:
        try:
            wanted = bytes.fromhex(content)
        except ValueError:
            return False
        if wanted in self._added:
            return True
        place = int(np.searchsorted(self._sorted, np.bytes_(wanted)))
        # numpy drops trailing zero bytes of the items it hands out.
        return len(wanted) == 32 and place < len(self._sorted) and self._sorted[place] == wanted.rstrip(b"\0")

    def __len__(self) -> int:
        return len(self._sorted) + len(self._added)

    def add(self, contents: Iterable[str]) -> None:
        """Add ids that are not in yet."""
        self._added.update(bytes.fromhex(content) for content in contents)

    def remove(self, contents: Iterable[str]) -> None:
        """Take out ids that are in."""
        self._settle()
        gone = np.frombuffer(bytes.fromhex("".join(contents)), dtype="S32")
        self._sorted = self._sorted[~np.isin(self._sorted, gone)]

    def page(self, after: str, size: int) -> list[str]:
        """Up to `size` ids in order, from the one after `after` on."""
        self._settle()
        start = (
            int(np.searchsorted(self._sorted, np.bytes_(bytes.fromhex(after)), side="right")) if after else 0
        )
        packed = self._sorted[start : start + size].tobytes()
        return [packed[at : at + 32].hex() for at in range(0, len(packed), 32)]

    def _settle(self) -> None:
        if self._added:
            added = np.frombuffer(b"".join(self._added), dtype="S32")
            self._sorted, self._added = np.sort(np.concatenate((self._sorted, added))), set()


def _folder_name(model: str, recipe: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{model or 'hashes'}.r{recipe}").strip("-.")


def remove_others(index_dir: Path, models: Iterable[str], recipe: str) -> None:
    """Remove the tables of other models and recipes, and those set aside some days ago: all of it can be computed again.

    The one set aside last stays for whoever wants to know what was wrong with it.
    """
    wanted = {_folder_name(model, recipe) for model in models}
    folders = [
        folder
        for folder in (index_dir.iterdir() if index_dir.is_dir() else ())
        if _FOLDER.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    ]
    aside = sorted((f.stat().st_ctime, f.name) for f in folders if _ASIDE.search(f.name))
    fresh = {name for at, name in aside if time.time() - at < _KEEP_ASIDE.total_seconds()}
    wanted |= fresh | {name for _, name in aside[-1:]}
    for folder in folders:
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)  # what is left is tried again the next time


def _schema(dimensions: int) -> pa.Schema:
    columns = [pa.field(name, _TRAIT_TYPES[name]) for name in _TRAITS]
    columns.append(pa.field("phashes", pa.binary(64)))
    if dimensions:
        columns.append(pa.field("vector", pa.list_(pa.float16(), dimensions)))
        columns.append(pa.field("sketch", pa.list_(pa.float16(), SKETCH)))
    return pa.schema(columns)


def _dimensions_of(schema: pa.Schema) -> int:
    place = schema.get_field_index("vector")
    return int(schema.field(place).type.list_size) if place >= 0 else 0


@cache
def _projection(dimensions: int) -> NDArray[np.float32]:
    """(D, SKETCH) random signs (Achlioptas 2003), the same on every machine and for ever."""
    from blake3 import blake3

    stream = blake3(b"dedupd sketch 1").digest(length=dimensions * SKETCH // 8)
    bits = np.unpackbits(np.frombuffer(stream, dtype=np.uint8)).reshape(dimensions, SKETCH)
    return bits.astype(np.float32) * 2.0 - 1.0


def sketch(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, SKETCH) unit vectors whose cosine estimates that of (N, D) `vectors`."""
    return _clean(vectors @ _projection(vectors.shape[1]))


def simhash(vectors: NDArray[np.float32]) -> list[str]:
    """128 bits, hex, of each of (N, D) vectors: their Hamming distance tells the angle (Charikar 2002)."""
    return [np.packbits(row > 0).tobytes().hex() for row in vectors @ _projection(vectors.shape[1])]


def _clean(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit rows; a row that is not finite becomes zero, so that it resembles nothing."""
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        usable = np.isfinite(lengths) & (lengths > 1e-6)
        return np.where(usable, vectors / np.where(usable, lengths, 1.0), 0.0).astype(np.float32)


def _to_list_array(rows: NDArray[np.float32], size: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(rows.astype(np.float16).ravel()), size)


def _from_list_column(column: Any, size: int) -> NDArray[np.float32]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, size).astype(np.float32)


def _concatenate(parts: list[Rows]) -> Rows:
    """One Rows of several; a content met twice counts once."""
    contents = [content for part in parts for content in part.contents]
    _, first = np.unique(np.array(contents, dtype=str), return_index=True)
    first = np.sort(first)

    def joined(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if not arrays or arrays[0] is None else np.concatenate(arrays)[first]

    phashes, captured, ids = joined("phashes"), joined("captured"), joined("ids")
    return Rows(
        contents=[contents[place] for place in first],
        phashes=np.empty((0, 8), np.uint64) if phashes is None else phashes,
        vectors=joined("vectors"),
        sketches=joined("sketches"),
        captured=np.empty(0) if captured is None else captured,
        ids=np.empty(0, np.uint64) if ids is None else ids,
    )


def _version_of(manifest: Path) -> int:
    """The version a manifest's name stands for; newer name schemes count down from 2^64."""
    digits = manifest.stem
    if not digits.isdigit():
        return -1
    return (1 << 64) - 1 - int(digits) if len(digits) == 20 else int(digits)


def _fsync(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is None:
            os.fsync(descriptor)
        else:
            fcntl.fcntl(descriptor, full)
    finally:
        os.close(descriptor)
