"""Starts a daemon that keeps running after the reviewer ends, and says why it ended. Must never start one
unasked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path


class DaemonLauncher:
    """command: runs a daemon in the foreground; empty when nothing can start one."""

    def __init__(self, command: Sequence[str]) -> None:
        self.command = list(command)

    async def start(self, patience: float = 20.0, until: Callable[[], bool] = lambda: False) -> str:
        """Start the daemon, detached. Returns '' when it still runs after `patience` seconds or when `until`
        says that it answers; otherwise why it ended, in one sentence."""
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(  # noqa: ASYNC220 - the daemon shall outlive this program
                    self.command,
                    cwd=Path.home() if Path.home().is_dir() else os.sep,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=said,
                    start_new_session=True,
                )
            except OSError as error:
                return f"The daemon could not be started: {error.strerror or error}."
            for _ in range(round(patience / 0.1)):
                if until():
                    break
                if process.poll() is not None:
                    said.seek(0)
                    last = said.read()[-2000:].decode(errors="replace").strip().splitlines()
                    return (
                        f"The daemon ended at once: {last[-1] if last else f'exit code {process.returncode}'}"
                    )
                await asyncio.sleep(0.1)
        return ""
