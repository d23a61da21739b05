"""What a backfill leaves behind, as values: one record for each finished chunk, one commit for each run.

    backfill.json            says that this place is a backfill's
    chunks/KEY-DIGEST.arrow  rows of one chunk (adapters/index/chunk_file.py); counts only when a commit names it
    records/KEY.json         the chunk is finished: what became of each of its pictures
    commits/NAME.json        the chunks of one set of sources; written once all of them are there
    pairs/KEY-DIGEST.npy     near pairs of one strip of blocks of rows (adapters/vision/near_pairs.py); counts only when
                             a commit of pairs names it
    pair-records/KEY.json    the strip is finished
    pair-commits/NAME.json   the strips that together compare each row of a model and recipe with each

Every name is made of what it stands for, so that doing anything twice changes nothing. Must stay light to import.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from dedupd.errors import DedupdError

if TYPE_CHECKING:
    from dedupd.adapters.stores.store import Store

MARK, CHUNKS, RECORDS, COMMITS = "backfill.json", "chunks", "records", "commits"
PAIRS, PAIR_RECORDS, PAIR_COMMITS = "pairs", "pair-records", "pair-commits"
NEAR = "1/10/45"
"""The rule for near pairs without the bar: radius of hashes, seconds between two clocks, version. When these
numbers change in vision/candidates, the rule is another one, and pairs are computed anew."""
_MARK = b'{"format": "dedupd backfill 1"}\n'


class RefusedPicture(msgspec.Struct, frozen=True, kw_only=True):
    """A picture that gave no row."""

    name: str
    """Its address."""
    reason: str
    passing: bool = False
    """It may succeed the next time: tried again."""


class ChunkRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finished chunk. Each of its pictures has a row, is a twin of a row, or was refused."""

    key: str
    model: str
    recipe: str
    inputs: int
    contents: str
    """The contents of its rows: 64 hex digits each, without spaces."""
    twins: int
    refused: list[RefusedPicture]
    file: str
    """The file of its rows, in chunks/; '' when it has none."""
    digest: str
    """BLAKE3 of that file."""
    size: int = 0
    """Bytes of that file."""

    @property
    def rows(self) -> int:
        return len(self.contents) // 64


class ChunkFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of rows that counts."""

    file: str
    digest: str
    rows: int


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one set of sources."""

    model: str
    recipe: str
    chunks: list[ChunkFile]


class PairRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A finished strip: the rows of one block compared with those of several others; all pairs that may be
    near."""

    key: str
    left: int
    """Number of the left block."""
    rights: list[int]
    """Numbers of the others; the first may be the left block itself."""
    file: str
    """A file in pairs/; '' when there is no pair."""
    digest: str
    """BLAKE3 of that file."""
    size: int
    pairs: int


class PairCommit(msgspec.Struct, frozen=True, kw_only=True):
    """Every two rows of these blocks were compared; no other pairs than the recorded ones may be near."""

    model: str
    recipe: str
    rule: str
    """The rule for near pairs without the bar (`NEAR`)."""
    bar: float | None
    """The least cosine; None without vectors."""
    blocks: list[list[ChunkFile]]
    """Rows are numbered through the files of a block, in this order."""
    strips: list[PairRecord]


def mark(store: Store) -> None:
    """Make this place a backfill, if it is empty or is one already. Raises DedupdError, OSError."""
    try:
        if store.read(MARK) != _MARK:
            raise DedupdError(f"{store.shown} was written by another version of dedupd: name another place")
        return
    except FileNotFoundError:
        pass
    if not store.empty():
        raise DedupdError(f"{store.shown} holds other files: name an empty or a new place")
    store.write(MARK, _MARK)


def pair_commit_name(model: str, recipe: str) -> str:
    """The name of a place's one commit of pairs for a model and recipe: a later one replaces it."""
    said = repr((model, recipe)).encode()
    return f"{PAIR_COMMITS}/{hashlib.blake2b(said, digest_size=16).hexdigest()}.json"


def pair_commit(store: Store, model: str, recipe: str) -> PairCommit | None:
    """None: these rows were not compared, or not all. Raises OSError."""
    try:
        found = msgspec.json.decode(store.read(pair_commit_name(model, recipe)), type=PairCommit)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return found if (found.model, found.recipe) == (model, recipe) else None


def commits(store: Store) -> list[Commit]:
    """Every commit of this place. Raises DedupdError (no backfill, or never committed), OSError."""
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
