"""A chunk of a backfill gives the rows that a library's own look gives, and a library that adopted them decodes nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from dedupd.adapters.index.adopt import adopt
from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.stores.backfill_records import ChunkFile, Commit, mark
from dedupd.adapters.stores.store import LocalStore
from dedupd.adapters.vision import file_reading, messages
from dedupd.adapters.vision.gather import gather
from dedupd.adapters.vision.indexing import Ingester
from dedupd.adapters.vision.inside import INSIDE
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.core.photo import FileStat
from tests.support.pictures import picture, save

MODEL = "tiny/1"


class Tiny:
    """An embedder of eight dimensions."""

    side, dimensions, note = 8, 8, "numpy"

    def prepare(self, image: Image.Image) -> NDArray[Any]:
        return np.asarray(image.convert("L").resize((8, 8)), np.float32)

    def embed(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        means = batch.mean(2) - batch.mean((1, 2))[:, None]
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


EMBEDDER = Tiny()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("gather") / "pictures"
    for n in range(6):
        save(top / f"a/{n}.jpg", picture(n, (320, 240)))
    screen = Image.new("RGB", (300, 600), "black")
    screen.paste(picture(9, (300, 220)), (0, 190))
    screen.save(top / "screen.png")
    shutil.copy(top / "a/0.jpg", top / "twin.jpg")
    (top / "cut.jpg").write_bytes((top / "a/1.jpg").read_bytes()[:900])
    (top / "notes.txt").write_text("no picture")
    (top / "clip.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))
    return top


@pytest.fixture
def decoders() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as threads:
        yield threads


NAMES = [
    *(f"a/{n}.jpg" for n in range(6)),
    "screen.png",
    "twin.jpg",
    "cut.jpg",
    "notes.txt",
    "clip.mp4",
    "gone.jpg",
]


def seen(
    pictures: Path, to: Path, decoders: ThreadPoolExecutor, alone: list[int] | None = None
) -> tuple[messages.Gathered, dict[str, messages.FileIngested]]:
    nothing = FileStat(size=0, mtime_ns=0, ctime_ns=0, dev=0, ino=0)
    files = [
        messages.FileToRead(key=key, path=os.fsencode(name), stat=nothing) for key, name in enumerate(NAMES)
    ]
    order = messages.Gather(
        source=os.fsencode(pictures), files=files, alone=alone or [], to=os.fsencode(to), name="chunk"
    )
    told: list[messages.Message] = []
    gather(order, lambda: EMBEDDER, MODEL, 2, decoders, told.append)
    gathered = told[-1]
    assert isinstance(gathered, messages.Gathered)
    return gathered, {NAMES[each.key]: each for each in told if isinstance(each, messages.FileIngested)}


def looked(pictures: Path, index: PhotoIndex, insides: PhotoIndex, decoders: ThreadPoolExecutor) -> list[Any]:
    files: list[messages.FileToRead] = []
    for key, name in enumerate(NAMES[:8]):
        at = (pictures / name).stat()
        stat = FileStat(
            size=at.st_size, mtime_ns=at.st_mtime_ns, ctime_ns=at.st_ctime_ns, dev=at.st_dev, ino=at.st_ino
        )
        files.append(messages.FileToRead(key=key, path=os.fsencode(pictures / name), stat=stat))
    told: list[messages.Message] = []
    Ingester(index, insides, None, lambda: EMBEDDER, MODEL, 2, decoders, told.append).ingest(files)
    return [each for each in told if isinstance(each, messages.FileIngested)]


def tables(folder: Path) -> tuple[PhotoIndex, PhotoIndex]:
    return (
        PhotoIndex(folder, MODEL, RECIPE, lambda: EMBEDDER.dimensions),
        PhotoIndex(folder, f"inside-{INSIDE}", RECIPE, lambda: 0),
    )


def test_rows_equal_those_of_a_look_here_and_once_adopted_nothing_is_decoded(
    pictures: Path, tmp_path: Path, decoders: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted((str(p), p.stat().st_mtime_ns) for p in pictures.rglob("*"))
    store = LocalStore(str(tmp_path / "rows"))
    mark(store)
    gathered, answers = seen(pictures, tmp_path / "rows", decoders)
    commit = Commit(
        model=MODEL, recipe=RECIPE,
        chunks=[ChunkFile(file=gathered.file, digest=gathered.digest, rows=gathered.rows)],
    )  # fmt: skip
    store.write("commits/all.json", msgspec.json.encode(commit))
    local, local_insides = tables(tmp_path / "local")
    looked(pictures, local, local_insides, decoders)
    index, insides = tables(tmp_path / "index")
    list(adopt(store, index, insides, MODEL, RECIPE, INSIDE))
    assert sorted((str(p), p.stat().st_mtime_ns) for p in pictures.rglob("*")) == before

    contents = local.page("")
    assert index.page("") == contents and len(contents) == gathered.rows == 7
    assert index.traits(contents) == local.traits(contents)
    for ours, theirs in ((index, local), (insides, local_insides)):
        one, other = ours.rows(contents), theirs.rows(contents)
        order = [one.contents.index(content) for content in other.contents]
        assert len(order) == len(one.contents) > 0
        assert (one.phashes[order] == other.phashes).all()
        if other.vectors is not None and one.vectors is not None:
            assert (one.vectors[order] == other.vectors).all()
    assert insides.traits(contents) == local_insides.traits(contents)

    decoded: list[str] = []

    def refuse(*file: Any, **sides: Any) -> None:
        decoded.append(file[1])

    monkeypatch.setattr(file_reading, "decode", refuse)
    found = looked(pictures, index, insides, decoders)
    assert decoded == []
    assert [(each.decoded, each.traits.model) for each in found] == [(False, MODEL)] * 8
    assert answers["twin.jpg"].traits == answers["a/0.jpg"].traits


def test_every_picture_of_a_chunk_is_answered_and_what_gives_no_row_says_why(
    pictures: Path, tmp_path: Path, decoders: ThreadPoolExecutor
) -> None:
    gathered, answers = seen(pictures, tmp_path / "rows", decoders, alone=[3, 8])
    assert set(answers) == set(NAMES)
    reasons = {n: a.unreadable.reason.split(" (")[0] for n, a in answers.items() if a.unreadable}
    assert reasons == {
        "cut.jpg": "damaged or cut short", "notes.txt": "not a picture dedupd reads",
        "clip.mp4": "not decoded", "gone.jpg": "no longer there",
    }  # fmt: skip
    rows = [name for name, answer in answers.items() if answer.traits and answer.decoded]
    assert len(rows) == gathered.rows == len(NAMES) - len(reasons) - 1
    again, _ = seen(pictures, tmp_path / "rows", decoders)
    assert again == gathered, "seen again, in another order, it is the same file"


def test_a_chunk_without_a_row_leaves_no_file(tmp_path: Path, decoders: ThreadPoolExecutor) -> None:
    gathered, answers = seen(tmp_path, tmp_path / "rows", decoders)
    assert (gathered.file, gathered.rows) == ("", 0)
    assert all(each.unreadable and each.unreadable.retry for each in answers.values())
    assert not (tmp_path / "rows").exists()


def test_a_link_is_not_followed(tmp_path: Path, decoders: ThreadPoolExecutor, pictures: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/0.jpg").symlink_to(pictures / "a/0.jpg")
    _, answers = seen(tmp_path, tmp_path / "rows", decoders)
    assert answers["a/0.jpg"].unreadable is not None
