"""`dedupd demo`: makes a small gallery, runs the real daemon on it, adds photos while it watches, and shows
the result.

Everything happens in a temporary folder with its own state. Must never touch anything of the user's.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, tell
from dedupd.cli.options import Commands, add_command
from dedupd.errors import DedupdError, ExitCode, NoDaemon

if TYPE_CHECKING:
    from dedupd.config import Places
    from dedupd.protocol.views import StatusView

PATIENCE = 240.0
"""Seconds allowed for one step, on a slow laptop that builds the model for the first time."""


def add(commands: Commands) -> None:
    """The options of `dedupd demo`."""
    parser = add_command(
        commands,
        "demo",
        run,
        help="show dedupd at work on a small gallery it makes itself",
        example="dedupd demo",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="where to make the gallery (default: a temporary folder, removed at the end)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Ends by itself; returns exit code 0 when the daemon found and moved what it should."""
    import tempfile

    from dedupd.config import places

    with tempfile.TemporaryDirectory(prefix="dedupd-demo-") as temporary:
        home = Path(temporary).resolve()
        gallery = (arguments.folder or home / "Pictures").expanduser().absolute()
        if gallery.exists() and any(gallery.iterdir()):
            raise DedupdError(f"{gallery} is not empty: the demo needs a folder of its own")
        where = places(home / "state", home / "config.toml")
        _step("painting a small gallery: photos, copies, a burst, look-alikes")
        _paint(gallery)
        answer(f"   {_count(gallery)} pictures in {gallery}")
        with _daemon(where, gallery, home):
            return _tour(where, gallery)


def _tour(where: Places, gallery: Path) -> int:
    from dedupd.client.connection import ask
    from dedupd.core.summary import human_bytes
    from dedupd.protocol.requests import Approve, GetMonths
    from dedupd.protocol.results import Acted, MonthsPage

    _step("the daemon looks at them (the first run builds its model: some seconds)")
    status = _until(where, lambda s: s.photos > 0 and _idle(s))
    answer(
        f"   {status.photos} photos seen with {status.model or 'perceptual hashes'}; {status.waiting_to_move} file(s) are ready to move"
    )
    answer("   nothing moves before the first yes; here it is what `dedupd approve --all` says")
    first = ask(where.socket, Approve(all=True), Acted, timeout=PATIENCE)
    _show(where)
    _step("three more photos are dropped into 2024/06 while it watches")
    _paint(gallery, "--more")
    started = time.monotonic()
    status = _until(where, lambda s: s.moved > first.moved and _idle(s))
    answer(f"   found and settled after {time.monotonic() - started:.0f} s")
    for month in ask(where.socket, GetMonths(), MonthsPage).months:
        if month.moved:
            line = (
                (gallery / month.month[:4] / "duplicates_summary" / f"{month.month}.md")
                .read_text("utf-8")
                .splitlines()[2]
            )
            answer(f"   {line}")
    answer(f"   {status.moved} file(s) moved, {human_bytes(status.bytes_saved)} saved, {status.photos} photos kept, "
           f"{status.groups_waiting} group(s) for a person to look at")  # fmt: skip
    answer("Every move can be undone (`dedupd undo`). On your own photos:  dedupd scan --dry-run ~/Pictures")
    return int(ExitCode.OK if first.moved and status.moved > first.moved else ExitCode.FAILED)


def _show(where: Places) -> None:
    from dedupd.client.connection import ask
    from dedupd.core.summary import visible
    from dedupd.protocol.requests import GetGroups
    from dedupd.protocol.results import GroupsPage

    for group in ask(where.socket, GetGroups(), GroupsPage).groups:
        answer(f"   {group.relation:<8} keeps {visible(group.keep)}")
        for path in group.duplicates:
            answer(f"            moved {visible(path)}  ({group.why.get(path, '')})")
        for path in group.review:
            answer(f"            left for you to look at: {visible(path)}")


def _step(what: str) -> None:
    answer(f"── {what}")


def _idle(status: StatusView) -> bool:
    return not status.busy and status.months_waiting == 0


def _until(where: Places, good: Callable[[StatusView], bool]) -> StatusView:
    from dedupd.client.connection import ask
    from dedupd.protocol.requests import GetStatus
    from dedupd.protocol.views import StatusView

    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            status = ask(where.socket, GetStatus(), StatusView)
            if good(status):
                return status
        except NoDaemon:
            pass
        time.sleep(0.3)
    raise DedupdError(f"the demo's daemon was not done after {PATIENCE:.0f} s: run `dedupd doctor`")


def _paint(gallery: Path, *options: str) -> None:
    import subprocess

    # In a process of its own: the command line stays free of Pillow and numpy.
    done = subprocess.run(
        [sys.executable, "-m", "dedupd.bench.gallery", str(gallery), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DedupdError(
            f"the demo's pictures could not be made: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
        )


def _count(gallery: Path) -> int:
    return sum(1 for path in gallery.rglob("*") if path.is_file())


@contextmanager
def _daemon(where: Places, gallery: Path, home: Path) -> Generator[None]:
    import subprocess

    roots = json.dumps([str(gallery)], ensure_ascii=False)  # as TOML writes it
    where.config.write_text(
        f"roots = {roots}\n[schedule]\nsettle_seconds = 1.0\nquiet_seconds = 2.0\n", encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "dedupd",
        "--state-dir",
        str(where.state),
        "--config",
        str(where.config),
        "run",
    ]
    with (home / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ)
        try:
            yield
        except DedupdError:
            tell((home / "daemon.log").read_text(errors="replace"))
            raise
        finally:
            daemon.terminate()
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
