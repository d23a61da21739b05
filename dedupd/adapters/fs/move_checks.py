"""The checks of a file at the moment of a move (P2): open without following a link, check, lease, hash, sync.

Must never rename or write; in doubt it refuses.
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

from dedupd.adapters.fs.marker import marker_of
from dedupd.adapters.fs.probing import abilities, in_the_cloud
from dedupd.adapters.fs.safe_paths import Root, content_of, identity
from dedupd.core.abilities import Way
from dedupd.core.photo import FileStat
from dedupd.core.relocation import DUPLICATES, Move, MoveOrder, is_held
from dedupd.errors import MoveRefused, Refusal
from dedupd.ports import Clock

_JUMP = 1.0
"""Seconds by which wall clock and monotonic clock may differ between two calls; beyond that the wall clock was set."""


@dataclass(slots=True, kw_only=True)
class ProvenFile:
    """An open file that has passed every check, with its state at that moment."""

    path: str
    fd: int
    stat: os.stat_result
    content: str
    leased: bool

    def close(self) -> None:
        """Close it; its lease ends with it."""
        os.close(self.fd)


class SettleTimer:
    """Whether a file has been left alone for the settle time, whatever the wall clock does meanwhile."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self.seconds = clock, seconds
        self._offset = clock.now() - clock.monotonic()
        self._steady_since = float("-inf")
        self._first_seen: dict[tuple[int, ...], float] = {}

    def settled(self, found: os.stat_result) -> bool:
        """Whether it is settled: by ctime while the wall clock runs steadily, else by the time since it was first seen so."""
        now, mono = self._clock.now(), self._clock.monotonic()
        if abs(now - mono - self._offset) > _JUMP:
            self._offset, self._steady_since = now - mono, mono
        age = now - found.st_ctime_ns / 1e9
        if age >= self.seconds and mono - self._steady_since >= self.seconds:
            return True
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return mono - self._first_seen.setdefault(key, mono) >= self.seconds

    def watch(self, stat: FileStat) -> None:
        """Start its wait now: for a file with times in the future this is the only way to know."""
        key = (stat.dev, stat.ino, stat.size, stat.mtime_ns, stat.ctime_ns)
        self._first_seen.setdefault(key, self._clock.monotonic())


def prove_file(
    root: Root, path: str, expected: FileStat, content: str, timer: SettleTimer, sync: Callable[[int], None]
) -> ProvenFile:
    """Open, check, lease, hash and fsync one file; MoveRefused or OSError when it is not what was recorded.

    A placeholder of a cloud service is never opened, so that nothing is downloaded.
    """
    found = root.lstat(path)
    if found is None:
        raise MoveRefused(f"{path} is gone", Refusal.GONE)
    _check(root, path, found, expected)
    fd = root.open(path)
    try:
        _check(root, path, os.fstat(fd), expected)
        leased = _lease(path, fd)
        if not timer.settled(os.fstat(fd)):
            raise MoveRefused(
                f"{path} was changed a moment ago: it may move once it is quiet", Refusal.NOT_QUIET
            )
        if content_of(fd) != content:
            raise MoveRefused(f"{path} does not hold the bytes that were recorded", Refusal.OTHER_BYTES)
        sync(fd)
        proven = ProvenFile(path=path, fd=fd, stat=os.fstat(fd), content=content, leased=leased)
        _check(root, path, proven.stat, expected)
        return proven
    except BaseException:
        os.close(fd)
        raise


def undisturbed(root: Root, proven: ProvenFile, path: str) -> None:
    """Raise MoveRefused unless `path` is still this file, unchanged since it was proven."""
    found = root.lstat(path)
    if found is None or identity(found) != identity(proven.stat):
        raise MoveRefused(f"{path} was replaced or taken away meanwhile", Refusal.CHANGED)
    if not same_bytes(found, proven.stat) or not same_bytes(os.fstat(proven.fd), proven.stat):
        raise MoveRefused(f"{path} was changed meanwhile", Refusal.CHANGED)
    if found.st_nlink > 1:
        raise MoveRefused(f"{path} got a second name meanwhile", Refusal.HARD_LINK)
    if proven.leased and fcntl.fcntl(proven.fd, fcntl.F_GETLEASE) != fcntl.F_RDLCK:
        raise MoveRefused(f"{path} is being opened for writing", Refusal.BUSY)


def check_order(root: Root, order: MoveOrder) -> None:
    """What must be true of an order before its files are opened. Raises MoveRefused."""
    if order.root_id and marker_of(root) != order.root_id:
        raise MoveRefused(
            f"{root.path} is not the folder or disk it was: mount the right one", Refusal.OTHER_ROOT
        )
    wrong = ""
    if not order.content or not order.keeper_content:
        wrong = f"{order.src} or its keeper has no recorded content"
    elif order.primary and order.relation == "exact" and order.content != order.keeper_content:
        wrong = f"{order.src} is not the same bytes as {order.keeper}"
    elif is_held(order.src) or is_held(order.keeper):
        wrong = f"{order.src} or its keeper lies in a {DUPLICATES} folder already"
    elif DUPLICATES not in order.dst.split("/")[:-1]:
        wrong = f"{order.dst} is not in a {DUPLICATES} folder"
    if wrong:
        raise MoveRefused(wrong, Refusal.CONTRADICTION)


def same_root(root: Root, move: Move) -> bool:
    """True when the folder at the root's path is the one the move began in: by marker, else by device."""
    found = marker_of(root)
    return found == move.root_id if found and move.root_id else root.dev == move.dev


def inode_at(root: Root, path: str, move: Move) -> bool:
    """True when the file of this move lies at `path`, by device and inode."""
    found = root.lstat(path)
    return found is not None and stat.S_ISREG(found.st_mode) and identity(found) == (move.dev, move.ino)


def content_at(root: Root, path: str, move: Move, *, trust: bool = True) -> bool:
    """True when the moved file lies at `path`: by inode, size and mtime if trusted, else by its bytes."""
    found = root.lstat(path)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_size != move.size:
        return False
    if trust and identity(found) == (move.dev, move.ino) and found.st_mtime_ns == move.mtime_ns:
        return True
    if in_the_cloud(root, path, found):
        return False
    with root.opened(path) as fd:
        return content_of(fd) == move.content


def one_file(root: Root, a: str, b: str) -> bool:
    """True when these are two names of one file."""
    first, second = root.lstat(a), root.lstat(b)
    return first is not None and second is not None and identity(first) == identity(second)


def claimed(root: Root, path: str, move: Move) -> bool:
    """True for an empty file in the place that a move of a file with bytes was about to take.

    Outside duplicates/ only in a root where moves leave such files: elsewhere another program begins to copy a file.
    """
    found = root.lstat(path)
    empty = found is not None and stat.S_ISREG(found.st_mode) and found.st_size == 0 < move.size
    return empty and (is_held(path) or abilities(root).way is Way.CLAIM)


def same_bytes(a: os.stat_result, b: os.stat_result) -> bool:
    """True when size and mtime are equal: no write between the two calls."""
    return (a.st_size, a.st_mtime_ns) == (b.st_size, b.st_mtime_ns)


def _check(root: Root, path: str, found: os.stat_result, expected: FileStat) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise MoveRefused(f"{path} is not a regular file", Refusal.CHANGED)
    if identity(found) != (expected.dev, expected.ino) and found.st_ctime_ns != expected.ctime_ns:
        # A file system that makes up its inode numbers (FAT, exFAT, FUSE) may have forgotten them; nobody can set a ctime.
        raise MoveRefused(f"{path} is another file than the one that was looked at", Refusal.CHANGED)
    if (found.st_size, found.st_mtime_ns) != (expected.size, expected.mtime_ns):
        raise MoveRefused(f"{path} was changed since it was looked at", Refusal.CHANGED)
    if found.st_nlink > 1:
        raise MoveRefused(
            f"{path} has a second name (hard link): moving it would free nothing", Refusal.HARD_LINK
        )
    if in_the_cloud(root, path, found):
        raise MoveRefused(f"{path} is a placeholder: its bytes are in the cloud only", Refusal.PLACEHOLDER)


def _lease(path: str, fd: int) -> bool:
    """Take a read lease: the kernel grants none while a process has the file open for writing.

    False where there are no leases, or only for the file's owner; then the other checks must be enough.
    """
    if sys.platform != "linux":
        return False
    try:
        with suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # the default, SIGIO, would end the process
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EBUSY):
            raise MoveRefused(f"{path} is open for writing in another program", Refusal.BUSY) from error
        return False
    return True
