"""A whole archive seen by real processes: killed in the middle, resumed, adopted, and then scanned without a decode."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from tests.end_to_end.house import PATIENCE, House

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SMALL_CHUNKS = (
    "import sys, dedupd.bulk.backfill as b\n"
    "b.backfill.__kwdefaults__['size'] = 8\n"
    "from dedupd.cli.main import main\n"
    "sys.exit(main())"
)
SITE = '''
"""Loaded by every Python of the test: a picture that kills its decoder, and a note of each that an import decodes."""
import importlib.abc, importlib.util, os, signal, sys

class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name != "dedupd.adapters.vision.decode":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        self.load, spec.loader.exec_module = spec.loader.exec_module, self.exec_module
        return spec

    def exec_module(self, module):
        self.load(module)
        real = module.decode
        def decode(file, path, **how):
            if "segv" in path:
                os.kill(os.getpid(), signal.SIGSEGV)
            if sys._getframe(1).f_globals["__name__"].endswith("file_reading"):  # not for the look at a pair
                with open(os.environ["DECODED"], "a") as note:
                    note.write(path + "\\n")
            return real(file, path, **how)
        module.decode = decode

sys.meta_path.insert(0, Finder())
'''


def records(rows: Path) -> int:
    return len(list(rows.glob("records/*.json")))


def until(rows: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 3 * PATIENCE  # a cluster starts a dozen processes first
    while records(rows) < count:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.01)


def descendants(process: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{process}/task").glob("*/children"):
            for pid in map(int, each.read_text().split()):
                yield pid
                yield from descendants(pid)


def kill_a_worker(driver: int) -> None:
    """One that sees: below the driver itself, or below an actor of its cluster."""
    for pid in descendants(driver):
        with contextlib.suppress(OSError):
            if b"dedupd.adapters.vision.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
                return
    raise AssertionError("no worker is there")


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
@pytest.mark.model
@pytest.mark.parametrize(
    "engine",
    [
        "pool",
        pytest.param("ray", marks=pytest.mark.skipif(find_spec("ray") is None, reason="needs Ray")),
    ],
)
def test_killed_and_resumed_each_picture_is_counted_and_what_is_adopted_is_not_decoded_again(
    engine: str, converted: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, rows = converted, converted.folder / "rows"
    (house.folder / "site").mkdir()
    (house.folder / "site/sitecustomize.py").write_text(SITE)
    note = house.folder / "decoded"
    monkeypatch.setenv("PYTHONPATH", str(house.folder / "site"))
    monkeypatch.setenv("DECODED", str(note))
    archive = house.folder / "Archive"
    house.configure(embedder="lite0")
    for n in range(60):
        house.add(f"2024/{n % 4 + 1:02}/{n}.jpg", n)
    house.add("2024/01/segv.jpg", 7)
    house.add("2024/02/twin.jpg", 0)
    (house.root / "2024/02/notes.txt").write_text("no picture")
    house.root.rename(archive)  # rows come from elsewhere, and the same photos are found here later
    before = sorted(path.stat().st_mtime_ns for path in archive.rglob("*"))
    house.root.mkdir()

    words = house.command("backfill", archive, "--to", rows, "--workers", "2", "--engine", engine)
    killed = subprocess.Popen([words[0], "-c", SMALL_CHUNKS, *words[3:]], env=house.env)
    try:
        until(rows, 1, killed)
        kill_a_worker(killed.pid)
        until(rows, 2, killed)
    finally:
        killed.kill()
        killed.wait()
    assert house.cli("adopt", rows).code == 1, "nothing was committed"
    done = subprocess.run(
        [words[0], "-c", SMALL_CHUNKS, *words[3:], "--pairs", "--json"],
        env=house.env,
        stdout=subprocess.PIPE,
        check=True,
    )
    said = json.loads(done.stdout)
    assert (said["inputs"], said["rows"], said["twins"], said["missing"]) == (63, 60, 1, 0)
    assert 0 < said["seen_now"] < 63
    assert (said["near"]["rows"], said["near"]["missing"]) == (61, 0)
    reasons = {Path(each["path"]).name: each["reason"] for each in said["refused"]}
    assert reasons == {"segv.jpg": "crashed (SIGSEGV) on it twice", "notes.txt": "not a picture dedupd reads"}
    assert sorted(path.stat().st_mtime_ns for path in archive.rglob("*")) == before

    with house.daemon():
        beside = house.cli("adopt", rows)
        assert beside.code == 4 and "nothing else works on the index" in beside.err
    assert house.cli("adopt", rows, "--json").json["taken"] == 60
    assert house.cli("adopt", rows, "--json").json | {"refused": {}} == {
        "taken": 0, "held": 61, "refused": {}, "damaged": [], "damaged_files": 0, "other_models": [],
        "pairs": said["near"]["pairs"] - 1, "pairs_left": "",  # but for the twin with its like
    }  # fmt: skip

    (archive / "2024").rename(house.root / "2024")
    (house.root / "2024/01/segv.jpg").rename(house.folder / "segv.jpg")
    note.write_text("")
    report = house.scan("--dry-run")
    assert report["total_images"] == 61
    assert note.read_text().splitlines() == [str(house.root / "2024/02/notes.txt")]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """An object store on loopback: pyarrow's client of it, and what an address needs to say."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true"
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    try:
        reached = {"endpoint_override": f"{host}:{port}", "scheme": "http", "region": "us-east-1"}
        yield (
            fs.S3FileSystem(allow_bucket_creation=True, **reached),
            "&".join(f"{k}={v}" for k, v in reached.items()),
        )
    finally:
        server.stop()


def test_an_object_store_gives_pictures_and_takes_rows(
    bucket: tuple[Any, str], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, how = bucket
    (house.folder / "site").mkdir()
    (house.folder / "site/sitecustomize.py").write_text(SITE)
    note = house.folder / "decoded"
    monkeypatch.setenv("PYTHONPATH", str(house.folder / "site"))
    monkeypatch.setenv("DECODED", str(note))
    house.configure()
    for n in range(12):
        house.add(f"2024/0{n % 3 + 1}/{n}.jpg", n)
        house.add(f"2024/0{n % 3 + 1}/{n} small.jpg", n, size=(320, 240))
    for name in ("photos", "rows"):
        files.create_dir(name)
    fs.copy_files(str(house.root), "photos/lib", fs.LocalFileSystem(), files)
    rows = f"s3://rows/a?{how}"
    words = ("backfill", f"s3://photos/lib?{how}", "--to", rows, "--workers", "2", "--pairs", "--json")
    first, again = house.cli(*words), house.cli(*words)
    assert (first.code, again.code) == (0, 0), first.err + again.err
    assert (first.json["inputs"], first.json["rows"], first.json["seen_now"]) == (24, 24, 24)
    assert first.json | {"seen_now": 0} == again.json
    under = house.cli("backfill", f"s3://photos/lib?{how}", "--to", f"s3://photos/lib/rows?{how}")
    assert under.code == 2 and "lies under the source s3://photos/lib" in under.err and how not in under.err
    adopted = house.cli("adopt", rows, "--json").json
    assert (adopted["taken"], adopted["pairs_left"]) == (24, "") and adopted["pairs"] >= 12
    assert house.cli("adopt", rows, "--json").json["taken"] == 0
    note.write_text("")
    assert house.scan("--dry-run")["duplicate_groups"] == 12
    assert note.read_text() == ""
    nowhere = house.cli("adopt", f"s3://rows/none?{how}")
    assert nowhere.code == 1 and "is no place that `dedupd backfill --to` has written to" in nowhere.err
