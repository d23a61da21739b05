"""A folder as a place of pictures or of rows, and which kind of place an address means.

Writes only the small files of a backfill, each whole or not at all. Must never write to a picture, nor load a
network client unless the address names an object store. Light to import.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from dedupd.adapters.fs.safe_paths import Root
from dedupd.adapters.fs.walk import FolderWalk
from dedupd.adapters.stores.found import Found, OnProblem
from dedupd.core.foreign import Scope
from dedupd.drafts import write_whole
from dedupd.errors import UsageError


class Store(Protocol):
    """A place, by its address. Every method raises OSError."""

    address: str
    shown: str
    """The address for people: without connection options."""

    def pictures(self, scope: Scope, on_problem: OnProblem) -> Iterator[Found]:
        """The files that a library at this place would look at, folder by folder, each in order."""
        ...

    def read(self, name: str, most: int = -1, alive: Callable[[], None] = ...) -> bytes:
        """One file, or its first `most` bytes; `alive` is called from time to time. Raises FileNotFoundError
        when there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file whole, replacing one of that name; it is durable when this returns."""
        ...

    def sizes(self, folder: str) -> dict[str, int]:
        """Name -> bytes of the files in a folder; empty when there is no such folder."""
        ...

    def empty(self) -> bool:
        """Whether the place is empty or does not exist yet."""
        ...


class LocalStore:
    """A folder of this machine, or one that all machines of a cluster have at the same path."""

    def __init__(self, path: str) -> None:
        self.address = self.shown = os.path.realpath(os.path.expanduser(path))

    def pictures(self, scope: Scope, on_problem: OnProblem) -> Iterator[Found]:
        top = Root(self.address)
        try:
            walk = FolderWalk(
                top, scope, lambda folder, sentence: on_problem(sentence), lambda folder, foreign: None
            )
            waiting = [""]
            while waiting:
                files, below = walk.list_folder(waiting.pop())
                waiting += reversed(below)
                for file in files:
                    yield Found(name=file.path, size=file.stat.size, version=file.stat.mtime_ns)
        finally:
            os.close(top.fd)

    def read(self, name: str, most: int = -1, alive: Callable[[], None] = lambda: None) -> bytes:
        with open(os.path.join(self.address, name), "rb") as file:
            return file.read(most)

    def write(self, name: str, data: bytes) -> None:
        path = Path(self.address, name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_whole(path, data, 0o600)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def sizes(self, folder: str) -> dict[str, int]:
        try:
            with os.scandir(os.path.join(self.address, folder)) as entries:
                return {e.name: e.stat(follow_symlinks=False).st_size for e in entries if e.is_file()}
        except FileNotFoundError:
            return {}

    def empty(self) -> bool:
        try:
            return not os.listdir(self.address)
        except FileNotFoundError:
            return True


def store_at(address: str) -> Store:
    """The place that an address means: a path, or `s3://bucket/prefix`. Raises UsageError."""
    scheme, colon, _ = address.partition("://")
    if not colon:
        return LocalStore(address)
    if scheme != "s3":
        raise UsageError(f"{address} cannot be reached: name a folder, or s3://BUCKET/PREFIX")
    if "@" in address.partition("://")[2].partition("/")[0]:
        raise UsageError(
            "an address is no place for a secret: say it by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        )
    from dedupd.adapters.stores.object_store import ObjectStore

    return ObjectStore(address)
