"""A reviewer whose terminal went without a word."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="pseudo-terminals as Linux has them")
def test_it_ends_with_its_terminal_though_nobody_hung_up(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "dedupd",
        "--state-dir",
        str(tmp_path / "state"),
        "review",
        "--images",
        "off",
    ]
    environment = {**os.environ, "TERM": "xterm-256color", "DEDUPD_CONFIG": str(tmp_path / "config.toml")}
    reviewer = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # type: ignore[arg-type,return-value]
    )  # fmt: skip
    os.close(slave)
    try:
        shown = b""
        while b"dedupd" not in shown:  # the first frame
            shown += os.read(master, 65536)
        os.close(master)
        assert reviewer.wait(30) is not None
    finally:
        reviewer.kill()
        reviewer.wait()
