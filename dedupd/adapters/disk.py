"""Looking at the roots: walk, lstat, identity, hash. Writes nothing but the root's own marker.

Must never rename or open a photo for writing, follow a symlink or leave the root's device.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat as modes
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from blake3 import blake3

from dedupd.core.photo import FileStat
from dedupd.core.settling import passed_over
from dedupd.errors import RootError
from dedupd.ports import FoundFile, RootIdentity

MARKER = ".dedupd-root.json"
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
_CHUNK = 1 << 20


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
            text = Path(root, MARKER).read_text("utf-8")
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise RootError(f"{root}/{MARKER} cannot be read ({error.strerror}): make it readable") from None
        try:
            return str(json.loads(text)["uuid"])
        except (ValueError, KeyError, TypeError):
            raise RootError(
                f"{root}/{MARKER} is damaged: restore it from a backup, or delete it to let dedupd know this folder anew"
            ) from None

    def shared(self, root: str) -> bool:
        """True when other users can write in this folder (the user's own private group is not others)."""
        found = os.stat(root)
        if found.st_mode & modes.S_IWOTH and not found.st_mode & modes.S_ISVTX:
            return True
        return bool(found.st_mode & modes.S_IWGRP) and not _own_group(found.st_gid)

    def mark(self, root: str) -> str:
        """The file is complete before it has its name, and a name that is taken is never replaced."""
        if found := self._marker(root):
            return found
        new = str(uuid.uuid4())
        text = json.dumps(
            {"uuid": new, "what": "dedupd knows this photo folder by this file; please leave it here"}
        )
        draft = Path(root, f"{MARKER}.{os.getpid()}.tmp")
        try:
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
        self, root: str, under: str, ignore: Sequence[str], on_problem: Callable[[str, str], None]
    ) -> Iterator[FoundFile]:
        try:
            device = os.stat(root).st_dev
        except OSError as error:
            on_problem("", f"{root} cannot be read ({error.strerror})")
            return
        waiting = [under]
        while waiting:
            folder = waiting.pop()
            below: list[str] = []
            yield from self._entries(root, folder, ignore, on_problem, device, below)
            waiting += sorted(below, reverse=True)

    def list_folder(
        self, root: str, folder: str, ignore: Sequence[str], on_problem: Callable[[str, str], None]
    ) -> Iterator[FoundFile]:
        if not self._searchable(folder, ignore):
            return
        try:
            device = os.stat(root).st_dev
        except OSError as error:
            on_problem(folder, f"{root} cannot be read ({error.strerror})")
            return
        yield from self._entries(root, folder, ignore, on_problem, device, [])

    def _searchable(self, folder: str, ignore: Sequence[str]) -> bool:
        parts = folder.split("/") if folder else []
        return not any(
            _closed(part) or _ignored("/".join(parts[: n + 1]), ignore) for n, part in enumerate(parts)
        )

    def _entries(
        self,
        root: str,
        folder: str,
        ignore: Sequence[str],
        on_problem: Callable[[str, str], None],
        device: int,
        below: list[str],
    ) -> Iterator[FoundFile]:
        at = os.path.join(root, folder) if folder else root
        try:
            with os.scandir(at) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_symlink() or _ignored(path, ignore):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if not _closed(entry.name) and entry.stat(follow_symlinks=False).st_dev == device:
                            below.append(path)
                    elif entry.is_file(follow_symlinks=False) and not passed_over(entry.name):
                        found = entry.stat(follow_symlinks=False)
                        if found.st_dev == device:
                            yield FoundFile(path=path, stat=file_stat(found))
        except FileNotFoundError:
            return
        except OSError as error:
            on_problem(
                folder, f"{at} cannot be read ({error.strerror}): its photos are left alone until it can"
            )

    def stat(self, root: str, path: str) -> FileStat | None:
        try:
            found = os.lstat(os.path.join(root, path))
        except OSError:
            return None
        return file_stat(found) if modes.S_ISREG(found.st_mode) else None

    def content(self, root: str, path: str) -> str:
        digest = blake3()
        with os.fdopen(
            os.open(os.path.join(root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb"
        ) as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()


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


def _ignored(path: str, ignore: Sequence[str]) -> bool:
    return any(fnmatch(path, pattern) or fnmatch(path.rpartition("/")[2], pattern) for pattern in ignore)


def _mac_hint() -> str:
    if sys.platform != "darwin":
        return ""
    return " (System Settings > Privacy & Security > Full Disk Access)"
