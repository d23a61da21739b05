"""What the index does against damage: syncs the files that Lance wrote, moves aside what cannot be read, and
removes that later.

Lance never syncs its files, and a table with a torn manifest does not open again. Must never delete an index
that was moved aside within the last days, nor treat an error of the machine as damage.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

_FOLDER = re.compile(r"[A-Za-z0-9.-]+\.r[A-Za-z0-9.-]+")
_ASIDE = re.compile(r"\.broken-\d+$")
_KEEP_ASIDE = timedelta(days=7)
_OF_THE_MACHINE = frozenset(
    {
        errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.EACCES, errno.EPERM,
        errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ETIMEDOUT, errno.ESTALE,
    }
)  # fmt: skip
"""Errors that say nothing about the files: too many open files, no memory, no permission, no space ..."""
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
"""How Rust words an error of the system; lancedb passes on only these words."""


class Syncer:
    """fsync for the files of a folder and everything below it, each once."""

    def __init__(self) -> None:
        self._synced: dict[str, set[tuple[str, int]]] = {}
        """By folder: names and inodes of files that are on disk."""

    def sync(self, top: Path) -> None:
        """Sync what is new below `top`. Raises OSError."""
        folders = [os.fspath(top)]
        while folders:
            folder = folders.pop()
            # Read from the folder alone: an hour of commits leaves thousands of files, and each commit looks.
            with os.scandir(folder) as entries:
                inside, files = _parted(entries)
            folders += inside
            found = {(file.name, file.inode()) for file in files}
            new = found - self._synced.get(folder, set())
            for name, _ in new:
                _fsync(os.path.join(folder, name))
            if new:
                _fsync(folder)
            self._synced[folder] = found

    def forget(self) -> None:
        """Forget which files were synced."""
        self._synced.clear()


def _parted(entries: Iterable[os.DirEntry[str]]) -> tuple[list[str], list[os.DirEntry[str]]]:
    """Folders by their paths, and files."""
    folders, files = list[str](), list[os.DirEntry[str]]()
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            folders.append(entry.path)
        else:
            files.append(entry)
    return folders, files


def move_aside(folder: Path) -> Path:
    """Rename the folder to the first free name `<name>.broken-<n>`, which is returned."""
    number = 1
    while (aside := folder.with_name(f"{folder.name}.broken-{number}")).exists():
        number += 1
    folder.rename(aside)
    return aside


def set_newest_version_aside(versions: Path) -> bool:
    """Make the version before the newest the one that opens; False when there is none."""
    manifests = sorted(versions.glob("*.manifest"), key=_version_of)
    if len(manifests) < 2:
        return False
    manifests[-1].rename(manifests[-1].with_suffix(".broken"))
    return True


def reason_of_the_machine(error: Exception) -> str:
    """The machine's reason for a failed read, as a clause; '' when the files themselves may be the reason."""
    told = _OS_ERROR.search(str(error))
    number = int(told[1]) if told else getattr(error, "errno", None)
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    return os.strerror(number) if number in _OF_THE_MACHINE else ""


def folder_name(model: str, recipe: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{model or 'hashes'}.r{recipe}").strip("-.")


def remove_others(index_dir: Path, models: Iterable[str], recipe: str) -> None:
    """Remove the tables of other models and recipes, and those set aside some days ago: all of them can be
    computed again.

    The one set aside last is kept, so that the cause can be examined.
    """
    wanted = {folder_name(model, recipe) for model in models}
    folders = [
        folder
        for folder in (index_dir.iterdir() if index_dir.is_dir() else ())
        if _FOLDER.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    ]
    aside = sorted((f.stat().st_ctime, f.name) for f in folders if _ASIDE.search(f.name))
    fresh = {name for at, name in aside if time.time() - at < _KEEP_ASIDE.total_seconds()}
    wanted |= fresh | {name for _, name in aside[-1:]}
    for folder in folders:
        if folder.name not in wanted:
            shutil.rmtree(folder, ignore_errors=True)  # what is left is tried again the next time


def _version_of(manifest: Path) -> int:
    """The version that a manifest's name means; newer name schemes count down from 2^64."""
    digits = manifest.stem
    if not digits.isdigit():
        return -1
    return (1 << 64) - 1 - int(digits) if len(digits) == 20 else int(digits)


def _fsync(path: str) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        full = getattr(fcntl, "F_FULLFSYNC", None)
        if full is None:
            os.fsync(descriptor)
        else:
            fcntl.fcntl(descriptor, full)
    finally:
        os.close(descriptor)
