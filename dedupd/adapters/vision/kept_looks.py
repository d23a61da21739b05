"""Pictures for the first look at a pair, kept when a photo is read: most pairs need no more, so that no file is
decoded again for them.

Owns their form, their folder and its bound. Disposable: one that is missing or damaged is made of its photo again,
the same to the pixel. Must never be what a move rests on, nor keep a photo from being read. Worker process only.
"""

# pyright: reportUnknownMemberType=false
from __future__ import annotations

import os
import shutil
import struct
import sys
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from dedupd.adapters.index.recovery import folder_name
from dedupd.adapters.vision.decode import Picture, area_resize
from dedupd.adapters.vision.profiles import differs_from_srgb
from dedupd.drafts import draft_of

LOOK = "look-1"
"""Name and version of these pictures: other versions are never mixed in."""
SIDE = 400
"""Px of the long side, at most."""
MOST_BYTES = 1 << 30
"""Of all of them: of about 20,000 photos. Those that were read first go first."""
LEAST_FREE = 4 << 30
"""Bytes that stay free on the disk, where the ledger lies: with less, they go from each folder that is counted."""
_QUALITY = 95
"""At 90 one of 1,070 labelled pairs measured otherwise than its files by more than the margins in `core/bars.py`."""
_DRAFT_SECONDS = 3600.0
"""A draft that is older is nobody's any more."""
_NUMBER = struct.Struct("<I")
_LARGEST_PROFILE = 1 << 14
"""Bytes: those of cameras have some hundreds."""
_LOOKED_AFTER = "01"
"""A folder is counted when one of every eight photos comes into it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is kept of one photo."""

    rgb: NDArray[np.uint8] | None
    """(H, W, 3) levels, upright; None: its files are decoded for each look (frames, pages, transparency)."""
    profile: bytes
    """The colour space of these levels, not applied; b'': sRGB."""


def packed(picture: Picture, small: NDArray[np.uint8]) -> bytes:
    """The look at `picture`, as it is kept; `small`: its pixels with a long side of SIDE at most."""
    # Not in sRGB: that takes ten times as long, and of most photos it is never asked for.
    profile, jpeg = picture.profile if differs_from_srgb(picture.profile) else b"", b""
    if not (picture.several or picture.holding.transparent or len(profile) > _LARGEST_PROFILE):
        bgr = cv2.cvtColor(small, cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    body = _NUMBER.pack(len(profile)) + profile + jpeg if jpeg else _NUMBER.pack(0)
    return _NUMBER.pack(zlib.crc32(body)) + body


def look_at(picture: Picture) -> bytes:
    """The same, of a picture that was decoded as photos are that are read."""
    return packed(picture, area_resize(np.asarray(picture.image), SIDE))


def unpacked(kept: bytes) -> Look | None:
    """None when it is damaged."""
    check, body = kept[: _NUMBER.size], kept[_NUMBER.size :]
    if len(body) < _NUMBER.size or check != _NUMBER.pack(zlib.crc32(body)):
        return None
    end = _NUMBER.size + _NUMBER.unpack_from(body)[0]
    profile, jpeg = body[_NUMBER.size : end], body[end:]
    rgb = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR_RGB) if jpeg else None
    return Look(rgb=None if rgb is None else np.asarray(rgb, np.uint8), profile=profile)


class KeptLooks:
    """Looks by content, each in a file of its own. Never raises when a disk is full or read-only: then a photo is
    decoded again. Thread-safe."""

    def __init__(self, index_dir: Path, recipe: str) -> None:
        self._folder = index_dir.absolute() / folder_name(LOOK, recipe)
        self._told = set[tuple[str, int | None]]()
        try:
            self._sweep(time.time() - _DRAFT_SECONDS)
        except OSError as error:
            self._tell("swept", error)

    def _sweep(self, before: float) -> None:
        """Remove drafts that a kill left before then: they would lie there until their folder is full."""
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            for draft in folder.glob(".*.tmp"):
                if draft.lstat().st_mtime < before:
                    draft.unlink(missing_ok=True)

    def of(self, content: str) -> Look | None:
        """None when there is none, or a damaged one."""
        try:
            return unpacked(self._path(content).read_bytes())
        except OSError:
            return None

    def keep(self, content: str, look: bytes) -> None:
        """Keep it; those that were kept first go where there is no room."""
        try:
            self._write(content, look)
            if content[2] in _LOOKED_AFTER:
                self._make_room(self._path(content).parent)
        except OSError as error:
            self._tell("kept", error)

    def keep_where_room_is(self, content: str, look: bytes) -> None:
        """The same for a photo that was read long ago: no other goes for it. A search through a large library would
        else drop each before its turn comes."""
        try:
            taken = sum(size for _, size, _ in _files(self._path(content).parent))
        except FileNotFoundError:  # no folder yet; or one that another thread removes went meanwhile
            taken = 0
        except OSError as error:
            self._tell("kept", error)
            return
        if taken < _MOST_IN_ONE:
            self.keep(content, look)

    def remove(self, contents: Iterable[str]) -> None:
        """Remove those of contents that are gone."""
        for look in map(self._path, contents):
            try:
                look.unlink(missing_ok=True)
            except OSError as error:
                self._tell("removed", error)

    def _path(self, content: str) -> Path:
        return self._folder / content[:2] / content

    def _tell(self, what: str, error: OSError) -> None:
        """Once each: a full disk says the same of every photo."""
        if (what, error.errno) not in self._told:
            self._told.add((what, error.errno))
            print(f"pictures for pairs not {what}: {error}", file=sys.stderr, flush=True)

    def _write(self, content: str, look: bytes) -> None:
        path = self._path(content)
        if not path.parent.is_dir():
            for folder in (self._folder, path.parent):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with draft_of(path, 0o600) as draft:
            draft.write([look])
            draft.replace(synced=False)

    def _make_room(self, folder: Path) -> None:
        files = sorted(_files(folder))
        most = _MOST_IN_ONE if shutil.disk_usage(folder).free >= LEAST_FREE else 0
        over = sum(size for _, size, _ in files) - most
        for _, size, path in files:
            if over <= 0:
                break
            oldest = Path(path)
            oldest.unlink(missing_ok=True)
            over -= size


_MOST_IN_ONE = MOST_BYTES // 256
"""Bytes in one folder, of the 256 by the first two digits of a content."""


def _files(folder: Path) -> list[tuple[int, int, str]]:
    """(When it was kept, bytes, path) of each."""
    with os.scandir(folder) as entries:
        return [(status.st_mtime_ns, status.st_size, e.path) for e in entries for status in (e.stat(),)]
