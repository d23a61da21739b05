"""How a command is added, the options that several commands share, and the types of values.

Must never import more than argparse needs: it is loaded for every command.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeAlias, cast

_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9}
POLICIES = ("best", "oldest", "newest", "largest", "smallest", "lexi")
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no public name
Run = Callable[[argparse.Namespace], int]
"""Runs a command. Returns the exit code; raises DedupdError with one sentence for the person."""


class Parser(argparse.ArgumentParser):
    """A parser that accepts no abbreviated options, here and in its commands: `--k 10` must not mean
    `--keep-policy 10`."""

    def __init__(self, **given: Any) -> None:
        usual: dict[str, Any] = {"allow_abbrev": False, "formatter_class": HelpFormatter}
        super().__init__(**(usual | given))


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal. argparse asks shutil for that, which loads three compression libraries at each
    start."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=columns() - 2)


def columns() -> int:
    """The same as shutil.get_terminal_size: $COLUMNS, else the terminal's width, else 80."""
    try:
        given = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        given = 0
    if given > 0:
        return given
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80


def add_command(
    commands: Commands, name: str, run: Run, *, help: str, example: str, topic: str = ""
) -> argparse.ArgumentParser:
    """Add a command that `run` carries out. `help`: its line in `dedupd --help`. `topic`: where the manual
    says more about it.

    Returns the parser for its options.
    """
    more = f"\nmore:     dedupd man {topic}" if topic else ""
    parser = commands.add_parser(
        name, help=help, description=help[0].upper() + help[1:] + ".", epilog=f"example:  {example}{more}",
        parents=[_PLACES],
    )  # fmt: skip
    parser.set_defaults(command=run)
    return parser


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options and arguments of a parser, for completion and the manual page."""
    return parser._actions  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # no public name


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of its commands, by name."""
    for action in actions(parser):
        if action.nargs == argparse.PARSER:
            return cast("dict[str, argparse.ArgumentParser]", action.choices)
    return {}


def add_places(parser: argparse.ArgumentParser, *, default: str | None = None) -> None:
    """Add --state-dir and --config."""
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        default=default,
        help="where dedupd keeps its state (default: the platform's)",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=default,
        help="config.toml to follow (default: the platform's)",
    )


_PLACES = Parser(add_help=False)
# Not None: these options may stand before or after the command, and the command must not reset them.
add_places(_PLACES, default=argparse.SUPPRESS)


def add_json(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]  # parser or group
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")


def add_beyond_this_machine(parser: argparse.ArgumentParser) -> None:
    """Add the options that a command needs before it listens to other machines."""
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="certificate (PEM); needed beyond this machine"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key, when not in the same file")
    parser.add_argument(
        "--insecure-lan",
        action="store_true",
        help="listen beyond this machine without a certificate all the same",
    )


EVERY_CORE = 256
"""More than there are is as many as there are."""


def add_settings(parser: argparse._ActionsContainer) -> None:  # pyright: ignore[reportPrivateUsage]  # parser or group
    """Add the settings of config.toml that a pass (`run`, `scan`) takes on the command line too."""
    parser.add_argument(
        "--threshold",
        type=parse_threshold,
        metavar="T",
        help="cosine similarity above which pairs go to review; never widens what moves",
    )
    parser.add_argument(
        "--keep-policy", choices=POLICIES, help="which photo of a group stays (default: best)"
    )
    parser.add_argument(
        "--model",
        metavar="M",
        dest="embedder",
        help="embedder: auto, hashes, or a name as `dedupd models` lists them",
    )
    parser.add_argument(
        "--embedding",
        choices=("local", "remote", "auto"),
        dest="embedding_mode",
        help="where photos are embedded: here, by the services of config.toml, or by them while they answer",
    )
    parser.add_argument(
        "--batch-size", type=parse_positive, metavar="N", help="photos embedded at a time (default: 8)"
    )
    parser.add_argument(
        "--jobs",
        type=parse_positive,
        metavar="N",
        help="cores that read photos (default: all for a scan, half for the daemon)",
    )
    parser.add_argument(
        "--full-speed",
        action="store_const",
        const=EVERY_CORE,
        dest="jobs",
        help="all cores, for the daemon too",
    )
    parser.add_argument(
        "--gpus", metavar="N", help="graphics cards the embedder may use: a number, or all (default)"
    )
    parser.add_argument(
        "--gpu-memory-fraction",
        type=float,
        metavar="F",
        help="how much of a card's memory it may take (default: 0.9)",
    )


def parse_threshold(text: str) -> float:
    """A cosine similarity in (0, 1]."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 < value <= 1.0:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no cosine similarity: give a number above 0 and up to 1, such as 0.9"
        )
    return value


def parse_positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def parse_size(text: str) -> int:
    """Bytes, given as 200000, 200K or 1.5M (powers of 1000, as sizes are shown)."""
    number, unit = text[:-1] if text[-1:].upper() in _UNITS else text, text[-1:].upper()
    try:
        value = Decimal(number) * _UNITS.get(unit, 1)
    except InvalidOperation:
        value = Decimal(-1)
    if not value.is_finite() or value < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give bytes, such as 200000, 200K or 1.5M")
    return int(value)


def parse_month(text: str) -> str:
    """A month, given as 2024-06."""
    from dedupd.core.month import Month

    try:
        return str(Month.parse(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
