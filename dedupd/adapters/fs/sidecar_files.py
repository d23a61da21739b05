"""XMP sidecars beside keepers: made whole or not at all, removed only while they are byte for byte as we wrote them.

Owns making and removing these files, each with its receipt. Photos are never touched and existing files never replaced:
a sidecar is made under its own name at once and not by a draft (dedupd/drafts.py), and one that a power cut left
unfinished is known by its row in the ledger. Must never decide what a sidecar says.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from dedupd.adapters.fs import receipts, test_points
from dedupd.adapters.fs.marker import marker_of
from dedupd.adapters.fs.move_checks import same_bytes
from dedupd.adapters.fs.ownership import give_to_owner
from dedupd.adapters.fs.probing import in_the_cloud
from dedupd.adapters.fs.receipts import ReceiptKind
from dedupd.adapters.fs.safe_paths import Root, identity
from dedupd.core.records import SidecarRow
from dedupd.errors import RootError


class SidecarFiles:
    """XMP sidecars beside keepers."""

    def write(self, root: str, root_id: str, row: SidecarRow, keeper: str, folder: str) -> str:
        """Make the sidecar of the keeper at `keeper`; '' or why not. Its receipt goes to the duplicates/ `folder`.

        It is on disk when this returns ''.
        """
        try:
            with _the(root, root_id) as top:
                mode = _mode_of(top, keeper)
                with top.folder(folder) as fd:
                    receipts.append(fd, [receipts.sidecar(ReceiptKind.SIDECAR, row, folder)])
                test_points.step("sidecar receipted")
                _create(top, row.path, row.text.encode(), mode)
                with suppress(OSError), top.folder(folder) as fd:
                    receipts.append(fd, [receipts.sidecar(ReceiptKind.SIDECAR_WRITTEN, row, folder)])
                test_points.step("sidecar completed")
        except RootError as error:
            return str(error)
        except OSError as error:
            return f"{row.path}: {error.strerror}"
        return ""

    def holds(self, root: str, path: str, text: str) -> bool:
        """True when the file at `path` has exactly these bytes."""
        try:
            with Root(root) as top:
                return _bytes_at(top, path, len(text.encode())) == text.encode()
        except (OSError, RootError):
            return False

    def remove(self, root: str, root_id: str, row: SidecarRow, folder: str, *, torn: bool = False) -> bool:
        """Remove the sidecar when it is byte for byte ours; True when none of ours is there (any more).

        `torn`: it was being written when the power went, so that it may be cut short. Raises OSError, RootError.
        """
        with _the(root, root_id) as top:
            before = top.lstat(row.path)
            if before is not None:
                found = _bytes_at(top, row.path, len(row.text.encode()))
                if found is None or not _ours(found, row.text.encode(), torn=torn):
                    return False
                now = top.lstat(row.path)
                if now is None or identity(now) != identity(before) or not same_bytes(now, before):
                    return False  # another program saves it at this moment
                above, _, name = row.path.rpartition("/")
                with top.folder(above) as fd:
                    os.unlink(name, dir_fd=fd)
                    test_points.step("sidecar removed")
                    os.fsync(fd)
            with suppress(OSError), top.folder(folder) as fd:
                receipts.append(fd, [receipts.sidecar(ReceiptKind.SIDECAR_REMOVED, row, folder)])
            test_points.step("sidecar removal receipted")
            return True

    def receipts(self, root: str) -> list[tuple[str, SidecarRow]]:
        """Sidecars that the receipts under `root` tell of, each with the folder that tells it. RootError."""
        with Root(root) as top:
            return receipts.sidecars(top)


def _the(root: str, root_id: str) -> Root:
    top = Root(root)
    if root_id and marker_of(top) != root_id:
        top.close()
        raise RootError(f"{root} is not the folder or disk it was: mount the right one")
    return top


def _mode_of(top: Root, keeper: str) -> int:
    """The mode of the photo: whoever may read it may read its sidecar."""
    found = top.lstat(keeper)
    if found is None or not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "the photo it is about is not there", keeper)
    return stat.S_IMODE(found.st_mode) & 0o666


def _create(top: Root, path: str, data: bytes, mode: int) -> None:
    above, _, name = path.rpartition("/")
    with top.folder(above) as folder:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name, flags, 0o600, dir_fd=folder)
        test_points.step("sidecar begun")
        try:
            _fill(fd, data)
            give_to_owner(fd, folder)
            with suppress(OSError):  # FAT and its like know no modes
                os.fchmod(fd, mode)
            os.fsync(fd)
            test_points.step("sidecar written")
            os.fsync(folder)
            test_points.step("sidecar synced")
        except OSError:
            _drop(fd, folder, name)
            raise
        finally:
            os.close(fd)


def _fill(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _drop(fd: int, folder: int, name: str) -> None:
    """Remove what could not be written whole, unless another file has the name by now."""
    with suppress(OSError):
        there, ours = os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(fd)
        if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            os.unlink(name, dir_fd=folder)


def _bytes_at(top: Root, path: str, most: int) -> bytes | None:
    """The bytes of the regular file at `path`; None for anything else, and for one larger than `most`."""
    found = top.lstat(path)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_size > most:
        return None
    if in_the_cloud(top, path, found):
        return None
    with top.opened(path) as fd:
        return os.pread(fd, most + 1, 0)


def _ours(found: bytes, data: bytes, *, torn: bool) -> bool:
    """Whether the bytes are the ones we wrote; after a power cut also a beginning of them, the rest missing or zeros."""
    return found == data or (torn and len(found) <= len(data) and data.startswith(found.rstrip(b"\0")))
