"""What is made from the parser: completion for each shell, and the manual page. And what README and manual tell to type."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dedupd.cli.commands.man import page
from dedupd.cli.main import COMMANDS, main, whole_parser
from dedupd.cli.manual import TOPICS, printed, topic
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


REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text("utf-8")


def typed(text: str) -> Iterator[str]:
    """The command lines that a Markdown text tells to type: indented or fenced, without what explains them."""
    for line in re.findall(r"^(?: {4}|\$ )(dedupd .*)$", text, re.MULTILINE):
        yield re.split(r" {2,}|  \[", line)[0].replace("…", "2024")


@pytest.mark.parametrize("name", ["README", *TOPICS])
def test_every_command_that_is_told_can_be_typed(name: str) -> None:
    lines = list(typed(README if name == "README" else topic(name)))
    parser = whole_parser()
    for line in lines:
        try:
            parser.parse_args(shlex.split(line)[1:])
        except SystemExit:
            pytest.fail(f"{name} tells to type `{line}`, which is not understood")
    assert lines or name not in ("README", "undo", "models", "archives")


def test_a_told_command_that_is_not_understood_is_seen() -> None:
    assert list(typed("x\n    dedupd undo --lost   the last\n\n$ dedupd show 3\n")) == [
        "dedupd undo --lost",
        "dedupd show 3",
    ]
    with pytest.raises(SystemExit):
        whole_parser().parse_args(["undo", "--lost"])


def test_every_topic_is_a_file_that_the_readme_names() -> None:
    files = {path.stem for path in (REPOSITORY / "dedupd" / "manual").glob("*.md")}
    assert files == set(TOPICS) == set(re.findall(r"\(dedupd/manual/([a-z]+)\.md\)", README))


def test_what_a_command_says_to_read_is_a_topic() -> None:
    said = {
        name: re.findall(r"dedupd man ([a-z]+)", command.epilog or "")
        for name, command in commands_of(whole_parser()).items()
    }
    assert said["scan"] == ["scanning"] and sum(map(len, said.values())) > 10
    assert {found for topics in said.values() for found in topics} <= set(TOPICS)


def test_a_topic_is_printed_as_it_is_and_set_for_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["man", "undo"]) == 0
    assert capsys.readouterr().out == topic("undo")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", printed("undo", 60))
    assert "dedupd undo --last" in shown and "##" not in shown and "`" not in shown


def test_a_topic_that_is_none_is_told_with_all_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["man", "undone"])
    assert "deciding" in capsys.readouterr().err


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(README.splitlines()) < 250
    assert all((REPOSITORY / path).is_file() for path in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README))
