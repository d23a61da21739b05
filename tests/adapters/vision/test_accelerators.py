"""How much of the machine the worker may use: cards, their memory, threads. No card is needed, and none is used."""

from __future__ import annotations

import os
import resource
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
        self.limits: list[float] = []
        self.cuda = SimpleNamespace(
            is_available=lambda: cuda, set_per_process_memory_fraction=self.limits.append
        )
        self.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: mps))


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "_allowed", dict(accelerators._allowed))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7,2,5")


@pytest.mark.parametrize(
    ("gpus", "fraction", "torch", "device", "limits", "visible"),
    [
        ("all", 1.0, Cards(), "cuda", [], "7,2,5"),
        ("2", 0.5, Cards(), "cuda", [0.5], "7,2"),
        ("9", 1.0, Cards(), "cuda", [], "7,2,5"),
        ("0", 0.5, Cards(mps=True), "cpu", [], ""),
        ("all", 0.5, Cards(cuda=False, mps=True), "mps", [], "7,2,5"),
        ("all", 1.0, Cards(cuda=False), "cpu", [], "7,2,5"),
    ],
)
def test_no_more_cards_and_no_more_of_their_memory_than_allowed(
    gpus: str, fraction: float, torch: Any, device: str, limits: list[float], visible: str
) -> None:
    accelerators.allow(gpus, fraction)
    assert (accelerators.best_device(torch), torch.limits) == (device, limits)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == visible


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
