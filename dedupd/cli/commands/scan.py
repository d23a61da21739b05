"""`dedupd scan`: one pass, alone or by the running daemon."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dedupd.cli.console import answer, can_ask, progress_bar, says_yes, tell
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_settings, parse_month
from dedupd.errors import (
    AlreadyRunning,
    ConsentNeeded,
    DedupdError,
    ExitCode,
    NoDaemon,
    RootError,
    UsageError,
)

if TYPE_CHECKING:
    from dedupd.config import Places, Settings
    from dedupd.library import ScanOutcome


def add(commands: Commands) -> None:
    """What `dedupd scan` takes."""
    parser = add_command(
        commands,
        "scan",
        run,
        help="one pass: index, compare, ask, move, write summaries",
        example="dedupd scan --dry-run ~/Pictures --report duplicates.json",
    )
    parser.add_argument("roots", nargs="+", type=Path, metavar="ROOT", help="folders to scan")
    parser.add_argument(
        "--dry-run", action="store_true", help="find, but move nothing and write nothing in the folders"
    )
    parser.add_argument("--yes", action="store_true", help="move without asking")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write what was found as JSON")
    parser.add_argument("--month", type=parse_month, metavar="YYYY-MM", help="only this month")
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """One pass over the roots. Exit 1 when something approved did not move, 3 when nobody could be asked."""
    from dedupd.adapters.fs.lock import lock_library
    from dedupd.cli.stopping import telling_what_moved
    from dedupd.core.month import Month
    from dedupd.library import Library

    _check_report(arguments.report)
    settings, places = opened(arguments)
    months = [Month.parse(arguments.month)] if arguments.month else None
    try:
        with (
            lock_library(places, settings.roots) as locks,
            Library(settings, places, locks=locks) as library,
            progress_bar() as progress,
            telling_what_moved(library),
        ):
            outcome = library.scan(
                dry_run=arguments.dry_run, yes=arguments.yes, months=months, on_progress=progress,
                ask=_ask_person if can_ask() else None,
            )  # fmt: skip
            online = any(root.online for root in library.roots.all)
    except AlreadyRunning as busy:
        return _by_the_daemon(arguments, settings, places, busy)
    _write_report(arguments.report, outcome.report)
    _print(outcome, dry_run=arguments.dry_run)
    if not online:
        raise RootError("no folder could be scanned: see above")
    if outcome.moved.stayed:
        return int(ExitCode.FAILED)
    if outcome.waiting and not arguments.yes and not arguments.dry_run:
        if can_ask():
            return int(ExitCode.OK)
        raise ConsentNeeded(
            f"{outcome.waiting} file(s) are ready to move and nobody could be asked: "
            "look at the report, then run the same command with --yes"
        )
    return int(ExitCode.OK)


def _ask_person(files: int, report: dict[str, Any]) -> bool:
    from dedupd.core.summary import human_bytes

    size = human_bytes(report["bytes_saved"])
    tell("")
    tell(f"{files} duplicate file(s) ({size}) would move into duplicates/ folders; each can be put back.")
    return says_yes("Move them now?")


def _print(outcome: ScanOutcome, *, dry_run: bool) -> None:
    from dedupd.core.summary import human_bytes, visible

    report = outcome.report
    for problem in outcome.problems:
        tell(f"note: {visible(problem)}")
    for message in outcome.moved.messages:
        tell(f"note: {visible(message)}")
    for month in outcome.months:
        if month.moved and outcome.moved.files:
            answer(month.line)
    waiting = sum(len(g["review"]) for g in report["groups"])
    what = _what_became(report, dry_run=dry_run)
    answer(
        f"{report['total_images']} photos, {report['duplicate_groups']} group(s) of duplicates: "
        f"{what} ({human_bytes(report['bytes_saved'])}), {waiting} to look at"
    )
    if report["skipped"]:
        answer(f"{len(report['skipped'])} file(s) left alone: {_reasons(report['skipped'])}")
    if outcome.not_looked_at:
        answer(outcome.not_looked_at)
    if outcome.moved.files:
        answer("Put everything of this run back with `dedupd undo --last`.")


def _what_became(report: dict[str, Any], *, dry_run: bool) -> str:
    total = report["total_duplicates"]
    if dry_run:
        return f"{total} file(s) would move"
    moved = sum(path in g["moved_to"] for g in report["groups"] for path in g["duplicates"])
    ready = f"{total - moved} file(s) ready to move"
    return f"{moved} file(s) moved" + (f", {ready}" if total > moved else "") if moved else ready


def _reasons(skipped: list[dict[str, str]]) -> str:
    from dedupd.core.summary import visible

    counts: dict[str, int] = {}
    for entry in skipped:
        reason = entry["reason"].split(":")[0].split(" (")[0]
        counts[reason] = counts.get(reason, 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {visible(reason)}" for reason, count in most[:5]) + (
        ", …" if len(most) > 5 else ""
    )


_BEGINNING = b'{\n "generated_at"'
"""Of each report: its first field."""


def _check_report(path: Path | None) -> None:
    """A report takes the place of a former one, or of an empty file, and of nothing else: a slip must cost no photo (P3).

    Raises UsageError.
    """
    try:
        if path is None or (path.is_file() and not path.is_symlink() and _is_report(path)):
            return
        if os.path.lexists(path):
            raise UsageError(f"{path} is there and is no report of dedupd: name another file")
    except OSError:
        return  # what cannot be read cannot be written either, and that is told then


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) in {b"", _BEGINNING}


def _write_report(path: Path | None, report: dict[str, Any]) -> None:
    import json

    from dedupd.drafts import write_whole

    if path is None:
        return
    _check_report(path)
    try:
        write_whole(path, json.dumps(report, indent=1, ensure_ascii=True).encode("ascii") + b"\n")
    except OSError as error:
        raise DedupdError(
            f"the report {path} cannot be written ({error.strerror}): choose another place"
        ) from None


def _by_the_daemon(
    arguments: argparse.Namespace, settings: Settings, places: Places, busy: AlreadyRunning
) -> int:
    """A daemon holds the lock: it does the pass when these are its own roots with its own settings."""
    from dedupd.client.connection import DaemonRefused, ask
    from dedupd.core.summary import visible
    from dedupd.library import LibraryView
    from dedupd.protocol.requests import Scan
    from dedupd.protocol.results import Acted

    request = Scan(
        roots=[str(r) for r in settings.roots],
        dry_run=arguments.dry_run,
        yes=arguments.yes,
        month=arguments.month,
        settings=settings.decisive,
    )
    tell("a daemon is running: it does the scan")
    try:
        done = ask(places.socket, request, Acted, timeout=None)
        if arguments.report is not None:
            with closing(LibraryView(settings, places)) as view:
                _write_report(arguments.report, view.report())
    except KeyboardInterrupt:
        tell("the daemon ends this scan too; `dedupd undo --last` puts back what it moved")
        raise
    except NoDaemon:
        raise busy from None
    except DaemonRefused as refusal:
        if refusal.tried:
            raise
        raise AlreadyRunning(str(refusal)) from busy
    for message in done.messages:
        answer(visible(message))
    if done.stayed:
        return int(ExitCode.FAILED)
    if done.waiting and not arguments.yes and not arguments.dry_run:
        raise ConsentNeeded(
            f"{done.waiting} file(s) are ready to move: look with `dedupd groups`, then run this with --yes"
        )
    return int(ExitCode.OK)
