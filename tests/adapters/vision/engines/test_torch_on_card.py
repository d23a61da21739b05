"""torch on a graphics card, as far as can be tested without one: torch on the processor, and a device that misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dedupd.adapters.vision import accelerators
from dedupd.adapters.vision.embedders.base import Model
from dedupd.adapters.vision.engines import torch_engine
from dedupd.adapters.vision.engines.torch_engine import network_on_card

MODEL = Model(id="tiny", family="timm", name="tiny")
GIB = 1 << 30


class Machine:
    """What torch says of its card, and what becomes of a batch on it."""

    def __init__(self, *, capability: tuple[int, int] = (9, 0), each: int = GIB) -> None:
        self.used: list[str] = []
        self.seen: list[tuple[str, int]] = []
        """Device and pictures of each batch that went through."""
        self.trouble: Callable[[str, int], None] = lambda device, pictures: None
        self.capability, self._each, self._peak = capability, each, 0
        self.fractions: dict[str, float] = {}

    def torch(self) -> Any:
        """torch, whose tensors and networks stay on the processor wherever they are sent."""
        cuda = SimpleNamespace(
            set_device=self.used.append,
            set_per_process_memory_fraction=lambda share, device: self.fractions.update({device: share}),
            get_device_capability=lambda device: self.capability, mem_get_info=lambda device: (80 * GIB, 80 * GIB),
            memory_allocated=lambda device: 0, max_memory_allocated=lambda device: self._peak,
            reset_peak_memory_stats=lambda device: None, empty_cache=lambda: None,
        )  # fmt: skip
        return SimpleNamespace(
            cuda=cuda, version=SimpleNamespace(hip=None), float32=torch.float32, float16=torch.float16, bfloat16=torch.bfloat16,
            OutOfMemoryError=torch.OutOfMemoryError, inference_mode=torch.inference_mode,
            from_numpy=lambda array: _Sent(torch.from_numpy(array)),
        )  # fmt: skip

    def features(self, network: Any, pixels: Any) -> Any:
        device, count = network.device, len(pixels)
        self._peak = count * self._each
        self.trouble(device, count)
        self.seen.append((device, count))
        return pixels.float().reshape(count, -1)[:, :4] * 2 + network.offset

    def network(self, monkeypatch: pytest.MonkeyPatch, card: str = "cuda:0") -> Any:
        made = self.torch()
        monkeypatch.setattr(torch_engine, "loaded", lambda model, load: (made, _Network(), _tensor, 2))
        return network_on_card(MODEL, lambda model: (_Network(), None, 2), self.features, card)


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


@pytest.fixture
def batch() -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, (64, 3, 2, 2)).astype(np.float32)


def expected(batch: np.ndarray) -> np.ndarray:
    rows = batch.reshape(len(batch), -1)[:, :4]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_a_batch_is_as_large_as_the_allowed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(each=GIB)
    network = machine.network(monkeypatch, "cuda:1")
    assert (machine.used, machine.fractions) == (["cuda:1"], {"cuda:1": 0.9})
    assert {device for device, _ in machine.seen} == {"cuda:1"}
    assert network.at_once == 32, "of 0.9 x 80 GiB four fifths, in powers of two"
    assert network.told == "bfloat16 on cuda:1"
    assert Machine(each=1 << 20).network(monkeypatch).at_once == 256
    assert Machine(each=200 * GIB).network(monkeypatch).at_once == 1
    monkeypatch.setitem(accelerators._allowed, "memory", 0.1)
    assert Machine(each=GIB).network(monkeypatch).at_once == 4


def test_what_does_not_fit_is_halved_and_gives_the_same_vectors(
    monkeypatch: pytest.MonkeyPatch, batch: np.ndarray
) -> None:
    machine = Machine(each=GIB, capability=(6, 1))
    network = machine.network(monkeypatch)

    def full(device: str, pictures: int) -> None:
        if pictures > 9:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    machine.trouble, machine.seen = full, []
    assert np.allclose(network.run(batch), expected(batch), atol=1e-6)
    assert machine.seen == [("cuda:0", 8)] * 8
    machine.seen = []
    network.run(batch[:16])
    assert machine.seen == [("cuda:0", 8)] * 2, "not tried again and again"


def test_a_picture_that_does_not_fit_and_what_a_driver_says_is_raised(
    monkeypatch: pytest.MonkeyPatch, batch: np.ndarray
) -> None:
    machine = Machine(capability=(6, 1))
    network = machine.network(monkeypatch)

    def full(device: str, pictures: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    machine.trouble = full
    with pytest.raises(torch.OutOfMemoryError):
        network.run(batch)

    def fail(device: str, pictures: int) -> None:
        raise RuntimeError("no kernel image is available for execution on the device")

    machine.trouble = fail
    with pytest.raises(RuntimeError, match="no kernel image"):
        machine.network(monkeypatch)


@pytest.mark.parametrize(
    ("capability", "numbers"), [((9, 0), "bfloat16"), ((7, 5), "float16"), ((6, 1), "float32")]
)
def test_numbers_are_those_that_the_card_multiplies(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], numbers: str
) -> None:
    assert Machine(capability=capability).network(monkeypatch).told == f"{numbers} on cuda:0"


def test_short_numbers_that_give_other_vectors_are_not_used(
    monkeypatch: pytest.MonkeyPatch, batch: np.ndarray
) -> None:
    machine = Machine()
    usual = machine.features

    def odd(network: Any, pixels: Any) -> Any:
        found = usual(network, pixels)
        return found if pixels.dtype == torch.float32 else found * torch.tensor([1.0, 1.0, 1.0, float("nan")])

    monkeypatch.setattr(machine, "features", odd)
    network = machine.network(monkeypatch)
    assert network.told == "float32 on cuda:0"
    assert np.allclose(network.run(batch), expected(batch), atol=1e-6)
