"""`dedupd run`: the daemon in the foreground; what systemd and launchd start."""

from __future__ import annotations

import argparse
import logging
import sys
from logging.handlers import RotatingFileHandler

from dedupd.adapters.lock import private_folder
from dedupd.cli.opening import opened
from dedupd.config import Places
from dedupd.daemon.main import run as run_daemon


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGTERM or Ctrl-C."""
    settings, places = opened(arguments)
    _log_to(places)
    return run_daemon(settings, places, yes=arguments.yes)


def _log_to(places: Places) -> None:
    """One handler an audience: stderr for whoever started it, a rotated file for later. Names stay out of it."""
    private_folder(places.state)
    places.logs.mkdir(mode=0o700, exist_ok=True)
    logs = logging.getLogger("dedupd")
    logs.setLevel(logging.INFO)
    shape = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    for handler in (
        logging.StreamHandler(sys.stderr),
        RotatingFileHandler(
            places.logs / "daemon.log", maxBytes=1 << 20, backupCount=3, errors="backslashreplace"
        ),
    ):
        handler.setFormatter(shape)
        logs.addHandler(handler)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
