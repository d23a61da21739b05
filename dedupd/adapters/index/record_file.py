"""Records of fixed size, by content id, in one file that only grows; read in place, so that a million need no
memory.

The ids are also in a file of their own, so that opening reads only 32 bytes per record. Disposable: what is
missing is computed again, and a record with a wrong checksum or id counts as missing. Must never be the only
place of any value. Worker process only: one writer.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.content_set import first_words, order_of, places_among

Records = NDArray[Any]
Places = NDArray[np.intp]
_ID = 32
_MOST_ADDED = 65_536
"""Ids in a Python dict before they are merged into the sorted array."""
_FEW, _TIMES = 1024, 8
"""So few records are looked for among the ids of all, as they are in the file, at most so many times: to put a million
in order takes as long."""
_CHECKED_AT_ONCE = 16_384
_ALIGNED, _RUNS, _SKIPPED = 4096, 1000, 256
"""Ids compared at a time with those in the file; and how often, and over how many, it is gone on behind removed ones."""
_MAPPED = 32 << 20
"""Bytes of a file that are in memory at a time: reading one record may bring two megabytes of it."""


class RecordFile:
    """The file at `path`, with records of these fields for each content id. Thread-safe."""

    def __init__(self, path: Path, fields: Sequence[tuple[Any, ...]]) -> None:
        self._path, self._ids_path = path, path.with_suffix(".ids")
        self.dtype = np.dtype([("content", f"V{_ID}"), *fields, ("check", "<u4")])
        self._lock = Lock()
        self._forget()

    def __len__(self) -> int:
        return self._count()

    def add(self, contents: Sequence[str], **fields: NDArray[Any]) -> None:
        """Append one record each; existing records stay as they are. They are on disk when this returns.
        Raises OSError."""
        with self._lock:
            wanted = _ids(contents)
            new = np.flatnonzero(self._places(wanted) < 0)
            if not len(new):
                return
            ids = wanted[new]
            records = np.zeros(len(new), self.dtype)
            records["content"] = ids.view(f"V{_ID}")
            for name, values in fields.items():
                records[name] = values[new]
            records["check"] = _checks(records)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Not at the end of the file: a power cut may have left a partial record there.
            count = self._count()
            _write(self._path, count * self.dtype.itemsize, records.tobytes())
            known = min(_whole(self._ids_path, _ID), count)
            _write(self._ids_path, known * _ID, self._all()["content"][known:].tobytes())

    def get(self, contents: Sequence[str]) -> tuple[Records, NDArray[np.bool_]]:
        """(N,) records, and which of them exist; the others are zero. Raises OSError."""
        ids = _ids(contents)
        with self._lock:
            places = self._places(ids)
            found = np.zeros(len(places), self.dtype)
            held = np.flatnonzero(places >= 0)
            if len(held):
                found[held] = self._all()[places[held]]
        there = _right(found, ids)
        found[~there] = np.zeros((), self.dtype)
        return found, there

    def mapped(self, ids: NDArray[np.bytes_]) -> tuple[MappedRecords, NDArray[np.bool_]]:
        """The records of these contents (32 bytes each) where they are in the file, and which of them exist.
        Raises OSError."""
        with self._lock:
            places = self._in_file_order(ids)
            missed = np.flatnonzero(places < 0)
            places[missed] = self._places(ids[missed])
            records, found = MappedRecords(self._path, self.dtype, self._count()), places >= 0
        for start in range(0, len(ids), _CHECKED_AT_ONCE):
            part = slice(start, start + _CHECKED_AT_ONCE)
            held = start + np.flatnonzero(found[part])
            found[held] = _right(records.at(places[held]), ids[held])
        records.order = places.astype(np.int32)
        if found.all():
            with self._lock:
                self._forget()  # 40 bytes each
        return records, found

    def mapped_since(
        self, before: MappedRecords, ids: NDArray[np.bytes_], at: Places
    ) -> tuple[MappedRecords, bool]:
        """Those of `before`, that were found right, and with them the ones of these ids, that were added since, `at` the
        places of those that lacked, or behind the last; and whether they exist now. Raises OSError."""
        with self._lock:
            places = self._places(ids)
            records = MappedRecords(self._path, self.dtype, self._count())
            self._forget()
        records.order = np.resize(before.order, max(len(before.order), int(at.max(initial=-1)) + 1))
        records.order[at] = places
        complete = before.inode in (0, records.inode) and (places >= 0).all()
        return records, bool(complete and _right(records.at(places), ids).all())

    def lacks(self, contents: Sequence[str]) -> list[str]:
        """Those that are missing. Raises OSError."""
        with self._lock:
            places = self._places(_ids(contents))
        return [content for content, place in zip(contents, places, strict=True) if place < 0]

    def remove(self, contents: Iterable[str]) -> None:
        """Write the file without them. Raises OSError."""
        self.remove_ids(_ids(list(contents)))

    def remove_ids(self, ids: NDArray[np.bytes_]) -> None:
        """The same with ids of 32 bytes."""
        with self._lock:
            gone = self._places(ids)
            if not (gone >= 0).any():
                return
            kept = np.delete(self._all(), gone[gone >= 0])
            part = self._path.with_suffix(".part")
            with part.open("wb") as file:
                kept.tofile(file)
                file.flush()
                os.fsync(file.fileno())
            self._ids_path.write_bytes(b"")  # first: it tells places in the file that goes
            part.replace(self._path)
            self._forget()

    def _count(self) -> int:
        return _whole(self._path, self.dtype.itemsize)

    def _all(self) -> Records:
        count = self._count()
        return np.memmap(self._path, self.dtype, "r", shape=(count,)) if count else np.empty(0, self.dtype)

    def _forget(self) -> None:
        self._base: int | None = None
        """Number of records that are looked for among all; None: as many as there are."""
        self._read = 0
        """Number of records whose ids are known: those behind the base have been added since."""
        self._added: dict[bytes, int] = {}
        """Places of these."""
        self._sought: dict[bytes, int] | None = {}
        """Places of a few ids in the base, -1 when missing; None: all of it is in order."""
        self._times = 0
        self._known = np.empty(0, f"S{_ID}")
        """Ids in order, and the place of each."""
        self._order = np.empty(0, np.int32)

    def _places(self, wanted: NDArray[np.bytes_]) -> Places:
        """The place of each, -1 when it is missing."""
        self._read_ids()
        if self._sought is not None and not self._seek(wanted):
            self._put_in_order()
        places = np.full(len(wanted), -1, np.intp)
        if len(self._known):
            near = np.minimum(places_among(self._known, wanted), len(self._known) - 1)
            places = np.where(self._known[near] == wanted, self._order[near], -1)
        for few in (self._sought, self._added):
            if few:
                found = [few.get(name, -1) for name in _each(wanted)]
                places = np.where(places < 0, np.array(found, np.intp), places)
        return places

    def _in_file_order(self, wanted: NDArray[np.bytes_]) -> Places:
        """The places of those that are there in the order in which they are asked for, as most are; -1 for others."""
        places = np.full(len(wanted), -1, np.intp)
        theirs, mine = _words(self._stored_ids(self._count())), _words(wanted)
        at = place = 0
        for _ in range(_RUNS):
            equal = _equal(mine[at:], theirs[place:])
            places[at : at + equal] = np.arange(place, place + equal)
            at, place = at + equal, place + equal
            if at == len(mine) or place == len(theirs):
                break
            behind = np.flatnonzero((theirs[place : place + _SKIPPED] == mine[at]).all(axis=1))
            if len(behind):
                place += int(behind[0])
            else:
                at += 1
        return places

    def _seek(self, wanted: NDArray[np.bytes_]) -> bool:
        """Look for a few of them as the file is; False when it is better put in order."""
        assert self._sought is not None
        names = set(_each(wanted)) - self._sought.keys()
        if not names:
            return True
        if len(names) > _FEW or self._times == _TIMES:
            return False
        self._times += 1
        self._sought |= dict.fromkeys(names, -1)
        stored = self._stored_ids(self._base or 0)
        asked, words = np.sort(first_words(np.frombuffer(b"".join(names), f"S{_ID}"))), first_words(stored)
        near = np.minimum(np.searchsorted(asked, words), len(asked) - 1)
        for place in np.flatnonzero(asked[near] == words)[::-1]:  # backwards: the first one stays
            name = stored[place : place + 1].tobytes()
            if name in names:
                self._sought[name] = int(place)
        return True

    def _read_ids(self) -> None:
        """Read the ids of the records that were added since."""
        start, count = self._read, self._count()
        self._read = count
        if self._base is None:
            self._base = count
        elif start < count:
            added = self._all()["content"][start:]
            for place, name in enumerate(_each(added), start):
                self._added.setdefault(name, place)
        if len(self._added) > max(_MOST_ADDED, self._base // 4):
            self._put_in_order()
            places = np.array([*self._added.values()], np.int32)
            self._sort_in(np.frombuffer(b"".join(self._added), f"S{_ID}"), places)
            self._base, self._added = count, {}

    def _put_in_order(self) -> None:
        if self._sought is not None:
            self._sought, base = None, self._base or 0
            self._sort_in(self._stored_ids(base), np.arange(base, dtype=np.int32))

    def _stored_ids(self, count: int) -> NDArray[np.bytes_]:
        there = self._ids_path.exists()
        stored = np.fromfile(self._ids_path, f"S{_ID}", count) if there else np.empty(0, f"S{_ID}")
        rest = np.frombuffer(self._all()["content"][len(stored) : count].tobytes(), f"S{_ID}")
        return np.concatenate((stored, rest)) if len(rest) else stored

    def _sort_in(self, ids: NDArray[np.bytes_], places: NDArray[np.int32]) -> None:
        known, order = ids, places
        if len(self._known):
            known, order = np.concatenate((self._known, ids)), np.concatenate((self._order, places))
        by_id = order_of(known)
        self._known, self._order = known[by_id], order[by_id]


class MappedRecords:
    """Records in a file as it was when it was opened; its pages are in memory only while they are read."""

    def __init__(self, path: Path, dtype: np.dtype[Any], count: int) -> None:
        self._map: mmap.mmap | None = None
        self.inode = 0
        """Of the file, 0 before there was one: another one is there after a removal."""
        self._records: Records = np.empty(0, dtype)
        if count:
            with path.open("rb") as file:
                self.inode = os.fstat(file.fileno()).st_ino
                self._map = mmap.mmap(file.fileno(), count * dtype.itemsize, access=mmap.ACCESS_READ)
            self._records = np.frombuffer(self._map, dtype)
        self.order: NDArray[np.int32] = np.empty(0, np.int32)
        """The place of each of the records that were asked for."""

    def at(self, places: NDArray[Any]) -> Records:
        """The records at these places of the file. Those of the last call are let go: the whole file would stay in
        memory else."""
        self._let_go()
        first, count = (int(places[0]), len(places)) if len(places) else (0, 0)
        if (places == np.arange(first, first + count)).all():
            return self._records[first : first + count]  # as most of them are: no copy
        whole = self._records.view(f"V{self._records.itemsize}")  # else it is copied field by field
        found, order = np.empty(count, whole.dtype), np.argsort(places, kind="stable")
        wide = max(1, _MAPPED // whole.itemsize)
        pieces = places[order] // wide
        for piece in np.split(order, 1 + np.flatnonzero(pieces[1:] != pieces[:-1])):
            found[piece] = whole[places[piece]]
            self._let_go()
        return found.view(self._records.dtype)

    def _let_go(self) -> None:
        if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)


def _whole(path: Path, size: int) -> int:
    """Number of whole items of this size in a file; a partial one at the end does not count."""
    return path.stat().st_size // size if path.exists() else 0


def _write(path: Path, at: int, packed: bytes) -> None:
    path.touch(0o600)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())


def _equal(ones: NDArray[np.uint64], others: NDArray[np.uint64]) -> int:
    """How many are equal, from the first on."""
    most = min(len(ones), len(others))
    for start in range(0, most, _ALIGNED):
        part = slice(start, min(start + _ALIGNED, most))
        differing = np.flatnonzero((ones[part] != others[part]).any(axis=1))
        if len(differing):
            return start + int(differing[0])
    return most


def _each(ids: NDArray[Any]) -> Iterator[bytes]:
    packed = ids.tobytes()
    return (packed[at : at + _ID] for at in range(0, len(packed), _ID))


def _ids(contents: Sequence[str]) -> NDArray[np.bytes_]:
    return np.frombuffer(bytes.fromhex("".join(contents)), f"S{_ID}")


def _right(records: Records, ids: NDArray[np.bytes_]) -> NDArray[np.bool_]:
    """Which of the records are whole, and those of these contents."""
    here = _words(np.ascontiguousarray(records["content"])) == _words(ids)
    return here.all(axis=1) & (records["check"] == _checks(records))


def _words(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """(N, 4): numpy compares them in a tenth of the time."""
    return np.ascontiguousarray(ids).view(np.uint64).reshape(-1, _ID // 8)


def _checks(records: Records) -> NDArray[np.uint32]:
    """(N,) checksums over the other fields of each record; a record of zeros, which a power cut may leave,
    does not pass."""
    if not len(records):
        return np.empty(0, np.uint32)
    words = np.ascontiguousarray(records).view("<u4").reshape(len(records), -1)[:, :-1]
    weights = (np.arange(words.shape[1], dtype=np.uint32) * np.uint32(2654435761)) | np.uint32(1)
    return np.einsum("nw,w->n", words, weights) ^ np.uint32(0x5DEECE6D)
