"""Which rows of a backfill may be near each other: one file beside the index, so that a search need not look
for these pairs.

Owns that file: written whole at an adoption, and used only while its checksum is right. For the contents it
covers, it lists all near pairs among them. Must never be required: without it everything is searched.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from dedupd.adapters.index.chunk_file import contents_in
from dedupd.adapters.stores.backfill_records import CHUNKS, PAIRS, PairCommit
from dedupd.drafts import draft_of
from dedupd.errors import VisionError

if TYPE_CHECKING:
    from dedupd.adapters.stores.store import Store

_NAME = "near-pairs"
_HEAD = 512
"""Bytes of JSON, padded with blanks; then contents, starts and partners as arrays."""


class _About(msgspec.Struct, frozen=True, kw_only=True):
    rule: str
    bar: float | None
    contents: int
    partners: int
    digest: str


class KnownPairs:
    """The contents that the file covers, and the partners of each among them; read from the file in place."""

    def __init__(
        self,
        about: _About,
        contents: NDArray[np.bytes_],
        starts: NDArray[np.int64],
        partners: NDArray[np.uint32],
    ) -> None:
        self._about, self._starts, self._partners = about, starts, partners
        self.contents = contents
        """(N,) the contents it covers, 32 bytes each, in order."""

    def answers(self, rule: str, bar: float | None) -> bool:
        """Whether it has every pair that is near by this rule and bar."""
        held = self._about.bar
        return self._about.rule == rule and (bar is None or (held is not None and held <= bar))

    def covers(self, contents: Sequence[str]) -> NDArray[np.bool_]:
        """(N,) which of these it covers."""
        return self._places(contents)[1]

    def partners(self, contents: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
        """For `contents`: (the number of each that has partners, its partners), each pair once."""
        places, known = self._places(contents)
        for number in map(int, np.flatnonzero(known)):
            place = int(places[number])
            some = self._partners[int(self._starts[place]) : int(self._starts[place + 1])]
            if len(some):
                packed = self.contents[np.unique(some)].tobytes()
                yield number, [packed[at : at + 32].hex() for at in range(0, len(packed), 32)]

    def _places(self, contents: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        wanted = np.frombuffer(bytes.fromhex("".join(contents)), "S32")
        places = np.searchsorted(self.contents, wanted)
        held = places < len(self.contents)
        held[held] = self.contents[places[held]] == wanted[held]
        return places, held


def known_pairs(folder: Path) -> KnownPairs | None:
    """The file beside the index in `folder`; None when there is none or it is damaged."""
    try:
        raw = np.memmap(folder / _NAME, np.uint8, "r")
        about = msgspec.json.decode(bytes(raw[:_HEAD]), type=_About)
        ends = np.cumsum([_HEAD, 32 * about.contents, 8 * (about.contents + 1), 4 * about.partners])
        if len(raw) != ends[3] or blake3(raw[_HEAD:].data).hexdigest() != about.digest:
            return None
    except (OSError, ValueError, msgspec.MsgspecError):
        return None
    parts = [raw[start:end] for start, end in pairwise(ends)]
    return KnownPairs(about, parts[0].view("S32"), parts[1].view(np.int64), parts[2].view(np.uint32))


def take_pairs(store: Store, commit: PairCommit, folder: Path) -> int:
    """Write the file for the index in `folder`. Returns the number of pairs. Raises VisionError; then the old
    file stays."""
    ids, starts_of_blocks = _contents(store, commit)
    contents, places = np.unique(ids, return_inverse=True)  # twins have one place
    one, other = _pairs(store, commit, starts_of_blocks, places)
    ones = np.concatenate([one, other])
    others = np.concatenate([other, one])[np.argsort(ones, kind="stable")].astype(np.uint32)
    starts = np.zeros(len(contents) + 1, np.int64)
    np.cumsum(np.bincount(ones, minlength=len(contents)), out=starts[1:])
    body = [contents.tobytes(), starts.tobytes(), others.tobytes()]
    said = blake3()
    for part in body:
        said.update(part)
    about = _About(
        rule=commit.rule,
        bar=commit.bar,
        contents=len(contents),
        partners=len(others),
        digest=said.hexdigest(),
    )
    try:
        with draft_of(folder / _NAME, 0o600) as draft:
            draft.write([msgspec.json.encode(about).ljust(_HEAD), *body])
            draft.replace()
    except OSError as error:
        raise VisionError(f"{folder / _NAME} cannot be written ({error.strerror})") from None
    return len(one)


def _contents(store: Store, commit: PairCommit) -> tuple[NDArray[np.bytes_], list[int]]:
    """The content of each row, block by block, and where each block begins."""
    found: list[bytes] = []
    starts, count = [0], 0
    for block in commit.blocks:
        for file in block:
            packed = "".join(
                each or "0" * 64 for each in contents_in(_whole(store, CHUNKS, file.file, file.digest))
            )
            found.append(bytes.fromhex(packed))
            count += len(packed) // 64
        starts.append(count)
    return np.frombuffer(b"".join(found), "S32"), starts


def _pairs(
    store: Store, commit: PairCommit, starts: Sequence[int], places: NDArray[np.intp]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Both directions of every pair, as places among the distinct contents. Raises VisionError."""
    met = {(strip.left, right) for strip in commit.strips for right in strip.rights}
    blocks = range(len(commit.blocks))
    if met != {(left, right) for left in blocks for right in blocks if left <= right}:
        raise VisionError("not every block of rows was compared with every other")
    ones, others = [np.empty(0, np.uint32)], [np.empty(0, np.uint32)]
    sizes, begins = np.diff(starts), np.array(starts)
    for strip in commit.strips:
        if not strip.file:
            continue
        block, left, right = _strip(_whole(store, PAIRS, strip.file, strip.digest), strip.pairs)
        numbers = np.array(strip.rights)
        if not (block < len(numbers)).all():
            raise VisionError(f"{PAIRS}/{strip.file} names rows that are not there")
        block = numbers[block]
        if not ((left < sizes[strip.left]).all() and (right < sizes[block]).all()):
            raise VisionError(f"{PAIRS}/{strip.file} names rows that are not there")
        one, other = places[begins[strip.left] + left], places[begins[block] + right]
        keep = one != other
        ones.append(one[keep].astype(np.uint32))
        others.append(other[keep].astype(np.uint32))
    return np.concatenate(ones), np.concatenate(others)


def _strip(data: bytes, count: int) -> Any:
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise VisionError(f"a file of pairs cannot be read ({error})") from None
    if found.dtype != np.uint32 or found.shape != (3, count):
        raise VisionError("a file of pairs is not as this version of dedupd writes it")
    return found.astype(np.int64)


def _whole(store: Store, folder: str, file: str, digest: str) -> bytes:
    try:
        data = store.read(f"{folder}/{file}")
    except OSError as error:
        raise VisionError(f"{folder}/{file} cannot be read ({error.strerror or error})") from None
    if blake3(data).hexdigest() != digest:
        raise VisionError(f"{folder}/{file} is not the file that was written (damaged, or cut short)")
    return data
