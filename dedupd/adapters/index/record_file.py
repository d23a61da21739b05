"""Records of one size, by content id, in one file that only grows: read in place, so that a million cost no memory.

Disposable: what it lacks is made again, and a record whose check does not hold counts as lacking. Must never be the
only home of anything. Worker process only: one writer.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Records = NDArray[Any]
_ID = 32


class RecordFile:
    """The file at `path`, of records with these fields beside their content id. Safe to use from several threads."""

    def __init__(self, path: Path, fields: Sequence[tuple[Any, ...]]) -> None:
        self._path = path
        self.dtype = np.dtype([("content", f"V{_ID}"), *fields, ("check", "<u4")])
        self._lock = Lock()
        self._known = np.empty(0, f"S{_ID}")
        self._order = np.empty(0, np.intp)
        self._read = 0
        """Records of which the ids are known."""
        path.parent.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        return self._count()

    def add(self, contents: Sequence[str], **fields: NDArray[Any]) -> None:
        """Append one record each; what is held already stays as it is. On return it is on disk. Raises OSError."""
        with self._lock:
            new = np.flatnonzero(self._places(contents) < 0)
            if not len(new):
                return
            records = np.zeros(len(new), self.dtype)
            records["content"] = _ids([contents[place] for place in map(int, new)]).view(f"V{_ID}")
            for name, values in fields.items():
                records[name] = values[new]
            records["check"] = _checks(records)
            self._path.touch(0o600)
            with self._path.open("r+b") as file:
                # Not at the end: a power cut may have left a part of a record there.
                file.seek(self._count() * self.dtype.itemsize)
                file.write(records.tobytes())
                file.flush()
                os.fsync(file.fileno())

    def get(self, contents: Sequence[str]) -> tuple[Records, NDArray[np.bool_]]:
        """(N,) records, and which of them are there; the others are zero."""
        with self._lock:
            places = self._places(contents)
            found = np.zeros(len(places), self.dtype)
            held = np.flatnonzero(places >= 0)
            if len(held):
                found[held] = self._all()[places[held]]
        there = (places >= 0) & (found["check"] == _checks(found))
        found[~there] = np.zeros((), self.dtype)
        return found, there

    def lacks(self, contents: Sequence[str]) -> list[str]:
        """Those that are not held."""
        with self._lock:
            places = self._places(contents)
        return [content for content, place in zip(contents, places, strict=True) if place < 0]

    def remove(self, contents: Iterable[str]) -> None:
        """Write the file without them."""
        with self._lock:
            gone = self._places(list(contents))
            if not (gone >= 0).any():
                return
            kept = np.delete(self._all(), gone[gone >= 0])
            part = self._path.with_suffix(".part")
            with part.open("wb") as file:
                kept.tofile(file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
            self._read = 0

    def _count(self) -> int:
        return self._path.stat().st_size // self.dtype.itemsize if self._path.exists() else 0

    def _all(self) -> Records:
        count = self._count()
        return np.memmap(self._path, self.dtype, "r", shape=(count,)) if count else np.empty(0, self.dtype)

    def _places(self, contents: Sequence[str]) -> Places:
        """Where each lies, -1 where it is not held."""
        if self._read != self._count():
            ids = np.ascontiguousarray(self._all()["content"]).view(f"S{_ID}")
            self._order = np.argsort(ids, kind="stable")
            self._known, self._read = ids[self._order], len(ids)
        wanted = _ids(contents)
        if not len(self._known) or not len(wanted):
            return np.full(len(wanted), -1, np.intp)
        near = np.minimum(np.searchsorted(self._known, wanted), len(self._known) - 1)
        return np.where(self._known[near] == wanted, self._order[near], -1)


Places = NDArray[np.intp]


def _ids(contents: Sequence[str]) -> NDArray[np.bytes_]:
    return np.frombuffer(bytes.fromhex("".join(contents)), f"S{_ID}")


def _checks(records: Records) -> NDArray[np.uint32]:
    """(N,) a sum over all of a record but its check; zeros, as a power cut leaves them, do not pass for a record."""
    if not len(records):
        return np.empty(0, np.uint32)
    size = records.dtype.itemsize - 4
    words = np.frombuffer(records.tobytes(), np.uint8).reshape(len(records), -1)[:, :size]
    words = np.ascontiguousarray(words).view("<u4")
    weights = (np.arange(words.shape[1], dtype=np.uint32) * np.uint32(2654435761)) | np.uint32(1)
    return (words * weights).sum(axis=1, dtype=np.uint32) ^ np.uint32(0x5DEECE6D)
