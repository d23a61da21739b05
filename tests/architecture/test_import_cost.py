"""What a light process has in memory, asked of a fresh interpreter: the static contracts cannot see run time."""

from __future__ import annotations

import ast
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
     "dedupd.cli.commands.run", "dedupd.cli.commands.scan", "dedupd.adapters.vision.client", "dedupd.web.serve"],
)  # fmt: skip
def test_a_light_module_loads_nothing_heavy(module: str) -> None:
    if importlib.util.find_spec(module) is None:
        pytest.fail(f"{module} is gone: name what took its place")
    assert loaded_by(f"import {module}") & HEAVY == set()


def imported_by(folder: Path) -> set[str]:
    """The modules of dedupd that the files of a folder name in any import, within functions too."""
    nodes = [node for path in folder.glob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    return {
        node.module or ""
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dedupd.")
    }


def test_what_commands_load_when_they_run_is_not_heavy() -> None:
    """They import within their functions: importing a command shows nothing of it."""
    modules = imported_by(REPOSITORY / "dedupd/cli/commands")
    assert {"dedupd.library", "dedupd.daemon.life"} < modules
    assert loaded_by("\n".join(f"import {name}" for name in sorted(modules))) & HEAVY == set()


def test_of_dedupd_itself_help_loads_the_commands_alone() -> None:
    """More is paid for at each start; errors and version are files of names."""
    code = "import sys\nfrom dedupd.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    ours = "names = [m for m in sys.modules if m.startswith('dedupd.') and not m.startswith('dedupd.cli')]"
    script = f"{code}\n{ours}\nprint(*names)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=REPOSITORY, timeout=60
    )
    assert set(done.stdout.splitlines()[-1].split()) == {"dedupd.errors", "dedupd.version"}


def test_help_costs_no_more_than_the_standard_library_and_rich() -> None:
    code = "from dedupd.cli.main import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass"
    assert loaded_by(code) & (HEAVY | {"apscheduler", "msgspec", "sqlite3", "textual", "watchdog"}) == set()


def test_a_worker_loads_nothing_that_a_first_photo_does_not_need() -> None:
    """Neither scipy, nor a client for the hub when there is no cache of it, nor what walks the roots."""
    code = """
import os
os.environ["HF_HUB_CACHE"] = "/there-is-none"
import numpy as np
from PIL import Image
from dedupd.adapters.vision import indexing, proof, worker
from dedupd.adapters.vision.candidates import search
from dedupd.adapters.vision.embedders.registry import choose, settle
from dedupd.adapters.vision.engines import lite0_graph
from dedupd.adapters.vision.hashes import phashes
from dedupd.adapters.index import lance
settle(choose("auto")[0])
phashes(Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)))
import sys
assert not {"dedupd.adapters.fs.walk", "dedupd.ports"} & sys.modules.keys()
"""
    heavy = {"httpx", "httpx2", "open_clip", "requests", "scipy", "timm", "torch", "torchvision"}
    assert loaded_by(code) & heavy == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert "numpy" in loaded_by("import numpy")
