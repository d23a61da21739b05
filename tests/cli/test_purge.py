"""`dedupd purge` lists, asks, and acts on a typed yes or the right number alone."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dedupd.cli import console
from dedupd.cli.commands import purge
from dedupd.cli.main import main
from dedupd.core.purging import Purgeable
from dedupd.core.relocation import Goal, Move, MoveState
from dedupd.errors import ExitCode, MoveRefused, Refusal
from dedupd.pipeline.share_space import shareable
from tests.support.shelf import Shelf

HELD = "2024/06/duplicates/kept copy.jpg"


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """One exact copy, held for a hundred days by the clock that made it; then nobody has it open."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    shelf = Shelf(tmp_path)
    shelf.add("2024/06/kept.jpg")
    shelf.add("2024/06/kept copy.jpg")
    shelf.clock.advance(60)
    assert shelf.pass_().files == 1
    shelf.ledger._link.execute("UPDATE moves SET at=at-8640000")  # pyright: ignore[reportPrivateUsage]
    shelf.close()
    (tmp_path / "config.toml").write_text(f'roots = ["{shelf.root}"]\n[schedule]\nsettle_seconds = 0\n')
    return shelf


def said(shelf: Shelf, *words: str) -> int:
    places = ("--state-dir", str(shelf.at / "state"), "--config", str(shelf.at / "config.toml"))
    return main(["purge", "--older-than", "90d", *words, *places])


def test_a_dry_run_lists_and_changes_nothing(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(shelf, "--dry-run") == ExitCode.OK
    out = capsys.readouterr().out
    assert HELD in out and "keeps 2024/06/kept.jpg" in out and "1 file(s)" in out
    assert shelf.path(HELD).exists() and not (shelf.at / "data").exists()


def test_nobody_asked_nothing_done(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(shelf) == ExitCode.CONSENT
    assert "--confirm 1" in capsys.readouterr().err and shelf.path(HELD).exists()


def test_another_number_is_no_yes(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(shelf, "--confirm", "2") == ExitCode.CONSENT
    assert shelf.path(HELD).exists()


@pytest.mark.parametrize(("typed", "goes"), [("yes\n", True), ("y\n", False), ("\n", False), ("", False)])
def test_only_yes_in_full_is_a_yes(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, typed: str, goes: bool
) -> None:
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    assert said(shelf) == (ExitCode.OK if goes else ExitCode.CONSENT)
    assert shelf.path(HELD).exists() is not goes


def test_a_script_knows_the_number_and_undo_brings_it_back(
    shelf: Shelf, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(shelf, "--dry-run", "--json") == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["total"], told["files"][0]["path"], told["purged"]) == (1, HELD, 0)
    assert said(shelf, "--confirm", str(told["total"]), "--json") == ExitCode.OK
    assert json.loads(capsys.readouterr().out)["purged"] == 1
    assert (shelf.at / "data/Trash/files/kept copy.jpg").exists() and not shelf.path(HELD).exists()
    places = ("--state-dir", str(shelf.at / "state"), "--config", str(shelf.at / "config.toml"))
    for everything in (["--all", "--yes"], ["--last"]):
        assert main(["undo", *everything, *places]) == ExitCode.FAILED
        assert "1 file(s) went into the trash by `dedupd purge`" in capsys.readouterr().err
    assert main(["undo", str(shelf.path(HELD)), *places]) == ExitCode.OK
    assert shelf.path("2024/06/kept copy.jpg").exists()
    assert main(["undo", "--last", *places]) == ExitCode.OK
    assert "trash" not in capsys.readouterr().err


def test_what_is_younger_stays(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    places = ("--state-dir", str(shelf.at / "state"), "--config", str(shelf.at / "config.toml"))
    assert main(["purge", "--older-than", "1y", "--confirm", "0", *places]) == ExitCode.OK
    assert "Nothing" in capsys.readouterr().out and shelf.path(HELD).exists()


def test_of_another_month_nothing_goes(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(shelf, "--month", "2024-07", "--confirm", "1") == ExitCode.OK
    assert shelf.path(HELD).exists()


def test_beside_a_daemon_it_says_what_to_do(
    shelf: Shelf, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dedupd.client.connection.ask", lambda *_, **__: object())
    assert said(shelf, "--confirm", "1") == ExitCode.LOCKED
    assert "stop it" in capsys.readouterr().err and shelf.path(HELD).exists()


def test_two_at_once(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.config import places

    with lock_library(places(shelf.at / "state", shelf.at / "config.toml"), (shelf.root,)):
        assert said(shelf, "--confirm", "1") == ExitCode.LOCKED
    assert shelf.path(HELD).exists()


@pytest.mark.parametrize("text", ["90", "0d", "d", "-1d", "90m", "1.5y", "٣d"])
def test_an_age_is_said_in_full(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["purge", "--older-than", text])
    assert end.value.code == ExitCode.USAGE


def test_ages() -> None:
    assert [purge.parse_age(t) / 86_400 for t in ("90d", "2w", "1y")] == [90, 14, 365]


# ---- in place of the trash


class Shares:
    """Shares what it is asked to, or says why not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, refuses: str = "", problem: str = "") -> None:
        self.asked: list[tuple[str, str]] = []
        self._refuses, self._problem = refuses, problem
        monkeypatch.setattr("dedupd.adapters.fs.sharing.BlockSharing", lambda: self)

    def problem(self, root: str) -> str:
        return self._problem

    def share(self, root: str, keep: str, held: str) -> int:
        self.asked.append((keep, held))
        if self._refuses:
            raise MoveRefused(self._refuses, Refusal.OTHER_BYTES)
        return 100


def test_the_same_bytes_share_their_space_and_stay_held(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shares = Shares(monkeypatch)
    assert said(shelf, "--reflink", "--dry-run") == ExitCode.OK and shares.asked == []
    assert said(shelf, "--reflink") == ExitCode.CONSENT and shares.asked == []
    capsys.readouterr()
    assert said(shelf, "--reflink", "--confirm", "1", "--json") == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert (told["shared"], told["shared_bytes"], told["purged"], told["messages"]) == (1, 100, 0, [])
    assert shares.asked == [("2024/06/kept.jpg", HELD)] and shelf.path(HELD).exists()
    assert not (shelf.at / "data").exists()


def test_what_does_not_share_is_told(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Shares(monkeypatch, refuses="it differs")
    assert said(shelf, "--reflink", "--confirm", "1") == ExitCode.FAILED
    assert "keeps its own space: it differs" in capsys.readouterr().err
    Shares(monkeypatch, problem="ext4 cannot")
    assert said(shelf, "--reflink", "--confirm", "1") == ExitCode.OK
    assert "keep their own space: 1 file(s)" in capsys.readouterr().out


def test_only_the_very_same_bytes_share() -> None:
    move = Move(
        id=1, batch="b", group=1, unit="u", file=1, root="/r", src="a", dst="duplicates/a", size=1, mtime_ns=0, dev=0, ino=0,
        content="one", keeper="k", keeper_content="another", relation="copy", goal=Goal.MOVED, state=MoveState.DONE,
        at=0.0, root_id="", primary=True,
    )  # fmt: skip
    rows = [
        Purgeable(move=move, month="", stands="k"),
        Purgeable(move=replace(move, content="another"), month="", stands="k"),
        Purgeable(move=replace(move, primary=False), month="", stands="twin"),
        Purgeable(move=replace(move, content="another"), month="", stands="k", why_not="a person said"),
    ]

    class Willing:
        def problem(self, root: str) -> str:
            return ""

        def share(self, root: str, keep: str, held: str) -> int:
            return 0

    assert [bool(row.why_not) for row in shareable(rows, Willing())] == [True, False, False, True]
