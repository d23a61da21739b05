"""`dedupd init`: a config.toml with every setting explained."""

from __future__ import annotations

import argparse
from pathlib import Path

from dedupd.cli.console import answer
from dedupd.cli.options import Commands, add_command
from dedupd.errors import ExitCode


def add(commands: Commands) -> None:
    """What `dedupd init` takes."""
    parser = add_command(
        commands,
        "init",
        run,
        help="write a documented config.toml",
        example="dedupd init ~/Pictures",
    )
    parser.add_argument("roots", nargs="*", type=Path, metavar="ROOT")


def run(arguments: argparse.Namespace) -> int:
    """Writes it. An existing one is never replaced: UsageError."""
    from dedupd.cli.first_config import write_config
    from dedupd.config import places

    where = places(arguments.state_dir, arguments.config)
    write_config(where.config, arguments.roots)
    answer(f"wrote {where.config}: look at it, then start with `dedupd run` or `dedupd service install`")
    return int(ExitCode.OK)
