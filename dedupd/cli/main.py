"""The command line: which commands there are, and how errors end. Each command is one file of
dedupd/cli/commands.

Must import nothing heavy before a command is chosen. Every dedupd error ends here as one sentence on stderr
and an exit code; a traceback is a bug.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from dedupd.cli.console import answer, deliver, tell
from dedupd.cli.options import Commands, Parser, add_places
from dedupd.errors import DedupdError

COMMANDS = (
    "run", "scan", "demo",
    "status", "months", "groups", "show", "report", "review", "web", "serve-embed",
    "approve", "reject", "undo", "purge", "pause", "resume", "scan-now",
    "verify", "feedback", "tune", "bench", "models", "backfill", "adopt", "photos", "service", "init", "doctor",
    "completion", "man",
)  # fmt: skip
"""In the order of `dedupd --help`; `scan-now` is commands/scan_now.py."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code (errors.ExitCode)."""
    words = sys.argv[1:] if argv is None else argv
    arguments = _parser(words).parse_args(words)
    status = _status_of(lambda: arguments.command(arguments))
    return _status_of(deliver) or status


def _status_of(act: Callable[[], int | None]) -> int:
    # Not needed for `--help`, which ends inside the parser; threads and signals take 3 ms to import.
    from dedupd.cli.stopping import ended, stoppable

    try:
        with stoppable():
            return int(act() or 0)
    except DedupdError as error:
        tell(f"dedupd: {error}")
        return int(error.exit_code)
    except KeyboardInterrupt as stop:
        sentence, status = ended(stop)
        tell(f"dedupd: {sentence}")
        return status


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from dedupd.cli.versions import version_lines  # looking through what is installed takes 20 ms

        def told() -> None:
            for line in version_lines():
                answer(line)
            deliver()

        parser.exit(_status_of(told))


def whole_parser() -> argparse.ArgumentParser:
    """The parser with every command."""
    return _parser(())


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser for these words: of one command alone, when the first word is a command."""
    parser = Parser(
        prog="dedupd",
        description="Keeps family photo libraries free of duplicates: finds them, moves them aside, and can put every one back.",
        epilog="First steps:  dedupd demo   |   dedupd scan --dry-run ~/Pictures   |   dedupd run ~/Pictures",
    )
    parser.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        default=argparse.SUPPRESS,
        help="say the version and the extras, and end",
    )
    add_places(parser)
    commands: Commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    # When the first word is a command, no other command can be meant: the others need not be imported.
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        import_module(f"dedupd.cli.commands.{name.replace('-', '_')}").add(commands)
    return parser
