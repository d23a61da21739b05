"""`dedupd review`: finds out how the terminal can show pictures, then runs the app, or `dedupd web`.

Textual is imported only here, when it is needed.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys

from dedupd.cli.options import Commands, add_command
from dedupd.errors import ExitCode, UsageError


def add(commands: Commands) -> None:
    """The options of `dedupd review`."""
    parser = add_command(
        commands,
        "review",
        run,
        help="look at groups with pictures, and decide (in the terminal, or in a browser)",
        example="dedupd review    |    dedupd review --web",
        topic="reviewing",
    )
    parser.add_argument(
        "--images",
        choices=("auto", "kitty", "sixel", "half", "off"),
        default="auto",
        help="how pictures are drawn",
    )
    parser.add_argument(
        "--web",
        action="store_true",
        help="start `dedupd web` on this machine and open it in the browser (needs dedupd[web])",
    )
    parser.add_argument(
        "--port",
        type=_parse_port,
        default=0,
        metavar="N",
        help="port of --web on 127.0.0.1 (default: a free one)",
    )


def _parse_port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number up to 65535")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Show the reviewer until it is closed. Raises UsageError without a terminal."""
    if arguments.web:
        return _serve(arguments)
    streams = (sys.__stdin__, sys.__stdout__, sys.__stderr__)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError(
            "`dedupd review` needs a terminal; scripts use `dedupd groups --json` and `dedupd approve`"
        )
    # Enabled again after the first frame: until then there is hardly any garbage, and collecting takes a
    # tenth of the start.
    gc.disable()
    # Textual reads it when it is imported. Its own 100 ms are noticeable at every Esc; this is neovim's
    # value.
    os.environ.setdefault("ESCDELAY", "50")
    from dedupd.tui.pictures.terminal import choose

    images = choose(arguments.images)
    if images == "kitty" and "NO_COLOR" in os.environ:
        images = "half"  # greyed, a placeholder's colour would name another picture
    if images == "kitty":
        # Kitty's picture ids are 24-bit colours; over SSH nothing else says that the terminal supports them.
        os.environ.setdefault("COLORTERM", "truecolor")
    from dedupd.cli.opening import own_command
    from dedupd.config import places
    from dedupd.tui.app import ReviewApp

    socket = places(arguments.state_dir, arguments.config).socket
    ReviewApp(socket, images=images, start_command=own_command(arguments, "run")).run()
    return ExitCode.OK


def _serve(arguments: argparse.Namespace) -> int:
    """Serve `dedupd web` on a port of this machine, and open it in the browser."""
    from dedupd.cli.commands import web

    listen = f"127.0.0.1:{arguments.port}"
    asked = {
        "listen": listen,
        "tls_cert": None,
        "tls_key": None,
        "insecure_lan": False,
        "open": True,
        "address": False,
        "by_service": False,
    }
    return web.run(argparse.Namespace(**{**vars(arguments), **asked}))
