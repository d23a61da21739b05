"""No product of two vectors is above what their heads say; what is kept of heads is what their vectors give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupd.adapters.index import heads, record_file
from dedupd.adapters.index.content_set import packed_ids
from dedupd.adapters.index.heads import SLACK, AnyHeads, Directions, FirstSteps, HeadFile, StoredHeads

Vectors = NDArray[np.float32]
NAMES = [f"{number:064x}" for number in range(40)]
IDS = packed_ids(NAMES)


def unit(seed: int, count: int, dimensions: int) -> Vectors:
    rng = np.random.default_rng(seed)
    spread = rng.standard_normal(dimensions) ** 3
    vectors = rng.standard_normal((count, dimensions)) * spread + spread
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 90), st.integers(1, 32), st.integers(1, 30), st.floats(0.01, 6))
def test_no_product_exceeds_its_bound(
    seed: int, dimensions: int, head: int, sample: int, spread: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "HEAD", head)
        patch.setattr(heads, "_SPREAD", spread)  # so small that heads are cut off, too
        directions = Directions.learned(unit(seed + 1, sample, dimensions))
    vectors = unit(seed, 30, dimensions)
    bounds = directions.asked(vectors) @ directions.heads(vectors).columns().T
    products = vectors.astype(np.float64) @ vectors.T
    assert (products <= bounds + SLACK).all()
    asked, least = directions.asked(vectors[:2]), float(np.median(products)) - SLACK
    among = np.arange(3, 30, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "FIRST", max(1, head // 3))
        patch.setattr(heads, "_AT_ONCE", 9)
        patch.setattr(heads, "_FEW_AT_ONCE", 7)
        first = FirstSteps(directions, directions.heads(vectors))
        everywhere, some = first.reaching(asked, least, None), first.reaching(asked, least, among)
    reach = np.flatnonzero((products[:2] >= least + SLACK).any(axis=0))
    assert set(reach) <= set(everywhere) <= set(range(30))
    assert some.tolist() == [place for place in everywhere if place in among]


def scanned(vectors: Vectors) -> Callable[[], list[tuple[list[str], Vectors]]]:
    return lambda: [(NAMES[:20], vectors[:20]), (NAMES[20:], vectors[20:])]


def nobody() -> list[tuple[list[str], Vectors]]:
    raise AssertionError("nothing had to be made")


def columns(file: HeadFile, scan: heads.Scan) -> Vectors:
    return file.of(IDS, scan)[1].where(slice(None)).columns()


def believed_for(vectors: Vectors, directions: Directions, found: AnyHeads) -> None:
    """But for rounding, which goes by how many are made at once."""
    stored = found.where(slice(None)).columns()
    assert np.abs(stored - directions.heads(vectors).columns()).max() <= 1
    assert (vectors @ vectors.T <= directions.asked(vectors) @ stored.T + SLACK).all()


def test_they_are_made_once_and_kept(tmp_path: Path) -> None:
    vectors = unit(1, 40, 300)
    made = columns(HeadFile(tmp_path, 300), scanned(vectors))
    assert (columns(HeadFile(tmp_path, 300), nobody) == made).all()
    assert made.shape == (40, heads.HEAD + 2)


def test_those_of_rows_written_anew_are_made_anew(tmp_path: Path) -> None:
    file = HeadFile(tmp_path, 300)
    columns(file, scanned(unit(1, 40, 300)))
    others = unit(2, 40, 300)
    HeadFile(tmp_path, 300).forget(NAMES[5:7])
    again = HeadFile(tmp_path, 300)
    directions, found = again.of(IDS, scanned(others))
    expected = directions.heads(others).columns()
    same = (np.abs(found.where(slice(None)).columns() - expected) <= 1).all(axis=1)
    assert np.flatnonzero(same).tolist() == [5, 6]


@pytest.mark.parametrize("damaged", [False, True])
def test_the_vectors_of_a_few_new_photos_alone_are_read(tmp_path: Path, *, damaged: bool) -> None:
    vectors = unit(1, 40, 300)
    file = HeadFile(tmp_path, 300)
    there = [place for place in range(40) if place != 17]
    file.of(IDS[there], lambda: [([NAMES[place] for place in there], vectors[there])])
    (path,) = (tmp_path / "heads").glob("*.bin")
    if damaged:
        packed = bytearray(path.read_bytes())
        packed[len(packed) // 2] ^= 0x41
        path.write_bytes(bytes(packed))
    asked: list[int] = []

    def few(places: NDArray[np.intp]) -> list[tuple[list[str], Vectors]]:
        asked.extend(map(int, places))
        return [([NAMES[place] for place in places], vectors[places])]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "_FEW", 10)
        directions, found = file.of(IDS, nobody, few)
    assert 17 in asked and len(asked) == 1 + damaged
    believed_for(vectors, directions, found)
    assert isinstance(found, StoredHeads)
    directions, found = HeadFile(tmp_path, 300).of(IDS, nobody)
    believed_for(vectors, directions, found)


@pytest.mark.parametrize("kind", ["npy", "bin", "ids"])
def test_a_damaged_file_of_heads_is_never_believed(tmp_path: Path, kind: str) -> None:
    vectors = unit(1, 40, 300)
    columns(HeadFile(tmp_path, 300), scanned(vectors))
    (path,) = (tmp_path / "heads").glob(f"*.{kind}")
    packed = bytearray(path.read_bytes())
    for place in range(200, len(packed), 997):
        packed[place] ^= 0x41
    path.write_bytes(bytes(packed))
    believed_for(vectors, *HeadFile(tmp_path, 300).of(IDS, scanned(vectors)))
    if kind != "npy":
        assert isinstance(HeadFile(tmp_path, 300).of(IDS, nobody)[1], StoredHeads), "written anew, once"


@pytest.mark.parametrize("mapped", [300, 4000, 1 << 20])
def test_heads_are_the_same_wherever_in_the_file_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mapped: int
) -> None:
    monkeypatch.setattr(record_file, "_MAPPED", mapped)
    vectors = unit(1, 40, 300)
    found = HeadFile(tmp_path, 300).of(IDS, scanned(vectors))[1]
    every = found.where(slice(None)).columns()
    for chosen in (np.array([39, 3, 3, 20, 21, 0]), np.arange(5, 9), np.empty(0, np.intp)):
        assert (found.where(chosen).columns() == every[chosen]).all()
    turned = HeadFile(tmp_path, 300).of(IDS[::-1], nobody)[1]
    assert (turned.where(slice(None)).columns() == every[::-1]).all()


def test_directions_of_few_photos_are_learned_anew_when_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "_SAMPLE", 16)
    vectors = unit(1, 40, 300)
    few = HeadFile(tmp_path, 300).of(IDS[:3], lambda: [(NAMES[:3], vectors[:3])])[0]
    assert HeadFile(tmp_path, 300).of(IDS[:11], scanned(vectors))[0].digest == few.digest
    many, found = HeadFile(tmp_path, 300).of(IDS, scanned(vectors))
    assert many.digest != few.digest
    believed_for(vectors, many, found)
    assert HeadFile(tmp_path, 300).of(IDS, nobody)[0].digest == many.digest


def test_a_disk_that_is_full_costs_time_alone(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("no folder can be made here")
    vectors = unit(1, 40, 300)
    believed_for(vectors, *HeadFile(tmp_path, 300).of(IDS, scanned(vectors)))
