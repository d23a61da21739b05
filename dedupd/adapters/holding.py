"""Holding a file still: opened without following anything, checked, leased, hashed, synced.

Owns every check a file must pass at the moment of a move (P2). Must never rename or write; refuses in doubt.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from dedupd.adapters.beneath import Root, content_of
from dedupd.core.photo import FileStat
from dedupd.errors import MoveRefused
from dedupd.ports import Clock

_SF_DATALESS = 0x40000000
_JUMP = 1.0
"""Seconds the two clocks may drift apart between two looks before the wall clock is mistrusted."""


@dataclass(slots=True, kw_only=True)
class Held:
    """A file held open, as it was when it was proven."""

    path: str
    fd: int
    stat: os.stat_result
    content: str
    leased: bool

    def close(self) -> None:
        """Let it go, its lease with it."""
        os.close(self.fd)


class Quiet:
    """Whether a file has been left alone for the settle time, whatever the wall clock does meanwhile."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self._offset = clock.now() - clock.monotonic()
        self._steady_since = float("-inf")
        self._first_seen: dict[tuple[int, ...], float] = {}

    def settled(self, found: os.stat_result) -> bool:
        """By ctime while the wall clock is steady; else by watching the file since the first refusal."""
        now, mono = self._clock.now(), self._clock.monotonic()
        if abs(now - mono - self._offset) > _JUMP:
            self._offset, self._steady_since = now - mono, mono
        age = now - found.st_ctime_ns / 1e9
        if age >= self._seconds and mono - self._steady_since >= self._seconds:
            return True
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return mono - self._first_seen.setdefault(key, mono) >= self._seconds


def hold(
    root: Root, path: str, expected: FileStat, content: str, quiet: Quiet, sync: Callable[[int], None]
) -> Held:
    """Open, check, lease, hash and fsync one file; MoveRefused or OSError when it is not what was recorded.

    A placeholder of a cloud service is never opened, so nothing is downloaded.
    """
    found = root.lstat(path)
    if found is None:
        raise MoveRefused(f"{path} is gone")
    _check(path, found, expected)
    fd = root.open(path)
    try:
        _check(path, os.fstat(fd), expected)
        leased = _lease(path, fd)
        if not quiet.settled(os.fstat(fd)):
            raise MoveRefused(f"{path} was changed a moment ago: it may move once it is quiet")
        if content_of(fd) != content:
            raise MoveRefused(f"{path} does not hold the bytes that were recorded")
        sync(fd)
        held = Held(path=path, fd=fd, stat=os.fstat(fd), content=content, leased=leased)
        _check(path, held.stat, expected)
        return held
    except BaseException:
        os.close(fd)
        raise


def disturbed(root: Root, held: Held, path: str) -> str:
    """What keeps `path` from being the held file, untouched since it was proven; '' when nothing does."""
    found = root.lstat(path)
    if found is None or identity(found) != identity(held.stat):
        return f"{path} was replaced or taken away meanwhile"
    if not same_bytes(found, held.stat) or not same_bytes(os.fstat(held.fd), held.stat):
        return f"{path} was changed meanwhile"
    if found.st_nlink != 1:
        return f"{path} got a second name meanwhile"
    if held.leased and fcntl.fcntl(held.fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
        return f"{path} is being opened for writing"
    return ""


def identity(found: os.stat_result) -> tuple[int, int]:
    """Device and inode: equal for every name of one file."""
    return (found.st_dev, found.st_ino)


def same_bytes(a: os.stat_result, b: os.stat_result) -> bool:
    """True when size and mtime agree: nobody wrote between the two looks."""
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def placeholder(found: os.stat_result) -> bool:
    """True for a file whose bytes are in the cloud only; opening it would download it."""
    if getattr(found, "st_flags", 0) & _SF_DATALESS:
        return True
    return found.st_size > 0 and found.st_blocks == 0


def _check(path: str, found: os.stat_result, expected: FileStat) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise MoveRefused(f"{path} is not a regular file")
    if (found.st_dev, found.st_ino) != (expected.dev, expected.ino):
        raise MoveRefused(f"{path} is another file than the one that was looked at")
    if (found.st_size, found.st_mtime_ns) != (expected.size, expected.mtime_ns):
        raise MoveRefused(f"{path} was changed since it was looked at")
    if found.st_nlink != 1:
        raise MoveRefused(f"{path} has a second name (hard link): moving it would free nothing")
    if placeholder(found):
        raise MoveRefused(f"{path} is a placeholder: its bytes are in the cloud only")


def _lease(path: str, fd: int) -> bool:
    """Take a read lease: the kernel grants none while anyone has the file open for writing.

    False where leases do not exist or belong to the file's owner alone; the other checks must do there.
    """
    if sys.platform != "linux":
        return False
    try:
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # the default, SIGIO, would end the process
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            raise MoveRefused(f"{path} is open for writing in another program") from error
        return False
    return True
