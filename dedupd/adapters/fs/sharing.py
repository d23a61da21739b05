"""Two files of the same bytes share their space on the disk: what Linux calls deduplicating a range (btrfs, XFS).

The kernel compares both under a lock and shares only what is equal; neither name, nor bytes, nor times, nor inode of
either file change, and a later change of one leaves the other as it is. So nothing can be lost, there is nothing to
record and nothing to undo. Must never open a file for writing.

macOS has clones only, which are new files: one would have to take the place of a photo, which nothing here may.
A hard link neither: it is one file with two names, so whatever changes or spoils the photo kept would do so to the copy that
is held for it, and a file with two names no longer moves.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys

from dedupd.adapters.fs.probing import in_the_cloud, kind_of
from dedupd.adapters.fs.safe_paths import Root, identity
from dedupd.adapters.fs.system_errors import refusal_of
from dedupd.errors import MoveRefused, Refusal, RootError

_DEDUPLICATE = 0xC0189436
"""FIDEDUPERANGE of linux/fs.h, and its two structures, one behind the other."""
_RANGE = struct.Struct("=QQHHIqQQiI")
_AT_ONCE = 16 << 20
"""What every file system takes in one call."""
_DIFFERS = 1
_ABLE = frozenset({"", "bcachefs", "btrfs", "ocfs2", "overlay", "xfs", "zfs"})
"""File systems, as Linux calls them, on which it is tried; '' where the system does not tell."""
_UNABLE = frozenset({errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.ENOSYS})


class BlockSharing:
    """Lets held copies share their space with what stands for them."""

    def problem(self, root: str) -> str:
        """Why no file of this root can share its space, as far as that is known before; '' when it is to be tried."""
        if sys.platform != "linux":
            return "sharing disk space needs Linux (btrfs or XFS)"
        try:
            with Root(root) as top:
                kind = kind_of(top.dev)
                return "" if kind in _ABLE else _unable(kind)
        except RootError as error:
            return str(error)

    def share(self, root: str, keep: str, held: str) -> int:
        """Bytes that `held` has in common with `keep` on the disk from now on: all of it. MoveRefused: nothing changed
        that can be seen. RootError."""
        with Root(root) as top:
            try:
                with top.opened(keep) as source, top.opened(held) as target:
                    return self._share(top, source, target, keep, held)
            except OSError as error:
                if error.errno in _UNABLE:
                    raise MoveRefused(_unable(kind_of(top.dev)), Refusal.UNABLE) from None
                raise refusal_of(error) from error

    def _share(self, top: Root, source: int, target: int, keep: str, held: str) -> int:
        one, two = os.fstat(source), os.fstat(target)
        if identity(one) == identity(two):
            raise MoveRefused(f"{held} and the photo kept are one and the same file", Refusal.HARD_LINK)
        if in_the_cloud(top, keep, one) or in_the_cloud(top, held, two):
            raise MoveRefused(f"{held} or the photo kept is in the cloud only", Refusal.PLACEHOLDER)
        if one.st_size != two.st_size:
            raise MoveRefused(f"{held} is not the same bytes as the photo kept", Refusal.OTHER_BYTES)
        done = 0
        while done < two.st_size:
            done += _deduplicated(source, target, done, min(two.st_size - done, _AT_ONCE), held)
        return done


def _unable(kind: str) -> str:
    return f"{kind or 'this file system'} cannot let files share their space (btrfs and XFS can)"


def _deduplicated(source: int, target: int, at: int, length: int, held: str) -> int:
    """Bytes of this range that share their space now; at least one. MoveRefused, OSError."""
    asked = bytearray(_RANGE.pack(at, length, 1, 0, 0, target, at, 0, 0, 0))
    fcntl.ioctl(source, _DEDUPLICATE, asked)
    *_, shared, status, _reserved = _RANGE.unpack(asked)
    if status == _DIFFERS:
        raise MoveRefused(f"{held} is not the same bytes as the photo kept", Refusal.OTHER_BYTES)
    if status < 0:
        raise OSError(-status, os.strerror(-status), held)
    if not shared:
        raise MoveRefused(f"{held}: the file system shares no more of it", Refusal.UNABLE)
    return shared
