"""Which folders a sync client keeps, and whether it is at work there: by names alone.

Owns the names. Must never open a file, and never take a client for idle because it cannot be told: who asks here waits a
little longer, no more.

Sources: the folders that the clients make by default; Nextcloud's and ownCloud's journal (`.sync_….db`, `._sync_….db`) and
unfinished downloads (`.NAME.~1a2b`); Dropbox (`.dropbox`, `.dropbox.cache`); Syncthing (`.stfolder`, `.syncthing.NAME.tmp`).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from fnmatch import fnmatch
from functools import lru_cache

_BY_NAME = (
    ("OneDrive*", "OneDrive"), ("Dropbox*", "Dropbox"), ("Nextcloud*", "Nextcloud"), ("ownCloud*", "ownCloud"),
    ("Google Drive*", "Google Drive"), ("GoogleDrive-*", "Google Drive"), ("CloudStorage", "a cloud"),
    ("Mobile Documents", "iCloud Drive"), ("iCloud Drive*", "iCloud Drive"), ("pCloud*", "pCloud"), ("MEGA", "MEGA"),
)  # fmt: skip
"""Name of the folder or of one above it -> its client."""
_BY_MARK = (
    (".dropbox", "Dropbox"), (".dropbox.cache", "Dropbox"), (".stfolder", "Syncthing"), (".sync_*.db", "Nextcloud"),
    ("._sync_*.db", "ownCloud"), (".owncloudsync.log", "ownCloud"), (".nextcloudsync.log", "Nextcloud"),
)  # fmt: skip
"""What lies in the folder or in one above it -> its client."""
_AT_WORK = re.compile(
    r"\..+\.~[0-9a-f]{2,}|\.syncthing\..+\.tmp|\.~.+|~.+\.tmp|.+\.(?:part|partial|crdownload|download|tmp)",
    re.IGNORECASE,
)
"""A file that a client, or whoever downloads, has not finished."""
_LATELY = 60.0
"""Seconds; what is older was left behind."""
_MOST_ENTRIES = 20_000


@lru_cache(maxsize=256)
def client_of(root: str) -> str:
    """The client whose folder the root is, or lies in; '' for none that can be told."""
    folder = root
    while folder != os.path.dirname(folder):
        name = os.path.basename(folder)
        found = next((client for glob, client in _BY_NAME if fnmatch(name, glob)), "")
        found = found or next((client for glob, client in _BY_MARK if _holds(folder, glob)), "")
        if found:
            return found
        folder = os.path.dirname(folder)
    return ""


def at_work(root: str, folders: Iterable[str]) -> bool:
    """Whether in one of these folders of the root lies something that was begun within the last minute and is not finished."""
    now = time.time()
    return any(_unfinished(os.path.join(root, folder), now) for folder in folders)


def _holds(folder: str, glob: str) -> bool:
    if "*" not in glob:
        return os.path.lexists(os.path.join(folder, glob))
    return any(fnmatch(name, glob) for name in _hidden(folder))


def _hidden(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name for e, _ in zip(entries, range(_MOST_ENTRIES), strict=False) if e.name[0] == "."]
    except OSError:
        return []


def _unfinished(folder: str, now: float) -> bool:
    try:
        with os.scandir(folder) as entries:
            names = [
                e for e, _ in zip(entries, range(_MOST_ENTRIES), strict=False) if _AT_WORK.fullmatch(e.name)
            ]
            return any(abs(now - e.stat(follow_symlinks=False).st_mtime) < _LATELY for e in names)
    except OSError:
        return False
