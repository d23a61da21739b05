"""Reaching files beneath a root without ever leaving it.

Owns the opening of roots, folders and files by descriptor: no symbolic link and no mount is followed
(openat2 on Linux, component by component elsewhere). Must never write, rename or remove anything.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager

from blake3 import blake3

from dedupd.closing import Closing
from dedupd.errors import RootError

_SYS_OPENAT2 = 437
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_CHUNK = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Root(Closing):
    """A root held open; paths are relative to it. Close it, or use it as a context manager.

    Raises RootError when there is no folder at `path`, or a symbolic link, or it may not be read.
    """

    def __init__(self, path: str) -> None:
        try:
            self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise RootError(
                f"the root {path} cannot be opened ({error.strerror}): mount it, or correct its path"
            ) from error
        self.path = path
        self.dev = os.fstat(self.fd).st_dev

    def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor for `path`. OSError ELOOP or EXDEV when a link or a mount lies on the way."""
        fd = open_beneath(self.fd, path, flags)
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode) and found.st_dev != self.dev:  # a subvolume, which is no mount
            os.close(fd)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
        return fd

    @contextmanager
    def opened(self, path: str) -> Generator[int]:
        """`path` open for reading, for the length of a block."""
        fd = self.open(path)
        try:
            yield fd
        finally:
            os.close(fd)

    @contextmanager
    def folder(self, path: str) -> Generator[int]:
        """The folder `path` ('' is the root itself) open, for the length of a block."""
        fd = self.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield fd
        finally:
            os.close(fd)

    def lstat(self, path: str) -> os.stat_result | None:
        """What lies at `path` now; None when nothing does. Other OSErrors pass through."""
        folder, _, name = path.rpartition("/")
        try:
            with self.folder(folder) as fd:
                return os.stat(name, dir_fd=fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def close(self) -> None:
        os.close(self.fd)


def open_beneath(root: int, path: str, flags: int) -> int:
    """Open `path` relative to the folder descriptor `root`, following no link and crossing no mount."""
    parts = path.split("/") if path else []
    if any(part in ("", ".", "..") for part in parts):
        raise OSError(errno.EINVAL, "not a plain relative path", path)
    flags |= os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a FIFO put in a photo's place must not hang us
    if sys.platform == "linux":
        fd = _openat2(root, path, flags)
        if fd is not None:
            return fd
    return _open_by_parts(root, parts, flags)


def _openat2(root: int, path: str, flags: int) -> int | None:
    how = _OpenHow(flags, 0, _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH)
    name = ctypes.c_char_p(os.fsencode(path) or b".")
    size = ctypes.c_size_t(ctypes.sizeof(how))
    fd = _libc.syscall(ctypes.c_long(_SYS_OPENAT2), ctypes.c_int(root), name, ctypes.byref(how), size)
    if fd >= 0:
        return int(fd)
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EPERM):  # an old kernel, or a sandbox that does not know the call
        return None
    raise OSError(code, os.strerror(code), path)


def _open_by_parts(root: int, parts: list[str], flags: int) -> int:
    dev = os.fstat(root).st_dev
    step = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(".", step, dir_fd=root)
    for position, part in enumerate(parts):
        last = position == len(parts) - 1
        try:
            inner = os.open(part, flags if last else step, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
        if os.fstat(fd).st_dev != dev:
            os.close(fd)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), "/".join(parts))
    return fd


def identity(found: os.stat_result) -> tuple[int, int]:
    """Device and inode: equal for every name of one file."""
    return (found.st_dev, found.st_ino)


def content_of(fd: int) -> str:
    """BLAKE3 of the whole file behind `fd`, 64 hex digits, whatever its offset."""
    digest, offset = blake3(), 0
    while block := os.pread(fd, _CHUNK, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()
