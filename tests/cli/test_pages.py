"""What is made from the parser: completion for each shell, and the manual page."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dedupd.cli.commands.man import page
from dedupd.cli.main import COMMANDS, main, whole_parser
from dedupd.cli.options import actions, commands_of
from dedupd.errors import ExitCode


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command_and_option(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in COMMANDS)
    assert "older-than" in out and "state-dir" in out


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash here")
def test_bash_completes_a_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["completion", "bash"])
    script = tmp_path / "dedupd.bash"
    script.write_text(capsys.readouterr().out)
    ask = f'source {script}; COMP_WORDS=(dedupd pur); COMP_CWORD=1; _shtab_dedupd; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["purge"], done.stderr


def test_the_manual_tells_every_command_and_option() -> None:
    text = page(whole_parser())
    for name, command in commands_of(whole_parser()).items():
        assert f".SS dedupd {name}".replace("-", r"\-") in text
        for action in actions(command):
            assert all(
                option.replace("-", r"\-") in text
                for option in action.option_strings
                if option not in ("-h", "--help")
            )
    assert all(line[0] == "." or not line.startswith(("'",)) for line in text.splitlines() if line)
    assert "%%" not in text
    assert [text.count(f"\n.TP\n{int(code)}\n") for code in ExitCode] == [1] * len(ExitCode)


@pytest.mark.skipif(shutil.which("groff") is None, reason="no groff here")
def test_groff_reads_it_without_a_word() -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww"],
        input=page(whole_parser()),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "" and "purge" in done.stdout
