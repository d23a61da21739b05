"""`dedupd serve-embed`: embeds for libraries on other machines. This process is replaced by the one that
serves."""

from __future__ import annotations

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from dedupd.cli.console import deliver
from dedupd.cli.options import Commands, add_beyond_this_machine, add_command
from dedupd.errors import UsageError

_NEEDS = ("h11", "starlette", "uvicorn")


def add(commands: Commands) -> None:
    """The options of `dedupd serve-embed`."""
    parser = add_command(
        commands,
        "serve-embed",
        run,
        help="embed small pictures for libraries on other machines (needs dedupd[remote])",
        example="dedupd serve-embed --listen 127.0.0.1:8766 --model lite0",
        topic="remote",
    )
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        default="127.0.0.1:8766",
        help="address and port, port 0 for a free one (default: 127.0.0.1:8766)",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="who asks must send what it holds; made when it is not there; needed beyond this machine",
    )
    parser.add_argument("--model", metavar="M", help="as `dedupd models` lists them (default: config.toml's)")
    add_beyond_this_machine(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl+C: this process becomes the service, in the worker's environment. Raises UsageError."""
    from dedupd.adapters.vision.worker_process import worker_environment
    from dedupd.cli.opening import opened

    if any(find_spec(name) is None for name in _NEEDS):
        raise UsageError(
            "`dedupd serve-embed` needs what this installation lacks: pip install 'dedupd[remote]'"
        )
    settings, places = opened(arguments)
    command = [sys.executable, "-P", "-m", "dedupd.embedding_service", "--listen", arguments.listen]
    command += ["--model", arguments.model or settings.embedder, "--cache", os.fspath(places.cache)]
    command += ["--gpus", settings.gpus, "--gpu-memory-fraction", str(settings.gpu_memory_fraction)]
    for flag in ("token_file", "tls_cert", "tls_key"):
        if (path := getattr(arguments, flag)) is not None:
            command += [f"--{flag.replace('_', '-')}", os.fspath(path.expanduser().absolute())]
    command += ["--insecure-lan"] if arguments.insecure_lan else []
    deliver()
    os.execve(command[0], command, worker_environment())
