"""The one rename: inside one file system, never replacing. Nothing else in dedupd renames a photo.

Owns the system calls of each way (core/abilities.py); adapters/fs/probing.py finds out which of them a file system
knows. Must never be called for a photo but by adapters/fs/mover.py and adapters/fs/discarding.py, which have proven the
file, journaled the move and have both folders open.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import sys
from contextlib import suppress

from dedupd.adapters.fs import test_points
from dedupd.adapters.fs.safe_paths import Root, content_of, identity
from dedupd.core.abilities import Way
from dedupd.errors import MoveRefused, Refusal

_RENAME_NOREPLACE, _RENAME_EXCL = 1, 4

_libc = ctypes.CDLL(None, use_errno=True)


def rename(root: Root, src: str, dst: str, way: Way) -> None:
    """Rename inside one file system, never replacing: FileExistsError when `dst` is taken.

    Another OSError when it cannot be done in this way; then nothing was renamed.
    """
    from_folder, _, old = src.rpartition("/")
    to_folder, _, new = dst.rpartition("/")
    with root.folder(from_folder) as a, root.folder(to_folder) as b:
        rename_between(a, old, b, new, way)


def rename_between(a: int, old: str, b: int, new: str, way: Way) -> None:
    """`rename` between two open folders of one file system: `old` in folder `a` becomes `new` in folder `b`."""
    _WAYS[way](a, old, b, new)


def _exclusive(a: int, old: str, b: int, new: str) -> None:
    """Way.EXCLUSIVE: one atomic rename that refuses a taken name."""
    ends = (a, os.fsencode(old), b, os.fsencode(new))
    if sys.platform == "darwin":
        failed = _libc.renameatx_np(*ends, _RENAME_EXCL)
    elif hasattr(_libc, "renameat2"):
        failed = _libc.renameat2(*ends, _RENAME_NOREPLACE)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), new)
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), new)


def _relink(a: int, old: str, b: int, new: str) -> None:
    """Way.LINK: link, which never replaces; then unlink the old name if it is still the same file."""
    before = _identity_at(a, old)
    os.link(old, new, src_dir_fd=a, dst_dir_fd=b, follow_symlinks=False)
    test_points.step("linked")
    try:
        os.fsync(b)
        if _identity_at(b, new) != before:
            raise OSError(errno.ESTALE, "another file took the name meanwhile", new)
        if _identity_at(a, old) == before:  # else it is somebody's new file, and ours has arrived
            os.unlink(old, dir_fd=a)
    except OSError:
        with suppress(OSError):
            if _identity_at(a, old) == _identity_at(b, new):
                os.unlink(new, dir_fd=b)
        raise


def _claim(a: int, old: str, b: int, new: str) -> None:
    """Way.CLAIM: create an empty file, which never replaces; then rename over it if it is still ours and empty.

    A lease is held meanwhile, where there are leases: it tells when another process opens that file for writing.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    claim = os.open(new, flags, 0o600, dir_fd=b)
    try:
        leased = _lease(claim)
        test_points.step("claimed")
        if not _ours_and_empty(claim, b, new, leased=leased):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        try:
            os.rename(old, new, src_dir_fd=a, dst_dir_fd=b)
        except OSError:
            if _ours_and_empty(claim, b, new, leased=leased):
                os.unlink(new, dir_fd=b)
            raise
    finally:
        os.close(claim)


_WAYS = {Way.EXCLUSIVE: _exclusive, Way.LINK: _relink, Way.CLAIM: _claim}


def _lease(claim: int) -> bool:
    if sys.platform != "linux":
        return False
    with suppress(OSError):
        fcntl.fcntl(claim, fcntl.F_SETSIG, signal.SIGURG)  # the default, SIGIO, would end the process
        fcntl.fcntl(claim, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        return True
    return False


def _ours_and_empty(claim: int, folder: int, name: str, *, leased: bool) -> bool:
    if leased and fcntl.fcntl(claim, fcntl.F_GETLEASE) != fcntl.F_WRLCK:
        return False
    with suppress(FileNotFoundError):
        there, ours = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(claim)
        return identity(there) == identity(ours) and there.st_size == ours.st_size == 0
    return False


def _identity_at(folder: int, name: str) -> tuple[int, int]:
    return identity(os.stat(name, dir_fd=folder, follow_symlinks=False))


def unlink_second_name(root: Root, *, keep: str, drop: str, content: str) -> None:
    """Remove the name `drop` of a file that has the name `keep` too and holds this content. MoveRefused, OSError."""
    kept_in, _, kept = keep.rpartition("/")
    dropped_in, _, dropped = drop.rpartition("/")
    with root.folder(kept_in) as a, root.folder(dropped_in) as b:
        unlink_second_name_between(a, kept, b, dropped, content)


def unlink_second_name_between(a: int, keep: str, b: int, drop: str, content: str) -> None:
    """The same between two open folders: `keep` in the folder behind `a`, `drop` in that behind `b`. MoveRefused, OSError."""
    with suppress(FileNotFoundError):
        fd = os.open(keep, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=a)
        try:
            kept = os.fstat(fd)
            if identity(kept) == _identity_at(b, drop) and kept.st_nlink > 1:
                if content_of(fd) != content:
                    raise MoveRefused(f"{keep} was changed meanwhile: look at it by hand", Refusal.CHANGED)
                os.unlink(drop, dir_fd=b)
                return
        finally:
            os.close(fd)
    raise MoveRefused(
        f"{keep} and {drop} are not two names of one file: look at both by hand", Refusal.CHANGED
    )


def unlink_claim(root: Root, path: str) -> None:
    """Remove the empty file that claimed a name for a move which was interrupted."""
    folder, _, name = path.rpartition("/")
    with root.folder(folder) as fd:
        unlink_claim_in(fd, name)


def unlink_claim_in(folder: int, name: str) -> None:
    """The same in an open folder."""
    if os.stat(name, dir_fd=folder, follow_symlinks=False).st_size == 0:
        os.unlink(name, dir_fd=folder)
