"""What of a library one scan counts: which files it looks at, and which pairs move and are shown.

A narrowed scan does a part of what a full scan would do, and nothing else: each file moves beside the keeper that it
has anyway, or it stays. Must never look at a disk.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

Folders = Literal["any", "across", "within"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowing:
    """What a person asked for on the command line of `scan`."""

    exclude: tuple[str, ...] = ()
    """Globs of files and folders: what matches is never opened, never a keeper and never moved."""
    min_size: int = 0
    """Bytes: smaller files are left out too."""
    folders: Folders = "any"
    """Where the two of a pair lie: in two folders ('across'), in one ('within'), or in 'any'."""

    @property
    def everything(self) -> bool:
        """Whether it leaves nothing out."""
        return self == Narrowing()

    def looks_at(self, root: str, path: str, size: int) -> bool:
        """Whether the file of this size (bytes) at `path` below `root` is part of the scan."""
        return size >= self.min_size and not self.excludes(root, path)

    def excludes(self, root: str, path: str) -> bool:
        """Whether a glob matches the file or a folder above it: its name, its path below the root, or, when the glob begins
        with /, its whole path.
        """
        if not self.exclude:
            return False
        globs = [_spelled(glob) for glob in self.exclude]
        return any(fnmatchcase(name, glob) for name in _names(path) for glob in globs) or any(
            fnmatchcase(f"{_spelled(root)}{name}", glob)
            for glob in globs
            if glob.startswith("/")
            for name in _names(path)
            if name.startswith("/")
        )

    def counts(self, keeper: str, path: str) -> bool:
        """Whether the pair of a keeper and a file beside it is one of those asked for."""
        same_folder = _folder(keeper) == _folder(path)
        return self.folders == "any" or same_folder == (self.folders == "within")


def _names(path: str) -> Iterator[str]:
    """'a/b' -> 'a', 'a', '/a', 'b', 'a/b', '/a/b': so `**/b` fits on top of the root too."""
    parts = _spelled(path).split("/")
    for end in range(1, len(parts) + 1):
        below = "/".join(parts[:end])
        yield from (parts[end - 1], below, f"/{below}")


def _spelled(text: str) -> str:
    """In one Unicode form: macOS stores é as two characters, and a person types one."""
    return unicodedata.normalize("NFC", text)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
