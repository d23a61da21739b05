"""`dedupd serve-embed` as it is started: what it prints and makes, whom it answers, how it ends, and what it refuses."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from dedupd.adapters.vision import accelerators
from dedupd.adapters.vision.embedders import registry
from dedupd.adapters.vision.remote import wire
from dedupd.cli.main import main
from dedupd.embedding_service import __main__ as service
from tests.end_to_end.house import PATIENCE, House

LITE0 = registry.parse("lite0")
SHAPE = registry.families()["lite0"].shape
assert SHAPE is not None
MEANT = {wire.MODEL_HEADER: wire.identity(LITE0), wire.RECIPE_HEADER: wire.recipe_of(SHAPE)}


@pytest.mark.model
def test_it_prints_the_address_sees_there_for_who_has_the_token_and_ends_in_order(converted: House) -> None:
    house, token_file = converted, converted.folder / "eyes.token"
    process = subprocess.Popen(
        house.command("serve-embed", "--listen", "127.0.0.1:0", "--model", "lite0", "--token-file", token_file),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=house.env, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        url, _, told = said.strip().partition(" ")
        assert told == "sees with lite0-gem/1, by ONNX Runtime"
        token = token_file.read_text().strip()
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600 and len(token) > 40
        body = wire.pack([wire.encode(np.full((SHAPE.side, SHAPE.side, 3), 90, np.uint8))])
        with httpx2.Client(base_url=url, timeout=PATIENCE) as client:
            assert client.get("/health").json() == {"status": "ok"}
            assert client.post("/v1/embed", content=body, headers=MEANT).status_code == 401
            client.headers["Authorization"] = f"Bearer {token}"
            answer = client.post("/v1/embed", content=body, headers=MEANT)
            assert answer.status_code == 200 and {h: answer.headers[h] for h in MEANT} == MEANT
            assert wire.read_rows(answer.content, 1, SHAPE.dimensions).shape == (1, SHAPE.dimensions)
            assert client.get("/ready").json() == {"status": "ready"}
        taken = house.cli("serve-embed", "--listen", url.removeprefix("http://"), "--model", "lite0")
        assert (taken.code, taken.out) == (2, "") and "name another with --listen" in taken.err
        process.send_signal(signal.SIGTERM)
        _, narrated = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert narrated.splitlines() == [f"The token lies in {token_file}."], (
        "and the token itself is printed nowhere"
    )
    assert not house.places.ledger.exists() and not house.places.index.exists()


def started(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    """The command, and in this process what it becomes."""
    became = list[list[str]]()
    (folder / "config.toml").touch()
    monkeypatch.setattr(os, "execve", lambda path, command, env: became.append(command))
    code = main(
        ["--state-dir", str(folder / "state"), "--config", str(folder / "config.toml"), "serve-embed", *words]
    )
    if not became:
        return code
    (command,) = became
    assert command[:4] == [sys.executable, "-P", "-m", "dedupd.embedding_service"]
    monkeypatch.setattr(sys, "argv", command[3:])
    return service.main()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("--listen nowhere --model lite0", "is no address to listen on"),
        ("--listen 127.0.0.1:99999 --model lite0", "names no port up to 65535"),
        ("--listen 0.0.0.0:0 --model lite0", "--tls-cert, or say --insecure-lan"),
        ("--listen 0.0.0.0:0 --model lite0 --insecure-lan", "name a --token-file"),
        ("--listen 127.0.0.1:0 --model lite0 --tls-key key.pem", "--tls-key belongs to a certificate"),
        ("--listen 127.0.0.1:0 --model lite0 --token-file {folder}/open", "holds no token"),
        ("--listen 127.0.0.1:0 --model lite0 --token-file {folder}/none/token", "cannot be used"),
        ("--listen 127.0.0.1:0 --model hashes", "hashes need no model"),
    ],
)
def test_what_cannot_be_served_is_told_in_one_sentence(
    words: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "open").write_text("t" * 43)
    (tmp_path / "open").chmod(0o644)
    assert started(monkeypatch, tmp_path, *words.format(folder=tmp_path).split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == 1
    assert said.err.startswith("dedupd: ") and why in said.err


def test_a_service_takes_of_cards_what_its_owner_allows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accelerators, "_allowed", accelerators._allowed.copy())
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    (tmp_path / "config.toml").write_text('gpus = "1"\ngpu_memory_fraction = 0.5\n')
    assert started(monkeypatch, tmp_path, "--listen", "127.0.0.1:0", "--model", "hashes") == 2
    assert (os.environ["CUDA_VISIBLE_DEVICES"], accelerators.share_to_embed()) == ("0", 0.5)


def test_a_model_that_is_not_known_or_not_here_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert started(monkeypatch, tmp_path, "--listen", "127.0.0.1:0", "--model", "lite1") == 1
    assert 'did you mean "lite0"?' in capsys.readouterr().err
    absent = f"timm:resnet18@{tmp_path}/absent.pt"
    assert started(monkeypatch, tmp_path, "--listen", "127.0.0.1:0", "--model", absent) == 1
    assert capsys.readouterr().err == (
        f"dedupd: the checkpoint {tmp_path}/absent.pt cannot be read: No such file or directory\n"
    )


def test_without_the_extra_one_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dedupd.cli.commands.serve_embed.find_spec", lambda name: None)
    assert started(monkeypatch, tmp_path) == 2
    assert "pip install 'dedupd[remote]'" in capsys.readouterr().err
