"""Programs for the PATH of a test, written in Python."""

from __future__ import annotations

import sys
from pathlib import Path


def python_program(path: Path, body: str) -> None:
    """Write an executable file. A shell starts Python, as in the programs that pip installs: the kernel finds no
    interpreter whose path has a space in it."""
    path.write_text(f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n{body}")
    path.chmod(0o755)
