"""`dedupd run`: the daemon in the foreground; systemd and launchd start this command."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_settings
from dedupd.errors import StateError

if TYPE_CHECKING:
    from dedupd.config import Places


def add(commands: Commands) -> None:
    """The options of `dedupd run`."""
    parser = add_command(
        commands,
        "run",
        run,
        help="watch folders and keep them free of duplicates (the daemon, in the foreground)",
        example="dedupd run ~/Pictures",
    )
    parser.add_argument(
        "roots", nargs="*", type=Path, metavar="ROOT", help="folders to watch (default: those of config.toml)"
    )
    parser.add_argument("--yes", action="store_true", help="consent to the first moves in these folders")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C."""
    import signal

    from dedupd.config.places import places as places_of
    from dedupd.daemon.life import run as run_daemon

    # The daemon handles signals itself. Until then the default action stays: a service manager counts an end
    # by such a signal as clean.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.SIG_DFL)
    settings, _ = opened(arguments)
    # The socket is created in this login's folder, not where an earlier daemon had it.
    places = places_of(arguments.state_dir, arguments.config, recorded=False)
    _log_to(places)
    return run_daemon(settings, places, yes=arguments.yes, read=lambda: opened(arguments)[0])


def _log_to(places: Places) -> None:
    """Set up logging: stderr for the person who started it, a rotated file for later."""
    import logging
    from logging.handlers import RotatingFileHandler

    from dedupd.adapters.fs.lock import private_folder

    private_folder(places.state)
    private_folder(places.logs)
    logs = logging.getLogger("dedupd")
    logs.setLevel(logging.INFO)
    shape = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    try:
        file = RotatingFileHandler(
            places.logs / "daemon.log", maxBytes=1 << 20, backupCount=3, errors="backslashreplace"
        )
    except OSError as error:
        raise StateError(
            f"the log {places.logs / 'daemon.log'} cannot be opened: {error.strerror}"
        ) from error
    for handler in (logging.StreamHandler(sys.stderr), file):
        handler.setFormatter(shape)
        logs.addHandler(handler)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
