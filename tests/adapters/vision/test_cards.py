"""Cards with a process each: real processes and a real network, with the processor in the place of every card."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from dedupd.adapters.vision import (
    accelerators,
    card_jpeg,
    cards,
    embedders,
    messages,
    readers,
    worker_process,
)
from dedupd.adapters.vision.card_messages import CanEmbed, PrepareToEmbed
from dedupd.adapters.vision.client import VisionWorker
from dedupd.adapters.vision.embedders import registry
from dedupd.adapters.vision.engines import lite0_graph, torch_engine
from dedupd.adapters.vision.reader_messages import CanRead
from dedupd.adapters.vision.room import Room
from dedupd.adapters.vision.worker_process import WorkerDied
from dedupd.core.photo import Traits
from dedupd.errors import VisionError
from tests.adapters.vision.test_card_jpeg import mean_of_blocks
from tests.contracts.test_vision_contract import request
from tests.support.pictures import picture, save
from tests.support.remote_eyes import TinyEmbedder

NETWORK = """
import os, signal
from pathlib import Path
from dedupd.adapters.vision.embedders.base import EmbedderFamily, Model

MODEL = Model(id="net/1", family="net")
TROUBLE = Path(__file__).with_name("trouble")


def network(model):
    import numpy as np
    import torch

    def preprocess(image):
        small = np.asarray(image.convert("RGB").resize((32, 32)), np.float32)
        return torch.from_numpy(small.transpose(2, 0, 1).copy() / 127.5 - 1)

    torch.manual_seed(7)
    layers = torch.nn.Conv2d(3, 8, 8, 8), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(128, 32)
    return torch.nn.Sequential(*layers), preprocess, 32


def features(net, pixels):
    return net(pixels)


def with_trouble(net, pixels):
    rows = net(pixels)
    if pixels.max() > 1e6:
        raise RuntimeError("no card can do this")
    try:
        what = TROUBLE.read_text()
        TROUBLE.unlink()  # one of them has it
    except FileNotFoundError:
        return rows
    match what:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            signal.pause()
        case "no numbers":
            return rows * float("nan")
        case "too many":
            return rows.repeat(2, 1)
        case _:
            raise RuntimeError(what)


def load(model, cache_dir):
    from dedupd.adapters.vision.engines.torch_engine import TorchEmbedder

    return TorchEmbedder(model, cache_dir, network, features)


def on_card(model, cache_dir, card):
    from dedupd.adapters.vision.engines.torch_engine import network_on_card

    return network_on_card(model, network, with_trouble, card)


EMBEDDER = EmbedderFamily(
    name="net", spellings=("net",), parse=lambda name: MODEL if name in ("net", MODEL.id) else None, load=load,
    on_card=on_card,
)
"""

SITE = """
import dedupd.adapters.vision.embedders as room
from dedupd.adapters.vision import accelerators

room.__path__.append({folder!r})
accelerators.torch_cards = lambda torch: ["cpu", "cpu"]
"""

BATCHES = np.random.default_rng(1).normal(0, 1, (12, 5, 3, 32, 32)).astype(np.float32)


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr(accelerators, "_allowed", {"gpus": "all", "memory": 0.9, "decoding": False})


@pytest.fixture
def trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The network in the room of the embedders. Who writes a word there makes the next batch on a card fail so."""
    room, site = tmp_path / "room", tmp_path / "site"
    room.mkdir()
    site.mkdir()
    (room / "net.py").write_text(NETWORK)
    (site / "sitecustomize.py").write_text(SITE.format(folder=os.fspath(room)))
    monkeypatch.setattr(embedders, "__path__", [*embedders.__path__, os.fspath(room)])
    monkeypatch.setenv("PYTHONPATH", os.fspath(site), prepend=os.pathsep)
    return room / "trouble"


@pytest.fixture(autouse=True)
def none_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Elsewhere the processes of cards end with the worker, which is this process here."""
    made: list[cards.Cards] = []
    usual = cards.Cards.__init__

    def init(self: cards.Cards, *given: Any) -> None:
        usual(self, *given)
        made.append(self)

    monkeypatch.setattr(cards.Cards, "__init__", init)
    yield
    for each in made:
        for card in each._working:
            card.process.kill()


def load(monkeypatch: pytest.MonkeyPatch, count: int) -> Any:
    """An embedder with so many cards; this process is the worker."""
    monkeypatch.setattr(torch_engine, "torch_cards", lambda torch: ["cpu"] * count)
    return registry.load(registry.parse("net"), Path("/"))


def pids(embedder: Any) -> list[int]:
    return [card.process.pid for card in embedder._cards._working]


def embedded(embedder: Any) -> np.ndarray:
    """By two threads at the same time, as the worker does."""
    with ThreadPoolExecutor(2) as threads:
        return np.concatenate(list(threads.map(embedder.embed, BATCHES)))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("kill", "crashed (SIGKILL)"),
        (
            "CUDA error: an illegal memory access was encountered\nand much more",
            "failed (CUDA error: an illegal memory access was encountered)",
        ),
    ],
)
def test_a_card_that_fails_in_a_batch_gives_it_to_the_others_and_the_last_to_the_processor(
    trouble: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], what: str, why: str
) -> None:
    embedder = load(monkeypatch, 2)
    numbers = embedder._here.told
    assert (embedder.lanes, embedder.batch, embedder.dimensions) == (2, 32, 32)
    assert embedder.note == f"torch {numbers}, {numbers}"
    assert len({*pids(embedder), os.getpid()}) == 3
    usual = np.concatenate([embedder._here.run(batch) for batch in BATCHES])
    with monkeypatch.context() as others:
        others.setattr(embedder, "_embed_here", None)  # the other card does it
        assert np.allclose(embedded(embedder), usual, atol=1e-5)
        trouble.write_text(what)
        assert np.allclose(embedded(embedder), usual, atol=1e-5)
        assert embedder.note == f"torch {numbers}; cpu failed"
        assert len(pids(embedder)) == 1, "its process has ended"
        assert np.allclose(embedded(embedder), usual, atol=1e-5)

    trouble.write_text(what)
    assert np.allclose(embedded(embedder), usual, atol=1e-5)
    assert np.allclose(embedded(embedder), usual, atol=1e-5)
    assert (embedder.note, pids(embedder)) == (f"torch {numbers}: every card failed", [])
    assert capfd.readouterr().err.splitlines() == [
        f"cpu {why}: its work goes to 1 other card(s)",
        f"cpu {why}: its work goes to the processor",
    ]


@pytest.mark.parametrize("before_it_reads", [False, True])
def test_a_card_that_hangs_is_given_up(
    trouble: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], before_it_reads: bool
) -> None:
    embedder = load(monkeypatch, 1)
    monkeypatch.setattr(cards, "_BATCH_SECONDS", 0.2)
    if before_it_reads:
        os.kill(pids(embedder)[0], signal.SIGSTOP)
    else:
        trouble.write_text("hang")
    batch = np.concatenate(list(BATCHES))
    assert batch.nbytes > 1 << 19, "more than fits into a pipe"
    assert np.allclose(embedder.embed(batch), embedder._here.run(batch), atol=1e-5)
    assert capfd.readouterr().err == "cpu hung: its work goes to the processor\n"


def test_where_the_log_cannot_be_written_nobody_waits_for_a_card_that_is_lost(
    trouble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder = load(monkeypatch, 1)
    with Path("/dev/full").open("w") as full:  # a disk
        monkeypatch.setattr(sys, "stderr", full)
        trouble.write_text("kill")
        assert embedded(embedder).shape == (60, 32)
        with pytest.raises(OSError, match="No space"):
            full.close()


def test_a_batch_that_ends_cards_costs_two_of_them(
    trouble: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    embedder = load(monkeypatch, 3)
    batch = BATCHES[0] + 2e6
    assert np.array_equal(embedder.embed(batch), embedder._here.run(batch))
    assert len(pids(embedder)) == 1
    assert np.allclose(embedder.embed(BATCHES[0]), embedder._here.run(BATCHES[0]), atol=1e-5)
    why = "cpu failed (no card can do this): its work goes to {} other card(s)\n"
    assert capfd.readouterr().err == why.format(2) + why.format(1)


@pytest.mark.parametrize(
    ("what", "left", "told"),
    [
        ("no numbers", 1, "cpu gave what are no numbers: the processor does this batch\n"),
        ("too many", 0, "cpu failed (10 vectors of 5 pictures): its work goes to the processor\n"),
    ],
)
def test_what_are_no_vectors_of_these_pictures_is_not_taken(
    trouble: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    what: str,
    left: int,
    told: str,
) -> None:
    embedder = load(monkeypatch, 1)
    trouble.write_text(what)
    assert np.array_equal(embedder.embed(BATCHES[0]), embedder._here.run(BATCHES[0]))
    assert (len(pids(embedder)), capfd.readouterr().err) == (left, told)


@pytest.mark.usefixtures("trouble")
@pytest.mark.parametrize(
    ("module", "seconds", "why"),
    [
        ("dedupd.adapters.vision.recipe", 60.0, "ended with status 0"),
        ("this", 60.0, "failed (a message of 1416127776 bytes is over the limit)"),
        ("dedupd.adapters.vision.card_process", 0.0, "hung"),
    ],
)
def test_cards_that_do_not_start_are_told_once_and_the_processor_sees(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], module: str, seconds: float, why: str
) -> None:
    monkeypatch.setattr(cards, "CARD", module)
    monkeypatch.setattr(cards, "_START_SECONDS", seconds)
    embedder = load(monkeypatch, 2)
    assert (embedder.lanes, embedder.batch, embedder.note) == (0, 0, f"torch {embedder._here.told}")
    assert np.array_equal(embedder.embed(BATCHES[0]), embedder._here.run(BATCHES[0]))
    assert capfd.readouterr().err == f"cpu is not used: it {why}\n" * 2


def test_what_fails_at_once_is_not_used(
    trouble: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    trouble.write_text("no kernel image is available for execution on the device")
    embedder = load(monkeypatch, 2)
    assert (embedder.lanes, embedder.note) == (1, f"torch {embedder._here.told}")
    said = "cpu is not used: it failed (no kernel image is available for execution on the device)\n"
    assert capfd.readouterr().err == said


@pytest.mark.usefixtures("trouble")
def test_without_a_card_no_process_starts_and_what_does_not_fit_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cards, "WorkerProcess", None)
    embedder = load(monkeypatch, 0)
    assert (embedder.batch, embedder.lanes, embedder.note) == (0, 0, f"torch {embedder._here.told}")

    def full(network: Any, pixels: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(embedder._here, "_features", full)
    with pytest.raises(VisionError, match="choose a smaller one"):
        embedder.embed(BATCHES[0])


def test_two_cards_work_at_the_same_time(trouble: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = load(monkeypatch, 2)
    trouble.write_text("hang")
    with ThreadPoolExecutor(1) as threads:
        hanging = threads.submit(embedder.embed, BATCHES[0])
        while trouble.exists():  # until it hangs
            os.sched_yield()
        rows = embedder.embed(BATCHES[1])
        assert not hanging.done()
        for pid in pids(embedder):
            os.kill(pid, signal.SIGKILL)
        assert np.allclose(hanging.result(), embedder._here.run(BATCHES[0]), atol=1e-5)
    assert np.allclose(rows, embedder._here.run(BATCHES[1]), atol=1e-5)


def test_the_graph_of_onnx_runtime_has_a_process_a_card_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(lite0_graph, "cards_of_onnx", lambda: ["CPUExecutionProvider"] * 2)
    embedder: Any = registry.load(registry.parse("lite0"), tmp_path)
    provider = "CPUExecutionProvider"
    assert (embedder.lanes, embedder.batch) == (2, 32)
    assert embedder.note == f"ONNX Runtime on {provider}, {provider}; not measured on a card"
    batch = np.random.default_rng(0).integers(0, 255, (3, 224, 224, 3), np.uint8)
    found = embedder.embed(batch)
    for pid in pids(embedder):
        assert np.allclose(embedder.embed(batch), found, atol=1e-5)
        os.kill(pid, signal.SIGKILL)
    assert np.allclose(embedder.embed(batch), found, atol=1e-5)
    assert (embedder.note, pids(embedder)) == ("ONNX Runtime", [])
    assert "its work goes to the processor" in capfd.readouterr().err


def test_a_worker_loses_no_photo_when_the_process_of_a_card_is_killed(trouble: Path, tmp_path: Path) -> None:
    """The whole way: the daemon's client, the worker, its cards, the index."""
    paths = [save(tmp_path / f"{seed}.jpg", picture(seed)) for seed in range(12)]
    vision = VisionWorker(tmp_path / "index", tmp_path / "cache", "net", batch_size=2)
    vision.load()
    worker = vision.pid
    trouble.write_text("kill")
    answers = list(vision.ingest([request(key, path) for key, path in enumerate(paths)]))
    assert sorted(look.key for look in answers) == list(range(12))
    contents = [look.result.content for look in answers if isinstance(look.result, Traits)]
    assert len(contents) == 12
    assert None not in vision.cosines([(contents[0], each) for each in contents])
    assert vision.pid == worker is not None
    vision.rest()
    assert not trouble.exists()
    log = (tmp_path / "cache" / "vision-worker.log").read_text()
    assert "cpu crashed (SIGKILL): its work goes to 1 other card(s)" in log


@pytest.mark.usefixtures("trouble")
def test_the_processes_of_cards_end_with_the_worker() -> None:
    program = (
        "from pathlib import Path; from dedupd.adapters.vision.embedders.registry import load, parse\n"
        "print(*[card.process.pid for card in load(parse('net'), Path('/'))._cards._working], flush=True); input()"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    children = [os.pidfd_open(int(pid)) for pid in worker.stdout.readline().split()]
    assert len(children) == 2
    worker.kill()
    worker.communicate()
    try:
        for child in children:
            assert select.select([child], [], [], 5.0)[0]
    finally:
        for child in children:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(child, signal.SIGKILL)
            os.close(child)


class Processes:
    """Stands in for WorkerProcess: each process answers as it is told to, and what it was told first is noted."""

    def __init__(self, answer: Callable[[Any], Any]) -> None:
        self._answer = answer
        self.told: list[Any] = []
        self.killed: list[Any] = []

    def __call__(self, module: str, log_path: None) -> Any:
        said: list[Any] = []

        def send(message: Any) -> None:
            said.append(message)
            self.told.append(message)

        return SimpleNamespace(
            send=send, body=lambda seconds: msgspec.msgpack.encode(self._answer(said[-1])), alive=lambda: True,
            kill=lambda: self.killed.append(said[0]),
        )  # fmt: skip


def answering(decoded: list[np.ndarray]) -> Callable[[Any], Any]:
    """Ready at once; `decoded` is what cuda:0 makes of photos."""

    def answer(message: Any) -> Any:
        if isinstance(message, PrepareToEmbed):
            return CanEmbed(told="", at_once=1)
        shown = decoded if message.card == "cuda:0" else []
        return CanRead(decoded=[each.data for each in shown])

    return answer


def pool() -> readers.Readers:
    shape = registry.families()["lite0"].shape
    return readers.Readers(TinyEmbedder(), shape, "", set(), Room(1000), ["cuda:0", "cuda:1"])


def started(pool: readers.Readers, count: int) -> list[Any]:
    """So many processes that read, all of them busy."""
    return [pool._one() for _ in range(count)]


@pytest.mark.parametrize("fraction", [0.05, 0.9, 1.0])
def test_what_all_processes_are_told_to_take_of_a_card_is_no_more_than_allowed(
    monkeypatch: pytest.MonkeyPatch, fraction: float
) -> None:
    processes = Processes(answering([]))
    for module in (cards, readers):
        monkeypatch.setattr(module, "WorkerProcess", processes)
    accelerators.allow("all", fraction, decoding=True)
    embedding = cards.Cards(registry.parse("lite0"), Path("/"))
    embedding.start(["cuda:0", "cuda:1"])
    embedding.wait()
    started(pool(), 10)
    of: dict[str, list[float]] = {}
    for said in processes.told:
        of.setdefault(said.card, []).append(said.memory)
    assert {card: len(shares) for card, shares in of.items()} == {"cuda:0": 5, "cuda:1": 5, "": 2}
    assert all(sum(of[card]) <= fraction + 1e-9 and min(of[card]) > 0 for card in ("cuda:0", "cuda:1"))
    assert of[""] == [0.0, 0.0]


def test_a_card_that_decodes_as_the_processor_does_is_trusted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    processes = Processes(answering(card_jpeg.decode_made_up(mean_of_blocks)))
    monkeypatch.setattr(readers, "WorkerProcess", processes)
    assert all(started(pool(), 8))
    assert [said.card for said in processes.told] == ["cuda:0", "cuda:1"] * 4
    assert not processes.killed and not capsys.readouterr().err


@pytest.mark.parametrize("wrong", ["other pictures", "crash"])
def test_a_card_that_decodes_otherwise_is_told_once_and_the_processor_decodes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    usual = answering([each[::-1].copy() for each in card_jpeg.decode_made_up(mean_of_blocks)])

    def answer(message: Any) -> Any:
        if wrong == "crash" and message.card == "cuda:0":
            raise WorkerDied("crashed (SIGSEGV)")
        return usual(message)

    processes = Processes(answer)
    monkeypatch.setattr(readers, "WorkerProcess", processes)
    assert all(started(pool(), 8))
    assert [said.card for said in processes.killed] == ["cuda:0"]
    assert [said.card for said in processes.told] == ["cuda:0"] + ["cuda:1"] * 4 + [""] * 4
    why = "crashed (SIGSEGV)" if wrong == "crash" else "it decodes otherwise"
    assert capsys.readouterr().err == f"cuda:0 decodes no photos ({why}): the processor does\n"


def test_where_a_card_cannot_be_had_its_process_reads_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = save(tmp_path / "a.jpg", picture(1))
    file = messages.FileToRead(key=1, path=os.fsencode(path), stat=request(1, path).stat)
    reading = pool()
    found = reading.read(file, lambda content: False, lambda: None)
    reading.rest()
    assert found is not None and found.prepared is not None
    assert "cuda:0 decodes no photos (" in capfd.readouterr().err


def test_a_process_that_not_even_the_kernel_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that hangs in a driver."""
    monkeypatch.setattr(worker_process, "_LEAVE_SECONDS", 0.0)
    process = worker_process.WorkerProcess("dedupd.adapters.vision.card_process", None)
    usual, process._popen.kill = process._popen.kill, lambda: None
    process.kill()
    assert process.alive()
    usual()
    process._popen.wait()
