"""The worker dies, hangs, starves and is killed; the caller only ever hears about files."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blake3 import blake3
from PIL import Image

import dedupd
from dedupd.adapters.vision import extras, messages
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.embedders.lite0 import LITE0
from dedupd.bulk.chunk_worker import ChunkWorker, Orders
from dedupd.bulk.plan import Chunk
from dedupd.core.photo import FileStat, Traits, Unreadable
from dedupd.errors import VisionError
from dedupd.ports import FileRequest, ProofRequest

POISON = '''
"""Loaded by the worker's interpreter: files named after a misfortune meet it when they are decoded."""
import importlib.abc, importlib.util, os, signal, sys, threading

class Poisoner(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        if name != "dedupd.adapters.vision.decode":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        self.load = spec.loader.exec_module
        spec.loader.exec_module = self.exec_module
        return spec

    def exec_module(self, module):
        self.load(module)
        real = module.decode
        def decode(file, path, **sides):
            name = os.path.basename(path)
            if name.startswith("segv"):
                os.kill(os.getpid(), signal.SIGSEGV)
            if name.startswith("hang"):
                threading.Event().wait()
            if name.startswith("greedy"):
                try:
                    bytearray(5 << 30)
                except MemoryError:
                    raise module.Refused("no memory")
            if name.startswith("once") and not os.path.exists(path + ".met"):
                open(path + ".met", "w").close()
                os.kill(os.getpid(), signal.SIGKILL)
            picture = real(file, path, **sides)
            if name.startswith("odd"):
                import dataclasses, numpy
                holding = dataclasses.replace(picture.holding, depth=numpy.int64(8))
                picture = dataclasses.replace(picture, width=numpy.int64(picture.width), holding=holding)
            return picture
        module.decode = decode
        found = module.opened
        def opened(path, *expected):
            if os.path.basename(path).startswith("segv"):
                os.kill(os.getpid(), signal.SIGSEGV)
            return found(path, *expected)
        module.opened = opened

sys.meta_path.insert(0, Poisoner())
'''


@pytest.fixture
def poisoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(POISON)
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "site"))


@pytest.fixture
def vision(tmp_path: Path) -> Iterator[VisionWorker]:
    worker = make(tmp_path)
    yield worker
    worker.rest()


def make(tmp_path: Path, **options: Any) -> VisionWorker:
    usual: dict[str, Any] = {"embedder": "hashes", "stall_seconds": 5.0}
    return VisionWorker(tmp_path / "index", tmp_path / "cache", **(usual | options))


def photo(path: Path, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    coarse.resize((400, 300), Image.Resampling.BICUBIC).save(path, "JPEG")
    return path


def request(key: int, path: Path) -> FileRequest:
    found = os.lstat(path)
    return FileRequest(
        key=key,
        path=os.fspath(path),
        stat=FileStat(
            size=found.st_size,
            mtime_ns=found.st_mtime_ns,
            ctime_ns=found.st_ctime_ns,
            dev=found.st_dev,
            ino=found.st_ino,
        ),
    )


def look(vision: VisionWorker, *paths: Path) -> dict[str, Traits | Unreadable]:
    answers = list(vision.ingest([request(key, path) for key, path in enumerate(paths)]))
    assert sorted(answer.key for answer in answers) == list(range(len(paths)))
    return {paths[answer.key].name: answer.result for answer in answers}


@pytest.mark.usefixtures("poisoned")
def test_a_file_that_crashes_the_worker_is_set_aside_and_the_others_are_seen(
    tmp_path: Path, vision: VisionWorker
) -> None:
    names = ["a.jpg", "segv.jpg", "b.jpg", "c.jpg"]
    results = look(vision, *(photo(tmp_path / name, seed) for seed, name in enumerate(names)))
    poison = results.pop("segv.jpg")
    assert all(isinstance(result, Traits) for result in results.values())
    assert isinstance(poison, Unreadable)
    assert "crashed (SIGSEGV)" in poison.reason


@pytest.mark.usefixtures("poisoned")
def test_a_file_that_hangs_the_worker_costs_one_file_its_turn(tmp_path: Path) -> None:
    vision = make(tmp_path, stall_seconds=2.0)
    results = look(vision, *(photo(tmp_path / name, seed) for seed, name in enumerate(["a.jpg", "hang.jpg"])))
    vision.rest()
    hung = results["hang.jpg"]
    assert isinstance(results["a.jpg"], Traits)
    assert isinstance(hung, Unreadable)
    assert "hung" in hung.reason


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_DATA works on Linux alone")
@pytest.mark.usefixtures("poisoned")
def test_a_file_that_wants_too_much_memory_is_refused(tmp_path: Path, vision: VisionWorker) -> None:
    results = look(vision, photo(tmp_path / "greedy.jpg", 1), photo(tmp_path / "a.jpg", 2))
    greedy = results["greedy.jpg"]
    assert isinstance(greedy, Unreadable)
    assert "memory" in greedy.reason
    assert isinstance(results["a.jpg"], Traits)


@pytest.mark.usefixtures("poisoned")
def test_a_file_present_at_one_death_of_the_worker_is_tried_again(
    tmp_path: Path, vision: VisionWorker
) -> None:
    results = look(vision, photo(tmp_path / "once.jpg", 1), photo(tmp_path / "a.jpg", 2))
    assert all(isinstance(result, Traits) for result in results.values())


@pytest.mark.usefixtures("poisoned")
def test_a_pair_that_crashes_the_worker_costs_one_pair(tmp_path: Path, vision: VisionWorker) -> None:
    good, also, bad = (
        photo(tmp_path / name, seed) for seed, name in enumerate(["a.jpg", "b.jpg", "segv.jpg"])
    )
    pairs = [pair(bad, good), pair(good, also)]
    answers = {(proof.a, proof.b): proof for proof in vision.prove(pairs)}
    crashed, proven = (answers[each.a, each.b] for each in pairs)
    assert (crashed.measures, "crashed" in crashed.error) == (None, True)
    assert proven.measures is not None


def test_pairs_of_which_no_small_pictures_are_kept_are_measured_by_one_worker(tmp_path: Path) -> None:
    told: list[str] = []
    vision = make(tmp_path, log=told.append)
    photos = [photo(tmp_path / f"{seed}.jpg", seed) for seed in range(3)]
    pairs = [pair(one, other) for one in photos for other in photos if one != other]
    first, *others = vision.prove(pairs)
    began = vision.pid
    again = list(vision.prove(pairs))
    assert vision.pid == began
    vision.rest()
    assert all(proof.measures for proof in (first, *others, *again))
    assert told == []


@pytest.mark.usefixtures("poisoned")
def test_an_answer_that_cannot_be_packed_is_told_of_its_file_and_its_pair_alone(tmp_path: Path) -> None:
    told: list[str] = []
    vision = make(tmp_path, log=told.append)
    good, also, odd = (
        photo(tmp_path / name, seed) for seed, name in enumerate(["a.jpg", "b.jpg", "odd.jpg"])
    )
    results = look(vision, good, also, odd)
    set_aside = results["odd.jpg"]
    pairs = [pair(odd, good), pair(good, also)]
    answers = {(proof.a, proof.b): proof for proof in vision.prove(pairs)}
    pid = vision.pid
    vision.rest()
    unsaid, proven = (answers[each.a, each.b] for each in pairs)
    assert isinstance(results["a.jpg"], Traits)
    assert isinstance(set_aside, Unreadable)
    assert "could not be told" in set_aside.reason
    assert (unsaid.measures, "could not be told" in unsaid.error) == (None, True)
    assert proven.measures is not None
    assert pid is not None
    assert told == []  # it did not end


@pytest.mark.usefixtures("poisoned")
def test_only_the_file_being_read_is_suspected_not_those_that_were_answered(tmp_path: Path) -> None:
    told: list[str] = []
    vision = make(tmp_path, log=told.append)
    paths = [
        photo(tmp_path / name, seed) for seed, name in enumerate(["a.jpg", "b.jpg", "segv.jpg", "c.jpg"])
    ]
    answers = vision.describe([request(key, path) for key, path in enumerate(paths)])
    vision.rest()
    assert sorted(answers) == [0, 1, 2, 3]
    assert told == ["vision worker crashed (SIGSEGV); 1 files to try one by one"] * 2


def test_a_card_that_ends_the_worker_is_left_alone_and_no_file_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dedupd.adapters.vision.client._WORKER", "tests.support.card_that_crashes")
    told: list[str] = []
    vision = make(tmp_path, log=told.append)
    found = look(vision, *(photo(tmp_path / f"{seed}.jpg", seed) for seed in range(3)))
    vision.rest()
    assert [each.reason for each in found.values() if isinstance(each, Unreadable)] == [
        "seen without cards"
    ] * 3
    assert (
        told[0]
        == "vision worker crashed (SIGABRT) while a graphics card may have been in use: it goes on without"
    )
    loading = make(tmp_path, gpus="crash at once")
    loading.load()
    loading.rest()


def test_what_the_worker_writes_is_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    vision = make(tmp_path)
    look(vision, photo(tmp_path / "a.jpg", 1))
    vision.rest()
    os.umask(before)
    for folder in (tmp_path / "index", tmp_path / "cache"):
        assert folder.stat().st_mode & 0o777 == 0o700


def pair(a: Path, b: Path) -> ProofRequest:
    contents = (blake3(path.read_bytes()).hexdigest() for path in (a, b))
    return ProofRequest(a=next(contents), b=next(contents), path_a=os.fspath(a), path_b=os.fspath(b))


def test_a_worker_killed_in_the_middle_loses_no_file(tmp_path: Path, vision: VisionWorker) -> None:
    paths = [photo(tmp_path / f"{seed}.jpg", seed) for seed in range(80)]
    answers = []
    for answer in vision.ingest([request(key, path) for key, path in enumerate(paths)]):
        answers.append(answer)
        if len(answers) == 1:
            assert vision.pid is not None
            os.kill(vision.pid, signal.SIGKILL)
    assert sorted(answer.key for answer in answers) == list(range(80))
    contents = [answer.result.content for answer in answers if isinstance(answer.result, Traits)]
    assert len(contents) == 80
    assert vision.missing(contents) == []


def test_what_was_answered_is_on_disk_when_the_worker_is_killed(tmp_path: Path, vision: VisionWorker) -> None:
    results = look(vision, *(photo(tmp_path / f"{seed}.jpg", seed) for seed in range(3)))
    assert vision.pid is not None
    os.kill(vision.pid, signal.SIGKILL)
    assert vision.missing([result.content for result in results.values()]) == []


def test_answers_no_longer_wanted_do_not_reach_the_next_request(tmp_path: Path, vision: VisionWorker) -> None:
    paths = [photo(tmp_path / f"{seed}.jpg", seed) for seed in range(40)]
    answers = vision.ingest([request(key, path) for key, path in enumerate(paths)])
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert vision.missing(["0" * 64]) == ["0" * 64]
    assert len(look(vision, *paths)) == 40


def test_a_request_within_another_is_a_mistake_not_a_deadlock(tmp_path: Path, vision: VisionWorker) -> None:
    answers = vision.ingest([request(0, photo(tmp_path / "a.jpg", 1))])
    next(answers)
    with pytest.raises(RuntimeError):
        vision.missing([])
    assert list(answers) == []
    assert vision.missing([]) == []


def test_the_worker_leaves_when_told_and_comes_back_when_needed(tmp_path: Path, vision: VisionWorker) -> None:
    wake(vision, tmp_path)
    first = vision.pid
    vision.rest()
    assert vision.pid is None
    wake(vision, tmp_path)
    assert vision.pid not in (None, first)


def wake(vision: VisionWorker, folder: Path) -> None:
    """Have the worker do something that needs no index."""
    assert vision.thumbnails([(os.fspath(folder / "none.jpg"), "f" * 64)]) == {}


def test_an_idle_worker_leaves_by_itself(tmp_path: Path) -> None:
    vision = make(tmp_path, idle_seconds=0.05)
    wake(vision, tmp_path)
    pid = vision.pid
    assert pid is None or ends(pid)
    wake(vision, tmp_path)
    vision.rest()


def test_the_worker_does_not_outlive_its_parent(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from dedupd.adapters.vision.client import VisionWorker\n"
        f"vision = VisionWorker(Path({os.fspath(tmp_path)!r}), Path({os.fspath(tmp_path)!r}), 'hashes')\n"
        "vision.missing([]); print(vision.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    home = os.fspath(Path(dedupd.__file__).parent.parent)
    parent = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": home},
        capture_output=True,
        check=False,
    )
    assert ends(int(parent.stdout))


def ends(pid: int) -> bool:
    """Whether process `pid` ends within ten seconds."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10.0)[0])
    finally:
        os.close(handle)


def test_a_worker_that_cannot_start_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text("import os; os._exit(7)")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "site"))
    with pytest.raises(VisionError, match="does not start"):
        make(tmp_path).missing([])


def test_an_unknown_embedder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(VisionError, match="'resnet' is not known"):
        make(tmp_path, embedder="resnet").status()


def test_an_embedder_that_cannot_be_had_is_known_before_it_is_used(tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.pt"
    checkpoint.write_bytes(b"junk")
    vision = make(tmp_path, embedder=f"open_clip:no-such-architecture@{checkpoint}")
    assert vision.status().model
    with pytest.raises(VisionError, match="cannot be loaded"):
        vision.load()
    vision.rest()


def test_an_embedder_that_cannot_be_loaded_is_no_fault_of_the_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too few open files, a library half updated: all photos had been set aside, for good."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        """
import sys
from importlib.abc import MetaPathFinder

class Full(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "dedupd.adapters.vision.engines.lite0_graph":
            raise OSError(24, "Too many open files")

sys.meta_path.insert(0, Full())
"""
    )
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path / "site"))
    worker = make(tmp_path, embedder="lite0")
    with pytest.raises(VisionError, match=r"could not be loaded .+Too many open files"):
        list(worker.ingest([request(0, photo(tmp_path / "a.jpg", 1))]))
    monkeypatch.delenv("PYTHONPATH")
    (look,) = worker.ingest([request(0, tmp_path / "a.jpg")])
    assert isinstance(look.result, Traits)
    worker.rest()


def test_a_library_in_the_photo_folder_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vision: VisionWorker
) -> None:
    (tmp_path / "msgspec.py").write_text("import os; os._exit(9)")
    monkeypatch.chdir(tmp_path)
    assert vision.missing(["f" * 64]) == ["f" * 64]


@pytest.mark.parametrize(("embedder", "model"), [("hashes", ""), ("lite0", LITE0)])
def test_a_name_tells_what_sees_without_a_worker_and_the_worker_says_the_same(
    tmp_path: Path, embedder: str, model: str
) -> None:
    vision = make(tmp_path, embedder=embedder)
    told = vision.status()
    assert (told.model, bool(told.recipe), vision.pid) == (model, True, None)
    vision.tidy([])
    assert vision.pid is not None
    assert vision.status() == told
    vision.rest()


def test_a_model_is_loaded_for_photos_that_were_decoded(tmp_path: Path) -> None:
    """Neither for a new index nor for a photo that is still to be decoded."""
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 no photo")
    vision = make(tmp_path, embedder="lite0")
    (answer,) = vision.ingest([request(0, tmp_path / "cut.jpg")])
    assert isinstance(answer.result, Unreadable)
    assert vision.missing(["f" * 64]) == ["f" * 64]
    vision.rest()
    assert not list(tmp_path.rglob("*.onnx"))


def test_a_worker_that_started_before_an_extra_came_is_let_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vision = make(tmp_path)
    with monkeypatch.context() as before:
        before.setattr(extras, "find_spec", lambda name: None)
        vision.missing([])
        assert vision.extras() == ""
        assert vision.pid is not None
    assert vision.extras() == extras.installed_extras() != ""
    assert vision.pid is None
    vision.missing([])
    assert (vision.extras() == extras.installed_extras(), vision.pid is None) == (True, False)
    vision.rest()


def test_what_the_machine_decides_is_told_by_the_worker(tmp_path: Path) -> None:
    vision = make(tmp_path, embedder="auto")
    assert vision.status().note
    assert vision.pid is not None
    vision.rest()


def test_thumbnails_are_private_and_small(tmp_path: Path, vision: VisionWorker) -> None:
    path = tmp_path / "a.jpg"
    Image.effect_noise((2000, 1000), 60).save(path)
    (traits,) = look(vision, path).values()
    made = vision.thumbnails(
        [(os.fspath(path), traits.content), (os.fspath(tmp_path / "none.jpg"), "f" * 64)]
    )
    assert list(made) == [traits.content]
    thumbnail = made[traits.content]
    assert thumbnail == tmp_path / "cache" / "thumbs" / traits.content[:2] / f"{traits.content}.jpg"
    assert thumbnail.stat().st_mode & 0o777 == 0o600
    assert Image.open(thumbnail).size == (512, 256)
    (smaller,) = vision.thumbnails([(os.fspath(path), traits.content)], 256).values()
    assert smaller != thumbnail
    assert (Image.open(smaller).size, Image.open(smaller).format) == ((256, 128), "WEBP")
    assert smaller.stat().st_mode & 0o777 == 0o600
    assert smaller.stat().st_size < thumbnail.stat().st_size / 4


@pytest.mark.usefixtures("poisoned")
def test_a_picture_that_kills_the_worker_ends_among_the_refused_and_its_chunk_is_finished(
    tmp_path: Path,
) -> None:
    names = ["a.jpg", "segv.jpg", "b.jpg", "twin.jpg"]
    for seed, name in enumerate(names):
        photo(tmp_path / name, 0 if name == "twin.jpg" else seed)
    orders = Orders(
        to=os.fsencode(tmp_path / "rows"),
        cache=os.fsencode(tmp_path / "cache"),
        embedder="hashes",
        batch_size=2,
    )
    worker = ChunkWorker(orders)
    chunk = Chunk(key="k", source=os.fsencode(tmp_path), names=[os.fsencode(n) for n in names], sizes=[1] * 4)
    record = worker.process(chunk)
    worker.rest()
    assert (record.inputs, record.rows, record.twins) == (4, 2, 1)
    (refused,) = record.refused
    assert (refused.name, refused.passing) == (f"{tmp_path}/segv.jpg", False)
    assert refused.reason == "crashed (SIGSEGV) on it twice"
    assert (tmp_path / "rows/chunks" / record.file).stat().st_size == record.size
    assert not (tmp_path / "cache/no-index").exists()


def test_who_asks_on_tells_of_which_photos_the_answers_before_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may have ended in between, and the next one does not know."""
    vision, asked = VisionWorker(tmp_path / "index", tmp_path / "cache", "hashes"), list[messages.Propose]()

    def answers(request: messages.Propose) -> list[messages.Reply]:
        asked.append(request)
        return [messages.Searched(left=request.fresh[1:], cut=[])]

    monkeypatch.setattr(vision, "_ask", answers)
    assert [part.fresh for part in vision.propose(["a", "b", "c"], None)] == [["a"], ["b"], ["c"]]
    assert [request.answered for request in asked] == [[], ["a"], ["a", "b"]]
    asked.clear()
    assert len(list(vision.propose(["a", "b"], ["a", "b", "c"]))) == 2
    assert [request.answered for request in asked] == [[], []]
