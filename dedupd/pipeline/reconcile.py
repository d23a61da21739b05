"""Disk against ledger: what is new, changed, renamed or gone. The truth behind the watcher's events.

Must never move a file, and never take absence for deletion while a root is not surely itself (P9).
Cost follows the folders looked at; memory follows the largest single folder.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

from dedupd.core.attention import Trouble, gathered
from dedupd.core.foreign import Foreign, Scope
from dedupd.core.month import month_of, named_month
from dedupd.core.photo import FileStat, FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.units import companions_in
from dedupd.errors import RootError
from dedupd.pipeline.foreign_folders import note
from dedupd.pipeline.held_copies import look_aside, taken_back
from dedupd.pipeline.slices import Stop, never
from dedupd.ports import Clock, Disk, FoundFile

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

FORGET_ABSENT_AFTER = 60.0
"""Seconds a file must stay away, in two looks, before its row goes."""
MANY_DOUBTS = 32
"""More doubts than this in one look, and in more than half of its files: what befell them all befell no bytes."""


@dataclass(slots=True)
class Changes:
    """What one reconciliation found."""

    new: int = 0
    changed: int = 0
    renamed: int = 0
    absent: int = 0
    left: int = 0
    """Files that are none of the library any more, and lie where they lay."""
    files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.new or self.changed or self.renamed or self.absent or self.left)


def identify(root: RootRow, ledger: Ledger, disk: Disk, *, mark: bool) -> RootRow:
    """The root's row when the folder is surely the one dedupd knows; marks it on its first real use.

    Raises RootError (one sentence) and records the root as offline when it is missing, unreadable or another.
    """
    try:
        uuid, dev = _surely(root, ledger, disk, mark=mark)
    except RootError as error:
        with ledger.transaction():
            ledger.inventory.update_root(root.id, online=False, note=str(error))
        raise
    if (uuid, dev, True, "") != (root.uuid, root.dev, root.online, root.note):
        with ledger.transaction():
            ledger.inventory.update_root(root.id, uuid=uuid, dev=dev, online=True, note="")
    return next(r for r in ledger.inventory.roots() if r.id == root.id)


def _surely(root: RootRow, ledger: Ledger, disk: Disk, *, mark: bool) -> tuple[str, int]:
    """UUID and device of the folder, which is the one dedupd knows; else RootError."""
    found = disk.identity(root.path)
    if root.uuid and found.uuid != root.uuid:
        if found.uuid or not any(_there(root, row, disk) for row in ledger.inventory.some_files(root.id)):
            raise RootError(
                f"{root.path} is not the folder dedupd knows (its .dedupd-root.json is "
                f"{'missing' if not found.uuid else 'another'}): is the disk mounted? Nothing is changed until it is back"
            )
        if mark:  # somebody tidied the marker away; the photos say who this is
            disk.mark(root.path, root.uuid)
    elif not root.uuid and root.dev not in (None, found.dev):
        known = ledger.inventory.some_files(root.id)
        if known and all(disk.gone(root.path, row.path) for row in known):
            raise RootError(
                f"{root.path} is another disk and holds none of the photos that were there: "
                "is the right one mounted? Nothing is changed until it is back"
            )
    uuid = root.uuid or found.uuid or (disk.mark(root.path) if mark else "")
    return uuid, found.dev


def _there(root: RootRow, row: FileRow, disk: Disk) -> bool:
    now = disk.stat(root.path, row.path)
    return now is not None and same_bytes(row.stat, now)


def _still_itself(root: RootRow, disk: Disk) -> bool:
    """A disk pulled out while its folders were read looks like a disk whose photos were deleted."""
    try:
        found = disk.identity(root.path)
    except RootError:
        return False
    return found.dev == root.dev and (not found.uuid or found.uuid == root.uuid)


def reconcile(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    scope: Scope,
    on_progress: Callable[[int], None] = lambda done: None,
    under: str = "",
    stop: Stop = never,
) -> Changes:
    """Walk the root (or what lies under one of its folders) and bring the ledger up to date with it.

    Stopped before its end, it has noted what is new, and believes in nothing that it did not come to see.
    """
    changes = Changes()
    unreadable: dict[str, str] = {}
    foreign: dict[str, Foreign] = {}
    diff = _Diff(root, ledger, disk, clock, changes)
    visited: set[str] = set()
    found = disk.walk(root.path, under, scope, unreadable.__setitem__, foreign.__setitem__)
    for folder, files in _by_folder(found):
        visited.add(folder)
        diff.folder(folder, files)
        on_progress(changes.files)
        if stop(photos=False):  # what was listed must not be moved meanwhile
            return changes
    for folder in ledger.inventory.folders(root.id, under):
        if _within(folder, foreign):
            diff.foreign(folder)
        elif folder not in visited and not _within(folder, unreadable):
            diff.folder(folder, [])
    itself = _still_itself(root, disk)
    diff.finish(believe_absence=itself)
    changes.problems += _told(unreadable)
    if not under and itself:
        note(ledger, root, foreign)
        changes.absent += look_aside(root, ledger, disk, clock, FORGET_ABSENT_AFTER)
    return changes


def reconcile_folders(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    scope: Scope,
    folders: Mapping[str, bool],
) -> Changes:
    """The same for what events hint at: folder -> whether everything below it may have changed too."""
    changes = Changes()
    diff = _Diff(root, ledger, disk, clock, changes)
    unreadable: dict[str, str] = {}
    foreign: dict[str, Foreign] = {}
    for folder in _with_those_below(root, ledger, disk, scope, folders):
        files = list(disk.list_folder(root.path, folder, scope, unreadable.__setitem__, foreign.__setitem__))
        if _within(folder, foreign):
            diff.foreign(folder)
        elif folder not in unreadable:
            diff.folder(folder, files)
    diff.finish(believe_absence=_still_itself(root, disk))
    changes.problems += _told(unreadable)
    return changes


def _told(unreadable: Mapping[str, str]) -> list[str]:
    """Of a folder that is a root of its own there is nothing to tell."""
    return gathered(Trouble(folder, sentence) for folder, sentence in unreadable.items() if sentence)


def _with_those_below(
    root: RootRow, ledger: Ledger, disk: Disk, scope: Scope, folders: Mapping[str, bool]
) -> list[str]:
    found = set(folders)
    for folder in (f for f, whole in folders.items() if whole):
        walked = disk.walk(root.path, folder, scope, lambda at, sentence: None)
        found |= {file.path.rpartition("/")[0] for file in walked}
        found |= set(ledger.inventory.folders(root.id, folder))
    return sorted(found)


def _by_folder(found: Iterator[FoundFile]) -> Iterator[tuple[str, list[FoundFile]]]:
    for folder, files in groupby(found, key=lambda f: f.path.rpartition("/")[0]):
        yield folder, list(files)


def _within(folder: str, places: Container[str]) -> bool:
    """Whether the folder is one of these or lies below one."""
    while folder and folder not in places:
        folder = folder.rpartition("/")[0]
    return folder in places


class _Diff:
    """Folder by folder; renames are matched at the end, when both ends are known."""

    def __init__(self, root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, changes: Changes) -> None:
        self._root, self._ledger, self._disk, self._clock, self._changes = root, ledger, disk, clock, changes
        self._files = ledger.inventory
        self._perhaps_renamed: list[tuple[FoundFile, bool]] = []
        self._gone: dict[int, FileRow] = {}
        self._left: list[FileRow] = []
        self._began, self._doubts = clock.now(), 0

    def folder(self, folder: str, found: list[FoundFile]) -> None:
        self._changes.files += len(found)
        known = {row.path: row for row in self._files.files_in_folder(self._root.id, folder)}
        companions = companions_in([f.path for f in found])
        doubted: list[int] = []
        with self._ledger.transaction():
            for file in found:
                row = known.pop(file.path, None)
                companion = file.path in companions
                if row is not None:
                    self._known(file, row, companion)
                    if row.content and _doubtful(row.stat, file.stat):
                        doubted.append(row.id)
                elif self._files.files_by_inode(self._root.id, file.stat):
                    self._perhaps_renamed.append((file, companion))
                else:
                    self._add(file, companion)
            self._doubt(doubted)
        for row in known.values():
            self._gone[row.id] = row

    def foreign(self, folder: str) -> None:
        """What an older look took for photos here is none of the library (P17): it leaves, and nobody deleted it."""
        self._left += self._files.files_in_folder(self._root.id, folder)

    def _add(self, file: FoundFile, companion: bool) -> None:
        self._changes.new += 1
        self._files.add_file(self._root.id, file.path, file.stat, _first_state(companion))

    def _doubt(self, files: list[int]) -> None:
        self._doubts += len(files)
        self._ledger.rereading.doubt(files, self._began)

    def _known(self, file: FoundFile, row: FileRow, companion: bool) -> None:
        if not _same_times(row.stat, file.stat) or self._replaced_by_a_held_one(file, row):
            self._changed(file, row, companion)
            return
        if row.stat != file.stat or row.absent_since is not None:
            self._files.same_file(row.id, file.stat)
        if row.absent_since is not None:
            self._back(row)
        if row.absent_since is not None or row.stat.nlink != file.stat.nlink:
            self._affected(row)
        if companion != (row.state == FileState.COMPANION):
            self._affected(row)
            self._files.set_state(row.id, _first_state(companion))
        elif row.reason and (row.stat.ctime_ns, row.stat.ino) != (file.stat.ctime_ns, file.stat.ino):
            self._files.set_state(row.id, _first_state(companion))  # its permissions may be others now

    def _changed(self, file: FoundFile, row: FileRow, companion: bool) -> None:
        self._changes.changed += 1
        note_changed(self._ledger, row, file.stat, _first_state(companion), self._clock.now())
        if self._holds_a_held_one(file):
            self._files.remove_file(row.id)
            self._perhaps_renamed.append((file, companion))

    def _replaced_by_a_held_one(self, file: FoundFile, row: FileRow) -> bool:
        return row.stat.ino != file.stat.ino and self._holds_a_held_one(file)

    def _holds_a_held_one(self, file: FoundFile) -> bool:
        """Its owner moved a held copy back, over what lay here."""
        return any(self._is_taken_back(held) for held in self._files.files_by_inode(self._root.id, file.stat))

    def finish(self, *, believe_absence: bool) -> None:
        """Match new paths with vanished ones (a rename keeps inode, size, mtime), then record the rest."""
        begun = {move.file for move in self._ledger.journal.open_moves()}
        with self._ledger.transaction():
            for file, companion in self._perhaps_renamed:
                if not self._renamed(file, companion):
                    self._add(file, companion)
            now = self._clock.now()
            for row in self._gone.values():
                if believe_absence and row.id not in begun:
                    self._absent(row, now)
            for row in self._left:
                if believe_absence and row.id not in begun:
                    self._changes.left += 1
                    self._forget(row)
            if self._doubts > max(MANY_DOUBTS, self._changes.files // 2):
                self._ledger.rereading.forget_all(self._root.id, self._began)

    def _renamed(self, file: FoundFile, companion: bool) -> bool:
        for row in self._files.files_by_inode(self._root.id, file.stat):
            if self._is_taken_back(row):
                taken_back(self._ledger, row, file.path, self._clock.now())
                self._changes.renamed += 1
                return True
            if row.state == FileState.HELD or not (row.id in self._gone or row.absent_since is not None):
                continue
            self._gone.pop(row.id, None)
            self._rename(row, file, companion)
            self._changes.renamed += 1
            return True
        return False

    def _is_taken_back(self, row: FileRow) -> bool:
        return row.state == FileState.HELD and self._disk.gone(self._root.path, row.path)

    def _rename(self, row: FileRow, file: FoundFile, companion: bool) -> None:
        self._affected(row)
        month, source = month_of(
            file.path, self._captured(row), file.stat.mtime_ns / 1e9, root=self._root.path
        )
        known = row.content and row.state != FileState.SKIPPED
        named = named_month(file.path, self._root.path)
        self._files.renamed_file(row.id, file.path, str(month) if known else named, source)
        self._files.same_file(row.id, file.stat)
        if row.content and _doubtful(row.stat, file.stat):
            self._doubt([row.id])
        self._ledger.sidecars.follow(self._root.id, row.path, file.path)
        if companion != (row.state == FileState.COMPANION):
            self._files.set_state(row.id, _first_state(companion))
        self._back(row)
        if row.content:
            self._files.change_month(self._root.id, str(month), self._clock.now())
            self._ledger.journal.keeper_renamed(self._root.path, row.path, file.path, row.content)

    def _back(self, row: FileRow) -> None:
        """It lies again where it lay, or somewhere else: what came to that month meanwhile did not meet it."""
        if row.content:
            self._ledger.judgement.forget_compared([row.content])

    def _captured(self, row: FileRow) -> float | None:
        traits = self._files.traits([row.content]) if row.content else {}
        return traits[row.content].captured if row.content in traits else None

    def _absent(self, row: FileRow, now: float) -> None:
        if row.absent_since is None:
            self._changes.absent += 1
            self._affected(row)
            self._files.absent_file(row.id, now)
        elif now < row.absent_since:  # the clock was set back: how long it is gone is not known
            self._files.absent_file(row.id, now)
        elif now - row.absent_since >= FORGET_ABSENT_AFTER:
            self._ledger.judgement.void(row.id)
            self._files.remove_file(row.id)

    def _forget(self, row: FileRow) -> None:
        """Held copies of it have no keeper from now on: the rescue brings them back (P8)."""
        self._affected(row)
        self._ledger.judgement.void(row.id)
        self._files.remove_file(row.id)

    def _affected(self, row: FileRow) -> None:
        _affected(self._ledger, row, self._clock.now())


def note_changed(
    ledger: Ledger, row: FileRow, stat: FileStat, state: FileState, now: float, content: str | None = None
) -> None:
    """It holds other bytes than those that were recorded (`content`, if they were read): it is looked at anew."""
    _affected(ledger, row, now)
    ledger.judgement.void(row.id)
    ledger.inventory.changed_file(row.id, stat, state, content)


def _affected(ledger: Ledger, row: FileRow, now: float) -> None:
    """Its month is to be grouped again, and each month whose groups it had a part in."""
    beside = ledger.judgement.months_beside(row.root, row.id, row.content)
    for month in {row.month, *beside}:
        ledger.inventory.change_month(row.root, month, now)


def _first_state(companion: bool) -> FileState:
    return FileState.COMPANION if companion else FileState.SEEN


def _same_times(a: FileStat, b: FileStat) -> bool:
    return (a.size, a.mtime_ns) == (b.size, b.mtime_ns)


def _doubtful(before: FileStat, now: FileStat) -> bool:
    """The size and mtime of before, and yet perhaps other bytes: `exiftool -P`, `rsync --inplace -t` and the like.

    Each such file is read again (not decoded), slowly, and what stands here now is adopted at once: one change is
    one doubt, and nothing is doubted after an upgrade, because the last look of any dedupd recorded these numbers.
    chmod, chown, a rename, a hard link and xattrs change ctime too; a mount may number all files anew (exFAT, some
    network mounts). Such things happen to many files at once, and then nobody is doubted (MANY_DOUBTS): keepers of
    held copies are read once a month anyway. A file system without a ctime of its own (FAT, exFAT, sshfs) shows
    that of the last change until it forgets it, then mtime in its place: that is no change.
    """
    if not _same_times(before, now):
        return False
    return before.ino != now.ino or now.ctime_ns not in (before.ctime_ns, now.mtime_ns)


def same_bytes(a: FileStat, b: FileStat) -> bool:
    """Surely the file that was looked at, by all that a look can tell."""
    # Not the device: the same disk gets another number at every mount, and that must cost nothing (P9). FAT, exFAT and
    # FUSE number their files anew as well: there the ctime, which nobody can set, says that it is the same.
    return _same_times(a, b) and (a.ino == b.ino or a.ctime_ns == b.ctime_ns)
