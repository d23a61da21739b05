"""The index keeps what it acknowledged, and starts anew rather than fail."""

from __future__ import annotations

import errno
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dedupd.adapters.index import lance, photo_rows, recovery
from dedupd.adapters.index.content_set import ContentSet
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.index.photo_rows import PhotoRow, sketch
from dedupd.core.photo import Traits
from dedupd.errors import VisionError

DIMENSIONS = 16


def content(number: int) -> str:
    """Ends in zero bytes: they are digits too."""
    return f"{number:08x}".ljust(64, "0")


def traits(number: int) -> Traits:
    return Traits(
        content=content(number),
        recipe="1",
        model="m",
        format="JPEG",
        width=4000,
        height=3000,
        phash=(1 << 64) - 1 - number,
        dhash=number,
        captured=1717243200.07,
        camera="Canon|R5|'1'",
        jpeg_quality=87.3,
        sharpness=123.456789,
        text_like=True,
    )


def row(number: int) -> PhotoRow:
    rng = np.random.default_rng(number)
    vector = rng.standard_normal(DIMENSIONS).astype(np.float32)
    phashes = rng.integers(0, 1 << 63, 8, dtype=np.uint64)
    return PhotoRow(traits=traits(number), phashes=phashes, vector=vector / np.linalg.norm(vector))


def opened(
    folder: Path, dimensions: int = DIMENSIONS, log: Callable[[str], None] = lambda line: None
) -> PhotoIndex:
    return PhotoIndex(folder, "some/model", "1", lambda: dimensions, log)


@pytest.fixture
def index(tmp_path: Path) -> PhotoIndex:
    return opened(tmp_path)


def test_the_client_of_a_server_is_not_loaded() -> None:
    """It is half of what a worker's start costs."""
    files = {str(getattr(module, "__file__", "")) for module in list(sys.modules.values())}
    assert any(file.endswith("lancedb/db.py") for file in files)
    assert not [file for file in files if file.endswith("_api.py") and "lance_namespace" in file]


def test_rows_come_back_as_they_were_stored(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(1), row(2)])
    for each in (index, opened(tmp_path)):
        assert each.traits([content(1)]) == {content(1): traits(1)}
        rows = each.rows([content(2), content(9)])
        assert rows.contents == [content(2)]
        assert (rows.phashes == row(2).phashes).all()
        assert rows.vectors is not None
        assert np.abs(rows.vectors[0] - row(2).vector).max() < 1e-3


def test_a_content_has_one_row_however_often_it_is_added(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(1), row(1)])
    index.add([row(1), row(2)])
    assert len(index) == 2
    assert sorted(name for rows in opened(tmp_path).scan() for name in rows.contents) == [
        content(1),
        content(2),
    ]


def test_it_knows_what_it_lacks_after_reopening(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(number) for number in range(300)])
    wanted = [content(number) for number in range(-1, 301) if number >= 0]
    assert index.lacks(wanted) == [content(300)]
    assert opened(tmp_path).lacks([*wanted, "nonsense"]) == [content(300), "nonsense"]


@given(st.sets(st.binary(min_size=32, max_size=32)), st.binary(min_size=32, max_size=32))
def test_a_content_set_is_a_set(held: set[bytes], other: bytes) -> None:
    contents = ContentSet(each.hex() for each in held)
    assert all(each.hex() in contents for each in held)
    assert (other.hex() in contents) == (other in held)
    contents.add([other.hex()])
    assert other.hex() in contents


def test_many_rows_are_read_as_well_as_few(index: PhotoIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "_FEW", 10)
    index.add([row(number) for number in range(60)])
    for wanted in (range(5), range(0, 60, 2)):
        names = [content(number) for number in wanted]
        assert sorted(index.rows(names).contents) == sorted(names)


def test_vectors_are_found_by_the_ids_a_scan_gave(index: PhotoIndex) -> None:
    index.add([row(number) for number in range(8)])
    index.add([row(number) for number in range(8, 16)])
    for rows in index.scan():
        ids, vectors = index.vectors_by_id(rows.ids)
        for place, found in zip(ids, vectors, strict=True):
            number = int(rows.contents[int(np.nonzero(rows.ids == place)[0][0])][:8], 16)
            assert np.abs(found - row(number).vector).max() < 1e-3


def test_a_vector_that_is_no_number_resembles_nothing(index: PhotoIndex) -> None:
    broken = PhotoRow(
        traits=traits(1), phashes=row(1).phashes, vector=np.full(DIMENSIONS, np.nan, np.float32)
    )
    index.add([broken, row(2)])
    vectors = index.rows([content(1), content(2)]).vectors
    assert vectors is not None
    assert np.isfinite(vectors).all()
    assert abs(float(vectors[0] @ vectors[1])) < 1e-6


def test_a_table_without_vectors_serves_hashes(tmp_path: Path) -> None:
    index = PhotoIndex(tmp_path, "", "1", lambda: 0)
    index.add([PhotoRow(traits=traits(1), phashes=row(1).phashes, vector=None)])
    assert index.rows([content(1)]).vectors is None


def test_models_and_recipes_never_share_a_table(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(1)])
    for model, recipe in (("other/model", "1"), ("some/model", "2")):
        assert PhotoIndex(tmp_path, model, recipe, lambda: DIMENSIONS).lacks([content(1)]) == [content(1)]


def test_every_file_is_synced_before_rows_are_acknowledged(
    index: PhotoIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.add(os.fstat(fd).st_ino), real(fd)))
    before = {path.stat().st_ino for path in files(index.path)}
    index.add([row(1)])
    new = {path.stat().st_ino for path in files(index.path)} - before
    assert new
    assert new <= synced
    assert {path.parent.stat().st_ino for path in files(index.path) if path.stat().st_ino in new} <= synced


def test_what_was_synced_before_is_not_asked_about_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of commits leaves thousands of files, and each commit syncs what is new among them."""
    below = tmp_path / "versions"
    below.mkdir()
    opened, asked = list[str](), list[object]()
    monkeypatch.setattr(recovery, "_fsync", opened.append)
    for name in ("stat", "lstat"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda path, real=real, **how: asked.append(path) or real(path, **how))
    syncer = recovery.Syncer()
    for number in range(3):
        (below / f"{number}").touch()
        asked.clear(), opened.clear()
        syncer.sync(tmp_path)
        assert opened == [f"{below}/{number}", str(below)]
        assert not asked
    (below / "new").touch()
    (below / "new").rename(below / "0")
    opened.clear()
    syncer.sync(tmp_path)
    assert opened == [f"{below}/0", str(below)], "another file of that name"


def files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def manifests(index: PhotoIndex) -> list[Path]:
    """Newest first: names count down."""
    return sorted(index.path.rglob("*.manifest"))


@pytest.mark.parametrize("torn", [b"", b"half a manifest"])
def test_a_torn_newest_version_costs_only_its_own_rows(
    tmp_path: Path, index: PhotoIndex, torn: bytes
) -> None:
    index.add([row(1)])
    index.add([row(2)])
    manifests(index)[0].write_bytes(torn)
    again = opened(tmp_path)
    assert again.lacks([content(1), content(2)]) == [content(2)]
    again.add([row(2)])
    assert opened(tmp_path).lacks([content(1), content(2)]) == []


def test_lost_rows_are_lacked_not_promised(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(1)])
    for path in files(index.path):
        if path.suffix == ".lance":
            path.write_bytes(b"")
    assert opened(tmp_path).lacks([content(1)]) == [content(1)]


def test_what_cannot_be_opened_is_set_aside_not_deleted(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(1)])
    for path in manifests(index):
        path.write_bytes(b"")
    again = opened(tmp_path)
    assert again.lacks([content(1)]) == [content(1)]
    aside = list(tmp_path.glob("*.broken-*"))
    assert len(aside) == 1
    assert list(aside[0].rglob("*.lance"))
    again.add([row(1)])
    assert opened(tmp_path).lacks([content(1)]) == []


def test_a_table_of_another_make_is_set_aside(
    tmp_path: Path, index: PhotoIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add([row(1)])
    monkeypatch.setattr(photo_rows, "SKETCH", 64)
    assert len(opened(tmp_path)) == 0
    assert len(list(tmp_path.glob("*.broken-1"))) == 1


def test_damage_found_while_reading_empties_the_index(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(1)])
    for path in files(index.path):
        if path.suffix == ".lance":
            path.unlink()
    with pytest.raises(VisionError, match="set aside"):
        index.rows([content(1)])
    assert index.lacks([content(1)]) == [content(1)]


@contextmanager
def no_more_files() -> Iterator[None]:
    """This process has no descriptor left to open a file with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_too_many_open_files_are_no_damage(tmp_path: Path, index: PhotoIndex) -> None:
    """Nothing on the disk is wrong then: hours of looking must not be thrown away for it."""
    for number in range(3):
        index.add([row(number)])
    before = sorted(files(tmp_path))
    asked: list[Callable[[], object]] = [
        lambda: opened(tmp_path),
        lambda: index.rows([content(1)]),
        lambda: index.vectors_by_id(np.array([1 << 32], np.uint64)),  # the first of the second commit
    ]
    for ask in asked:
        with no_more_files(), pytest.raises(VisionError, match=r"cannot be read now \(Too many open files\)"):
            ask()
        assert sorted(files(tmp_path)) == before
    assert len(opened(tmp_path)) == 3


@pytest.mark.parametrize(
    ("error", "of_the_machine"),
    [
        (MemoryError("malloc of size 1073741824 failed"), True),
        (PermissionError(13, "Permission denied"), True),
        (RuntimeError("lance error: LanceError(IO): No space left on device (os error 28), x.rs:1:2"), True),
        (RuntimeError("lance error: LanceError(IO): Input/output error (os error 5), x.rs:1:2"), False),
        (RuntimeError("lance error: Not found: No such file or directory (os error 2), x.rs:1:2"), False),
        (ValueError("Invalid magic number"), False),
    ],
)
def test_only_what_lies_on_the_disk_is_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, of_the_machine: bool
) -> None:
    opened(tmp_path).add([row(1)])

    def refuse(self: PhotoIndex) -> None:
        monkeypatch.undo()
        raise error

    monkeypatch.setattr(PhotoIndex, "_open", refuse)
    if of_the_machine:
        with pytest.raises(VisionError, match="stays as it is"):
            opened(tmp_path)
    else:
        opened(tmp_path)
    assert any(tmp_path.rglob("*.broken*")) is not of_the_machine


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(VisionError, match="cannot be made"):
        opened(tmp_path / "file")


def written(index: PhotoIndex) -> int:
    """Bytes of rows that lie on the disk, those of older versions included."""
    return sum(path.stat().st_size for path in files(index.path) if path.suffix == ".lance")


def test_many_small_commits_are_compacted(index: PhotoIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lance, "_FEWEST_COMMITS", 4)
    monkeypatch.setattr(lance, "_MOST_COMMITS", 8)
    for number in range(48):
        index.add([row(number)])
    assert sum(1 for _ in index.scan()) < 9
    assert index.lacks([content(number) for number in range(48)]) == []


def test_an_import_writes_each_row_a_few_times_however_large_it_is(
    index: PhotoIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "_FEWEST_COMMITS", 2)
    times: list[float] = []
    for number in range(64):
        index.add([row(5 * number + each) for each in range(5)])
        if number in (15, 63):
            times.append(written(index) / len(index))
    assert times[1] < 1.3 * times[0]


def test_small_commits_of_many_short_lives_are_compacted_and_their_versions_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lance, "_FEWEST_COMMITS", 6)
    monkeypatch.setattr(lance, "_KEEP_VERSIONS", timedelta(milliseconds=1))
    for number in range(20):
        opened(tmp_path).add([row(number)])
    index = opened(tmp_path)
    assert len(index) == 20
    assert len([path for path in files(index.path) if path.suffix == ".manifest"]) < 10
    assert sum(1 for _ in index.scan()) < 10


def test_a_compaction_that_fails_leaves_the_index_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        opened(tmp_path).add([row(number)])
    monkeypatch.setattr(lance, "_FEWEST_COMMITS", 2)
    monkeypatch.setattr(lance, "_KEEP_VERSIONS", timedelta(milliseconds=1))
    said: list[str] = []

    def full(index: PhotoIndex, rows: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PhotoIndex, "_compact", full)
    index = opened(tmp_path, log=said.append)
    assert len(index) == 4 and "No space left" in said[0]


@settings(max_examples=25)
@given(st.integers(0, 1 << 32), st.floats(0.5, 0.99))
def test_a_sketch_estimates_the_cosine(seed: int, cosine: float) -> None:
    rng = np.random.default_rng(seed)
    one, noise = rng.standard_normal((2, 1280)).astype(np.float32)
    one /= np.linalg.norm(one)
    noise -= one * (one @ noise)
    other = cosine * one + np.sqrt(1 - cosine**2) * noise / np.linalg.norm(noise)
    first, second = sketch(np.stack([one, other]).astype(np.float32))
    assert abs(float(first @ second) - cosine) < 5 * (1 - cosine**2) / np.sqrt(photo_rows.SKETCH)


def test_what_is_taken_out_is_gone_and_may_come_again(tmp_path: Path, index: PhotoIndex) -> None:
    index.add([row(n) for n in range(6)])
    index.remove([content(2), content(4), content(99)])
    for each in (index, opened(tmp_path)):
        assert each.lacks([content(n) for n in range(6)]) == [content(2), content(4)]
        assert each.rows([content(n) for n in range(6)]).contents == [content(n) for n in (0, 1, 3, 5)]
        assert len(each) == 4
    index.add([row(2)])
    assert opened(tmp_path).traits([content(2)]) == {content(2): traits(2)}


def test_what_could_be_taken_out_only_in_part_is_never_answered_for(
    index: PhotoIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add([row(n) for n in range(4)])
    monkeypatch.setattr(lance, "_FEW", 1)

    def full() -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as disk:
        disk.setattr(index, "_sync", full)
        with pytest.raises(VisionError):
            index.remove([content(1), content(2)])
    assert set(index.traits([content(n) for n in range(4)])) == {content(0), content(3)}
    assert index.lacks([content(n) for n in range(4)]) == [content(1), content(2)]


def test_the_contents_are_paged_in_order() -> None:
    known = ContentSet([content(n) for n in (3, 1, 256)])
    known.add([content(2)])
    found: list[str] = []
    while page := known.page(found[-1] if found else "", 3):
        found += page
    assert found == sorted(content(n) for n in (1, 2, 3, 256))


def test_an_index_that_was_set_aside_stays_some_days_and_the_last_one_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(days: int) -> list[str]:
        monkeypatch.setattr(recovery.time, "time", lambda: now + 86_400 * days)
        recovery.remove_others(tmp_path, ["some/model"], "1")
        return sorted(folder.name for folder in tmp_path.iterdir())

    now = time.time()
    names = ["some-model.r1", "some-model.r1.broken-1", "some-model.r1.broken-2", "other.r1"]
    for name in names:
        (tmp_path / name).mkdir()
    assert left(days=1) == names[:3]
    assert left(days=9) == ["some-model.r1", "some-model.r1.broken-2"]


def test_every_half_that_is_read_is_what_numpy_makes_of_it() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    for halves in (every[np.isfinite(every)], every):
        rows = pa.FixedSizeListArray.from_arrays(pa.array(halves), 16)
        read = photo_rows.vectors_in(rows, 16).ravel()
        assert np.array_equal(read.view(np.uint32), halves.astype(np.float32).view(np.uint32))
