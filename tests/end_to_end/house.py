"""A household for one test: photos, a state, a config, the real daemon and the real command line on them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from dedupd.client.connection import ask
from dedupd.config import Places, places
from dedupd.errors import NoDaemon
from dedupd.protocol.requests import GetGroups, GetStatus, Request, ScanNow
from dedupd.protocol.results import Acted, Confirmed, GroupsPage
from dedupd.protocol.views import StatusView

PATIENCE = 60.0
"""Seconds until a wait is a failure, on a machine that is busy with other things."""
REPOSITORY = Path(__file__).parents[2]
HURRIED = (
    "import sys, dedupd.daemon.hints as h, dedupd.daemon.jobs as j\n"
    "import dedupd.daemon.schedule as s, dedupd.daemon.socket_server as v\n"
    "h.HINT_SECONDS, h.HINT_LIMIT_SECONDS, j.BUSY_SECONDS = 0.2, 1.0, 1.0\n"
    "s.SWEEP_SECONDS, s.ROOTS_SECONDS, s.CONFIG_SECONDS, v.LISTENS_SECONDS = 1, 1, 1, 0.05\n"
    "from dedupd.cli.main import main\n"
    "sys.exit(main())"
)
"""The daemon itself, its fixed intervals shortened: nobody waits half a minute for a sweep in a test."""

GATED = (
    "import os, time, dedupd.pipeline.ingest as ingest\n"
    "usual = ingest.ingest_files\n"
    "def ingest_files(ledger, vision, clock, files, *more):\n"
    "    while len(files) > 4 and not os.path.exists({gate!r}): time.sleep(0.02)\n"
    "    return usual(ledger, vision, clock, files, *more)\n"
    "ingest.ingest_files = ingest_files\n"
)
"""An import stands still in its first slice until the gate is there: whoever asks meanwhile comes in after that slice."""

ORDINARY = (
    "import ctypes, os, sys\n"
    "for dac in (1, 2):\n"  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    "    ctypes.CDLL(None).prctl(24, dac, 0, 0, 0)\n"  # PR_CAPBSET_DROP
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""Goes on as a process that closed doors stop, as they stop everybody but root."""

R = TypeVar("R", bound=msgspec.Struct)


@cache
def painted(seed: int, size: tuple[int, int] = (480, 360), quality: int = 90) -> bytes:
    """A JPEG; the same seed at another size or quality is a copy of it."""
    import io

    from tests.support.pictures import picture

    out = io.BytesIO()
    picture(seed, size).save(out, "JPEG", quality=quality)
    return out.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(slots=True, kw_only=True)
class House:
    """Paths and processes of one household; nothing of it lies outside `folder`."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    state_name: str = "state"
    ordinary: bool = False
    """Commands obey the modes of files even where the tests are root's."""

    @property
    def root(self) -> Path:
        return self.folder / "Pictures"

    @property
    def state(self) -> Path:
        return self.folder / self.state_name

    @property
    def config(self) -> Path:
        return self.folder / f"{self.state_name}.toml"

    @property
    def places(self) -> Places:
        return places(self.state, self.config, env=self.env)

    @property
    def env(self) -> dict[str, str]:
        """The family's own login: one runtime folder for all its states."""
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700, exist_ok=True)
        ours = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("DEDUPD_", "XDG_", "NOTIFY_", "WATCHDOG_"))
        }
        path = os.pathsep.join(p for p in (str(REPOSITORY), os.environ.get("PYTHONPATH")) if p)
        return ours | {
            "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(runtime), "HF_HUB_OFFLINE": "1", "PYTHONPATH": path,
            "TERM": "dumb",
        }  # fmt: skip

    def configure(self, **changes: Any) -> None:
        """Write config.toml: quick settings, then these; `schedule`, `speed` and `tiers` are tables."""
        schedule = {"settle_seconds": 0.2, "quiet_seconds": 0.1} | changes.pop("schedule", {})
        top = {"roots": [str(self.root)], "embedder": "hashes"} | changes
        speed = {"battery": 0} | top.pop("speed", {})  # on whatever laptop it runs
        tables = {"schedule": schedule, "speed": speed, "tiers": top.pop("tiers", {})}
        lines = [f"{key} = {json.dumps(value)}" for key, value in top.items()]
        for name, table in tables.items():
            lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
        self.config.write_text("\n".join(lines) + "\n")

    # ---- photos

    def add(self, path: str | bytes, seed: int, **how: Any) -> Path:
        """Put a photo there, at once, as a rename does."""
        target = Path(os.fsdecode(os.path.join(os.fsencode(self.root), os.fsencode(path))))
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(".draft.part")
        draft.write_bytes(painted(seed, **how))
        draft.rename(target)
        return target

    def photos(self) -> dict[str, str]:
        """Path below the root -> digest, of everything but dedupd's own files."""
        found = (p for p in sorted(self.root.rglob("*")) if p.is_file())
        return {
            str(p.relative_to(self.root)): hashlib.blake2b(p.read_bytes()).hexdigest()
            for p in found
            if not p.name.startswith(".dedupd") and "duplicates_summary" not in p.parts
        }

    def tree(self) -> dict[str, tuple[int, int, int, int]]:
        """Every entry under the root, folders too: mode, size, mtime, inode."""
        found: dict[str, tuple[int, int, int, int]] = {}
        for at in (self.root, *sorted(self.root.rglob("*"))):
            stat = at.lstat()
            found[str(at)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, stat.st_ino)
        return found

    # ---- commands

    def command(self, *arguments: object) -> list[str]:
        where = ["--state-dir", str(self.state), "--config", str(self.config)]
        return [
            sys.executable,
            *(("-c", ORDINARY) if self.ordinary else ()),
            "-m",
            "dedupd",
            *where,
            *(os.fsdecode(os.fsencode(str(a))) for a in arguments),
        ]

    def cli(self, *arguments: object, timeout: float = PATIENCE) -> Result:
        """One command, nobody at the terminal."""
        done = subprocess.run(
            self.command(*arguments), stdin=subprocess.DEVNULL, capture_output=True, env=self.env, timeout=timeout, check=False,
        )  # fmt: skip
        result = Result(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())
        assert "Traceback" not in result.err, result.err
        return result

    def scan(self, *arguments: object) -> dict[str, Any]:
        """`dedupd scan` of the root that must succeed; its report."""
        report = self.folder / "report.json"
        done = self.cli("scan", self.root, "--report", report, *arguments)
        assert done.code == 0, done.err
        return json.loads(report.read_text())

    # ---- the daemon

    @contextlib.contextmanager
    def daemon(self, *arguments: object, first: str = "") -> Iterator[Daemon]:
        """The real daemon in a process of its own, answering; ended at the end, however the test ends."""
        running = Daemon(house=self, process=self.start(*arguments, first=first))
        try:
            running.until(lambda status: True)
            yield running
        finally:
            running.process.kill()
            running.process.wait()

    def start(self, *arguments: object, first: str = "") -> subprocess.Popen[bytes]:
        """`first`: Python run in the daemon's process before it, to break something."""
        where = ["--state-dir", str(self.state), "--config", str(self.config)]
        command = [sys.executable, "-c", first + HURRIED, *where, "run", *map(str, arguments)]
        with (self.folder / "daemon.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(errors="replace")


@dataclass(slots=True, kw_only=True)
class Daemon:
    """One running daemon."""

    house: House
    process: subprocess.Popen[bytes]

    def ask(self, request: Request, kind: type[R]) -> R:
        return ask(self.house.places.socket, request, kind, timeout=PATIENCE)

    def status(self) -> StatusView:
        return self.ask(GetStatus(), StatusView)

    def until(self, done: Callable[[StatusView], bool], seconds: float = PATIENCE) -> StatusView:
        """Ask for the status until `done` says so; a failure tells what it was last."""
        end, last = time.monotonic() + seconds, None
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.house.log()}")
            with contextlib.suppress(NoDaemon):
                last = self.status()
                if done(last):
                    return last
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s: {last}\n{self.house.log()}")

    def settled(self, done: Callable[[StatusView], bool] = lambda status: True) -> StatusView:
        """Until nothing is left to do and `done` says so."""
        return self.until(lambda s: not s.busy and not s.months_waiting and done(s))

    def look(self) -> None:
        """Ask for a full look and wait for its end."""
        self.ask(ScanNow(), Confirmed)
        self.settled()

    def approve_all(self) -> Acted:
        from dedupd.protocol.requests import Approve

        return self.ask(Approve(all=True), Acted)

    def groups(self) -> list[Any]:
        return self.ask(GetGroups(), GroupsPage).groups

    def end(self, seconds: float = 15.0) -> int:
        """SIGTERM; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)
