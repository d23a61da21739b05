"""Cuts sources into chunks, so that a later run repeats only what has changed.

Owns where a chunk ends and its key: both follow from names, sizes and times alone, and are the same on every
machine. Must never read a picture.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from dedupd.adapters.stores.found import Found

SIZE = 256
"""Pictures in a chunk, about: what a killed worker loses at most, and the rows in one file."""


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """Some pictures of one source."""

    key: str
    """Changes when one of its pictures, the model or the recipe changes."""
    source: bytes
    """The address of the source, as bytes of the file system."""
    names: list[bytes]
    sizes: list[int]


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """A block of rows to compare with each of some others: names and digests of their files."""

    key: str
    """Changes when one of its files does, or the rule for near pairs."""
    place: bytes
    left: list[tuple[str, str]]
    rights: list[list[tuple[str, str]]]
    with_itself: bool
    """Whether the first of `rights` is `left` itself."""
    bar: float | None
    number: int
    """Number of the left block among all blocks."""
    numbers: list[int]
    """Numbers of the other blocks."""


Work = Chunk | Strip


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAndRecipe:
    """The model and the recipe that rows come from: rows of another model or recipe are other rows."""

    model: str
    recipe: str


def chunks_of(
    source: str, pictures: Iterable[Found], model_and_recipe: ModelAndRecipe, size: int = SIZE
) -> Iterator[Chunk]:
    """The pictures of a source in chunks of about `size`.

    A chunk ends after a name whose hash says so (content-defined chunking), so that a new picture changes one
    chunk and not all after it.
    """
    part: list[Found] = []
    for found in pictures:
        part.append(found)
        if len(part) >= 2 * size or (len(part) >= size // 2 and _ends(found.name, size)):
            yield _chunk(source, part, model_and_recipe)
            part = []
    if part:
        yield _chunk(source, part, model_and_recipe)


def _ends(name: str, size: int) -> bool:
    digest = hashlib.blake2b(os.fsencode(name), digest_size=8).digest()
    return int.from_bytes(digest, "big") % max(1, size // 2) == 0


def _chunk(source: str, pictures: list[Found], model_and_recipe: ModelAndRecipe) -> Chunk:
    said = [
        repr((source, model_and_recipe.model, model_and_recipe.recipe)),
        *(repr((p.name, p.size, p.version)) for p in pictures),
    ]
    key = hashlib.blake2b("\n".join(said).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return Chunk(
        key=key, source=os.fsencode(source), names=[os.fsencode(p.name) for p in pictures],
        sizes=[p.size for p in pictures],
    )  # fmt: skip
