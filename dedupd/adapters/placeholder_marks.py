"""Recognises placeholders of cloud files without opening them: by file flag and by extended attribute.

Others are recognised by name in core/settling.py, and by their blocks where the file system is known. Must
never open a file: opening is what makes a client download it. Sources: Apple, <sys/stat.h> (SF_DATALESS:
iCloud, OneDrive and all of File Provider); Nextcloud's client, libsync/vfs/xattr (`hydrate_exec`, on one
byte); Dropbox's earlier client for macOS (`placeholder`, on no byte).
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

_SF_DATALESS = 0x40000000
_MARKS = ("user.nextcloud.hydrate_exec", "com.dropbox.placeholder", "user.com.dropbox.placeholder")
_LARGEST = 1
"""Bytes of a placeholder with an extended attribute, at most; so that the attribute is asked for very few
files."""
_XATTR_NOFOLLOW = 1


def is_placeholder(path: str, found: os.stat_result) -> bool:
    """Whether the file at `path`, whose lstat is `found`, is marked as a placeholder."""
    if getattr(found, "st_flags", 0) & _SF_DATALESS:
        return True
    return found.st_size <= _LARGEST and any(_has(path, mark) for mark in _MARKS)


if sys.platform == "linux":

    def _has(path: str, mark: str) -> bool:
        try:
            os.getxattr(path, mark, follow_symlinks=False)
        except OSError as error:
            return error.errno == errno.ERANGE
        return True

else:
    _libc = ctypes.CDLL(None)

    def _has(path: str, mark: str) -> bool:
        if not hasattr(_libc, "getxattr"):
            return False
        name = os.fsencode(path), mark.encode()
        return _libc.getxattr(*name, None, ctypes.c_size_t(0), ctypes.c_uint32(0), _XATTR_NOFOLLOW) >= 0
