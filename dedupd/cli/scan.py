"""`dedupd scan`: one pass, alone or by the running daemon."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from dedupd.adapters.fs.lock import hold
from dedupd.cli.console import answer, can_ask, progress_bar, says_yes, tell
from dedupd.cli.opening import opened
from dedupd.cli.stopping import telling_what_moved
from dedupd.client.connection import Refused, ask
from dedupd.config import Places, Settings
from dedupd.core.month import Month
from dedupd.core.summary import human_bytes, visible
from dedupd.errors import AlreadyRunning, ConsentNeeded, DedupdError, ExitCode, NoDaemon, RootError
from dedupd.library import Library, ScanOutcome
from dedupd.protocol.messages import Acted, Scan


def scan(arguments: argparse.Namespace) -> int:
    """One pass over the roots. Exit 1 when something approved did not move, 3 when nobody could be asked."""
    settings, places = opened(arguments)
    months = [Month.parse(arguments.month)] if arguments.month else None
    try:
        with (
            hold(places, settings.roots) as locks,
            Library(settings, places, locks=locks) as library,
            progress_bar() as progress,
            telling_what_moved(library),
        ):
            outcome = library.scan(
                dry_run=arguments.dry_run, yes=arguments.yes, months=months, on_progress=progress,
                ask=_ask_person if can_ask() else None,
            )  # fmt: skip
            online = any(root.online for root in library.roots)
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
    size = human_bytes(report["bytes_saved"])
    tell("")
    tell(f"{files} duplicate file(s) ({size}) would move into duplicates/ folders; each can be put back.")
    return says_yes("Move them now?")


def _print(outcome: ScanOutcome, *, dry_run: bool) -> None:
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
    counts: dict[str, int] = {}
    for entry in skipped:
        reason = entry["reason"].split(":")[0].split(" (")[0]
        counts[reason] = counts.get(reason, 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} {visible(reason)}" for reason, count in most[:5]) + (
        ", …" if len(most) > 5 else ""
    )


def _write_report(path: Path | None, report: dict[str, Any]) -> None:
    if path is None:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_text(json.dumps(report, indent=1, ensure_ascii=True) + "\n", "ascii")
        os.replace(draft, path)
    except OSError as error:
        raise DedupdError(
            f"the report {path} cannot be written ({error.strerror}): choose another place"
        ) from None


def _by_the_daemon(
    arguments: argparse.Namespace, settings: Settings, places: Places, busy: AlreadyRunning
) -> int:
    """A daemon holds the lock: it does the pass when these are its own roots with its own settings."""
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
            from dedupd.cli.ask import report_of

            _write_report(arguments.report, report_of(settings, places))
    except KeyboardInterrupt:
        tell("the daemon ends this scan too; `dedupd undo --last` puts back what it moved")
        raise
    except NoDaemon:
        raise busy from None
    except Refused as refusal:
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
