"""The one rename: inside one file system, never replacing. Nothing else in dedupd gives a photo another name.

Owns the system calls and their fallback by link and unlink. Must never be called but by adapters/files.py, which
has proven the file, journaled the move and holds both ends.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from contextlib import suppress

from dedupd.adapters import steps
from dedupd.adapters.beneath import Root, content_of
from dedupd.adapters.holding import identity
from dedupd.errors import MoveRefused, Refusal

_RENAME_NOREPLACE, _RENAME_EXCL = 1, 4
_FLAG_UNKNOWN = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)

_libc = ctypes.CDLL(None, use_errno=True)


def rename(root: Root, src: str, dst: str) -> None:
    """Rename inside one file system, never replacing: FileExistsError when `dst` is taken."""
    from_folder, _, old = src.rpartition("/")
    to_folder, _, new = dst.rpartition("/")
    with root.folder(from_folder) as a, root.folder(to_folder) as b:
        if _rename_exclusive(a, os.fsencode(old), b, os.fsencode(new), dst):
            return
        _relink(a, old, b, new)


def _rename_exclusive(a: int, old: bytes, b: int, new: bytes, shown: str) -> bool:
    """One atomic rename that refuses a taken name; False where system or file system knows no such thing."""
    if sys.platform == "darwin":
        failed = _libc.renameatx_np(a, old, b, new, _RENAME_EXCL)
    elif hasattr(_libc, "renameat2"):
        failed = _libc.renameat2(a, old, b, new, _RENAME_NOREPLACE)
    else:
        return False
    code = ctypes.get_errno()
    if failed and code not in _FLAG_UNKNOWN:
        raise OSError(code, os.strerror(code), shown)
    return not failed


def _relink(a: int, old: str, b: int, new: str) -> None:
    """The same by link, which never replaces, and unlink, while the old name is still the same file."""
    before = _identity_at(a, old)
    os.link(old, new, src_dir_fd=a, dst_dir_fd=b, follow_symlinks=False)
    steps.step("linked")
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


def _identity_at(folder: int, name: str) -> tuple[int, int]:
    return identity(os.stat(name, dir_fd=folder, follow_symlinks=False))


def unlink_twin(root: Root, *, keep: str, drop: str, content: str) -> None:
    kept, dropped = root.lstat(keep), root.lstat(drop)
    if kept is None or dropped is None or identity(kept) != identity(dropped) or kept.st_nlink < 2:
        raise MoveRefused(
            f"{keep} and {drop} are not two names of one file: look at both by hand", Refusal.CHANGED
        )
    with root.opened(keep) as fd:
        if content_of(fd) != content:
            raise MoveRefused(f"{keep} was changed meanwhile: look at it by hand", Refusal.CHANGED)
    folder, _, name = drop.rpartition("/")
    with root.folder(folder) as fd:
        os.unlink(name, dir_fd=fd)
