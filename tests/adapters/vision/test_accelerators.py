"""How much of the machine the worker may use: cards, their memory, threads. No card is needed, and none is used."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dedupd.adapters.vision import accelerators, worker
from dedupd.config import Places, Settings
from dedupd.library import Library
from tests.fakes.clock import FakeClock


class Cards:
    """torch with graphics cards."""

    def __init__(self, *, cuda: bool = True, mps: bool = False) -> None:
        self.limits: list[tuple[float, str]] = []
        self.used: list[str] = []
        self.cuda = SimpleNamespace(
            is_available=lambda: cuda, device_count=lambda: 2, set_device=self.used.append,
            set_per_process_memory_fraction=lambda share, device: self.limits.append((share, device)),
        )  # fmt: skip
        self.mps = SimpleNamespace(
            set_per_process_memory_fraction=lambda share: self.limits.append((share, "mps"))
        )
        self.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_allowed", dict(accelerators._allowed))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,2,5")


BOTH = ["cuda:0", "cuda:1"]


@pytest.mark.parametrize(
    ("gpus", "fraction", "torch", "devices", "visible"),
    [
        ("all", 1.0, Cards(), BOTH, "7,2,5"),
        ("2", 0.5, Cards(), BOTH, "7,2"),
        ("9", 0.9, Cards(), BOTH, "7,2,5"),
        ("0", 0.5, Cards(mps=True), [], ""),
        ("all", 0.5, Cards(cuda=False, mps=True), ["mps"], "7,2,5"),
        ("all", 1.0, Cards(cuda=False), [], "7,2,5"),
    ],
)
def test_no_more_cards_and_no_more_of_their_memory_than_allowed(
    gpus: str, fraction: float, torch: Any, devices: list[str], visible: str
) -> None:
    accelerators.allow(gpus, fraction)
    assert accelerators.torch_cards(torch) == devices
    assert (torch.limits, torch.used) == ([], []), "who counts the cards uses none"
    for device in devices:
        accelerators.take(torch, device)
    assert torch.limits == [(fraction, device) for device in devices]
    assert torch.used == [device for device in devices if device != "mps"]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.9, 1.0])
def test_all_processes_on_a_card_take_no_more_than_is_allowed(fraction: float) -> None:
    accelerators.allow("all", fraction, decoding=True)
    decoding = accelerators.DECODERS * accelerators.share_to_decode()
    assert accelerators.share_to_embed() + decoding == pytest.approx(fraction)
    assert accelerators.share_to_embed() == pytest.approx(decoding)
    accelerators.allow("all", fraction)
    assert (accelerators.share_to_embed(), accelerators.share_to_decode()) == (fraction, 0)


def test_onnx_runtime_takes_no_more_of_the_smallest_card_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "_cards_of_nvidia", lambda: 2)
    runtime: Any = SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider"])
    monkeypatch.setenv("PATH", str(tmp_path))
    accelerators.allow("all", 0.5)
    cards = accelerators.onnx_cards(runtime)
    assert cards == ["CUDAExecutionProvider:0", "CUDAExecutionProvider:1"]
    assert "gpu_mem_limit" not in accelerators.onnx_provider(cards[1])[1]
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 81559\necho 24576\n")
    program.chmod(0o755)
    name, options = accelerators.onnx_provider(cards[1])
    assert (name, options["device_id"]) == ("CUDAExecutionProvider", "1")
    assert options["gpu_mem_limit"] == str(12 << 30)
    program.write_text("#!/bin/sh\necho no devices were found\n")
    assert "gpu_mem_limit" not in accelerators.onnx_provider(cards[1])[1]
    assert accelerators.onnx_provider("CoreMLExecutionProvider") == ("CoreMLExecutionProvider", {})


def test_the_first_cards_where_none_were_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    accelerators.allow("2", 1.0)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_as_many_threads_as_asked_for_but_no_more_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[int] = []
    monkeypatch.setattr(resource, "setrlimit", lambda which, limit: limits.append(limit[0]))
    monkeypatch.setattr(worker, "usable_cores", lambda: 16)
    assert [worker._thread_count(asked) for asked in (0, 1, 4, 8, 64)] == [4, 1, 4, 8, 16]
    assert limits == [2 * worker._MEMORY_LIMIT, 4 * worker._MEMORY_LIMIT], "each has room for a large picture"


def test_the_worker_is_told_what_the_settings_say(tmp_path: Path) -> None:
    where = Places(state=tmp_path / "state", config=tmp_path / "c.toml", socket=tmp_path / "s.sock")
    settings = Settings(embedder="hashes", jobs=3, gpus="0", gpu_memory_fraction=0.5)
    library = Library(settings, where, clock=FakeClock())
    told: Any = library.vision
    configured = told._configure
    assert (configured.jobs, configured.gpus, configured.gpu_memory_fraction) == (3, "0", 0.5)
    library.close()


def test_doctor_is_told_cards_numbers_attention_and_that_none_was_measured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch: Any = Cards()
    torch.__version__, torch.version = "2.13.0+cu130", SimpleNamespace(hip=None)
    torch.bfloat16, torch.float16, torch.float32 = "torch.bfloat16", "torch.float16", "torch.float32"
    torch.cuda.get_device_name = lambda device: "NVIDIA H100"
    torch.cuda.get_device_capability = lambda device: (9, 0) if device == "cuda:0" else (7, 5)
    torch.backends.cuda = SimpleNamespace(
        is_flash_attention_available=lambda: True, flash_sdp_enabled=lambda: True
    )
    runtime = SimpleNamespace(
        __version__="1.31.1", get_available_providers=lambda: ["CoreMLExecutionProvider"]
    )
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    accelerators.allow("all", 0.9)
    told = (
        "torch 2.13.0+cu130 on cuda:0 NVIDIA H100 (bfloat16, flash attention), cuda:1 NVIDIA H100 (float16, sdpa); "
        "ONNX Runtime 1.31.1 on CoreMLExecutionProvider; 90% of a card's memory; not measured on a card"
    )
    assert accelerators.told() == told

    def limit(share: float, device: str) -> None:
        if device == "cuda:0":
            raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nand much more")

    torch.cuda.set_per_process_memory_fraction = limit
    assert accelerators.told() == told.replace("cuda:0 NVIDIA H100 (bfloat16, flash attention), ", "")
    said = "cuda:0 is not used (CUDA error: all CUDA-capable devices are busy or unavailable)\n"
    assert capsys.readouterr().err == said
