"""`dedupd review`: find out what the terminal can show, then hand over to the app. Textual is imported only here, when asked for."""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, deliver, tell
from dedupd.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dedupd.config import Places

IMAGES = ("auto", "kitty", "sixel", "half", "off")
"""What `--images` may say."""


def run(places: Places, args: argparse.Namespace) -> int:
    """Show the reviewer until it is closed. Raises UsageError without a terminal."""
    if getattr(args, "web", False):
        return _serve(args)
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    served = "TEXTUAL_DRIVER" in os.environ
    if not served and not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError(
            "`dedupd review` needs a terminal; scripts use `dedupd groups --json` and `dedupd approve`"
        )
    # On again with the first frame: until then hardly anything is garbage, and looking for it takes a tenth of the time.
    gc.disable()
    # Textual reads it when imported. Its own 100 are felt at every Esc; these are neovim's.
    os.environ.setdefault("ESCDELAY", "50")
    from dedupd.tui.pictures.terminal import choose

    images = choose(getattr(args, "images", None) or "auto")
    if images == "kitty" and "NO_COLOR" in os.environ:
        images = "half"  # greyed, a placeholder's colour would name another picture
    if images == "kitty":
        # Its pictures are named by 24-bit colours; over SSH nothing else says that the terminal has them.
        os.environ.setdefault("COLORTERM", "truecolor")
    from dedupd.tui.app import ReviewApp

    if served:
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    ReviewApp(places.socket, images=images, start_command=own_command(args, "run")).run()
    return ExitCode.OK


def _end_with(server: int) -> None:
    """A browser's reviewer whose server was killed would keep its place at the daemon for ever."""
    while os.getppid() == server:
        time.sleep(1.0)
    os._exit(int(ExitCode.FAILED))


def _serve(args: argparse.Namespace) -> int:
    """The same in a browser, until Ctrl+C. Raises UsageError without the extra, or when the port is taken."""
    try:
        from dedupd.tui.web import Door
    except ImportError:
        raise UsageError(
            "`dedupd review --web` needs what this installation lacks: pip install 'dedupd[web]'"
        ) from None
    try:
        door = Door(own_command(args, "review", "--images", "half"), args.port)
    except OSError as error:
        raise UsageError(
            f"port {args.port} cannot be used ({error.strerror}): name another with --port"
        ) from None
    answer(door.url)
    tell(
        "Open that address in a browser on this machine; Ctrl+C here ends it. "
        f"From another: ssh -L {door.port}:127.0.0.1:{door.port}, then the same address."
    )
    deliver()
    door.serve()
    return ExitCode.OK


def own_command(args: argparse.Namespace, *words: str) -> list[str]:
    """dedupd itself with these words and the folders this command was given."""
    command = [sys.executable, "-m", "dedupd", *words]
    for option, given in (
        ("--config", getattr(args, "config", None)),
        ("--state-dir", getattr(args, "state_dir", None)),
    ):
        if given:
            command += [option, str(Path(given).expanduser().absolute())]
    return command
