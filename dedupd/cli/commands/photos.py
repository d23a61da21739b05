"""`dedupd photos`: Apple's Photos exported to a folder, and an album in Photos of what dedupd found to be
duplicates.

`export` runs osxphotos, again and again on the same folder; `album` collects the originals of moved
duplicates in Photos, where their owner can look at them and delete them. Must never delete anything in
Photos, nor open a file in its library.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from dedupd.cli.console import answer, answer_json, progress_bar, tell
from dedupd.cli.options import Commands, add_command, add_json
from dedupd.errors import ExitCode, NothingYet, PhotosError, UsageError

if TYPE_CHECKING:
    from dedupd.adapters.apple.exported_files import ExportedFiles
    from dedupd.adapters.apple.osxphotos import Ended, OsxPhotos, Reported
    from dedupd.config import Places, Settings
    from dedupd.core.apple_photos import AlbumPair, LeftOut
    from dedupd.pipeline.photos_album import Filled
    from dedupd.progress_bars import Progress

_MOST_TOLD = 20


def add(commands: Commands) -> None:
    """The options of `dedupd photos`."""
    parser = add_command(
        commands,
        "photos",
        run,
        help="Apple's Photos (macOS; needs dedupd[photos]): export it to a folder, collect duplicates in an album there",
        example="dedupd photos export ~/Pictures/Photos && dedupd scan ~/Pictures/Photos && dedupd photos album",
        topic="photos",
    )
    parser.add_argument("action", choices=("export", "album"))
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="the folder of the export: a new one, or the same again to bring it up to date",
    )
    parser.add_argument(
        "--library", type=Path, metavar="FILE",
        help="`export`: the .photoslibrary (default: the one that Photos opened last)",
    )  # fmt: skip
    parser.add_argument(
        "--download-missing",
        action="store_true",
        help="`export`: have Photos fetch from iCloud what is there only; slow",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="`album`: list what would go into it, and leave Photos as it is",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Raises UsageError on anything but macOS."""
    if not on_a_mac():
        raise UsageError(
            "Apple's Photos is on macOS alone: run `dedupd photos` on the Mac that has the library"
        )
    return _export(arguments) if arguments.action == "export" else _album(arguments)


def on_a_mac() -> bool:
    """Whether Photos can exist here."""
    return sys.platform == "darwin"


# ---- export


def _export(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when a photo could not be exported. Photos that are in iCloud only are listed and
    are no failure."""
    from dedupd.adapters.apple.exported_files import ExportedFiles
    from dedupd.adapters.apple.osxphotos import OsxPhotos
    from dedupd.adapters.fs.lock import folder_lock, private_folder
    from dedupd.cli.opening import opened

    if arguments.folder is None:
        raise UsageError("export to which folder? as in `dedupd photos export ~/Pictures/Photos`")
    settings, places = opened(arguments)
    exporter = OsxPhotos()
    folder = Path(os.path.realpath(arguments.folder.expanduser()))
    record = ExportedFiles(places.state, folder)
    _check_folder(folder, record)
    library = _library(arguments.library, record)
    private_folder(places.state)
    with folder_lock(record.work.parent, "another export of Photos is running: wait for its end"):
        record.begin(library)
        _make(folder)
        outcome = _Outcome()
        with progress_bar(quiet=arguments.json) as progress:
            ended = _run_osxphotos(arguments, exporter, record, settings, places, outcome, progress)
    if ended.status != 0:
        raise PhotosError(
            f"osxphotos ended before its end ({ended.said or ended.status}): run the same command again to go on"
        )
    _answer_export(arguments, folder, outcome)
    return int(ExitCode.FAILED if outcome.errors else ExitCode.OK)


class _Outcome:
    """The result of an export, in photos; a photo may be several files."""

    def __init__(self) -> None:
        self.photos, self.changed, self.missing = set[str](), set[str](), set[str]()
        self.errors: list[Reported] = []
        self.left_out = 0
        self.files = 0

    def count(self, file: Reported) -> None:
        if file.error:
            self.errors.append(file)
            return
        if file.missing:
            self.missing.add(file.uuid)
            return
        self.files += 1
        self.photos.add(file.uuid)
        if file.changed:
            self.changed.add(file.uuid)


def _check_folder(folder: Path, record: ExportedFiles) -> None:
    from dedupd.adapters.apple.osxphotos import DATABASE

    if any(part.casefold().endswith(".photoslibrary") for part in folder.parts):
        raise UsageError(f"{folder} lies in a Photos library: choose a folder of its own for the export")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder")
    if (folder / DATABASE).exists() and not record.begun:
        raise UsageError(
            f"{folder} holds an export that osxphotos made with options of its own, and would get every photo a second time: "
            "export into another folder"
        )


def _library(asked: Path | None, record: ExportedFiles) -> str:
    """The Photos library of this export, '' for the one Photos opened last. Raises UsageError when the folder
    was exported from another one."""
    wanted = "" if asked is None else os.path.realpath(asked.expanduser())
    if record.begun and asked is not None and wanted != record.library:
        raise UsageError(
            f"{record.folder} holds the export of {record.library or 'the library that Photos opened last'}: "
            "export another library into another folder"
        )
    return wanted or record.library


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror}") from None


def _run_osxphotos(
    arguments: argparse.Namespace, exporter: OsxPhotos, record: ExportedFiles, settings: Settings, places: Places,
    outcome: _Outcome, progress: Progress,
) -> Ended:  # fmt: skip
    """Run osxphotos, and record each file as soon as it is written: a daemon may move it long before the
    export ends."""
    from dedupd.adapters.apple.osxphotos import REPORT, Report

    skip = record.work / "skip.txt"
    moved = _moved(settings, places, record)
    outcome.left_out = len(moved)
    skip.write_text("".join(f"{uuid}\n" for uuid in sorted(moved)), "utf-8")
    written = record.work / REPORT
    with closing(record.writer()) as writer:
        with suppress(PhotosError):  # what was left by an osxphotos that was too old stops none that is not
            for file in Report(written).more():  # of a run that was killed, dedupd and all
                writer.add(file)
        written.write_bytes(b"")
        report = Report(written)

        def take_in() -> None:
            for file in report.more():
                outcome.count(file)
                writer.add(file)

        def on_photo(number: int, total: int) -> None:
            take_in()
            progress("export", number - 1, total)

        library = Path(record.library) if record.library else None
        try:
            return exporter.export(
                record.folder, record.work, skip=skip, library=library, download=arguments.download_missing,
                on_photo=on_photo,
            )  # fmt: skip
        finally:
            take_in()


def _moved(settings: Settings, places: Places, record: ExportedFiles) -> set[str]:
    from dedupd.core.apple_photos import Exports
    from dedupd.library import LibraryView
    from dedupd.pipeline.photos_album import moved_photos

    if not places.ledger.exists():
        return set()
    with closing(LibraryView(settings, places)) as view:
        return moved_photos(view.ledger, view.ledger.roots.all(), Exports(record.files()))


def _answer_export(arguments: argparse.Namespace, folder: Path, outcome: _Outcome) -> None:
    from dedupd.core.summary import visible

    if arguments.json:
        answer_json(
            {
                "folder": str(folder), "photos": len(outcome.photos), "files": outcome.files,
                "changed": len(outcome.changed), "in_icloud_only": len(outcome.missing - outcome.photos),
                "moved_as_duplicates": outcome.left_out,
                "errors": [{"path": e.path, "error": e.error} for e in outcome.errors],
            }
        )  # fmt: skip
        return
    for error in outcome.errors[:_MOST_TOLD]:
        tell(f"not exported: {visible(error.path)}: {visible(error.error)}")
    answer(
        f"{len(outcome.photos)} photo(s) in {visible(str(folder))}, {len(outcome.changed)} of them new or changed"
        + (f", {len(outcome.errors)} file(s) failed" if outcome.errors else "")
    )
    if cloud := len(outcome.missing - outcome.photos):
        answer(f"{cloud} photo(s) are in iCloud only: --download-missing has Photos fetch them")
    if outcome.left_out:
        answer(
            f"{outcome.left_out} photo(s) were not exported again: dedupd moved their files into duplicates/"
        )
    tell(f"Next: dedupd scan {visible(str(folder))}")


# ---- album


def _album(arguments: argparse.Namespace) -> int:
    """Returns exit code 1 when Photos did not add a photo, or the album holds one that is no duplicate any
    more."""
    from dedupd.adapters.apple.osxphotos import OsxPhotos
    from dedupd.adapters.apple.photos_app import PhotosApp
    from dedupd.cli.opening import opened_for_acting
    from dedupd.core.apple_photos import for_the_album
    from dedupd.pipeline.photos_album import fill

    settings, places = opened_for_acting(arguments)
    record = _the_export(arguments.folder, places)
    rows, left = _chosen(settings, places, record)
    if rows:
        library = Path(record.library) if record.library else None
        asked = {row.uuid for row in rows} | {row.keeper for row in rows}
        rows, more = for_the_album(rows, OsxPhotos().alive(asked, record.work, library))
        left += more
    filled = None
    if not arguments.dry_run:
        with progress_bar(quiet=arguments.json) as progress:
            filled = fill(PhotosApp(), {row.uuid for row in rows}, progress)
    _answer_album(arguments, rows, left, filled)
    return int(ExitCode.FAILED if filled and (filled.missing or filled.strangers) else ExitCode.OK)


def _the_export(folder: Path | None, places: Places) -> ExportedFiles:
    """The export that was named; without a name, the only one there is."""
    from dedupd.adapters.apple.exported_files import ExportedFiles, exports_in

    if folder is not None:
        record = ExportedFiles(places.state, Path(os.path.realpath(folder.expanduser())))
        if not record.begun:
            raise UsageError(f"{record.folder} is no export that `dedupd photos export` made")
        return record
    known = list(exports_in(places.state))
    if not known:
        raise UsageError("nothing was exported from Photos yet: start with `dedupd photos export DIR`")
    if len(known) > 1:
        raise UsageError(f"of which export? name its folder: {', '.join(str(each.folder) for each in known)}")
    return known[0]


def _chosen(
    settings: Settings, places: Places, record: ExportedFiles
) -> tuple[list[AlbumPair], list[LeftOut]]:
    from dedupd.adapters.fs.disk import LocalDisk
    from dedupd.core.apple_photos import Exports
    from dedupd.library import LibraryView
    from dedupd.pipeline.photos_album import choose
    from dedupd.pipeline.purge import Plan

    try:
        with closing(LibraryView(settings, places)) as view:
            plan = Plan(view.ledger, settings, view.roots)
            return choose(plan, LocalDisk(), Exports(record.files()))
    except NothingYet:
        raise UsageError(
            f"nothing was looked at yet: `dedupd scan {record.folder}` finds the duplicates"
        ) from None


def _answer_album(
    arguments: argparse.Namespace, rows: Sequence[AlbumPair], left: Sequence[LeftOut], filled: Filled | None
) -> None:
    from dedupd.core.apple_photos import ALBUM
    from dedupd.core.summary import visible

    if arguments.json:
        answer_json(
            {
                "album": ALBUM, "photos": [{"uuid": r.uuid, "file": r.path, "keeper": r.keeper} for r in rows],
                "left_out": [{"file": each.path, "reason": each.why} for each in left],
                "added": filled.added if filled else 0, "there": filled.there if filled else 0,
                "missing": filled.missing if filled else [], "not_duplicates": filled.strangers if filled else [],
                "problems": filled.problems if filled else [],
            }
        )  # fmt: skip
        return
    reasons: dict[str, list[LeftOut]] = {}
    for each in left:
        reasons.setdefault(each.why, []).append(each)
    for why, some in reasons.items():
        answer(f"left out: {len(some)} file(s), first {visible(some[0].path)}: {visible(why)}")
    if filled is None:
        for row in rows[:_MOST_TOLD]:
            answer(f"{row.uuid}  {visible(row.path)}")
        answer(f"{len(rows)} photo(s) would go into the album “{ALBUM}”")
        return
    for problem in filled.problems[:_MOST_TOLD]:
        tell(f"note: {visible(problem)}")
    answer(f"{filled.added} photo(s) added to the album “{ALBUM}”, {filled.there} were in it")
    if filled.missing:
        answer(
            f"{len(filled.missing)} photo(s) are not in it, Photos did not take them: run the same command again "
            f"(first {filled.missing[0]})"
        )
    if filled.strangers:
        answer(
            f"{len(filled.strangers)} photo(s) in it are no duplicates by what is known now (put back, or added by hand): "
            f"take them out of the album before you delete what it shows (first {filled.strangers[0]})"
        )
    elif filled.added or filled.there:
        tell("Look at them in Photos; what you delete there, Photos keeps for 30 days.")
