"""`dedupd groups --best`: the groups that free the most space, those first; `dedupd init` shows them."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from dedupd.cli import console, finding_roots
from dedupd.cli import main as cli
from dedupd.cli.finding_roots import LikelyRoot
from dedupd.errors import ExitCode
from tests.support.shelf import Shelf


@pytest.fixture
def places(tmp_path: Path) -> tuple[str, ...]:
    """Three pairs in two months, the copies of 1, 3 and 2 kB more than the least."""
    shelf = Shelf(tmp_path)
    for month, name, size in (("2024/06", "a", 1_000), ("2024/06", "b", 3_000), ("2024/07", "c", 2_000)):
        shelf.add(f"{month}/{name}.jpg", name)
        copy = shelf.small(f"{month}/{name} small.jpg", name)
        copy.write_bytes(copy.read_bytes() + b" " * size)
    shelf.clock.advance(60)
    shelf.look()
    shelf.close()
    config = tmp_path / "config.toml"
    config.write_text(f'roots = ["{shelf.root}"]\n[schedule]\nsettle_seconds = 0\n')
    return "--state-dir", str(tmp_path / "state"), "--config", str(config)


def kept(places: tuple[str, ...], capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert cli.main(["groups", "--json", *words, *places]) == ExitCode.OK
    return [group["keep"] for group in json.loads(capsys.readouterr().out)["groups"]]


def test_the_best_come_first(places: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(kept(places, capsys)) == 3
    assert kept(places, capsys, "--best", "2") == ["2024/06/b.jpg", "2024/07/c.jpg"]
    assert kept(places, capsys, "--best", "5", "--month", "2024-06") == ["2024/06/b.jpg", "2024/06/a.jpg"]
    assert cli.main(["groups", "--best", "2", *places]) == ExitCode.OK
    told = capsys.readouterr().out
    assert 0 < told.index("b small.jpg") < told.index("c small.jpg") and "a small.jpg" not in told


def test_the_first_run_shows_the_ten_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\ny\n"))
    root = LikelyRoot(path=tmp_path, photos=1, size=1, whole=True)

    def likely_roots(home: Path) -> list[LikelyRoot]:
        return [root]

    monkeypatch.setattr(finding_roots, "likely_roots", likely_roots)
    real = cli.main

    def main(words: list[str]) -> int:
        asked.append(words)
        return ExitCode.OK

    monkeypatch.setattr(cli, "main", main)
    config = str(tmp_path / "config.toml")
    assert real(["init", "--config", config]) == ExitCode.OK
    assert [words[:3] for words in asked] == [
        ["scan", "--estimate", str(tmp_path)],
        ["scan", "--dry-run", str(tmp_path)],
        ["groups", "--best", "10"],
    ]
    assert all(words[-2:] == ["--config", config] for words in asked)
    assert capsys.readouterr().err.count(config) == 1
