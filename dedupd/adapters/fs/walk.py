"""The walk below a root: which folders it enters, which files it finds, and to whom the rest is reported.

Whole walks, single folders and events agree because all of them use this module. Must never follow a symlink, leave the root's
device or open a file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from fnmatch import fnmatch

from dedupd.adapters.fs.safe_paths import Root
from dedupd.core.foreign import Foreign, Scope, foreign
from dedupd.core.photo import FileStat
from dedupd.core.relocation import DUPLICATES
from dedupd.core.settling import passed_over
from dedupd.ports import FoundFile

OUR_FOLDERS = frozenset({DUPLICATES, "duplicates_summary"})

OnProblem = Callable[[str, str], None]
"""on_problem(folder, sentence): what lies in and below this folder is unknown."""
OnForeign = Callable[[str, Foreign], None]
"""on_foreign(folder, kind): what lies in and below this folder is none of the library."""


class FolderWalk:
    """Lists the folders of an open root, one at a time."""

    def __init__(
        self, top: Root, scope: Scope, on_problem: OnProblem, on_foreign: OnForeign, *, held: bool = False
    ) -> None:
        """`held`: for what dedupd moved, so it enters duplicates/ as well."""
        self._top, self._scope, self._held = top, scope, held
        self._on_problem, self._on_foreign = on_problem, on_foreign

    def enters(self, folder: str) -> bool:
        """Whether a walk from the top of the root would come to this folder."""
        try:
            for path in _way(folder):
                parent = path.rpartition("/")[0]
                opens = self._opens(path, _There(self._top, parent), _There(self._top, path))
                if not opens or self._respelled(path):
                    return False
        except OSError as error:
            self._failed(folder, error)
            return False
        return True

    def _respelled(self, path: str) -> bool:
        """True where upper and lower case are the same and this is not how the name is written: no walk comes to it so."""
        parent, _, name = path.rpartition("/")
        other = self._top.lstat(f"{parent}/{name.swapcase()}" if parent else name.swapcase())
        this = self._top.lstat(path) if other is not None and name != name.swapcase() else None
        if this is None or other is None or this.st_ino != other.st_ino:
            return False
        with self._top.folder(parent) as fd:
            return name not in os.listdir(fd)

    def list_folder(self, folder: str) -> tuple[list[FoundFile], list[str]]:
        """Files and folders in one folder. All or nothing: files missing from half a list would look deleted."""
        files: list[FoundFile] = []
        below: list[str] = []

        def found(path: str, entry: os.DirEntry[str]) -> None:
            files.append(FoundFile(path=path, stat=file_stat(entry.stat(follow_symlinks=False))))

        return (files, below) if self._look(folder, found, below) else ([], [])

    def names(self, folder: str) -> list[str]:
        """The paths of those files, without asking the disk about each."""
        paths: list[str] = []
        return paths if self._look(folder, lambda path, entry: paths.append(path), []) else []

    def _look(self, folder: str, found: Callable[[str, os.DirEntry[str]], None], below: list[str]) -> bool:
        """Hand over each file, and collect the folders. False when that is not all."""
        try:
            with self._top.folder(folder) as fd, os.scandir(fd) as entries:
                inside = sorted(entries, key=lambda entry: entry.name, reverse=True)
                names = frozenset(entry.name for entry in inside)
                if folder and not self._opens(folder, (), names):
                    return False
                while inside:  # each entry keeps its stat, and a folder may hold all of a library
                    entry = inside.pop()
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    with suppress(FileNotFoundError):  # gone since the listing: the others are there
                        self._sort(entry, path, names, found, below)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self._failed(folder, error)
            return False
        return True

    def _sort(
        self,
        entry: os.DirEntry[str],
        path: str,
        beside: Container[str],
        found: Callable[[str, os.DirEntry[str]], None],
        below: list[str],
    ) -> None:
        if entry.is_symlink():
            return
        if entry.is_dir(follow_symlinks=False):
            if not self._opens(path, beside, ()):
                return
            if entry.stat(follow_symlinks=False).st_dev == self._top.dev:
                below.append(path)
            else:
                self._on_problem(path, self._elsewhere(f"{self._top.path}/{path}"))
        elif (
            entry.is_file(follow_symlinks=False)
            and not passed_over(entry.name)
            and not _ignored(path, self._scope)
        ):
            found(path, entry)

    def _opens(self, path: str, beside: Container[str], inside: Container[str]) -> bool:
        """False for a folder that is not entered; people are told of those that belong to another program."""
        if _ignored(path, self._scope):
            return False
        if self._held:  # neither a bin nor a .nomedia hides a held copy from undo
            beside, inside = (), ()
        kind = foreign(path, beside, inside, defaults=self._scope.defaults)
        if kind is not None:
            self._on_foreign(path, kind)
            return False
        name = path.rpartition("/")[2]
        return not _closed(name) or (self._held and name.casefold() == DUPLICATES)

    def _failed(self, folder: str, error: OSError) -> None:
        at = f"{self._top.path}/{folder}" if folder else self._top.path
        if error.errno == errno.EXDEV:
            self._on_problem(folder, self._elsewhere(at))
        elif error.errno != errno.ELOOP:  # a folder that a link has replaced is no folder of this root
            self._on_problem(
                folder, f"{at} cannot be read ({error.strerror}): its photos are left alone until it can"
            )

    def _elsewhere(self, at: str) -> str:
        """Whether the folder is a mount (also a bind mount with the same device number), and so not part of this root (P6)."""
        below = (root for root in self._scope.roots if root.startswith(f"{self._top.path}/"))
        if any(at == root or at.startswith(f"{root}/") for root in below):
            return ""
        return f"{at} is another file system: name it as a root of its own"


class _There:
    """The names in a folder, each looked up alone: listing all costs more than the few that a layout needs."""

    def __init__(self, top: Root, folder: str) -> None:
        self._top, self._folder = top, folder

    def __contains__(self, name: object) -> bool:
        return self._top.lstat(f"{self._folder}/{name}" if self._folder else str(name)) is not None


def looked_at(folder: str, scope: Scope) -> bool:
    """Whether a walk may enter this folder, by the names on the way to it alone."""
    return not any(
        _ignored(path, scope)
        or _closed(path.rpartition("/")[2])
        or foreign(path, defaults=scope.defaults) is not None
        for path in _way(folder)
    )


def file_stat(found: os.stat_result) -> FileStat:
    """lstat's answer as a value."""
    return FileStat(
        size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns,
        dev=found.st_dev, ino=found.st_ino, nlink=found.st_nlink,
    )  # fmt: skip


def _way(folder: str) -> Iterator[str]:
    """'a/b/c' -> 'a', 'a/b', 'a/b/c'; '' -> nothing."""
    parts = folder.split("/") if folder else []
    return ("/".join(parts[: n + 1]) for n in range(len(parts)))


def _closed(name: str) -> bool:
    return name.startswith(".") or name.casefold() in OUR_FOLDERS


def _ignored(path: str, scope: Scope) -> bool:
    return any(fnmatch(path, glob) or fnmatch(path.rpartition("/")[2], glob) for glob in scope.ignore)
