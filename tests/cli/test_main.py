"""The command line as scripts see it: exit codes, one sentence on stderr, answers on stdout."""

from __future__ import annotations

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dedupd.adapters.fs.lock import lock_library
from dedupd.cli.commands import status
from dedupd.cli.console import can_ask
from dedupd.cli.group_lines import print_group
from dedupd.cli.main import main
from dedupd.config import places
from dedupd.errors import AlreadyRunning, ConfigError, ConsentNeeded, DedupdError, NoDaemon
from dedupd.protocol.views import GroupView


def run(*words: str) -> int:
    try:
        return main(words)
    except SystemExit as end:  # argparse ends by itself
        return int(end.code or 0)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("nonsense",),
        ("scan",),
        ("scan", "x", "--threshold", "0"),
        ("scan", "x", "--threshold", "1.1"),
        ("scan", "x", "--threshold", "nan"),
        ("scan", "x", "--batch-size", "0"),
        ("scan", "x", "--batch-size", "-3"),
        ("scan", "x", "--month", "2024-13"),
        ("scan", "x", "--keep-policy", "prettiest"),
        ("show", "one"),
        ("reject",),
        ("approve",),
        ("undo",),
        ("undo", "--last", "--all"),
        ("run",),
    ],
)
def test_what_cannot_be_meant_ends_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err


@pytest.mark.parametrize("command", ["pause", "resume", "scan-now"])
def test_without_a_daemon_what_needs_one_ends_with_5(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command) == 5
    assert capsys.readouterr().err.startswith("dedupd: no daemon answers")


def test_status_answers_even_where_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--json") == 5
    answer = json.loads(capsys.readouterr().out)
    assert (answer["daemon"], answer["photos"], answer["roots"]) == ("stopped", 0, [])


@pytest.mark.parametrize("command", [["status"], ["status", "--json"], ["models"]])
def test_a_ledger_that_cannot_be_read_is_not_told_as_an_empty_one(
    command: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger = home / "state" / "dedupd" / "ledger.db"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"no ledger, or what a failing disk gives of one" * 100)
    assert run(*command) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"dedupd: the ledger {ledger} is damaged")


@pytest.mark.parametrize("command", [["groups"], ["months"], ["show", "1"]])
def test_questions_about_nothing_are_one_sentence(
    command: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert not (home / "state").exists()  # asking creates nothing


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DedupdError("x"), 1), (ConfigError("x"), 2), (ConsentNeeded("x"), 3), (AlreadyRunning("x"), 4), (NoDaemon("x"), 5),
        (KeyboardInterrupt(), 130),
    ],
)  # fmt: skip
def test_every_error_has_its_exit_code(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(arguments: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(status, "run", command)
    assert run("status") == code
    assert capsys.readouterr().err.startswith("dedupd: ")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_unwinds_the_command_and_is_one_sentence(
    number: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    left: list[str] = []

    def command(arguments: argparse.Namespace) -> int:
        try:
            signal.raise_signal(number)
        finally:
            left.append("in order")
        return 0

    monkeypatch.setattr(status, "run", command)
    usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    given = signal.signal(number, usual)  # what starts the tests may have had it ignored
    request.addfinalizer(lambda: signal.signal(number, given))
    before = signal.getsignal(number)
    assert run("status") == code
    assert capsys.readouterr().err == "dedupd: stopped; nothing is lost, run it again to go on\n"
    assert left == ["in order"]
    assert signal.getsignal(number) is before


def dedupd(*words: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dedupd", *words]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **streams)


@pytest.mark.parametrize("words", [("status",), ("status", "--json"), ("groups",), ("--version",)])
def test_an_answer_that_cannot_be_written_is_one_sentence(words: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = dedupd(*words, stdout=full)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    if words[0] == "status":
        assert "the answer cannot be written (No space left on device)" in done.stderr


def test_before_the_first_run_no_model_is_told_as_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 5
    assert "model      chosen at the first run" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("status",), ("months",), ("groups",), ("verify",), ("undo", "--last")])
def test_a_state_folder_where_one_may_not_look_is_one_sentence(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.stat

    def stat(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
        if str(path).endswith("ledger.db"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, *arguments, **named)

    monkeypatch.setattr(os, "stat", stat)
    assert run(*words) == 1
    said = capsys.readouterr().err
    assert "ledger.db cannot be read (Permission denied): " in said and said.count("\n") == 1


def test_a_folder_that_is_another_states_is_told_without_a_daemon_to_do_the_scan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "Pictures"
    root.mkdir()
    with lock_library(places(tmp_path / "one", tmp_path / "config.toml"), [root]):
        assert run("--state-dir", str(tmp_path / "other"), "scan", "--dry-run", str(root)) == 4
    said = capsys.readouterr().err
    assert said.startswith(f"dedupd: another dedupd already looks after {root}") and said.count("\n") == 1


def test_a_closed_stdout_is_one_sentence() -> None:
    done = dedupd("status", preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (1, "dedupd: stdout is closed, so there is nowhere to answer\n")


def test_a_reader_who_left_changes_nothing() -> None:
    """`dedupd status | head -1`: quietly, and with the exit code it would have had."""
    read, write = os.pipe()
    os.close(read)
    done = dedupd("status", stdout=write)
    os.close(write)
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.parametrize("close", [None, lambda: os.close(2)], ids=["full", "closed"])
def test_work_goes_on_when_nobody_can_be_told(close: Callable[[], None] | None) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dedupd", "pause"], stderr=full, preexec_fn=close, check=False
        )
    assert done.returncode == 5


def test_without_a_stdin_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert not can_ask()


def test_a_signal_that_is_ignored_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under nohup."""

    def command(arguments: argparse.Namespace) -> int:
        signal.raise_signal(signal.SIGHUP)
        return 0

    monkeypatch.setattr(status, "run", command)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run("status") == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_error_about_a_strange_name_can_be_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(arguments: argparse.Namespace) -> int:
        raise DedupdError("cannot read latin-\udce9.jpg")

    monkeypatch.setattr(status, "run", command)
    assert run("status") == 1
    assert "latin-\\udce9.jpg" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("--state-dir", "{}", "status"), ("status", "--state-dir", "{}")])
def test_places_may_stand_before_or_after_the_command(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ledger.db").write_bytes(b"this is no database, and it is long enough to be looked at" * 100)
    assert run(*(word.format(tmp_path) for word in words), "--json") in (1, 5)
    said = capsys.readouterr()
    assert "Traceback" not in said.err


def test_members_that_a_message_had_no_room_for_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    shown = GroupView(
        id=1, root="/r", month="2024-06", relation="exact", state="settled", keep="k", left_out=4000
    )
    print_group(shown)
    assert "and 4000 more" in capsys.readouterr().out
