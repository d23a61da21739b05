"""The desktop's trash: where it is for the files of a root, and the checks before anything goes into it.

Owns the rules of the freedesktop.org trash specification (Linux; macOS has folders of other names and no .trashinfo),
the making of trash folders and the .trashinfo files. Must never name, move or remove what lies in it.

Not send2trash: it copies and deletes where a rename would leave the disk, replaces what took the name in the trash
meanwhile, syncs nothing, and does not say where the file went. A purge knows the place before it acts.
"""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote

from dedupd.adapters.fs.probing import kind_of
from dedupd.adapters.fs.safe_paths import Root
from dedupd.closing import Closing
from dedupd.core.abilities import changed_elsewhere
from dedupd.core.relocation import numbered
from dedupd.errors import MoveRefused, Refusal

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAC = sys.platform == "darwin"
_SUFFIX = ".trashinfo"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A folder that is there, and the folders from it to the trash, which may be missing."""

    base: str
    names: tuple[str, ...]
    top: str
    """Where relative paths in its .trashinfo begin; '' where they are absolute."""

    @property
    def path(self) -> str:
        return os.path.join(self.base, *self.names)


class Trash(Closing):
    """A trash held open. Close it, or use it as a context manager."""

    def __init__(self, path: str, files: int, info: int | None, top: str = "") -> None:
        self.path, self.files = path, files
        self._info, self._top = info, top
        self._claimed: set[str] = set()

    def place(self, name: str) -> str:
        """Absolute path of what has this name in the trash."""
        return os.path.join(self.path, name) if self._info is None else os.path.join(self.path, "files", name)

    def free_name(self, name: str) -> str:
        """A name that nothing in the trash has, and that was not given before."""
        number = 0
        while self._taken(numbered(name, number)):
            number += 1
        self._claimed.add(numbered(name, number))
        return numbered(name, number)

    def lstat(self, name: str) -> os.stat_result | None:
        """What has this name in the trash; None when nothing has."""
        try:
            return os.stat(name, dir_fd=self.files, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def reserve(self, name: str, original: str, at: float) -> None:
        """Write the .trashinfo, which holds the name, durably. FileExistsError when it is taken."""
        if self._info is None:
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(name + _SUFFIX, flags, 0o600, dir_fd=self._info)
        try:
            text = self._text(original, at)
            while text:
                text = text[os.write(fd, text) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.fsync(self._info)

    def release(self, name: str, original: str) -> None:
        """Remove the .trashinfo that tells of `original` when nothing lies in the trash under its name."""
        if self._info is None or self.lstat(name) is not None:
            return
        with suppress(OSError):
            fd = os.open(name + _SUFFIX, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._info)
            try:
                ours = self._text(original, 0).splitlines()[:2] == os.read(fd, 1 << 16).splitlines()[:2]
            finally:
                os.close(fd)
            if ours:
                os.unlink(name + _SUFFIX, dir_fd=self._info)

    def close(self) -> None:
        os.close(self.files)
        if self._info is not None:
            os.close(self._info)

    def _taken(self, name: str) -> bool:
        if name in self._claimed or self.lstat(name) is not None:
            return True
        if self._info is None:
            return False
        try:
            os.stat(name + _SUFFIX, dir_fd=self._info, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def _text(self, original: str, at: float) -> bytes:
        path = os.path.relpath(original, self._top) if self._top else original
        when = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at))
        return f"[Trash Info]\nPath={quote(os.fsencode(path))}\nDeletionDate={when}\n".encode("ascii")


def open_trash(root: Root) -> Trash:
    """The trash for files of this root, made when it is missing. MoveRefused NO_TRASH when there is none that keeps them."""
    _check_kind(root)
    said = ""
    for spot in _spots(root):
        try:
            return _opened(root, spot)
        except OSError as error:
            said = said or f"{spot.path} cannot be used ({error.strerror})"
        except MoveRefused as why:
            said = said or str(why)
    raise MoveRefused(_none(root, said), Refusal.NO_TRASH)


def why_no_trash(root: Root) -> str:
    """Why nothing of this root can go into a trash, as far as reading shows; '' when it can. Creates nothing."""
    try:
        _check_kind(root)
    except MoveRefused as why:
        return str(why)
    said = ""
    for spot in _spots(root):
        problem = _why_not(root, spot)
        if not problem:
            return ""
        said = said or problem
    return _none(root, said)


def trash_of(place: str) -> tuple[Trash, str]:
    """The trash that `place` lies in and its name there, as it was recorded. OSError when it is not there."""
    folder, name = os.path.split(place)
    files = os.open(folder, _FOLDER)
    if os.path.basename(folder) != "files":
        return Trash(folder, files, None), name
    top = os.path.dirname(folder)
    info: int | None = None
    try:
        info = os.open(os.path.join(top, "info"), _FOLDER)
    except OSError:
        os.close(files)
        raise
    return Trash(top, files, info, _top_of(top)), name


def _top_of(trash: str) -> str:
    """Where relative paths of this trash begin; '' in the home trash."""
    above, name = os.path.split(trash)
    if name.startswith(".Trash-"):
        return above
    return os.path.dirname(above) if os.path.basename(above) == ".Trash" else ""


def _none(root: Root, said: str) -> str:
    return f"there is no trash for {root.path} that would keep it: {said or 'none can be made on that disk'}"


def _check_kind(root: Root) -> None:
    kind = kind_of(root.dev)
    if changed_elsewhere(kind):
        raise MoveRefused(
            f"{root.path} lies on a network drive ({kind}), where desktops delete instead of keeping in a trash",
            Refusal.NO_TRASH,
        )


def _spots(root: Root) -> Iterator[_Spot]:
    """Where the trash for this root may be, best first: at home on the same disk, else at the top of its own disk."""
    user = str(os.geteuid())
    home = os.path.expanduser("~")
    data = os.environ.get("XDG_DATA_HOME", "")
    where = home if _MAC else data if os.path.isabs(data) else os.path.join(home, ".local", "share")
    at_home = _spot(os.path.join(where, ".Trash" if _MAC else "Trash"))
    if _device(at_home.base) == root.dev:
        yield at_home
        return
    top = _top(root)
    if _MAC:
        yield _Spot(base=top, names=(".Trashes", user), top=top)
        return
    if _shared_trash(top):
        yield _Spot(base=top, names=(".Trash", user), top=top)
    yield _Spot(base=top, names=(f".Trash-{user}",), top=top)


def _spot(path: str) -> _Spot:
    """The nearest folder above `path` that is there, and what is missing."""
    base, name = os.path.split(path)
    names = [name]
    while not os.path.isdir(base) and base != os.path.dirname(base):
        base, name = os.path.split(base)
        names.insert(0, name)
    return _Spot(base=base, names=tuple(names), top="")


def _device(path: str) -> int:
    try:
        return os.stat(path).st_dev
    except OSError:
        return -1


def _top(root: Root) -> str:
    """The folder that the disk of this root is mounted at."""
    path = os.path.realpath(root.path)
    while path != "/" and _device(os.path.dirname(path)) == root.dev:
        path = os.path.dirname(path)
    return path


def _shared_trash(top: str) -> bool:
    """Whether an administrator made a .Trash for all users: a folder, no link, and sticky, or others could remove ours."""
    try:
        found = os.lstat(os.path.join(top, ".Trash"))
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX)


def _opened(root: Root, spot: _Spot) -> Trash:
    """Step by step from a folder that is there, making what is missing; no link is followed."""
    trash = os.open(spot.base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not spot.top:  # run by sudo, it would make a trash in somebody's home that its owner cannot use
            _check_owner(trash, spot.base)
        for name in spot.names:
            inner = _entered(trash, name)
            os.close(trash)
            trash = inner
        _check_owner(trash, spot.path)
        if _MAC:
            _check_disk(root, trash, spot.path)
            return Trash(spot.path, os.dup(trash), None, spot.top)
        files, info = _entered(trash, "files"), -1
        try:
            info = _entered(trash, "info")
            for fd in (files, info):
                _check_owner(fd, spot.path)
                _check_disk(root, fd, spot.path)
        except BaseException:
            for fd in (files, info):
                if fd >= 0:
                    os.close(fd)
            raise
        return Trash(spot.path, files, info, spot.top)
    finally:
        os.close(trash)


def _entered(folder: int, name: str) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=folder)
    except FileNotFoundError:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=folder)
        os.fsync(folder)
        return os.open(name, _FOLDER, dir_fd=folder)


def _check_owner(fd: int, path: str) -> None:
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        raise MoveRefused(f"{path} belongs to another user: run dedupd as the owner", Refusal.NO_TRASH)
    if found.st_mode & stat.S_IWOTH:
        raise MoveRefused(f"other users can write in {path}", Refusal.NO_TRASH)


def _check_disk(root: Root, fd: int, path: str) -> None:
    if os.fstat(fd).st_dev != root.dev:
        raise MoveRefused(f"{path} lies on another disk", Refusal.NO_TRASH)


def _why_not(root: Root, spot: _Spot) -> str:
    """Why `_opened` would fail, as far as can be known without creating anything; '' when nothing speaks against it."""
    there = spot.base
    if not spot.top and os.stat(there).st_uid != os.geteuid():
        return f"{there} belongs to another user: run dedupd as the owner"
    for name in spot.names:
        inner = os.path.join(there, name)
        try:
            found = os.lstat(inner)
        except FileNotFoundError:
            return "" if os.access(there, os.W_OK | os.X_OK) else f"{there} cannot be written"
        except OSError as error:
            return f"{inner} cannot be used ({error.strerror})"
        if not stat.S_ISDIR(found.st_mode):
            return f"{inner} is no folder"
        there = inner
    found = os.stat(there)
    if found.st_uid != os.geteuid():
        return f"{there} belongs to another user: run dedupd as the owner"
    return "" if found.st_dev == root.dev else f"{there} lies on another disk"
