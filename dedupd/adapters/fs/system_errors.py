"""Turns the error of a system call into a refusal of a move: its kind and its sentence.

dedupd's own checks raise MoveRefused themselves, with kind and sentence. Must never decide what follows.
"""

from __future__ import annotations

import errno
import os

from dedupd.errors import MoveRefused, Refusal

_KINDS = {
    errno.EEXIST: Refusal.NAME_TAKEN,
    errno.ENOTDIR: Refusal.IN_THE_WAY,
    errno.ELOOP: Refusal.IN_THE_WAY,
    errno.ENOSPC: Refusal.NO_SPACE,
    errno.EDQUOT: Refusal.NO_SPACE,
    errno.EXDEV: Refusal.OTHER_DISK,
    errno.EACCES: Refusal.NOT_ALLOWED,
    errno.EPERM: Refusal.NOT_ALLOWED,
    errno.EROFS: Refusal.NOT_ALLOWED,
    errno.ENOENT: Refusal.GONE,
    errno.EIO: Refusal.DISK_FAILED,
}


def refusal_of(error: MoveRefused | OSError) -> MoveRefused:
    """The error as a refusal: its kind, and one clause that names the file and gives the system's words."""
    if isinstance(error, MoveRefused):
        return error
    name = error.filename if isinstance(error.filename, str) else os.fsdecode(error.filename or b"")
    kind = _KINDS.get(error.errno or 0, Refusal.FAILED)
    if kind is Refusal.OTHER_DISK:
        return MoveRefused(f"{name} lies on another file system than its destination", kind)
    return MoveRefused(f"{name}: {error.strerror}" if name else str(error.strerror), kind)
