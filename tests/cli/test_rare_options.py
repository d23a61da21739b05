"""Options that few people type reach what they are for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pytest

from dedupd.adapters.vision.embedders import registry
from dedupd.bench import measure, speed
from dedupd.cli import worker_module
from dedupd.cli.main import main
from dedupd.errors import DedupdError, ExitCode


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
