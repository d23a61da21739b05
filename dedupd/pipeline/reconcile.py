"""Reconciliation: compares the disk with the ledger and records what is new, changed, renamed or gone.

Events of the watcher can be lost, so this is what counts. Must never move a file, and never take absence for deletion
unless the root is certainly the same folder as before (P9). A walk has safe points, at which other tasks may run and
move files. Time grows with the number of folders read, memory with the largest single folder.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from dedupd.core.attention import Trouble, gathered
from dedupd.core.foreign import Foreign, Scope
from dedupd.core.month import month_of, named_month
from dedupd.core.photo import FileStat, FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.units import companions_in
from dedupd.errors import RootError
from dedupd.pipeline.foreign_folders import note
from dedupd.pipeline.held_copies import check_held_copies, undone_by_owner
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Disk, FoundFile

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

FORGET_ABSENT_AFTER = 60.0
"""Seconds for which a file must be missing, in two walks, before its row is removed."""
MANY_DOUBTS = 32
"""More doubtful files than this in one walk, and more than half of its files: a change of all of them is no change of bytes."""
PART = (512, 16384)
"""Files of one folder between two safe points, least and most."""

T = TypeVar("T")


@dataclass(slots=True)
class Changes:
    """What one reconciliation found."""

    new: int = 0
    changed: int = 0
    renamed: int = 0
    absent: int = 0
    left: int = 0
    """Files that do not belong to the library any more, and are where they were."""
    files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.new or self.changed or self.renamed or self.absent or self.left)


def identify(root: RootRow, ledger: Ledger, disk: Disk, *, mark: bool) -> RootRow:
    """The root's row, once the folder is certainly the one dedupd knows. Writes the marker at its first real use.

    Raises RootError (one sentence) and records the root as offline when it is missing, unreadable or another folder.
    """
    try:
        uuid, dev = _verified(root, ledger, disk, mark=mark)
    except RootError as error:
        with ledger.transaction():
            ledger.roots.update(root.id, online=False, note=str(error))
        raise
    if (uuid, dev, True, "") != (root.uuid, root.dev, root.online, root.note):
        with ledger.transaction():
            ledger.roots.update(root.id, uuid=uuid, dev=dev, online=True, note="")
    return next(r for r in ledger.roots.all() if r.id == root.id)


def _verified(root: RootRow, ledger: Ledger, disk: Disk, *, mark: bool) -> tuple[str, int]:
    """UUID and device of the folder. Raises RootError when it is not the one dedupd knows."""
    found = disk.identity(root.path)
    if root.uuid and found.uuid != root.uuid:
        if found.uuid or not any(_is_unchanged(root, row, disk) for row in ledger.files.some(root.id)):
            raise RootError(
                f"{root.path} is not the folder dedupd knows (its .dedupd-root.json is "
                f"{'missing' if not found.uuid else 'another'}): is the disk mounted? Nothing is changed until it is back"
            )
        if mark:  # somebody deleted the marker; the photos show that it is the same folder
            disk.mark(root.path, root.uuid)
    elif not root.uuid and root.dev not in (None, found.dev):
        known = ledger.files.some(root.id)
        if known and all(disk.gone(root.path, row.path) for row in known):
            raise RootError(
                f"{root.path} is another disk and holds none of the photos that were there: "
                "is the right one mounted? Nothing is changed until it is back"
            )
    uuid = root.uuid or found.uuid or (disk.mark(root.path) if mark else "")
    return uuid, found.dev


def _is_unchanged(root: RootRow, row: FileRow, disk: Disk) -> bool:
    now = disk.stat(root.path, row.path)
    return now is not None and same_bytes(row.stat, now)


def _same_root(root: RootRow, ledger: Ledger, disk: Disk) -> bool:
    """Whether this is still the same root: a disk that is unplugged during a walk looks like a disk without photos."""
    try:
        found = disk.identity(root.path)
    except RootError:
        return False
    if found.dev != root.dev or found.uuid not in ("", root.uuid):
        return False
    return found.uuid == root.uuid or any(
        _is_unchanged(root, row, disk) for row in ledger.files.some(root.id)
    )


def reconcile(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    scope: Scope,
    on_progress: Callable[[int], None] = lambda done: None,
    stop: Stop = never,
) -> Changes:
    """Walk the root and bring the ledger up to date with it.

    Tasks that run at a safe point may move files and change their rows. A walk that is stopped early has recorded what
    is new, and draws no conclusion about folders that it did not reach.
    """
    walk = _Walk(root, ledger, disk, clock, scope, on_progress, stop)
    if walk.run({"": True}) and _same_root(root, ledger, disk):
        note(ledger, root, walk.foreign)
        walk.changes.absent += check_held_copies(
            root, ledger, disk, clock, FORGET_ABSENT_AFTER, lambda: _same_root(root, ledger, disk), stop
        )
    return walk.changes


def reconcile_folders(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    scope: Scope,
    folders: Mapping[str, bool],
    stop: Stop = never,
) -> Changes:
    """The same for folders that events name: folder -> whether everything below it may have changed too."""
    walk = _Walk(root, ledger, disk, clock, scope, lambda done: None, stop)
    walk.run(folders)
    return walk.changes


def _problems(unreadable: Mapping[str, str]) -> list[str]:
    """Sentences about folders that cannot be read; a folder that is a root itself has an empty sentence and none here."""
    return gathered(Trouble(folder, sentence) for folder, sentence in unreadable.items() if sentence)


def _within(folder: str, places: Container[str]) -> bool:
    """Whether the folder is one of these or lies below one."""
    while folder and folder not in places:
        folder = folder.rpartition("/")[0]
    return folder in places


class _WalkStopped(Exception):
    """The walk ends at this safe point."""


class _Walk:
    """One walk: first the files that are there, wherever they came from; then again the folders in which some are missing.

    At a safe point the ledger holds everything seen so far, and other tasks may move files. So no list of files is used
    after a safe point if it was read before it; only names of folders are kept.
    """

    def __init__(
        self, root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, scope: Scope,
        on_progress: Callable[[int], None], stop: Stop,
    ) -> None:  # fmt: skip
        self.changes = Changes()
        self.foreign: dict[str, Foreign] = {}
        """Foreign folders met by the walk: folder -> kind."""
        self._root, self._ledger, self._disk, self._clock = root, ledger, disk, clock
        self._scope, self._on_progress, self._stop = scope, on_progress, stop
        self._unreadable: dict[str, str] = {}
        self._complete: set[str] = set()
        """Folders with every file that the ledger has for them."""
        self._diff = _Diff(root, ledger, disk, clock, self.changes)

    def run(self, places: Mapping[str, bool]) -> bool:
        """Walk these folders (True: and all below them). Returns False when it was stopped early."""
        try:
            for folder, files in self._list(places):
                if files and folder not in self._complete:
                    self._compare(folder, files)
                self._on_progress(self.changes.files)
                self._safe_point()
            for folder in self._incomplete(places):
                self._check_missing(folder)
                self._safe_point()
        except _WalkStopped:
            return False
        finally:
            self._diff.weigh_doubts()
            self.changes.problems += _problems(self._unreadable)
        return True

    def _list(self, places: Mapping[str, bool]) -> Iterator[tuple[str, list[FoundFile]]]:
        met = (self._unreadable.__setitem__, self.foreign.__setitem__)
        for folder, whole in places.items():
            if whole:
                yield from self._disk.walk(self._root.path, folder, self._scope, *met)
            else:
                yield folder, list(self._disk.list_folder(self._root.path, folder, self._scope, *met))

    def _incomplete(self, places: Mapping[str, bool]) -> list[str]:
        """Folders for which the ledger has more files than were found there, and folders that were not reached."""
        known = {folder for folder, whole in places.items() if not whole}
        for folder in (folder for folder, whole in places.items() if whole):
            known.update(self._ledger.files.folders(self._root.id, folder))
        return sorted(known - self._complete)

    def _compare(self, folder: str, files: list[FoundFile]) -> None:
        after = ""
        while files:
            paths = [file.path for file in files]
            companions = companions_in(paths)  # takes as much memory for a moment as the rows do
            known = {row.path: row for row in self._ledger.files.in_folder(self._root.id, folder)}
            for part in self._parts([file for file in files if file.path > after]):
                self._diff.found(part, known, companions)
                after = part[-1].path
            if after >= paths[-1]:
                if known.keys() <= set(paths):
                    self._complete.add(folder)
                return
            files = list(
                self._disk.list_folder(self._root.path, folder, self._scope, self._unreadable.__setitem__)
            )

    def _check_missing(self, folder: str) -> None:
        """Record the missing files of a folder. It is listed again, because a task at a safe point may have moved some of them."""
        after = ""
        while True:
            foreign: dict[str, Foreign] = {}
            met = (self._unreadable.__setitem__, foreign.__setitem__)
            files = list(self._disk.list_folder(self._root.path, folder, self._scope, *met))
            left = _within(folder, foreign)
            if not left and _within(folder, self._unreadable):
                return
            there = {file.path for file in files}
            known = self._ledger.files.in_folder(self._root.id, folder)
            lacking = [row for row in known if row.path > after and row.path not in there]
            lacking.sort(key=lambda row: row.path)
            if not lacking or not _same_root(self._root, self._ledger, self._disk):
                return
            for part in self._parts(lacking):
                self._diff.missing(part, left=left)
                after = part[-1].path
            if after == lacking[-1].path:
                return

    def _parts(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        """The items in slices, with a safe point between two. Ends early when a task at a safe point changed the ledger."""
        for number, part in enumerate(slices(items, self._clock, *PART)):
            before = self._ledger.changes
            if number:
                self._safe_point()
            if self._ledger.changes != before:
                return
            yield part

    def _safe_point(self) -> None:
        if self._stop():
            raise _WalkStopped


class _Diff:
    """Records in the ledger what changed: files that were found, and rows whose file is missing."""

    def __init__(self, root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, changes: Changes) -> None:
        self._root, self._ledger, self._disk, self._clock, self._changes = root, ledger, disk, clock, changes
        self._files = ledger.files
        self._began, self._doubts = clock.now(), 0

    def found(
        self, files: Sequence[FoundFile], known: Mapping[str, FileRow], companions: Container[str]
    ) -> None:
        """Record the files of one folder. `known`: the ledger's rows of that folder, by path."""
        self._changes.files += len(files)
        doubted: list[int] = []
        with self._ledger.transaction():
            for file in files:
                row, companion = known.get(file.path), file.path in companions
                if row is not None:
                    self._known(file, row, companion)
                    if row.content and _doubtful(row.stat, file.stat):
                        doubted.append(row.id)
                elif not self._renamed(file, companion):
                    self._add(file, companion)
            self._doubt(doubted)

    def missing(self, rows: Sequence[FileRow], *, left: bool) -> None:
        """Record missing files. `left`: the folder does not belong to the library any more (P17), and nobody deleted the files."""
        begun = {move.file for move in self._ledger.journal.open_moves()}
        now = self._clock.now()
        with self._ledger.transaction():
            for row in (row for row in rows if row.id not in begun):
                if left:
                    self._changes.left += 1
                    self._forget(row)
                else:
                    self._absent(row, now)

    def weigh_doubts(self) -> None:
        """Call this at the end of a walk: see MANY_DOUBTS."""
        if self._doubts > max(MANY_DOUBTS, self._changes.files // 2):
            with self._ledger.transaction():
                self._ledger.rereading.forget_all(self._root.id, self._began)

    def _add(self, file: FoundFile, companion: bool) -> None:
        self._changes.new += 1
        self._files.add(self._root.id, file.path, file.stat, _first_state(companion))

    def _doubt(self, files: list[int]) -> None:
        self._doubts += len(files)
        self._ledger.rereading.doubt(files, self._began)

    def _known(self, file: FoundFile, row: FileRow, companion: bool) -> None:
        if not _same_times(row.stat, file.stat) or self._replaced_by_held_copy(file, row):
            self._changed(file, row, companion)
            return
        if row.stat != file.stat or row.absent_since is not None:
            self._files.unchanged(row.id, file.stat)
        if row.absent_since is not None:
            self._returned(row)
        if row.absent_since is not None or row.stat.nlink != file.stat.nlink:
            self._affected(row)
        if companion != (row.state == FileState.COMPANION):
            self._affected(row)
            self._files.set_state(row.id, _first_state(companion))
        elif row.reason and (row.stat.ctime_ns, row.stat.ino) != (file.stat.ctime_ns, file.stat.ino):
            self._files.set_state(row.id, _first_state(companion))  # its permissions may have changed

    def _changed(self, file: FoundFile, row: FileRow, companion: bool) -> None:
        self._changes.changed += 1
        note_changed(self._ledger, row, file.stat, _first_state(companion), self._clock.now())
        if self._is_held_copy(file):
            self._files.remove(row.id)
            self._renamed(file, companion)

    def _replaced_by_held_copy(self, file: FoundFile, row: FileRow) -> bool:
        return row.stat.ino != file.stat.ino and self._is_held_copy(file)

    def _is_held_copy(self, file: FoundFile) -> bool:
        """Whether its owner moved a held copy back to this path, over another file."""
        return any(self._is_undone_by_owner(held) for held in self._files.by_inode(self._root.id, file.stat))

    def _renamed(self, file: FoundFile, companion: bool) -> bool:
        """Whether it is a known file that was renamed: same inode, size and mtime, and the old name is gone. Records the rename."""
        for row in self._files.by_inode(self._root.id, file.stat):
            if self._is_undone_by_owner(row):
                undone_by_owner(self._ledger, row, file.path, self._clock.now())
            elif row.state != FileState.HELD and (row.absent_since is not None or self._has_left(row, file)):
                self._rename(row, file, companion)
            else:
                continue
            self._changes.renamed += 1
            return True
        return False

    def _has_left(self, row: FileRow, file: FoundFile) -> bool:
        """Whether the old name is gone, or is only another spelling of the new one (a file with one name cannot have two)."""
        if self._disk.gone(self._root.path, row.path):
            return _same_root(self._root, self._ledger, self._disk)
        now = self._disk.stat(self._root.path, row.path) if file.stat.nlink == 1 else None
        return now is not None and now.ino == file.stat.ino

    def _is_undone_by_owner(self, row: FileRow) -> bool:
        return row.state == FileState.HELD and self._disk.gone(self._root.path, row.path)

    def _rename(self, row: FileRow, file: FoundFile, companion: bool) -> None:
        self._affected(row)
        month, source = month_of(
            file.path, self._captured(row), file.stat.mtime_ns / 1e9, root=self._root.path
        )
        known = row.content and row.state != FileState.SKIPPED
        named = named_month(file.path, self._root.path)
        self._files.renamed(row.id, file.path, str(month) if known else named, source)
        self._files.unchanged(row.id, file.stat)
        if row.content and _doubtful(row.stat, file.stat):
            self._doubt([row.id])
        self._ledger.sidecars.follow(self._root.id, row.path, file.path)
        if companion != (row.state == FileState.COMPANION):
            self._files.set_state(row.id, _first_state(companion))
        self._returned(row)
        if row.content:
            self._ledger.months.mark_changed(self._root.id, str(month), self._clock.now())
            self._ledger.journal.keeper_renamed(self._root.path, row.path, file.path, row.content)

    def _returned(self, row: FileRow) -> None:
        """The file is back: photos that came to its month meanwhile were not compared with it, so they are compared now."""
        if row.content:
            self._ledger.pairs.forget_compared([row.content])

    def _captured(self, row: FileRow) -> float | None:
        traits = self._ledger.contents.traits([row.content]) if row.content else {}
        return traits[row.content].captured if row.content in traits else None

    def _absent(self, row: FileRow, now: float) -> None:
        if row.absent_since is None:
            self._changes.absent += 1
            self._affected(row)
            self._files.absent(row.id, now)
        elif now < row.absent_since:  # the clock was set back: how long it has been missing is unknown
            self._files.absent(row.id, now)
        elif now - row.absent_since >= FORGET_ABSENT_AFTER:
            self._ledger.groups.void(row.id)
            self._files.remove(row.id)

    def _forget(self, row: FileRow) -> None:
        """Remove a row. Held copies of it have no keeper from now on, so they are moved back (P8)."""
        self._affected(row)
        self._ledger.groups.void(row.id)
        self._files.remove(row.id)

    def _affected(self, row: FileRow) -> None:
        _affected(self._ledger, row, self._clock.now())


def note_changed(
    ledger: Ledger, row: FileRow, stat: FileStat, state: FileState, now: float, content: str | None = None
) -> None:
    """Record that a file has other bytes now (`content`, if they were read), so that it is read again."""
    _affected(ledger, row, now)
    ledger.groups.void(row.id)
    ledger.files.changed(row.id, stat, state, content)


def _affected(ledger: Ledger, row: FileRow, now: float) -> None:
    """Mark its month, and each month whose groups it was part of, to be grouped again."""
    beside = ledger.groups.affected_months(row.root, row.id, row.content)
    for month in {row.month, *beside}:
        ledger.months.mark_changed(row.root, month, now)


def _first_state(companion: bool) -> FileState:
    return FileState.COMPANION if companion else FileState.SEEN


def _same_times(a: FileStat, b: FileStat) -> bool:
    return (a.size, a.mtime_ns) == (b.size, b.mtime_ns)


def _doubtful(before: FileStat, now: FileStat) -> bool:
    """Whether the bytes may be different although size and mtime are the same, as after `exiftool -P` or `rsync --inplace -t`.

    Each such file is read again (not decoded), slowly. Its new numbers are recorded at once, so one change is one doubt;
    nothing is doubtful after an upgrade, because every version of dedupd recorded these numbers.
    chmod, chown, a rename, a hard link and xattrs change ctime too, and a mount may give all files new inode numbers
    (exFAT, some network mounts). These happen to many files at once, and then none counts as doubtful (MANY_DOUBTS):
    keepers of held copies are read once a month anyway. A file system without a stored ctime (FAT, exFAT, sshfs) shows
    the time of the last change while it remembers it, and later mtime instead: that is no change.
    """
    if not _same_times(before, now):
        return False
    return before.ino != now.ino or now.ctime_ns not in (before.ctime_ns, now.mtime_ns)


def same_bytes(a: FileStat, b: FileStat) -> bool:
    """Whether it is certainly the file that was recorded, by everything that stat shows."""
    # The device is not compared: the same disk gets another number at every mount, which must not matter (P9). FAT,
    # exFAT and FUSE give new inode numbers too; there the ctime, which nobody can set, shows that it is the same file.
    return _same_times(a, b) and (a.ino == b.ino or a.ctime_ns == b.ctime_ns)
