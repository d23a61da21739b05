"""`dedupd review`: find out what the terminal can show, then hand over to the app. Textual is imported only here, when asked for."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.config import Places

IMAGES = ("auto", "kitty", "sixel", "half", "off")
"""What `--images` may say."""


def run(places: Places, args: argparse.Namespace) -> int:
    """Show the reviewer until it is closed. Raises UsageError without a terminal."""
    # Textual draws on stderr and textual-image on stdout.
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError(
            "`dedupd review` needs a terminal; scripts use `dedupd groups --json` and `dedupd approve`"
        )
    from dedupd.tui.terminal import choose

    images = choose(getattr(args, "images", None) or "auto")
    from dedupd.tui.app import ReviewApp

    ReviewApp(places.socket, images=images, start_command=start_command(args)).run()
    return ExitCode.OK


def start_command(args: argparse.Namespace) -> list[str]:
    """What starts a daemon with the folders this command was given."""
    command = [sys.executable, "-m", "dedupd", "run"]
    for option, given in (
        ("--config", getattr(args, "config", None)),
        ("--state-dir", getattr(args, "state_dir", None)),
    ):
        if given:
            command += [option, str(Path(given).expanduser().absolute())]
    return command
