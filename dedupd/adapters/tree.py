"""What lies under a root: the walk, single stats, the root's marker, and dedupd's own small files.

Must never touch a photo: it reads directories, and writes nothing but what dedupd itself owns.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import stat
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dedupd.adapters.beneath import Root
from dedupd.core.photo import FileStat
from dedupd.core.relocation import DUPLICATES
from dedupd.core.units import is_photo
from dedupd.errors import RootError, StateError
from dedupd.ports import FoundFile

MARKER = ".dedupd-root.json"
SUMMARIES = "duplicates_summary"

_OWN_FOLDERS = (DUPLICATES, SUMMARIES)
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp")
_PACKAGES = (
    ".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary", ".photoboothlibrary", ".imovielibrary",
    ".fcpbundle", ".tvlibrary", ".theater", ".lrdata", ".lrlibrary", ".cocatalog", ".cosessiondb", ".app",
)  # fmt: skip

OnProblem = Callable[[str, str], None]
"""on_problem(path, one clause): something the walk could not enter."""


def walk(root: str | Path, ignore: Sequence[str], on_problem: OnProblem) -> Iterator[FoundFile]:
    """Every regular file under `root`, by lstat, folder by folder in name order; RootError when the root is not there.

    Follows no symbolic link and enters no other file system, library package, dot-folder or folder of
    dedupd's own; leaves out dot-files, unfinished downloads and what the `ignore` globs match.
    """
    with Root(os.fspath(root)) as opened:
        mounts = _mounts_below(os.path.realpath(root))
        yield from _walk(opened, "", _ignoring(ignore), mounts, on_problem)


def _walk(
    root: Root, folder: str, ignored: Callable[[str], bool], mounts: set[str], on_problem: OnProblem
) -> Iterator[FoundFile]:
    files: list[FoundFile] = []
    inner: list[str] = []
    try:
        with root.folder(folder) as fd, os.scandir(fd) as entries:
            for entry in entries:
                name = entry.name
                path = f"{folder}/{name}" if folder else name
                if name.startswith((".", "~")) or ignored(path):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    if not _closed(name):
                        inner.append(path)
                elif entry.is_file(follow_symlinks=False) and not name.lower().endswith(_UNFINISHED):
                    with suppress(FileNotFoundError):
                        files.append(FoundFile(path=path, stat=_file_stat(entry.stat(follow_symlinks=False))))
    except OSError as error:
        on_problem(folder, f"cannot be read ({error.strerror})")
        return
    yield from sorted(files, key=lambda file: file.path)
    for path in sorted(inner):
        if path in mounts:
            on_problem(path, "is another file system: add it as a root of its own")
        else:
            yield from _walk(root, path, ignored, mounts, on_problem)


def _closed(name: str) -> bool:
    low = name.casefold()
    return low in _OWN_FOLDERS or low.endswith(_PACKAGES)


def _ignoring(globs: Sequence[str]) -> Callable[[str], bool]:
    """Matches paths relative to the root; '*' spans '/', and '**/x' matches at the top too."""
    wanted = {glob.rstrip("/") for glob in globs} | {glob.rstrip("/").removeprefix("**/") for glob in globs}
    if not wanted:
        return lambda path: False
    pattern = re.compile("|".join(fnmatch.translate(glob) for glob in sorted(wanted)))
    return lambda path: pattern.match(path) is not None


def _mounts_below(root: str) -> set[str]:
    """Mount points below `root`, relative to it: bind mounts share the device number, so stat cannot tell."""
    if sys.platform != "linux":
        return set()
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return set()
    points = (re.sub(rb"\\([0-7]{3})", lambda m: bytes([int(m[1], 8)]), line.split(b" ")[4]) for line in lines)
    above = root.rstrip("/") + "/"
    return {point[len(above) :] for point in map(os.fsdecode, points) if point.startswith(above)}


def stat_of(root: str | Path, path: str) -> FileStat | None:
    """lstat of the regular file at `path` under `root`; None for anything else. RootError when the root is not there."""
    with Root(os.fspath(root)) as opened:
        try:
            found = opened.lstat(path)
        except OSError:
            return None
    return _file_stat(found) if found is not None and stat.S_ISREG(found.st_mode) else None


def _file_stat(found: os.stat_result) -> FileStat:
    return FileStat(
        size=found.st_size, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns,
        dev=found.st_dev, ino=found.st_ino, nlink=found.st_nlink,
    )  # fmt: skip


# ---- the root's marker


def root_identity(root: str | Path) -> tuple[str | None, int]:
    """UUID of the root's marker (None without one) and its device; RootError when the root is not there."""
    with Root(os.fspath(root)) as opened:
        return marker_of(opened), opened.dev


def mark_root(root: str | Path, uuid_: str = "") -> str:
    """Make the root's marker if it has none and return its UUID.

    Raises RootError when there is a marker that cannot be read, or the root cannot be written.
    """
    with Root(os.fspath(root)) as opened:
        if found := marker_of(opened):
            return found
        if opened.lstat(MARKER) is not None:
            raise RootError(f"{opened.path}/{MARKER} cannot be read as a marker: restore it, or delete it to begin anew")
        value = uuid_ or str(uuid.uuid4())
        text = json.dumps({"uuid": value, "note": "dedupd knows this photo library by this file: please keep it"})
        write_atomic(Path(opened.path) / MARKER, text.encode() + b"\n", 0o644)
        return value


def marker_of(root: Root) -> str | None:
    """UUID in the marker of an open root; None without a valid one."""
    with suppress(OSError, ValueError, KeyError, TypeError), root.opened(MARKER) as fd:
        return str(uuid.UUID(json.loads(os.read(fd, 4096))["uuid"]))
    return None


# ---- dedupd's own files


def write_atomic(path: str | Path, content: bytes, mode: int = 0o600) -> None:
    """Write one of dedupd's own files so that a crash leaves the old or the new one, durable on return.

    For summaries, markers and reports. Raises StateError when it cannot be written, when something other
    than a regular file has that name, and always for the name of a photo.
    """
    folder, name = os.path.split(os.fspath(path))
    if is_photo(name):
        raise StateError(f"{path} has the name of a photo: dedupd never writes there, choose another name")
    temporary = f".dedupd-{name[:80]}.tmp"
    try:
        at = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StateError(f"{folder} cannot be opened ({error.strerror}): make the folder, or correct its permissions") from error
    try:
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                raise StateError(f"{path} is not a regular file: move it out of the way")
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=at)  # left by a crash
        _write_new(at, temporary, content, mode)
        os.rename(temporary, name, src_dir_fd=at, dst_dir_fd=at)
        os.fsync(at)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=at)
        raise StateError(f"{path} cannot be written ({error.strerror}): make room, or correct its permissions") from error
    finally:
        os.close(at)


def _write_new(at: int, name: str, content: bytes, mode: int) -> None:
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=at)
    try:
        os.fchmod(fd, mode)
        while content:
            content = content[os.write(fd, content) :]
        os.fsync(fd)
    finally:
        os.close(fd)
