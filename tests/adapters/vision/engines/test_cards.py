"""Several graphics cards, as far as can be tested without one: torch on the processor, and devices that misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dedupd.adapters.vision import accelerators
from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.engines import torch_engine
from dedupd.adapters.vision.engines.torch_engine import TorchEmbedder
from dedupd.errors import VisionError

MODEL = Model(id="tiny", family="timm", name="tiny")
GIB = 1 << 30


class Machine:
    """What torch says of its cards, and what becomes of a batch on each."""

    def __init__(self, cards: int, *, capability: tuple[int, int] = (9, 0), each: int = GIB) -> None:
        self.names = [f"cuda:{number}" for number in range(cards)]
        self.seen: list[tuple[str, int]] = []
        """Device and pictures of each batch that went through."""
        self.trouble: Callable[[str, int], None] = lambda device, pictures: None
        self.capability, self._each, self._peak = capability, each, 0
        self.fractions: dict[str, float] = {}

    def torch(self) -> Any:
        """torch, whose tensors and networks stay on the processor wherever they are sent."""
        cuda = SimpleNamespace(
            is_available=lambda: bool(self.names), device_count=lambda: len(self.names),
            set_per_process_memory_fraction=lambda share, device: self.fractions.update({device: share}),
            get_device_capability=lambda device: self.capability, mem_get_info=lambda device: (80 * GIB, 80 * GIB),
            memory_allocated=lambda device: 0, max_memory_allocated=lambda device: self._peak,
            reset_peak_memory_stats=lambda device: None, empty_cache=lambda: None,
        )  # fmt: skip
        return SimpleNamespace(
            cuda=cuda, backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False)),
            version=SimpleNamespace(hip=None), float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16,
            OutOfMemoryError=torch.OutOfMemoryError, inference_mode=torch.inference_mode,
            from_numpy=lambda array: _Sent(torch.from_numpy(array)),
        )  # fmt: skip

    def features(self, network: Any, pixels: Any) -> Any:
        device, count = network.device, len(pixels)
        self._peak = count * self._each
        self.trouble(device, count)
        self.seen.append((device, count))
        return pixels.float().reshape(count, -1)[:, :4] * 2 + network.offset

    def embedder(self, monkeypatch: pytest.MonkeyPatch) -> TorchEmbedder:
        made = self.torch()
        monkeypatch.setattr(torch_engine, "loaded", lambda model, load: (made, _Network(), _tensor, 2))
        monkeypatch.setattr(torch_engine, "_raise_memory_limit", lambda limit: None)
        return TorchEmbedder(MODEL, lambda model: (None, None, 2), self.features)


class _Sent:
    def __init__(self, tensor: Any) -> None:
        self._tensor = tensor

    def to(self, device: str, numbers: Any) -> Any:
        return self._tensor.to(numbers)


class _Network:
    device, offset = "cpu", 0.0

    def eval(self) -> _Network:
        return self

    def to(self, device: str, numbers: Any) -> _Network:
        self.device = device
        return self


def _tensor(image: Image.Image) -> Any:
    return torch.from_numpy(np.asarray(image, np.float32).transpose(2, 0, 1).copy())


@pytest.fixture(scope="module", autouse=True)
def the_real_torch() -> None:
    """Imported by who runs these, not by all who collect them."""
    global torch
    torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_allowed", {"gpus": "all", "memory": 0.9})
    monkeypatch.setattr(accelerators, "cpu_has_bfloat16", lambda: False)


@pytest.fixture
def batch() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (64, 3, 2, 2)).astype(np.float32)


def expected(batch: np.ndarray) -> np.ndarray:
    rows = batch.reshape(len(batch), -1)[:, :4]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_batch_is_as_large_as_the_allowed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(2, each=GIB)
    embedder = machine.embedder(monkeypatch)
    assert machine.fractions == {"cuda:0": 0.9, "cuda:1": 0.9}
    assert (embedder.lanes, embedder.batch) == (2, 32), "of 0.9 x 80 GiB four fifths, in powers of two"
    assert Machine(1, each=1 << 20).embedder(monkeypatch).batch == 256
    assert Machine(1, each=200 * GIB).embedder(monkeypatch).batch == 1
    assert embedder.note == "torch bfloat16 on cuda:0, bfloat16 on cuda:1"


def test_what_does_not_fit_is_halved_and_gives_the_same_vectors(
    monkeypatch: pytest.MonkeyPatch, batch: np.ndarray
) -> None:
    machine = Machine(1, each=GIB, capability=(6, 1))
    embedder = machine.embedder(monkeypatch)

    def full(device: str, pictures: int) -> None:
        if pictures > 9:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    machine.trouble, machine.seen = full, []
    assert np.allclose(embedder.embed(batch), expected(batch), atol=1e-6)
    assert machine.seen == [("cuda:0", 8)] * 8
    machine.seen = []
    embedder.embed(batch[:16])
    assert machine.seen == [("cuda:0", 8)] * 2, "not tried again and again"


def test_a_card_that_fails_gives_its_work_to_the_others_and_the_last_to_the_processor(
    monkeypatch: pytest.MonkeyPatch, batch: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(2, capability=(6, 1))
    embedder = machine.embedder(monkeypatch)
    broken = {"cuda:0"}

    def fail(device: str, pictures: int) -> None:
        if device in broken:
            raise RuntimeError("CUDA error: unspecified launch failure\nmore of it")

    machine.trouble, machine.seen = fail, []
    with ThreadPoolExecutor(2) as threads:
        rows = list(threads.map(embedder.embed, [batch[at : at + 4] for at in range(0, 64, 4)]))
    assert np.allclose(np.concatenate(rows), expected(batch), atol=1e-6)
    assert {device for device, _ in machine.seen} == {"cuda:1"}
    broken.add("cuda:1")
    machine.seen = []
    with ThreadPoolExecutor(2) as threads:
        rows = list(threads.map(embedder.embed, [batch[at : at + 4] for at in range(0, 64, 4)]))
    assert np.allclose(np.concatenate(rows), expected(batch), atol=1e-6)
    assert {device for device, _ in machine.seen} == {"cpu"}
    assert capsys.readouterr().err.splitlines() == [
        "cuda:0 failed (RuntimeError: CUDA error: unspecified launch failure): its work goes to 1 other card(s)",
        "cuda:1 failed (RuntimeError: CUDA error: unspecified launch failure): its work goes to the processor",
    ]
    assert embedder.note == "torch float32 on cpu: every card failed"


def test_a_picture_that_fits_on_no_card_is_seen_by_the_processor(
    monkeypatch: pytest.MonkeyPatch, batch: np.ndarray
) -> None:
    machine = Machine(1, capability=(6, 1))
    embedder = machine.embedder(monkeypatch)

    def full(device: str, pictures: int) -> None:
        if device != "cpu" or machine.names == ["none"]:
            raise torch.OutOfMemoryError("CUDA out of memory")

    machine.trouble = full
    assert np.allclose(embedder.embed(batch), expected(batch), atol=1e-6)
    machine.names = ["none"]
    with pytest.raises(VisionError, match="choose a smaller one"):
        embedder.embed(batch)


def test_a_card_that_fails_at_once_is_not_used(monkeypatch: pytest.MonkeyPatch, batch: np.ndarray) -> None:
    machine = Machine(2, capability=(6, 1))

    def fail(device: str, pictures: int) -> None:
        if device == "cuda:0":
            raise RuntimeError("no kernel image is available for execution on the device")

    machine.trouble = fail
    embedder = machine.embedder(monkeypatch)
    assert (embedder.lanes, embedder.note) == (1, "torch float32 on cuda:1")


def test_two_cards_work_at_the_same_time(monkeypatch: pytest.MonkeyPatch, batch: np.ndarray) -> None:
    machine = Machine(2)
    embedder = machine.embedder(monkeypatch)
    both = threading.Barrier(2, timeout=10)
    machine.trouble = lambda device, pictures: both.wait() and None
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(embedder.embed, [batch[:4], batch[4:8]]))
    assert not both.broken


@pytest.mark.parametrize(
    ("capability", "numbers"), [((9, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")]
)
def test_numbers_are_those_that_the_card_multiplies(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], numbers: str
) -> None:
    embedder = Machine(1, capability=capability).embedder(monkeypatch)
    assert embedder.note == f"torch {numbers} on cuda:0"


def test_short_numbers_that_give_other_vectors_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(1)
    usual = machine.features

    def odd(network: Any, pixels: Any) -> Any:
        found = usual(network, pixels)
        return found if pixels.dtype == torch.float32 else found * torch.tensor([1.0, 1.0, 1.0, float("nan")])

    monkeypatch.setattr(machine, "features", odd)
    assert machine.embedder(monkeypatch).note == "torch float32 on cuda:0"


def test_without_a_card_the_processor_sees(monkeypatch: pytest.MonkeyPatch, batch: np.ndarray) -> None:
    embedder = Machine(0).embedder(monkeypatch)
    assert (embedder.batch, embedder.lanes, embedder.note) == (0, 0, "torch float32 on cpu")
    assert np.allclose(embedder.embed(batch), expected(batch), atol=1e-6)
