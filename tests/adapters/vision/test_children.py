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

from dedupd.adapters.vision.worker_process import worker_environment

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
        ("onnx", "from dedupd.adapters.vision.engines.lite0_graph import Lite0; Lite0(Path(sys.argv[1]))"),
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


KEEPS = """
import sys, resource
from PIL import Image
from dedupd.adapters.vision.child import return_free_memory, returning_memory

def held():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() >> 20

def parts():
    made = [bytearray(b"x") * (1 << 18) for _ in range(400)]
    return bytearray(b"x") * (1 << 18)  # what lies behind them

begun, pins = held(), []
with returning_memory():
    pins += [bytearray(b"x") * (40 << 20), bytearray(b"x") * (1 << 18)]
    del pins[0]
    print(held() - begun)
begun = held()
pins += [parts()]
print(held() - begun)
return_free_memory()
print(held() - begun)
picture = Image.new("RGB", (6000, 6000))
pins.append(bytearray(b"x") * (1 << 18))
del picture
print(held() - begun)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's own")
def test_a_process_keeps_the_memory_of_photos_and_returns_that_of_large_pictures() -> None:
    told = subprocess.run(
        [sys.executable, "-c", KEEPS], env=worker_environment(), capture_output=True, text=True, check=True
    ).stdout.split()
    within, kept, returned, after = map(int, told)
    assert kept >= 100, "photos of usual size find it again"
    assert max(returned, within, after) < 30
