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
    def __init__(self, *args, images, **kwargs): self.images = images
    def run(self):
        from textual import constants
        from rich.console import Console
        colours = Console(force_terminal=True).color_system
        print(self.images, colours, constants.ESCAPE_DELAY)
stub.ReviewApp = ReviewApp
sys.modules["dedupd.tui.app"] = stub
for stream in ("__stdin__", "__stdout__", "__stderr__"):
    setattr(sys, stream, types.SimpleNamespace(isatty=lambda: True))
from dedupd.cli.commands.review import run
run(Namespace(images=sys.argv[1], web=False, state_dir=None, config=None))
"""


def told(images: str, **given: str) -> list[str]:
    """Mode, colours as Textual has them, and seconds of an Esc."""
    dropped = ("ESCDELAY", "COLORTERM", "NO_COLOR", "TEXTUAL_COLOR_SYSTEM")
    environ = {name: value for name, value in os.environ.items() if name not in dropped}
    environ |= {"TERM": "xterm-kitty"} | given
    command = [sys.executable, "-c", _STUB, images]
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()


@pytest.mark.parametrize(("given", "seconds"), [({}, "0.05"), ({"ESCDELAY": "200"}, "0.2")])
def test_esc_is_answered_at_once_unless_somebody_asked_for_patience(
    given: dict[str, str], seconds: str
) -> None:
    assert told("off", **given)[-1] == seconds


def test_kittys_pictures_have_the_colours_that_name_them() -> None:
    """Over SSH nothing tells of 24-bit colours; told not to use any, Textual greys them."""
    assert told("kitty")[:2] == ["kitty", "truecolor"]
    assert told("kitty", NO_COLOR="1")[0] == "half"
