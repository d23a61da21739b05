"""Disk against ledger: what is new, changed, renamed or gone. The truth behind the watcher's events.

Must never move a file, and never take absence for deletion while a root is not surely itself (P9).
A look goes in slices, between which files move. Cost follows the folders looked at; memory follows the largest
single folder.
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
from dedupd.pipeline.held_copies import look_aside, taken_back
from dedupd.pipeline.slices import Stop, never, slices
from dedupd.ports import Clock, Disk, FoundFile

if TYPE_CHECKING:
    from dedupd.adapters.ledger import Ledger

FORGET_ABSENT_AFTER = 60.0
"""Seconds a file must stay away, in two looks, before its row goes."""
MANY_DOUBTS = 32
"""More doubts than this in one look, and in more than half of its files: what befell them all befell no bytes."""
PART = (512, 16384)
"""Files of one folder between two safe points, fewest and most."""

T = TypeVar("T")


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


def _still_itself(root: RootRow, ledger: Ledger, disk: Disk) -> bool:
    """A disk pulled out while its folders were read looks like a disk whose photos were deleted."""
    try:
        found = disk.identity(root.path)
    except RootError:
        return False
    if found.dev != root.dev or found.uuid not in ("", root.uuid):
        return False
    return found.uuid == root.uuid or any(
        _there(root, row, disk) for row in ledger.inventory.some_files(root.id)
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

    Whoever comes in at a safe point may move files and change their rows. Stopped before its end, it has noted what is
    new, and believes in nothing that it did not come to see.
    """
    look = _Look(root, ledger, disk, clock, scope, on_progress, stop)
    if look.at({"": True}) and _still_itself(root, ledger, disk):
        note(ledger, root, look.foreign)
        look.changes.absent += look_aside(
            root, ledger, disk, clock, FORGET_ABSENT_AFTER, lambda: _still_itself(root, ledger, disk), stop
        )
    return look.changes


def reconcile_folders(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    scope: Scope,
    folders: Mapping[str, bool],
    stop: Stop = never,
) -> Changes:
    """The same for what events hint at: folder -> whether everything below it may have changed too."""
    look = _Look(root, ledger, disk, clock, scope, lambda done: None, stop)
    look.at(folders)
    return look.changes


def _told(unreadable: Mapping[str, str]) -> list[str]:
    """Of a folder that is a root of its own there is nothing to tell."""
    return gathered(Trouble(folder, sentence) for folder, sentence in unreadable.items() if sentence)


def _within(folder: str, places: Container[str]) -> bool:
    """Whether the folder is one of these or lies below one."""
    while folder and folder not in places:
        folder = folder.rpartition("/")[0]
    return folder in places


class _Ended(Exception):
    """The look ends at this safe point."""


class _Look:
    """The order of one look: first what is there, wherever it came from; then, once more, where something is missing.

    At its safe points the ledger says all that was seen, and others come in who move files. Between two of them it goes
    by no list of files that is older than the first; from one to the next it keeps the names of folders alone.
    """

    def __init__(
        self, root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, scope: Scope,
        on_progress: Callable[[int], None], stop: Stop,
    ) -> None:  # fmt: skip
        self.changes = Changes()
        self.foreign: dict[str, Foreign] = {}
        """Met on the way: folder -> kind."""
        self._root, self._ledger, self._disk, self._clock = root, ledger, disk, clock
        self._scope, self._on_progress, self._stop = scope, on_progress, stop
        self._unreadable: dict[str, str] = {}
        self._whole: set[str] = set()
        """Folders that held all that the ledger knew of them."""
        self._diff = _Diff(root, ledger, disk, clock, self.changes)

    def at(self, places: Mapping[str, bool]) -> bool:
        """Look at these folders (True: and at all below them). False when it was ended before its end."""
        try:
            for folder, files in self._listed(places):
                if files and folder not in self._whole:
                    self._see(folder, files)
                self._on_progress(self.changes.files)
                self._safe_point()
            for folder in self._lacking(places):
                self._miss(folder)
                self._safe_point()
        except _Ended:
            return False
        finally:
            self._diff.weigh_doubts()
            self.changes.problems += _told(self._unreadable)
        return True

    def _listed(self, places: Mapping[str, bool]) -> Iterator[tuple[str, list[FoundFile]]]:
        met = (self._unreadable.__setitem__, self.foreign.__setitem__)
        for folder, whole in places.items():
            if whole:
                yield from self._disk.walk(self._root.path, folder, self._scope, *met)
            else:
                yield folder, list(self._disk.list_folder(self._root.path, folder, self._scope, *met))

    def _lacking(self, places: Mapping[str, bool]) -> list[str]:
        """Folders of which the ledger knows more than was seen there, or that were not come to."""
        known = {folder for folder, whole in places.items() if not whole}
        for folder in (folder for folder, whole in places.items() if whole):
            known.update(self._ledger.inventory.folders(self._root.id, folder))
        return sorted(known - self._whole)

    def _see(self, folder: str, files: list[FoundFile]) -> None:
        after = ""
        while files:
            rows = self._ledger.inventory.files_in_folder(self._root.id, folder)
            known, paths = {row.path: row for row in rows}, [file.path for file in files]
            companions = companions_in(paths)
            for part in self._parts([file for file in files if file.path > after]):
                self._diff.found(part, known, companions)
                after = part[-1].path
            if after >= paths[-1]:
                if known.keys() <= set(paths):
                    self._whole.add(folder)
                return
            files = list(
                self._disk.list_folder(self._root.path, folder, self._scope, self._unreadable.__setitem__)
            )

    def _miss(self, folder: str) -> None:
        """Somebody may have come in since it was listed; nothing did since it is listed now."""
        after = ""
        while True:
            foreign: dict[str, Foreign] = {}
            met = (self._unreadable.__setitem__, foreign.__setitem__)
            files = list(self._disk.list_folder(self._root.path, folder, self._scope, *met))
            left = _within(folder, foreign)
            if not left and _within(folder, self._unreadable):
                return
            there = {file.path for file in files}
            known = self._ledger.inventory.files_in_folder(self._root.id, folder)
            lacking = [row for row in known if row.path > after and row.path not in there]
            lacking.sort(key=lambda row: row.path)
            if not lacking or not _still_itself(self._root, self._ledger, self._disk):
                return
            for part in self._parts(lacking):
                self._diff.missing(part, left=left)
                after = part[-1].path
            if after == lacking[-1].path:
                return

    def _parts(self, items: Sequence[T]) -> Iterator[Sequence[T]]:
        """Some at a time, with a safe point between two; no more of them once somebody came in there who did something."""
        for number, part in enumerate(slices(items, self._clock, *PART)):
            before = self._ledger.changes
            if number:
                self._safe_point()
            if self._ledger.changes != before:
                return
            yield part

    def _safe_point(self) -> None:
        if self._stop():
            raise _Ended


class _Diff:
    """What one file that was found, or one row whose file was not, changes in the ledger."""

    def __init__(self, root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, changes: Changes) -> None:
        self._root, self._ledger, self._disk, self._clock, self._changes = root, ledger, disk, clock, changes
        self._files = ledger.inventory
        self._began, self._doubts = clock.now(), 0

    def found(
        self, files: Sequence[FoundFile], known: Mapping[str, FileRow], companions: Container[str]
    ) -> None:
        """Files of one folder, of which `known` is what the ledger knows."""
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
        """`left`: what an older look took for photos here is none of the library (P17): it leaves, and nobody deleted it."""
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
        """At the end of a look: see MANY_DOUBTS."""
        if self._doubts > max(MANY_DOUBTS, self._changes.files // 2):
            with self._ledger.transaction():
                self._ledger.rereading.forget_all(self._root.id, self._began)

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
            self._renamed(file, companion)

    def _replaced_by_a_held_one(self, file: FoundFile, row: FileRow) -> bool:
        return row.stat.ino != file.stat.ino and self._holds_a_held_one(file)

    def _holds_a_held_one(self, file: FoundFile) -> bool:
        """Its owner moved a held copy back, over what lay here."""
        return any(self._is_taken_back(held) for held in self._files.files_by_inode(self._root.id, file.stat))

    def _renamed(self, file: FoundFile, companion: bool) -> bool:
        """Whether it was known by another name (a rename keeps inode, size, mtime), which is its own no more."""
        for row in self._files.files_by_inode(self._root.id, file.stat):
            if self._is_taken_back(row):
                taken_back(self._ledger, row, file.path, self._clock.now())
            elif row.state != FileState.HELD and (row.absent_since is not None or self._went(row, file)):
                self._rename(row, file, companion)
            else:
                continue
            self._changes.renamed += 1
            return True
        return False

    def _went(self, row: FileRow, file: FoundFile) -> bool:
        """Its former name is gone, or only another spelling: a file with one name is not found under two."""
        if self._disk.gone(self._root.path, row.path):
            return _still_itself(self._root, self._ledger, self._disk)
        now = self._disk.stat(self._root.path, row.path) if file.stat.nlink == 1 else None
        return now is not None and now.ino == file.stat.ino

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
