"""Disk against ledger: what is new, changed, renamed or gone. The truth behind the watcher's events.

Must never move a file, and never take absence for deletion while a root is not surely itself (P9).
Cost follows the folders looked at; memory follows the largest single folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

from dedupd.core.month import month_of
from dedupd.core.photo import FileStat, FileState
from dedupd.core.records import FileRow, RootRow
from dedupd.core.relocation import Goal, MoveState
from dedupd.core.units import companions_in
from dedupd.errors import RootError
from dedupd.pipeline.placing import place
from dedupd.ports import Clock, Disk, FoundFile

if (
    TYPE_CHECKING
):  # the ledger is stdlib SQLite: its in-memory twin is ':memory:', so it is named here, for types only
    from dedupd.adapters.ledger import Ledger

FORGET_ABSENT_AFTER = 60.0
"""Seconds a file must stay away, in two looks, before its row goes."""


@dataclass(slots=True)
class Changes:
    """What one reconciliation found."""

    new: int = 0
    changed: int = 0
    renamed: int = 0
    absent: int = 0
    files: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def any(self) -> bool:
        return bool(self.new or self.changed or self.renamed or self.absent)


def identify(root: RootRow, ledger: Ledger, disk: Disk, *, mark: bool) -> RootRow:
    """The root's row when the folder is surely the one dedupd knows; marks it on its first real use.

    Raises RootError (one sentence) and records the root as offline when it is missing, unreadable or another.
    """
    try:
        found = disk.identity(root.path)
        if root.uuid and found.uuid != root.uuid:
            raise RootError(
                f"{root.path} is not the folder dedupd knows (its .dedupd-root.json is "
                f"{'missing' if not found.uuid else 'another'}): is the disk mounted? Nothing is changed until it is back"
            )
        uuid = root.uuid or found.uuid or (disk.mark(root.path) if mark else "")
    except RootError as error:
        with ledger.transaction():
            ledger.inventory.update_root(root.id, online=False, note=str(error))
        raise
    if (uuid, found.dev, True, "") != (root.uuid, root.dev, root.online, root.note):
        with ledger.transaction():
            ledger.inventory.update_root(root.id, uuid=uuid, dev=found.dev, online=True, note="")
    return next(r for r in ledger.inventory.roots() if r.id == root.id)


def reconcile(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    ignore: Iterable[str],
    on_progress: Callable[[int], None] = lambda done: None,
    under: str = "",
) -> Changes:
    """Walk the root (or what lies under one of its folders) and bring the ledger up to date with it."""
    changes = Changes()
    unreadable: list[str] = []

    def problem(folder: str, sentence: str) -> None:
        unreadable.append(folder)
        changes.problems.append(sentence)

    diff = _Diff(root, ledger, disk, clock, changes)
    visited: set[str] = set()
    found = disk.walk(root.path, under, tuple(ignore), problem)
    for folder, files in _by_folder(found):
        visited.add(folder)
        diff.folder(folder, files)
        on_progress(changes.files)
    for folder in ledger.inventory.folders(root.id):
        if (
            folder not in visited
            and _inside(folder, under)
            and not any(_inside(folder, f) for f in unreadable)
        ):
            diff.folder(folder, [])
    diff.finish()
    if not under:
        _held_files(root, ledger, disk, clock, changes)
    return changes


def reconcile_folders(
    root: RootRow,
    ledger: Ledger,
    disk: Disk,
    clock: Clock,
    ignore: Iterable[str],
    folders: Mapping[str, bool],
) -> Changes:
    """The same for what events hint at: folder -> whether everything below it may have changed too."""
    changes = Changes()
    diff = _Diff(root, ledger, disk, clock, changes)
    closed: list[str] = []

    def problem(folder: str, sentence: str) -> None:
        closed.append(folder)
        changes.problems.append(sentence)

    for folder in _with_those_below(root, ledger, disk, tuple(ignore), folders):
        files = list(disk.list_folder(root.path, folder, tuple(ignore), problem))
        if folder not in closed:
            diff.folder(folder, files)
    diff.finish()
    return changes


def _with_those_below(
    root: RootRow, ledger: Ledger, disk: Disk, ignore: tuple[str, ...], folders: Mapping[str, bool]
) -> list[str]:
    found = set(folders)
    for folder in (f for f, whole in folders.items() if whole):
        walked = disk.walk(root.path, folder, ignore, lambda at, sentence: None)
        found |= {file.path.rpartition("/")[0] for file in walked}
        found |= {known for known in ledger.inventory.folders(root.id) if _inside(known, folder)}
    return sorted(found)


def _by_folder(found: Iterator[FoundFile]) -> Iterator[tuple[str, list[FoundFile]]]:
    for folder, files in groupby(found, key=lambda f: f.path.rpartition("/")[0]):
        yield folder, list(files)


def _inside(folder: str, closed: str) -> bool:
    return closed == "" or folder == closed or folder.startswith(closed + "/")


class _Diff:
    """Folder by folder; renames are matched at the end, when both ends are known."""

    def __init__(self, root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, changes: Changes) -> None:
        self._root, self._ledger, self._disk, self._clock, self._changes = root, ledger, disk, clock, changes
        self._files = ledger.inventory
        self._new: list[tuple[FoundFile, bool]] = []
        self._gone: dict[int, FileRow] = {}

    def folder(self, folder: str, found: list[FoundFile]) -> None:
        self._changes.files += len(found)
        known = {row.path: row for row in self._files.files_in_folder(self._root.id, folder)}
        companions = companions_in([f.path for f in found])
        with self._ledger.transaction():
            for file in found:
                row = known.pop(file.path, None)
                self._file(file, row, file.path in companions)
        for row in known.values():
            self._gone[row.id] = row

    def _file(self, file: FoundFile, row: FileRow | None, companion: bool) -> None:
        if row is None:
            self._new.append((file, companion))
            return
        if _same_bytes(row.stat, file.stat):
            if row.stat != file.stat or row.absent_since is not None:
                self._files.same_file(row.id, file.stat)
            if row.absent_since is not None:
                self._month_changed(row)
            if companion != (row.state == FileState.COMPANION):
                self._month_changed(row)
                self._files.set_state(row.id, FileState.COMPANION if companion else FileState.SEEN)
            return
        self._changes.changed += 1
        self._month_changed(row)
        self._files.changed_file(row.id, file.stat, FileState.COMPANION if companion else FileState.SEEN)

    def finish(self) -> None:
        """Match new paths with vanished ones (a rename keeps inode, size, mtime), then record the rest."""
        with self._ledger.transaction():
            for file, companion in self._new:
                if not self._renamed(file, companion):
                    self._changes.new += 1
                    state = FileState.COMPANION if companion else FileState.SEEN
                    self._files.add_file(self._root.id, file.path, file.stat, state)
            now = self._clock.now()
            for row in self._gone.values():
                self._absent(row, now)

    def _renamed(self, file: FoundFile, companion: bool) -> bool:
        for row in self._files.files_by_inode(self._root.id, file.stat):
            if row.state == FileState.HELD and self._disk.stat(self._root.path, row.path) is None:
                taken_back(self._ledger, row, file.path, self._clock.now())
                self._changes.renamed += 1
                return True
            if row.state == FileState.HELD or not (row.id in self._gone or row.absent_since is not None):
                continue
            self._gone.pop(row.id, None)
            self._month_changed(row)
            captured = self._captured(row)
            month, source = month_of(file.path, captured, file.stat.mtime_ns / 1e9)
            self._files.renamed_file(row.id, file.path, str(month) if row.content else "", source)
            self._files.same_file(row.id, file.stat)
            if companion != (row.state == FileState.COMPANION):
                self._files.set_state(row.id, FileState.COMPANION if companion else FileState.SEEN)
            if row.content:
                self._files.change_month(self._root.id, str(month), self._clock.now())
            self._changes.renamed += 1
            return True
        return False

    def _captured(self, row: FileRow) -> float | None:
        traits = self._files.traits([row.content]) if row.content else {}
        return traits[row.content].captured if row.content in traits else None

    def _absent(self, row: FileRow, now: float) -> None:
        if row.absent_since is None:
            self._changes.absent += 1
            self._month_changed(row)
            self._files.absent_file(row.id, now)
        elif not 0 <= now - row.absent_since < FORGET_ABSENT_AFTER:
            self._files.remove_file(row.id)

    def _month_changed(self, row: FileRow) -> None:
        self._files.change_month(self._root.id, row.month, self._clock.now())


def _same_bytes(a: FileStat, b: FileStat) -> bool:
    # Not the device: the same disk gets another number at every mount, and that must cost nothing (P9).
    return (a.size, a.mtime_ns, a.ino) == (b.size, b.mtime_ns, b.ino)


def _held_files(root: RootRow, ledger: Ledger, disk: Disk, clock: Clock, changes: Changes) -> None:
    """Held copies lie where no walk goes: look at each. One that is gone from there was its owner's to remove."""
    for row in ledger.inventory.in_state(FileState.HELD, root.id):
        if disk.stat(root.path, row.path) is not None:
            continue
        with ledger.transaction():
            ended = [m for m in ledger.journal.moves(root=root.path, held=True) if m.file == row.id]
            gone = [
                replace(m, state=MoveState.ABORTED, error="taken out of duplicates/ by its owner")
                for m in ended
            ]
            ledger.journal.finish(gone)
            ledger.inventory.change_month(root.id, row.month, clock.now())
            ledger.inventory.remove_file(row.id)
        changes.absent += 1


def taken_back(ledger: Ledger, row: FileRow, path: str, now: float) -> None:
    """Its owner moved a held copy out of duplicates/ by hand: that is an undo, and it stays where they put it (P11)."""
    with ledger.transaction():
        held = [m for m in ledger.journal.moves(content=row.content, held=True) if m.file == row.id]
        undone = [replace(m, goal=Goal.UNDONE, restored=path) for m in held]
        ledger.journal.finish(undone)
        place(ledger, undone, now)
