"""Compares the rows of a backfill with each other: blocks of the upper triangle of the pair matrix, in strips
of one worker each.

Must never count a strip that is not finished, nor say that all were compared before the last one is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from dedupd.adapters.stores.backfill_records import (
    NEAR,
    PAIR_RECORDS,
    PAIRS,
    ChunkFile,
    PairCommit,
    PairRecord,
    commits,
    pair_commit_name,
)
from dedupd.adapters.stores.store import Store, store_at
from dedupd.bulk.backfill import in_words
from dedupd.bulk.plan import ModelAndRecipe, Strip
from dedupd.bulk.pool import Finished, done_of

ROWS = 16_384
"""Rows of a block, about: 50 MB to read."""
BLOCKS = 8
"""Blocks of a strip, at most: half a minute of one core, which is also what a killed worker loses."""

Progress = Callable[[str, int, int], None]
Engine = Callable[[Sequence[Strip]], Iterator[Finished]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsOutcome:
    """The result of comparing the rows."""

    rows: int = 0
    pairs: int = 0
    """Pairs that may be near."""
    strips: int = 0
    missing: int = 0
    """Strips that were not finished."""
    compared_now: int = 0
    """Strips that this run compared; the others were compared by an earlier run."""
    problems: list[str] = field(default_factory=list[str])


def compare_rows(
    to: str, model_and_recipe: ModelAndRecipe, bar: float | None, engine: Engine, *, rows: int = ROWS,
    blocks: int = BLOCKS, on_progress: Progress = lambda phase, done, total: None,
) -> PairsOutcome:  # fmt: skip
    """Compare all rows of this model and recipe that were committed to `to`. Raises DedupdError."""
    store = store_at(to)
    with in_words(store):
        return _compare_rows(store, to, model_and_recipe, bar, engine, rows, blocks, on_progress)


def _compare_rows(
    store: Store, to: str, model_and_recipe: ModelAndRecipe, bar: float | None, engine: Engine, rows: int, blocks: int,
    on_progress: Progress,
) -> PairsOutcome:  # fmt: skip
    made = [
        commit
        for commit in commits(store)
        if (commit.model, commit.recipe) == (model_and_recipe.model, model_and_recipe.recipe)
    ]
    files = {file.file: file for commit in made for file in commit.chunks}
    cut = list(blocks_of(sorted(files.values(), key=lambda file: file.file), rows))
    strips = list(strips_of(to, cut, model_and_recipe, bar, blocks))
    records = _finished(store, strips)
    todo = [strip for strip in strips if strip.key not in records]
    problems = _compare(store, todo, records, engine, len(strips), on_progress)
    finished = [
        msgspec.structs.replace(records[s.key], left=s.number, rights=s.numbers) for s in strips if s.key in records
    ]  # fmt: skip
    if len(finished) == len(strips):
        commit = PairCommit(
            model=model_and_recipe.model,
            recipe=model_and_recipe.recipe,
            rule=NEAR,
            bar=bar,
            blocks=cut,
            strips=finished,
        )
        store.write(
            pair_commit_name(model_and_recipe.model, model_and_recipe.recipe), msgspec.json.encode(commit)
        )
    return PairsOutcome(
        rows=sum(file.rows for file in files.values()), pairs=sum(each.pairs for each in finished),
        strips=len(strips), missing=len(strips) - len(finished), problems=problems,
        compared_now=sum(strip.key in records for strip in todo),
    )  # fmt: skip


def blocks_of(files: Sequence[ChunkFile], rows: int = ROWS) -> Iterator[list[ChunkFile]]:
    """Files in blocks of about so many rows. The names of files decide where a block ends, so that a new file
    changes one block and not all."""
    part: list[ChunkFile] = []
    count = 0
    for file in files:
        part.append(file)
        count += file.rows
        ends = int.from_bytes(hashlib.blake2b(file.file.encode(), digest_size=8).digest(), "big") % 16 == 0
        if count >= 2 * rows or (count >= rows // 2 and ends):
            yield part
            part, count = [], 0
    if part:
        yield part


def strips_of(
    place: str,
    blocks: Sequence[Sequence[ChunkFile]],
    model_and_recipe: ModelAndRecipe,
    bar: float | None,
    most: int,
) -> Iterator[Strip]:
    """Each block with itself and those after it, so that each two blocks are compared once."""
    for left in range(len(blocks)):
        for start in range(left, len(blocks), most):
            rights = list(range(start, min(start + most, len(blocks))))
            parts = [[(file.file, file.digest) for file in blocks[number]] for number in (left, *rights)]
            said = repr((model_and_recipe.model, model_and_recipe.recipe, NEAR, bar, parts)).encode()
            yield Strip(
                key=hashlib.blake2b(said, digest_size=16).hexdigest(), place=os.fsencode(place), left=parts[0],
                rights=parts[1:], with_itself=start == left, bar=bar, number=left, numbers=rights,
            )  # fmt: skip


def _finished(store: Store, strips: Sequence[Strip]) -> dict[str, PairRecord]:
    there, files = store.sizes(PAIR_RECORDS), store.sizes(PAIRS)
    found: dict[str, PairRecord] = {}
    for strip in strips:
        if f"{strip.key}.json" not in there:
            continue
        try:
            record = msgspec.json.decode(store.read(f"{PAIR_RECORDS}/{strip.key}.json"), type=PairRecord)
        except (msgspec.MsgspecError, FileNotFoundError):
            continue
        if record.key == strip.key and (not record.file or files.get(record.file) == record.size):
            found[strip.key] = record
    return found


def _compare(
    store: Store, todo: Sequence[Strip], records: dict[str, PairRecord], engine: Engine, total: int,
    on_progress: Progress,
) -> list[str]:  # fmt: skip
    """Have these strips compared, and record each. Returns the reasons why some could not be."""
    reasons: dict[str, None] = {}
    done = total - len(todo)
    if todo:
        on_progress("pairs", done, total)
    for seen in done_of(engine(todo) if todo else (), reasons):
        assert isinstance(seen, PairRecord)
        store.write(f"{PAIR_RECORDS}/{seen.key}.json", msgspec.json.encode(seen))
        records[seen.key] = seen
        done += 1
        on_progress("pairs", done, total)
    return list(reasons)
