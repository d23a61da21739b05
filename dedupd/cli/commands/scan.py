"""`dedupd scan`: one pass, by this process or by the running daemon."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dedupd.cli.console import answer, answer_json, can_ask, human_seconds, progress_bar, says_yes, tell
from dedupd.cli.narrowing_options import add_narrowing, narrowing_of, references_of
from dedupd.cli.opening import opened
from dedupd.cli.options import Commands, add_command, add_settings, parse_month
from dedupd.cli.reports import FORMATS, check_report, format_of, report_in, write_report
from dedupd.errors import AlreadyRunning, ConsentNeeded, ExitCode, NoDaemon, RootError, UsageError

if TYPE_CHECKING:
    from dedupd.config import Places, Settings
    from dedupd.core.narrowing import Narrowing
    from dedupd.library import ScanOutcome


def add(commands: Commands) -> None:
    """The options of `dedupd scan`."""
    parser = add_command(
        commands,
        "scan",
        run,
        help="one pass: index, compare, ask, move, write summaries",
        example="dedupd scan --dry-run ~/Pictures --report duplicates.html",
        topic="scanning",
    )
    parser.add_argument("roots", nargs="+", type=Path, metavar="ROOT", help="folders to scan")
    parser.add_argument(
        "--dry-run", action="store_true", help="find, but move nothing and write nothing in the folders"
    )
    parser.add_argument("--yes", "--inplace", action="store_true", help="move without asking")
    parser.add_argument(
        "--estimate", action="store_true",
        help="only say, from a sample, what a first scan would come to: photos, time, space; nothing moves",
    )  # fmt: skip
    parser.add_argument("--month", type=parse_month, metavar="YYYY-MM", help="only this month")
    shown = parser.add_argument_group("what it answers")
    shown.add_argument("--format", choices=FORMATS, help="what is printed on stdout (default: text)")
    shown.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write what was found: as the name says (.json .csv .html .txt), else as --format, else as JSON",
    )
    shown.add_argument(
        "--fail-on-duplicates",
        action="store_true",
        help="exit 6 when it found files that moved or would move",
    )
    add_narrowing(parser.add_argument_group("what counts (the rest stays as it is)"))
    add_settings(parser.add_argument_group("how it decides and works"))
    parser.add_argument(
        "--k", metavar="N", help="taken for the sake of scripts: no list of neighbours is cut off at N"
    )


def run(arguments: argparse.Namespace) -> int:
    """One pass over the roots. Returns exit code 1 when something approved did not move, 3 when nobody could
    be asked."""
    if arguments.report is not None:
        check_report(arguments.report)
    if arguments.k is not None:
        tell(
            "note: --k changes nothing: every photo is compared with all that may be like it, not with N of them"
        )
    settings, places = opened(arguments)
    narrowing = narrowing_of(arguments, settings.roots)
    references = references_of(arguments, settings.roots)
    settings = replace(settings, protected=(*settings.protected, *references))
    if arguments.estimate:
        return _estimate(arguments, settings, places, narrowing)
    scan = _Scan(arguments, settings, places, narrowing)
    try:
        return scan.alone()
    except AlreadyRunning as busy:
        return scan.by_the_daemon(busy)


def _estimate(arguments: argparse.Namespace, settings: Settings, places: Places, narrowing: Narrowing) -> int:
    from dedupd.core.summary import human_bytes, visible
    from dedupd.library.estimating import estimate_scan

    refused = ("--report", arguments.report), ("--month", arguments.month)
    refused += (("--fail-on-duplicates", arguments.fail_on_duplicates),)
    named = [option for option, given in refused if given]
    named += ["--format " + arguments.format] if arguments.format in ("csv", "html") else []
    if named:
        raise UsageError(
            f"--estimate says in a few lines what a scan would come to: leave out {', '.join(named)}"
        )
    with progress_bar(quiet=_piped()) as progress:
        found = estimate_scan(settings, places, narrowing, progress)
    for problem in found.problems:
        tell(f"note: {visible(problem)}")
    if arguments.format == "json":
        answer_json(asdict(found))
        return int(ExitCode.OK)
    shortest, longest = (human_seconds(seconds) for seconds in found.seconds)
    answer(
        f"about {found.photos} photos ({human_bytes(found.bytes)})"
        + (f", and {found.undecoded} videos, RAW and the like" if found.undecoded else "")
    )
    answer(
        f"a first scan takes {shortest if shortest == longest else f'{shortest} to {longest}'}; a later one, only what is new"
    )
    answer(
        f"at least {human_bytes(found.same_bytes)} may be saved: about {found.same_files} file(s) have the bytes of another; "
        "what resized and re-saved copies add, only the scan itself tells"
    )
    answer(
        f"{found.sampled} photo(s) were looked at for this; nothing moved, and nothing was written in the folders"
    )
    return int(ExitCode.OK)


class _Scan:
    """One scan, as it was asked for."""

    def __init__(
        self, arguments: argparse.Namespace, settings: Settings, places: Places, narrowing: Narrowing
    ) -> None:
        self._arguments, self._settings, self._places = arguments, settings, places
        self._narrowing = narrowing
        self._say: Callable[[str], None] = answer if arguments.format in (None, "text") else _narrate

    def alone(self) -> int:
        """Scan in this process. Raises AlreadyRunning before anything is done."""
        from dedupd.adapters.fs.lock import lock_library
        from dedupd.cli.stopping import telling_what_moved
        from dedupd.core.month import Month
        from dedupd.core.summary import visible
        from dedupd.library import Library

        arguments, settings, places = self._arguments, self._settings, self._places
        months = [Month.parse(arguments.month)] if arguments.month else None
        with (
            lock_library(places, settings.roots) as locks,
            Library(settings, places, locks=locks) as library,
            progress_bar(quiet=_piped()) as progress,
            telling_what_moved(library),
        ):
            outcome = library.scan(
                dry_run=arguments.dry_run, yes=arguments.yes, months=months, narrowing=self._narrowing,
                on_progress=progress, ask=_ask_person if can_ask() else None,
            )  # fmt: skip
            online = any(root.online for root in library.roots.all)
            here = library.vision.sees_here
        self._deliver()
        if here:
            tell(f"note: {visible(here)}")
        _print(outcome, self._say, dry_run=arguments.dry_run)
        if not online:
            raise RootError("no folder could be scanned: see above")
        if outcome.moved.stayed:
            return int(ExitCode.FAILED)
        if outcome.waiting and not arguments.yes and not arguments.dry_run and not can_ask():
            raise ConsentNeeded(
                f"{outcome.waiting} file(s) are ready to move and nobody could be asked: "
                "look at the report, then run the same command with --yes"
            )
        return self._ended(outcome.found)

    def by_the_daemon(self, busy: AlreadyRunning) -> int:
        """Scan by the daemon that holds the lock; possible when these are its roots and its settings."""
        from dedupd.client.connection import DaemonRefused, ask
        from dedupd.core.summary import visible
        from dedupd.library import LibraryView
        from dedupd.protocol.requests import Scan
        from dedupd.protocol.results import Acted

        arguments, settings = self._arguments, self._settings
        if not os.path.exists(self._places.socket):  # a scan, or the daemon of another state folder
            raise busy
        if not self._narrowing.everything:
            raise AlreadyRunning(
                f"{busy}; a daemon does whole scans only: leave out what narrows this one, or stop it first"
            ) from None
        request = Scan(
            roots=[str(r) for r in settings.roots],
            dry_run=arguments.dry_run,
            yes=arguments.yes,
            month=arguments.month,
            settings=settings.decisive,
        )
        tell("a daemon is running: it does the scan")
        machine = {
            "--jobs": arguments.jobs,
            "--gpus": arguments.gpus,
            "--gpu-memory-fraction": arguments.gpu_memory_fraction,
        }
        if ignored := [option for option, given in machine.items() if given is not None]:
            tell(
                f"note: {', '.join(ignored)} is not for the daemon's scan: its config.toml says how much it takes"
            )
        try:
            done = ask(self._places.socket, request, Acted, timeout=None)
            self._deliver()
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
            self._say(visible(message))
        if done.stayed:
            return int(ExitCode.FAILED)
        if done.waiting and not arguments.yes and not arguments.dry_run:
            raise ConsentNeeded(
                f"{done.waiting} file(s) are ready to move: look with `dedupd groups`, then run this with --yes"
            )
        with closing(LibraryView(settings, self._places)) as view:
            return self._ended(done.moved + view.proposed(arguments.month))

    def _deliver(self) -> None:
        """Write the report to the file that was named and, when it is the answer, to stdout."""
        from dedupd.library import LibraryView

        form, path = self._arguments.format, self._arguments.report
        printed = form not in (None, "text")
        if path is None and not printed:
            return
        socket, narrowing = self._places.socket, self._narrowing
        with closing(LibraryView(self._settings, self._places)) as view, progress_bar(quiet=_piped()) as told:
            if path is not None:
                pieces = report_in(format_of(path, form), view, socket, narrowing, told)
                write_report(path, pieces)
            for piece in report_in(form, view, socket, narrowing, told) if printed else ():
                answer(piece.removesuffix("\n"))

    def _ended(self, found: int) -> int:
        duplicates = self._arguments.fail_on_duplicates and found
        return int(ExitCode.DUPLICATES if duplicates else ExitCode.OK)


def _piped() -> bool:
    """Whether neither stdout nor stderr is a terminal: then no progress is printed."""
    streams = (sys.stdout, sys.stderr)
    return not any(stream is not None and stream.isatty() for stream in streams)  # pyright: ignore[reportUnnecessaryComparison]


def _narrate(sentence: str) -> None:
    """Print lines for people on stderr beside a report; none where a program reads."""
    if not _piped():
        tell(sentence)


def _ask_person(files: int, report: dict[str, Any]) -> bool:
    from dedupd.core.summary import human_bytes

    size = human_bytes(report["bytes_saved"])
    tell("")
    tell(f"{files} duplicate file(s) ({size}) would move into duplicates/ folders; each can be put back.")
    return says_yes("Move them now?")


def _print(outcome: ScanOutcome, say: Callable[[str], None], *, dry_run: bool) -> None:
    from dedupd.core.summary import human_bytes, left_to_compare, visible

    report = outcome.report
    for problem in outcome.problems:
        tell(f"note: {visible(problem)}")
    for message in outcome.moved.messages:
        tell(f"note: {visible(message)}")
    for month in outcome.months:
        if month.moved and outcome.moved.files:
            say(month.line)
    waiting = sum(len(g["review"]) for g in report["groups"])
    what = _what_became(report, dry_run=dry_run)
    say(
        f"{report['total_images']} photos, {report['duplicate_groups']} group(s) of duplicates: "
        f"{what} ({human_bytes(report['bytes_saved'])}), {waiting} to look at"
    )
    if report["skipped"]:
        say(f"{len(report['skipped'])} file(s) left alone: {_reasons(report['skipped'])}")
    if outcome.not_looked_at:
        say(outcome.not_looked_at)
    if outcome.left_to_compare:
        say(left_to_compare(outcome.left_to_compare))
    if outcome.moved.files:
        say("Put everything of this run back with `dedupd undo --last`.")


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
