"""What a backfill leaves behind, as values: one record for each finished chunk, one commit for each run.

    backfill.json            says that this place is a backfill's
    chunks/KEY-DIGEST.arrow  rows of one chunk (adapters/index/chunk_file.py); counts only when a commit names it
    records/KEY.json         the chunk is finished: what became of each of its pictures
    commits/NAME.json        the chunks of one set of sources; written once all of them are there

Every name is made of what it stands for, so that doing anything twice changes nothing. Must stay light to import.
"""

from __future__ import annotations

import msgspec

from dedupd.adapters.stores.store import Store
from dedupd.errors import DedupdError

MARK, CHUNKS, RECORDS, COMMITS = "backfill.json", "chunks", "records", "commits"
_MARK = b'{"format": "dedupd backfill 1"}\n'


class RefusedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that gave no row."""

    name: str
    """Its address."""
    reason: str
    passing: bool = False
    """It may be otherwise the next time: asked again."""


class ChunkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A chunk that is finished. Each of its pictures is a row, a twin of a row, or refused."""

    key: str
    model: str
    recipe: str
    inputs: int
    contents: str
    """Of its rows: 64 hex digits each, without a space."""
    twins: int
    refused: list[RefusedPicture]
    file: str
    """Of its rows, in chunks/; '' when it has none."""
    digest: str
    """BLAKE3 of that file."""
    size: int = 0
    """Of that file, bytes."""

    @property
    def rows(self) -> int:
        return len(self.contents) // 64


class ChunkFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of rows that counts."""

    file: str
    digest: str
    rows: int


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """What one set of sources came to."""

    model: str
    recipe: str
    chunks: list[ChunkFile]


def mark(store: Store) -> None:
    """Make this place a backfill's, if it is one already or empty. Raises DedupdError, OSError."""
    try:
        if store.read(MARK) != _MARK:
            raise DedupdError(f"{store.shown} was written by another version of dedupd: name another place")
        return
    except FileNotFoundError:
        pass
    if not store.empty():
        raise DedupdError(f"{store.shown} holds other files: name an empty or a new place")
    store.write(MARK, _MARK)


def commits(store: Store) -> list[Commit]:
    """Every commit of this place. Raises DedupdError: no backfill's place, or one that was never committed; OSError."""
    try:
        known = store.read(MARK) == _MARK
    except FileNotFoundError:
        known = False
    if not known:
        raise DedupdError(f"{store.shown} is no place that `dedupd backfill --to` has written to")
    found = [_commit(store, name) for name in sorted(store.sizes(COMMITS)) if name.endswith(".json")]
    if not found:
        raise DedupdError(f"the backfill in {store.shown} is not finished: run the same command again")
    return found


def _commit(store: Store, name: str) -> Commit:
    try:
        return msgspec.json.decode(store.read(f"{COMMITS}/{name}"), type=Commit)
    except msgspec.MsgspecError:
        raise DedupdError(
            f"{store.shown}/{COMMITS}/{name} is damaged: run the same `dedupd backfill` again, it writes it anew"
        ) from None
