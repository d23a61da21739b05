"""No product of two vectors is above what their heads say; what is kept of heads is what their vectors give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dedupd.adapters.index import heads
from dedupd.adapters.index.heads import SLACK, Directions, HeadFile

Vectors = NDArray[np.float32]
NAMES = [f"{number:064x}" for number in range(40)]


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
    assert (vectors.astype(np.float64) @ vectors.T <= bounds + SLACK).all()


def scanned(vectors: Vectors) -> Callable[[], list[tuple[list[str], Vectors]]]:
    return lambda: [(NAMES[:20], vectors[:20]), (NAMES[20:], vectors[20:])]


def nobody() -> list[tuple[list[str], Vectors]]:
    raise AssertionError("nothing had to be made")


def columns(file: HeadFile, scan: heads.Scan) -> Vectors:
    return file.of(NAMES, scan)[1].columns()


def believed_for(vectors: Vectors, directions: Directions, found: heads.Heads) -> None:
    """But for rounding, which goes by how many are made at once."""
    assert np.abs(found.columns() - directions.heads(vectors).columns()).max() <= 1
    assert (vectors @ vectors.T <= directions.asked(vectors) @ found.columns().T + SLACK).all()


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
    directions, found = again.of(NAMES, scanned(others))
    expected = directions.heads(others).columns()
    same = (np.abs(found.columns() - expected) <= 1).all(axis=1)
    assert np.flatnonzero(same).tolist() == [5, 6]


@pytest.mark.parametrize("kind", ["npy", "bin", "ids"])
def test_a_damaged_file_of_heads_is_never_believed(tmp_path: Path, kind: str) -> None:
    vectors = unit(1, 40, 300)
    columns(HeadFile(tmp_path, 300), scanned(vectors))
    (path,) = (tmp_path / "heads").glob(f"*.{kind}")
    packed = bytearray(path.read_bytes())
    for place in range(200, len(packed), 997):
        packed[place] ^= 0x41
    path.write_bytes(bytes(packed))
    believed_for(vectors, *HeadFile(tmp_path, 300).of(NAMES, scanned(vectors)))


def test_directions_of_few_photos_are_learned_anew_when_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "_SAMPLE", 16)
    vectors = unit(1, 40, 300)
    few = HeadFile(tmp_path, 300).of(NAMES[:3], lambda: [(NAMES[:3], vectors[:3])])[0]
    assert HeadFile(tmp_path, 300).of(NAMES[:11], scanned(vectors))[0].digest == few.digest
    many, found = HeadFile(tmp_path, 300).of(NAMES, scanned(vectors))
    assert many.digest != few.digest
    believed_for(vectors, many, found)
    assert HeadFile(tmp_path, 300).of(NAMES, nobody)[0].digest == many.digest


def test_a_disk_that_is_full_costs_time_alone(tmp_path: Path) -> None:
    (tmp_path / "heads").write_text("no folder can be made here")
    vectors = unit(1, 40, 300)
    believed_for(vectors, *HeadFile(tmp_path, 300).of(NAMES, scanned(vectors)))
