"""Tries out what the file system of a root can do, with files of dedupd's own.

Owns this trial and its results, kept once for each mounted root. What it makes beside the marker it removes again.
Must never touch a file that it did not make, and never run in a dry run.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from dedupd.adapters.fs.marker import MARKER, drop_drafts
from dedupd.adapters.fs.ownership import give_to_owner
from dedupd.adapters.fs.renaming import rename
from dedupd.adapters.fs.safe_paths import Root, identity
from dedupd.adapters.placeholder_marks import is_placeholder
from dedupd.core.abilities import Abilities, Way

_WRITTEN = 1 << 14
"""Bytes of the file whose blocks are counted: more than any file system keeps beside the name."""
_LONG_AGO = 1_500_000_000 * 10**9
"""ns; even seconds, which every file system can keep."""
_TRIAL_SECONDS = 3600.0
"""Seconds: longer than any trial; older trial files were left by a crash."""
_MOUNTS = Path("/proc/self/mountinfo")

_Mounted = tuple[str, int, int, int, int]
_known: dict[_Mounted, Abilities] = {}


def abilities(root: Root) -> Abilities:
    """What the file system of this root can do. Tried out once after each mount."""
    mounted = _mounted(root)
    if mounted not in _known:
        found = _tried(root)
        if found.way is None:  # permissions change, and disks run full and empty
            return found
        _known[mounted] = found
    return _known[mounted]


def forget(root: Root) -> None:
    """Drop a result that proved wrong: the next call tries again."""
    _known.pop(_mounted(root), None)


def in_the_cloud(root: Root, path: str, found: os.stat_result) -> bool:
    """True for a file of the root whose bytes are in the cloud only; opening it would download it."""
    if is_placeholder(f"{root.path}/{path}", found):
        return True
    return found.st_size > 0 and found.st_blocks == 0 and abilities(root).blocks


def _mounted(root: Root) -> _Mounted:
    """A key that changes with each mount; a device number alone may be given to another device."""
    system = os.fstatvfs(root.fd)
    return root.path, root.dev, os.fstat(root.fd).st_ino, system.f_fsid, system.f_flag


def _tried(root: Root) -> Abilities:
    kind = kind_of(root.dev)
    try:
        with suppress(OSError):
            drop_drafts(root, older=_TRIAL_SECONDS)
        with _trial_files(root) as (one, _, _):
            blocks, owned = _written(root, one)
        way = next((way for way in Way if _works(root, way)), None)
    except OSError as error:
        problem = (
            f"{root.path} cannot be written ({error.strerror}): duplicates are reported, nothing moves there"
        )
        return Abilities(kind=kind, problem=problem)
    if way is not None:
        return Abilities(way=way, blocks=blocks, owned=owned, kind=kind)
    problem = (
        f"the file system of {root.path}{f' ({kind})' if kind else ''} can neither refuse a taken name when it renames, "
        "nor give a file a second name, nor rename over an empty file, each without changing the file itself: "
        "duplicates are reported, nothing moves there"
    )
    return Abilities(blocks=blocks, owned=owned, kind=kind, problem=problem)


@contextmanager
def _trial_files(root: Root) -> Generator[tuple[str, str, str]]:
    """Three names beside the marker, with files of ours at the first two. All are removed again."""
    stem = f"{MARKER}.{uuid.uuid4().hex}"
    names = (f"{stem}-1.tmp", f"{stem}-2.tmp", f"{stem}-3.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        for name in names[:2]:
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=root.fd), "w") as file:
                file.write(name)
        yield names
    finally:
        for name in names:
            with suppress(OSError):
                os.unlink(name, dir_fd=root.fd)


def _written(root: Root, name: str) -> tuple[bool, bool]:
    """Whether a file that was just written has blocks, and whether it belongs to the owner of its folder."""
    fd = os.open(name, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root.fd)
    try:
        os.write(fd, os.urandom(_WRITTEN))
        os.fsync(fd)
        return os.fstat(fd).st_blocks > 0, give_to_owner(fd, root.fd)
    finally:
        os.close(fd)


def _works(root: Root, way: Way) -> bool:
    """Whether this way refuses a taken name, and renames a file that is open (as photos are) to a free one."""
    with _trial_files(root) as (one, other, free), root.opened(one) as fd:
        with suppress(OSError):
            os.utime(fd, ns=(_LONG_AGO, _LONG_AGO))
        before, taken = os.fstat(fd), os.stat(other, dir_fd=root.fd, follow_symlinks=False)
        try:
            rename(root, one, other, way)
        except FileExistsError:
            pass
        except OSError as error:
            return _unless_broken(root, error, one, other)
        else:
            return False
        untouched = root.lstat(other)
        if untouched is None or identity(untouched) != identity(taken):
            return False
        try:
            rename(root, one, free, way)
        except OSError as error:
            return _unless_broken(root, error, one)
        there = root.lstat(free)
        return (
            root.lstat(one) is None
            and there is not None
            and identity(there) == identity(before) == identity(os.fstat(fd))
            and there.st_size == before.st_size
            and (before.st_mtime_ns != _LONG_AGO or there.st_mtime_ns == _LONG_AGO)
            and there.st_nlink <= 1
        )


def _unless_broken(root: Root, error: OSError, *ours: str) -> bool:
    """False: this way does not work. A full or failing disk, or a trial file that was removed, does not say so: raises."""
    broken = error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS)
    if broken or any(root.lstat(name) is None for name in ours):
        raise error
    return False


def kind_of(dev: int) -> str:
    """'exfat', of a device number as stat gives it; '' where the system does not tell."""
    device = f"{os.major(dev)}:{os.minor(dev)}"
    with suppress(OSError):
        for line in _MOUNTS.read_text(errors="replace").splitlines():
            mount, _, source = line.partition(" - ")
            if mount.split()[2:3] == [device]:
                return source.split()[0]
    return ""
