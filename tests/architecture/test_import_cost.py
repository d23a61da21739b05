"""What a light process has in memory, asked of a fresh interpreter: the static contracts cannot see run time."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {
    "PIL", "cv2", "imagehash", "lancedb", "numpy", "onnx", "onnxruntime", "open_clip", "pillow_heif", "pyarrow", "scipy",
    "torch", "torchvision",
}  # fmt: skip
REPOSITORY = Path(__file__).parents[2]


def loaded_by(code: str) -> set[str]:
    """The top-level modules in memory after `code`."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=REPOSITORY, timeout=60
    )
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "module",
    ["dedupd", "dedupd.library", "dedupd.client.connection", "dedupd.daemon.life", "dedupd.tui.app", "dedupd.cli.main",
     "dedupd.cli.run", "dedupd.cli.scan", "dedupd.adapters.vision.client"],
)  # fmt: skip
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.fail(f"{module} is gone: name what took its place")
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_help_costs_no_more_than_the_standard_library_and_rich() -> None:
    code = "from dedupd.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_by(code) & (HEAVY | {"apscheduler", "msgspec", "sqlite3", "textual", "watchdog"}) == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_by("import numpy")
