"""Every test has an empty home, no developer's settings, and nothing of the machine's own dedupd."""

from __future__ import annotations

import fcntl
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.shelf import Shelf

# A busy machine is not a failing test, and the same commit gives the same answer everywhere;
# HYPOTHESIS_PROFILE=explore looks for new ways to fail.
settings.register_profile("dedupd", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dedupd"))

_OURS = ("DEDUPD_", "XDG_", "NOTIFY_SOCKET", "WATCHDOG_", "HF_", "TORCH_HOME")

# All that is imported stays until the end: nothing of it is garbage, and nobody need look for some meanwhile.
gc.disable()


def pytest_collection_finish() -> None:
    """Nor afterwards: not at each collection, and not in a fork, which would copy what it looks at."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: object) -> str | None:
    """Tests are called by a part of what they are given: half a megabyte of it goes to every process, and back."""
    return ascii(val[:40]) if isinstance(val, str | bytes) and len(val) > 100 else None


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty HOME with its own XDG folders; the runtime folder is private, as a login makes it."""
    folder = tmp_path_factory.mktemp(f"home-{uuid4().hex[:8]}", numbered=False)
    (folder / "run").mkdir(mode=0o700)
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "run"))
    # No test may wait for a network.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return folder


@pytest.fixture
def photo(tmp_path: Path) -> Callable[..., Path]:
    """photo("2024/06/a.jpg", seed=1, size=(640, 480), taken=..., camera=..., quality=...): a picture on disk."""
    # Pillow and numpy cost 150 ms: only tests with pictures pay it.
    from tests.support.pictures import picture, save

    def make(name: str, seed: int = 1, size: tuple[int, int] = (640, 480), **exif: object) -> Path:
        return save(tmp_path / name, picture(seed, size), **exif)  # pyright: ignore[reportArgumentType]

    return make


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    """A root with a few photos of two months, three of them copies of one (support.pictures.small_gallery)."""
    from tests.support.pictures import small_gallery

    return small_gallery(tmp_path / "Pictures")


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    """An empty library of pseudo-photos (support.shelf)."""
    from tests.support.shelf import Shelf

    opened = Shelf(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def fitting_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that import open_clip, here or in a worker, where torch and torchvision are of different builds."""
    from tests.support import torchvision_ops

    if torchvision_ops.mismatched():
        torchvision_ops.declare()
        monkeypatch.setenv(
            "PYTHONPATH", str(torchvision_ops.site(tmp_path / "torchvision-site")), prepend=os.pathsep
        )


@pytest.fixture(scope="session")
def lite0_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged model as its ONNX graph: converted once a run, by whichever process of xdist asks first."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "lite0"
    folder.mkdir(exist_ok=True)
    with (shared / "lite0.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not any(folder.iterdir()):
            convert = [sys.executable, "-m", "dedupd.adapters.vision.engines.lite0_graph", str(folder)]
            subprocess.run(convert, cwd=Path(__file__).parents[1], check=True)
    (graph,) = folder.iterdir()
    return graph
