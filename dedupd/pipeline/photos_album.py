"""Which photos of Apple's Photos are duplicates by what dedupd moved, and the album they are collected in.

Owns what may be proposed to be deleted there: what a purge would put into the trash, and whose keeper Photos itself has at
this moment. Must never delete anything in Photos: its owner does.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dedupd.core.apple_photos import ALBUM, AlbumPair, ExportedFile, Exports, LeftOut
from dedupd.core.purging import Purgeable, PurgeState
from dedupd.core.records import RootRow
from dedupd.core.relocation import Move
from dedupd.errors import PhotosError
from dedupd.pipeline.purge import Plan
from dedupd.pipeline.roots import quiet
from dedupd.ports import Disk, Progress

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

BATCH = 25
"""Photos added at a time: many at once have been known to add none, without a word."""
_STRIKES = 3
"""Photos in a row that Photos does not take: then it takes none."""


class AlbumOwner(Protocol):
    """Photos, as far as dedupd asks it (adapters/apple/photos_app.py: PhotosApp). PhotosError from each."""

    def members(self, album: str) -> set[str] | None:
        """The photos in it; None without such an album."""
        ...

    def create(self, album: str) -> None:
        """Make an empty one."""
        ...

    def add(self, album: str, uuids: Iterable[str]) -> None:
        """Ask Photos to take these in; whether it did, `members` tells."""
        ...


@dataclass(kw_only=True)
class Filled:
    """What became of the album."""

    added: int = 0
    there: int = 0
    """In it before, and rightly."""
    missing: list[str] = field(default_factory=list[str])
    """Asked for, and not in it when it was read again: uuids."""
    strangers: list[str] = field(default_factory=list[str])
    """In it, and no duplicates by what is known now: uuids."""
    problems: list[str] = field(default_factory=list[str])


def moved_photos(ledger: Ledger, roots: Iterable[RootRow], exports: Exports) -> set[str]:
    """Photos whose file lies in duplicates/ or was purged: exporting them again would bring the duplicates back."""
    paths = {root.path for root in roots}
    purged = [row.move for row in ledger.purges.in_state(PurgeState.DONE)]
    moves = [*ledger.journal.moves(held=True), *(ledger.journal.moves(ids=purged) if purged else ())]
    found = (_exported(exports, move) for move in moves if move.root in paths)
    return {file.uuid for file in found if file is not None}


def choose(plan: Plan, disk: Disk, exports: Exports) -> tuple[list[AlbumPair], list[LeftOut]]:
    """Every moved file of the exports with its photo and its keeper's; and what stays out of the album, with the reason."""
    rows: list[AlbumPair] = []
    left: list[LeftOut] = []
    for candidate in plan.candidates(math.inf):
        move = candidate.move
        if not move.primary or not exports.wrote_to(_absolute(move.root, move.src)):
            continue
        found = _beside(plan, disk, exports, candidate)
        if isinstance(found, str):
            left.append(LeftOut(path=_absolute(move.root, move.dst), why=found))
        else:
            rows.append(found)
    return rows, left


def _beside(plan: Plan, disk: Disk, exports: Exports, candidate: Purgeable) -> AlbumPair | str:
    """The reason when it may not be proposed."""
    move = candidate.move
    file, keeper = _exported(exports, move), plan.kept_file(move)
    if file is None:
        return "it is not as it was exported, so which photo of Photos it is, is not sure"
    if candidate.why_not or keeper is None:
        return candidate.why_not or "its keeper is not there"
    kept = exports.photo_of(_absolute(move.root, keeper.path), keeper.stat.size, keeper.stat.mtime_ns)
    if kept is None:
        return "the photo kept for it was not exported from Photos: there this may be the only one"
    if kept.uuid == file.uuid:
        return "it is a part of the same photo of Photos as the one kept"
    there = disk.stat(move.root, keeper.path)
    if there is None or (there.size, there.mtime_ns) != (keeper.stat.size, keeper.stat.mtime_ns):
        return "the photo kept for it is not there as it was seen last"
    if (part := _part_that_stays(disk, exports, move, file)) is not None:
        return f"another part of the same photo of Photos stays: {os.path.basename(part)}"
    return AlbumPair(path=_absolute(move.root, move.dst), uuid=file.uuid, keeper=kept.uuid)


def _part_that_stays(disk: Disk, exports: Exports, move: Move, file: ExportedFile) -> str | None:
    """An edited version or a moving half that did not move with it."""
    root = os.path.realpath(move.root)
    for part in exports.files_of(file.uuid):
        inside = os.path.relpath(part.path, root)
        if inside.startswith("../") or not disk.gone(move.root, inside):
            return part.path
    return None


def fill(app: AlbumOwner, wanted: Collection[str], on_progress: Progress = quiet) -> Filled:
    """Add what is missing in the album, in small batches, and read it again. Raises PhotosError when it cannot be read."""
    filled = Filled()
    before = app.members(ALBUM)
    if before is None:
        if not wanted:
            return filled
        app.create(ALBUM)
    filled.there = len((before or set()) & set(wanted))
    adding = sorted(set(wanted) - (before or set()))
    strikes = 0
    for at in range(0, len(adding), BATCH):
        batch = adding[at : at + BATCH]
        strikes = _add(app, batch, strikes, filled)
        if strikes >= _STRIKES:
            break
        on_progress("album", at + len(batch), len(adding))
    after = app.members(ALBUM) or set[str]()
    filled.added = len(after.intersection(adding))
    filled.missing = sorted(set(wanted) - after)
    filled.strangers = sorted(after - set(wanted))
    return filled


def _add(app: AlbumOwner, batch: Sequence[str], strikes: int, filled: Filled) -> int:
    """One that Photos does not take must not keep the others out. Returns how many in a row it did not take."""
    try:
        app.add(ALBUM, batch)
    except PhotosError:
        for uuid in batch:
            try:
                app.add(ALBUM, [uuid])
                strikes = 0
            except PhotosError as error:
                strikes += 1
                filled.problems.append(str(error))
                if strikes >= _STRIKES:
                    break
        return strikes
    return 0


def _exported(exports: Exports, move: Move) -> ExportedFile | None:
    return exports.photo_of(_absolute(move.root, move.src), move.size, move.mtime_ns)


def _absolute(root: str, path: str) -> str:
    return os.path.join(os.path.realpath(root), path)
