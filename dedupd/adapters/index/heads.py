"""The head of each vector: its first coordinates along the principal directions of a library's vectors, one
byte each.

By Cauchy-Schwarz, the product of two heads plus the product of the lengths of their remainders is at least
the product of the vectors. So a pair whose bound is below a bar can be dropped without reading the vectors,
and no pair is lost, whatever the directions are. Rounding to bytes is an error of known length, which is
added in the same way. Owns the directions and the file of heads. Disposable: both are computed from vectors.
Shapes: D dimensions, H of the head.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.content_set import packed_ids
from dedupd.adapters.index.record_file import MappedRecords, RecordFile

HEAD = 256
FIRST = 128
"""Coordinates that bound the products of a few vectors with all others: of most, they show alone that they are beyond
the bar, for half of the work."""
SLACK = 1e-3
"""The largest error of all sums in single precision."""
_SAMPLE, _GROWN = 2000, 4
"""Vectors from which directions are learned, at most; and the growth of a table after which they are learned
anew."""
_AT_ONCE = 16_384
_FEW = 20
"""When less than one in so many lacks its head, the vectors of these are read one by one."""
_FEW_AT_ONCE = 4096
"""Rows compared with a few vectors at a time: what fits into a processor's cache."""
_SPREAD = 5.0
"""Standard deviations that the range of a byte covers; larger values are cut off, which counts as rounding.
"""

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Heads of N vectors, as they are stored."""

    steps: NDArray[np.int8]
    """(N, H)."""
    rest: NDArray[np.float32]
    """(N,) length of the remainder that the head lacks."""
    error: NDArray[np.float32]
    """(N,) length of the error from rounding the head."""

    def __len__(self) -> int:
        return len(self.rest)

    def where(self, chosen: NDArray[Any] | slice) -> Heads:
        """Some of them."""
        return Heads(steps=self.steps[chosen], rest=self.rest[chosen], error=self.error[chosen])

    def columns(self) -> Vectors:
        """(N, H + 2) to be multiplied with `Directions.asked`."""
        found = np.empty((len(self), self.steps.shape[1] + 2), np.float32)
        found[:, :-2] = self.steps
        found[:, -2], found[:, -1] = self.rest, self.error
        return found


class StoredHeads:
    """Heads of N vectors, read where they are in their file: of a million, a quarter of a gigabyte need not be in
    memory."""

    def __init__(self, records: MappedRecords) -> None:
        self.records = records

    def __len__(self) -> int:
        return len(self.records.order)

    def where(self, chosen: NDArray[Any] | slice) -> Heads:
        """Some of them."""
        found = self.records.at(self.records.order[chosen])
        return Heads(steps=found["steps"], rest=found["rest"], error=found["error"])


AnyHeads = Heads | StoredHeads


class FirstSteps:
    """The first coordinates of each head, in memory: a few photos are compared by these first."""

    def __init__(self, directions: Directions, heads: AnyHeads, room: int = 0) -> None:
        """`room`: for so many photos, when others are added."""
        self._sizes, self._first = directions.steps, min(FIRST, len(directions.steps))
        room = max(room, len(heads))
        self._steps = np.empty((room, self._first), np.int8)
        self._rest = np.empty(room, np.float32)
        """At least the length of the remainder that these coordinates lack."""
        self._error = np.empty(room, np.float32)
        self._count = 0
        self.take_in(heads)

    def take_in(self, heads: AnyHeads) -> None:
        """Those heads that are behind the last one known, for which there is room."""
        for start in range(self._count, len(heads), _AT_ONCE):
            part = slice(start, min(start + _AT_ONCE, len(heads)))
            some = heads.where(part)
            tail = np.linalg.norm(some.steps[:, self._first :] * self._sizes[self._first :], axis=1)
            self._steps[part] = some.steps[:, : self._first]
            self._rest[part], self._error[part] = np.hypot(tail + some.error, some.rest), some.error
        self._count = len(heads)

    def reaching(self, asked: Vectors, least: float, among: NDArray[Any] | None) -> NDArray[np.intp]:
        """The places (of all, or among these) whose product with any of these rows of `Directions.asked` may
        reach `least`."""
        first = self._first
        lengths = asked[:, :-2] / self._sizes
        head = np.linalg.norm(lengths[:, :first], axis=1)
        rest = np.hypot(np.linalg.norm(lengths[:, first:], axis=1), asked[:, -2])
        mine = np.ascontiguousarray(asked[:, :first].T)
        count = self._count if among is None else len(among)
        found: list[NDArray[np.intp]] = [np.empty(0, np.intp)]
        steps = np.empty((_FEW_AT_ONCE, first), np.float32)
        for start in range(0, count, _FEW_AT_ONCE):
            part = slice(start, min(start + _FEW_AT_ONCE, count))
            at = part if among is None else among[part]
            some = steps[: part.stop - start]
            some[:] = self._steps[at]
            bounds = some @ mine
            bounds += self._rest[at, None] * rest
            bounds += self._error[at, None] * head
            highest = bounds.max(axis=1) if len(asked) > 1 else bounds[:, 0]
            over = (highest >= least).nonzero()[0]
            if len(over):
                found.append(start + over if among is None else among[start + over].astype(np.intp))
        return np.concatenate(found)


class Directions:
    """(D, H) orthonormal directions, and the size of one step along each."""

    def __init__(self, directions: Vectors, steps: Vectors) -> None:
        self.directions, self.steps = directions, steps

    @cached_property
    def digest(self) -> str:
        """Names the file of heads along these directions."""
        from blake3 import blake3

        return blake3(np.concatenate((self.directions, self.steps[None])).tobytes()).hexdigest(16)

    @classmethod
    def learned(cls, vectors: Vectors) -> Directions:
        """The principal directions of some vectors. Few vectors have few; the others are zero and leave all
        to the remainder."""
        count, dimensions = vectors.shape
        directions = np.zeros((dimensions, min(HEAD, dimensions)), np.float32)
        sample = vectors.astype(np.float64)
        # The smaller of two matrices with the same eigenvalues: for few photos it takes milliseconds.
        small = count < dimensions
        values, found = np.linalg.eigh(sample @ sample.T if small else sample.T @ sample)
        usable = values > 1e-6 * max(float(values[-1]), 1e-12)
        values, found = values[usable][::-1], found[:, usable][:, ::-1]
        if small:
            found = sample.T @ (found / np.sqrt(values))
        found = found[:, : directions.shape[1]]
        directions[:, : found.shape[1]] = found
        heads = vectors @ directions
        reach = np.abs(heads.mean(axis=0)) + _SPREAD * heads.std(axis=0)
        return cls(directions, np.maximum(reach / 127, 1e-6).astype(np.float32))

    def heads(self, vectors: Vectors) -> Heads:
        """The heads of (N, D) vectors."""
        heads = vectors @ self.directions
        steps = np.clip(np.rint(heads / self.steps), -127, 127)
        return Heads(
            steps=steps.astype(np.int8),
            rest=self._rest(vectors, heads),
            error=np.linalg.norm(heads - steps * self.steps, axis=1).astype(np.float32),
        )

    def asked(self, vectors: Vectors) -> Vectors:
        """(N, H + 2): multiplied with `Heads.columns`, it gives an upper bound of the vectors' products
        (except for SLACK)."""
        heads = vectors @ self.directions
        lengths = np.linalg.norm(heads, axis=1)
        return np.column_stack((heads * self.steps, self._rest(vectors, heads), lengths)).astype(np.float32)

    def _rest(self, vectors: Vectors, heads: Vectors) -> Vectors:
        squares = np.einsum("nd,nd->n", vectors, vectors) - np.einsum("nd,nd->n", heads, heads)
        return np.sqrt(np.maximum(squares, 0)).astype(np.float32)


class HeadFile:
    """The file of heads of one table's rows, in its folder."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        self._folder, self._dimensions = folder / "heads", dimensions
        self._directions: Directions | None = None
        self._learned_of = 0
        """Number of vectors from which the directions were learned."""
        self._files: dict[Path, RecordFile] = {}

    def of(self, ids: NDArray[np.bytes_], scan: Scan, few: Few | None = None) -> tuple[Directions, AnyHeads]:
        """The heads of contents (32 bytes each), in order. Missing ones are computed from the vectors that `scan`
        gives, or `few` when they are few, and stored; when that is impossible, all are computed and stay in memory."""
        directions, file = self._open(len(ids), scan)
        stored = _stored(file, directions, ids, scan, few)
        return directions, _made(directions, ids, scan) if stored is None else stored

    def with_more(
        self, before: tuple[Directions, AnyHeads], ids: NDArray[np.bytes_], scan: Scan
    ) -> tuple[Directions, AnyHeads] | None:
        """The heads of `before`, and behind them those of these contents, whose vectors `scan` gives; None when all are to
        be asked for."""
        directions, heads = before
        rows = len(heads) + len(ids)
        if not isinstance(heads, StoredHeads) or self._learned_of < min(_SAMPLE, rows // _GROWN):
            return None
        file = self._file(self._folder / f"{directions.digest}.bin")
        try:
            _add(file, directions, ids, scan)
            records, complete = file.mapped_since(heads.records, ids, np.arange(len(heads), rows))
        except (OSError, ValueError) as error:
            print(f"heads not kept: {error}", file=sys.stderr, flush=True)
            return None
        return (directions, StoredHeads(records)) if complete else None

    def forget(self, contents: Sequence[str]) -> None:
        """Remove the heads of contents whose rows are written anew: another machine may have computed
        slightly different vectors."""
        for path in sorted(self._folder.glob("*.bin")):
            self._file(path).remove(contents)

    @property
    def _size(self) -> int:
        return min(HEAD, self._dimensions)

    def _open(self, rows: int, scan: Scan) -> tuple[Directions, RecordFile]:
        """Open the file whose directions were learned from enough vectors for so many rows."""
        if self._directions is None:
            self._learned_of, self._directions = self._kept()
        if self._directions is None or self._learned_of < min(_SAMPLE, rows // _GROWN):
            self._learned_of, self._directions = self._learn(scan)
        return self._directions, self._file(self._folder / f"{self._directions.digest}.bin")

    def _file(self, path: Path) -> RecordFile:
        """One object for each file, so that a removal by one caller is known to the others."""
        size = self._size
        fields = [("steps", "i1", (size,)), ("rest", "<f4"), ("error", "<f4")]
        return self._files.setdefault(path, RecordFile(path, fields))

    def _kept(self) -> tuple[int, Directions | None]:
        """(number of vectors from which they were learned, directions) of the stored file with the largest
        number."""
        kept: list[tuple[int, str, Directions]] = []
        for path in self._folder.glob("*-*.npy"):
            with suppress(OSError, ValueError):
                packed = np.load(path)
                count, _, digest = path.stem.partition("-")
                if packed.shape == (self._dimensions + 1, self._size):
                    found = Directions(packed[:-1], packed[-1])
                    if found.digest == digest:
                        kept.append((int(count), digest, found))
        count, _, best = max(kept, key=lambda each: each[:2], default=(0, "", None))
        return count, best

    def _learn(self, scan: Scan) -> tuple[int, Directions]:
        sample: list[Vectors] = []
        for _, vectors in scan():
            sample.append(vectors)
            if sum(map(len, sample)) >= _SAMPLE:
                break
        vectors = np.concatenate(sample or [np.zeros((1, self._dimensions), np.float32)])[:_SAMPLE]
        found = Directions.learned(vectors)

        def keep() -> None:
            self._folder.mkdir(parents=True, exist_ok=True)
            part = self._folder / f"{len(vectors)}-{found.digest}.part"
            with part.open("wb") as file:
                np.save(file, np.concatenate((found.directions, found.steps[None])))
                file.flush()
                os.fsync(file.fileno())
            part.replace(part.with_suffix(".npy"))

        _keep(keep)
        return len(vectors), found


Scan = Callable[[], Iterable[tuple[Sequence[str], Vectors]]]
"""Contents and their vectors, of a whole table, in parts."""
Few = Callable[[NDArray[np.intp]], Iterable[tuple[Sequence[str], Vectors]]]
"""The same of those at these places of the ids asked for."""


def _stored(
    file: RecordFile, directions: Directions, ids: NDArray[np.bytes_], scan: Scan, few: Few | None
) -> StoredHeads | None:
    """The heads in the file, after those that it lacks were put into it; None when that is impossible."""
    try:
        records, there = file.mapped(ids)
        if there.all():
            return StoredHeads(records)
        lacking = np.flatnonzero(~there)
        damaged = (records.order[lacking] >= 0).any()
        file.remove_ids(ids[lacking])
        read = (lambda: few(lacking)) if few and len(lacking) * _FEW < len(ids) else scan
        _add(file, directions, ids[lacking], read)
        if not damaged:
            records, complete = file.mapped_since(records, ids[lacking], lacking)
        else:  # the others have other places now
            records, there = file.mapped(ids)
            complete = bool(there.all())
    except (OSError, ValueError) as error:
        print(f"heads not kept: {error}", file=sys.stderr, flush=True)
        return None
    return StoredHeads(records) if complete else None


def _add(file: RecordFile, directions: Directions, lacking: NDArray[np.bytes_], scan: Scan) -> None:
    wanted = np.sort(lacking)
    for names, vectors in scan():
        _, here = _places_in(wanted, packed_ids(names))
        if len(here):
            made = directions.heads(vectors[here])
            file.add(
                [names[int(place)] for place in here], steps=made.steps, rest=made.rest, error=made.error
            )


def _made(directions: Directions, ids: NDArray[np.bytes_], scan: Scan) -> Heads:
    found = Heads(
        steps=np.zeros((len(ids), len(directions.steps)), np.int8),
        rest=np.zeros(len(ids), np.float32),
        error=np.zeros(len(ids), np.float32),
    )
    order = np.argsort(ids, kind="stable")
    wanted = ids[order]
    for names, vectors in scan():
        at, here = _places_in(wanted, packed_ids(names))
        made, places = directions.heads(vectors[here]), order[at]
        found.steps[places], found.rest[places], found.error[places] = made.steps, made.rest, made.error
    return found


def _places_in(
    ids: NDArray[np.bytes_], asked: NDArray[np.bytes_]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(places in `ids`, which are in order, places in `asked`) of those that are in both."""
    places = np.minimum(np.searchsorted(ids, asked), len(ids) - 1)
    here = np.flatnonzero(ids[places] == asked)
    return places[here], here


def _keep(act: Callable[[], None]) -> None:
    """Store the file. On a full or read-only disk nothing is stored; computing again costs time only."""
    try:
        act()
    except OSError as error:
        print(f"heads not kept: {error}", file=sys.stderr, flush=True)
