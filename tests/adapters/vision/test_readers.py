"""Processes that read photos: the same rows as threads give, and no file costs more than its turn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

from dedupd.adapters.index.photo_rows import PhotoRow
from dedupd.adapters.vision import indexing, messages, reader
from dedupd.adapters.vision.reader_messages import CanRead, Granted, NeedRoom, StillReading
from dedupd.adapters.vision.readers import Readers
from dedupd.adapters.vision.room import Room
from dedupd.adapters.vision.worker_process import WorkerDied
from dedupd.core.photo import FileStat, Traits
from tests.adapters.vision.test_worker import POISON
from tests.support.pictures import picture, save
from tests.support.remote_eyes import TinyEmbedder

NAMES = [
    "a.jpg",
    "b.png",
    "turned.jpg",
    "twin.jpg",
    "cut.jpg",
    "segv.jpg",
    "once.jpg",
    "large.png",
    "held.jpg",
]


class Rows:
    """An index in memory."""

    dimensions = None

    def __init__(self, held: str) -> None:
        self.rows: dict[str, PhotoRow] = {}
        self._held = held

    def holds(self, content: str) -> bool:
        return content in self.rows or content == self._held

    def add(self, rows: Sequence[PhotoRow]) -> None:
        self.rows.update((row.traits.content, row) for row in rows)

    def traits(self, contents: Sequence[str]) -> dict[str, Traits]:
        return {content: next(iter(self.rows.values())).traits for content in contents}


def files(folder: Path) -> list[messages.FileToRead]:
    """Photos, and what may go wrong with one."""
    exif = Image.Exif()
    exif[0x0112] = 6
    save(folder / "a.jpg", picture(1, (640, 480)))
    save(folder / "b.png", picture(2, (400, 300)))
    Image.fromarray(np.asarray(picture(3, (640, 480)))).save(folder / "turned.jpg", exif=exif)
    (folder / "twin.jpg").write_bytes((folder / "a.jpg").read_bytes())
    (folder / "cut.jpg").write_bytes((folder / "a.jpg").read_bytes()[:9000])
    for seed, name in enumerate(("segv.jpg", "once.jpg", "held.jpg"), 4):
        save(folder / name, picture(seed, (200, 150)))
    Image.new("RGB", (1600, 1500), "teal").save(folder / "large.png")
    found: list[messages.FileToRead] = []
    for key, name in enumerate(NAMES):
        at = (folder / name).stat()
        stat = FileStat(
            size=at.st_size, mtime_ns=at.st_mtime_ns, ctime_ns=at.st_ctime_ns, dev=at.st_dev, ino=at.st_ino
        )
        found.append(messages.FileToRead(key=key, path=os.fsencode(folder / name), stat=stat))
    return found


def read(
    some: Sequence[messages.FileToRead], held: str, pool: indexing.ReaderPool | None
) -> tuple[Rows, dict[str, messages.FileIngested]]:
    told: list[messages.Message] = []
    rows = Rows(held)
    with ThreadPoolExecutor(2) as decoders:
        indexing.Ingester(
            rows, Rows(held), None, TinyEmbedder, "tiny", 3, decoders, told.append, pool=lambda: pool
        ).ingest(some)
    return rows, {NAMES[each.key]: each for each in told if isinstance(each, messages.FileIngested)}


def test_processes_read_as_threads_do_and_each_bad_file_costs_its_own_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(POISON)
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "site"))
    monkeypatch.setattr(indexing, "_MANY", 1)
    some = files(tmp_path)
    held = blake3((tmp_path / "held.jpg").read_bytes()).hexdigest()
    pool = indexing.reader_pool(TinyEmbedder(), "tiny", set(), 2)
    assert pool is not None
    pool.readers._room = Room(1000)  # of all processes together; a photo needs no leave
    rows, answers = read(some, held, pool)
    pool.readers.rest()
    harmless = [each for each in some if not NAMES[each.key].startswith(("segv", "once", "large"))]
    usual, said = read(harmless, held, None)

    assert sorted(answers) == sorted(NAMES)
    once = answers["once.jpg"].traits
    assert once is not None, "a file that was there when a process died is read by another"
    for content, row in usual.rows.items():
        ours = rows.rows[content]
        assert ours.traits == row.traits
        assert np.array_equal(ours.phashes, row.phashes)
        assert row.vector is not None
        assert np.array_equal(np.asarray(ours.vector), row.vector)
    assert set(rows.rows) == {*usual.rows, once.content}
    reasons = {name: each.unreadable.reason for name, each in answers.items() if each.unreadable}
    assert reasons == {
        "cut.jpg": said["cut.jpg"].unreadable and said["cut.jpg"].unreadable.reason,
        "segv.jpg": "crashed (SIGSEGV) on it twice",
        "large.png": "too large: it does not fit in the worker's memory",
    }
    assert not answers["held.jpg"].decoded


def test_a_model_that_makes_its_pictures_in_a_way_of_its_own_is_read_for_by_threads() -> None:
    class Odd(TinyEmbedder):
        def prepare(self, image: Image.Image) -> np.ndarray:
            return np.asarray(image.resize((8, 8)).rotate(1), np.uint8)

    assert indexing.reader_pool(Odd(), "odd", set(), 2) is None


def test_few_files_start_no_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[bool] = []

    def pool() -> None:
        asked.append(True)

    with ThreadPoolExecutor(1) as decoders:
        ingester = indexing.Ingester(
            Rows(""), Rows(""), None, lambda: None, "", 2, decoders, print, pool=pool
        )
        monkeypatch.setattr(ingester, "_send", lambda message: None)
        nothing = FileStat(size=1, mtime_ns=0, ctime_ns=0, dev=0, ino=0)
        gone = [messages.FileToRead(key=n, path=b"/gone", stat=nothing) for n in range(indexing._MANY)]
        ingester.ingest(gone[1:])
        assert not asked
        ingester.ingest(gone)
        assert asked


class Dying:
    """A process that takes room for a picture and dies of it."""

    def __init__(self, module: str, log_path: None) -> None:
        self._said = iter([CanRead(decoded=[]), StillReading(), NeedRoom(size=9 << 20)])
        self.told: list[Any] = []

    def send(self, message: Any) -> None:
        self.told.append(message)

    def body(self, seconds: float | None) -> bytes:
        for each in self._said:
            return msgspec.msgpack.encode(each)
        assert self.told[-1] == Granted(yes=True)
        raise WorkerDied("crashed (SIGKILL)")

    def kill(self) -> None: ...


def test_what_a_process_took_is_free_again_when_it_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dedupd.adapters.vision.readers.WorkerProcess", Dying)
    room, alive = Room(10 << 20), list[bool]()
    nothing = FileStat(size=1, mtime_ns=0, ctime_ns=0, dev=0, ino=0)
    file = messages.FileToRead(key=1, path=b"/a.jpg", stat=nothing)
    found = Readers(None, None, "", set(), room).read(file, lambda content: False, lambda: alive.append(True))
    assert found is not None
    assert found.unreadable is not None
    assert found.unreadable.reason == "crashed (SIGKILL) on it twice"
    assert (room._used, len(alive)) == (0, 2)


def test_where_no_process_starts_threads_read_and_no_file_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os; os._exit(7)")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "site"))
    monkeypatch.setattr(indexing, "_MANY", 1)
    some = files(tmp_path)[:4]
    pool = indexing.reader_pool(TinyEmbedder(), "tiny", set(), 2)
    rows, answers = read(some, "", pool)
    assert (len(rows.rows), len(answers)) == (3, 4)
    assert all(each.traits for each in answers.values())
    assert "no process that reads starts (ended with status 7): threads do it" in capfd.readouterr().err


def test_a_process_without_an_order_keeps_no_freed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    returned = list[bool]()
    monkeypatch.setattr(reader, "return_free_memory", lambda: returned.append(True))
    monkeypatch.setattr(reader, "_IDLE_SECONDS", 0.0)
    incoming, orders = os.pipe()
    worker = reader._Worker(incoming, -1)
    os.write(orders, b"x")
    worker.wait_for_order()
    assert not returned, "whoever is busy goes on with what it has"
    os.read(incoming, 1)
    worker.wait_for_order()
    assert returned == [True]
