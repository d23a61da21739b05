"""`dedupd completion`: shell completion of commands and options, made from the parser itself."""

from __future__ import annotations

import argparse
from pathlib import Path

from dedupd.cli.options import Commands, add_command
from dedupd.errors import ExitCode

_SHELLS = ("bash", "zsh", "fish")


def add(commands: Commands) -> None:
    """The options of `dedupd completion`."""
    parser = add_command(
        commands,
        "completion",
        run,
        help="print what completes dedupd's words in your shell",
        example='eval "$(dedupd completion bash)"   in ~/.bashrc; fish: dedupd completion fish | source',
    )
    parser.add_argument("shell", choices=_SHELLS)


def run(arguments: argparse.Namespace) -> int:
    """Print a script that the shell reads."""
    import shtab

    from dedupd.cli.console import answer
    from dedupd.cli.main import whole_parser

    parser = whole_parser()
    for action in _paths(parser):
        folder = action.metavar in ("ROOT", "DIR")
        setattr(action, "complete", shtab.DIRECTORY if folder else shtab.FILE)  # noqa: B010  # shtab looks for it there
    answer(shtab.complete(parser, arguments.shell).rstrip())
    return int(ExitCode.OK)


def _paths(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and arguments of this parser and its commands that are files or folders."""
    from dedupd.cli.options import actions, commands_of

    parsers = [parser, *commands_of(parser).values()]
    return [a for p in parsers for a in actions(p) if a.type is Path or a.metavar in ("PATH", "FILE")]
