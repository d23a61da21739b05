"""The shipped unit under a real `systemd --user`, in a mount and process namespace of its own.

That needs root, and systemd beside whatever is process 1 here; elsewhere it is skipped, and says why.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.pictures import small_gallery
from tests.support.remote_eyes import Scripted

pytestmark = pytest.mark.slow
REPOSITORY = Path(__file__).parents[2]
SYSTEMD = next((p for p in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd") if os.access(p, os.X_OK)), "")
HOME, UNIT = "/home/ann", "dedupd.service"
DROP_INS = f"/run/user/0/systemd/user/{UNIT}.d"
"""Where a test may add to the unit without being in the way of what `uninstall` takes away."""
# A private /run and /home; /run/systemd/system is all by which systemd knows a machine that it started.
# Nothing may lie below /tmp: the unit sees another one.
LOGIN = f"""
set -e
mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system /run/user/0; chmod 700 /run/user/0
mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/ann/.config/dedupd /mnt/venv /mnt/repository
mount --bind "$1" /mnt/venv; mount --bind "$2" /mnt/repository
cp -r "$3" /mnt/ann/Pictures; mount -t tmpfs tmpfs /tmp
mount --rbind /mnt /home
export HOME={HOME} XDG_RUNTIME_DIR=/run/user/0; unset DBUS_SESSION_BUS_ADDRESS
{SYSTEMD} --user & wait
"""
PATIENCE = 20.0


@dataclass(frozen=True)
class Login:
    """Ann's session."""

    process: int

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        inside = f"/proc/{self.process}/ns"
        enter = ["nsenter", f"--mount={inside}/mnt", f"--pid={inside}/pid_for_children", "--wd=/"]
        env = [f"HOME={HOME}", "XDG_RUNTIME_DIR=/run/user/0", f"PATH={os.environ['PATH']}", "PYTHONPATH=/home/repository"]  # fmt: skip
        return subprocess.run(
            [*enter, "env", "-i", *env, *words], capture_output=True, text=True, check=False, timeout=60
        )

    def dedupd(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("/home/venv/bin/python", "-P", "-m", "dedupd", *words)

    def systemctl(self, *words: str) -> str:
        return self.run("systemctl", "--user", *words).stdout.strip()

    def shows(self, name: str) -> str:
        return self.systemctl("show", "-P", name, UNIT)

    def write(self, path: str, *lines: str) -> None:
        done = self.run("sh", "-c", 'mkdir -p "${1%/*}" && printf "%s\\n" "$@" | tail -n +2 >"$1"', "sh", path, *lines)  # fmt: skip
        assert done.returncode == 0, done.stderr

    def may_write(self, path: str) -> bool:
        """As the service sees the disk."""
        touch = ["nsenter", "-t", self.shows("MainPID"), "-m", "touch", f"{path}/touched"]
        return self.run(*touch).returncode == 0


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"{what}: not within {PATIENCE:.0f} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    if os.geteuid() != 0 or not SYSTEMD or not shutil.which("nsenter"):
        pytest.skip("needs root, systemd and nsenter")
    if Path(sys.base_prefix).is_relative_to("/home") or Path(sys.base_prefix).is_relative_to("/tmp"):
        pytest.skip(f"this Python lies in {sys.base_prefix}, which the test or the unit hides")
    gallery = small_gallery(tmp_path_factory.mktemp("photos") / "Pictures")
    unshare = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
    said = (tmp_path_factory.mktemp("log") / "systemd").open("w+")
    places = [sys.prefix, os.fspath(REPOSITORY), os.fspath(gallery)]
    process = subprocess.Popen([*unshare, "bash", "-c", LOGIN, "login", *places], stdout=said, stderr=said)
    try:
        ann, end = Login(process.pid), time.monotonic() + PATIENCE
        while ann.run("systemctl", "--user", "show", "-P", "Version").returncode:
            if process.poll() is not None or time.monotonic() > end:
                said.seek(0)
                pytest.skip(f"`systemd --user` does not run here: {said.read()[-300:]}")
            time.sleep(0.05)
        yield ann
    finally:
        process.kill()
        process.wait()
        said.close()


@pytest.fixture(scope="module")
def told(login: Login) -> dict[str, str]:
    """What `doctor` said of the unit's sandbox; the service is installed without what it named, and runs."""
    config = f"{HOME}/.config/dedupd/config.toml"
    login.write(config, f'roots = ["{HOME}/Pictures"]', 'embedder = "hashes"')
    login.write(
        f"{DROP_INS}/test.conf", "[Service]", "Environment=PYTHONPATH=/home/repository",
        "WatchdogSec=3", "TimeoutAbortSec=1", "RestartSec=100ms",
    )  # fmt: skip
    found = {each["what"]: each for each in json.loads(login.dedupd("doctor", "--json").stdout)}["service"]
    first = login.dedupd("service", "install")
    if "cannot set up" in found["told"]:
        assert "226/NAMESPACE" in first.stderr and "dedupd doctor" in first.stderr
        assert "log in" not in first.stderr
        off = [word for word in found["told"].split() if word.rstrip(",").endswith("=no")]
        assert off
        login.write(f"{DROP_INS}/sandbox.conf", "[Service]", *(word.rstrip(",") for word in off))
        login.systemctl("reset-failed", UNIT)
        first = login.dedupd("service", "install")
    assert first.returncode == 0, first.stderr
    return found


@pytest.mark.usefixtures("told")
def test_it_is_started_when_it_is_ready_and_says_what_it_does(login: Login) -> None:
    assert login.shows("ActiveState") == "active"  # `install` returned, and Type=notify waits for READY
    assert login.dedupd("service", "status").returncode == 0
    assert json.loads(login.dedupd("status", "--json").stdout)["daemon"] == "running"
    until(lambda: "photos" in login.shows("StatusText"), "STATUS tells of the library")


@pytest.mark.usefixtures("told")
def test_it_may_write_where_it_must_and_nowhere_else(login: Login) -> None:
    places = {
        f"{HOME}/Pictures": True, f"{HOME}/.local/state/dedupd": True, "/run/user/0/dedupd": True, "/tmp": True,
        HOME: False, f"{HOME}/.config/dedupd": False, "/etc": False, "/home": False,
    }  # fmt: skip
    assert {path: login.may_write(path) for path in places} == places
    assert login.run("test", "-e", "/tmp/touched").returncode != 0, "its /tmp is its own"


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("signal", ["KILL", "STOP"], ids=["killed", "hung: the watchdog expires"])
def test_it_is_started_again(login: Login, signal: str) -> None:
    before, restarts = login.shows("MainPID"), int(login.shows("NRestarts"))
    login.run("kill", f"-{signal}", before)
    until(lambda: int(login.shows("NRestarts")) > restarts, f"a restart after SIG{signal}")
    until(lambda: login.shows("ActiveState") == "active", "READY again")
    assert login.shows("MainPID") != before
    assert json.loads(login.dedupd("status", "--json").stdout)["daemon"] == "running"


def test_doctor_names_the_lines_of_the_sandbox_that_are_in_the_way(
    login: Login, told: dict[str, str]
) -> None:
    """Only those, and none once they are off."""
    if "cannot set up" in told["told"]:
        assert "PrivateUsers" not in told["told"] and "ProtectSystem" not in told["told"]
    now = {each["what"]: each for each in json.loads(login.dedupd("doctor", "--json").stdout)}["service"]
    assert now["ok"], now["told"]


ASK = """
import socket, sys
from dedupd.adapters.vision.remote.endpoints import Endpoint
print(Endpoint(sys.argv[1]).ask("GET", "/", most=99).body.decode())
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1].rpartition(":")[2])), 5)
except OSError:
    print("no network")
"""


@pytest.mark.usefixtures("told")
def test_embedding_elsewhere_it_reaches_that_address_and_nothing_else(login: Login) -> None:
    config = f"{HOME}/.config/dedupd/config.toml"
    with Scripted(lambda path, body: (200, {}, b"here I am")).running() as url:
        login.write(
            config, f'roots = ["{HOME}/Pictures"]', 'embedder = "hashes"', "[embedding]", 'mode = "auto"',
            f'url = ["{url}"]',
        )  # fmt: skip
        assert f"{url} is not open to the service yet" in login.dedupd("service", "status").stdout
        done = login.dedupd("service", "install")
        assert done.returncode == 0, done.stderr
        assert "not open" not in login.dedupd("service", "status").stdout
        (proxies,) = (
            word for word in login.shows("Environment").split() if word.startswith("DEDUPD_PROXIES=")
        )
        inside = ["nsenter", "-t", login.shows("MainPID"), "-m", "-n", "env", proxies]
        said = login.run(*inside, "/home/venv/bin/python", "-P", "-c", ASK, url)
    assert said.stdout.splitlines() == ["here I am", "no network"], said.stderr
    login.write(config, f'roots = ["{HOME}/Pictures"]', 'embedder = "hashes"')
    assert login.dedupd("service", "install").returncode == 0
    assert login.systemctl("list-units", "--all", "--plain", "--no-legend", "dedupd-proxy@*.socket") == ""


@pytest.mark.usefixtures("told")
def test_uninstalled_nothing_of_it_is_left(login: Login) -> None:
    assert login.dedupd("service", "uninstall").returncode == 0
    assert login.shows("ActiveState") == "inactive"
    assert login.run("find", f"{HOME}/.config/systemd", "-type", "f", "-o", "-type", "l").stdout == ""
    assert login.run("test", "-e", f"{HOME}/Pictures").returncode == 0
