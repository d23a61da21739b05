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
from dedupd.adapters.vision.engines.onnx_engine import OnnxCards

PICTURES = np.random.default_rng(0).integers(0, 255, (5, 4, 4, 3), dtype=np.uint8)


def seen(batch: np.ndarray) -> np.ndarray:
    return batch.reshape(len(batch), -1).astype(np.float32)


class Runtime:
    """ONNX Runtime with some providers."""

    def __init__(self, *offered: str, cards: int = 1) -> None:
        self.offered, self.cards = offered, cards
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
def cards(monkeypatch: pytest.MonkeyPatch) -> Callable[[Runtime], OnnxCards]:
    monkeypatch.setattr(accelerators, "_allowed", {"gpus": "all", "memory": 0.9})

    def make(runtime: Runtime) -> OnnxCards:
        monkeypatch.setattr(onnx_engine, "_engine", lambda: runtime)
        monkeypatch.setattr(accelerators, "_cards_of_nvidia", lambda: runtime.cards)
        found = OnnxCards(Path("graph.onnx"), lambda: PICTURES)
        runtime.ran.clear()
        return found

    return make


def test_without_a_card_no_pictures_are_made_to_try_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_engine, "_engine", Runtime)
    made: list[object] = []
    assert OnnxCards(Path("graph.onnx"), lambda: made.append(0) or PICTURES).lanes == 0
    assert not made


def test_each_card_has_a_session_and_a_batch_goes_to_one_that_is_idle(
    cards: Callable[[Runtime], OnnxCards],
) -> None:
    runtime = Runtime("TensorrtExecutionProvider", "CUDAExecutionProvider", cards=2)
    made = cards(runtime)
    assert (made.lanes, made.names) == (2, ["CUDAExecutionProvider:0", "CUDAExecutionProvider:1"])
    assert "not measured on a card" in made.note
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    made.run(PICTURES)
    assert runtime.ran == ["CUDA0", "CUDA1"]


@pytest.mark.parametrize("offered", ["CUDAExecutionProvider", "CoreMLExecutionProvider"])
def test_a_provider_that_does_not_start_costs_one_sentence(
    cards: Callable[[Runtime], OnnxCards], capsys: pytest.CaptureFixture[str], offered: str
) -> None:
    runtime = Runtime(offered)
    runtime.starts = lambda name: name == "CPUExecutionProvider"
    assert cards(runtime).lanes == 0
    assert capsys.readouterr().err == (
        f"ONNX Runtime's {offered} is not used (its libraries do not load): the processor sees\n"
    )


def test_a_provider_that_sees_otherwise_is_not_used(
    cards: Callable[[Runtime], OnnxCards], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = Runtime("CoreMLExecutionProvider")
    runtime.sees = lambda where, batch: seen(batch) if where == "CPUE" else seen(batch)[:, ::-1]
    assert cards(runtime).lanes == 0
    assert "it gives other vectors" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        "CUDA failure 2: out of memory",
        "Failed to allocate memory for requested buffer",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ],
)
def test_what_does_not_fit_is_halved_and_so_are_later_ones(
    cards: Callable[[Runtime], OnnxCards], capsys: pytest.CaptureFixture[str], words: str
) -> None:
    runtime = Runtime("CUDAExecutionProvider")
    made, sizes = cards(runtime), list[int]()

    def sees(where: str, batch: np.ndarray) -> np.ndarray:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise RuntimeError(words)
        return seen(batch)

    runtime.sees = sees
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    assert sizes == [5, 2, 2, 1] and made.batch == 2
    sizes.clear()
    made.run(PICTURES)
    assert sizes == [2, 2, 1] and not capsys.readouterr().err


def test_a_picture_that_fits_on_no_card_is_seen_by_the_processor(
    cards: Callable[[Runtime], OnnxCards], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = Runtime("CUDAExecutionProvider")
    made = cards(runtime)

    def sees(where: str, batch: np.ndarray) -> np.ndarray:
        if where == "CUDA0":
            raise RuntimeError("out of memory")
        return seen(batch)

    runtime.sees = sees
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    assert "its work goes to the processor" in capsys.readouterr().err


def test_a_card_that_fails_later_gives_its_work_to_the_others_and_the_last_to_the_processor(
    cards: Callable[[Runtime], OnnxCards], capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = Runtime("CUDAExecutionProvider", cards=2)
    made, broken = cards(runtime), {"CUDA0"}

    def sees(where: str, batch: np.ndarray) -> np.ndarray:
        if where in broken:
            raise RuntimeError("CUDA failure 700: an illegal memory access was encountered\nmore")
        return seen(batch)

    runtime.sees = sees
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    broken.add("CUDA1")
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    assert np.array_equal(made.run(PICTURES), seen(PICTURES))
    assert runtime.ran[-1] == "CPUE"
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "its work goes to 1 other(s)", "its work goes to the processor",
    ]  # fmt: skip


def test_none_is_tried_where_none_is_allowed_or_offered(
    cards: Callable[[Runtime], OnnxCards], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cards(Runtime()).lanes == 0
    monkeypatch.setattr(accelerators, "_allowed", {"gpus": "0", "memory": 0.9})
    assert cards(Runtime("CUDAExecutionProvider")).lanes == 0


def test_no_more_of_nvidias_cards_than_are_visible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nvidia0", "nvidia1", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / name).touch()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert accelerators._cards_of_nvidia(tmp_path) == 3
    for visible, count in (("0,2", 2), ("", 0), ("0,1,2,3", 3)):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        assert accelerators._cards_of_nvidia(tmp_path) == count
