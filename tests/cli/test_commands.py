"""One file a command: what each must have, and that a command is the same whichever others are loaded."""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import shutil
from importlib import import_module
from types import ModuleType

import pytest

from dedupd.cli import commands, options
from dedupd.cli.main import COMMANDS, main


def module(name: str) -> ModuleType:
    return import_module(f"dedupd.cli.commands.{name.replace('-', '_')}")


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str, str]:
    """How the parser ends on these words: exit code, stdout, stderr."""
    with pytest.raises(SystemExit) as end:
        main(words)
    told = capsys.readouterr()
    return end.value.code, told.out, told.err


def test_every_file_is_a_command_and_every_command_a_file() -> None:
    files = [found.name for found in pkgutil.iter_modules(commands.__path__)]
    assert sorted(files) == sorted(name.replace("-", "_") for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_says_what_it_takes_and_does_it_in_one_file(name: str) -> None:
    assert (module(name).__doc__ or "").startswith(f"`dedupd {name}`: ")
    for function, takes in ((module(name).add, ["commands"]), (module(name).run, ["arguments"])):
        assert function.__module__ == module(name).__name__
        assert list(inspect.signature(function).parameters) == takes
        assert function.__doc__


def test_help_lists_every_command_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, "--help")
    assert code == 0
    assert tuple(re.findall(r"^    ([a-z-]+) {2,}\S", out, re.MULTILINE)) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_is_loaded_alone_takes_the_same(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    alone = said(capsys, name, "--help")
    assert alone == said(capsys, "--state-dir", "/s", name, "--help")
    code, out, _ = alone
    assert code == 0
    assert out.startswith(f"usage: dedupd {name} ") and "\nexample:  " in out
    assert said(capsys, name, "--nonsense") == said(capsys, "--state-dir", "/s", name, "--nonsense")


@pytest.mark.parametrize("given", [None, "", "0", "-3", "70", "wide"])
def test_help_is_as_wide_as_the_standard_library_makes_it(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if given is not None:
        monkeypatch.setenv("COLUMNS", given)
    for width in (0, 100):
        monkeypatch.setattr(os, "get_terminal_size", lambda _, width=width: os.terminal_size((width, 24)))
        assert options.columns() == shutil.get_terminal_size().columns


def test_help_on_no_terminal_is_as_wide_as_the_standard_library_makes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(_: int) -> os.terminal_size:
        raise OSError

    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(os, "get_terminal_size", none)
    assert options.columns() == shutil.get_terminal_size().columns == 80


@pytest.mark.parametrize("words", [("nonsense", "status"), ("--config", "status", "nonsense")])
def test_a_word_that_is_no_command_is_told_with_all_that_are(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = said(capsys, *words)
    assert code == 2
    assert "'nonsense'" in err
    assert all(name in err for name in COMMANDS)
