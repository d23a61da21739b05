"""`dedupd review`: hands over to the Textual app."""

from __future__ import annotations

import argparse

from dedupd.cli.ui import run
from dedupd.config import places


def review(arguments: argparse.Namespace) -> int:
    return run(places(arguments.state_dir, arguments.config), arguments)
