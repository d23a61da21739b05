"""Options that few people type reach what they are for."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from dedupd.adapters.vision.embedders import registry
from dedupd.bench import measure, speed
from dedupd.cli import worker_module
from dedupd.cli.commands import demo
from dedupd.cli.main import main
from dedupd.config import Places, load
from dedupd.errors import DedupdError, ExitCode
from dedupd.tui import app


class RecordedPopen:
    """Stands in for the demo's daemon."""

    ended = False

    def __call__(self, *_: object, **__: object) -> RecordedPopen:
        return self

    def terminate(self) -> None:
        self.ended = True

    def wait(self, seconds: float) -> int:
        return 0


def recorded(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> list[tuple[Any, ...]]:
    """The function is called with these words, and then fails: nothing is measured, fetched or written."""
    calls: list[tuple[Any, ...]] = []

    def called(*given: Any, **named: Any) -> NoReturn:
        calls.append((*given, *named.values()))
        raise DedupdError("far enough")

    monkeypatch.setattr(owner, name, called)
    return calls


def test_the_labels_of_a_gallery_may_lie_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, measure, "measure")
    (gallery := tmp_path / "gallery").mkdir()
    labels = tmp_path / "elsewhere.json"
    assert main(["bench", str(gallery), "--truth", str(labels)]) == ExitCode.USAGE
    labels.write_text("{}")
    assert main(["bench", str(gallery), "--truth", str(labels)]) == ExitCode.FAILED
    assert [call[:2] for call in calls] == [(gallery, labels)]


def test_the_photos_of_bench_speed_have_the_size_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, speed, "measure")
    main(["bench", "speed", "--photos", "12", "--megapixels", "0.5", "--runs", "2"])
    assert [call[:3] for call in calls] == [(12, 0.5, 2)]


def test_a_pull_gives_up_when_it_was_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = recorded(monkeypatch, registry, "pull")
    main(["models", "pull", "open_clip:ViT-B-32/laion2b_s34b_b79k", "--timeout", "7"])
    assert [call[-1] for call in calls] == [7.0]


def test_an_export_for_triton_goes_where_it_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = recorded(monkeypatch, worker_module, "last_line")
    assert main(["models", "export", "lite0"]) == ExitCode.USAGE
    assert "where to?" in capsys.readouterr().err
    main(["models", "export", "lite0", "--triton", str(tmp_path / "models")])
    assert [(module, words[:2]) for module, words, *_ in calls] == [
        ("remote.triton", [str(tmp_path / "models"), "lite0"])
    ]


def test_the_page_opens_by_a_ticket_and_not_by_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import webbrowser

    from dedupd.web import serve
    from dedupd.web.listening import Listen
    from dedupd.web.tokens import Tokens

    def serve_once(settings: object, places: object, listen: Listen, told: Any, **_: object) -> None:
        told(listen, Tokens("the-lasting-token"))

    (config := tmp_path / "config.toml").write_text("")
    opened: list[str] = []
    monkeypatch.setattr(serve, "serve", serve_once)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    words = [
        "web",
        "--listen",
        "127.0.0.1:8765",
        "--state-dir",
        str(tmp_path),
        "--config",
        str(config),
    ]
    main(words)
    assert not opened
    main([*words, "--open"])
    assert len(opened) == 1
    assert opened[0].startswith("http://127.0.0.1:8765/?token=")
    assert "the-lasting-token" not in opened[0]


def test_the_demo_makes_its_gallery_where_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[Path, ...]] = []
    monkeypatch.setattr(demo, "_paint", lambda gallery: gallery.mkdir())
    monkeypatch.setattr(subprocess, "Popen", recorded_popen := RecordedPopen())

    def tour(where: Places, gallery: Path) -> int:
        told.append((gallery, *load(where.config, where).roots))
        return 0

    monkeypatch.setattr(demo, "_tour", tour)
    (mine := tmp_path / "mine").mkdir()
    (mine / "a.jpg").touch()
    assert main(["demo", "--folder", str(mine)]) == ExitCode.FAILED
    assert "is not empty: the demo needs a folder of its own" in capsys.readouterr().err
    other = tmp_path / 'a "new" one'
    assert main(["demo", "--folder", str(other)]) == 0
    assert told == [(other, other)] and recorded_popen.ended


@pytest.mark.parametrize("images", ["half", "off"])
def test_the_terminals_pictures_are_those_asked_for(monkeypatch: pytest.MonkeyPatch, images: str) -> None:
    for stream in ("__stdin__", "__stdout__", "__stderr__"):
        monkeypatch.setattr(sys, stream, SimpleNamespace(isatty=lambda: True))
    monkeypatch.setenv("ESCDELAY", "50")
    calls = recorded(monkeypatch, app, "ReviewApp")
    try:
        main(["review", "--images", images])
    finally:
        gc.enable()
    assert calls[0][1] == images
