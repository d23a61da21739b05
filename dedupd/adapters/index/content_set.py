"""The set of contents that have a row, in memory. It is asked for every photo of a library, so it is small
and fast."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

_PACKED_AT_ONCE = 8192
_MANY = 1024
_MOST_ADDED = 65_536
"""Ids in a Python set, at 100 bytes each, before they are merged into the sorted array."""


class ContentSet:
    """Content ids at 32 bytes each; a Python set of a million strings would need 140 MB."""

    def __init__(self, contents: Iterable[str]) -> None:
        some, packed = iter(contents), bytearray()
        while part := list(islice(some, _PACKED_AT_ONCE)):
            packed += bytes.fromhex("".join(part))
        self._sorted = np.sort(np.frombuffer(packed, dtype="S32"))
        self._added: set[bytes] = set()

    def __contains__(self, content: str) -> bool:
        try:
            wanted = bytes.fromhex(content)
        except ValueError:
            return False
        if wanted in self._added:
            return True
        held = self._sorted  # once: another thread may be adding
        place = int(np.searchsorted(held, np.bytes_(wanted)))
        # numpy removes trailing zero bytes from the items it returns.
        return len(wanted) == 32 and place < len(held) and held[place] == wanted.rstrip(b"\0")

    def __len__(self) -> int:
        return len(self._sorted) + len(self._added)

    def held(self, contents: Sequence[str]) -> NDArray[np.bool_]:
        """(N,) which of these ids are in the set."""
        try:
            packed = packed_ids(contents)
        except ValueError:  # some are no ids
            return np.array([content in self for content in contents], bool)
        added, held = self._added, self._sorted  # in this order: see `_settle`
        if not len(held):
            found = np.zeros(len(packed), bool)
        else:
            found = held[np.minimum(np.searchsorted(held, packed), len(held) - 1)] == packed
        if added:
            found |= np.array([bytes.fromhex(content) in added for content in contents], bool)
        return found

    def ids(self) -> NDArray[np.bytes_]:
        """(N,) all ids, 32 bytes each, in order: not a copy, and never changed."""
        self._settle()
        return self._sorted

    def add(self, contents: Iterable[str]) -> None:
        """Add ids that are not in the set."""
        self._added.update(bytes.fromhex(content) for content in contents)
        if len(self._added) > max(_MOST_ADDED, len(self._sorted) // 4):
            self._settle()

    def remove(self, contents: Iterable[str]) -> None:
        """Remove ids that are in the set."""
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

    def besides(self, packed: NDArray[np.bytes_]) -> list[str]:
        """The ids of the set, in order, that are not among these (N,) packed ones."""
        self._settle()
        left = np.setdiff1d(self._sorted, packed, assume_unique=True).tobytes()
        return [left[at : at + 32].hex() for at in range(0, len(left), 32)]

    def _settle(self) -> None:
        if self._added:
            added = np.sort(np.frombuffer(b"".join(self._added), dtype="S32"))
            # In this order: another thread that asks meanwhile finds each id in one of the two.
            self._sorted = np.insert(self._sorted, places_among(self._sorted, added), added)
            self._added = set()


def packed_ids(contents: Sequence[str]) -> NDArray[np.bytes_]:
    """(N,) these ids at 32 bytes each. Raises ValueError."""
    if set(map(len, contents)) - {64}:
        raise ValueError("not a content id")
    return np.frombuffer(bytes.fromhex("".join(contents)), "S32")


def order_of(ids: NDArray[np.bytes_]) -> NDArray[np.intp]:
    """The stable order of ids: by their first eight bytes in half the time, where these tell."""
    first = first_words(ids)
    order = np.argsort(first)
    first = first[order]
    return np.argsort(ids, kind="stable") if (first[1:] == first[:-1]).any() else order


def first_words(ids: NDArray[np.bytes_]) -> NDArray[np.uint64]:
    """(N,) the first eight bytes of each, as numbers in the same order."""
    return np.ascontiguousarray(ids).view(">u8")[::4].astype(np.uint64)


def places_among(ids: NDArray[np.bytes_], wanted: NDArray[np.bytes_]) -> NDArray[np.intp]:
    """`np.searchsorted` of ids (32 bytes each) that are in order. Many are looked for in order, too: at random places of a
    large array each would wait for memory."""
    if len(wanted) < _MANY:
        return np.searchsorted(ids, wanted)
    order = np.argsort(first_words(wanted))
    found = np.empty(len(wanted), np.intp)
    found[order] = np.searchsorted(ids, wanted[order])
    return found


def unpacked_ids(packed: NDArray[np.bytes_]) -> NDArray[np.bytes_]:
    """(N,) the same at 64 hex digits each."""
    return np.frombuffer(packed.tobytes().hex().encode(), "S64")
