"""`dedupd doctor`: checks that dedupd can work on this machine, and says what is missing."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json
from dedupd.cli.machine import Finding
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import DedupdError, ExitCode, NoDaemon, NothingYet

if TYPE_CHECKING:
    from dedupd.config import Places, Settings


def add(commands: Commands) -> None:
    """The options of `dedupd doctor`."""
    parser = add_command(
        commands,
        "doctor",
        run,
        help="check that dedupd can work here, and say what is missing",
        example="dedupd doctor",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when something keeps dedupd from working."""
    from dedupd.core.summary import visible

    settings, where = opened(arguments)
    findings = [
        *_packages(),
        *_state(settings, where),
        *_roots(settings),
        *_machine(settings, where),
        *_models(),
        *_embedding(settings, where),
        *_daemon(where),
        *_service(),
    ]
    if arguments.json:
        answer_json([{"what": f.what, "ok": f.good, "told": f.told, "mend": f.mend} for f in findings])
    else:
        for finding in findings:
            answer(f"{'ok ' if finding.good else 'NOT'}  {finding.what:<12} {visible(finding.told)}")
            if finding.mend:
                answer(f"     {'':<12} mend: {visible(finding.mend)}")
    return int(ExitCode.OK if all(f.good for f in findings) else ExitCode.FAILED)


def _packages() -> Iterator[Finding]:
    import importlib.util

    missing = [n for n in ("PIL", "pillow_heif", "imagehash", "cv2", "lancedb", "onnxruntime", "watchdog", "apscheduler", "textual")
               if importlib.util.find_spec(n) is None]  # fmt: skip
    told = (
        f"missing: {', '.join(missing)}; install dedupd again"
        if missing
        else f"Python {sys.version.split()[0]}, all packages there"
    )
    yield Finding(what="packages", good=not missing, told=told)


def _state(settings: Settings, where: Places) -> Iterator[Finding]:
    import shutil

    from dedupd.core.summary import human_bytes
    from dedupd.library import LibraryView

    try:
        where.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        free = shutil.disk_usage(where.state).free
        good = os.access(where.state, os.W_OK) and free > 500e6
        yield Finding(what="state", good=good, told=f"{where.state}, {human_bytes(free)} free")
        with suppress(NothingYet), closing(LibraryView(settings, where)) as view:
            yield Finding(what="ledger", good=True, told="opens")
            if told := view.status().not_looked_at:
                yield Finding(what="closed", good=True, told=told)
    except (OSError, DedupdError) as error:
        yield Finding(what="state", good=False, told=f"{where.state}: {error}")


def _roots(settings: Settings) -> Iterator[Finding]:
    from dedupd.adapters.fs.disk import LocalDisk

    disk = LocalDisk()
    for root in settings.roots:
        try:
            known = disk.identity(str(root)).uuid
            yield Finding(what="folder", good=True, told=f"{root} can be read")
            if known:  # dedupd was at work there: it may try out what can be done
                able = disk.abilities(str(root))
                yield Finding(what="moving", good=able.way is not None, told=f"{root}: {able}")
            else:
                told = "what can be done there is tried out before the first move"
                yield Finding(what="moving", good=True, told=f"{root}: {told}")
        except DedupdError as error:
            yield Finding(what="folder", good=False, told=str(error))
    if not settings.roots:
        yield Finding(
            what="folder",
            good=True,
            told="none configured: name one on the command line, or `dedupd init ~/Pictures`",
        )


def _machine(settings: Settings, where: Places) -> Iterator[Finding]:
    """What this machine allows dedupd to do; each finding with the command that improves it."""
    import time

    from dedupd.cli import machine
    from dedupd.library import LibraryView

    folders, newest = 0, 0.0
    # There is none yet, or it was told of already.
    with suppress(DedupdError), closing(LibraryView(settings, where)) as view:
        folders = sum(len(view.ledger.files.folders(root.id)) for root in view.roots)
        moves = view.ledger.journal.moves(ids=[view.ledger.journal.newest()])
        newest = max((move.at for move in moves), default=0.0)
        yield from machine.clouds(view)
    for root in settings.roots:
        yield from machine.file_system(str(root))
    yield from machine.watching(folders)
    yield from machine.clock(newest, time.time())
    yield from machine.full_disk_access(Path.home(), sys.executable)
    yield from machine.terminal(os.environ)
    yield from machine.engine(gpus=settings.gpus, memory=settings.gpu_memory_fraction)


def _models() -> Iterator[Finding]:
    from dedupd.adapters.vision.embedders.registry import list_models

    here = [listing.model.id for listing in list_models() if listing.available and listing.model.id]
    told = ", ".join(here) if here else "no embedding model is here: perceptual hashes alone are compared"
    yield Finding(what="models", good=True, told=told)


def _embedding(settings: Settings, where: Places) -> Iterator[Finding]:
    """Where photos are embedded, when that is another machine, and whether it answers."""
    from dedupd.cli.login_service import Host, closed_to
    from dedupd.cli.worker_module import last_line

    embedding = settings.embedding
    for url in () if embedding.mode == "local" else embedding.url:
        # The client of the service loads libraries for pictures and vectors, which no command loads at its
        # start.
        words = [url, _recorded(settings, where), embedding.protocol, embedding.token_file, embedding.ca_file]
        status, told = last_line("remote", words, otherwise="it could not be asked")
        yield Finding(what="embedding", good=not status, told=f"{embedding.mode}: {told}")
    for sentence in closed_to(settings, Host()):
        yield Finding(what="service", good=False, told=sentence)


def _recorded(settings: Settings, where: Places) -> str:
    """The embedder in force; before the first run, the one that the settings ask for."""
    from dedupd.library import LibraryView

    try:
        with closing(LibraryView(settings, where)) as view:
            return view.ledger.get("embedder") or settings.embedder
    except DedupdError:
        return settings.embedder


def _service() -> Iterator[Finding]:
    """The state of the unit's sandbox, as systemd reports it; nothing when there is no user manager."""
    from dedupd.cli.login_service import UNIT, Host
    from dedupd.cli.sandbox import in_force, refused_lines

    host = Host()
    refused = refused_lines(host) if host.platform.startswith("linux") else None
    if refused is None:
        return
    told = "systemd can set up the whole sandbox of the unit"
    if refused:
        off = " ".join(f"{line.partition('=')[0]}=no" for line in refused)
        told = (
            f"systemd cannot set up {' and '.join(refused)} here: for the service, write [Service] and {off}, "
            f"one a line, by `systemctl --user edit {UNIT}`; the rest of the sandbox stands"
        )
    yield Finding(what="service", good=not in_force(host, refused), told=told)


def _daemon(where: Places) -> Iterator[Finding]:
    from dedupd.client.connection import ask
    from dedupd.protocol.requests import GetStatus
    from dedupd.protocol.views import StatusView

    try:
        status = ask(where.socket, GetStatus(), StatusView, timeout=5)
        yield Finding(what="daemon", good=True, told=f"running (pid {status.pid}), {status.photos} photos")
    except NoDaemon:
        yield Finding(what="daemon", good=True, told="not running: `dedupd run`, or `dedupd service install`")
    except DedupdError as error:
        yield Finding(what="daemon", good=False, told=str(error))
