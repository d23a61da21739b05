"""The record of each export of Apple's Photos, in the state folder: which file is which photo.

Owns the folder `<state>/apple-photos/<export>/`. A file is recorded during the export with its size and time,
so that a daemon may move it a minute later. Must never write into the export itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dedupd.adapters.apple.osxphotos import Reported
from dedupd.adapters.fs.lock import private_folder
from dedupd.core.apple_photos import ExportedFile
from dedupd.drafts import write_whole
from dedupd.errors import StateError

_ABOUT, _FILES = "export.json", "files.jsonl"


class ExportedFiles:
    """The record of one export folder."""

    def __init__(self, state: Path, folder: Path) -> None:
        """`folder`: its path without symlinks."""
        name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
        self.folder, self.work = folder, state / "apple-photos" / name

    @property
    def begun(self) -> bool:
        """Whether dedupd ever exported to this folder."""
        return (self.work / _ABOUT).exists()

    @property
    def library(self) -> str:
        """The library that was named; '' for the one that Photos had opened last."""
        try:
            return str(json.loads((self.work / _ABOUT).read_bytes()).get("library", ""))
        except (OSError, ValueError):
            return ""

    def begin(self, library: str) -> None:
        """Record that this folder is an export of dedupd. Raises StateError."""
        private_folder(self.work.parent)
        private_folder(self.work)
        about = {"folder": os.fspath(self.folder), "library": library}
        try:
            write_whole(self.work / _ABOUT, json.dumps(about).encode(), 0o600)
        except OSError as error:
            raise StateError(f"{self.work} cannot be written: {error.strerror}") from None

    def files(self) -> list[ExportedFile]:
        """The last record of each file and photo."""
        found: dict[tuple[str, str], ExportedFile] = {}
        with suppress(FileNotFoundError), (self.work / _FILES).open("rb") as lines:
            for line in lines:
                with suppress(ValueError):  # cut short by a power cut
                    path, uuid, size, mtime_ns = json.loads(line)
                    at = os.path.join(self.folder, path)
                    found[path, uuid] = ExportedFile(path=at, uuid=uuid, size=size, mtime_ns=mtime_ns)
        return list(found.values())

    def writer(self) -> Writer:
        """A writer of records. Raises StateError."""
        return Writer(self)


class Writer:
    """Records files as they are exported."""

    def __init__(self, record: ExportedFiles) -> None:
        self._folder = record.folder
        self._known = {(f.path, f.uuid): f for f in record.files()}
        try:
            self._file = (record.work / _FILES).open("ab")
        except OSError as error:
            raise StateError(f"{record.work} cannot be written: {error.strerror}") from None
        if self._file.tell():
            self._file.write(b"\n")  # a line that was cut short ends here

    def add(self, reported: Reported) -> None:
        """Record the file's current size and time; nothing when it does not exist, or is no file of this
        export."""
        inside = os.path.relpath(reported.path, self._folder)
        if not reported.uuid or os.path.isabs(inside) or inside.split("/")[0] == "..":
            return
        path = os.path.join(self._folder, inside)
        try:
            found = os.lstat(path)
        except OSError:
            return
        if not stat.S_ISREG(found.st_mode):
            return
        file = ExportedFile(path=path, uuid=reported.uuid, size=found.st_size, mtime_ns=found.st_mtime_ns)
        if self._known.get((path, file.uuid)) != file:
            self._known[path, file.uuid] = file
            row = [inside, file.uuid, file.size, file.mtime_ns]
            self._file.write(json.dumps(row).encode() + b"\n")

    def close(self) -> None:
        """Close it; the records are on disk when this returns."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def exports_in(state: Path) -> Iterator[ExportedFiles]:
    """Every export recorded in this state."""
    for about in sorted((state / "apple-photos").glob(f"*/{_ABOUT}")):
        with suppress(OSError, ValueError):
            yield ExportedFiles(state, Path(json.loads(about.read_bytes())["folder"]))
