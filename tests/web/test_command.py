"""`dedupd web` as it is started: what it prints, what it makes, how it ends, and that there is one at a time."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from dedupd.cli.main import main
from dedupd.web import serve as web_serve
from dedupd.web.tokens import Tokens
from tests.end_to_end.house import PATIENCE, House


def test_it_prints_the_address_serves_there_and_ends_in_order(tmp_path: Path) -> None:
    house = House(folder=tmp_path)
    house.configure()
    house.root.mkdir()
    process = subprocess.Popen(
        house.command("web", "--listen", "127.0.0.1:0"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=house.env, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with httpx2.Client(follow_redirects=True, timeout=PATIENCE) as browser:
            page = browser.get(url)
            assert page.status_code == 200 and "token" not in str(page.url)
            assert browser.get(page.url.join("/api/status")).json()["daemon"] == "stopped"
        token = house.state / "web.token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600 and token.read_text().strip() in url

        second = house.cli("web", "--listen", "127.0.0.1:0")
        assert second.code == 4 and "another `dedupd web`" in second.err
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0 and "Traceback" not in said
    assert sorted(path.name for path in (house.state / "web").iterdir()) == [
        ".made-by-dedupd-web",
        "lock",
    ]
    assert [path.name for path in house.root.iterdir()] == []


def test_what_cannot_be_served_is_told(tmp_path: Path) -> None:
    house = House(folder=tmp_path)
    house.configure()
    elsewhere = house.cli("web", "--listen", "0.0.0.0:0")
    assert elsewhere.code == 2 and "--tls-cert" in elsewhere.err
    (tmp_path / "cert.pem").write_text("no certificate\n")
    broken = house.cli("web", "--listen", "127.0.0.1:0", "--tls-cert", tmp_path / "cert.pem")
    assert broken.code == 2 and "certificate" in broken.err


def test_review_web_is_dedupd_web_opened_in_the_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened, tokens, listens = list[str](), Tokens("t" * 43), list[web_serve.Listen]()
    monkeypatch.setattr("webbrowser.open", opened.append)

    def serve(
        settings: object,
        places: object,
        listen: web_serve.Listen,
        told: Callable[..., None],
        start_command: list[str],
    ) -> None:
        listens.append(listen)
        assert start_command[1:4] == ["-m", "dedupd", "run"]
        told(listen, tokens)

    monkeypatch.setattr(web_serve, "serve", serve)
    monkeypatch.setenv("DEDUPD_STATE_DIR", str(tmp_path))
    assert main(["review", "--web", "--port", "8799"]) == 0
    assert [listen.url for listen in listens] == ["http://127.0.0.1:8799"]
    (address,) = opened
    ticket = address.removeprefix("http://127.0.0.1:8799/?token=")
    assert tokens.token not in address and tokens.opens_once(ticket) and not tokens.opens_once(ticket)
    assert tokens.token in capsys.readouterr().out


def test_a_service_prints_no_token_and_starts_no_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(
        settings: object,
        places: object,
        listen: web_serve.Listen,
        told: Callable[..., None],
        start_command: list[str],
    ) -> None:
        told(listen, Tokens("t" * 43))
        assert start_command == []

    monkeypatch.setattr(web_serve, "serve", serve)
    monkeypatch.setenv("DEDUPD_STATE_DIR", str(tmp_path))
    assert main(["web", "--by-service"]) == 0
    said = capsys.readouterr()
    assert "http://127.0.0.1:8765" in said.out and "t" * 43 not in said.out + said.err
    assert main(["web", "--address"]) == 0
    assert capsys.readouterr().out == f"http://127.0.0.1:8765/?token={(tmp_path / 'web.token').read_text()}"


def test_without_the_extra_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for module in ("serve", "listening"):
        monkeypatch.delitem(sys.modules, f"dedupd.web.{module}")
    assert main(["review", "--web"]) == 2
    assert "pip install 'dedupd[web]'" in capsys.readouterr().err
