"""Finds the folders of this machine that may hold photos, for `dedupd init`, which asks about them.

Reads names and sizes only, for a few seconds at most. Must never open a file, follow a link or write.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from dedupd.core.foreign import foreign
from dedupd.core.relocation import DUPLICATES
from dedupd.core.settling import passed_over
from dedupd.core.units import is_photo, is_raw, is_video

_AT_HOME = (
    "Pictures", "Photos", "OneDrive/Pictures", "OneDrive*/Pictures", "Dropbox/Camera Uploads", "Dropbox/Photos",
    "Nextcloud/Photos", "Nextcloud/InstantUpload", "ownCloud/Photos", "Google Drive/Photos", "Takeout/Google *", "DCIM",
    "Library/Mobile Documents/com~apple~CloudDocs/Pictures", "Library/CloudStorage/OneDrive-*/Pictures",
    "Library/CloudStorage/Dropbox/Camera Uploads",
)  # fmt: skip
_WHOLE_CLOUDS = (
    "OneDrive",
    "OneDrive - *",
    "Dropbox",
    "Nextcloud",
    "ownCloud",
    "Library/CloudStorage/OneDrive-*",
)
"""Folders of sync clients; proposed whole only when no folder of photos was found in them."""
_WALK_SECONDS = 3.0
"""Seconds for one folder: the count is an estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyRoot:
    """A folder that may be a root, and what was found in it."""

    path: Path
    photos: int
    size: int
    whole: bool = True
    """False: there was no time to read all of it."""


def likely_roots(
    home: Path, cards: Iterable[Path] | None = None, now: Callable[[], float] = time.monotonic
) -> list[LikelyRoot]:
    """Folders with photos in them, none inside another; empty when there are none."""
    found: list[LikelyRoot] = []
    for path in (
        *_matching(home, _AT_HOME),
        *_matching(home, _WHOLE_CLOUDS),
        *(_cards() if cards is None else cards),
    ):
        if any(_overlap(path, other.path) for other in found):
            continue
        seen = look(path, now)
        if seen.photos:
            found.append(seen)
    return found


def look(path: Path, now: Callable[[], float] = time.monotonic) -> LikelyRoot:
    """Count the photos below this folder and their bytes, as far as there is time."""
    end, photos, size = now() + _WALK_SECONDS, 0, 0
    waiting = [str(path)]
    while waiting:
        if now() > end:
            return LikelyRoot(path=path, photos=photos, size=size, whole=False)
        for entry in _entries(waiting.pop()):
            if passed_over(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                inside = os.path.relpath(entry.path, path)
                if entry.name != DUPLICATES and foreign(inside, defaults=True) is None:
                    waiting.append(entry.path)
            elif (is_photo(name := entry.name) or is_raw(name) or is_video(name)) and entry.is_file(
                follow_symlinks=False
            ):
                photos, size = photos + 1, size + entry.stat(follow_symlinks=False).st_size
    return LikelyRoot(path=path, photos=photos, size=size)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _matching(home: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Folders below home whose names match these patterns. Links are skipped, as dedupd does not follow them
    either."""
    for pattern in patterns:
        found = [home]
        for part in pattern.split("/"):
            found = [Path(e.path) for folder in found for e in _entries(str(folder)) if fnmatch(e.name, part)]
        yield from sorted(path for path in found if path.is_dir() and not path.is_symlink())


def _cards() -> list[Path]:
    """Mounted camera cards and readers: volumes with a DCIM folder."""
    user = os.environ.get("USER", "")
    tops = ["/Volumes"] if sys.platform == "darwin" else [f"/media/{user}", f"/run/media/{user}"]
    return [
        Path(e.path) / "DCIM"
        for top in tops
        for e in _entries(top)
        if os.path.isdir(os.path.join(e.path, "DCIM"))
    ]


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)
