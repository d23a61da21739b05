"""`dedupd init` finds folders with photos, asks about each, and writes only what was chosen."""

from __future__ import annotations

import io
import json
from itertools import count
from pathlib import Path

import pytest

from dedupd.cli import console
from dedupd.cli.finding_roots import likely_roots, look
from dedupd.cli.main import main
from dedupd.config import Settings, load, places
from dedupd.errors import ExitCode
from dedupd.library import estimating
from dedupd.pipeline.estimate import Estimate


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setattr(Path, "home", lambda: home)
    monkeypatch.setenv("USER", "nobody-here")
    return home


@pytest.fixture(autouse=True)
def estimated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Path, ...]]:
    """The roots of each estimate; what one is, tests/pipeline/test_estimate.py shows."""
    asked: list[tuple[Path, ...]] = []

    def estimate(settings: Settings, *_: object) -> Estimate:
        asked.append(settings.roots)
        return Estimate(
            photos=1, bytes=5, undecoded=0, seconds=(1, 1), same_files=0, same_bytes=0, sampled=1, problems=()
        )

    monkeypatch.setattr(estimating, "estimate_scan", estimate)
    return asked


def put(path: Path, size: int = 10) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)


def names(home: Path, *cards: Path) -> list[str]:
    return [str(r.path.relative_to(home)) for r in likely_roots(home, cards)]


def test_folders_with_photos_none_inside_another(home: Path) -> None:
    put(home / "Pictures/2024/06/a.jpg")
    put(home / "OneDrive - Family/Pictures/b.HEIC")
    put(home / "Dropbox/work/report.pdf")
    put(home / "Dropbox/Camera Uploads/c.jpg")
    put(home / "Nextcloud/mine/d.cr2")
    put(home / "card/DCIM/100/e.jpg")
    (home / "Photos").mkdir()
    found = names(home, home / "card/DCIM")
    assert found == [
        "Pictures",
        "OneDrive - Family/Pictures",
        "Dropbox/Camera Uploads",
        "Nextcloud",
        "card/DCIM",
    ]


def test_what_is_none_of_the_library_is_not_counted(home: Path) -> None:
    put(home / "Pictures/a.jpg", 100)
    put(home / "Pictures/b.mp4", 50)
    for other in (
        "duplicates/a.jpg",
        ".thumbs/a.jpg",
        "#recycle/a.jpg",
        "Photos.photoslibrary/a.jpg",
        "notes.txt",
        "a.jpg.part",
    ):
        put(home / "Pictures" / other)
    seen = look(home / "Pictures")
    assert (seen.photos, seen.size, seen.whole) == (2, 150, True)


def test_a_link_is_not_followed(home: Path, tmp_path: Path) -> None:
    put(tmp_path / "elsewhere/a.jpg")
    (home / "Pictures").symlink_to(tmp_path / "elsewhere")
    put(home / "Photos/a.jpg")
    (home / "Photos/more").symlink_to(tmp_path / "elsewhere")
    (seen,) = likely_roots(home, ())
    assert (seen.path, seen.photos) == (home / "Photos", 1)


def test_the_look_has_an_end(home: Path) -> None:
    for number in range(9):
        put(home / f"Pictures/{number}/a.jpg")
    seen = look(home / "Pictures", count().__next__)
    assert 0 <= seen.photos < 9 and not seen.whole


def test_each_is_asked_about(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, estimated: list[tuple[Path, ...]]
) -> None:
    put(home / "Pictures/a.jpg")
    put(home / "Photos/a.jpg")
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO("n\ny\nn\n"))
    config = tmp_path / "config.toml"
    assert main(["init", "--config", str(config)]) == ExitCode.OK
    assert f'roots = ["{home}/Photos"]' in config.read_text()
    assert not (home / "Photos/.dedupd-root.json").exists()
    assert estimated == [(home / "Photos",)], "before the question whether to look now"


def test_named_folders_are_estimated_when_asked(
    home: Path, tmp_path: Path, estimated: list[tuple[Path, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "Photos").mkdir()
    named = ["init", str(home / "Photos"), "--config"]
    assert main([*named, str(tmp_path / "a.toml")]) == ExitCode.OK
    assert estimated == []
    assert main([*named, str(tmp_path / "b.toml"), "--estimate"]) == ExitCode.OK
    assert estimated == [(home / "Photos",)]
    assert "a first scan takes" in capsys.readouterr().out
    assert main([*named, str(tmp_path / "c.toml"), "--estimate", "--json"]) == ExitCode.USAGE
    assert not (tmp_path / "c.toml").exists()


def test_none_chosen_nothing_written(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(home / "Pictures/a.jpg")
    monkeypatch.setattr(console, "can_ask", lambda: True)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert main(["init", "--config", str(tmp_path / "config.toml")]) == ExitCode.USAGE
    assert not (tmp_path / "config.toml").exists()


def test_one_that_is_there_is_not_asked_about(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text("roots = []\n")
    monkeypatch.setattr(console, "can_ask", lambda: True)
    assert main(["init", "--config", str(tmp_path / "config.toml")]) == ExitCode.USAGE
    assert main(["init", str(home), "--config", str(tmp_path / "config.toml")]) == ExitCode.USAGE
    assert (tmp_path / "config.toml").read_text() == "roots = []\n"


def test_a_script_lists_and_names(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(home / "Pictures/a.jpg", 5)
    assert main(["init", "--find", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told == [{"path": str(home / "Pictures"), "photos": 1, "bytes": 5, "whole": True}]
    config = tmp_path / "config.toml"
    assert main(["init", told[0]["path"], "--json", "--config", str(config)]) == ExitCode.OK
    assert json.loads(capsys.readouterr().out) == {"config": str(config), "roots": [str(home / "Pictures")]}


def test_without_a_folder_the_next_step_is_to_name_one(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "config.toml"
    assert main(["init", "--config", str(config)]) == ExitCode.OK
    assert "Put your folders into its `roots`" in capsys.readouterr().out
    assert load(config, places(tmp_path / "state", config)).roots == ()
