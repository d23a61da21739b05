"""Reading the roots: walk, lstat, identity, hash. Writes nothing but the root's own marker.

Must never rename or open a photo for writing, follow a symlink or leave the root's device.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat as modes
import sys
import uuid
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

from blake3 import blake3

from dedupd.adapters.fs.marker import drop_drafts, marker_in, write_marker
from dedupd.adapters.fs.probing import abilities, in_the_cloud
from dedupd.adapters.fs.safe_paths import Root, content_of
from dedupd.adapters.fs.walk import FolderWalk, OnForeign, OnProblem, file_stat
from dedupd.core.abilities import Abilities
from dedupd.core.foreign import Foreign, Scope
from dedupd.core.photo import FileStat
from dedupd.core.relocation import is_held
from dedupd.errors import RootError
from dedupd.ports import FoundFile, Reading, RootIdentity


def _unheard(folder: str, what: object) -> None:
    pass


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
        return RootIdentity(uuid=marker_in(root), dev=found.st_dev)

    def shared(self, root: str) -> bool:
        """True when other users can write in this folder (the user's own private group is not others)."""
        found = os.stat(root)
        if found.st_mode & modes.S_IWOTH and not found.st_mode & modes.S_ISVTX:
            return True
        return bool(found.st_mode & modes.S_IWGRP) and not _own_group(found.st_gid)

    def mark(self, root: str, known: str = "") -> str:
        """See ports.Disk. The marker is complete before it gets its name, and an existing file is never replaced."""
        if found := marker_in(root):
            return found
        new = known or str(uuid.uuid4())
        try:
            with Root(root) as top:
                drop_drafts(top)
                way = abilities(top).way
                return new if way is not None and write_marker(top, new, way) else marker_in(root)
        except (OSError, RootError):
            return ""

    def abilities(self, root: str) -> Abilities:
        with Root(root) as top:
            return abilities(top)

    def walk(
        self, root: str, under: str, scope: Scope, on_problem: OnProblem, on_foreign: OnForeign = _unheard
    ) -> Iterator[tuple[str, list[FoundFile]]]:
        with _opened(root, on_problem) as top:
            if top is None:
                return
            walk = FolderWalk(top, scope, on_problem, on_foreign)
            waiting = [under] if walk.enters(under) else []
            while waiting:
                files, below = walk.list_folder(folder := waiting.pop())
                waiting += reversed(below)
                yield folder, files

    def list_folder(
        self, root: str, folder: str, scope: Scope, on_problem: OnProblem, on_foreign: OnForeign = _unheard
    ) -> Iterator[FoundFile]:
        with _opened(root, on_problem) as top:
            if top is not None:
                walk = FolderWalk(top, scope, on_problem, on_foreign)
                yield from walk.list_folder(folder)[0] if walk.enters(folder) else ()

    def names(self, root: str, folder: str, scope: Scope, on_problem: OnProblem) -> list[str]:
        with _opened(root, on_problem) as top:
            if top is None:
                return []
            walk = FolderWalk(top, scope, on_problem, _unheard)
            return walk.names(folder) if walk.enters(folder) else []

    def foreign(self, root: str, folder: str, scope: Scope) -> Foreign | None:
        found: list[Foreign] = []
        with _opened(root, _unheard) as top:
            if top is not None:
                FolderWalk(top, scope, _unheard, lambda at, kind: found.append(kind)).enters(folder)
        return found[0] if found else None

    def held(self, root: str) -> Iterator[list[FoundFile]]:
        waiting = [""]
        with _opened(root, _unheard) as top:
            walk = FolderWalk(top, Scope(), _unheard, _unheard, held=True) if top is not None else None
            while waiting and walk is not None:
                files, below = walk.list_folder(waiting.pop())
                waiting += below
                yield [file for file in files if is_held(file.path)]

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

    def local(self, root: str, path: str) -> bool:
        try:
            with Root(root) as top:
                found = top.lstat(path)
                return found is None or not in_the_cloud(top, path, found)
        except (OSError, RootError):
            return True

    def content(self, root: str, path: str) -> str:
        try:
            with Root(root) as top, top.opened(path) as fd:
                return content_of(fd)
        except RootError as error:
            raise OSError(errno.ENOENT, str(error), path) from error

    def reading(self, root: str, path: str) -> Reading:
        return SlicedReading(root, path)


class SlicedReading:
    """ports.Reading on the machine's own file systems."""

    def __init__(self, root: str, path: str) -> None:
        self.stat: FileStat | None = None
        self._root, self._path = root, path
        self._digest, self._offset = blake3(), 0

    def go_on(self, limit: int) -> int:
        try:
            with Root(self._root) as top, top.opened(self._path) as fd:
                found = file_stat(os.fstat(fd))
                if self.stat is None:
                    self.stat = found
                    _forget_pages(fd)
                elif found != self.stat:
                    raise OSError(errno.ESTALE, "it was changed while it was read", self._path)
                block = os.pread(fd, limit, self._offset)
        except RootError as error:
            raise OSError(errno.ENOENT, str(error), self._path) from error
        self._digest.update(block)
        self._offset += len(block)
        return len(block)

    @property
    def content(self) -> str:
        return self._digest.hexdigest()


def _forget_pages(fd: int) -> None:
    """Drop the file from the system's cache, so that it is read from the disk."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


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


def _own_group(gid: int) -> bool:
    """Whether this is the user's private group: one with the user's name and nobody else in it."""
    try:
        group = grp.getgrgid(gid)
        return group.gr_name == pwd.getpwuid(os.getuid()).pw_name and not set(group.gr_mem) - {group.gr_name}
    except KeyError:
        return False


def _mac_hint() -> str:
    if sys.platform != "darwin":
        return ""
    return " (System Settings > Privacy & Security > Full Disk Access)"
