"""What `dedupd review` settles before Textual is there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

_STUB = """
import sys, types
from argparse import Namespace
stub = types.ModuleType("dedupd.tui.app")
class ReviewApp:
    def __init__(self, *args, **kwargs): pass
    def run(self):
        from textual import constants
        print(constants.ESCAPE_DELAY)
stub.ReviewApp = ReviewApp
sys.modules["dedupd.tui.app"] = stub
from dedupd.cli.ui import run
run(types.SimpleNamespace(socket=None), Namespace(images="off"))
"""


@pytest.mark.parametrize(("asked", "seconds"), [(None, 0.05), ("200", 0.2)])
def test_esc_is_answered_at_once_unless_somebody_asked_for_patience(
    asked: str | None, seconds: float
) -> None:
    # A driver is named as for a browser: then no terminal is needed.
    environ = {name: value for name, value in os.environ.items() if name != "ESCDELAY"}
    environ |= {"TEXTUAL_DRIVER": "none"} | ({} if asked is None else {"ESCDELAY": asked})
    told = subprocess.run(
        [sys.executable, "-c", _STUB], env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert float(told.stdout) == seconds
