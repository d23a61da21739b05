"""`dedupd run`: the daemon in the foreground; what systemd and launchd start."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from logging.handlers import RotatingFileHandler

from dedupd.adapters.fs.lock import private_folder
from dedupd.cli.opening import opened
from dedupd.config import Places
from dedupd.config.places import places as places_of
from dedupd.daemon.life import run as run_daemon
from dedupd.errors import StateError


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM or Ctrl-C."""
    # The daemon listens by itself; until then a service manager knows an end by the signal, not by a status, as clean.
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            signal.signal(number, signal.SIG_DFL)
    settings, _ = opened(arguments)
    # Served where this login's folders are, not where an earlier daemon's were.
    places = places_of(arguments.state_dir, arguments.config, recorded=False)
    _log_to(places)
    return run_daemon(settings, places, yes=arguments.yes, read=lambda: opened(arguments)[0])


def _log_to(places: Places) -> None:
    """One handler an audience: stderr for whoever started it, a rotated file for later. Names stay out of it."""
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
