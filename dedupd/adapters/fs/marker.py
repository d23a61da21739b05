"""The marker of a root, `.dedupd-root.json`: by it dedupd recognises a root at another path or mount.

Owns this one file and the drafts beside it (those of probing.py too). Must never replace a marker that is there, nor
touch a file of another name.
"""

from __future__ import annotations

import json
import math
import os
import stat
import time
from contextlib import suppress
from typing import Any

from dedupd.adapters.fs.ownership import give_to_owner
from dedupd.adapters.fs.renaming import rename
from dedupd.adapters.fs.safe_paths import Root
from dedupd.core.abilities import Way
from dedupd.drafts import draft_of
from dedupd.errors import RootError

MARKER = ".dedupd-root.json"

_MARKER_BYTES = 4096


def marker_in(folder: str) -> str:
    """The name in the marker of the root at this path, in lower case; '' without one.

    Raises RootError (one sentence) when it cannot be read or is no marker.
    """
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _marker_at(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise RootError(f"{folder}/{MARKER} cannot be read ({error.strerror}): make it readable") from None
    except ValueError as error:
        raise RootError(
            f"{folder}/{MARKER} is damaged ({error}): restore it from a backup, or delete it to let dedupd know this folder anew"
        ) from None


def marker_of(root: Root) -> str:
    """The name in the root's marker, in lower case; '' without a marker that can be read."""
    with suppress(OSError, ValueError):
        return _marker_at(root.fd)
    return ""


def _marker_at(folder: int) -> str:
    """The name in the marker: any short text is one. Raises OSError; ValueError for what is no marker.

    Never waits for a pipe, follows no link, reads no more than a marker can hold.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(MARKER, flags, dir_fd=folder)
    except FileNotFoundError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise ValueError("it is no plain file")
        text = os.read(fd, _MARKER_BYTES + 1)
    finally:
        os.close(fd)
    return _name_in(text)


def _name_in(text: bytes) -> str:
    try:
        found: Any = json.loads(text[:_MARKER_BYTES])
        name = found["uuid"].strip().lower()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise ValueError("it names nothing") from None
    if not name or not name.isprintable():
        raise ValueError("it names nothing")
    return name


def write_marker(root: Root, name: str, way: Way) -> bool:
    """Make the marker with this name; False when there is one already. It appears only when it is complete. OSError."""
    text = json.dumps(
        {"uuid": name, "what": "dedupd knows this photo folder by this file; please leave it here"}
    )
    with draft_of(MARKER, 0o644, folder=root.fd) as draft:
        draft.write([text.encode("ascii"), b"\n"])
        give_to_owner(draft.fd, root.fd)
        draft.sync()
        try:
            rename(root, draft.name, MARKER, way)
        except FileExistsError:
            return False
    return True


def drop_drafts(root: Root, older: float = -math.inf) -> None:
    """Remove what a crash left of markers and trials, if it is `older` than so many seconds.

    Another process that works with such a file at this moment fails, and tries again.
    """
    for name in os.listdir(root.fd):
        if name.startswith(f"{MARKER}.") and name.endswith(".tmp"):
            found = root.lstat(name)
            if found is not None and stat.S_ISREG(found.st_mode) and time.time() - found.st_ctime >= older:
                os.unlink(name, dir_fd=root.fd)
