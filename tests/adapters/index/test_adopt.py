"""Rows of a backfill: what an index takes in, and what no file of rows may bring into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3

from dedupd.adapters.index import adopt as adopting
from dedupd.adapters.index.adopt import adopt
from dedupd.adapters.index.chunk_file import to_file
from dedupd.adapters.index.content_set import ContentSet
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRow
from dedupd.adapters.stores.backfill_records import ChunkFile, Commit, mark
from dedupd.adapters.stores.store import LocalStore
from dedupd.core.adoption import Adoption
from dedupd.core.photo import Traits
from dedupd.errors import DedupdError

DIMENSIONS, MODEL, RECIPE, MARGINS = 16, "some/model", "1", "m1"
FRAME = np.arange(8, dtype=np.uint64)


def row(number: int, **traits: Any) -> PhotoRow:
    rng = np.random.default_rng(number)
    vector = rng.standard_normal(DIMENSIONS).astype(np.float32)
    said: dict[str, Any] = {
        "content": blake3(b"%d" % number).hexdigest(), "recipe": RECIPE, "model": MODEL, "format": "JPEG",
        "width": 40, "height": 30, "phash": (1 << 64) - 1 - number, "dhash": number, "captured": 1.5,
        "simhash": "0f" * 16,
    }  # fmt: skip
    hashes = rng.integers(0, 1 << 63, 8, dtype=np.uint64)
    return PhotoRow(traits=Traits(**(said | traits)), phashes=hashes, vector=vector / np.linalg.norm(vector))


class Place:
    """What a backfill left: some files of rows, and commits of them."""

    def __init__(self, folder: Path) -> None:
        self.store = LocalStore(str(folder))
        mark(self.store)
        self.index = PhotoIndex(folder.with_name("index"), MODEL, RECIPE, lambda: DIMENSIONS)
        self.insides = PhotoIndex(folder.with_name("index"), "inside", RECIPE, lambda: 0)

    def put(self, name: str, data: bytes, rows: int, *, model: str = MODEL, recipe: str = RECIPE) -> Path:
        """One file, in a commit of its own."""
        self.store.write(f"chunks/{name}", data)
        file = ChunkFile(file=name, digest=blake3(data).hexdigest(), rows=rows)
        self.store.write(
            f"commits/{name}.json", msgspec.json.encode(Commit(model=model, recipe=recipe, chunks=[file]))
        )
        return Path(self.store.address, "chunks", name)

    def rows(self, name: str, *rows: PhotoRow, framed: PhotoRow | None = None, **of: str) -> Path:
        framed_rows = {framed.traits.content: FRAME} if framed else {}
        return self.put(name, to_file(rows, framed_rows, MARGINS), len(rows), **of)

    def adopt(self) -> Adoption:
        *_, (last, done, total) = adopt(self.store, self.index, self.insides, MODEL, RECIPE, MARGINS)
        assert done == total
        return last


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    return Place(tmp_path / "rows")


def test_rows_stand_in_the_index_as_if_they_had_been_seen_here(place: Place, tmp_path: Path) -> None:
    rows = [row(n) for n in range(5)]
    place.rows("one", *rows[:3], framed=rows[1])
    place.rows("two", rows[2], *rows[3:])
    assert place.adopt() == Adoption(taken=5, held=1)
    local = PhotoIndex(tmp_path / "local", MODEL, RECIPE, lambda: DIMENSIONS)
    local.add(rows)
    contents = [each.traits.content for each in rows]
    assert place.index.traits(contents) == local.traits(contents)
    here, there = local.rows(contents), place.index.rows(contents)
    order = [there.contents.index(content) for content in here.contents]
    assert here.vectors is not None and there.vectors is not None
    assert (there.vectors[order] == here.vectors).all() and (there.phashes[order] == here.phashes).all()
    assert here.sketches is not None and there.sketches is not None
    assert np.abs(there.sketches[order] - here.sketches).max() < 1e-3  # computed anew of rounded vectors
    framed = place.insides.rows(contents)
    assert framed.contents == [contents[1]] and (framed.phashes == FRAME).all()
    again = PhotoIndex(tmp_path / "index", MODEL, RECIPE, lambda: DIMENSIONS)
    assert again.lacks(contents) == []


def test_adopted_twice_or_cut_short_nothing_is_doubled_and_nothing_left_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "_BLOCK", 4)
    for n in range(4):
        place.rows(f"c{n}", *(row(m) for m in range(3 * n, 3 * n + 3)))
    steps = adopt(place.store, place.index, place.insides, MODEL, RECIPE, MARGINS)
    taken = [next(steps)[0].taken, next(steps)[0].taken]
    steps.close()
    assert taken == [0, 6], "a block is not told of before it is in"
    assert place.adopt() == Adoption(taken=6, held=6)
    assert place.adopt() == Adoption(held=12)
    assert len(place.index) == 12


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (flip, "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "damaged"),
        (Path.unlink, "gone"),
    ],
)
def test_a_file_that_is_not_the_committed_one_brings_nothing_in(
    place: Place, spoil: Callable[[Path], None], said: str
) -> None:
    place.rows("good", row(1))
    spoil(place.rows("spoilt", row(2), row(3)))
    found = place.adopt()
    assert (found.taken, found.damaged_files, found.complete) == (1, 1, False)
    assert "spoilt" in found.damaged[0] and said in found.damaged[0]
    assert place.index.lacks([row(n).traits.content for n in (1, 2, 3)]) == [
        row(n).traits.content for n in (2, 3)
    ]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row(2, content="../../etc"), "no content id"),
        (row(2, content="AB" * 32), "no content id"),
        (row(2, model="other"), "of another model or recipe"),
        (row(2, recipe="9"), "of another model or recipe"),
        (row(2, width=0), "a picture without a size"),
    ],
)
def test_a_row_that_no_worker_here_would_make_is_left_out_with_its_reason(
    place: Place, bad: PhotoRow, said: str
) -> None:
    place.rows("mixed", row(1), bad)
    found = place.adopt()
    assert (found.taken, found.refused, found.complete) == (1, {said: 1}, False)


@pytest.mark.parametrize("value", [np.nan, np.inf, 3.0])
def test_a_vector_that_is_not_finite_or_not_of_length_one_is_left_out(place: Place, value: float) -> None:
    table = pa.ipc.open_file(to_file([row(1), row(2)], {}, MARGINS)).read_all()
    flat = table.column("vector").combine_chunks().flatten().to_numpy().copy()
    flat[DIMENSIONS + 3] = value
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), DIMENSIONS)
    table = table.set_column(table.schema.get_field_index("vector"), "vector", vectors)
    place.put("vectors", written(table), 2)
    found = place.adopt()
    assert (found.taken, found.refused) == (1, {"a vector that is none": 1})


def written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def test_a_row_with_a_gap_is_left_out(place: Place) -> None:
    table = pa.ipc.open_file(to_file([row(1), row(2)], {}, MARGINS)).read_all()
    gap = pa.array([None, table.column("camera")[1].as_py()], pa.string())
    table = table.set_column(table.schema.get_field_index("camera"), "camera", gap)
    place.put("gap", written(table), 2)
    assert place.adopt().refused == {"a value is missing": 1}


def test_other_columns_margins_or_dimensions_bring_nothing_in(place: Place) -> None:
    table = pa.ipc.open_file(to_file([row(1)], {}, MARGINS)).read_all()
    place.put("a-columns", written(table.drop_columns(["camera"])), 1)
    place.put("b-margins", to_file([row(2)], {}, "m0"), 1)
    short = np.array([1.0] + [0.0] * 7, np.float32)
    place.rows("c-dimensions", replace(row(3), vector=short))
    place.put("d-noise", b"no arrow file", 1)
    found = place.adopt()
    assert (found.taken, found.damaged_files, len(place.index)) == (0, 4, 0)
    whys = (
        "another version of dedupd",
        "another version of dedupd",
        "8 dimensions, not 16",
        "no file of rows",
    )
    assert all(why in told for why, told in zip(whys, found.damaged, strict=True))


def test_rows_of_other_eyes_alone_are_refused_in_a_sentence_and_left_where_there_are_others(
    place: Place,
) -> None:
    place.rows("other", row(1, model="clip"), model="clip")
    with pytest.raises(DedupdError, match=r"clip \(recipe 1\).*sees with some/model.*models use"):
        place.adopt()
    place.rows("ours", row(2))
    found = place.adopt()
    assert (found.taken, found.strangers) == (1, ["clip (recipe 1)"])


def test_what_is_no_place_of_rows_is_named(tmp_path: Path, place: Place) -> None:
    for folder, said in ((tmp_path, "is no place that"), (Path(place.store.address), "is not finished")):
        with pytest.raises(DedupdError, match=said):
            next(adopt(LocalStore(str(folder)), place.index, place.insides, MODEL, RECIPE, MARGINS))


def test_many_added_ids_are_sorted_in_and_found_all_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dedupd.adapters.index.content_set._MOST_ADDED", 10)
    ids = [blake3(b"%d" % n).hexdigest() for n in range(100)]
    held = ContentSet(ids[:5])
    for content in ids[5:]:
        held.add([content])
        assert len(held._added) <= max(11, len(held) // 4 + 1)
    assert len(held) == 100 and all(content in held for content in ids)
