"""Adds the rows of a backfill to the index: each file is checked as a whole, then each row; rows already held
are left out.

Must never take a row from a file that is not, byte for byte, the committed one; nor hold more than a block of
rows in memory. Worker process only, as the index.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa
from blake3 import blake3

from dedupd.adapters.index.chunk_file import ChunkRows, Terms, from_file
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.stores.backfill_records import CHUNKS, NEAR, ChunkFile, commits, pair_commit
from dedupd.adapters.stores.store import Store
from dedupd.core.adoption import Adoption
from dedupd.errors import DedupdError, VisionError

_BLOCK = 8192
"""Rows in one commit of the index: 25 MB, so that a million rows are not a thousand commits."""
_MOST_TOLD = 20

Step = tuple[Adoption, int, int]
"""(what became of the rows so far, rows examined, rows in total)."""


def adopt(
    store: Store, index: PhotoIndex, insides: PhotoIndex, model: str, recipe: str, margins: str
) -> Iterator[Step]:
    """Take in the rows that are not held yet; what a yielded step counts is on disk. Repeated, it takes the
    rest.

    Raises DedupdError: no such place, nothing of this library's model and recipe, or an index that cannot be
    written.
    """
    files, strangers = _files_of(store, model, recipe)
    terms = Terms(model=model, recipe=recipe, margins=margins, photos=index.schema, insides=insides.schema)
    so_far, seen, total = Adoption(strangers=strangers), 0, sum(each.rows for each in files)
    block: list[ChunkRows] = []
    for place, file in enumerate(files):
        try:
            block.append(_checked(store, file, terms))
        except VisionError as fault:
            so_far = _with_damage(so_far, f"{store.shown}/{CHUNKS}/{file.file}: {fault}")
        seen += file.rows
        if sum(len(rows.photos) for rows in block) >= _BLOCK or place == len(files) - 1:
            so_far, block = _take(block, index, insides, so_far), []
        yield so_far, seen, total
    yield _take_pairs(store, index, model, recipe, so_far), seen, total


def _take_pairs(store: Store, index: PhotoIndex, model: str, recipe: str, so_far: Adoption) -> Adoption:
    """Take the pairs that `backfill --pairs` found; without them this library searches by itself."""
    try:
        commit = pair_commit(store, model, recipe)
        if commit is None:
            return so_far
        if commit.rule != NEAR:
            raise VisionError("they were found by another version of dedupd")
        return replace(so_far, pairs=index.take_pairs(store, commit))
    except (VisionError, OSError) as fault:
        return replace(so_far, pairs_left=str(fault))


def _files_of(store: Store, model: str, recipe: str) -> tuple[list[ChunkFile], list[str]]:
    """(files of this model and recipe, each once; one clause for each other model and recipe there)."""
    try:
        found = commits(store)
    except OSError as error:
        raise DedupdError(f"{store.shown} cannot be read ({error.strerror or error}): try again") from None
    files = {c.file: c for each in found if (each.model, each.recipe) == (model, recipe) for c in each.chunks}
    others = {(each.model, each.recipe) for each in found} - {(model, recipe)}
    strangers = [f"{of or 'hashes alone'} (recipe {version})" for of, version in sorted(others)]
    if others and not any((each.model, each.recipe) == (model, recipe) for each in found):
        raise DedupdError(
            f"the rows in {store.shown} were made with {', '.join(strangers)}, and this library sees with "
            f"{model or 'hashes alone'} (recipe {recipe}): run the backfill with that, or `dedupd models use` the other"
        )
    return list(files.values()), strangers


def _checked(store: Store, file: ChunkFile, terms: Terms) -> ChunkRows:
    """The rows of one file. Raises VisionError when none of them can be used."""
    try:
        data = store.read(f"{CHUNKS}/{file.file}")
    except FileNotFoundError:
        raise VisionError("it is gone") from None
    except OSError as error:
        raise VisionError(f"it cannot be read ({error.strerror or error})") from None
    if blake3(data).hexdigest() != file.digest:
        raise VisionError("it is not the file that was written (damaged, or cut short)")
    return from_file(data, terms)


def _with_damage(so_far: Adoption, sentence: str) -> Adoption:
    told = [*so_far.damaged, sentence][:_MOST_TOLD]
    return replace(so_far, damaged=told, damaged_files=so_far.damaged_files + 1)


def _take(block: Sequence[ChunkRows], index: PhotoIndex, insides: PhotoIndex, so_far: Adoption) -> Adoption:
    if not block:
        return so_far
    refused = dict(so_far.refused)
    for rows in block:
        for reason, count in rows.refused.items():
            refused[reason] = refused.get(reason, 0) + count
    # First, as when photos are indexed: a content with a row is not processed again.
    insides.add_table(pa.concat_tables([rows.insides for rows in block]))
    photos = pa.concat_tables([rows.photos for rows in block])
    taken = index.add_table(photos)
    return replace(
        so_far, taken=so_far.taken + taken, held=so_far.held + len(photos) - taken, refused=refused
    )
