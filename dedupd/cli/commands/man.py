"""`dedupd man`: the manual page, made from the parser itself."""

from __future__ import annotations

import argparse

from dedupd.cli.options import Commands, actions, add_command, commands_of
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
    """What `dedupd man` takes."""
    add_command(commands, "man", run, help="print the manual page", example="dedupd man | man -l -")


def run(arguments: argparse.Namespace) -> int:
    """Prints it as man reads it."""
    from dedupd.cli.console import answer
    from dedupd.cli.main import whole_parser

    answer(page(whole_parser()))
    return int(ExitCode.OK)


def page(parser: argparse.ArgumentParser) -> str:
    """The page in the man macros of roff."""
    from dedupd.version import __version__

    lines = [f'.TH DEDUPD 1 "" "dedupd {__version__}" "User Commands"', ".SH NAME"]
    lines += [r"dedupd \- keeps photo libraries free of duplicates", ".SH SYNOPSIS", ".B dedupd"]
    lines += [r".I COMMAND [OPTION]\&...", ".SH DESCRIPTION", _text(parser.description or "")]
    lines += [".SH OPTIONS", *_options(parser), ".SH COMMANDS"]
    for name, command in commands_of(parser).items():
        lines += [f".SS dedupd {_text(name)}", _text(command.description or ""), *_options(command)]
        lines += [".PP", _text(command.epilog or "")]
    lines.append(".SH EXIT STATUS")
    for code, told in _EXIT_CODES.items():
        lines += [".TP", str(int(code)), _text(told)]
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
            r"\fB" + _text(", ".join(names)) + r"\fR",
            _text((action.help or "").replace("%%", "%")),
        ]
    return lines


def _value(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices is not None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return str(action.metavar or action.dest.upper())


def _text(text: str) -> str:
    """As roff takes it: no line begins a macro, and a minus is one that can be copied."""
    lines = text.replace("\\", r"\e").replace("-", r"\-").splitlines() or [""]
    return "\n".join(r"\&" + line if line[:1] in ".'" else line for line in lines)
