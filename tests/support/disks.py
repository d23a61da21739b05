"""File systems that can less than the one the tests run on: the system calls say no, as they do there."""

from __future__ import annotations

import errno
import os

import pytest

from dedupd.adapters.fs import probing, renaming
from dedupd.core.abilities import Way


def unknown(*_: object, **__: object) -> None:
    """A flag that the file system does not know: FUSE, NFS, most network file systems."""
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))


def no_links(*_: object, **__: object) -> None:
    """FAT, exFAT, most cloud drives."""
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def limited(monkeypatch: pytest.MonkeyPatch, best: Way | None) -> None:
    """From now on no way is known that is better than `best`; None: none at all."""
    monkeypatch.setattr(probing, "_known", {})
    if best is not Way.EXCLUSIVE:
        monkeypatch.setitem(renaming._WAYS, Way.EXCLUSIVE, unknown)
    if best not in (Way.EXCLUSIVE, Way.LINK):
        monkeypatch.setitem(renaming._WAYS, Way.LINK, no_links)
    if best is None:
        monkeypatch.setitem(renaming._WAYS, Way.CLAIM, no_links)
