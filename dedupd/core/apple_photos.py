"""Photos of Apple's Photos as values: which exported file is which photo there, and which of them may be proposed for deletion.

Owns the link from a file that dedupd moved to a photo of Photos. Must never guess one: a file that is not exactly as
it was exported, or that two photos claim, has none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

ALBUM = "dedupd duplicates"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file as osxphotos left it."""

    path: str
    """Absolute, without symlinks."""
    uuid: str
    """The photo's name in Photos: its original, its edited version and its moving half have one."""
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A moved file whose photo does not go into the album."""

    path: str
    """Where it lies in duplicates/; absolute."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AlbumPair:
    """A moved file and what stands for it, both with their photos in Photos."""

    path: str
    uuid: str
    keeper: str
    """The uuid of the photo that was kept."""


class Exports:
    """All that was ever exported: by file, and by photo."""

    def __init__(self, files: Iterable[ExportedFile]) -> None:
        self._by_path: dict[str, list[ExportedFile]] = {}
        self._by_uuid: dict[str, list[ExportedFile]] = {}
        for file in files:
            self._by_path.setdefault(_key(file.path), []).append(file)
            self._by_uuid.setdefault(file.uuid, []).append(file)

    def wrote_to(self, path: str) -> bool:
        """Whether a photo was ever exported to this path."""
        return _key(path) in self._by_path

    def photo_of(self, path: str, size: int, mtime_ns: int) -> ExportedFile | None:
        """The one photo that was exported to this path with this size and time; None when that is not sure."""
        found = [f for f in self._by_path.get(_key(path), ()) if (f.size, f.mtime_ns) == (size, mtime_ns)]
        return found[0] if len({f.uuid for f in found}) == 1 else None

    def files_of(self, uuid: str) -> list[ExportedFile]:
        """Every file that this photo was ever exported to."""
        return self._by_uuid.get(uuid, [])


def _key(path: str) -> str:
    """macOS takes every spelling of an accent for the same name, and the tools differ in what they write."""
    return unicodedata.normalize("NFC", path)


def for_the_album(
    rows: Collection[AlbumPair], alive: Collection[str]
) -> tuple[list[AlbumPair], list[LeftOut]]:
    """Those whose keeper is in Photos at this moment and is no duplicate itself; and why not the others.

    `alive`: the photos that Photos has, outside its own bin.
    """
    keepers = {row.keeper for row in rows}
    going: list[AlbumPair] = []
    left: list[LeftOut] = []
    for row in rows:
        why = ""
        if row.uuid in keepers:
            why = "the same photo of Photos is kept for another file"
        elif row.keeper not in alive:
            why = "the photo kept for it is not in Photos any more: there this may be the only one"
        elif row.uuid not in alive:
            why = GONE
        if why:
            left.append(LeftOut(path=row.path, why=why))
        else:
            going.append(row)
    return going, left


GONE = "it is not in Photos any more"
"""Its owner has deleted it there: nothing is left to do."""
