"""Looking at the roots: walk, lstat, identity, hash. Writes nothing but the root's own marker.

Must never rename or open a photo for writing, follow a symlink or leave the root's device.
"""

from __future__ import annotations

import errno
import grp
import json
import os
import pwd
import stat as modes
import sys
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path

from dedupd.adapters.beneath import MARKER, Root, content_of, marker_at
from dedupd.core.photo import FileStat
from dedupd.core.relocation import DUPLICATES, is_held
from dedupd.core.settling import passed_over
from dedupd.errors import RootError
from dedupd.ports import FoundFile, RootIdentity

OUR_FOLDERS = frozenset({"duplicates", "duplicates_summary"})
PACKAGES = (
    ".photoslibrary",
    ".aplibrary",
    ".migratedphotolibrary",
    ".lrdata",
    ".lrlibrary",
    ".app",
    ".cocatalog",
)
"""Folders that belong to another program: its database and its files must stay in step."""

OnProblem = Callable[[str, str], None]
"""on_problem(folder, sentence): what lies in and below this folder is unknown."""


class LocalDisk:
    """ports.Disk on the machine's own file systems."""

    def identity(self, root: str) -> RootIdentity:
        try:
            found = os.stat(root)
            if not modes.S_ISDIR(found.st_mode):
                raise RootError(f"{root} is not a folder: name the folder your photos lie in")
            with os.scandir(root):
                pass
        except FileNotFoundError:
            raise RootError(f"{root} does not exist: is the disk mounted, is the path right?") from None
        except PermissionError:
            raise RootError(
                f"{root} cannot be read: give dedupd permission to read it{_mac_hint()}"
            ) from None
        except OSError as error:
            raise RootError(f"{root} cannot be read ({error.strerror}): is the disk all right?") from None
        return RootIdentity(uuid=self._marker(root), dev=found.st_dev)

    def _marker(self, root: str) -> str:
        try:
            folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                return marker_at(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise RootError(f"{root}/{MARKER} cannot be read ({error.strerror}): make it readable") from None
        except ValueError as error:
            raise RootError(
                f"{root}/{MARKER} is damaged ({error}): restore it from a backup, or delete it to let dedupd know this folder anew"
            ) from None

    def shared(self, root: str) -> bool:
        """True when other users can write in this folder (the user's own private group is not others)."""
        found = os.stat(root)
        if found.st_mode & modes.S_IWOTH and not found.st_mode & modes.S_ISVTX:
            return True
        return bool(found.st_mode & modes.S_IWGRP) and not _own_group(found.st_gid)

    def mark(self, root: str, known: str = "") -> str:
        """The file is complete before it has its name, and a name that is taken is never replaced."""
        if found := self._marker(root):
            return found
        new = known or str(uuid.uuid4())
        text = json.dumps(
            {"uuid": new, "what": "dedupd knows this photo folder by this file; please leave it here"}
        )
        draft = Path(root, f"{MARKER}.{uuid.uuid4().hex}.tmp")
        try:
            _drop_drafts(root)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "w") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, Path(root, MARKER))
            finally:
                os.unlink(draft)
        except FileExistsError:
            return self._marker(root)
        except OSError:
            return ""
        return new

    def walk(
        self, root: str, under: str, ignore: Sequence[str], on_problem: OnProblem
    ) -> Iterator[FoundFile]:
        waiting = [under]
        with _opened(root, on_problem) as top:
            while waiting and top is not None:
                folder = waiting.pop()
                files, below = _look(top, folder, ignore, on_problem)
                yield from files
                waiting += reversed(below)

    def list_folder(
        self, root: str, folder: str, ignore: Sequence[str], on_problem: OnProblem
    ) -> Iterator[FoundFile]:
        if not _searchable(folder, ignore):
            return
        with _opened(root, on_problem) as top:
            if top is not None:
                yield from _look(top, folder, ignore, on_problem)[0]

    def held(self, root: str) -> Iterator[FoundFile]:
        waiting = [""]
        with _opened(root, _unheard) as top:
            while waiting and top is not None:
                folder = waiting.pop()
                files, below = _look(top, folder, (), _unheard, held=True)
                yield from (file for file in files if is_held(file.path))
                waiting += below

    def stat(self, root: str, path: str) -> FileStat | None:
        try:
            found = os.lstat(os.path.join(root, path))
        except OSError:
            return None
        return file_stat(found) if modes.S_ISREG(found.st_mode) else None

    def gone(self, root: str, path: str) -> bool:
        try:
            with Root(root) as top:
                found = top.lstat(path)
        except OSError as error:
            return error.errno == errno.ELOOP  # a link has taken the place of one of its folders
        except RootError:
            return False
        return found is None or not modes.S_ISREG(found.st_mode)

    def content(self, root: str, path: str) -> str:
        try:
            with Root(root) as top, top.opened(path) as fd:
                return content_of(fd)
        except RootError as error:
            raise OSError(errno.ENOENT, str(error), path) from error


def _drop_drafts(root: str) -> None:
    """What a crash left of earlier markers. One that another process is writing now fails there, and is tried again."""
    for draft in Path(root).glob(f"{MARKER}.*.tmp"):
        if draft.is_file() and not draft.is_symlink():
            os.unlink(draft)


def _unheard(folder: str, sentence: str) -> None:
    pass


@contextmanager
def _opened(root: str, on_problem: OnProblem) -> Generator[Root | None]:
    try:
        top = Root(root)
    except RootError as error:
        on_problem("", str(error))
        yield None
        return
    with top:
        yield top


def _look(
    top: Root, folder: str, ignore: Sequence[str], on_problem: OnProblem, *, held: bool = False
) -> tuple[list[FoundFile], list[str]]:
    """Files and folders in one folder, whole or not at all: what half a list leaves out would look deleted."""
    files: list[FoundFile] = []
    below: list[str] = []
    at = f"{top.path}/{folder}" if folder else top.path
    try:
        with top.folder(folder) as fd, os.scandir(fd) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                path = f"{folder}/{entry.name}" if folder else entry.name
                with suppress(FileNotFoundError):  # gone while we look: the others are there
                    _sort(top, entry, path, ignore, on_problem, files, below, held)
    except (FileNotFoundError, NotADirectoryError):
        return [], []
    except OSError as error:
        if error.errno == errno.EXDEV:
            on_problem(folder, _elsewhere(at))
        elif error.errno != errno.ELOOP:  # a folder that a link has replaced is no folder of this root
            on_problem(
                folder, f"{at} cannot be read ({error.strerror}): its photos are left alone until it can"
            )
        return [], []
    return files, below


def _elsewhere(at: str) -> str:
    """A mounted disk, or a bind mount: the same device number, and not of this root for all that (P6)."""
    return f"{at} is another file system: name it as a root of its own"


def _sort(
    top: Root,
    entry: os.DirEntry[str],
    path: str,
    ignore: Sequence[str],
    on_problem: OnProblem,
    files: list[FoundFile],
    below: list[str],
    held: bool,
) -> None:
    if entry.is_symlink() or _ignored(path, ignore):
        return
    if entry.is_dir(follow_symlinks=False):
        if _closed(entry.name) and not (held and entry.name.casefold() == DUPLICATES):
            return
        if entry.stat(follow_symlinks=False).st_dev == top.dev:
            below.append(path)
        else:
            on_problem(path, _elsewhere(f"{top.path}/{path}"))
    elif entry.is_file(follow_symlinks=False) and not passed_over(entry.name):
        files.append(FoundFile(path=path, stat=file_stat(entry.stat(follow_symlinks=False))))


def file_stat(found: os.stat_result) -> FileStat:
    """lstat's answer as a value."""
    return FileStat(
        size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns,
        dev=found.st_dev, ino=found.st_ino, nlink=found.st_nlink,
    )  # fmt: skip


def _own_group(gid: int) -> bool:
    """Most systems give each user a group of the same name, with nobody else in it."""
    try:
        group = grp.getgrgid(gid)
        return group.gr_name == pwd.getpwuid(os.getuid()).pw_name and not set(group.gr_mem) - {group.gr_name}
    except KeyError:
        return False


def _closed(name: str) -> bool:
    return name.startswith(".") or name.casefold() in OUR_FOLDERS or name.casefold().endswith(PACKAGES)


def _searchable(folder: str, ignore: Sequence[str]) -> bool:
    parts = folder.split("/") if folder else []
    return not any(
        _closed(part) or _ignored("/".join(parts[: n + 1]), ignore) for n, part in enumerate(parts)
    )


def _ignored(path: str, ignore: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern) for pattern in ignore)


def _mac_hint() -> str:
    if sys.platform != "darwin":
        return ""
    return " (System Settings > Privacy & Security > Full Disk Access)"
