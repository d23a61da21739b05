"""The month's summary files: written whole or not at all, beside the photos and in the state folder.

Must never write through a symlink or over anything but an earlier summary of its own name.
"""

from __future__ import annotations

import json
import os
import stat as modes
import uuid
from contextlib import suppress
from pathlib import Path

from dedupd.adapters.fs.ownership import give_to_owner
from dedupd.core.records import RootRow
from dedupd.core.summary import MonthSummary, to_json, to_markdown

FOLDER = "duplicates_summary"


class SummaryFiles:
    """pipeline.summarise.SummaryLog on the disk."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs

    def write(self, root: RootRow, folder: str, summary: MonthSummary) -> str:
        # surrogateescape: a name that is no UTF-8 comes out as the bytes it is
        pages = {
            f"{summary.month}.md": to_markdown(summary).encode("utf-8", "surrogateescape"),
            f"{summary.month}.json": json.dumps(to_json(summary), indent=1, ensure_ascii=True).encode("ascii")
            + b"\n",
        }
        own = own_folder(self._logs, root)
        beside = Path(root.path, folder, FOLDER)
        problem = ""
        for place, private in ((own, True), (beside, False)):
            try:
                _write_pages(place, pages, private=private)
            except OSError as error:
                problem = f"the summary of {summary.month} could not be written in {place} ({error.strerror or error})"
        return problem


def own_folder(logs: Path, root: RootRow) -> Path:
    """Where the summaries of `root` lie in the state folder."""
    return logs / f"{Path(root.path).name or 'root'}-{(root.uuid or str(root.id))[:8]}"


def _write_pages(folder: Path, pages: dict[str, bytes], *, private: bool) -> None:
    if private:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    elif os.path.realpath(folder.parent) != os.fspath(folder.parent):
        raise OSError(f"{folder.parent} is reached through a link")
    else:
        _make_beside(folder)
    if not modes.S_ISDIR(os.lstat(folder).st_mode):
        raise OSError(f"{folder} is not a folder of its own")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        # A service's umask (0077) must not hide the log from the family that shares the folder.
        mode = 0o600 if private else modes.S_IMODE(os.fstat(at).st_mode) & 0o666
        for name, page in pages.items():
            _replace(at, name, page, mode)
        os.fsync(at)
    finally:
        os.close(at)


def _make_beside(folder: Path) -> None:
    """In the year folder, which holds photos: never made here."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        made, above = os.open(folder, flags), os.open(folder.parent, flags)
        give_to_owner(made, above)
        os.close(made)
        os.close(above)


def _replace(folder: int, name: str, page: bytes, mode: int) -> None:
    if _unchanged(folder, name, page):
        return
    draft = f".{name}.{uuid.uuid4().hex}.tmp"
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as out:
            out.write(page)
            out.flush()
            give_to_owner(out.fileno(), folder)
            with suppress(OSError):  # FAT and its like know no modes
                os.fchmod(out.fileno(), mode)
            os.fsync(out.fileno())
        os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(draft, dir_fd=folder)
        raise


def _unchanged(folder: int, name: str, page: bytes) -> bool:
    """Only a regular file of ours may be replaced; raises for anything else under that name."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if not modes.S_ISREG(found.st_mode):
        raise OSError(f"{name} is not a regular file")
    if found.st_size != len(page):
        return False
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
        return file.read() == page
