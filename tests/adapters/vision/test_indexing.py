"""How many files become rows: whole batches for the index, and answers that do not wait for the last file."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dedupd.adapters.index.lance import PhotoIndex
from dedupd.adapters.vision import indexing, messages
from dedupd.adapters.vision.recipe import RECIPE
from dedupd.adapters.vision.small_files import SmallFiles
from dedupd.core.photo import FileStat
from tests.support.pictures import picture, save
from tests.support.remote_eyes import TinyEmbedder

FILES = 24


def photos(folder: Path) -> list[messages.FileToRead]:
    files: list[messages.FileToRead] = []
    for key in range(FILES):
        save(folder / f"{key}.jpg", picture(key, (64, 48)))
        found = (folder / f"{key}.jpg").stat()
        stat = FileStat(
            size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns,
            dev=found.st_dev, ino=found.st_ino,
        )  # fmt: skip
        files.append(messages.FileToRead(key=key, path=os.fsencode(folder / f"{key}.jpg"), stat=stat))
    return files


@pytest.mark.parametrize(("seconds", "early"), [(0.0, True), (3600.0, False)])
def test_answers_come_while_files_are_read_and_at_the_latest_after_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, early: bool
) -> None:
    monkeypatch.setattr(indexing, "_COMMIT_SECONDS", seconds)
    files = photos(tmp_path)
    told: list[messages.Message] = []
    index, insides = (PhotoIndex(tmp_path / "index", name, RECIPE, lambda: 0) for name in ("", "inside"))
    with ThreadPoolExecutor(1) as decoders:
        smalls = SmallFiles(tmp_path / "index", RECIPE)
        indexing.Ingester(index, insides, smalls, lambda: None, "", 2, decoders, told.append).ingest(files)
    answers = [place for place, each in enumerate(told) if isinstance(each, messages.FileIngested)]
    last_begun = max(place for place, each in enumerate(told) if isinstance(each, messages.Begun))
    assert len(answers) == len(index) == FILES
    assert (answers[0] < last_begun) == early
    assert smalls.of(
        [each.traits.content for each in told if isinstance(each, messages.FileIngested) and each.traits]
    ).shapes.all()


def test_photos_are_decoded_while_the_model_gets_ready(tmp_path: Path) -> None:
    decoded, some, told = threading.Semaphore(0), 8, list[messages.Message]()

    def send(message: messages.Message) -> None:
        told.append(message)
        if isinstance(message, messages.Decoded):
            decoded.release()

    def load() -> TinyEmbedder:
        if not loaded:
            loaded.append(all(decoded.acquire(timeout=10) for _ in range(some)))
        return TinyEmbedder()

    loaded = list[bool]()
    index, insides = (
        PhotoIndex(tmp_path / "index", *of)
        for of in (("tiny", RECIPE, lambda: TinyEmbedder.dimensions), ("inside", RECIPE, lambda: 0))
    )
    with ThreadPoolExecutor(1) as decoders:
        indexing.Ingester(
            index, insides, None, load, "tiny", 4, decoders, send, preparing=TinyEmbedder
        ).ingest(photos(tmp_path))
    assert loaded == [True]
    assert len(index) == FILES
