"""Processes that work for another one end with it, also when it is killed."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

HANGS = """
import os, threading
with open(os.environ["MET"], "w") as met:
    met.write(str(os.getpid()))
threading.Event().wait()
"""
"""Stands in for a library that is slow to do its work: tells who imports it."""


@pytest.mark.parametrize(
    ("library", "work"),
    [
        ("torch", "from dedupd.adapters.vision.engines.lite0_graph import Lite0; Lite0(Path(sys.argv[1]))"),
        (
            "huggingface_hub",
            "from dedupd.adapters.vision.embedders.registry import pull; pull('open_clip:a/b')",
        ),
    ],
    ids=["conversion", "download"],
)
def test_a_long_work_ends_with_who_asked_for_it(tmp_path: Path, library: str, work: str) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / f"{library}.py").write_text(HANGS)
    os.mkfifo(tmp_path / "met")
    home = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import sys; from pathlib import Path; {work}", str(tmp_path / "cache")],
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'site'}:{home}", "MET": str(tmp_path / "met")},
    )
    child = os.pidfd_open(int((tmp_path / "met").read_text()))
    parent.kill()
    parent.wait()
    try:
        assert select.select([child], [], [], 5.0)[0]
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
