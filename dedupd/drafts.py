"""Writes a file whole or not at all: into a draft beside it first, which is then renamed.

Own code, because no well-kept library writes below an open folder (`dir_fd`), gives the file to the folder's
owner before the sync, or names it without replacing. Must never touch a photo, nor another file than its own
drafts and the one that it is asked to write.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path


class FileDraft:
    """The new file while it has no name of its own: `write`, then `replace`; or `sync`, for callers that name
    it themselves."""

    def __init__(self, path: str, mode: int, folder: int | None) -> None:
        above, name = os.path.split(path)
        self.name = os.path.join(above, f".{name.removeprefix('.')}.{os.urandom(8).hex()}.tmp")
        self._path, self._folder = path, folder
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = open(os.open(self.name, flags, mode, dir_fd=folder), "wb")  # noqa: SIM115

    @property
    def fd(self) -> int:
        return self._file.fileno()

    def write(self, pieces: Iterable[bytes]) -> None:
        self._file.writelines(pieces)

    def sync(self) -> None:
        """Sync what was written: it is on the disk when this returns."""
        self._file.flush()
        os.fsync(self.fd)

    def replace(self, *, synced: bool = True) -> None:
        """Sync the draft and rename it, replacing a file that has this name now.

        After a power cut the old file or the new one is there; certainly the new one once the folder is
        synced too. `synced` False: there may be a damaged one, which its readers notice and make again.
        """
        self.sync() if synced else self._file.flush()
        os.replace(self.name, self._path, src_dir_fd=self._folder, dst_dir_fd=self._folder)

    def drop(self) -> None:
        """Close the draft; it is deleted unless it was renamed."""
        with suppress(OSError):  # a disk that takes no more: what is buffered is of no use
            self._file.close()
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self._folder)


@contextmanager
def draft_of(path: str | Path, mode: int, *, folder: int | None = None) -> Generator[FileDraft]:
    """A draft of the file at `path`, relative to the open `folder` if there is one; it is deleted at the end.

    `mode` is that of open(2), reduced by the umask. Raises OSError.
    """
    draft = FileDraft(os.fspath(path), mode, folder)
    try:
        yield draft
    finally:
        draft.drop()


def write_whole(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write the file at `path`, replacing one that is there. Raises OSError; then the old file is unchanged."""
    with draft_of(path, mode) as draft:
        draft.write([data])
        draft.replace()
