"""Sources cut into chunks, so that a later run does again only what has changed.

Owns where a chunk ends and what it is called: both follow from names, sizes and times alone, on every machine. Must never
read a picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from dedupd.adapters.stores.found import Found

SIZE = 256
"""Pictures in a chunk, more or less: what a killed worker costs at most, and the rows that one file holds."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some pictures of one source."""

    key: str
    """Changes when one of its pictures does, or what sees them."""
    source: bytes
    """The address, as the system spells it."""
    names: list[bytes]
    sizes: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenBy:
    """The model and the recipe that rows come from: rows of another model or recipe are other rows."""

    model: str
    recipe: str


def chunks_of(source: str, pictures: Iterable[Found], seen_by: SeenBy, size: int = SIZE) -> Iterator[Chunk]:
    """The pictures of a source in chunks of about `size`.

    A chunk ends behind a name that says so by its hash, so that a new picture changes one chunk and not all behind it.
    """
    part: list[Found] = []
    for found in pictures:
        part.append(found)
        if len(part) >= 2 * size or (len(part) >= size // 2 and _ends(found.name, size)):
            yield _chunk(source, part, seen_by)
            part = []
    if part:
        yield _chunk(source, part, seen_by)


def _ends(name: str, size: int) -> bool:
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(1, size // 2) == 0


def _chunk(source: str, pictures: list[Found], seen_by: SeenBy) -> Chunk:
    said = [
        repr((source, seen_by.model, seen_by.recipe)),
        *(repr((p.name, p.size, p.version)) for p in pictures),
    ]
    key = hashlib.blake2b("\n".join(said).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return Chunk(
        key=key, source=os.fsencode(source), names=[os.fsencode(p.name) for p in pictures],
        sizes=[p.size for p in pictures],
    )  # fmt: skip
