"""ONNX Runtime's providers beside the processor, as far as can be tested without a card: fakes of its sessions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dedupd.adapters.vision import accelerators
from dedupd.adapters.vision.engines import onnx_engine
from dedupd.adapters.vision.engines.onnx_engine import OnnxOnCard

PICTURES = np.random.default_rng(0).integers(0, 255, (5, 4, 4, 3), dtype=np.uint8)


def seen(batch: np.ndarray) -> np.ndarray:
    return batch.reshape(len(batch), -1).astype(np.float32)


class Runtime:
    """ONNX Runtime with some providers."""

    def __init__(self, *offered: str) -> None:
        self.offered = offered
        self.starts: Callable[[str], bool] = lambda name: True
        self.sees: Callable[[str, np.ndarray], np.ndarray] = lambda where, batch: seen(batch)
        self.ran: list[str] = []

    def get_available_providers(self) -> list[str]:
        return [*self.offered, "CPUExecutionProvider"]

    def SessionOptions(self) -> Any:
        return SimpleNamespace(add_session_config_entry=lambda name, value: None)

    def InferenceSession(self, graph: str, options: Any, providers: list[Any]) -> Any:
        name, settings = (providers[0], {}) if isinstance(providers[0], str) else providers[0]
        where = f"{name[:4]}{settings.get('device_id', '')}"

        def run(outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            self.ran.append(where)
            return [self.sees(where, inputs["pictures"])]

        started = [name] if self.starts(name) else []
        return SimpleNamespace(run=run, get_providers=lambda: [*started, "CPUExecutionProvider"])


@pytest.fixture
def on_card(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runtime, str], OnnxOnCard]:
    monkeypatch.setattr(accelerators, "_memory_of_nvidia", list)

    def make(runtime: Runtime, card: str) -> OnnxOnCard:
        monkeypatch.setattr(onnx_engine, "_engine", lambda: runtime)
        found = OnnxOnCard(Path("graph.onnx"), card, PICTURES)
        runtime.ran.clear()
        return found

    return make


CUDA, COREML = "CUDAExecutionProvider:1", "CoreMLExecutionProvider"
OnCard = Callable[[Runtime, str], OnnxOnCard]


@pytest.mark.parametrize(("card", "where"), [(CUDA, "CUDA1"), (COREML, "Core")])
def test_it_computes_on_its_card_alone(on_card: OnCard, card: str, where: str) -> None:
    runtime = Runtime()
    made = on_card(runtime, card)
    assert (made.told, made.at_once) == (card, 32)
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    assert runtime.ran == [where]


@pytest.mark.parametrize("card", [CUDA, COREML])
def test_a_provider_that_does_not_start_is_not_used(on_card: OnCard, card: str) -> None:
    runtime = Runtime()
    runtime.starts = lambda name: name == "CPUExecutionProvider"
    with pytest.raises(RuntimeError, match="its libraries do not load"):
        on_card(runtime, card)


@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_a_provider_that_sees_otherwise_is_not_used(on_card: OnCard, wrong: float) -> None:
    runtime = Runtime()
    runtime.sees = lambda where, batch: seen(batch) if where == "CPUE" else seen(batch) * wrong
    with pytest.raises(RuntimeError, match="it gives other vectors"):
        on_card(runtime, COREML)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA failure 2: out of memory",
        "Failed to allocate memory for requested buffer",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ],
)
def test_what_does_not_fit_is_halved_and_so_are_later_ones(on_card: OnCard, words: str) -> None:
    runtime = Runtime()
    made, sizes = on_card(runtime, CUDA), list[int]()

    def sees(where: str, batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError(words)
        return seen(batch)

    runtime.sees = sees
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    assert sizes == [5, 2, 2, 1] and made.at_once == 2
    sizes.clear()
    made.run(PICTURES)
    assert sizes == [2, 2, 1]


@pytest.mark.parametrize("words", ["out of memory", "CUDA failure 700: an illegal memory access"])
def test_a_picture_that_does_not_fit_and_what_a_driver_says_is_raised(on_card: OnCard, words: str) -> None:
    runtime = Runtime()
    made = on_card(runtime, CUDA)

    def sees(where: str, batch: np.ndarray) -> np.ndarray:
        raise RuntimeError(words)

    runtime.sees = sees
    with pytest.raises(RuntimeError, match=words):
        made.run(PICTURES)


def test_none_is_tried_where_none_is_allowed_or_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_cards_of_nvidia", lambda: 2)
    monkeypatch.setattr(accelerators, "_allowed", {"gpus": "all", "memory": 0.9})

    def offered(*names: str) -> list[str]:
        monkeypatch.setattr(onnx_engine, "_engine", lambda: Runtime(*names))
        return onnx_engine.cards_of_onnx()

    assert offered() == offered("TensorrtExecutionProvider") == []
    assert offered("CoreMLExecutionProvider") == [COREML]
    assert offered("TensorrtExecutionProvider", "CUDAExecutionProvider") == [
        f"{CUDA[:-1]}{n}" for n in (0, 1)
    ]
    monkeypatch.setattr(accelerators, "_allowed", {"gpus": "0", "memory": 0.9})
    assert offered("CUDAExecutionProvider") == []


def test_no_more_of_nvidias_cards_than_are_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert accelerators._cards_of_nvidia(tmp_path) == 3
    for visible, count in (("0,2", 2), ("", 0), ("0,1,2,3", 3)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert accelerators._cards_of_nvidia(tmp_path) == count
