"""`dedupd man`: the manual page, made from the parser itself and the topics of the manual."""

from __future__ import annotations

import argparse

from dedupd.cli.manual import TOPICS, as_roff, escaped, printed, topic
from dedupd.cli.options import Commands, actions, add_command, columns, commands_of
from dedupd.errors import ExitCode

_EXIT_CODES = {
    ExitCode.OK: "did its work; review items may wait",
    ExitCode.FAILED: "failed; something that was approved did not move; verify: a promise does not hold",
    ExitCode.USAGE: "a command line or a config.toml that cannot be followed",
    ExitCode.CONSENT: "a yes is needed, and nobody can be asked",
    ExitCode.LOCKED: "another dedupd works with these folders",
    ExitCode.NO_DAEMON: "no daemon runs",
    ExitCode.DUPLICATES: "duplicates were found (scan --fail-on-duplicates)",
}


def add(commands: Commands) -> None:
    """The options of `dedupd man`."""
    parser = add_command(
        commands,
        "man",
        run,
        help="print the manual page, or one topic of it",
        example="dedupd man | man -l -   |   dedupd man deciding",
    )
    parser.add_argument(
        "topic", nargs="?", choices=TOPICS, metavar="TOPIC", help="one of: " + ", ".join(TOPICS)
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the page in the format that man reads; a topic formatted for the terminal, or as Markdown when
    stdout is no terminal."""
    import sys

    from dedupd.cli.console import answer
    from dedupd.cli.main import whole_parser

    if arguments.topic is None:
        answer(page(whole_parser()))
    elif sys.stdout.isatty():
        answer(printed(arguments.topic, columns()).rstrip())
    else:
        answer(topic(arguments.topic).rstrip())
    return int(ExitCode.OK)


def page(parser: argparse.ArgumentParser) -> str:
    """The page in the man macros of roff."""
    from dedupd.version import __version__

    lines = [f'.TH DEDUPD 1 "" "dedupd {__version__}" "User Commands"', ".ad l", ".SH NAME"]
    lines += [r"dedupd \- keeps photo libraries free of duplicates", ".SH SYNOPSIS", ".B dedupd"]
    lines += [r".I COMMAND [OPTION]\&...", ".SH DESCRIPTION", escaped(parser.description or "")]
    lines += [".SH OPTIONS", *_options(parser), ".SH COMMANDS"]
    for name, command in commands_of(parser).items():
        lines += [f".SS dedupd {escaped(name)}", escaped(command.description or ""), *_options(command)]
        lines += [".PP", escaped(command.epilog or "")]
    lines += [line for name in TOPICS for line in as_roff(name)]
    lines.append(".SH EXIT STATUS")
    for code, told in _EXIT_CODES.items():
        lines += [".TP", str(int(code)), escaped(told)]
    return "\n".join(lines)


def _options(parser: argparse.ArgumentParser) -> list[str]:
    lines: list[str] = []
    for action in actions(parser):
        if action.dest == "help" or action.help == argparse.SUPPRESS or action.nargs == argparse.PARSER:
            continue
        value = _value(action)
        names = [f"{name} {value}".strip() for name in action.option_strings] or [value]
        lines += [
            ".TP",
            r"\fB" + escaped(", ".join(names)) + r"\fR",
            escaped((action.help or "").replace("%%", "%")),
        ]
    return lines


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())
